"""A layer whose parent was moved finds it again; only when it is proven to be the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ireko.disk.base import Layer, LayerInfo, Progress
from ireko.disk.chain import Chain, chain_ids, open_chain
from ireko.disk.delta import diff_id
from ireko.disk.errors import DiskDamaged
from ireko.disk.formats import open_layer
from ireko.disk.links import ChainBroken, unproven_hint
from ireko.disk.operations.rewriting import allowed_folders, disks_in, rewrite, same_as
from ireko.disk.reference import reference_to
from ireko.disk.seals import Seal, read_seal, state_of
from ireko.disk.transfer import transfer
from ireko.disk.view import View
from ireko.errors import Conflict, IrekoError


def repair(
    path: Path, *, parent: Path | None = None, within: Sequence[Path] = (), progress: Progress | None = None
) -> Path:
    """Have a disk point to where its parent is now; the parent's path.

    `parent` is where that is; by default it is looked for in the folders `within`. It is taken only when its identity is the one
    that the disk has recorded, or when it shows exactly what the parent showed when the disk was sealed, for which it is read.
    Raises ChainBroken when there is none, or it is another; DiskDamaged when the disk is not what it was sealed with.
    """
    steps = progress or Progress()
    folders = allowed_folders(path, within)
    with open_layer(path) as layer:
        if layer.info.parent is None:
            raise Conflict(f'the disk "{path}" has no parent')
        seal = _held_seal(layer, steps)
        found = parent or _search(layer, folders)
        with open_chain(found, within=(*folders, found.absolute().parent)) as chain:
            _prove(layer.info, seal, chain, steps)
            new = replace(
                same_as(layer.info),
                parent=reference_to(chain.leaf.info, path),
                disk_id=chain.base.info.identity.disk or layer.info.identity.disk,
            )
        rewrite(layer.info, new, lambda writer: transfer(View([layer]), writer, steps), done_with=layer, seal=seal)
    return found


def _held_seal(layer: Layer, progress: Progress) -> Seal | None:
    """The disk's seal. When its file has another time, as after a copy, it is read. Raises DiskDamaged when it is another."""
    path, seal = layer.info.path, read_seal(layer.info.path)
    if seal is None or (seal.length, seal.modified) == state_of(layer.file):
        return seal
    if (found := diff_id(layer, progress)) != seal.diff_id:
        wanted = f"{seal.diff_id}, as when it was sealed"
        raise DiskDamaged(path, "what the disk adds", found=found, wanted=wanted)
    return seal


def _search(layer: Layer, folders: Sequence[Path]) -> Path:
    """The first disk that is proven to be the parent without being read."""
    seal, reference = read_seal(layer.info.path), layer.info.parent
    assert reference is not None
    for path in disks_in(folders):
        try:
            with open_layer(path) as other:
                identity = other.info.identity.content
            other_seal = read_seal(path)
        except IrekoError:
            continue
        if identity and identity in reference.identities:
            return path
        if seal and other_seal and other_seal.chain_id == seal.parent_chain_id:
            return path
    names = " and ".join(f'"{each}"' for each in folders)
    if reference.identities or seal:
        raise ChainBroken(layer.info.path, "the parent", found=f"not in {names}", wanted="there")
    structure, wanted = "what is recorded of its parent", "an identity, or a seal beside the disk"
    hint = unproven_hint(layer.info) if layer.info.format == "qcow2" else ""
    raise ChainBroken(layer.info.path, structure, found="a name alone", wanted=wanted, hint=hint)


def _prove(info: LayerInfo, seal: Seal | None, chain: Chain, progress: Progress) -> None:
    assert info.parent is not None
    identity = chain.leaf.info.identity.content
    if identity and identity in info.parent.identities:
        return
    if seal is None:
        raise _unproven(info, chain.leaf.info)
    name = f'the parent "{chain.leaf.info.path}"'
    shown = chain_ids(chain.layers, progress)[0][1]
    if shown != seal.parent_chain_id:
        wanted = f"{seal.parent_chain_id}, as when the child was sealed"
        raise ChainBroken(info.path, f"the content of {name}", found=shown, wanted=wanted)


def _unproven(info: LayerInfo, parent: LayerInfo) -> ChainBroken:
    assert info.parent is not None
    wanted = " or ".join(info.parent.identities) or "one that the child has recorded, or the child sealed"
    hint = ""
    if info.format == "qcow2":
        hint = unproven_hint(info, reference_to(parent, info.path).paths[0].text, parent.format)
        hint += ", when you know that it is the one"
    found = parent.identity.content or "none"
    return ChainBroken(info.path, f'the identity of the parent "{parent.path}"', found=found, wanted=wanted, hint=hint)
