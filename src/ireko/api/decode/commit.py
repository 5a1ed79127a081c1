"""`POST /commit`: a config, and single instructions, as the engine's list of instructions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from ireko.api.decode.bodies import CommitBody, words


def instructions(body: CommitBody, written: Iterable[str]) -> tuple[str, ...]:
    """The body's settings first, then what `--change` says, one a line."""
    changes = [line.strip() for text in written for line in text.splitlines()]
    return (*_settings(body), *(change for change in changes if change))


def _settings(body: CommitBody) -> Iterator[str]:
    for word, argv in (("ENTRYPOINT", body.entrypoint), ("CMD", body.cmd), ("VOLUME", [*(body.volumes or ())])):
        if listed := words(argv):
            yield f"{word} {_json(listed)}"
    for word, text in (("USER", body.user), ("WORKDIR", body.working_dir), ("STOPSIGNAL", body.stop_signal)):
        if text:
            yield f"{word} {text}"
    for pair in body.env or ():
        yield f"ENV {_quoted(pair)}"
    for name, value in (body.labels or {}).items():
        yield f"LABEL {_quoted(f'{name}={value}')}"
    for port in body.exposed_ports or ():
        yield f"EXPOSE {port}"


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _quoted(pair: str) -> str:
    name, _, value = pair.partition("=")
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'{name}="{escaped}"'
