"""A layer becomes read-only, and what it is gets written down."""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from ireko.disk.base import Progress
from ireko.disk.chain import Chain, chain_ids, open_chain
from ireko.disk.delta import chain_id, diff_id
from ireko.disk.errors import DiskDamaged, told
from ireko.disk.operations.rewriting import left_alone
from ireko.disk.seals import Seal, read_seal, seal_path, state_of, write_seal
from ireko.disk.use import refuse_use

_WRITE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


def seal(path: Path, *, within: Sequence[Path] = (), format_name: str = "", progress: Progress | None = None) -> Seal:
    """Make a layer read-only and put its seal beside it. All of its data is read, and that of parents without a seal.

    A layer that was sealed already is held to its seal, which is renewed: that is what to do after a copy that didn't keep times.
    Raises DiskDamaged when its content is another than it was sealed with, Conflict when a machine writes to it or a parent.
    """
    with open_chain(path, within=within, format_name=format_name) as chain, _read_only(path):
        refuse_use(path)
        found = _read(chain, progress or Progress())
        _compare(path, found)
        refuse_use(path)
        write_seal(path, found)
    return found


@contextlib.contextmanager
def _read_only(path: Path) -> Iterator[None]:
    """Nobody writes to a file from here on; when what is done within it fails, it is as it was."""
    with told(path):
        mode = stat.S_IMODE(path.stat().st_mode)
        path.chmod(mode & ~_WRITE)
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):  # what went wrong is told
            path.chmod(mode)
        raise


def _read(chain: Chain, progress: Progress) -> Seal:
    length, modified = state_of(chain.leaf.file)
    with left_alone(chain.layers):
        below = chain_ids(chain.layers[1:], progress)[0][1] if chain.parent else ""
        own = diff_id(chain.leaf, progress)
    return Seal(own, chain_id(below, own), below, chain.leaf.info.format, length, modified)


def _compare(path: Path, found: Seal) -> None:
    before = read_seal(path)
    if before and before.chain_id != found.chain_id:
        hint = f"delete {seal_path(path)} if it was changed on purpose and no disk stands on it"
        wanted = f"{before.chain_id}, as when it was sealed"
        raise DiskDamaged(path, "the content", found=found.chain_id, wanted=wanted, hint=hint)
