"""The template engine: against what the docker client printed, and against Python on random data."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import DEADLINE

from ireko.cli.template import Template, TemplateError, to_json
from ireko.cli.text import quote

GOLDEN = Path(__file__).parents[2] / "golden" / "cli"
ROWS = json.loads((GOLDEN / "templates.json").read_text(encoding="utf-8"))
WEB = json.loads((GOLDEN / "api" / "GET_containers_web_json.json").read_text(encoding="utf-8"))

words = st.text(st.characters(blacklist_categories=["Cs"]), max_size=12)
names = st.from_regex(r"[A-Z][a-z]{0,6}", fullmatch=True)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | words, lambda inner: st.lists(inner) | st.dictionaries(words, inner)
)


@pytest.mark.parametrize("row", ROWS, ids=[row["template"] for row in ROWS])
def test_prints_what_docker_printed(row: dict[str, Any]) -> None:
    if row["prints"] is None:
        with pytest.raises(TemplateError):
            Template(row["template"]).render(WEB)
    else:
        assert Template(row["template"]).render(WEB) == row["prints"]


@pytest.mark.docker
@pytest.mark.skipif(shutil.which("docker") is None, reason="needs the docker client")
@pytest.mark.parametrize("row", ROWS, ids=[row["template"] for row in ROWS])
def test_the_recorded_lines_are_docker_s(row: dict[str, Any], recorded_daemon: str) -> None:
    printed = subprocess.run(
        ["docker", "-H", recorded_daemon, "inspect", "-f", row["template"], "web"],
        capture_output=True, text=True, encoding="utf-8", timeout=DEADLINE, check=False,
    )  # fmt: skip
    assert (printed.stdout[:-1] if printed.returncode == 0 else None) == row["prints"]


@given(words)
def test_text_without_actions_stays_as_it_is(text: str) -> None:
    if "{{" not in text:
        assert Template(text).render({}) == text


@given(words)
def test_a_quoted_string_is_read_back(text: str) -> None:
    assert Template("{{" + quote(text) + "}}").render({}) == text


@given(values)
def test_json_is_read_back(value: object) -> None:
    assert json.loads(Template("{{json .}}").render(value)) == value


@given(st.dictionaries(names, words, min_size=1))
def test_a_field_is_the_entry(data: dict[str, str]) -> None:
    source = "|".join(f"{{{{.{name}}}}}" for name in data)
    assert Template(source).render(data) == "|".join(data.values())
    assert Template(source).fields() == set(data)


@given(st.lists(words))
def test_range_join_and_len_agree_with_python(items: list[str]) -> None:
    shown = Template("{{len .L}} {{range .L}}<{{.}}>{{end}} {{join .L `,`}}").render({"L": items})
    assert shown == f"{len(items)} {''.join(f'<{item}>' for item in items)} {','.join(items)}"


@given(st.booleans(), st.booleans(), st.booleans())
def test_conditions_agree_with_python(a: bool, b: bool, c: bool) -> None:
    shown = Template("{{if and .A (or .B (not .C))}}y{{else if .C}}c{{else}}n{{end}}").render({"A": a, "B": b, "C": c})
    assert shown == ("y" if a and (b or not c) else "c" if c else "n")


@given(st.text('{}-. "`abc$:=|()/*\n', max_size=30))
def test_nonsense_is_an_error_and_no_crash(source: str) -> None:
    with contextlib.suppress(TemplateError):
        assert isinstance(Template(source).render({"a": {"b": [1]}}), str)


def test_a_computed_object_is_json_as_go_writes_it() -> None:
    from ireko.cli.render import Row

    row = Row({"B": ("", lambda _: "a->b"), "A": ("", lambda item: item["x"]), "F": ("", lambda _: len)}, {"x": "é"})
    assert to_json(row) == '{"A":"é","B":"a-\\u003eb"}'


def test_missing_fields_are_named_but_may_be_asked_about() -> None:
    with pytest.raises(TemplateError, match='no entry for key "Nope"'):
        Template("{{.Nope}}").render({})
    assert Template("{{if .Nope}}a{{else}}b{{end}}").render({}) == "b"
