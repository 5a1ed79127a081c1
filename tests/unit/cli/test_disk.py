"""`ireko disk` on real files: what is shown of them, and what they are afterwards."""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import stat
import struct
import subprocess
import sys
from pathlib import Path

import click
import pytest

from ireko.cli.disk.arguments import FORMATS
from ireko.cli.group import _load
from ireko.cli.verbs import GROUPS
from ireko.disk.base import Allocation, NewLayer, Progress
from ireko.disk.chain import check_chain, open_chain
from ireko.disk.formats import create_layer, format_named, open_layer
from ireko.disk.reference import reference_to

MIB = 1 << 20
SIZE = 4 * MIB
DIRTY_BIT_OF_QCOW2 = 79
SNAPSHOTS_OF_QCOW2 = 63


def content(seed: int, length: int) -> bytes:
    return random.Random(seed).randbytes(length)


def write_disk(path: Path, parent: Path | None = None, *, seed: int = 1, offset: int = 0, zeros: int = 0) -> Path:
    """A disk of 4 MiB with 64 KiB of data at an offset, and zeros at 2 MiB."""
    new = NewLayer(SIZE, block_size=MIB if path.suffix == ".vhdx" else 0)
    if parent:
        with open_layer(parent) as layer:
            new = NewLayer(
                SIZE,
                Allocation.DIFFERENCING,
                block_size=new.block_size,
                parent=reference_to(layer.info, path),
                disk_id=layer.info.identity.disk,
            )
    with create_layer(path, new) as writer:
        writer.write_data(offset, content(seed, 1 << 16))
        if zeros:
            writer.write_zero(2 * MIB, zeros)
        writer.finish()
    return path


def shown(path: Path, *, within: tuple[Path, ...] = (), format_name: str = "") -> bytes:
    """What a disk shows; it must be sound."""
    with open_chain(path, within=within, format_name=format_name) as chain:
        assert list(check_chain(chain, Progress(), deep=True)) == []
        return chain.view.read(0, chain.view.size)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.fixture(params=["vhdx", "qcow2"])
def chain(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Path]:
    """A base and a layer on it."""
    base = write_disk(tmp_path / f"base.{request.param}")
    return base, write_disk(tmp_path / f"leaf.{request.param}", base, seed=2, offset=1 << 15)


@pytest.fixture
def vhdx(tmp_path: Path) -> tuple[Path, Path]:
    base = write_disk(tmp_path / "base.vhdx")
    return base, write_disk(tmp_path / "leaf.vhdx", base, seed=2, offset=1 << 15, zeros=MIB)


def test_the_formats_that_can_be_said_are_those_there_are() -> None:
    assert [format_named(name).name for name in FORMATS] == list(FORMATS)


@pytest.mark.parametrize("entry", GROUPS["disk"], ids=lambda entry: entry.name)
def test_every_verb_shows_an_example_of_itself(entry) -> None:
    command = _load(entry)
    assert f"ireko disk {entry.name} " in (command.epilog or "")
    with click.Context(command, info_name=entry.name) as context:
        assert all(len(line) <= 100 for line in command.get_help(context).splitlines())


def test_info_tells_people_what_a_disk_is(cli, vhdx: tuple[Path, Path]) -> None:
    base, leaf = vhdx
    ran = cli("disk", "info", str(leaf))
    assert (ran.code, ran.err) == (0, "")
    with open_layer(leaf) as layer:
        identity = layer.info.identity
    facts = dict(line.strip().split(":", 1) for line in ran.out.splitlines()[1:] if ":" in line)
    assert facts["Format"].strip() == "vhdx, differencing"
    assert facts["Virtual size"].strip() == f"4MiB ({SIZE} bytes)"
    assert facts["Content id"].strip() == identity.content
    assert facts["Disk id"].strip() == identity.disk
    links = [line.split() for line in ran.out.splitlines()[-2:]]
    assert [(link[0], link[-1]) for link in links] == [(str(leaf), "ok"), (str(base), "ok")]


def test_info_for_programs_has_plain_numbers(cli, vhdx: tuple[Path, Path]) -> None:
    base, leaf = vhdx
    item = json.loads(cli("disk", "info", "--format", "json", str(leaf)).out)
    assert (item["VirtualSize"], item["Length"], item["BlockSize"]) == (SIZE, leaf.stat().st_size, MIB)
    assert [(link["File"], link["State"]) for link in item["Chain"]] == [(str(leaf), "ok"), (str(base), "ok")]
    assert item["Parent"]["Ids"] == [item["Chain"][1]["ContentId"]]
    assert cli("disk", "info", "--format", "{{.VirtualSize}} {{.State}}", str(leaf)).out == f"{SIZE} ok\n"
    assert cli("disk", "info", "--format", "table {{.Size}}\t{{.Depth}}", str(leaf)).out.split()[-2:] == ["4MiB", "2"]


def test_info_shows_a_broken_chain_as_far_as_it_holds(cli, vhdx: tuple[Path, Path]) -> None:
    base, leaf = vhdx
    top = write_disk(leaf.with_name("top.vhdx"), leaf, seed=3)
    base.unlink()
    ran = cli("disk", "info", str(top))
    assert ran.code == 0
    assert [line.split()[-1] for line in ran.out.splitlines() if " differencing " in line] == ["ok", "broken"]
    assert "the parent is missing at" in ran.out
    assert f"hint: ireko disk repair {leaf} --parent FILE" in ran.out
    item = json.loads(cli("disk", "info", "--format", "json", str(top)).out)
    assert (item["State"], [link["State"] for link in item["Chain"]]) == ("broken", ["ok", "broken"])


def test_a_chain_that_bites_its_tail_is_shown_once(cli, tmp_path: Path) -> None:
    base = write_disk(tmp_path / "base.qcow2")
    leaf = write_disk(tmp_path / "leaf.qcow2", base)
    base.unlink()
    write_disk(tmp_path / "base.qcow2", leaf)
    item = json.loads(cli("disk", "info", "--format", "json", str(leaf)).out)
    assert [link["State"] for link in item["Chain"]] == ["ok", "broken"]
    assert "a disk that stands on this one" in item["Error"]


def test_several_files_go_on_after_one_that_fails(cli, vhdx: tuple[Path, Path], tmp_path: Path) -> None:
    ran = cli("disk", "info", "--format", "{{.File}}", *map(str, (vhdx[0], tmp_path / "none", vhdx[1])))
    assert (ran.code, ran.out) == (1, f"{vhdx[0]}\n{vhdx[1]}\n")
    assert ran.err == f'ireko: there is no file "{tmp_path / "none"}"\n'


def test_a_raw_disk_has_to_be_called_one(cli, tmp_path: Path) -> None:
    disk = tmp_path / "disk.img"
    disk.write_bytes(content(1, MIB))
    ran = cli("disk", "info", str(disk))
    assert ran.code == 1
    assert "hint: say --from raw" in ran.err
    assert cli("disk", "info", "--from", "raw", "--format", "{{.Format}}", str(disk)).out == "raw\n"


@pytest.mark.parametrize(
    ("head", "noun"),
    [
        (b"KDMV\1", "a VMDK disk"),
        (b"<<< VirtualBox".ljust(64) + b"\x7f\x10\xda\xbe", "a VDI disk"),
        (b"QED\0", "a QED disk"),
        (b"QFI\xfb\0\0\0\1", "1"),
    ],
)
def test_a_disk_that_only_others_read_is_not_taken_for_a_raw_one(cli, tmp_path: Path, head: bytes, noun: str) -> None:
    disk = tmp_path / "their disk.img"
    disk.write_bytes(head.ljust(1 << 16, b"\0"))
    ran = cli("disk", "info", str(disk))
    assert ran.code == 1
    assert f"is {noun}, it must be" in ran.err
    assert f"hint: qemu-img convert -O qcow2 '{disk}' disk.qcow2 makes a disk that is" in ran.err


def test_a_disk_without_a_byte(cli, tmp_path: Path) -> None:
    for name in ("empty.qcow2", "empty.raw"):
        (tmp_path / name).touch()
    assert "the file is empty, it must be" in cli("disk", "info", str(tmp_path / "empty.qcow2")).err
    ran = cli("disk", "convert", str(tmp_path / "empty.raw"), str(tmp_path / "new.vhdx"))
    assert ran.code == 1
    assert f'the disk "{tmp_path / "new.vhdx"}" can\'t be made: the size is 0' in ran.err
    assert sorted(files_of(tmp_path)) == ["empty.qcow2", "empty.raw"]


def test_what_a_stranger_wrote_does_not_steer_the_terminal(cli, tmp_path: Path) -> None:
    base = write_disk(tmp_path / "b\x1b[2J.qcow2")
    leaf = write_disk(tmp_path / "leaf.qcow2", base, offset=MIB)
    for argv in (["info"], ["map"], ["diff"], ["diff", "--ids"], ["check"], ["info", "--format", "table"]):
        ran = cli("disk", *argv, str(leaf), *([] if argv[0] == "map" else [str(base)]))
        assert (ran.code, "\x1b" in ran.out + ran.err) == (0, False)
        assert r"b\x1b[2J.qcow2" in ran.out
    assert json.loads(cli("disk", "diff", "--format", "json", str(base)).out)["File"] == str(base)
    base.unlink()
    for verb in ("info", "check", "map"):
        ran = cli("disk", verb, str(leaf))
        assert "\x1b" not in ran.out + ran.err
        assert r"b\x1b[2J.qcow2" in ran.out + ran.err


def test_map_says_in_which_file_data_lies(cli, vhdx: tuple[Path, Path]) -> None:
    base, leaf = vhdx
    ran = cli("disk", "map", "--format", "json", str(leaf))
    runs = [json.loads(line) for line in ran.out.splitlines()]
    assert [(run["Offset"], run["Kind"], run["File"]) for run in runs[:3]] == [
        (0, "data", str(base)),
        (1 << 15, "data", str(leaf)),
        (3 << 15, "data", str(base)),
    ]
    assert all(one["Offset"] + one["Length"] == two["Offset"] for one, two in itertools.pairwise(runs))
    for run in runs:
        if run["Kind"] == "data":
            with Path(run["File"]).open("rb") as file:
                file.seek(run["FileOffset"])
                assert file.read(run["Length"]) == shown(leaf)[run["Offset"] :][: run["Length"]]
    assert [run["Length"] for run in runs if run["Kind"] == "zero"] == [MIB]
    assert [run["File"] for run in runs if run["Kind"] == "absent"] == [None] * 2
    assert cli("disk", "map", "--data", str(leaf)).out.count("\n") == 1 + 3


def test_check_finds_nothing_wrong_with_a_sound_chain(cli, chain: tuple[Path, Path]) -> None:
    _, leaf = chain
    ran = cli("disk", "check", "--deep", str(leaf))
    assert (ran.code, ran.out, ran.err) == (0, f"{leaf}: 2 layers, no problems\n", "")
    assert cli("disk", "check", "-q", str(leaf)).out == ""


def test_check_names_what_is_wrong_and_where(cli, vhdx: tuple[Path, Path]) -> None:
    base, leaf = vhdx
    with base.open("r+b") as file:
        file.seek(64 << 10)
        file.write(b"XXXX")
    ran = cli("disk", "check", str(leaf))
    assert ran.code == 1
    first, last = ran.out.splitlines()
    assert first.startswith(f"{base}: header 1")
    assert "at offset 65536 is" in first
    assert last == f"{leaf}: 2 layers, 1 problem"
    item = json.loads(cli("disk", "check", "--format", "json", str(leaf)).out)
    assert (item["Sound"], item["Problems"][0]["Offset"], item["Problems"][0]["File"]) == (False, 64 << 10, str(base))


def test_check_looks_at_the_file_itself_when_its_chain_is_broken(cli, vhdx: tuple[Path, Path]) -> None:
    base, leaf = vhdx
    base.unlink()
    with leaf.open("r+b") as file:
        file.seek(64 << 10)
        file.write(b"XXXX")
    ran = cli("disk", "check", str(leaf))
    assert ran.code == 1
    assert [line.split(": ")[1][:8] for line in ran.out.splitlines()] == [
        "the pare",
        "ireko di",
        "header 1",
        "1 layer,",
    ]


def test_check_of_what_is_no_disk_fails(cli, tmp_path: Path) -> None:
    broken = tmp_path / "a.vhdx"
    broken.write_bytes(b"vhdxfile" + bytes(4 << 20))
    ran = cli("disk", "check", "--format", "table", str(broken), str(tmp_path / "none.vhdx"))
    assert (ran.code, ran.out.splitlines()[1].split()) == (1, [str(broken), "damaged", "0", "1"])
    assert ran.err == f'ireko: there is no file "{tmp_path / "none.vhdx"}"\n'


def test_a_deep_check_holds_content_to_its_seal(cli, tmp_path: Path) -> None:
    disk = write_disk(tmp_path / "a.vhdx")
    ran = cli("disk", "seal", str(disk))
    assert ran.code == 0
    assert ran.out == f"{disk}: {json.loads((tmp_path / 'a.vhdx.seal').read_text())['chain_id']}\n"
    assert not disk.stat().st_mode & stat.S_IWUSR
    assert cli("disk", "check", "--deep", str(disk)).code == 0
    place = disk.read_bytes().index(content(1, 64))
    disk.chmod(0o600)
    with disk.open("r+b") as file:
        file.seek(place)
        file.write(b"changed")
    ran = cli("disk", "check", "--deep", str(disk))
    assert ran.code == 1
    assert "as when it was sealed" in ran.out


def test_diff_tells_what_a_layer_adds(cli, vhdx: tuple[Path, Path]) -> None:
    _, leaf = vhdx
    item = json.loads(cli("disk", "diff", "--format", "json", str(leaf)).out)
    assert (item["DataSize"], item["ZeroSize"], item["Extents"]) == (1 << 16, MIB, 2)
    assert cli("disk", "diff", str(leaf)).out.splitlines()[1].split() == [str(leaf), "64KiB", "1MiB", "2"]
    rows = [line.split() for line in cli("disk", "diff", "--extents", str(leaf)).out.splitlines()[1:]]
    assert rows == [[str(1 << 15), str(1 << 16), "data"], [str(2 * MIB), str(MIB), "zero"]]


def test_ids_are_the_same_in_every_format(cli, tmp_path: Path) -> None:
    leaves = []
    for name in ("vhdx", "qcow2"):
        base = write_disk(tmp_path / f"base.{name}")
        leaves.append(write_disk(tmp_path / f"leaf.{name}", base, seed=2, zeros=MIB))
    ran = cli("disk", "diff", "--ids", "--format", "{{.DiffId}} {{.ChainId}}", *map(str, leaves))
    first, second = ran.out.splitlines()
    assert first == second
    assert first.count("sha256:") == 2


@pytest.mark.parametrize("wanted", FORMATS)
def test_converting_keeps_what_is_shown(cli, chain: tuple[Path, Path], tmp_path: Path, wanted: str) -> None:
    _, leaf = chain
    target = tmp_path / f"new.{wanted}"
    ran = cli("disk", "convert", str(leaf), str(target))
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"{target}: {wanted}, ")
    assert shown(target) == shown(leaf)
    with open_layer(target) as layer:
        assert layer.info.parent is None


def test_the_new_disk_is_as_it_is_wanted(cli, tmp_path: Path) -> None:
    source, target = write_disk(tmp_path / "a.qcow2"), tmp_path / "azure"
    assert cli("disk", "convert", "--format", "vhd", "--fixed", "-q", str(source), str(target)).out == ""
    with open_layer(target) as layer:
        assert (layer.info.format, layer.info.allocation) == ("vhd", Allocation.FIXED)
    target = tmp_path / "a.vhdx"
    assert cli("disk", "convert", "--block-size", "8m", str(source), str(target)).code == 0
    with open_layer(target) as layer:
        assert layer.info.block_size == 8 * MIB


def test_zeros_among_data_take_no_room_when_they_are_looked_for(cli, tmp_path: Path) -> None:
    source = tmp_path / "a.raw"
    source.write_bytes(bytes(SIZE - 512) + b"x" * 512)
    for name in ("plain", "sparse"):
        assert cli("disk", "convert", f"--sparse={name == 'sparse'}", str(source), f"{tmp_path / name}.qcow2").code == 0
    assert shown(tmp_path / "sparse.qcow2") == shown(tmp_path / "plain.qcow2") == source.read_bytes()
    assert (tmp_path / "sparse.qcow2").stat().st_size < MIB < (tmp_path / "plain.qcow2").stat().st_size


@pytest.mark.parametrize("suffix", ["qcow2", "vhd"])
def test_a_layer_is_converted_on_the_counterpart_of_its_parent(
    cli, vhdx: tuple[Path, Path], tmp_path: Path, suffix: str
) -> None:
    base, leaf = vhdx
    new_base, new_leaf = tmp_path / f"base.{suffix}", tmp_path / f"leaf.{suffix}"
    assert cli("disk", "convert", str(base), str(new_base)).code == 0
    assert cli("disk", "convert", "--parent", str(new_base), str(leaf), str(new_leaf)).code == 0
    with open_layer(new_leaf) as layer:
        assert layer.info.allocation is Allocation.DIFFERENCING
    assert shown(new_leaf) == shown(leaf)
    ids = cli("disk", "diff", "--ids", "--format", "{{.ChainId}}", str(leaf), str(new_leaf)).out.split()
    assert ids[0] == ids[1]


def test_a_flattened_parent_is_a_counterpart(cli, vhdx: tuple[Path, Path], tmp_path: Path) -> None:
    """Its chain id is another, as it is one layer and not two; but it shows the same."""
    _, middle = vhdx
    leaf = write_disk(tmp_path / "top.vhdx", middle, seed=3, offset=3 * MIB)
    flat, new_leaf = tmp_path / "flat.vhdx", tmp_path / "new.vhdx"
    assert cli("disk", "flatten", str(middle), str(flat)).code == 0
    for path in (vhdx[0], middle, leaf, flat):
        assert cli("disk", "seal", str(path)).code == 0
    assert cli("disk", "convert", "--parent", str(flat), str(leaf), str(new_leaf)).code == 0
    assert shown(new_leaf) == shown(leaf)
    with open_chain(new_leaf) as chain, open_layer(leaf) as old:
        assert chain.base.info.path == flat
        assert chain.leaf.info.identity.content != old.info.identity.content
    assert cli("disk", "seal", str(new_leaf)).code == 0


def test_a_layer_is_not_put_on_what_shows_something_else(cli, vhdx: tuple[Path, Path], tmp_path: Path) -> None:
    base, leaf = vhdx
    other = write_disk(tmp_path / "other.qcow2", seed=9)
    before = files_of(tmp_path)
    ran = cli("disk", "convert", "--parent", str(other), str(leaf), str(tmp_path / "new.qcow2"))
    assert ran.code == 1
    assert "it is not its counterpart" in ran.err
    assert (
        "leave --parent out" in cli("disk", "convert", "--parent", str(other), str(base), str(tmp_path / "n.raw")).err
    )
    assert files_of(tmp_path) == before


def test_a_sealed_layer_is_proven_without_its_parent(cli, vhdx: tuple[Path, Path], tmp_path: Path) -> None:
    base, leaf = vhdx
    new_base, new_leaf = tmp_path / "base.qcow2", tmp_path / "leaf.qcow2"
    assert cli("disk", "convert", str(base), str(new_base)).code == 0
    assert cli("disk", "seal", str(leaf)).code == 0
    before = shown(leaf)
    base.unlink()
    assert cli("disk", "convert", "--parent", str(new_base), str(leaf), str(new_leaf)).code == 0
    assert shown(new_leaf) == before


def test_flattening_keeps_the_format_unless_the_name_says_otherwise(
    cli, vhdx: tuple[Path, Path], tmp_path: Path
) -> None:
    _, leaf = vhdx
    for name, wanted in (("flat", "vhdx"), ("flat.qcow2", "qcow2")):
        assert cli("disk", "flatten", str(leaf), str(tmp_path / name)).code == 0
        assert shown(tmp_path / name) == shown(leaf)
        with open_layer(tmp_path / name) as layer:
            assert layer.info.format == wanted


def test_what_is_there_stays_unless_it_is_forced(cli, tmp_path: Path) -> None:
    source, target = write_disk(tmp_path / "a.qcow2"), tmp_path / "b.raw"
    target.write_bytes(b"precious")
    ran = cli("disk", "convert", str(source), str(target))
    assert (ran.code, target.read_bytes()) == (1, b"precious")
    assert ran.err == f'ireko: there is a file already: "{target}"\nhint: --force puts the new disk in its place\n'
    assert cli("disk", "convert", "-f", str(source), str(target)).code == 0
    assert shown(target) == shown(source)


def test_force_does_not_destroy_what_is_read_or_relied_on(cli, vhdx: tuple[Path, Path], tmp_path: Path) -> None:
    base, leaf = vhdx
    other, folder = write_disk(tmp_path / "sealed.vhdx"), tmp_path / "folder"
    folder.mkdir()
    cli("disk", "seal", str(other))
    before = files_of(tmp_path)
    for target in (leaf, base, other, folder):
        ran = cli("disk", "flatten", "--force", "--format", "vhdx", str(leaf), str(target))
        assert ran.code == 1
        assert f'"{target}"' in ran.err
    assert cli("disk", "convert", "--force", "--parent", str(base), str(leaf), str(base)).code == 1
    assert files_of(tmp_path) == before


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (["convert", "SRC"], 1, "missing argument 'DEST'"),
        (["convert", "--format", "vmdk", "SRC", "x"], 125, "'vmdk' is not one of"),
        (["convert", "SRC", "x.img"], 1, "hint: --format vhdx"),
        (["convert", "SRC", "x/y.vhdx"], 1, "there is no folder"),
        (["convert", "--fixed", "SRC", "x.qcow2"], 1, "qcow2"),
        (["convert", "--fixed", "--parent", "SRC", "SRC", "x.vhdx"], 125, "--parent goes with none of"),
        (["diff", "--ids", "--extents", "SRC"], 125, "--extents takes one FILE"),
        (["check", "--parents", "nowhere", "SRC"], 125, "does not exist"),
        (["resize", "SRC", "many"], 1, 'invalid size: "many"'),
        (["resize", "SRC", "1m"], 1, "can't be made 1048576 bytes large"),
        (["resize", "SRC", "4m"], 1, "large already"),
        (["repair", "SRC"], 1, "has no parent"),
        (["inf", "SRC"], 1, "did you mean info"),
    ],
)
def test_what_can_not_be_done_leaves_everything(cli, tmp_path: Path, argv: list[str], code: int, said: str) -> None:
    source = write_disk(tmp_path / "a.vhdx")
    before = files_of(tmp_path)
    places = {"SRC": str(source), "nowhere": str(tmp_path / "nowhere")}
    words = [places.get(word, str(tmp_path / word) if word.startswith("x") else word) for word in argv]
    ran = cli("disk", *words)
    assert (ran.code, ran.out) == (code, "")
    assert said in ran.err
    assert files_of(tmp_path) == before


def test_compacting_gives_room_back_and_keeps_the_rest(cli, chain: tuple[Path, Path]) -> None:
    base, leaf = chain
    whole = base.with_name(f"whole{base.suffix}")
    with create_layer(whole, NewLayer(SIZE, block_size=MIB if base.suffix == ".vhdx" else 0)) as writer:
        writer.write_data(0, content(1, 1 << 16) + bytes(SIZE - (1 << 16)))
        writer.finish()
    before = shown(whole), whole.stat().st_size
    ran = cli("disk", "compact", str(whole), str(leaf))
    assert ran.code == 0
    assert [line.split(": ")[0] for line in ran.out.splitlines()] == [str(whole), str(leaf)]
    assert shown(whole) == before[0]
    assert whole.stat().st_size < before[1]


@pytest.mark.parametrize(("size", "wanted"), [("6m", 6 * MIB), ("+1m", 5 * MIB)])
def test_resizing_adds_zeros(cli, tmp_path: Path, size: str, wanted: int) -> None:
    disk = write_disk(tmp_path / "a.vhdx")
    before = shown(disk)
    ran = cli("disk", "resize", str(disk), size)
    assert (ran.code, ran.out) == (0, f"{disk}: 4MiB, now {wanted // MIB}MiB ({wanted} bytes)\n")
    assert shown(disk) == before + bytes(wanted - SIZE)


def test_a_disk_that_others_stand_on_keeps_its_size(cli, vhdx: tuple[Path, Path]) -> None:
    base, leaf = vhdx
    ran = cli("disk", "resize", str(base), "8m")
    assert ran.code == 1
    assert f'other disks stand on "{base}" and would break: "{leaf}"' in ran.err


def test_a_moved_parent_is_found_again(cli, vhdx: tuple[Path, Path], tmp_path: Path) -> None:
    base, leaf = vhdx
    before = shown(leaf)
    folder = tmp_path / "away"
    folder.mkdir()
    moved = base.rename(folder / "renamed.vhdx")
    assert cli("disk", "check", str(leaf)).code == 1
    ran = cli("disk", "repair", str(leaf))
    assert (ran.code, ran.out) == (0, f"{leaf}: its parent is {moved}\n")
    assert shown(leaf) == before
    assert cli("disk", "repair", str(leaf)).out == f"{leaf}: nothing to repair\n"


def test_a_parent_in_another_folder_is_taken_when_it_is_named(cli, vhdx: tuple[Path, Path], tmp_path: Path) -> None:
    base, leaf = vhdx
    before = shown(leaf)
    folder, disks = tmp_path / "bases", tmp_path / "disks"
    for each in (folder, disks):
        each.mkdir()
    moved, leaf = base.rename(folder / base.name), leaf.rename(disks / leaf.name)
    assert "not in" in cli("disk", "repair", str(leaf)).err
    assert cli("disk", "repair", "--parents", str(folder), str(leaf)).out == f"{leaf}: its parent is {moved}\n"
    assert cli("disk", "check", str(leaf)).code == 1  # a path that leads elsewhere is not followed by itself
    assert cli("disk", "check", "--parents", str(folder), str(leaf)).code == 0
    assert shown(leaf, within=(folder,)) == before


def test_another_disk_is_not_taken_for_the_parent(cli, vhdx: tuple[Path, Path], tmp_path: Path) -> None:
    base, leaf = vhdx
    other = write_disk(tmp_path / "other.vhdx")
    base.unlink()
    before = files_of(tmp_path)
    ran = cli("disk", "repair", "--parent", str(other), str(leaf))
    assert ran.code == 1
    assert f'the identity of the parent "{other}" is' in ran.err
    assert files_of(tmp_path) == before


def test_the_link_that_is_broken_is_named_when_it_is_another(cli, vhdx: tuple[Path, Path]) -> None:
    base, leaf = vhdx
    top = write_disk(leaf.with_name("top.vhdx"), leaf, seed=3)
    base.unlink()
    ran = cli("disk", "repair", str(top))
    assert ran.code == 1
    assert f"hint: ireko disk repair {leaf} --parent FILE" in ran.err


def test_a_disk_that_may_be_in_use_is_left_alone(cli, tmp_path: Path) -> None:
    disk = write_disk(tmp_path / "a.qcow2")
    with disk.open("r+b") as file:
        file.seek(DIRTY_BIT_OF_QCOW2)
        file.write(b"\1")
    before = files_of(tmp_path)
    for argv in (["compact", str(disk)], ["resize", str(disk), "8m"]):
        ran = cli("disk", *argv)
        assert ran.code == 1
        assert "was not closed after its last use, or is in use now" in ran.err
        assert files_of(tmp_path) == before
    ran = cli("disk", "convert", str(disk), str(tmp_path / "b.raw"))
    assert ran.code == 0
    assert "was not closed after its last use" in ran.err
    assert cli("disk", "compact", "--force", str(disk)).code == 0
    assert cli("disk", "check", str(disk)).code == 0


def test_snapshots_inside_a_disk_are_never_lost_unsaid(cli, tmp_path: Path) -> None:
    disk = write_disk(tmp_path / "a.qcow2")
    with disk.open("r+b") as file:
        file.seek(SNAPSHOTS_OF_QCOW2)
        file.write(b"\2")
    before = files_of(tmp_path)
    for argv in (["compact", str(disk)], ["compact", "--force", str(disk)], ["resize", str(disk), "8m"]):
        ran = cli("disk", *argv)
        assert ran.code == 1
        assert "holds 2 internal snapshots, which would be lost\nhint: qemu-img snapshot -l" in ran.err
        assert files_of(tmp_path) == before
    ran = cli("disk", "convert", str(disk), str(tmp_path / "b.raw"))
    assert ran.code == 0
    assert "holds internal snapshots, which are not copied" in ran.err


def test_what_can_not_be_proven_is_left_to_who_knows(cli, tmp_path: Path) -> None:
    base = write_disk(tmp_path / "base.qcow2")
    leaf = write_disk(tmp_path / "the leaf.qcow2", base, seed=2)
    (tmp_path / "moved").mkdir()
    moved = base.rename(tmp_path / "moved" / "base.qcow2")
    remedy = f"hint: qemu-img rebase -u -F qcow2 -b PARENT '{leaf}'\n"
    assert remedy in cli("disk", "check", str(leaf)).out
    ran = cli("disk", "repair", str(leaf))
    assert (
        "what is recorded of its parent is a name alone, it must be an identity, or a seal beside the disk" in ran.err
    )
    assert remedy in ran.err
    ran = cli("disk", "repair", "--parent", str(moved), str(leaf))
    assert f"hint: qemu-img rebase -u -F qcow2 -b moved/base.qcow2 '{leaf}', when you know" in ran.err


def test_a_layer_whose_format_fits_no_parent_says_why(cli, vhdx: tuple[Path, Path], tmp_path: Path) -> None:
    base, leaf = vhdx
    assert cli("disk", "convert", str(base), str(tmp_path / "base.qcow2")).code == 0
    ran = cli("disk", "convert", "--parent", str(tmp_path / "base.qcow2"), str(leaf), str(tmp_path / "new.vhdx"))
    assert ran.code == 1
    assert "a VHDX disk stands on VHDX or VHD, its parent is a qcow2 disk that records no identity" in ran.err


def test_compacting_makes_no_compressed_disk_larger(cli, tmp_path: Path) -> None:
    if not (qemu_img := shutil.which("qemu-img")):
        pytest.skip("qemu-img is not installed")
    (tmp_path / "a.raw").write_bytes(b"compressible".ljust(512) * 8192)
    disk = tmp_path / "a.qcow2"
    command = [qemu_img, "convert", "-c", "-f", "raw", "-O", "qcow2", str(tmp_path / "a.raw"), str(disk)]
    subprocess.run(command, check=True, timeout=50)
    before = files_of(tmp_path)
    assert cli("disk", "compact", str(disk)).code == 0
    assert files_of(tmp_path) == before


def test_a_folder_is_no_new_disk(cli, tmp_path: Path) -> None:
    disk = write_disk(tmp_path / "a.qcow2")
    for verb, more in (("convert", ()), ("convert", ("--format", "raw", "--force")), ("flatten", ())):
        ran = cli("disk", verb, *more, str(disk), str(tmp_path))
        assert ran.code == 1
        assert ran.err == f'ireko: "{tmp_path}" is a folder\nhint: name a file in it: {tmp_path / "disk"}.vhdx\n'


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_disk_that_may_not_be_read_is_no_wrong_option(cli, tmp_path: Path) -> None:
    closed, disk = write_disk(tmp_path / "a.qcow2"), write_disk(tmp_path / "b.qcow2")
    closed.chmod(0)
    ran = cli("disk", "info", "--format", "{{.File}}", str(closed), str(disk))
    assert (ran.code, ran.out) == (1, f"{disk}\n")
    assert ran.err == f'ireko: the system does not let us use "{closed}"\n'


@pytest.mark.skipif(sys.platform != "linux", reason="only there QEMU's locks can be asked for")
def test_a_disk_in_use_is_called_so(cli, tmp_path: Path) -> None:
    import fcntl

    disk = write_disk(tmp_path / "a.qcow2")
    told = "{{.InUse}} {{.Dirty}}"
    with disk.open("rb") as machine:
        fcntl.fcntl(machine, fcntl.F_OFD_SETLK, struct.pack("@hhqqi0q", fcntl.F_RDLCK, 0, 101, 1, 0))
        assert "State:           in use by a machine that runs\n" in cli("disk", "info", str(disk)).out
        assert cli("disk", "check", str(disk)).out == f"{disk}: 1 layer, no problems, in use by a machine that runs\n"
        for verb in ("info", "check"):
            assert cli("disk", verb, "--format", told, str(disk)).out == "true false\n"
    assert cli("disk", "info", "--format", told, str(disk)).out == "false false\n"


def test_a_parent_that_has_come_beside_its_child_is_recorded_there(cli, tmp_path: Path) -> None:
    (tmp_path / "bases").mkdir()
    base = write_disk(tmp_path / "bases" / "base.vhdx")
    leaf = write_disk(tmp_path / "leaf.avhdx", base, seed=2)
    before = shown(leaf, within=(tmp_path,))
    beside = base.rename(tmp_path / "base.vhdx")
    assert cli("disk", "check", str(leaf)).code == 0  # under its name here, which Hyper-V would not look for
    assert cli("disk", "repair", str(leaf)).out == f"{leaf}: its parent is {beside}\n"
    with open_layer(leaf) as layer:
        assert layer.info.parent is not None
        assert layer.info.parent.paths[0].text == ".\\base.vhdx"
    assert shown(leaf) == before
    assert cli("disk", "repair", str(leaf)).out == f"{leaf}: nothing to repair\n"


def test_a_seal_is_told_from_the_disk_that_it_is_of(cli, tmp_path: Path) -> None:
    disk = write_disk(tmp_path / "a.qcow2")
    assert cli("disk", "seal", str(disk)).code == 0
    ran = cli("disk", "info", f"{disk}.seal")
    assert "the file is the seal of a disk, it must be" in ran.err
    assert "hint: name the disk that it lies beside\n" in ran.err
