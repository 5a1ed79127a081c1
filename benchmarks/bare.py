"""The guest without ireko: a QEMU command line as a person would write it.

Processor, memory and boot files are those of a machine that ireko has started; the devices are written down here once more,
because a peer that copied them could not show that ours are badly chosen.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks import processes

_TAKEN_OVER = ("-machine", "-accel", "-cpu", "-smp", "-m", "-kernel", "-initrd", "-append")


@dataclass(frozen=True)
class BareGuest:
    """`machine` is the beginning of the command line; `seed` tells the guest to run what the container it is from ran."""

    machine: tuple[str, ...]
    seed: Path

    def run(self, folder: Path) -> None:
        """Boot it with the disk in a container's folder; returns when it has ended. Raises CalledProcessError."""
        subprocess.run(self.command(), check=True, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def command(self) -> list[str]:
        """The program and its arguments, to be started in a container's folder."""
        return [
            *self.machine,
            *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
            *("-drive", "file=disk.qcow2,if=none,id=root,format=qcow2,discard=unmap,detect-zeroes=unmap"),
            *("-device", "virtio-blk-pci,drive=root,serial=root"),
            *("-drive", f"file={self.seed},if=none,id=seed,format=raw,readonly=on"),
            *("-device", "virtio-blk-pci,drive=seed,serial=seed"),
            *("-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile="),
            *("-serial", "file:console.log", "-device", "virtio-serial-pci"),
            *_port("ssh", "socket,path=ssh.sock,server=on,wait=off"),
            *(word for name in ("ctl", "stdout", "stderr") for word in _port(name, f"file,path={name}.log")),
        ]


def machine_of(folder: Path) -> tuple[str, ...]:
    """The beginning of the command line of the machine that runs in a container's folder."""
    words = processes.command_line(next(processes.inside(folder)))
    return words[0], *(word for name in _TAKEN_OVER if name in words for word in (name, words[words.index(name) + 1]))


def _port(name: str, backend: str) -> tuple[str, ...]:
    kind, _, options = backend.partition(",")
    return "-chardev", f"{kind},id={name},{options}", "-device", f"virtserialport,chardev={name},name=ireko.{name}"
