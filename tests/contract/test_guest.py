"""What every driver promises of the guest channel: programs and files in a guest that runs. One guest serves all of it."""

from __future__ import annotations

import asyncio
import io
import stat
import tarfile
from collections.abc import AsyncIterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from ireko.drivers.base import Command, Guest, Machine, Stream
from ireko.errors import GuestFailed, NotFound

if TYPE_CHECKING:
    from tests.contract.conftest import Bench

pytestmark = pytest.mark.asyncio(loop_scope="module")
ODD_NAMES = ["plain", "two words", "-dash", "入れ子", "quo'te\"s", "a$dollar*star", "line\nbreak", "ümlaut"]
BYTES = bytes(range(256)) * 1200


@pytest.fixture(scope="module")
def machine(shared_machine: tuple[Bench, Machine]) -> Machine:
    return shared_machine[1]


@pytest.fixture(scope="module")
def bench(shared_machine: tuple[Bench, Machine]) -> Bench:
    return shared_machine[0]


@pytest.fixture(scope="module")
def guest(machine: Machine) -> Guest:
    return machine.guest


@pytest_asyncio.fixture(loop_scope="module")
async def folder(guest: Guest, machine: Machine, bench: Bench, request: pytest.FixtureRequest) -> str:
    """A folder in the guest for one test alone."""
    path = f"/root/{abs(hash(request.node.nodeid))}"
    assert (await bench.run_in(machine, Command(("mkdir", "-p", path)))).code == 0
    return path


async def pieces(data: bytes, size: int = 10_000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def collected(stream: AsyncIterator[bytes]) -> tarfile.TarFile:
    return tarfile.open(fileobj=io.BytesIO(b"".join([piece async for piece in stream])))


def tar_of(files: dict[str, bytes], *, mode: int = 0o640) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.mtime = len(data), mode, 1_600_000_000
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (("true",), 0),
        (("sh", "-c", "exit 7"), 7),
        (("sh", "-c", "exit 255"), 255),
        (("no-such-program",), 127),
        (("/root",), 126),
        (("sh", "-c", "kill -9 $$"), 137),
        (("sh", "-c", "kill -15 $$"), 143),
    ],
)
async def test_exit_codes(bench: Bench, machine: Machine, argv: tuple[str, ...], code: int) -> None:
    result = await bench.run_in(machine, Command(argv))
    assert result.code == code
    if code in {126, 127}:
        assert argv[0].encode() in result.stderr


async def test_stdout_and_stderr_are_kept_apart(bench: Bench, machine: Machine) -> None:
    result = await bench.run_in(machine, Command(("sh", "-c", "echo out; echo err >&2; echo out")))
    assert (result.stdout, result.stderr) == (b"out\nout\n", b"err\n")


async def test_every_byte_gets_through_both_ways(bench: Bench, machine: Machine) -> None:
    result = await bench.run_in(machine, Command(("cat",)), BYTES)
    assert result.stdout == BYTES
    assert result.code == 0


async def test_arguments_arrive_as_they_are(bench: Bench, machine: Machine) -> None:
    words = ["", "two words", "it's", '"', "$HOME", "*", "back\\slash", "入れ子", "new\nline", "-n", ";", "&&"]
    script = 'for word in "$@"; do echo "<$word>"; done'
    result = await bench.run_in(machine, Command(("sh", "-c", script, "name", *words)))
    assert result.stdout.decode() == "".join(f"<{word}>\n" for word in words)


async def test_environment_folder_and_user(bench: Bench, machine: Machine) -> None:
    script = 'echo "$A|$B"; pwd; id -u; id -g; [ -n "$PATH" ] && [ -n "$HOME" ] && echo "$HOSTNAME"'
    command = Command(("sh", "-c", script), ("A=a  b", "B=it's $A"), workdir="/etc", user="1234:99")
    hostname = (await bench.run_in(machine, Command(("hostname",)))).stdout.decode()
    result = await bench.run_in(machine, command)
    assert result.stdout.decode() == f"a  b|it's $A\n/etc\n1234\n99\n{hostname}"


async def test_root_is_the_user_by_default(bench: Bench, machine: Machine) -> None:
    result = await bench.run_in(machine, Command(("sh", "-c", "id -u; pwd")))
    assert result.stdout == b"0\n/\n"


async def test_a_terminal_and_its_size(guest: Guest) -> None:
    process = await guest.run(Command(("sh",), tty=True, size=(30, 90)))
    shown = ""
    await process.write(b"stty size\r")
    async for stream, data in process.output():
        assert stream is Stream.STDOUT
        before, shown = shown, shown + data.decode()
        if "30 90\r\n" in shown and "30 90\r\n" not in before:
            await process.resize(44, 111)
            await process.write(b"stty size; echo e-rr >&2; exit 6\r")
    assert "44 111\r\n" in shown
    assert "\ne-rr\r\n" in shown
    assert await process.wait() == 6
    await process.close()


async def test_ctrl_c(guest: Guest) -> None:
    process = await guest.run(Command(("sh", "-c", "echo rea''dy; sleep 1000"), tty=True))
    output = process.output()
    seen = b""
    while b"ready\r\n" not in seen:
        seen += (await anext(output))[1]
    await process.write(b"\x03")
    assert [data async for _, data in output]
    assert await process.wait() == 130
    await process.close()


@pytest.mark.parametrize("number", [2, 9, 15])
async def test_a_signal(guest: Guest, number: int) -> None:
    process = await guest.run(Command(("sh", "-c", "echo ready; exec sleep 1000")))
    output = process.output()
    assert await anext(output) == (Stream.STDOUT, b"ready\n")
    await process.signal(number)
    assert await process.wait() == 128 + number
    assert [piece async for piece in output] == []
    await process.close()


async def test_letting_go_ends_a_program(guest: Guest) -> None:
    process = await guest.run(Command(("yes",)))
    output = process.output()
    assert (await anext(output))[1].startswith(b"y\n")
    await process.close()
    await process.close()


async def test_a_program_that_has_ended_takes_no_input(guest: Guest) -> None:
    process = await guest.run(Command(("true",)))
    assert await process.wait() == 0
    with pytest.raises(GuestFailed):
        await process.write(b"too late")
    await process.close()


async def test_programs_at_once(bench: Bench, machine: Machine) -> None:
    commands = [Command(("sh", "-c", f"cat; exit {n}")) for n in range(8)]
    results = await asyncio.gather(*(bench.run_in(machine, each, b"%d" % n) for n, each in enumerate(commands)))
    assert [(each.code, each.stdout) for each in results] == [(n, b"%d" % n) for n in range(8)]


async def test_files_go_in_and_out(bench: Bench, machine: Machine, guest: Guest, folder: str) -> None:
    files = {f"top/{name}": f"in {name}".encode() for name in ODD_NAMES} | {"top/deep/er/bytes": BYTES}
    await guest.unpack(folder, pieces(tar_of(files)))
    result = await bench.run_in(machine, Command(("cat", f"{folder}/top/-dash")))
    assert result.stdout == b"in -dash"
    archive = await collected(await guest.archive(f"{folder}/top"))
    found = {member.name: member for member in archive}
    assert next(iter(found)) == "top"
    assert {name for name, member in found.items() if member.isfile()} == files.keys()
    for name, data in files.items():
        file = archive.extractfile(found[name])
        assert file is not None
        assert file.read() == data
        assert found[name].mode == 0o640
        assert found[name].mtime == 1_600_000_000


async def test_what_is_in_a_folder(guest: Guest, folder: str) -> None:
    await guest.unpack(folder, pieces(tar_of({"top/one": b"1", "top/in/two": b"2"})))
    archive = await collected(await guest.archive(f"{folder}/top/."))
    names = [member.name for member in archive]
    assert names[0] == "."
    assert sorted(names) == [".", "./in", "./in/two", "./one"]
    with pytest.raises(NotFound):
        await guest.archive(f"{folder}/top/one/.")


@pytest.mark.parametrize("name", ODD_NAMES)
async def test_one_file_by_an_odd_name(guest: Guest, folder: str, name: str) -> None:
    await guest.unpack(folder, pieces(tar_of({name: b"content"})))
    archive = await collected(await guest.archive(f"{folder}/{name}"))
    [member] = archive
    assert member.name == name
    entry = await guest.stat(f"{folder}/{name}")
    assert (entry.path, entry.size, entry.mtime) == (f"{folder}/{name}", 7, 1_600_000_000)
    assert stat.S_ISREG(entry.mode)
    assert stat.S_IMODE(entry.mode) == 0o640


async def test_an_empty_file(guest: Guest, folder: str) -> None:
    await guest.unpack(folder, pieces(tar_of({"empty": b""})))
    assert (await guest.stat(f"{folder}/empty")).size == 0
    assert [member.size for member in await collected(await guest.archive(f"{folder}/empty"))] == [0]


async def test_a_symbolic_link_is_itself(bench: Bench, machine: Machine, guest: Guest, folder: str) -> None:
    await bench.run_in(machine, Command(("ln", "-s", "no where", f"{folder}/link")))
    entry = await guest.stat(f"{folder}/link")
    assert stat.S_ISLNK(entry.mode)
    assert entry.link_target == "no where"
    [member] = await collected(await guest.archive(f"{folder}/link"))
    assert member.issym()
    assert member.linkname == "no where"


async def test_the_root_of_all(guest: Guest) -> None:
    entry = await guest.stat("/")
    assert stat.S_ISDIR(entry.mode)
    assert entry.path == "/"


@pytest.mark.parametrize("path", ["/nothing here", "/nothing/below", "/etc/passwd/below"])
async def test_what_is_not_there(guest: Guest, path: str) -> None:
    with pytest.raises(NotFound, match=path):
        await guest.stat(path)
    with pytest.raises(NotFound, match=path):
        await guest.archive(path)
    with pytest.raises(NotFound, match=path):
        await guest.unpack(path, pieces(tar_of({"a": b"b"})))


async def test_a_stream_that_is_no_archive(guest: Guest, folder: str) -> None:
    with pytest.raises(GuestFailed):
        await guest.unpack(folder, pieces(b"no archive at all\n" * 100))


async def test_an_archive_that_is_not_read_to_its_end(guest: Guest, folder: str) -> None:
    await guest.unpack(folder, pieces(tar_of({"big": BYTES * 3})))
    stream = await guest.archive(f"{folder}/big")
    assert await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]
    assert (await guest.stat(f"{folder}/big")).size == len(BYTES) * 3


async def test_the_listing_is_of_the_root_disk_alone(guest: Guest, folder: str) -> None:
    await guest.unpack(folder, pieces(tar_of({"listed file": b"12345"})))
    entries = {entry.path: entry for entry in await guest.listing()}
    assert entries[f"{folder}/listed file"].size == 5
    assert entries[f"{folder}/listed file"].mtime == 1_600_000_000
    assert stat.S_ISDIR(entries["/"].mode)
    assert not [path for path in entries if PurePosixPath("/proc") in PurePosixPath(path).parents]


async def test_syncing(guest: Guest) -> None:
    await guest.sync()
