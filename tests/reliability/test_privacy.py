"""What nobody else may see, nobody else can, whatever the umask; the engine is used as a library here."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from ireko.api.server import ApiServer
from ireko.drivers.fake import FakeBook, FakeDriver, FakeHost
from ireko.engine.engine import Engine
from ireko.model.container import Mount, MountKind
from ireko.model.names import Reference

from .world import World

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="modes are POSIX's")


@pytest.fixture(params=[0, 0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
async def test_everything_is_private(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("p")
    host_folder = folder / "shared"
    host_folder.mkdir()
    world = World(folder / "root")
    assert await world.open()
    await world.engine.images.make("nano", progress=lambda *_: None)
    mounts = (Mount(MountKind.VOLUME, "data", "/data"), Mount(MountKind.BIND, str(host_folder), "/shared"))
    await world.make("box", kept="old", mounts=mounts)
    await world.engine.containers.commit("box", reference=Reference("mine"))
    await world.engine.containers.stop("box")
    await world.engine.containers.diff("box")
    async with ApiServer(world.engine, hosts=[f"unix://{world.root / 'ireko.sock'}"], on_stop=lambda: None):
        found = {path.relative_to(world.root): path.lstat().st_mode for path in (world.root, *world.root.rglob("*"))}
        open_to_others = {str(path): oct(mode) for path, mode in found.items() if mode & 0o077}
        assert open_to_others == {}
        folders = {mode & 0o777 for mode in found.values() if stat.S_ISDIR(mode)}
        assert folders == {0o700}
        assert {path.suffix for path, mode in found.items() if stat.S_ISSOCK(mode)} == {".sock"}
        keys = {mode & 0o777 for path, mode in found.items() if path.name.endswith("_key")}
        assert keys == {0o600}
        assert "ireko.db-wal" in map(str, found)
    await world.close()


@pytest.mark.usefixtures("umask")
async def test_the_root_of_others_is_left_alone_and_told_of(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    root.chmod(0o755)
    engine = await Engine.open(root=root, driver=FakeDriver(FakeHost()), recipes=FakeBook())
    assert root.stat().st_mode & 0o777 == 0o755
    found = {finding.name: finding for finding in (await engine.system.report(layers=True)).findings}
    assert found["permissions"].remedy == f"chmod 700 {root}"
    assert {entry.stat().st_mode & 0o077 for entry in root.iterdir()} == {0}
    await engine.close()
