"""qcow2 disks: https://www.qemu.org/docs/master/interop/qcow2.html."""

from ireko.disk.qcow2.image import Qcow2Info, inspect, is_untouched
from ireko.disk.qcow2.writer import create

__all__ = ["Qcow2Info", "create", "inspect", "is_untouched"]
