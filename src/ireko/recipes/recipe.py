"""A recipe as its author writes it: a small TOML file. `docs/how-to/write-a-recipe.md` explains it to people."""

from __future__ import annotations

import enum
import re
from importlib import resources

import msgspec

from ireko.errors import InvalidInput, NotFound
from ireko.model.image import GIB, MIB, ImageConfig
from ireko.model.names import Reference

_UNITS = {"M": MIB, "MIB": MIB, "G": GIB, "GIB": GIB}
_SIZE = re.compile(r"(\d+)\s*([MG](?:iB)?)", re.IGNORECASE)
_BUILT_IN = resources.files("ireko.recipes") / "builtin"


class Kind(enum.Enum):
    """What the root file system is."""

    BUSYBOX = "busybox"
    """A kernel, busybox and nothing else: for one command at a time."""
    DEBIAN = "debian"
    """A Debian system on a disk that firmware can boot, too."""


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table `[image]`: what containers inherit; the words are those of ImageConfig."""

    init: str | None = None
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    workdir: str = ""
    user: str = ""
    exposed_ports: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    stop_timeout: int | None = None
    cpus: float = 1
    memory: str = "256 MiB"
    licence: str = ""


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`names` are the images that it makes, as `repository[:tag]`; `packages` and `commands` are for Kind.DEBIAN.

    `commands` are lines for the new system's own /bin/sh, run as its root when it is put together.
    """

    kind: Kind
    names: tuple[str, ...] = ()
    description: str = ""
    suite: str = "bookworm"
    capacity: str = "1 GiB"
    packages: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    image: Config = Config()

    @property
    def capacity_bytes(self) -> int:
        """The virtual size of the disk. Raises InvalidInput."""
        return _bytes("capacity", self.capacity)

    @property
    def references(self) -> tuple[Reference, ...]:
        """The names of the image. Raises InvalidInput."""
        return tuple(Reference.parse(name) for name in self.names)

    def config(self) -> ImageConfig:
        """What containers inherit, without the boot files. Raises InvalidInput."""
        config = self.image
        return ImageConfig(
            init=config.init,
            command=config.command,
            entrypoint=config.entrypoint,
            environment=config.environment,
            workdir=config.workdir,
            user=config.user,
            exposed_ports=config.exposed_ports,
            labels=config.labels,
            stop_timeout=config.stop_timeout,
            cpus=config.cpus,
            memory=_bytes("memory", config.memory),
            licence=config.licence,
        )


def parse(text: str, *, name: str) -> Recipe:
    """Read a recipe's TOML; an image without names of its own is named after the recipe. Raises InvalidInput."""
    try:
        recipe = msgspec.toml.decode(text, type=Recipe)
    except msgspec.MsgspecError as error:
        raise InvalidInput(
            f'the recipe "{name}" is invalid: {error}', hint="ireko image recipes lists the built-in ones"
        ) from error
    recipe = recipe if recipe.names else msgspec.structs.replace(recipe, names=(name,))
    # what is wrong with the values is better known before minutes of work
    _ = recipe.references, recipe.capacity_bytes, recipe.config()
    if recipe.kind is Kind.BUSYBOX and (recipe.packages or recipe.commands):
        raise InvalidInput(f'the recipe "{name}" is of the kind "busybox": it takes no packages and no commands')
    return recipe


def built_in_names() -> list[str]:
    """The recipes that come with ireko."""
    return sorted(entry.name.removesuffix(".toml") for entry in _BUILT_IN.iterdir() if entry.name.endswith(".toml"))


def load_recipe(name: str) -> Recipe:
    """A built-in recipe. Raises NotFound."""
    if name not in built_in_names():
        raise NotFound(f'there is no recipe "{name}"', hint=f"known: {', '.join(built_in_names())}")
    return parse((_BUILT_IN / f"{name}.toml").read_text(encoding="utf-8"), name=name)


def _bytes(key: str, text: str) -> int:
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise InvalidInput(f'"{key}" is "{text}": it needs a number and a unit, such as "512 MiB" or "4 GiB"')
    return int(match[1]) * _UNITS[match[2].upper()]
