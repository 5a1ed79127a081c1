"""The QEMU driver: machines are QEMU processes that outlive us, their disks qcow2 chains.

Three floors: what QEMU understands (`command`, `monitor`, `network`, `shares`, `storage`), one machine (`machine`, `process`,
`output`, `usage`, `ending`), and the life of all of them (`driver`, `launch`, `probe`, `findings`).
"""

from ireko.drivers.qemu.driver import QemuDriver

__all__ = ["QemuDriver"]
