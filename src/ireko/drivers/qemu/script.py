"""The script that starts a machine without ireko: POSIX sh, and QEMU."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Iterator
from string import Template

from ireko.drivers.base import StandaloneSpec, Stdio
from ireko.drivers.qemu import command, domain, hardware, network
from ireko.drivers.qemu.firmware import Firmware

CODE = "uefi-code.fd"
VARIABLES = "uefi-variables.fd"
_MIB = 1 << 20

_HEAD = r"""#!/bin/sh
# Starts this machine with QEMU (Debian's package: qemu-system-x86). All else that it needs is in this folder.
#
# Ctrl-a x cuts its power, Ctrl-a h tells what else the terminal knows. Words behind the script's name are given to QEMU.
#
#   ACCEL=kvm   use hardware acceleration         ACCEL=tcg   use software emulation, some 10 times slower
#               By default KVM is tried with a guest that ends at once. It has five seconds for that: where a /dev/kvm is
#               there but does not work, guests hang.
#   QEMU=...    the program to run
$notes
set -eu
CDPATH= cd -- "$$(dirname -- "$$0")"
qemu=$${QEMU:-qemu-system-x86_64}
command -v "$$qemu" >/dev/null || { echo "$$qemu is not installed: sudo apt-get install qemu-system-x86" >&2; exit 127; }

kvm_works() {
  [ -r /dev/kvm ] && [ -w /dev/kvm ] && disk=$$(mktemp) || return 1
  # a boot sector that writes to the device which ends QEMU with code 33
  {
    printf '\272\364\000\260\020\356\364\353\375'
    dd if=/dev/zero bs=501 count=1
    printf '\125\252'
    dd if=/dev/zero bs=512 count=2047
  } 2>/dev/null >"$$disk"
  code=0
  timeout -s KILL 5 "$$qemu" -machine q35 -accel kvm -cpu host -m 32M -nodefaults -no-user-config -display none -no-reboot \
    -blockdev '{"driver":"file","filename":"'"$$disk"'","node-name":"disk"}' -device virtio-blk-pci,drive=disk \
    -device isa-debug-exit,iobase=0xf4,iosize=4 </dev/null >/dev/null 2>&1 || code=$$?
  rm -f "$$disk"
  [ "$$code" = 33 ]
}

accel=$${ACCEL:-}
[ -n "$$accel" ] || if kvm_works; then accel=kvm; else accel=tcg; fi
case $$accel in
  kvm) cpu=host ;;
  *) accel=tcg,tb-size=512 cpu=max,la57=off ;;
esac
"""

_SCREEN_NOTE = (
    "#   SCREEN=gtk  show its screen (vnc=127.0.0.1:0: to whoever connects to port 5900); by default nobody sees it"
)

# the agent tells how its command ended, as docs/guest-interface.md has it
_TAIL = rf"""
code=$(sed -n -e 's/^exit \([0-9]*\)$/\1/p' -e 's/^failed \([0-9]*\) .*/\1/p' {domain.EVENTS} | tail -n 1)
exit "${{code:-137}}"
"""


def text(spec: StandaloneSpec, firmware: Firmware | None) -> str:
    """The script; `firmware` is copied to CODE and VARIABLES beside it. Raises Unsupported for a port that can't be had."""
    head = Template(_HEAD).substitute(notes="#" if spec.kernel else f"{_SCREEN_NOTE}\n#")
    lines = (" ".join(words) for words in _arguments(spec, firmware))
    runs = _runs_command(spec)
    run = f'{"" if runs else "exec "}"$qemu" -accel "$accel" -cpu "$cpu"'
    body = " \\\n  ".join((run, *lines, '"$@"'))
    return f"{head}\n{body}\n{_TAIL if runs else ''}"


def _runs_command(spec: StandaloneSpec) -> bool:
    return bool(spec.kernel) and spec.stdio is Stdio.TTY


def _arguments(spec: StandaloneSpec, firmware: Firmware | None) -> Iterator[tuple[str, ...]]:
    """QEMU's options, quoted for the shell, by lines."""
    yield _quoted("-name", f"guest={command.escape(spec.name)}")
    yield _quoted("-machine", ",".join(("q35", "vmport=off", *(command.flash_options() if firmware else ()))))
    yield _quoted("-smp", str(max(1, math.ceil(spec.cpus))), "-m", f"{math.ceil(spec.memory / _MIB)}M")
    yield _quoted("-nodefaults", "-no-user-config", "-rtc", "base=utc")
    if firmware is not None:
        for node in command.flash_nodes(firmware, CODE, VARIABLES):
            yield _quoted("-blockdev", json.dumps(node))
    yield from _disks(spec)
    yield from _network(spec)
    yield from _terminal(spec)
    if spec.kernel:
        yield _quoted("-kernel", spec.kernel, *(("-initrd", spec.initrd) if spec.initrd else ()))
        yield _quoted("-append", spec.append, *(("-no-reboot",) if _runs_command(spec) else ()))


def _disks(spec: StandaloneSpec) -> Iterator[tuple[str, ...]]:
    driver = command.DRIVERS.get(spec.format, spec.format)
    yield _quoted("-blockdev", _node("root", spec.disk, driver))
    kind = hardware.disk(spec.hardware, 0, sector_size=spec.sector_size)
    yield _quoted("-device", f"{kind},drive=root,serial=root,bootindex=1")
    if spec.seed:
        yield _quoted("-blockdev", _node("seed", spec.seed, "raw", read_only=True))
        yield _quoted("-device", f"{hardware.disk(spec.hardware, 1, read_only=True)},drive=seed,serial=seed")


def _node(name: str, file: str, driver: str, *, read_only: bool = False) -> str:
    common = {"read-only": True} if read_only else {"discard": "unmap"}
    below = {"driver": "file", "filename": file, **common}
    return json.dumps({"driver": driver, "node-name": name, "file": below, **common}, ensure_ascii=False)


def _network(spec: StandaloneSpec) -> Iterator[tuple[str, ...]]:
    network.check(spec.ports)
    rules = "".join(f",{command.forward(port)}" for port in spec.ports)
    yield _quoted("-netdev", f"user,id=net{rules}")
    yield _quoted("-device", hardware.network(spec.hardware) + (f",mac={spec.mac}" if spec.mac else ""))


def _terminal(spec: StandaloneSpec) -> Iterator[tuple[str, ...]]:
    """The terminal it is started in: the command's, or the system's serial console; and QEMU's monitor behind Ctrl-a c."""
    yield _quoted("-chardev", "stdio,id=terminal,mux=on,signal=off", "-mon", "chardev=terminal,mode=readline")
    if not spec.kernel:
        yield _quoted("-serial", "chardev:terminal", "-device", "VGA")
        yield "-display", '"${SCREEN:-none}"'
        return
    yield _quoted("-display", "none", "-device", "virtio-serial-pci")
    if _runs_command(spec):
        yield _quoted("-device", "virtconsole,chardev=terminal,name=ireko.tty", "-serial", "file:console.log")
    else:
        yield _quoted("-serial", "chardev:terminal")
    yield _quoted(
        "-chardev", f"file,id=ctl,path={domain.EVENTS}", "-device", "virtserialport,chardev=ctl,name=ireko.ctl"
    )
    yield _quoted("-chardev", "null,id=ssh", "-device", "virtserialport,chardev=ssh,name=ireko.ssh")


def _quoted(*words: str) -> tuple[str, ...]:
    return tuple(shlex.quote(word) for word in words)
