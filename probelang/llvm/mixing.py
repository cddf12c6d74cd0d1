"""Words to a hash that stands for them: 63 bits, and never 0.

mix(e, (began, tid))  ->  what no other pair gives, as far as anyone will see
"""

from __future__ import annotations

from collections.abc import Sequence

from probelang.llvm.builder import Value
from probelang.llvm.emitter import Emitter

_SEED = 0x2545F4914F6CDD1D
_MULTIPLIERS = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)


def mix(e: Emitter, words: Sequence[Value]) -> Value:
    """Of at most three words."""
    mixed = Value(str(_SEED))
    for word, multiplier in zip(words, _MULTIPLIERS, strict=False):
        mixed = e.mul(e.bits_xor(mixed, word), multiplier)
        mixed = e.bits_xor(mixed, e.shift_right(mixed, 31))
    return e.bits_or(mixed, 1)
