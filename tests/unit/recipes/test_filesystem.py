from __future__ import annotations

import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from ireko.errors import NoSpace, Unsupported
from ireko.recipes.filesystem import Entry, ext4, tree_entries, write_ext4

PATH = "/usr/sbin:/sbin:/usr/bin:/bin"
CAPACITY = 32 << 20
FILE, FOLDER, LINK = stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK

pytestmark = pytest.mark.skipif(shutil.which("debugfs", path=PATH) is None, reason="e2fsprogs is not installed")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "etc").mkdir(parents=True)
    (root / "etc/passwd").write_text("root:x:0:0\n")
    (root / "etc/passwd").chmod(0o640)
    (root / 'etc/a "quoted" näme').write_bytes(b"")
    (root / "bin").mkdir()
    (root / "bin/sh").symlink_to("busybox")
    (root / "bin/busybox").write_bytes(bytes(range(256)) * 1000)
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o1777)
    return root


def output(*argv: str | Path) -> str:
    done = subprocess.run(argv, check=False, env={"PATH": PATH, "TZ": "UTC"}, capture_output=True)
    return done.stdout.decode()


def debugfs(disk: Path, request: str) -> str:
    return output("debugfs", "-R", request, disk)


def sound(disk: Path) -> bool:
    done = subprocess.run(["e2fsck", "-fn", disk], check=False, env={"PATH": PATH}, capture_output=True)
    return done.returncode == 0


async def test_a_folder_becomes_roots(tmp_path: Path, tree: Path) -> None:
    disk = tmp_path / "disk"
    await ext4(disk, tree=tree, capacity=CAPACITY, seed="one")
    assert sound(disk)
    assert disk.stat().st_size == CAPACITY
    shown = debugfs(disk, "stat /etc/passwd")
    assert "Mode:  0640" in shown
    assert "User:     0   Group:     0" in shown
    assert debugfs(disk, "cat /etc/passwd") == "root:x:0:0\n"
    assert 'Fast link dest: "busybox"' in debugfs(disk, "stat /bin/sh")
    assert "Mode:  01777" in debugfs(disk, "stat /tmp")
    assert '"quoted" näme' in debugfs(disk, "ls -p /etc")


async def test_the_same_files_give_the_same_bytes(tmp_path: Path, tree: Path) -> None:
    again = tmp_path / "again"
    shutil.copytree(tree, again, symlinks=True)
    for path in again.rglob("*"):
        path.touch()
    for name, root, seed in ("a", tree, "one"), ("b", again, "one"), ("c", tree, "two"):
        await ext4(tmp_path / name, tree=root, capacity=CAPACITY, seed=seed)
    first, second, third = ((tmp_path / name).read_bytes() for name in "abc")
    assert first == second
    assert first != third


async def test_no_guest_has_to_write_its_tables(tmp_path: Path, tree: Path) -> None:
    await ext4(tmp_path / "disk", tree=tree, capacity=256 << 20, seed="one")
    groups = [line for line in output("dumpe2fs", tmp_path / "disk").splitlines() if "(Blocks" in line]
    assert groups
    assert all("ITABLE_ZEROED" in line for line in groups)
    assert (tmp_path / "disk").stat().st_blocks * 512 < 4 << 20


async def test_entries_say_owner_time_names_and_attributes(tmp_path: Path) -> None:
    content = tmp_path / "content"
    content.write_bytes(b"x" * 5000)
    entries = [
        Entry("/", FOLDER | 0o755),
        Entry("/srv", FOLDER | 0o2750, uid=33, gid=70000, mtime=1_000_000_000),
        Entry(
            "/srv/one",
            FILE | 0o4711,
            uid=100000,
            mtime=1_700_000_000,
            source=content,
            attributes={"security.capability": b"\1\0\0\2\0\4\0\0" + bytes(12)},
        ),
        Entry("/srv/two", FILE | 0o4711, target="/srv/one"),
        Entry("/srv/three", FILE | 0o4711, target="/srv/one"),
        Entry("/srv/long", LINK | 0o777, target="x" * 100, gid=5),
    ]
    disk = tmp_path / "disk"
    await write_ext4(disk, entries=entries, capacity=CAPACITY, seed="one")
    assert sound(disk)
    one, folder = debugfs(disk, "stat /srv/one"), debugfs(disk, "stat /srv")
    assert "Links: 3" in one
    assert "User: 100000" in one
    assert "Mode:  04711" in one
    assert "mtime: 0x6553f100" in one
    assert "security.capability (20)" in one
    assert one == debugfs(disk, "stat /srv/three")
    assert "User:    33   Group: 70000" in folder
    assert "mtime: 0x3b9aca00" in folder
    assert "Group:     5" in debugfs(disk, "stat /srv/long")


async def test_a_disk_that_is_too_small_says_so_and_is_removed(tmp_path: Path, tree: Path) -> None:
    (tree / "big").write_bytes(b"x" * (40 << 20))
    with pytest.raises(NoSpace, match='do not fit into "disk"'):
        await ext4(tmp_path / "disk", tree=tree, capacity=CAPACITY, seed="one")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tree"]


async def test_what_can_not_be_put_on_a_disk(tmp_path: Path) -> None:
    for entry in Entry("/dev/null", stat.S_IFCHR | 0o666), Entry("/a\nb", FOLDER | 0o755):
        with pytest.raises(Unsupported):
            await write_ext4(tmp_path / "disk", entries=[entry], capacity=CAPACITY, seed="one")
    assert not list(tmp_path.iterdir())


def test_the_order_is_that_of_the_names(tree: Path) -> None:
    paths = [entry.path for entry in tree_entries(tree)]
    assert paths == sorted(paths)
    assert paths[0] == "/"
