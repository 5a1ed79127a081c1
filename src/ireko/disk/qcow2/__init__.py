"""qcow2 disks: https://www.qemu.org/docs/master/interop/qcow2.html."""

from ireko.disk.files import DiskFile
from ireko.disk.formats import Format
from ireko.disk.qcow2.empty import create
from ireko.disk.qcow2.image import Qcow2Info, inspect, is_untouched
from ireko.disk.qcow2.layer import Qcow2Layer, open_qcow2
from ireko.disk.qcow2.structure import MAGIC
from ireko.disk.qcow2.writer import Qcow2Writer, create_qcow2

__all__ = [
    "FORMAT",
    "Qcow2Info",
    "Qcow2Layer",
    "Qcow2Writer",
    "create",
    "create_qcow2",
    "inspect",
    "is_untouched",
    "open_qcow2",
]

_SIGNATURE = MAGIC.to_bytes(4, "big")


def _recognise(file: DiskFile) -> bool:
    return file.read(0, len(_SIGNATURE)) == _SIGNATURE


FORMAT = Format("qcow2", (".qcow2",), _recognise, open_qcow2, create_qcow2)
