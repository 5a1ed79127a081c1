"""`version` and `info`."""

from __future__ import annotations

import platform
from typing import Any

import click

from ireko import __version__
from ireko.cli.group import verb
from ireko.cli.session import Session, pass_session
from ireko.cli.template import Template
from ireko.cli.units import binary_size
from ireko.errors import IrekoError

_API = "1.47"
_FORMAT = click.option("-f", "--format", "written", default="", metavar="FORMAT", help="json or a template.")


@verb("version")
@_FORMAT
@pass_session
def version(session: Session, *, written: str) -> None:
    """Show the versions of the command line and the daemon."""
    client = {
        "Version": __version__,
        "ApiVersion": _API,
        "Python": platform.python_version(),
        "Os": platform.system().lower(),
        "Arch": platform.machine(),
    }
    failure: IrekoError | None = None
    server: dict[str, Any] | None = None
    try:
        server = session.client.system.version()
    except IrekoError as error:
        failure = error
    if written:
        session.line(_template(written).render({"Client": client, "Server": server}))
    else:
        session.line(_sections(client, server))
    if failure:
        session.out.flush()
        raise failure


def _sections(client: dict[str, str], server: dict[str, Any] | None) -> str:
    lines = ["Client:", *_rows(client)]
    if server is not None:
        lines += ["", "Server:"]
        components = server.get("Components") or [{"Name": "Engine", "Version": server["Version"], "Details": {}}]
        for part in components:
            lines.append(f" {part['Name']}:")
            lines += [f" {row}" for row in _rows({"Version": part["Version"], **(part.get("Details") or {})})]
    return "\n".join(lines)


def _rows(values: dict[str, Any]) -> list[str]:
    return [f" {_title(name) + ':':<19}{value}" for name, value in values.items()]


def _title(name: str) -> str:
    return {"ApiVersion": "API version", "MinAPIVersion": "Minimum API", "Os": "OS"}.get(name, name)


@verb("info")
@_FORMAT
@pass_session
def info(session: Session, *, written: str) -> None:
    """Show how the daemon and its host stand."""
    found = session.client.system.info()
    if written:
        session.line(_template(written).render(found))
        return
    session.line("\n".join(["Client:", f" Version:    {__version__}", "", "Server:", *_info_rows(found)]))
    session.out.flush()
    for warning in found.get("Warnings") or []:
        session.note(warning)


def _info_rows(found: dict[str, Any]) -> list[str]:
    rows = [
        f" Containers: {found.get('Containers', 0)}",
        f"  Running: {found.get('ContainersRunning', 0)}",
        f"  Paused: {found.get('ContainersPaused', 0)}",
        f"  Stopped: {found.get('ContainersStopped', 0)}",
        f" Images: {found.get('Images', 0)}",
        f" Server Version: {found.get('ServerVersion', '')}",
        f" Storage Driver: {found.get('Driver', '')}",
        *(f"  {name}: {value}" for name, value in found.get("DriverStatus") or []),
        f" Kernel Version: {found.get('KernelVersion', '')}",
        f" Operating System: {found.get('OperatingSystem', '')}",
        f" OSType: {found.get('OSType', '')}",
        f" Architecture: {found.get('Architecture', '')}",
        f" CPUs: {found.get('NCPU', 0)}",
        f" Total Memory: {binary_size(found.get('MemTotal', 0))}",
        f" Name: {found.get('Name', '')}",
        f" ID: {found.get('ID', '')}",
        f" Root Dir: {found.get('DockerRootDir', '')}",
    ]
    labels = found.get("Labels") or []
    return rows + ([" Labels:", *(f"  {label}" for label in labels)] if labels else [])


def _template(written: str) -> Template:
    return Template("{{json .}}" if written == "json" else written)
