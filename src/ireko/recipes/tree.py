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
_MODES = {"root": 0o700, "tmp": 0o1777, "var/tmp": 0o1777}
_PROGRAM = "bin/busybox"
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
    """Write the files into the new folder `root`, with the modes they are to have. Raises OSError, ProgramFailed."""
    for folder in (*_FOLDERS, *_MODES):
        (root / folder).mkdir(parents=True)
    for name, text in _TEXTS.items():
        (root / "etc" / name).write_text(text, encoding="utf-8")
    (root / _PROGRAM).write_bytes(busybox.read_bytes())
    for name in await applets(busybox):
        if name != "busybox":
            (root / "bin" / name).symlink_to("busybox")
    _set_modes(root)


def _set_modes(root: Path) -> None:
    """Whatever the umask was."""
    for path in (root, *root.rglob("*")):
        if not path.is_symlink():
            default = 0o755 if path.is_dir() else 0o644
            path.chmod(_MODES.get(path.relative_to(root).as_posix(), default))
    (root / _PROGRAM).chmod(0o755)
