"""Images as one file: exported, saved, loaded and imported, between daemons that know nothing of each other."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import io
import json
import random
import shutil
import struct
import sys
import tarfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard

from ireko.disk.base import Progress
from ireko.disk.chain import chain_ids, open_chain
from ireko.disk.files import DiskFile
from ireko.engine.exporting import Target
from ireko.engine.importing import Settings, Source
from ireko.host import process
from ireko.model.image import Image
from ireko.model.names import Reference
from tests.disks import SIZE, content, unpack, write_disk

from .conftest import Daemon, Http

FORMATS = ("qcow2", "vhdx")


@pytest.fixture
async def stack(http: Http, daemon: Daemon) -> Image:
    """The image web:2, three layers; web:1 is below it."""
    await layer(http, "web", "1", "echo old > /kept; echo one > /one")
    await layer(http, "web", "2", "echo new > /kept; rm /etc/hostname", image="web:1")
    return daemon.engine.images.get("web:2")


async def layer(http: Http, name: str, tag: str, command: str, image: str = "nano") -> None:
    """An image with what a command changes."""
    ref = await http.run("sh", "-c", command, image=image, Labels={"tier": tag}, ExposedPorts={"80/tcp": {}})
    await http("POST", f"/containers/{ref}/wait")
    made = await http("POST", "/commit", None, container=ref, repo=name, tag=tag, comment=f"step {tag}")
    assert made.status == 201, made.body
    await http("DELETE", f"/containers/{ref}")


async def lines(http: Http, path: str, body: object = None, /, **query: str) -> list[dict[str, Any]]:
    """What is told of a work."""
    sent: Any = {"data": io.BytesIO(body)} if isinstance(body, bytes) else {"json": body}
    async with http.session.post(f"http://d{path}", params=query, **sent) as response:
        return [json.loads(line) for line in (await response.text()).splitlines()]


async def export(http: Http, name: str, path: Path, **more: object) -> list[dict[str, Any]]:
    told = await lines(http, f"/ireko/images/{name}/export", {"Path": str(path), **more})
    assert "error" not in told[-1], told[-1]
    return told


async def refused(http: Http, name: str, **body: object) -> str:
    """What is said of an export that must fail."""
    told = await lines(http, f"/ireko/images/{name}/export", body)
    return str(told[-1].get("error") or told[-1]["message"])


async def save(http: Http, *names: str, **query: str) -> bytes:
    pairs = [*(("names", name) for name in names), *query.items()]
    async with http.session.get("http://d/images/get", params=pairs) as response:
        assert response.status == 200, await response.text()
        assert response.content_type == "application/x-tar"
        return await response.read()


async def load(http: Http, archive: bytes, **query: str) -> list[dict[str, Any]]:
    return await lines(http, "/images/load", archive, **query)


def error(told: list[dict[str, Any]]) -> str:
    return str(told[-1].get("error") or told[-1].get("message") or "")


def said(told: list[dict[str, Any]]) -> list[str]:
    return [line["stream"].strip() for line in told if "stream" in line]


def ids(daemon: Daemon, name: str) -> list[tuple[str, str]]:
    """Diff and chain ids of an image's layers, computed anew, the newest first."""
    root = daemon.engine.system.root()
    path = root / "layers" / daemon.engine.images.get(name).top / "disk.qcow2"
    with open_chain(path, within=[root]) as chain:
        return chain_ids(chain.layers, Progress())


def stored(daemon: Daemon) -> dict[str, Any]:
    """Everything in the store that an image could have brought, and what is half-made."""
    root, database = daemon.engine.system.root(), daemon.engine._context.database
    return {
        **{name: {entry.name for entry in (root / name).iterdir()} for name in ("layers", "boot", "tmp")},
        "layers known": set(database.layers),
        "images": dict(database.images),
        "tags": dict(database.tags),
        "operations": dict(database.operations),
    }


async def over(before: set[asyncio.Task[Any]]) -> None:
    """Until all that was begun since has ended."""
    async with asyncio.timeout(30):
        while begun := asyncio.all_tasks() - before:
            await asyncio.wait(begun)


def entries(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        return {each.name: opened.extractfile(each).read() for each in opened}  # type: ignore[union-attr]


def packed(files: dict[str, bytes], **options: Any) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", **options) as made:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            made.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


class TestTree:
    @pytest.mark.parametrize("name", FORMATS)
    async def test_it_is_the_same_elsewhere(
        self, http: Http, daemon: Daemon, far: Daemon, far_http: Http, stack: Image, tmp_path: Path, name: str
    ) -> None:
        await export(http, "web:2", tmp_path / "web.tar", Tree=True, Format=name)
        assert [entry.name for entry in tmp_path.iterdir()] == ["web.tar"]
        told = await load(far_http, (tmp_path / "web.tar").read_bytes())
        assert said(told) == ["Loaded image: web:2"]
        assert far.engine.images.get("web:2") == stack
        assert ids(far, "web:2") == ids(daemon, "web:2")
        assert stored(far)["layers"] == stored(far)["layers known"] == set(stack.layers)
        assert not stored(far)["tmp"]
        assert not stored(daemon)["tmp"]
        ref = await far_http.run("sh", "-c", "cat /kept /one; ls /etc", image="web:2")
        assert await far_http.output(ref) == "new\none\nos-release\npasswd\n"

    @pytest.mark.parametrize("name", FORMATS)
    async def test_the_unpacked_folder_is_a_chain(
        self, http: Http, daemon: Daemon, stack: Image, tmp_path: Path, name: str
    ) -> None:
        await export(http, "web:2", tmp_path / "web.tar", Tree=True, Format=name)
        unpack(tmp_path / "web.tar", tmp_path / "web")
        with open_chain(tmp_path / f"web/layers/3.{name}") as chain:
            assert chain_ids(chain.layers, Progress()) == ids(daemon, "web:2")
        assert (tmp_path / f"web/boot/{stack.config.boot.id}/kernel").read_bytes() == b"fake kernel"  # type: ignore[union-attr]
        if name == "qcow2" and shutil.which("qemu-img"):
            await process.run("qemu-img", "check", tmp_path / "web/layers/3.qcow2")
            await process.run("qemu-img", "compare", tmp_path / "web/layers/3.qcow2", self._top(daemon))

    def _top(self, daemon: Daemon) -> Path:
        return daemon.engine.system.root() / "layers" / daemon.engine.images.get("web:2").top / "disk.qcow2"

    @pytest.mark.usefixtures("stack")
    async def test_every_file_has_its_checksum(self, http: Http) -> None:
        found = entries(await save(http, "web:2"))
        assert next(iter(found)) == "ireko.json"
        assert list(found)[-2:] == ["manifest.json", "sha256sums"]
        manifest = json.loads(found["manifest.json"])
        told = [layer["file"] for layer in manifest["layers"]]
        told += [boot[name] for boot in manifest["boots"] for name in ("kernel", "initrd")]
        assert {each["name"] for each in told} == set(found) - {"ireko.json", "manifest.json", "sha256sums"}
        for each in told:
            assert each["sha256"] == hashlib.sha256(found[each["name"]]).hexdigest()
            assert each["length"] == len(found[each["name"]])
        assert found.pop("sha256sums") == summed(found)

    @pytest.mark.usefixtures("stack")
    async def test_the_same_image_makes_the_same_archive(self, http: Http, tmp_path: Path) -> None:
        await export(http, "web:2", tmp_path / "web.tar", Tree=True)
        assert await save(http, "web:2") == (tmp_path / "web.tar").read_bytes()

    async def test_what_was_computed_once_is_noted(self, http: Http, daemon: Daemon, stack: Image) -> None:
        await save(http, "web:2")
        layers = [daemon.engine.images.layer(each) for each in reversed(stack.layers)]
        assert [(each.diff_id, each.chain_id) for each in layers] == ids(daemon, "web:2")

    @pytest.mark.usefixtures("stack")
    async def test_layers_of_several_images_are_there_once(self, http: Http, far: Daemon, far_http: Http) -> None:
        archive = await save(http, "web:1", "web:2", "nano")
        assert len([name for name in entries(archive) if name.startswith("layers/")]) == 3
        assert said(await load(far_http, archive)) == [
            f"Loaded image: {name}" for name in ("web:1", "web:2", "nano:latest")
        ]
        assert len(stored(far)["layers"]) == 3
        assert len(stored(far)["images"]) == 3

    @pytest.mark.usefixtures("stack")
    async def test_it_may_be_compressed(self, http: Http, far: Daemon, far_http: Http, tmp_path: Path) -> None:
        archive = await save(http, "web:2", format="vhdx")
        packed = zstandard.ZstdCompressor().compress(archive)
        assert said(await load(far_http, packed)) == ["Loaded image: web:2"]
        (tmp_path / "web.tar.gz").write_bytes(gzip.compress(archive, 1))
        body = {"Path": str(tmp_path / "web.tar.gz"), "Name": "again"}
        assert said(await lines(far_http, "/ireko/images/import", body)) == ["Loaded image: again:latest"]
        there = stored(far)
        for cut in (4, len(packed) // 2, len(packed) - 100):
            assert "cut off" in error(await load(far_http, packed[:cut]))
        assert stored(far) == there

    async def test_by_id_it_has_no_name(self, http: Http, far: Daemon, far_http: Http, stack: Image) -> None:
        told = await load(far_http, await save(http, stack.id))
        assert said(told) == [f"Loaded image ID: {stack.id}"]
        assert told[-1]["aux"]["ID"] == stack.id
        assert not stored(far)["tags"]

    @pytest.mark.usefixtures("stack")
    async def test_twice_the_same_stores_nothing_new(
        self, http: Http, daemon: Daemon, far: Daemon, far_http: Http
    ) -> None:
        here = stored(daemon)
        archives = [await save(http, "web:2", format=name) for name in FORMATS]
        assert said(await load(http, archives[1])) == ["Loaded image: web:2"]
        assert stored(daemon) == here
        await load(far_http, archives[0])
        there = stored(far)
        await asyncio.gather(*(load(far_http, archive) for archive in archives))
        assert stored(far) == there

    @pytest.mark.usefixtures("stack")
    async def test_what_is_here_is_shared(self, http: Http, far: Daemon, far_http: Http) -> None:
        await load(far_http, await save(http, "web:1"))
        await load(far_http, await save(http, "web:2", format="vhdx"))
        assert len(stored(far)["layers"]) == 3
        assert far.engine.images.get("web:2").layers[:2] == far.engine.images.get("web:1").layers

    async def test_a_layer_that_is_damaged_here_is_not_shared(self, http: Http, daemon: Daemon, stack: Image) -> None:
        archive = await save(http, "web:2")
        path = daemon.engine.system.root() / "layers" / stack.layers[1] / "disk.qcow2"
        path.chmod(0o600)
        path.write_bytes(b"gone")
        path.chmod(0o400)
        assert said(await load(http, archive, tag="whole")) == ["Loaded image: whole:latest"]
        whole = daemon.engine.images.get("whole")
        assert whole.layers[0] == stack.layers[0]
        assert not {*whole.layers[1:]} & {*stack.layers}
        ref = await http.run("cat", "/kept", image="whole")
        assert await http.output(ref) == "new\n"

    @pytest.mark.usefixtures("stack")
    async def test_it_comes_from_a_file_under_another_name(
        self, http: Http, far: Daemon, far_http: Http, tmp_path: Path
    ) -> None:
        await export(http, "web:2", tmp_path / "web.tar", Tree=True)
        body = {"Path": str(tmp_path / "web.tar"), "Name": "copy:9"}
        assert said(await lines(far_http, "/ireko/images/import", body)) == ["Loaded image: copy:9"]
        assert [str(name) for name in stored(far)["tags"]] == ["copy:9"]
        told = await lines(far_http, "/ireko/images/import", {**body, "Memory": 1 << 30})
        assert "have their settings" in error(told)

    @pytest.mark.usefixtures("stack")
    async def test_names(self, http: Http, far: Daemon, far_http: Http) -> None:
        archive = await save(http, "web:1", "web:2")
        assert "has 2 images" in error(await load(far_http, archive, tag="copy"))
        assert not stored(far)["images"]
        assert said(await load(far_http, await save(http, "web:1"), tag="copy")) == ["Loaded image: copy:latest"]
        assert "invalid reference format" in error(await load(far_http, archive, tag="No"))

    async def test_a_disk_that_is_linked_goes_whole(
        self, http: Http, daemon: Daemon, far: Daemon, far_http: Http, tmp_path: Path
    ) -> None:
        base = write_disk(tmp_path / "base.qcow2", {0: 1, 4096: 2})
        leaf = write_disk(tmp_path / "leaf.qcow2", {64: 3}, parent=base)
        body = {"Path": str(leaf), "Name": "linked", "Link": True}
        assert "error" not in (await lines(http, "/ireko/images/import", body))[-1]
        for name in FORMATS:
            await load(far_http, await save(http, "linked", format=name))
        (layer_id,) = far.engine.images.get("linked").layers
        assert content(far.engine.system.root() / "layers" / layer_id / "disk.qcow2") == content(leaf)
        assert len(stored(far)["layers"]) == 1
        before = stored(daemon)
        await load(http, await save(http, "linked"))  # which does not stand on a stranger's file
        assert len(stored(daemon)["layers"] - before["layers"]) == 1

    async def test_what_can_not_be_had(self, http: Http, tmp_path: Path) -> None:
        path = str(tmp_path / "x.tar")
        assert "No such image: gone:latest" in await refused(http, "gone", Path=path, Tree=True)
        assert 'can\'t be "raw"' in await refused(http, "nano", Path=path, Tree=True, Format="raw")
        assert (await http("GET", "/images/get")).body["message"] == "no image was named"
        assert (await http("GET", "/images/gone/get")).status == 404
        assert (await http("GET", "/images/nano/get", None, format="vhd")).status == 400
        assert not list(tmp_path.iterdir())

    async def test_a_layer_that_was_changed(self, http: Http, daemon: Daemon, stack: Image, tmp_path: Path) -> None:
        path = daemon.engine.system.root() / "layers" / stack.top / "disk.qcow2"
        path.chmod(0o600)
        assert "made writable" in await refused(http, "web:2", Path=str(tmp_path / "x.tar"), Tree=True)
        assert (await http("GET", "/images/web:2/get")).status == 500
        assert not list(tmp_path.iterdir())


class TestRefusals:
    """What is altered, cut off or strange is refused, and nothing of it stays."""

    @pytest.fixture
    async def archive(self, http: Http, stack: Image) -> bytes:
        del stack
        return await save(http, "web:2")

    async def test_bytes_that_were_altered(self, archive: bytes, far: Daemon, far_http: Http) -> None:
        empty, chosen = stored(far), random.Random(8)
        for _ in range(60):
            place = chosen.randrange(len(archive))
            altered = bytearray(archive)
            altered[place] ^= 1 << chosen.randrange(8)
            told = await load(far_http, bytes(altered))
            assert error(told), f"byte {place} was altered"
            assert stored(far) == empty

    async def test_an_archive_that_is_cut_off(self, archive: bytes, far: Daemon, far_http: Http) -> None:
        empty, chosen = stored(far), random.Random(9)
        for length in [0, 1, 512, *(chosen.randrange(len(archive) - 1024) for _ in range(20))]:
            assert error(await load(far_http, archive[:length])), f"cut off after {length} bytes"
            assert stored(far) == empty

    async def test_the_entry_is_named(self, archive: bytes, far_http: Http) -> None:
        found = entries(archive)
        found["layers/2.qcow2"] = found["layers/2.qcow2"][:-1] + b"x"
        assert '"layers/2.qcow2" is damaged: its checksum' in error(await load(far_http, packed(found)))
        place = archive.index(b"layers/3.qcow2") + 2000
        assert 'cut off within "layers/3.qcow2"' in error(await load(far_http, archive[:place]))

    async def test_a_layer_that_is_not_what_its_ids_say(self, archive: bytes, far: Daemon, far_http: Http) -> None:
        """Somebody who can compute checksums, too."""
        found = entries(archive)
        manifest = json.loads(found["manifest.json"])
        one, two = (manifest["layers"][n]["file"] for n in (1, 2))
        found[one["name"]], found[two["name"]] = found[two["name"]], found[one["name"]]
        for key in ("length", "sha256"):
            one[key], two[key] = two[key], one[key]
        assert '"layers/2.qcow2" adds sha256:' in error(await load(far_http, packed(signed(found, manifest))))
        assert not any(stored(far)[name] for name in ("layers", "boot", "tmp", "images"))

    async def test_a_parent_elsewhere_is_not_looked_for(
        self, archive: bytes, far: Daemon, far_http: Http, tmp_path: Path
    ) -> None:
        """The name that a disk has for its parent is a stranger's word."""
        found = entries(archive)
        manifest = json.loads(found["manifest.json"])
        secret = write_disk(tmp_path / "secret.qcow2", {0: 1})
        name = str(secret).encode()
        disk = bytearray(found["layers/3.qcow2"])
        disk[16:20] = len(name).to_bytes(4, "big")
        start = int.from_bytes(disk[8:16], "big")
        disk[start : start + len(name)] = name
        found["layers/3.qcow2"] = bytes(disk)
        manifest["layers"][2]["file"]["sha256"] = hashlib.sha256(disk).hexdigest()
        assert said(await load(far_http, packed(signed(found, manifest)))) == ["Loaded image: web:2"]
        top = far.engine.system.root() / "layers" / far.engine.images.get("web:2").top / "disk.qcow2"
        assert b"secret" not in top.read_bytes()

    @pytest.mark.parametrize(
        ("keys", "value"),
        [
            (["version"], 2),
            (["kind"], "other"),
            (["images"], []),
            (["images", 0, "names"], ["No Name"]),
            (["images", 0, "image", "layers"], []),
            (["images", 0, "image", "layers", 0], "0" * 64),
            (["images", 0, "image", "config", "boot", "id"], "0" * 64),
            (["images", 0, "image", "config", "memory"], -1),
            (["images", 0, "image", "config", "generation"], 3),
            (["images", 0, "image", "created"], "2024-01-01T00:00:00"),
            (["images", 0, "image", "id"], "sha256:../../x"),
            (["layers", 0, "id"], "../../../../tmp/x"),
            (["layers", 1, "id"], None),
            (["layers", 1, "parent"], None),
            (["layers", 0, "parent"], "f" * 64),
            (["layers", 0, "file", "name"], "../../etc/passwd"),
            (["layers", 0, "file", "name"], "layers/2.qcow2"),
            (["layers", 0, "file", "length"], -1),
            (["layers", 0, "format"], "raw"),
            (["layers", 0, "capacity"], 1 << 62),
            (["layers", 0, "capacity"], 0),
            (["layers", 0, "sector_size"], 4096),
            (["layers", 0, "sector_size"], 0),
            (["layers", 1, "diff_id"], "sha256:" + "0" * 64),
            (["layers", 1, "chain_id"], "sha256:" + "0" * 64),
            (["boots"], []),
            (["boots", 0, "id"], "../x"),
            (["boots", 0, "kernel", "sha256"], "0" * 64),
        ],
    )
    async def test_a_manifest_that_makes_no_sense(
        self, archive: bytes, far: Daemon, far_http: Http, keys: list[Any], value: object
    ) -> None:
        found, empty = entries(archive), stored(far)
        manifest = place = json.loads(found["manifest.json"])
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value
        told = error(await load(far_http, packed(signed(found, manifest))))
        assert "archive's" in told or "archive is" in told, told
        assert stored(far) == empty

    async def test_files_that_are_missing_or_too_many(self, archive: bytes, far: Daemon, far_http: Http) -> None:
        found, empty = entries(archive), stored(far)
        for name in found:
            less = {each: data for each, data in found.items() if each != name}
            assert f'"{name}"' in error(await load(far_http, packed(less)))
        more = {"layers/4.qcow2": b"x", "layers/1.raw": b"x", "../x": b"x", "/etc/x": b"x", "boot/x/kernel": b"x"}
        for name, data in more.items():
            first, *rest = found.items()
            told = error(await load(far_http, packed(dict([first, (name, data), *rest]))))
            assert f'"{name}"' in told
        assert stored(far) == empty

    async def test_what_is_no_archive_of_ours(self, far: Daemon, far_http: Http) -> None:
        empty = stored(far)
        docker = {"oci-layout": b"{}", "manifest.json": b"[]"}
        old = {f"{'a' * 64}/VERSION": b"1.0", "repositories": b"{}"}
        for files in (docker, old):
            assert "archive of container images" in error(await load(far_http, packed(files)))
        assert 'it begins with "motd"' in error(await load(far_http, packed({"motd": b"hello"})))
        assert "compressed with xz" in error(await load(far_http, b"\xfd7zXZ" + bytes(100)))
        for begin in (b"\x1f\x8b", b"\x28\xb5\x2f\xfd"):
            assert "compression is damaged" in error(await load(far_http, begin + bytes(range(100))))
        assert "no archive of images" in error(await load(far_http, random.Random(1).randbytes(4096)))
        newer = packed({"ireko.json": b'{"kind": "ireko-images", "version": 2}'})
        assert "of version 2" in error(await load(far_http, newer))
        assert stored(far) == empty

    async def test_an_upload_that_is_broken_off(self, archive: bytes, far: Daemon) -> None:
        empty = stored(far)
        for chunked in (False, True):
            before = asyncio.all_tasks()
            reader, writer = await far.connect()
            how = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(archive)}"
            writer.write(f"POST /images/load HTTP/1.1\r\nHost: d\r\n{how}\r\n\r\n".encode())
            half = archive[: len(archive) // 2]
            writer.write(b"%x\r\n%b" % (len(archive), half) if chunked else half)
            await writer.drain()
            await reader.readuntil(b"receiving")
            writer.close()
            await over(before)
            assert stored(far) == empty

    async def test_a_download_that_is_broken_off(self, http: Http, daemon: Daemon, tmp_path: Path) -> None:
        disk = write_disk(tmp_path / "large.qcow2", {n * 64: n for n in range(128)})
        await lines(http, "/ireko/images/import", {"Path": str(disk), "Name": "large"})
        before = asyncio.all_tasks()
        reader, writer = await daemon.connect()
        writer.write(b"GET /images/large/get?format=vhdx HTTP/1.1\r\nHost: d\r\n\r\n")
        await reader.readuntil(b"ireko.json")
        assert stored(daemon)["tmp"]
        writer.close()
        await over(before)
        assert not stored(daemon)["tmp"]


def signed(files: dict[str, bytes], manifest: dict[str, Any]) -> dict[str, bytes]:
    """The files with another manifest, and checksums that fit."""
    others = {name: data for name, data in files.items() if name != "sha256sums"}
    others["manifest.json"] = json.dumps(manifest).encode()
    return {**others, "sha256sums": summed(others)}


def summed(files: dict[str, bytes]) -> bytes:
    """What sha256sum says of them."""
    return "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files)).encode()


class TestDisk:
    @pytest.fixture
    async def image(self, http: Http, daemon: Daemon, tmp_path_factory: pytest.TempPathFactory) -> bytes:
        """What the image disk:1, two layers, shows."""
        folder = tmp_path_factory.mktemp("disks")
        base = write_disk(folder / "base.qcow2", {0: 1, 1024: 2})
        leaf = write_disk(folder / "leaf.qcow2", {1024: 3, 8192: 4}, parent=base)
        await lines(http, "/ireko/images/import", {"Path": str(leaf), "Name": "disk:1"})
        assert len(daemon.engine.images.get("disk:1").layers) == 2
        return content(leaf)

    @pytest.fixture
    def target(self, tmp_path: Path) -> Iterator[Path]:
        (tmp_path / "out").mkdir()
        yield tmp_path / "out"
        assert all(not entry.name.startswith(".") for entry in (tmp_path / "out").iterdir())

    @pytest.mark.parametrize("name", ["vhdx", "qcow2", "vhd", "raw"])
    async def test_it_shows_the_same(self, http: Http, daemon: Daemon, image: bytes, target: Path, name: str) -> None:
        told = await export(http, "disk:1", target / f"disk.{name}")
        assert content(target / f"disk.{name}")[:SIZE] == image
        assert told[-2]["status"] == f"exported to {target / f'disk.{name}'}"
        assert {line["status"] for line in told if "progressDetail" in line} >= {"reading it back"}
        assert not stored(daemon)["operations"]

    async def test_the_format_may_be_said(self, http: Http, image: bytes, target: Path) -> None:
        await export(http, "disk:1", target / "disk", Format="vhdx")
        (target / "disk").rename(target / "disk.vhdx")
        assert content(target / "disk.vhdx") == image

    async def test_a_file_that_is_there(self, http: Http, image: bytes, target: Path) -> None:
        path = target / "disk.qcow2"
        path.write_bytes(b"mine")
        assert "there is a file already" in await refused(http, "disk:1", Path=str(path))
        assert path.read_bytes() == b"mine"
        await export(http, "disk:1", path, Force=True)
        assert content(path) == image
        for tree in (False, True):
            assert "is a folder" in await refused(
                http, "disk:1", Path=str(target), Format="raw" if not tree else "", Force=True, Tree=tree
            )

    @pytest.mark.usefixtures("image")
    async def test_what_makes_no_sense(self, http: Http, daemon: Daemon, target: Path) -> None:
        root = daemon.engine.system.root()
        for path, words in (
            ("", "no file was named"),
            ("disk.qcow2", "must be absolute"),
            (f"{target}/disk\0.qcow2", "has a NUL character"),
            (str(target / "gone/disk.qcow2"), "there is no folder"),
            (str(root / "layers/disk.qcow2"), "where ireko deletes"),
            (str(target / "disk.img2"), "stands for no disk format"),
            (str(target), "is a folder"),
            (str(target / ("x" * 300 + ".raw")), "File name too long"),
        ):
            for force in (False, True):
                assert words in await refused(http, "disk:1", Path=path, Force=force)
        assert "is no disk format" in await refused(http, "disk:1", Path=str(target / "disk"), Format="iso")
        assert "No such image" in await refused(http, "gone", Path=str(target / "disk.qcow2"))

    @pytest.mark.usefixtures("image")
    async def test_a_long_name(self, http: Http, target: Path) -> None:
        path = target / ("🖴" * 55 + ".qcow2")
        assert (await export(http, "disk:1", path))[-1]["aux"]["Path"] == str(path)
        assert [entry.name for entry in target.iterdir()] == [path.name]

    async def test_the_linked_disk_is_not_replaced(self, http: Http, target: Path) -> None:
        disk = write_disk(target / "mine.qcow2", {0: 1})
        before = disk.read_bytes()
        await lines(http, "/ireko/images/import", {"Path": str(disk), "Name": "linked", "Link": True})
        (target / "other.qcow2").symlink_to(disk)
        for path in (disk, target / "other.qcow2"):
            for tree in (False, True):
                for name in ("linked", "nano"):
                    assert "stands on" in await refused(http, name, Path=str(path), Force=True, Tree=tree)
        assert disk.read_bytes() == before

    @pytest.mark.skipif(sys.platform != "linux", reason="only there QEMU's locks can be asked for")
    async def test_a_disk_that_a_machine_writes_to_is_not_replaced(self, http: Http, target: Path) -> None:
        import fcntl

        disk = write_disk(target / "mine.qcow2", {0: 1})
        before = disk.read_bytes()
        with DiskFile(disk) as file:
            fcntl.fcntl(file.descriptor, fcntl.F_OFD_SETLK, struct.pack("@hhqqi0q", fcntl.F_RDLCK, 0, 101, 1, 0))
            for tree in (False, True):
                assert "is in use" in await refused(http, "nano", Path=str(disk), Force=True, Tree=tree)
        assert disk.read_bytes() == before

    async def test_what_a_disk_can_not_keep_is_said(self, http: Http, target: Path) -> None:
        warnings = (await export(http, "nano", target / "nano.vhdx"))[-1]["aux"]["Warnings"]
        assert len(warnings) == 1
        assert "its kernel is a file of its own" in warnings[0]
        assert "--tree" in warnings[0]

    @pytest.mark.usefixtures("image")
    async def test_it_can_be_broken_off(self, http: Http, daemon: Daemon, target: Path) -> None:
        for tree in (False, True):
            before = asyncio.all_tasks()
            reader, writer = await daemon.connect()
            body = json.dumps({"Path": str(target / "disk.vhdx"), "Tree": tree}).encode()
            head = f"POST /ireko/images/disk:1/export HTTP/1.1\r\nHost: d\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            await reader.readuntil(b"progressDetail")
            writer.close()
            await over(before)
            assert not stored(daemon)["operations"]
            assert not stored(daemon)["tmp"]
            for left in target.iterdir():  # it may have been whole already
                left.unlink()


async def test_memory_is_bounded_at_any_size(daemon: Daemon, far: Daemon, tmp_path: Path) -> None:
    """A disk of 1 TiB with a little in it, through both formats."""
    size = 1 << 40
    disk = write_disk(tmp_path / "huge.qcow2", {n * (size >> 16): n for n in range(64)}, size=size)
    source = Source(disk)
    await daemon.engine.importer.bring(source, Settings(), reference=Reference("huge"), link=False, progress=quiet)
    tracemalloc.start()
    try:
        for name in FORMATS:
            target = Target(tmp_path / f"huge.{name}.tar", name)
            await daemon.engine.exporter.tree(["huge"], target, progress=quiet)
            await far.engine.loader.load_file(target.path, reference=None, progress=quiet)
        async with daemon.engine.exporter.stream(["huge"]) as pieces:
            archive = (tmp_path / "huge.qcow2.tar").open("rb")
            with archive:
                async for piece in pieces:
                    assert archive.read(len(piece)) == piece
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 32 << 20
    assert ids(far, "huge") == ids(daemon, "huge")


def quiet(*_: object) -> None:
    """Progress that nobody wants to hear of."""
