"""`doctor`."""

from __future__ import annotations

import json

import click

from ireko.cli.exit import FAILED
from ireko.cli.group import verb
from ireko.cli.session import Session, pass_session
from ireko.cli.text import display_width
from ireko.errors import InvalidInput

_GAP = 2


@verb("doctor")
@click.option("--format", "written", default="", metavar="FORMAT", help="json shows what a program can read.")
@pass_session
def doctor(session: Session, *, written: str) -> int:
    """Check this host, and say what to do about each finding.

    The exit code is 1 when a finding keeps machines from running.
    """
    if written not in {"", "json"}:
        raise InvalidInput(f'"{written}" is no format of doctor', hint="--format json")
    findings = session.client.system.doctor()
    code = FAILED if any(finding["Level"] == "error" for finding in findings) else 0
    if written == "json":
        session.line(json.dumps(findings, ensure_ascii=False))
        return code
    level = max((len(finding["Level"]) for finding in findings), default=0) + _GAP
    name = max((display_width(finding["Name"]) for finding in findings), default=0) + _GAP
    for finding in findings:
        padding = " " * (name - display_width(finding["Name"]))
        session.line(f"{finding['Level']:<{level}}{finding['Name']}{padding}{finding['Found']}".rstrip())
        if finding.get("Remedy") and finding["Level"] != "ok":
            session.line(f"{'':<{level + name}}do: {finding['Remedy']}")
    return code
