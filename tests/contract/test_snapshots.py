"""What every driver promises of layers: what is frozen stays, what comes later goes elsewhere."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ireko.drivers.base import Command, Machine
from ireko.errors import IrekoError

if TYPE_CHECKING:
    from tests.contract.conftest import Bench

FOREVER = "1000000"
SHOW = ("sh", "-c", "cat /root/before; cat /root/after || true")


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


async def write(bench: Bench, machine: Machine, path: str, text: str) -> None:
    assert (await bench.run_in(machine, Command(("sh", "-c", f"echo {text} > {path}; sync")))).code == 0


async def frozen(bench: Bench, machine: Machine, disk: Path) -> Path:
    """As a commit does it: the disk becomes a layer, the machine writes to a fresh one that takes its place."""
    layer = bench.folder / "layer" / disk.name
    fresh = disk.with_name(f"next{disk.suffix}")
    layer.parent.mkdir()
    bench.disk(fresh, layer)
    await machine.guest.sync()
    await machine.switch_disk("root", fresh, layer)
    assert (await machine.active_disk("root")).name == fresh.name
    disk.rename(layer)
    fresh.rename(disk)
    layer.chmod(0o400)
    return layer


async def test_a_running_machine_is_frozen_and_goes_on(bench: Bench) -> None:
    base = digest(bench.base)
    spec = bench.spec("sleep", FOREVER)
    disk = spec.disks[0].path
    machine = await bench.start(spec)
    await write(bench, machine, "/root/before", "frozen")
    layer = await frozen(bench, machine, disk)
    sealed = digest(layer)
    await write(bench, machine, "/root/after", "later")
    result = await bench.run_in(machine, Command(SHOW))
    assert result.stdout == b"frozen\nlater\n"

    _, on_layer = await bench.run(*SHOW, disk=bench.disk(bench.folder / f"other{disk.suffix}", layer))
    assert on_layer == "frozen\n"

    await machine.power_off()
    assert not bench.driver.disks.untouched(disk)
    _, on_leaf = await bench.run(*SHOW, disk=disk)
    assert on_leaf == "frozen\nlater\n"
    assert digest(layer) == sealed
    assert digest(bench.base) == base


async def test_a_frozen_machine_is_found_with_its_new_disk(bench: Bench) -> None:
    spec = bench.spec("sleep", FOREVER)
    machine = await bench.start(spec)
    await write(bench, machine, "/root/before", "frozen")
    layer = await frozen(bench, machine, spec.disks[0].path)
    sealed = digest(layer)
    await bench.reopen()
    again = await bench.found(spec)
    assert (await again.active_disk("root")).name == f"next{layer.suffix}"
    await write(bench, again, "/root/after", "later")
    assert (await bench.run_in(again, Command(SHOW))).stdout == b"frozen\nlater\n"
    assert digest(layer) == sealed


async def test_layers_of_a_stopped_machine(bench: Bench) -> None:
    below, sealed = bench.base, digest(bench.base)
    for number in range(3):
        disk = bench.disk(bench.folder / f"layer{number}.{bench.suffix}", below)
        script = f"echo {number} >> /root/numbers; rm -f /root/old; touch /root/old; cat /root/numbers"
        ended, output = await bench.run("sh", "-c", script, disk=disk)
        assert ended.exit_code == 0
        assert output == "".join(f"{n}\n" for n in range(number + 1))
        assert digest(below) == sealed
        below, sealed = disk, digest(disk)


async def test_what_a_layer_deletes_is_gone_above_and_there_below(bench: Bench) -> None:
    lower = bench.disk(bench.folder / f"lower.{bench.suffix}")
    await bench.run("sh", "-c", "mkdir /root/folder; echo text > /root/folder/file", disk=lower)
    upper = bench.disk(bench.folder / f"upper.{bench.suffix}", lower)
    await bench.run("rm", "-r", "/root/folder", disk=upper)
    script = "test -e /root/folder; echo $?; cat /root/folder/file || true"
    assert (await bench.run("sh", "-c", script, disk=bench.disk(bench.folder / f"a.{bench.suffix}", upper)))[1] == "1\n"
    assert (await bench.run("sh", "-c", script, disk=bench.disk(bench.folder / f"b.{bench.suffix}", lower)))[1] == (
        "0\ntext\n"
    )


async def test_a_switch_that_fails_leaves_the_machine_as_it_was(bench: Bench) -> None:
    spec = bench.spec("sleep", FOREVER)
    machine = await bench.start(spec)
    missing = spec.directory / f"missing.{bench.suffix}"
    with pytest.raises(IrekoError):
        await machine.switch_disk("root", missing, spec.disks[0].path)
    with pytest.raises(IrekoError, match="no-such-disk"):
        await machine.switch_disk("no-such-disk", missing, spec.disks[0].path)
    assert (await machine.active_disk("root")).name == spec.disks[0].path.name
    await write(bench, machine, "/root/before", "frozen")
    await write(bench, machine, "/root/after", "later")
    await machine.power_off()
    assert (await bench.run(*SHOW, disk=spec.disks[0].path))[1] == "frozen\nlater\n"


async def test_two_machines_on_one_layer_do_not_see_each_other(bench: Bench) -> None:
    script = "cat /root/name 2>/dev/null; echo $HOSTNAME > /root/name; cat /root/name"
    for _ in range(2):
        spec = bench.spec("sh", "-c", script)
        machine = await bench.start(spec)
        assert (await machine.ended()).exit_code == 0
        assert (spec.directory / "stdout.log").read_text() == f"{spec.name}\n"
