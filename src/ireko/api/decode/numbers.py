"""Whole numbers as clients write them."""

from __future__ import annotations


def whole(text: str, highest: int) -> int | None:
    """The number that decimal digits stand for; None for anything else, and above `highest`, however many digits there are."""
    if not text.isascii() or not text.isdigit() or len(text.lstrip("0")) > len(str(highest)):
        return None
    number = int(text.lstrip("0") or "0")
    return number if number <= highest else None
