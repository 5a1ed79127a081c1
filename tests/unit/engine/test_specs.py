"""What a container inherits from its image: docker's rules."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ireko.engine import specs
from ireko.engine.changes import apply
from ireko.errors import InvalidInput
from ireko.model.container import Container, ContainerSpec, Mount, MountKind, PortMapping, Process
from ireko.model.image import MIB, Image, ImageConfig

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def image(**config: object) -> Image:
    return Image(id="sha256:0", layers=("l",), config=ImageConfig(**config), created=NOW)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("entrypoint", "command", "wanted"),
    [
        (None, None, ("/entry", "cmd")),
        (None, ("x",), ("/entry", "x")),
        (("/other",), None, ("/other",)),
        (("/other",), ("x",), ("/other", "x")),
        ((), ("x",), ("x",)),
    ],
)
def test_entrypoint_and_command(
    entrypoint: tuple[str, ...] | None, command: tuple[str, ...] | None, wanted: tuple[str, ...]
) -> None:
    spec = ContainerSpec(image="i", entrypoint=entrypoint, command=command)
    assert specs.process(spec, image(entrypoint=("/entry",), command=("cmd",))).argv == wanted


def test_no_command_runs_the_system_where_there_is_one() -> None:
    assert specs.process(ContainerSpec(image="i"), image(init="/sbin/init")).argv == ()
    with pytest.raises(InvalidInput, match="No command specified"):
        specs.process(ContainerSpec(image="i"), image())


def test_environment_merges_by_name() -> None:
    merged = specs.merge_environment(("A=1", "B=2"), ("B=3", "C=4", "A"))
    assert merged == ("B=3", "C=4")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"memory": 1000}, "at least 64MB"),
        ({"memory": 1 << 70}, "no machine has more"),
        ({"cpus": -1.0}, "positive"),
        ({"cpus": float("nan")}, "positive"),
        ({"workdir": "relative"}, "absolute"),
        ({"hostname": "a b"}, "hostname"),
        ({"environment": ("=x",)}, "NAME=value"),
        ({"mounts": (Mount(MountKind.VOLUME, "v", "/"),)}, "not '/'"),
        ({"mounts": (Mount(MountKind.VOLUME, "v", "/a"), Mount(MountKind.VOLUME, "w", "/a"))}, "Duplicate"),
        ({"command": ("a\0b",)}, "NUL"),
    ],
)
def test_what_no_machine_could_be_is_refused(change: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        specs.check(replace(ContainerSpec(image="i"), **change))  # type: ignore[arg-type]


def test_publish_all_adds_what_is_exposed_and_not_mapped() -> None:
    spec = ContainerSpec(
        image="i", ports=(PortMapping(80, host_port=8080),), exposed_ports=("53/udp",), publish_all=True
    )
    wanted = (PortMapping(80, host_port=8080), PortMapping(22), PortMapping(53, "udp"))
    assert specs.ports(spec, image(exposed_ports=("80/tcp", "22"))) == wanted


def container(spec: ContainerSpec) -> Container:
    return Container(
        id="c", name="c", image="i", parent="l", spec=spec, process=Process((), (), "", ""), cpus=1, memory=256 * MIB,
        stop_timeout=10, created=NOW,
    )  # fmt: skip


def test_commit_changes() -> None:
    config = apply(
        ImageConfig(init="/sbin/init", environment=("A=1",)),
        container(ContainerSpec(image="i", environment=("B=2",), labels={"x": "y"})),
        ('CMD ["sleep", "1"]', "ENV C=3 D='a b'", "EXPOSE 80 53/udp", "LABEL l=1", "WORKDIR /srv", "ENTRYPOINT run it"),
    )
    assert config.command == ("sleep", "1")
    assert config.entrypoint == ("/bin/sh", "-c", "run it")
    assert config.environment == ("A=1", "B=2", "C=3", "D=a b")
    assert config.exposed_ports == ("80/tcp", "53/udp")
    assert config.labels == {"x": "y", "l": "1"}
    assert config.workdir == "/srv"
    assert config.init == "/sbin/init"


@pytest.mark.parametrize("bad", ["FROM x", "CMD", 'CMD ["a", 1]', "CMD [", "ENV 'a"])
def test_bad_commit_changes_are_refused(bad: str) -> None:
    with pytest.raises(InvalidInput):
        apply(ImageConfig(), container(ContainerSpec(image="i")), (bad,))
