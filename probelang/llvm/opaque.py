"""Strings that may be tokens: what looks into one fails, instead of looking at its digits.

strlen(s)  ->  if s begins as a token does: the soft error TOKEN       only in programs whose process probes make tokens
"""

from __future__ import annotations

from collections.abc import Sequence

from probelang.artifact.stacks import PLACE_TOKENS, STACK_TOKEN, STACK_TOKEN_BYTES
from probelang.llvm.emitter import Emitter
from probelang.llvm.values import StrVal

TOKEN = "a stack or name is known when it is shown only"


def refuse_tokens(e: Emitter, values: Sequence[object], at: int) -> None:
    """A soft error at place `at` where one of the values is a token."""
    if not e.module.makes_tokens:
        return
    for value in values:
        if isinstance(value, StrVal) and _may_be_token(value):
            _refuse(e, value, at)


def _may_be_token(value: StrVal) -> bool:
    return value.literal is None and not value.remote and not 0 < value.padded < STACK_TOKEN_BYTES


def _refuse(e: Emitter, value: StrVal, at: int) -> None:
    first = e.load(value.data, bits=16)
    is_token = e.compare("uge", value.length, STACK_TOKEN_BYTES)
    any_kind = e.compare("eq", first, int.from_bytes(STACK_TOKEN, "little"))
    for kind in PLACE_TOKENS:
        any_kind = e.either(any_kind, e.compare("eq", first, int.from_bytes(kind, "little")))
    e.fail_if(e.both(is_token, any_kind), TOKEN, at)
