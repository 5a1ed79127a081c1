"""Programs that look at files and change them."""

from __future__ import annotations

import contextlib
import posixpath
import stat as modes

import msgspec

from ireko.drivers.fake import tree
from ireko.drivers.fake.content import Node
from ireko.drivers.fake.process import Process, Program
from ireko.drivers.fake.programs.options import options


async def ls(process: Process) -> int:
    """The names in folders; -a shows hidden ones, -l more of each. It is one name a line, as in a pipe."""
    letters, names = options(process)
    code = 0
    for name in names or ["."]:
        try:
            await _ls(process, letters, name)
        except FileNotFoundError:
            await process.complain(f"ls: {name}: No such file or directory")
            code = 1
    return code


async def _ls(process: Process, letters: str, name: str) -> None:
    files, path = process.system.files, process.path(name)
    alone = not files.is_folder(path) or "d" in letters
    for each in [name] if alone else files.names(path):
        if each.startswith(".") and "a" not in letters and not alone:
            continue
        node = files.get(path if alone else posixpath.join(path, each), last=False)
        link = f" -> {node.target}" if node.kind == "link" else ""
        long = f"{modes.filemode(node.mode)} {node.uid:5} {node.gid:5} {node.size:10} "
        await process.print(f"{long}{each}{link}" if "l" in letters else each)


async def find(process: Process) -> int:
    """Every path below folders."""
    files = process.system.files
    for name in options(process)[1][:1] or ["."]:
        await process.print(name)
        waiting = [name]
        while waiting:
            here = waiting.pop(0)
            for each in files.names(process.path(here)):
                path = posixpath.join(here, each)
                await process.print(path)
                if files.get(process.path(path), last=False).kind == "folder":
                    waiting.append(path)
    return 0


async def stat(process: Process) -> int:
    """Mode, size and name; -c FORMAT knows %a %s %u %g %n %F."""
    words = list(process.argv[1:])
    form = "%n %s %a"
    if words[:1] == ["-c"]:
        form, words = words[1], words[2:]
    for name in words:
        node = process.system.files.get(process.path(name), last=False)
        kinds = {"file": "regular file", "folder": "directory", "link": "symbolic link"}
        values = {
            "%a": f"{modes.S_IMODE(node.mode):o}",
            "%s": str(node.size),
            "%u": str(node.uid),
            "%g": str(node.gid),
            "%n": name,
            "%F": kinds[node.kind],
            "%Y": str(node.mtime),
        }
        text = form
        for key, value in values.items():
            text = text.replace(key, value)
        await process.print(text)
    return 0


async def touch(process: Process) -> int:
    """Make empty files, or set the time of those that exist."""
    for name in options(process)[1]:
        process.system.files.write(process.path(name), b"", append=True)
    return 0


async def rm(process: Process) -> int:
    """Files; -r folders, -f what is not there too."""
    letters, names = options(process)
    files = process.system.files
    for name in names:
        path = process.path(name)
        with contextlib.suppress(*[FileNotFoundError] if "f" in letters else []):
            if files.get(path, last=False).kind == "folder" and "r" not in letters.lower():
                raise IsADirectoryError(name)
            files.remove(path)
    return 0


async def mkdir(process: Process) -> int:
    """Folders; -p with those above them."""
    letters, names = options(process)
    for name in names:
        if "p" in letters:
            process.system.files.make_folders(process.path(name))
        else:
            process.system.files.make_folder(process.path(name))
    return 0


async def mv(process: Process) -> int:
    """A file to another name."""
    code = await cp(process)
    if code == 0:
        process.system.files.remove(process.path(options(process)[1][0]))
    return code


async def cp(process: Process) -> int:
    """A file to another name or into a folder."""
    source, target = options(process)[1]
    files = process.system.files
    path = process.path(target)
    if files.is_folder(path):
        path = posixpath.join(path, posixpath.basename(source))
    node = files.get(process.path(source))
    if node.kind == "folder":
        raise IsADirectoryError(source)
    files.put(path, msgspec.structs.replace(node, mtime=tree.now()), last=True)
    return 0


async def ln(process: Process) -> int:
    """A symbolic link (-s)."""
    letters, (target, name) = options(process)
    if "s" not in letters:
        await process.complain("ln: this guest knows symbolic links only: ln -s")
        return 1
    if process.system.files.exists(process.path(name), last=False):
        raise FileExistsError(name)
    link = Node("link", modes.S_IFLNK | 0o777, tree.now(), target=target)
    process.system.files.put(process.path(name), link)
    return 0


async def chmod(process: Process) -> int:
    """A mode in octal digits, or +x."""
    _, mode, *names = process.argv
    for name in names:
        node = process.system.files.get(process.path(name))
        bits = modes.S_IMODE(node.mode) | 0o111 if mode.endswith("+x") else int(mode, 8)
        fresh = msgspec.structs.replace(node, mode=modes.S_IFMT(node.mode) | bits)
        process.system.files.put(process.path(name), fresh, last=True)
    return 0


PROGRAMS: dict[str, Program] = {
    "ls": ls,
    "find": find,
    "stat": stat,
    "touch": touch,
    "rm": rm,
    "mkdir": mkdir,
    "mv": mv,
    "cp": cp,
    "ln": ln,
    "chmod": chmod,
}
