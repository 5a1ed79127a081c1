"""A system of 80 bytes that any BIOS boots: it tells what a machine's devices do without a kernel that has drivers for them.

It says `>`; each key that it is given fills the next sector of its disk (the first key: sector 1), and is said when that is
written, `!` when it can't be.
"""

from __future__ import annotations

from pathlib import Path

from ireko.disk.operations.flatten import flatten

SECTOR = 512
SIZE = 1 << 20
_CODE = bytes.fromhex(
    "31c0 8ed8 8ec0 8ed0 bc007c"  # xor ax, ax; mov ds, ax; mov es, ax; mov ss, ax; mov sp, 7C00
    "8816 3f7c b03e"  # mov [drive], dl; mov al, '>'
    "b40e 31db cd10"  # say: mov ah, 0E; xor bx, bx; int 10 (say al)
    "31c0 cd16 88c3"  # xor ax, ax; int 16 (wait for a key); mov bl, al
    "bf0080 b90001 88c4 f3ab"  # mov di, 8000; mov cx, 100; mov ah, al; rep stosw
    "53 ff06 487c"  # push bx; inc word [sector]
    "be407c b80043 8a16 3f7c cd13"  # mov si, packet; mov ax, 4300; mov dl, [drive]; int 13 (write)
    "58 73d6 b021 ebd2"  # pop ax; jnc say; mov al, '!'; jmp say
    "00"  # drive: db 0
    "1000 0100 0080 0000 0000000000000000"  # packet: 16 bytes, 1 sector, from 0000:8000, to the sector
)


def install(path: Path) -> None:
    """Write its disk, in the format that the suffix stands for."""
    raw = path.with_name(f"{path.name}.raw")
    raw.write_bytes(_CODE.ljust(SECTOR - 2, b"\0") + b"\x55\xaa" + bytes(SIZE - SECTOR))
    flatten(raw, path)
    raw.unlink()
