"""VHD disks, the format before VHDX."""

from ireko.disk.files import DiskFile
from ireko.disk.formats import Format
from ireko.disk.vhd.layer import DynamicLayer, FixedLayer, open_vhd
from ireko.disk.vhd.structures import Footer
from ireko.disk.vhd.writer import create_vhd

__all__ = ["FORMAT", "DynamicLayer", "FixedLayer", "create_vhd", "open_vhd"]


def _recognise(file: DiskFile) -> bool:
    ends = (0, max(0, file.length() - Footer.LENGTH))
    return any(file.read(offset, len(Footer.COOKIE)) == Footer.COOKIE for offset in ends)


FORMAT = Format("vhd", (".vhd", ".avhd"), _recognise, open_vhd, create_vhd)
