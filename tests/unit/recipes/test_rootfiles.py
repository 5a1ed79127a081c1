from __future__ import annotations

import io
import stat
import tarfile
from pathlib import Path

import pytest

from ireko.errors import NotFound
from ireko.recipes.rootfiles import Files, in_order, link, unpack, write
from ireko.recipes.tuning import tune

UNITS = "usr/lib/systemd/system"
LATER = (
    "dbus",
    "kmod-static-nodes",
    "systemd-logind",
    "systemd-tmpfiles-setup-dev",
    "systemd-udevd",
    "systemd-user-sessions",
)


def member(
    name: str, kind: bytes = tarfile.REGTYPE, *, mode: int = 0o644, uid: int = 0, target: str = ""
) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.uid, info.mtime, info.linkname = kind, mode, uid, 1000, target
    return info


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "root.tar"
    secret = member("./etc/shadow", mode=0o000, uid=7)
    secret.pax_headers = {"SCHILY.xattr.user.note": "a\udcff"}
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for info, data in (
            (member("./", tarfile.DIRTYPE, mode=0o755), b""),
            (member("./bin", tarfile.SYMTYPE, mode=0o777, target="usr/bin"), b""),
            (member("./etc/", tarfile.DIRTYPE, mode=0o755), b""),
            (secret, b"root:*"),
            (member("./etc/.pwd.lock"), b""),
            (member("./etc/alias", tarfile.LNKTYPE, target="./etc/shadow"), b""),
            (member("./dev/null", tarfile.CHRTYPE), b""),
            (member("./etc/fstab"), b"x"),
            (member("./etc/ssh/ssh_host_rsa_key"), b"x"),
            *((member(f"./{UNITS}/{unit}.service"), b"[Unit]\nBefore=sysinit.target\nAfter=a\n") for unit in LATER),
        ):
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


@pytest.fixture
def files(tmp_path: Path, archive: Path) -> Files:
    return unpack(archive, tmp_path / "root")


def test_a_tar_archive_becomes_entries(tmp_path: Path, files: Files) -> None:
    shadow = files["/etc/shadow"]
    assert (shadow.mode, shadow.uid, shadow.mtime) == (stat.S_IFREG, 7, 1000)
    assert shadow.source == tmp_path / "root/etc/shadow"
    assert shadow.source.read_bytes() == b"root:*"
    assert shadow.attributes == {"user.note": b"a\xff"}
    assert stat.S_ISDIR(files["/"].mode)
    assert files["/bin"].target == "usr/bin"
    assert files["/etc/alias"].target == "/etc/shadow"
    assert "/etc/.pwd.lock" in files
    assert "/dev/null" not in files


def test_links_to_files_come_last_and_folders_first(files: Files) -> None:
    paths = [entry.path for entry in in_order(files)]
    assert paths[0] == "/"
    assert paths[-1] == "/etc/alias"
    assert paths.index("/etc") < paths.index("/etc/shadow")


def test_what_is_laid_over_brings_its_folders(tmp_path: Path, files: Files) -> None:
    write(files, "/opt/tool/run", b"#!/bin/sh\n", tmp_path / "new")
    link(files, "/srv/a/b", "../c")
    assert files["/opt/tool/run"].mode == stat.S_IFREG | 0o755
    assert stat.S_ISDIR(files["/opt/tool"].mode)
    assert stat.S_ISDIR(files["/srv/a"].mode)
    assert files["/srv/a/b"].target == "../c"


def test_a_system_is_tuned(tmp_path: Path, files: Files) -> None:
    tune(files, tmp_path / "new")
    assert "/etc/fstab" not in files
    assert not [path for path in files if "ssh_host" in path]
    assert files["/etc/resolv.conf"].source is not None
    assert files["/usr/lib/ireko/host-key"].mode == stat.S_IFREG | 0o755
    assert files["/usr/lib/ireko/container/systemd-networkd.service"].target == "/dev/null"
    source = files["/usr/lib/ireko/container/systemd-udevd.service"].source
    assert source is not None
    unit = source.read_text()
    assert "After=multi-user.target\n" in unit
    assert "After=a\n" in unit
    assert "Before=sysinit.target" not in unit


def test_a_system_without_systemd_is_told(tmp_path: Path, files: Files) -> None:
    del files[f"/{UNITS}/systemd-udevd.service"]
    with pytest.raises(NotFound, match=r'no "systemd-udevd\.service"'):
        tune(files, tmp_path / "new")
