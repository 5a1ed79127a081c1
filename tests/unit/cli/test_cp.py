"""`cp`: docker's rules for what a target becomes, and archives that are packed and unpacked."""

from __future__ import annotations

import base64
import io
import json
import tarfile
from pathlib import Path

import pytest

from ireko.cli.archive import End, Plan, pack, plan, unpack
from ireko.cli.cp import _split_guest
from ireko.client import Refused
from ireko.errors import Conflict, IrekoError, NotFound

FILE, FOLDER = {"is_dir": False}, {"is_dir": True}


def end(path: str, *, exists: bool = True, is_dir: bool = False) -> End:
    return End(path, exists=exists, is_dir=is_dir)


@pytest.mark.parametrize(
    ("source", "target", "wanted"),
    [
        (end("/a"), end("/d", is_dir=True), Plan("/d", None)),
        (end("/a"), end("/d/b"), Plan("/d", "b")),
        (end("/a"), end("/d/b", exists=False), Plan("/d", "b")),
        (end("/a"), end("/d/b/", exists=False), NotFound),
        (end("/a", is_dir=True), end("/d", is_dir=True), Plan("/d", None)),
        (end("/a", is_dir=True), end("/d/b", exists=False), Plan("/d", "b")),
        (end("/a", is_dir=True), end("/d/b/", exists=False), Plan("/d", "b")),
        (end("/a/.", is_dir=True), end("/d/b", exists=False), Plan("/d", "b")),
        (end("/a", is_dir=True), end("/d/file"), Conflict),
    ],
)
def test_docker_s_table_of_targets(source: End, target: End, wanted: Plan | type[IrekoError]) -> None:
    if isinstance(wanted, Plan):
        assert plan(source, target, split=_split_guest) == wanted
    else:
        with pytest.raises(wanted):
            plan(source, target, split=_split_guest)


def tree(root: Path) -> dict[str, object]:
    return {
        str(path.relative_to(root)): str(path.readlink())
        if path.is_symlink()
        else path.read_bytes()
        if path.is_file()
        else None
        for path in sorted(root.rglob("*"))
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "site"
    (root / "sub" / "空").mkdir(parents=True)
    (root / "index").write_bytes(b"x" * 100_001)
    (root / "sub" / "run").write_bytes(b"#!")
    (root / "sub" / "run").chmod(0o750)
    (root / "link").symlink_to("sub/run")
    return root


@pytest.mark.parametrize(("name", "arrives"), [("site", "site"), (".", "."), ("other", "other")])
def test_what_is_packed_is_unpacked(folder: Path, tmp_path: Path, name: str, arrives: str) -> None:
    target = tmp_path / "target"
    target.mkdir()
    unpack(pack(folder, name, follow=False, keep_owners=False), target, name=None, keep_owners=False)
    assert tree(target / arrives) == tree(folder)
    assert (target / arrives / "sub" / "run").stat().st_mode & 0o777 == 0o750


@pytest.mark.parametrize("name", ["site", "."])
def test_the_topmost_entry_is_renamed(folder: Path, tmp_path: Path, name: str) -> None:
    target = tmp_path / "target"
    target.mkdir()
    unpack(pack(folder, name, follow=False, keep_owners=False), target, name="web", keep_owners=False)
    assert tree(target / "web") == tree(folder)


def test_a_file_in_the_way_is_replaced_and_a_folder_is_not(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    (target / "index").mkdir(parents=True)
    with pytest.raises(Conflict, match="cannot overwrite directory"):
        unpack(pack(folder / "index", "index", follow=False, keep_owners=False), target, name=None, keep_owners=False)
    (target / "elsewhere").write_bytes(b"kept")
    (target / "new").symlink_to("elsewhere")
    unpack(pack(folder / "index", "new", follow=False, keep_owners=False), target, name=None, keep_owners=False)
    assert (target / "elsewhere").read_bytes() == b"kept"
    assert (target / "new").read_bytes() == b"x" * 100_001


@pytest.mark.parametrize("name", ["../out", "/../../out"])
def test_nothing_leaves_the_folder(tmp_path: Path, name: str) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(Conflict, match="leads out"):
        unpack([buffer.getvalue()], target, name=None, keep_owners=False)
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


def test_no_hard_link_leads_out(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"theirs")
    link = tarfile.TarInfo("in")
    link.type, link.linkname = tarfile.LNKTYPE, "../secret"
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(Conflict, match="leads out"):
        unpack([link.tobuf(), bytes(1024)], target, name=None, keep_owners=False)
    assert list(target.iterdir()) == []


def test_what_is_no_archive_is_said(tmp_path: Path) -> None:
    with pytest.raises(IrekoError, match="no tar archive"):
        unpack([b"x" * 2000], tmp_path, name=None, keep_owners=False)


class Guest:
    """A container's files as the archive routes show them: a mapping of paths to None (a folder) or bytes."""

    def __init__(self, cli, files: dict[str, bytes | None]) -> None:
        self.files = files
        self.unpacked: list[tuple[str, list[str]]] = []
        transport, send = cli.transport, cli.transport.send

        def answer(request):
            if request.path != "/containers/web/archive":
                return send(request)
            transport.requests.append(request)
            if request.method == "PUT":
                with tarfile.open(fileobj=io.BytesIO(b"".join(request.body))) as archive:
                    self.unpacked.append((request.query["path"], archive.getnames()))
                return Reply(b"", {})
            return self.stat(request.query["path"])

        transport.send = answer

    def stat(self, path: str):
        key = path.rstrip("/.") or "/"
        if key not in self.files:
            raise Refused(f"Could not find the file {path} in container web", status=404)
        content = self.files[key]
        stat = {
            "name": key.rpartition("/")[2],
            "size": 0,
            "mode": 0o644 if content is not None else 1 << 31,
            "linkTarget": "",
        }
        name = "." if path.endswith("/.") else key.rpartition("/")[2]
        return Reply(
            self.tar(key, name), {"X-Docker-Container-Path-Stat": base64.b64encode(json.dumps(stat).encode()).decode()}
        )

    def tar(self, key: str, name: str) -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for path, content in self.files.items():
                if path == key or path.startswith(f"{key}/"):
                    info = tarfile.TarInfo(name + path.removeprefix(key))
                    info.size, info.type = (
                        len(content or b""),
                        tarfile.REGTYPE if content is not None else tarfile.DIRTYPE,
                    )
                    info.mode = 0o755
                    archive.addfile(info, io.BytesIO(content or b""))
        return buffer.getvalue()


class Reply:
    def __init__(self, body: bytes, headers: dict[str, str]) -> None:
        self.status, self._body, self._headers = 200, body, headers

    def header(self, name: str) -> str:
        return self._headers.get(name, "")

    def pieces(self):
        yield self._body

    def close(self) -> None:
        pass


@pytest.fixture
def guest(cli) -> Guest:
    return Guest(
        cli,
        {
            "/": None,
            "/srv": None,
            "/srv/a": b"1",
            "/srv/sub": None,
            "/srv/sub/b": b"2",
            "/etc": None,
            "/etc/hosts": b"h",
        },
    )


@pytest.mark.parametrize(
    ("argv", "files"),
    [
        (["web:/etc/hosts", "."], {"hosts": b"h"}),
        (["web:/etc/hosts", "new"], {"new": b"h"}),
        (["web:/srv", "."], {"srv": None, "srv/a": b"1", "srv/sub": None, "srv/sub/b": b"2"}),
        (["web:/srv/.", "."], {"a": b"1", "sub": None, "sub/b": b"2"}),
        (["web:/srv", "new"], {"new": None, "new/a": b"1", "new/sub": None, "new/sub/b": b"2"}),
        (["web:/srv/.", "new"], {"new": None, "new/a": b"1", "new/sub": None, "new/sub/b": b"2"}),
    ],
)
def test_out_of_a_container(cli, guest: Guest, tmp_path: Path, monkeypatch, argv: list[str], files: dict) -> None:
    monkeypatch.chdir(tmp_path)
    ran = cli("cp", *argv)
    assert (ran.code, ran.err) == (0, "")
    assert tree(tmp_path) == files


@pytest.mark.parametrize(
    ("argv", "where", "first"),
    [
        (["site", "web:/srv"], "/srv", "site"),
        (["site/", "web:/srv"], "/srv", "site"),
        (["site/.", "web:/srv"], "/srv", "."),
        (["site", "web:/srv/new"], "/srv", "new"),
        (["site/.", "web:/srv/new"], "/srv", "new"),
        (["site/index", "web:/srv/"], "/srv/", "index"),
        (["site/index", "web:/srv/a"], "/srv", "a"),
        (["site/index", "web:/srv/other"], "/srv", "other"),
    ],
)
def test_into_a_container(
    cli, guest: Guest, folder: Path, monkeypatch, argv: list[str], where: str, first: str
) -> None:
    monkeypatch.chdir(folder.parent)
    ran = cli("cp", *argv)
    assert (ran.code, ran.err) == (0, "")
    ((path, names),) = guest.unpacked
    assert path == where
    assert names[0] == first


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["web:/a", "web:/b"], "copying between containers is not supported"),
        (["a", "b"], "must specify at least one container source"),
        (["web:/nope", "."], "Could not find the file /nope"),
        (["web:/etc/hosts", "no/such/place"], 'directory "no/such" does not exist'),
        (["web:/etc/hosts", "missing/"], 'no such directory: "missing/"'),
        (["web:/srv", "site/index"], "cannot copy directory"),
        (["nope", "web:/srv"], "no such file or directory"),
        (["site/index", "web:/missing/"], 'no such directory: "/missing/"'),
        (["site/index", "nobody:/"], "nobody"),
        (["site", "web:/srv/a"], "cannot copy directory"),
        (["-", "web:/srv/a"], "must be a directory"),
    ],
)
def test_what_can_t_be_copied(cli, guest: Guest, folder: Path, monkeypatch, argv: list[str], said: str) -> None:
    monkeypatch.chdir(folder.parent)
    ran = cli("cp", *argv)
    assert ran.code == 1
    assert said in ran.err
    assert guest.unpacked == []
