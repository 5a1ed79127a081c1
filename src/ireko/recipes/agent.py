"""The guest's program, made from its source in `ireko.guest.inside`: static, small, and the same bytes each time.

A compiler of 300 KB and a C library made for static programs come from Debian's packages, so nothing is installed for it
(docs/decisions/0002-guest-agent.md).
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from ireko.host import process
from ireko.recipes.packages import Archive

_COMPILER, _LIBRARY = "tcc", "musl-dev"
_TRIPLET = "x86_64-linux"


async def compile_agent(archive: Archive, target: Path) -> None:
    """Compile the agent to `target`. Raises what the archive raises; ProgramFailed with what the compiler says."""
    folders = await archive.unpack((_COMPILER, _LIBRARY))
    compiler, library = folders[_COMPILER], folders[_LIBRARY]
    support = compiler / f"usr/lib/{_TRIPLET}-gnu/tcc"
    objects = library / f"usr/lib/{_TRIPLET}-musl"
    with resources.as_file(resources.files("ireko.guest.inside") / "agent") as source:
        await process.run(
            *(compiler / "usr/bin/tcc", "-B", support, "-static", "-nostdlib", "-nostdinc"),
            *("-I", library / f"usr/include/{_TRIPLET}-musl", "-I", support / "include", "-o", target),
            *(objects / "crt1.o", objects / "crti.o", *sorted(source.glob("*.c"))),
            *(objects / "libc.a", support / "libtcc1.a", objects / "crtn.o"),
        )
