"""Names for containers that were given none: two Japanese words, as boxes that fit in boxes deserve."""

from __future__ import annotations

import secrets

_FIRST = """
    akai aoi arai asai atsui furui hayai hikui hiroi hosoi karui katai kiiroi kuroi marui nagai omoi semai shiroi subayai
    suzushii takai tooi tsuyoi usui utsukushii wakai yasashii yawarakai yutaka
"""
_SECOND = """
    ame asa fune hachi hako hana hasami hata hato hon hoshi ishi kaba kagi kaki kani kaze kiri kitsune kumo kuruma mado
    matsu mizu mori neko niwa nori ocha oka sakana sakura shika sora sumi tako tani tanuki toge tori tsuki ume umi usagi
    wani yama yuki zou
"""
_TRIES_WITHOUT_NUMBER = 3


def free(taken: set[str]) -> str:
    """A name that is not taken."""
    attempt = 0
    while True:
        number = "" if attempt < _TRIES_WITHOUT_NUMBER else str(secrets.randbelow(10 ** min(attempt, 9)))
        name = f"{secrets.choice(_FIRST.split())}_{secrets.choice(_SECOND.split())}{number}"
        if name not in taken:
            return name
        attempt += 1
