"""The keys that leave a container to itself."""

from __future__ import annotations

from ireko.errors import InvalidInput

DEFAULT = "ctrl-p,ctrl-q"


def parse_keys(written: str) -> bytes:
    """The bytes of `ctrl-p,ctrl-q` or `a,b`. Raises InvalidInput."""
    return b"".join(_key(name.strip(), written) for name in written.split(","))


def _key(name: str, written: str) -> bytes:
    if len(name) == 1 and name.isascii():
        return name.encode()
    letter = name.lower().removeprefix("ctrl-")
    if name.lower().startswith("ctrl-") and len(letter) == 1 and (letter.isalpha() or letter in "@[\\]^_"):
        return bytes([ord(letter.upper()) & 0x1F])
    raise InvalidInput(
        f'invalid detach keys "{written}": "{name}" is no key', hint="write single characters or ctrl-a … ctrl-z"
    )


class DetachFilter:
    """Watches what is typed for the keys; what may be their beginning is held back until it is known not to be."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._held = b""

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """What is to be passed on, and whether the keys were typed; after them nothing is passed on."""
        passed = bytearray()
        for position in range(len(data)):
            self._held += data[position : position + 1]
            while self._held and not self._keys.startswith(self._held):
                passed += self._held[:1]
                self._held = self._held[1:]
            if self._keys and self._held == self._keys:
                return bytes(passed), True
        return bytes(passed), False
