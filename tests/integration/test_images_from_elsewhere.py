"""Disks and machines from elsewhere, under real guests: they become images, and what stands on them runs."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from tests.disks import unpack, write_disk
from tests.integration.hosts import Host

from ireko.engine.commit import SYNC_LIMIT

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def host(host: Host) -> Host:
    """With the image `kept`, whose top layer has a file /kept."""
    host.out("run", "--name", "maker", "nano", "sh", "-c", "echo yes > /kept")
    host.out("commit", "maker", "kept")
    host.out("rm", "maker")
    return host


@pytest.fixture(scope="module")
def machine(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as Hyper-V has it: a disk in VHDX, and a checkpoint on it. The image `kept` is what it shows."""
    folder = tmp_path_factory.mktemp("Kept Server") / "Virtual Hard Disks"
    host.out("image", "export", "--tree", "--format", "vhdx", "kept", str(folder.parent / "kept.tar"))
    unpack(folder.parent / "kept.tar", folder.parent / "unpacked")
    folder.mkdir()
    for path in (folder.parent / "unpacked" / "layers").glob("*.vhdx"):
        path.rename(folder / path.name)
    return folder.parent


def top(host: Host, name: str) -> dict:
    """The image as `inspect` tells it."""
    (found,) = json.loads(host.out("inspect", "--type", "image", name))
    return found


def test_a_chain_of_vhdx_disks_runs_here(host: Host, machine: Path) -> None:
    host.out("adopt", str(machine / "Virtual Hard Disks"), "server:1")
    assert len(top(host, "server:1")["RootFS"]["Layers"]) == 2
    leaf = max((machine / "Virtual Hard Disks").iterdir(), key=lambda path: path.name)
    host.out("image", "import", "--like", "nano", str(leaf), "server:2")
    assert top(host, "server:2")["RootFS"] == top(host, "server:1")["RootFS"]
    assert host.out("run", "--rm", "server:2", "cat", "/kept") == "yes\n"


@pytest.mark.parametrize("suffix", ["vhdx", "raw", "qcow2"])
def test_a_linked_disk_is_not_copied(host: Host, tmp_path: Path, suffix: str) -> None:
    disk = tmp_path / f"linked disk.{suffix}"
    host.out("image", "export", "kept", str(disk))
    before = disk.read_bytes(), disk.stat().st_mtime_ns
    host.out("image", "import", "--link", "--like", "nano", str(disk), f"linked:{suffix}")
    assert top(host, f"linked:{suffix}")["Size"] < 128 << 10
    assert host.out("run", "--rm", f"linked:{suffix}", "sh", "-c", "cat /kept; echo more > /kept") == "yes\n"
    assert (disk.read_bytes(), disk.stat().st_mtime_ns) == before
    os.utime(disk, (1, 1))
    done = host("run", "--rm", f"linked:{suffix}", "cat", "/kept")
    assert (done.returncode, b"which was changed since it was linked" in done.stderr) == (125, True)


def test_other_layers_show_the_same(host: Host) -> None:
    host.out("image", "flatten", "kept", "-t", "flat")
    assert len(top(host, "flat")["RootFS"]["Layers"]) == 1
    host.out("image", "rebase", "flat", "nano", "-t", "moved")
    assert top(host, "moved")["RootFS"]["Layers"][0] == top(host, "nano")["RootFS"]["Layers"][0]
    assert top(host, "moved")["Size"] - top(host, "nano")["Size"] < 1 << 20
    assert host.out("run", "--rm", "flat", "cat", "/kept") == "yes\n"
    assert host.out("run", "--rm", "moved", "cat", "/kept") == "yes\n"


def test_a_machine_with_its_own_system_is_not_waited_for(host: Host, tmp_path: Path) -> None:
    """There is no agent in it: what needs one says so at once, and what waits for one as long as it may does not."""
    host.out("image", "import", str(write_disk(tmp_path / "own.vhdx", {0: 1})), "own")
    host.out("run", "-d", "--name", "own", "own")
    for words in (("exec", "own", "true"), ("top", "own"), ("cp", "own:/etc/hostname", str(tmp_path))):
        done = host(*words)
        assert (done.returncode != 0, b"no agent of ireko" in done.stderr) == (True, True), done.stderr
    begun = time.monotonic()
    host.out("commit", "own", "own:2")
    assert time.monotonic() - begun < SYNC_LIMIT
    host.out("rm", "-f", "own")
