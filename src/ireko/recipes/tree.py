"""The small root file system of Kind.BUSYBOX: busybox under all its names, and the files that programs expect anywhere."""

from __future__ import annotations

from pathlib import Path

from ireko.recipes.initrd import applets

_FOLDERS = (
    "bin",
    "dev",
    "etc",
    "home",
    "mnt",
    "opt",
    "proc",
    "run",
    "sbin",
    "srv",
    "sys",
    "usr/bin",
    "usr/sbin",
    "var/log",
)
_TEXTS = {
    "passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "group": "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n",
    "hostname": "nano\n",
    "hosts": "127.0.0.1\tlocalhost\n",
    "resolv.conf": "",
    "shells": "/bin/sh\n",
    "os-release": 'ID=nano\nNAME="ireko nano"\nPRETTY_NAME="ireko nano"\n',
    "profile": "export PS1='\\h:\\w\\$ '\n",
}


async def write_tree(root: Path, busybox: Path) -> None:
    """Write the files into the new folder `root`. Raises OSError, ProgramFailed."""
    for folder in _FOLDERS:
        (root / folder).mkdir(parents=True)
    (root / "root").mkdir(mode=0o700)
    for folder in ("tmp", "var/tmp"):
        (root / folder).mkdir()
        (root / folder).chmod(0o1777)
    for name, text in _TEXTS.items():
        (root / "etc" / name).write_text(text, encoding="utf-8")
    program = root / "bin/busybox"
    program.write_bytes(busybox.read_bytes())
    for name in await applets(busybox):
        if name != "busybox":
            (root / "bin" / name).symlink_to("busybox")
    for path in root.rglob("*"):
        if path.is_file() and not path.is_symlink():
            path.chmod(0o644)
    program.chmod(0o755)
