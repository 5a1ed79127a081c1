"""ext4 file systems made from a list of files, with no need to be root: owners and times are what the list says.

mke2fs makes the empty file system and debugfs fills it. mke2fs could copy a folder by itself (`-d`), but then owners would be
those of the host's files, and change times, which nobody can set, would make each build another one.
"""

from __future__ import annotations

import os
import stat
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ireko.errors import NoSpace, ProgramFailed, Unsupported
from ireko.host import process

MOMENT = 315532800  # 1980: the first year that every archive format and FAT can tell
_BLOCK = 4096
# spelled out, because a host may have other defaults; the journal and what is checked by every kernel since 5.10
_FEATURES = (
    "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,"
    "large_file,huge_file,dir_nlink,extra_isize,metadata_csum"
)
_FULL = "Could not allocate"


@dataclass(frozen=True)
class Entry:
    """A file to be. `path` is absolute in the file system, `mode` is st_mode, `mtime` in seconds since 1970.

    `source` is the host's file with a regular file's content; `target` is where a symbolic link points to. A regular file
    with a `target` and no `source` is another name of the entry at that path, which has come before.
    """

    path: str
    mode: int
    uid: int = 0
    gid: int = 0
    mtime: int = MOMENT
    source: Path | None = None
    target: str = ""
    attributes: Mapping[str, bytes] = field(default_factory=dict)


async def ext4(path: Path, *, tree: Path, capacity: int, seed: str, label: str = "root") -> None:
    """Make the sparse file `path` with an ext4 file system of `capacity` bytes that holds what is in the folder `tree`.

    Every file is root's, whoever owns it in `tree`, and has the same time. What varies in a file system (its UUID, the seed
    of its hashes) comes from `seed`: the same files and the same seed give the same bytes.
    Raises NoSpace, ProgramMissing, ProgramFailed, Unsupported.
    """
    await write_ext4(path, entries=tree_entries(tree), capacity=capacity, seed=seed, label=label)


async def write_ext4(path: Path, *, entries: Iterable[Entry], capacity: int, seed: str, label: str = "root") -> None:
    """Make the sparse file `path` with an ext4 file system that holds `entries`; a folder comes before what is in it.

    Raises as `ext4` does; then there is no `path`.
    """
    name = str(uuid.uuid5(uuid.NAMESPACE_OID, f"ext4 {label} {seed}"))
    try:
        with path.open("xb") as file:
            file.truncate(capacity // _BLOCK * _BLOCK)
        await process.run(
            *("mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", "-b", str(_BLOCK), "-I", "256", "-i", "16384"),
            *("-O", _FEATURES, "-L", label, "-U", name),
            # discard: the tables of a sparse file are zero already, so no guest has to write zeros into its own layer
            *("-E", f"hash_seed={name},discard,lazy_journal_init=1,root_owner=0:0", path),
            env=_environment(),
        )
        await _fill(path, entries)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def tree_entries(tree: Path) -> Iterator[Entry]:
    """The entries of what is in a folder, in an order that does not depend on the host. All of it is root's."""
    yield Entry("/", stat.S_IFDIR | 0o755)
    for path in sorted(tree.rglob("*")):
        status = path.lstat()
        link = stat.S_ISLNK(status.st_mode)
        yield Entry(
            f"/{path.relative_to(tree).as_posix()}",
            status.st_mode,
            source=path if stat.S_ISREG(status.st_mode) else None,
            target=str(path.readlink()) if link else "",
        )


async def _fill(path: Path, entries: Iterable[Entry]) -> None:
    """Run debugfs with a line for each step; it ends with 0 whatever happens, so what it says is looked at."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        script = Path(folder) / "script"
        with script.open("w", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            file.writelines(f"{line}\n" for line in _script(entries, Path(folder)))
        done = await process.run("debugfs", "-w", "-f", script, path, env=_environment())
    complaints = [line for line in done.stderr.decode(errors="replace").splitlines() if not line.startswith("debugfs ")]
    if any(_FULL in line for line in complaints):
        raise NoSpace(f'the files do not fit into "{path.name}"', details="\n".join(complaints), hint="raise capacity")
    if complaints:
        raise ProgramFailed(f'"debugfs" failed: {complaints[0]}', exit_code=0, details="\n".join(complaints))


def _script(entries: Iterable[Entry], folder: Path) -> Iterator[str]:
    links: dict[str, int] = {}
    for number, entry in enumerate(entries):
        yield from _make(entry)
        name = _quote(entry.path)
        if entry.target and stat.S_ISREG(entry.mode):
            # debugfs counts no names
            links[entry.target] = links.get(entry.target, 1) + 1
            yield f"sif {_quote(entry.target)} links_count {links[entry.target]}"
            continue
        yield f"sif {name} mode 0{entry.mode:o}"
        for which, owner in ("uid", entry.uid), ("gid", entry.gid):
            if owner:
                yield f"sif {name} {which} {owner}"
        for position, (attribute, value) in enumerate(sorted(entry.attributes.items())):
            content = folder / f"{number}.{position}"
            content.write_bytes(value)
            yield f"ea_set -f {_quote(str(content))} {name} {attribute}"
        if entry.mtime != MOMENT:
            yield f"sif {name} mtime @{entry.mtime}"


def _make(entry: Entry) -> Iterator[str]:
    name = _quote(entry.path)
    if stat.S_ISDIR(entry.mode):
        if entry.path != "/":
            yield f"mkdir {name}"
    elif stat.S_ISLNK(entry.mode):
        yield f"symlink {name} {_quote(entry.target)}"
    elif stat.S_ISREG(entry.mode) and entry.source is not None:
        yield f"write {_quote(str(entry.source))} {name}"
    elif stat.S_ISREG(entry.mode) and entry.target:
        yield f"ln {_quote(entry.target)} {name}"
    else:
        raise Unsupported(
            f'"{entry.path}" has the mode {entry.mode:o}: only files, folders and links can be put on a disk'
        )


def _quote(text: str) -> str:
    """A word of a debugfs script."""
    if "\n" in text:
        raise Unsupported(f"the name {text!r} has a line break: it can't be put on a disk")
    return '"' + text.replace('"', '""') + '"'


def _environment() -> dict[str, str]:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    return {"PATH": path, "LC_ALL": "C", "TZ": "UTC", "E2FSPROGS_FAKE_TIME": str(MOMENT)}
