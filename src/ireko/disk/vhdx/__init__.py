"""VHDX disks, as Hyper-V has them (MS-VHDX)."""

from ireko.disk.files import DiskFile
from ireko.disk.formats import Format
from ireko.disk.vhdx.layer import VhdxLayer, open_vhdx
from ireko.disk.vhdx.structures import SIGNATURE
from ireko.disk.vhdx.writer import VhdxWriter, create_vhdx

__all__ = ["FORMAT", "VhdxLayer", "VhdxWriter", "create_vhdx", "open_vhdx"]


def _recognise(file: DiskFile) -> bool:
    return file.read(0, len(SIGNATURE)) == SIGNATURE


FORMAT = Format("vhdx", (".vhdx", ".avhdx"), _recognise, open_vhdx, create_vhdx)
