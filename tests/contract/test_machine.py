"""What every driver promises of machines: started, watched, found again, ended."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ireko.drivers.base import Command, Ended, MachineState, Stdio, Stream
from ireko.errors import Conflict, GuestFailed, IrekoError
from ireko.model.container import PortMapping

if TYPE_CHECKING:
    from tests.contract.conftest import Bench

FOREVER = "1000000"


async def test_a_command_runs_and_its_end_is_told(bench: Bench) -> None:
    spec = bench.spec("sh", "-c", "echo out; echo err >&2; exit 7")
    machine = await bench.start(spec)
    first, second = await asyncio.gather(machine.ended(), machine.ended())
    assert first == second == Ended(7, clean=True)
    assert (spec.directory / "stdout.log").read_text() == "out\n"
    assert (spec.directory / "stderr.log").read_text() == "err\n"
    assert await bench.driver.find(spec.directory) is None
    assert await bench.driver.last_end(spec.directory) == first
    assert bench.processes(spec) == 0


async def test_output_is_appended_run_after_run(bench: Bench) -> None:
    spec = bench.spec("sh", "-c", "echo run")
    for _ in range(2):
        machine = await bench.start(spec)
        assert (await machine.ended()).exit_code == 0
    assert (spec.directory / "stdout.log").read_text() == "run\nrun\n"


async def test_what_the_engine_wants_to_know_of_a_machine(bench: Bench) -> None:
    spec = bench.spec("sh", "-c", f"echo up; sleep {FOREVER}")
    machine = await bench.start(spec)
    await bench.seen(machine, "up")
    assert machine.id == spec.id
    assert machine.pid > 0
    assert machine.outputs == (
        (Stream.STDOUT, spec.directory / "stdout.log"),
        (Stream.STDERR, spec.directory / "stderr.log"),
    )
    assert await machine.state() is MachineState.RUNNING
    assert (await machine.active_disk("root")).name == spec.disks[0].path.name
    assert bench.processes(spec) == 1
    usage = await machine.usage()
    assert usage.memory_limit == spec.memory
    assert usage.memory > 0
    assert usage.processor > 0
    assert usage.disk_read > 0


async def test_the_process_is_what_the_seed_says(bench: Bench) -> None:
    spec = bench.spec(
        "sh",
        "-c",
        'echo "$A|$B|$HOSTNAME"; pwd; id -u; echo "$#" "$1"',
        "name",
        "it's an argument",
        environment=("A=a  b", "B=it's\ntwo lines $A"),
        workdir="/etc",
        user="1234:99",
    )
    machine = await bench.start(spec)
    assert (await machine.ended()).exit_code == 0
    assert (spec.directory / "stdout.log").read_text() == (
        f"a  b|it's\ntwo lines $A|{spec.name}\n/etc\n1234\n1 it's an argument\n"
    )


async def test_output_is_seen_while_it_grows_and_input_gets_through(bench: Bench) -> None:
    machine = await bench.start(bench.spec("sh", "-c", "echo one; read x; echo two $x; cat", stdio=Stdio.STDIN))
    await bench.seen(machine, "one\n")
    await machine.guest.write_input(b"word\nand ")
    assert await bench.seen(machine, "two word\n") == "one\ntwo word\n"
    await machine.guest.write_input("the rest: 入れ子\n".encode())
    await machine.guest.close_input()
    assert await machine.ended() == Ended(0, clean=True)
    assert dict(machine.outputs)[Stream.STDOUT].read_text() == "one\ntwo word\nand the rest: 入れ子\n"


async def test_without_an_input_there_is_none(bench: Bench) -> None:
    ended, output = await bench.run("sh", "-c", "cat; echo done")
    assert (ended.exit_code, output) == (0, "done\n")


async def test_a_terminal(bench: Bench) -> None:
    spec = bench.spec("sh", stdio=Stdio.TTY)
    machine = await bench.start(spec)
    assert [stream for stream, _ in machine.outputs] == [Stream.STDOUT]
    await machine.guest.resize(33, 101)
    # a shell throws away what is typed while it is not waiting for it
    await bench.matched(machine, "# ")
    await machine.write_terminal(b"stty size; echo e-rr >&2\r")
    await bench.matched(machine, r"33 101\r\ne-rr\r\n(?s:.)*# ")
    await machine.write_terminal(b"sh -c 'echo st\"\"arted; exec sleep 1000'\r")
    await bench.seen(machine, "started\r\n")
    await machine.write_terminal(b"\x03")
    await bench.matched(machine, r"\^C(?s:.)*# ")
    await machine.write_terminal(b"echo code-$?\r")
    await bench.matched(machine, r"code-130\r\n(?s:.)*# ")
    await machine.write_terminal(b"exit 5\r")
    assert (await machine.ended()).exit_code == 5
    assert not (spec.directory / "stderr.log").exists()


@pytest.mark.parametrize(("program", "code"), [("no-such-program", 127), ("/etc", 126)])
async def test_a_command_that_can_not_be_run(bench: Bench, program: str, code: int) -> None:
    spec = bench.spec(program)
    ended = await (await bench.start(spec)).ended()
    assert ended.exit_code == code
    assert program in ended.reason
    assert program in (spec.directory / "stderr.log").read_text()


@pytest.mark.parametrize("number", [9, 15])
async def test_a_command_that_dies_of_a_signal(bench: Bench, number: int) -> None:
    machine = await bench.start(bench.spec("sleep", FOREVER))
    await machine.guest.signal(number)
    assert (await machine.ended()).exit_code == 128 + number


async def test_a_command_is_asked_to_end_and_ends_as_it_likes(bench: Bench) -> None:
    script = 'trap "echo bye; exit 3" TERM; echo ready; while true; do sleep 0.1; done'
    machine = await bench.start(bench.spec("sh", "-c", script))
    await bench.seen(machine, "ready")
    await machine.request_power_off()
    assert await machine.ended() == Ended(3, clean=True)
    assert dict(machine.outputs)[Stream.STDOUT].read_text() == "ready\nbye\n"


async def test_power_off(bench: Bench) -> None:
    spec = bench.spec("sh", "-c", f"echo up; sleep {FOREVER}")
    machine = await bench.start(spec)
    await bench.seen(machine, "up")
    await machine.power_off()
    assert bench.processes(spec) == 0
    assert await machine.ended() == Ended(None, clean=False)
    await machine.power_off()
    assert await bench.driver.find(spec.directory) is None
    assert await bench.driver.last_end(spec.directory) == Ended(None, clean=False)
    with pytest.raises(Conflict, match=spec.name):
        await machine.state()
    with pytest.raises(GuestFailed, match=spec.name):
        await machine.guest.run(Command(("true",)))


async def test_power_off_right_after_the_start(bench: Bench) -> None:
    spec = bench.spec("sleep", FOREVER)
    machine = await bench.start(spec)
    await machine.power_off()
    assert (await machine.ended()).exit_code is None
    assert bench.processes(spec) == 0


async def test_a_paused_machine_stands_still(bench: Bench) -> None:
    machine = await bench.start(bench.spec("sh", "-c", "echo up; read x; echo $x", stdio=Stdio.STDIN))
    await bench.seen(machine, "up")
    await machine.pause()
    assert await machine.state() is MachineState.PAUSED
    writing = asyncio.create_task(machine.guest.write_input(b"word\n"))
    await machine.resume()
    assert await machine.state() is MachineState.RUNNING
    await writing
    assert (await machine.ended()).exit_code == 0
    assert dict(machine.outputs)[Stream.STDOUT].read_text() == "up\nword\n"


async def test_a_paused_machine_can_be_powered_off(bench: Bench) -> None:
    machine = await bench.start(bench.spec("sleep", FOREVER))
    await machine.pause()
    await machine.power_off()
    assert (await machine.ended()).exit_code is None


async def test_machines_outlive_who_started_them(bench: Bench) -> None:
    spec = bench.spec("sh", "-c", "echo up; read x; echo $x; read x; exit 5", stdio=Stdio.STDIN)
    machine = await bench.start(spec)
    await bench.seen(machine, "up")
    pid = machine.pid
    await bench.reopen()
    again = await bench.found(spec)
    assert (again.id, again.pid, again.ports, again.outputs) == (spec.id, pid, machine.ports, machine.outputs)
    assert await again.state() is MachineState.RUNNING
    await again.guest.write_input(b"word\n")
    await bench.seen(again, "word")
    await again.close()
    await again.close()
    third = await bench.found(spec)
    await third.guest.write_input(b"\n")
    assert await third.ended() == Ended(5, clean=True)


async def test_an_end_that_nobody_watched(bench: Bench) -> None:
    spec = bench.spec("sh", "-c", "echo up; read x; exit 5", stdio=Stdio.STDIN)
    machine = await bench.start(spec)
    await bench.seen(machine, "up")
    await machine.guest.write_input(b"\n")
    await bench.reopen()
    if (still := await bench.driver.find(spec.directory)) is not None:
        await still.ended()
    assert await bench.driver.last_end(spec.directory) == Ended(5, clean=True)


async def test_a_paused_machine_is_found_paused(bench: Bench) -> None:
    spec = bench.spec("sleep", FOREVER)
    machine = await bench.start(spec)
    await machine.pause()
    await bench.reopen()
    assert await (await bench.found(spec)).state() is MachineState.PAUSED


async def test_a_machine_that_stood_still_while_its_owner_changed_is_reached(bench: Bench) -> None:
    """It sees neither that the one let go nor that the other came: both are over when it goes on."""
    spec = bench.spec("sleep", FOREVER)
    machine = await bench.start(spec)
    assert (await bench.run_in(machine, Command(("echo", "first")))).stdout == b"first\n"
    await machine.pause()
    await bench.reopen()
    again = await bench.found(spec)
    asking = asyncio.create_task(bench.run_in(again, Command(("echo", "second"))))
    await asyncio.sleep(0.1)  # it may go on when the channel was opened; to be early makes it an easier test, no other
    await again.resume()
    assert (await asking).stdout == b"second\n"


async def test_nothing_is_found_where_nothing_was_started(bench: Bench) -> None:
    spec = bench.spec("true")
    assert await bench.driver.find(spec.directory) is None
    assert (await bench.driver.last_end(spec.directory)).exit_code is None


async def test_published_ports(bench: Bench) -> None:
    wanted = (PortMapping(80, host_ip="127.0.0.1"), PortMapping(53, "udp", host_ip="127.0.0.1"))
    first = await bench.start(bench.spec("sleep", FOREVER, ports=wanted))
    assert [replace(port, host_port=0) for port in first.ports] == list(wanted)
    numbers = [port.host_port for port in first.ports]
    assert all(numbers)
    second = bench.spec("sleep", FOREVER, ports=(PortMapping(80, host_ip="127.0.0.1", host_port=numbers[0]),))
    before = bench.contents(second.directory)
    with pytest.raises(Conflict, match=str(numbers[0])):
        await bench.start(second)
    assert bench.contents(second.directory) == before
    assert bench.processes(second) == 0
    await first.power_off()
    assert (await bench.start(second)).ports == second.ports


async def test_a_start_that_fails_leaves_nothing(bench: Bench) -> None:
    spec = bench.spec("true")
    spec.disks[0].path.unlink()
    before = bench.contents(bench.folder)
    with pytest.raises(IrekoError, match=spec.name):
        await bench.start(spec)
    assert bench.contents(bench.folder) == before
    assert bench.processes(spec) == 0
    assert await bench.driver.find(spec.directory) is None


async def test_a_start_that_is_cancelled_leaves_nothing_or_a_machine(bench: Bench) -> None:
    spec = bench.spec("sleep", FOREVER)
    before = bench.contents(bench.folder)
    starting = asyncio.create_task(bench.start(spec))
    await asyncio.sleep(0)
    starting.cancel()
    try:
        machine = await starting
    except asyncio.CancelledError:
        assert bench.contents(bench.folder) == before
        assert bench.processes(spec) == 0
    else:
        assert await machine.state() is MachineState.RUNNING


async def test_a_machine_is_started_once(bench: Bench) -> None:
    spec = bench.spec("sh", "-c", f"echo up; sleep {FOREVER}")
    machine = await bench.start(spec)
    with pytest.raises(Conflict, match=spec.name):
        await bench.driver.start(spec)
    await bench.seen(machine, "up")
    assert await machine.state() is MachineState.RUNNING
    assert bench.processes(spec) == 1


async def test_a_disk_has_one_writer(bench: Bench) -> None:
    first = bench.spec("sh", "-c", f"echo up; sleep {FOREVER}")
    await bench.seen(await bench.start(first), "up")
    second = bench.spec("true", disk=first.disks[0].path)
    with pytest.raises(IrekoError, match=second.name):
        await bench.start(second)
    assert bench.processes(second) == 0


async def test_many_at_once(bench: Bench) -> None:
    async def one(number: int) -> int | None:
        ended, output = await bench.run("sh", "-c", f"echo number {number}; exit {number}")
        assert output == f"number {number}\n"
        return ended.exit_code

    assert await asyncio.gather(*map(one, range(bench.many))) == list(range(bench.many))
