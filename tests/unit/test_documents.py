"""What documents say about files and commands is true."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ireko.cli.verbs import GROUPS

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)
CODE = re.compile(r"^```[^\n]*\n(.*?)^```|^ {4}(\S[^\n]*)$|`([^`\n]+)`", re.MULTILINE | re.DOTALL)
PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"(?<![\w/.-])(?:\S*/bin/)?ireko((?: -H \S+| --host \S+)*)((?: [a-z][a-z-]*)+)")


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def anchors(path: Path) -> set[str]:
    """The anchors of a document's headings, as they are made of them on the web."""
    headings = HEADING.findall(path.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w -]", "", text.lower()).strip().replace(" ", "-") for text in headings}


def commands(text: str) -> Iterator[list[str]]:
    """The words behind `ireko`, wherever it stands in code."""
    for blocks in CODE.findall(text):
        for line in "\n".join(blocks).splitlines():
            for _, words in COMMAND.findall(line):
                yield words.split()


def unknown(words: list[str]) -> str:
    """The first word of a command that is no verb; "" when all is well."""
    group = GROUPS["ireko"]
    if words[0] not in {entry.name for entry in group}:
        return words[0]
    inner = GROUPS.get(words[0], ())
    if inner and len(words) > 1 and words[1] not in {entry.name for entry in inner}:
        return " ".join(words[:2])
    return ""


def test_there_are_documents() -> None:
    assert {"README.md", "ARCHITECTURE.md", "docs/on-disk.md"} <= {named(path) for path in DOCUMENTS}


@pytest.mark.parametrize("path", DOCUMENTS, ids=named)
def test_links_lead_somewhere(path: Path) -> None:
    for target in LINK.findall(path.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        place, _, anchor = target.partition("#")
        linked = (path.parent / place).resolve() if place else path
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


@pytest.mark.parametrize("path", DOCUMENTS, ids=named)
def test_commands_exist(path: Path) -> None:
    found = list(commands(path.read_text(encoding="utf-8")))
    assert [wrong for words in found if (wrong := unknown(words))] == []


def test_the_library_works_as_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (ROOT / "docs" / "how-to" / "use-the-disk-library.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    exec("\n".join(PYTHON.findall(text)), {})
    said = capsys.readouterr().out
    assert "b'written in the base'" in said
    assert "b'written in the child'" in said


def test_commands_are_found_where_they_stand() -> None:
    inline = "`ireko ps`, `.venv/bin/ireko -H tcp://x:1 image make nano`, ireko is"
    text = f"{inline}\n\n    $ ireko exec -it web\n\n```sh\nireko  x; ireko rm a\n```\nireko is"
    assert sorted(commands(text)) == [["exec"], ["image", "make", "nano"], ["ps"], ["rm", "a"]]


@pytest.mark.parametrize(
    ("words", "wrong"),
    [(["ps"], ""), (["bild"], "bild"), (["image", "make"], ""), (["image", "mak"], "image mak"), (["run", "nano"], "")],
)
def test_what_is_no_command(words: list[str], wrong: str) -> None:
    assert unknown(words) == wrong
