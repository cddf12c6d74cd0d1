"""Builtins that read the memory of the probed process. An address that cannot be read is the soft error
`user read fault at 0x...`, unless the builtin has a fallback.

    printf("%s\n", user_string_n(pointer_arg(2), int_arg(3)))
"""

from __future__ import annotations

from probelang.artifact.code import Type
from probelang.builtins import Builtin

L, S = Type.LONG, Type.STRING


def _string(name: str, parameters: tuple[Type, ...], doc: str) -> Builtin:
    return Builtin(name, parameters, S, doc, faults=True)


def _number(name: str, what: str) -> Builtin:
    return Builtin(name, (L,), L, f"The {what} at an address of the process.", faults=True)


STRINGS: tuple[Builtin, ...] = (
    _string("user_string", (L,), "The C string at an address of the process."),
    _string(
        "user_string", (L, S), "The C string at an address; the second argument where it cannot be read."
    ),
    _string(
        "user_string2", (L, S), "The C string at an address; the second argument where it cannot be read."
    ),
    _string("user_string_n", (L, L), "The C string at an address, at most n bytes of it."),
    _string(
        "user_string_n", (L, L, S), "At most n bytes of the C string at an address, or the third argument."
    ),
    _string(
        "user_string_n2", (L, L, S), "At most n bytes of the C string at an address, or the third argument."
    ),
    _string(
        "user_string_quoted",
        (L,),
        'The C string at an address in quotes and escaped as by text_strn; `NULL` for 0, the address as "%#x" where it '
        "cannot be read.",
    ),
    _string(
        "user_string_n_quoted", (L, L), "The same as user_string_quoted, of at most n bytes of the string."
    ),
)

NUMBERS: tuple[Builtin, ...] = (
    _number("user_char", "signed 8-bit number"),
    _number("user_short", "signed 16-bit number"),
    _number("user_ushort", "unsigned 16-bit number"),
    _number("user_int", "signed 32-bit number"),
    _number("user_uint", "unsigned 32-bit number"),
    _number("user_long", "signed 64-bit number"),
    _number("user_ulong", "unsigned 64-bit number"),
    _number("user_int8", "signed 8-bit number"),
    _number("user_uint8", "unsigned 8-bit number"),
    _number("user_int16", "signed 16-bit number"),
    _number("user_uint16", "unsigned 16-bit number"),
    _number("user_int32", "signed 32-bit number"),
    _number("user_uint32", "unsigned 32-bit number"),
    _number("user_int64", "signed 64-bit number"),
    _number("user_uint64", "unsigned 64-bit number"),
    Builtin(
        "user_return_address",
        (L,),
        L,
        "The return address at an address of the stack; where a return probe has put another in its place, the true one.",
        faults=True,
    ),
)

ROWS: tuple[Builtin, ...] = STRINGS + NUMBERS
