"""How the programs read their arguments."""

from __future__ import annotations

from ireko.drivers.fake.process import Process


def options(process: Process) -> tuple[str, list[str]]:
    """The letters of the options, and the other arguments."""
    letters, words = "", list(process.argv[1:])
    while words and words[0].startswith("-") and len(words[0]) > 1:
        option = words.pop(0)
        if option == "--":
            break
        letters += option[1:]
    return letters, words
