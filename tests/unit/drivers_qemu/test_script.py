"""The script that starts a machine, run with a program in QEMU's place."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.drivers_qemu.conftest import ODD

from ireko.drivers.base import StandaloneSpec, Stdio
from ireko.drivers.qemu import script, standalone
from ireko.errors import Unsupported
from ireko.model.container import PortMapping
from ireko.model.image import Hardware

PLAYED = """#!/bin/sh
case " $* " in *isa-debug-exit*) {probe} ;; esac
pwd >"$RECORD.folder"
printf '%s\\n' "$@" >"$RECORD"
{run}
"""


class Played:
    """A program that stands in for QEMU and writes down its words."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.record = folder / "record"

    def play(self, *, probe: str = "exit 1", run: str = ":") -> None:
        path = self.folder / "qemu"
        path.write_text(PLAYED.format(probe=probe, run=run))
        path.chmod(0o755)

    def start(self, start: Path, *words: str, **environment: str) -> int:
        """Run the script from another folder; its exit code."""
        inherited = {"PATH": os.environ["PATH"], "QEMU": str(self.folder / "qemu"), "RECORD": str(self.record)}
        done = subprocess.run(
            [start, *words], env=inherited | environment, cwd="/", stdin=subprocess.DEVNULL, timeout=120, check=False
        )
        return done.returncode

    @property
    def words(self) -> list[str]:
        return self.record.read_text().splitlines()

    def after(self, option: str) -> str:
        return self.words[self.words.index(option) + 1]


@pytest.fixture
def played(tmp_path: Path) -> Played:
    made = Played(tmp_path)
    made.play()
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "a folder, \"b\" 'c'"
    made.mkdir()
    return made


def written(spec: StandaloneSpec, folder: Path) -> Path:
    standalone.write(spec, folder, accelerator="tcg")
    return folder / standalone.START


def test_words_are_words_whatever_is_in_them(
    played: Played, folder: Path, machine: Callable[..., StandaloneSpec]
) -> None:
    start = written(machine(name=ODD, disk=f"{ODD}.qcow2"), folder)
    assert played.start(start, "-snapshot", "a b", ACCEL="tcg") == 0
    assert played.after("-name") == f"guest={ODD.replace(',', ',,')}"
    assert json.loads(played.after("-blockdev"))["file"]["filename"] == f"{ODD}.qcow2"
    assert played.words[-2:] == ["-snapshot", "a b"]
    assert (played.folder / "record.folder").read_text() == f"{folder}\n"


def test_a_bios_and_the_devices_of_a_real_computer(
    played: Played, folder: Path, machine: Callable[..., StandaloneSpec]
) -> None:
    start = written(machine(hardware=Hardware.COMMON), folder)
    assert played.start(start, ACCEL="tcg", SCREEN="gtk") == 0
    assert "pflash" not in played.record.read_text()
    assert any(word.startswith("ide-hd,bus=ide.0,drive=root") for word in played.words)
    assert "e1000e,netdev=net,romfile=,mac=52:54:00:11:22:33" in played.words
    assert played.after("-netdev") == "user,id=net,hostfwd=tcp:127.0.0.1:8080-:80"
    assert played.after("-display") == "gtk"


@pytest.mark.parametrize(("hardware", "device"), [(Hardware.VIRTUAL, "virtio-blk-pci"), (Hardware.COMMON, "nvme")])
def test_sectors_of_4096_bytes(
    hardware: Hardware, device: str, played: Played, folder: Path, machine: Callable[..., StandaloneSpec]
) -> None:
    assert played.start(written(machine(hardware=hardware, sector_size=4096), folder), ACCEL="tcg") == 0
    sizes = "logical_block_size=4096,physical_block_size=4096"
    assert f"{device},{sizes},drive=root,serial=root,bootindex=1" in played.words


def test_uefi_has_its_files_in_the_folder(played: Played, folder: Path, uefi_machine: StandaloneSpec) -> None:
    assert played.start(written(uefi_machine, folder), ACCEL="tcg") == 0
    assert "pflash0=code,pflash1=variables" in played.after("-machine")
    nodes = [json.loads(word) for word in played.words if word.startswith("{")]
    files = {node["node-name"]: node["file"]["filename"] for node in nodes}
    assert files == {"code": script.CODE, "variables": script.VARIABLES, "root": "disk.qcow2"}
    assert (folder / script.CODE).stat().st_size > 1_000_000
    assert (folder / script.VARIABLES).stat().st_mode & 0o200


@pytest.mark.parametrize(
    ("events", "code"),
    [("ready\\nstarted 91\\nexit 7\\n", 7), ("ready\\nfailed 127 no exit 0\\n", 127), ("ready\\nstarted 91\\n", 137)],
)
def test_a_command_s_exit_code(
    events: str, code: int, played: Played, folder: Path, command_machine: StandaloneSpec
) -> None:
    start = written(command_machine, folder)
    played.play(run=f"printf '{events}' >ctl.log")
    assert played.start(start, ACCEL="tcg") == code
    assert played.after("-append") == command_machine.append
    assert "-no-reboot" in played.words
    assert "virtconsole,chardev=terminal,name=ireko.tty" in played.words


def test_a_qemu_that_fails(played: Played, folder: Path, command_machine: StandaloneSpec) -> None:
    start = written(command_machine, folder)
    (folder / "ctl.log").write_text("exit 0\n")  # of another run
    played.play(run="exit 3")
    assert played.start(start, ACCEL="tcg") == 3


def test_a_system_has_the_serial_console(played: Played, folder: Path, machine: Callable[..., StandaloneSpec]) -> None:
    spec = machine(kernel="kernel", append="quiet", seed="seed.tar", stdio=Stdio.CONSOLE)
    assert played.start(written(spec, folder), ACCEL="tcg") == 0
    assert played.after("-serial") == "chardev:terminal"
    assert "-no-reboot" not in played.words
    assert "-initrd" not in played.words


@pytest.mark.parametrize(
    ("probe", "accelerator"), [("exit 33", "kvm"), ("exit 1", "tcg"), ("exec sleep 1000", "tcg"), ("exit 0", "tcg")]
)
def test_hardware_acceleration_is_tried_first(
    probe: str, accelerator: str, played: Played, folder: Path, machine: Callable[..., StandaloneSpec]
) -> None:
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        pytest.skip("there is no /dev/kvm that may be opened")
    played.play(probe=probe)
    assert played.start(written(machine(), folder)) == 0
    assert played.after("-accel").split(",")[0] == accelerator


@pytest.mark.parametrize(("wanted", "processor"), [("kvm", "host"), ("tcg", "max,la57=off")])
def test_acceleration_that_is_asked_for(
    wanted: str, processor: str, played: Played, folder: Path, machine: Callable[..., StandaloneSpec]
) -> None:
    played.play(probe="exec sleep 1000")
    assert played.start(written(machine(), folder), ACCEL=wanted) == 0
    assert played.after("-accel").split(",")[0] == wanted
    assert played.after("-cpu") == processor


def test_no_qemu(played: Played, folder: Path, machine: Callable[..., StandaloneSpec]) -> None:
    assert played.start(written(machine(), folder), QEMU="no-such-program") == 127


@pytest.mark.parametrize("port", [PortMapping(80, "sctp"), PortMapping(80, host_ip="::1", host_port=80)])
def test_ports_that_can_t_be_published(port: PortMapping, machine: Callable[..., StandaloneSpec]) -> None:
    with pytest.raises(Unsupported, match="published"):
        script.text(machine(ports=(port,)), None)
