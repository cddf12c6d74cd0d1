"""Operators on strings: concatenation and comparison.

execname() == "bash"     ->  one load and comparison, no call
a . ":" . b              ->  three copies into a buffer of the frame
"""

from __future__ import annotations

import operator
from collections.abc import Sequence

from probelang.llvm.builder import Predicate, Value
from probelang.llvm.cut import cut_literal
from probelang.llvm.emitter import Emitter
from probelang.llvm.text import comparison
from probelang.llvm.text.compose import Composition, buffer_offset
from probelang.llvm.values import StrVal

INLINE_BYTES = 64  # literals up to this length are compared without a call

_PREDICATES: dict[str, Predicate] = {"==": "eq", "!=": "ne", "<": "slt", "<=": "sle", ">": "sgt", ">=": "sge"}
_FOLDED = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


def concat(e: Emitter, parts: Sequence[StrVal]) -> StrVal:
    """All parts one behind the other, cut once at the end."""
    literals = [part.literal for part in parts]
    if all(literal is not None for literal in literals):
        return e.literal(cut_literal(b"".join(literal or b"" for literal in literals), e.string_size))
    composition = Composition(e)
    for part in parts:
        composition.text(part)
    return composition.finish()


def compare(e: Emitter, op: str, left: StrVal, right: StrVal) -> Value:
    """`left op right` in byte order -> 0 or 1."""
    if left.literal is not None and right.literal is not None:
        return Value(str(int(_FOLDED[op](left.literal, right.literal))))
    if op in ("==", "!="):
        equal = equals(e, left, right)
        return equal if op == "==" else e.bits_xor(equal, 1)
    return e.widen(e.compare(_PREDICATES[op], order(e, left, right), 0))


def order(e: Emitter, left: StrVal, right: StrVal) -> Value:
    a, b = buffer_offset(e, left), buffer_offset(e, right)
    return e.routine("text_compare", ("a", "b"), comparison.compare, a, b)


def equals(e: Emitter, left: StrVal, right: StrVal) -> Value:
    """0 or 1."""
    if left.literal is not None:
        left, right = right, left
    if right.literal is not None:
        literal = right.literal
        if len(literal) >= (left.padded or e.string_size):
            return Value("0")
        if left.padded:
            return _same_words(e, left, literal + b"\0")
        if len(literal) <= INLINE_BYTES:
            left = e.in_frame(left) if left.remote else left
            return _same_bytes(e, left, literal)
    a, b = buffer_offset(e, left), buffer_offset(e, right)
    return e.routine("text_equal", ("a", "b"), comparison.equal, a, b)


def _same_words(e: Emitter, text: StrVal, literal: bytes) -> Value:
    """The zero-padded `text` against a literal with its NUL: whole words, the length does not matter."""
    literal = literal.ljust((len(literal) + 7) // 8 * 8, b"\0")
    difference = Value("0")
    for at in range(0, len(literal), 8):
        word = e.load(e.offset(text.data, at))
        difference = e.bits_or(difference, e.bits_xor(word, int.from_bytes(literal[at : at + 8], "little")))
    return e.widen(e.compare("eq", difference, 0))


def _same_bytes(e: Emitter, text: StrVal, literal: bytes) -> Value:
    """Length first, without a branch: what lies behind a shorter string is in bounds, whatever it is."""
    difference = e.bits_xor(text.length, len(literal))
    at = 0
    for size in (8, 4, 2, 1):
        while len(literal) - at >= size:
            word = e.load(e.offset(text.data, at), bits=8 * size)
            difference = e.bits_or(
                difference, e.bits_xor(word, int.from_bytes(literal[at : at + size], "little"))
            )
            at += size
    return e.widen(e.compare("eq", difference, 0))
