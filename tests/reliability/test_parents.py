"""Parents are read-only and stay what they were; who changes one is told before anything is done with it. And full disks."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from ireko.drivers.base import Stream, Trouble
from ireko.engine.logs import ContainerLog
from ireko.errors import Damaged, Denied, NoSpace
from ireko.host.files import told
from ireko.model.container import Mount, MountKind, Status
from ireko.model.names import Reference, short
from tests.unit.engine.test_logs import lines_of

from .world import World, names

Spoil = Callable[[Path], object]


def grow(path: Path) -> None:
    path.chmod(0o600)
    with path.open("ab") as file:
        file.write(b" ")
    path.chmod(0o400)


def rewrite(path: Path) -> None:
    data = path.read_bytes()
    path.chmod(0o600)
    path.write_bytes(data[:-1] + bytes((data[-1] ^ 1,)))
    path.chmod(0o400)


SPOILERS = {
    "longer": (grow, "was changed after it was sealed", "put it back from a backup"),
    "other": (rewrite, "was changed after it was sealed", "put it back from a backup"),
    "missing": (lambda path: path.unlink(), "is missing", "back from a backup"),
    "writable": (lambda path: path.chmod(0o600), "was made writable: its mode is 0600, it must be 0400", "chmod 400"),
}


async def pieces() -> AsyncIterator[bytes]:
    yield b"\0" * 1024


@pytest.mark.parametrize("lowest", [True, False], ids=["base", "top"])
@pytest.mark.parametrize("how", SPOILERS)
async def test_a_spoilt_parent_is_named_with_the_remedy(world: World, how: str, *, lowest: bool) -> None:
    await world.make("box", kept="old", start=False)
    image = await world.engine.containers.commit("box", reference=Reference("mine"))
    await world.make("other", image="mine", start=False)
    spoil, said, remedy = SPOILERS[how]
    layer = image.layers[0 if lowest else -1]
    path = world.engine._context.paths.layer_disk(layer)
    spoil(path)
    before = world.seen() if how != "missing" else None
    verbs = [
        lambda: world.engine.containers.start("other"),
        lambda: world.engine.containers.commit("other"),
        lambda: world.engine.containers.unpack("other", "/", pieces()),
        lambda: world.engine.containers.stat("other", "/etc/passwd"),
    ]
    for verb in verbs:
        with pytest.raises(Damaged, match=said) as caught:
            await verb()
        assert f'the layer "{short(layer)}" of image "mine:latest' in caught.value.message
        assert remedy in caught.value.hint
        assert str(path) in caught.value.hint
    if before is not None:
        assert world.seen() == before
    assert any(said in finding.found for finding in (await world.engine.system.report(layers=True)).findings)
    assert not any(name.startswith(("next-", "maintenance")) for name in names(path.parents[2] / "containers"))


async def test_a_missing_kernel_is_named(world: World) -> None:
    await world.make("box", start=False)
    (boot,) = world.engine._context.paths.boot.iterdir()
    (boot / "initrd").unlink()
    with pytest.raises(Damaged, match=f'the initrd of the image ".*" is missing: "{boot}'):
        await world.engine.containers.start("box")


async def test_layers_stay_read_only_and_as_they_were(world: World) -> None:
    await world.make("box", kept="old")
    paths = world.engine._context.paths
    for number in range(3):
        await world.engine.containers.commit("box", reference=Reference("mine", str(number)))
        await world.ask("box", "sh", "-c", f"echo {number} > /kept")
    before = {path: path.read_bytes() for path in paths.layers.rglob("disk.*")}
    assert len(before) == 4
    assert {path.stat().st_mode & 0o777 for path in before} == {0o400}
    await world.engine.containers.restart("box", timeout=0)
    assert await world.ask("box", "cat", "/kept") == "2\n"
    assert {path: path.read_bytes() for path in before} == before
    await world.check()


async def test_a_volume_that_is_gone_is_named(world: World) -> None:
    await world.make("box", start=False, mounts=(Mount(MountKind.VOLUME, "data", "/data"),))
    world.engine._context.paths.volume_disk("data").unlink()
    with pytest.raises(Damaged, match='the volume "data", mounted at /data, is not there any more'):
        await world.engine.containers.start("box")


async def test_a_full_disk_pauses_the_guest_and_it_goes_on(world: World) -> None:
    await world.make("box", kept="old")
    machine = world.engine._runs.running(world.engine.containers.get("box").id)
    machine.meet(Trouble('"box" met a full disk', paused=True))  # type: ignore[union-attr]
    container = world.engine.containers.get("box")
    assert (container.status, container.error) == (Status.PAUSED, '"box" met a full disk')
    await world.engine.containers.unpause("box")
    assert world.engine.containers.get("box").error == ""
    assert await world.ask("box", "cat", "/kept") == "old\n"


async def test_an_end_that_the_disk_does_not_take_is_known_all_the_same(world: World) -> None:
    await world.make("box", "sh", "-c", "exit 7", start=False)

    def refuse() -> None:
        raise NoSpace("there is no room for more")

    await world.engine.containers.start("box")
    world.fate.interrupt(1, refuse)  # the first thing that is written now is the end
    assert (await world.engine.containers.wait("box")).exit_code == 7
    assert world.seen().containers["box"][:2] == ("exited", 7)
    await world.abandon()
    assert await world.open()
    assert world.seen().containers["box"][:2] == ("exited", 7)
    await world.check()


def test_errors_of_the_disk_say_what_and_where(tmp_path: Path) -> None:
    with pytest.raises(NoSpace, match=r'there is no room for ".*": No space left'), told(tmp_path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(Denied, match="can't be written"), told(tmp_path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    with pytest.raises(FileExistsError), told(tmp_path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))


def test_a_log_index_that_was_torn_goes_on_from_there(tmp_path: Path) -> None:
    log = ContainerLog(tmp_path)
    for text in (b"one\n", b"two\n", b"three\n"):
        with (tmp_path / "stdout.log").open("ab") as file:
            file.write(text)
        log.catch_up()
    index = tmp_path / "log.index"
    index.write_bytes(index.read_bytes()[:30] + b"\xff" * 40)
    again = ContainerLog(tmp_path)
    again.catch_up()
    assert [line.data for line in lines_of(again)] == [b"one\n", b"two\n", b"three\n"]
    assert [line.data for line in lines_of(ContainerLog(tmp_path))] == [b"one\n", b"two\n", b"three\n"]
    assert index.stat().st_size == 48
    assert again.length == 2


async def test_a_log_goes_on_without_its_index(tmp_path: Path) -> None:
    log = ContainerLog(tmp_path)
    (tmp_path / "log.index").mkdir()  # nothing can be written there
    (tmp_path / "stdout.log").write_bytes(b"one\n")
    log.catch_up()
    with contextlib.closing(log):
        assert [(line.stream, line.data) for line in lines_of(log)] == [(Stream.STDOUT, b"one\n")]
