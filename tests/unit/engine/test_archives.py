"""Archives of images below the engine: tar streams taken apart, hostile ones too, and files under names of ours alone."""

from __future__ import annotations

import gzip
import io
import random
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import zstandard
from tests.disks import content, write_disk

from ireko.disk.base import Cancelled, Progress
from ireko.disk.files import DiskFile
from ireko.disk.formats import open_layer
from ireko.disk.qcow2.renamed import renamed_head
from ireko.engine.archives.receiving import Receiver, is_archive
from ireko.engine.archives.tarring import END, head, padding
from ireko.engine.archives.unpacking import unpacker
from ireko.engine.archives.untarring import Untar
from ireko.engine.archives.writing import gathered
from ireko.errors import Damaged, IrekoError

GIB = 1 << 30


class Taken:
    """What an archive held."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.lengths: dict[str, int] = {}

    def open(self, name: str, length: int) -> Kept:
        self.lengths[name] = length
        return Kept(self, name)


class Kept:
    def __init__(self, taken: Taken, name: str) -> None:
        self.taken, self.name, self.data = taken, name, bytearray()

    def write(self, data: memoryview) -> None:
        self.data += data

    def close(self) -> None:
        self.taken.files[self.name] = bytes(self.data)


def take(archive: bytes, *, cut: random.Random | None = None) -> Taken:
    """Take an archive apart, fed in pieces of any length."""
    taken = Taken()
    untar, place = Untar(taken.open), 0
    while place < len(archive):
        count = cut.randrange(1, 3000) if cut else len(archive)
        untar.feed(archive[place : place + count])
        place += count
    untar.finish()
    return taken


def made(files: dict[str, bytes]) -> bytes:
    return b"".join(head(name, len(data), 1) + data + padding(len(data)) for name, data in files.items()) + END


def with_tarfile(change: Callable[[tarfile.TarInfo], None], *, form: int = tarfile.PAX_FORMAT) -> bytes:
    """An archive with one entry, changed as told."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        info = tarfile.TarInfo("layers/1.qcow2")
        change(info)
        archive.addfile(info, io.BytesIO(bytes(info.size)))
    return buffer.getvalue()


class TestTar:
    def test_there_and_back(self) -> None:
        chosen = random.Random(1)
        files = {f"layers/{n}": chosen.randbytes(size) for n, size in enumerate((0, 1, 511, 512, 513, 100_000))}
        for cut in (None, random.Random(2)):
            assert take(made(files), cut=cut).files == files

    def test_others_read_it(self) -> None:
        files = {"a": b"1", "b/c": bytes(1000)}
        with tarfile.open(fileobj=io.BytesIO(made(files))) as archive:
            assert {each.name: archive.extractfile(each).read() for each in archive} == files  # type: ignore[union-attr]

    @pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
    def test_what_others_write_is_read(self, form: int) -> None:
        archive = with_tarfile(lambda info: setattr(info, "size", 7), form=form)
        assert take(archive).files == {"layers/1.qcow2": bytes(7)}

    @pytest.mark.skipif(shutil.which("tar") is None, reason="there is no tar")
    def test_what_tar_packs_again_is_read(self, tmp_path: Path) -> None:
        (tmp_path / "layers").mkdir()
        (tmp_path / "layers/1").write_bytes(b"one")
        for options in (["--format=gnu"], ["--format=pax"], ["--format=ustar"]):
            packed = subprocess.run(["tar", "-C", tmp_path, *options, "-cf", "-", "."], capture_output=True, check=True)
            assert take(packed.stdout).files == {"layers/1": b"one"}

    @pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
    def test_files_above_8_gib(self, form: int) -> None:
        info = tarfile.TarInfo("layers/1.raw")
        info.size = length = 9 * GIB + 1
        begin = head("layers/1.raw", length, 1) if form == tarfile.PAX_FORMAT else info.tobuf(form)
        counted = [0]

        class Count:
            def write(self, data: memoryview) -> None:
                counted[0] += len(data)

            def close(self) -> None:
                """Nothing to do."""

        untar, piece = Untar(lambda name, size: Count()), bytes(64 << 20)
        untar.feed(begin)
        for _ in range(length // len(piece)):
            untar.feed(piece)
        untar.feed(b"\1" + padding(length) + END)
        untar.finish()
        assert counted == [length]

    def test_so_many_folders_are_no_archive(self) -> None:
        folder = tarfile.TarInfo("a/")
        folder.type = tarfile.DIRTYPE
        with pytest.raises(Damaged, match="more than 65536 entries"):
            take(folder.tobuf() * 65537 + END)

    @pytest.mark.parametrize(
        ("kind", "words"),
        [
            (tarfile.SYMTYPE, "is no file"),
            (tarfile.LNKTYPE, "is no file"),
            (tarfile.CHRTYPE, "is no file"),
            (tarfile.BLKTYPE, "is no file"),
            (tarfile.FIFOTYPE, "is no file"),
            (tarfile.GNUTYPE_SPARSE, "is no file"),
            (tarfile.GNUTYPE_LONGNAME, "is no file"),
            (b"Z", "is no file"),
        ],
    )
    def test_what_is_no_file(self, kind: bytes, words: str) -> None:
        def change(info: tarfile.TarInfo) -> None:
            info.type, info.linkname = kind, "/etc/passwd"

        with pytest.raises(Damaged, match=words):
            take(with_tarfile(change))

    def test_a_sparse_file(self) -> None:
        with pytest.raises(Damaged, match="is a sparse file"):
            take(with_tarfile(lambda info: info.pax_headers.update({"GNU.sparse.major": "1"})))

    @pytest.mark.parametrize("size", ["-1", "x", str(1 << 70), "1" * 5000])
    def test_a_length_that_makes_no_sense(self, size: str) -> None:
        with pytest.raises(Damaged, match="claims to have"):
            take(with_tarfile(lambda info: info.pax_headers.update({"size": size})))

    @pytest.mark.parametrize(
        "line", [b"9 a=b\n", b"0 a=b\n", b"-7 a=b\n", b"6 a=bX", b"a", b"7 \xff=b\n", b"99999999999 a=b\n"]
    )
    def test_a_pax_header_that_can_not_be_read(self, line: bytes) -> None:
        info = tarfile.TarInfo("x")
        info.type, info.size = tarfile.XHDTYPE, len(line)
        with pytest.raises(Damaged, match="pax header"):
            take(info.tobuf() + line + padding(len(line)) + made({"a": b""}))

    def test_a_header_without_end(self) -> None:
        for kind in (tarfile.XHDTYPE, tarfile.XGLTYPE):
            info = tarfile.TarInfo("x")
            info.type, info.size = kind, 1 << 40
            with pytest.raises(Damaged, match="has a header of"):
                take(info.tobuf())

    def test_no_name_steers_the_terminal(self) -> None:
        def change(info: tarfile.TarInfo) -> None:
            info.name, info.type = "\x1b]0;x\a" * 200, tarfile.SYMTYPE

        with pytest.raises(Damaged) as caught:
            take(with_tarfile(change))
        assert caught.value.message.isprintable()
        assert len(caught.value.message) < 400

    def test_what_stands_where_nothing_may(self) -> None:
        archive = made({"a": b"1"})
        for place in (514, len(archive) - 1):
            with pytest.raises(Damaged, match="has something behind"):
                take(archive[:place] + b"x" + archive[place + 1 :])
        assert take(archive + bytes(20 * 512)).files == {"a": b"1"}

    def test_any_bytes_at_all(self) -> None:
        chosen, archive = random.Random(3), made({"a": b"1" * 700, "b": b""})
        for _ in range(2000):
            data = bytearray(archive)
            for _ in range(chosen.randrange(1, 4)):
                data[chosen.randrange(len(data))] = chosen.randrange(256)
            try:
                take(bytes(data[: chosen.randrange(len(data))]), cut=chosen)
            except Damaged:
                continue


class TestReceiver:
    def test_files_get_names_of_ours(self, tmp_path: Path) -> None:
        receiver = Receiver(tmp_path, Progress())
        receiver.feed(
            made({"ireko.json": b'{"kind": "ireko-images", "version": 1}', "layers/1.qcow2": b"x" * 9})[:-1024]
        )
        assert [entry.name for entry in tmp_path.iterdir()] == ["part-0"]
        receiver.close()

    def test_zeros_take_no_room(self, tmp_path: Path) -> None:
        data = bytes(4 << 20) + b"x"
        receiver = Receiver(tmp_path, Progress())
        archive = made({"ireko.json": b'{"kind": "ireko-images", "version": 1}', "layers/1.qcow2": data})
        for place in range(0, len(archive), 1 << 16):
            receiver.feed(archive[place : place + (1 << 16)])
        (path,) = tmp_path.iterdir()
        assert path.read_bytes() == data
        assert path.stat().st_blocks * 512 <= 128 << 10

    def test_little_that_stands_for_much_is_stopped(self, tmp_path: Path) -> None:
        """A megabyte that came may be tens of gigabytes."""
        steps = Progress()
        with closing(Receiver(tmp_path, steps)) as receiver:
            receiver.feed(gzip.compress(made({"ireko.json": b'{"kind": "ireko-images", "version": 1}'})[:-1024]))
            steps.cancel()
            with pytest.raises(Cancelled):
                receiver.feed(gzip.compress(head("layers/1.qcow2", GIB, 1) + bytes(16 << 20)))

    def test_a_manifest_that_is_too_large(self, tmp_path: Path) -> None:
        receiver = Receiver(tmp_path, Progress())
        receiver.feed(made({"ireko.json": b'{"kind": "ireko-images", "version": 1}'})[:-1024])
        with pytest.raises(Damaged, match="it may have"):
            receiver.feed(head("manifest.json", 1 << 30, 1))

    @pytest.mark.parametrize(
        "text", [b"", b"[" * 4000, b"\xff", b'{"kind": "x", "version": 1}', b'{"version": "1"}', b"null"]
    )
    def test_a_mark_that_can_not_be_read(self, tmp_path: Path, text: bytes) -> None:
        with pytest.raises(IrekoError):
            Receiver(tmp_path, Progress()).feed(made({"ireko.json": text}))

    def test_what_is_an_archive(self, tmp_path: Path) -> None:
        (tmp_path / "web").write_bytes(made({"x": b""}))
        (tmp_path / "text").write_text("hello")
        (tmp_path / "short").write_bytes(b"")
        (tmp_path / "zeros").write_bytes(bytes(4096))
        disks = [write_disk(tmp_path / f"disk.{name}", {0: 1}) for name in ("raw", "qcow2", "vhdx", "vhd")]
        assert is_archive(tmp_path / "web")
        for path in (*disks, *(tmp_path / name for name in ("text", "short", "zeros", "gone", "."))):
            assert not is_archive(path), path


class TestRenamedHead:
    def test_only_the_name_is_another(self, tmp_path: Path) -> None:
        base = write_disk(tmp_path / "a-long-name-for-the-base.qcow2", {0: 1})
        child = write_disk(tmp_path / "child.qcow2", {64: 2}, parent=base)
        shown = content(child)
        with DiskFile(child) as file:
            beginning = renamed_head(file, "1.qcow2")
        assert beginning is not None
        renamed = tmp_path / "2.qcow2"
        renamed.write_bytes(beginning + child.read_bytes()[len(beginning) :])
        base.rename(tmp_path / "1.qcow2")
        assert content(renamed) == shown
        with open_layer(renamed) as layer:
            assert layer.info.parent is not None
            assert [path.text for path in layer.info.parent.paths] == ["1.qcow2"]
            assert not list(layer.check(Progress()))

    def test_no_room(self, tmp_path: Path) -> None:
        base = write_disk(tmp_path / "b.qcow2", {0: 1})
        child = write_disk(tmp_path / "child.qcow2", {64: 2}, parent=base)
        with DiskFile(child) as file:
            assert renamed_head(file, "another.qcow2") is None


@pytest.mark.parametrize("name", ["gzip", "zstd", "plain"])
def test_what_is_compressed_comes_in_pieces(name: str) -> None:
    """However much a piece stands for, and with several streams one after another."""
    data = random.Random(4).randbytes(100_000) + bytes(40 << 20) + b"end"
    pack = {"gzip": gzip.compress, "zstd": zstandard.ZstdCompressor().compress, "plain": bytes}[name]
    packed = pack(data[:1000]) + pack(data[1000:])
    for step in (997, 1 << 16):
        found: list[bytes] = []
        stream = unpacker(packed[:6], found.append)
        for place in range(0, len(packed), step):
            stream.feed(packed[place : place + step])
        assert b"".join(found) == data
        assert max(map(len, found)) <= 1 << 20


def test_small_pieces_are_gathered() -> None:
    pieces = [b"a", b"", b"b" * (1 << 20), b"c" * 700_000, b"d" * 700_000, b"e"]
    found = list(gathered(pieces))
    assert b"".join(found) == b"".join(pieces)
    assert [len(each) for each in found] == [1, 1 << 20, 700_000, 700_001]
