"""Small pieces of code, folded where both sides are known.

plus(plus(register("rbp"), 16), -20)   ->   u_register("rbp") + -4
"""

from __future__ import annotations

from probelang.artifact.code import Binary, Call, Expr, Number, Text, Type

_MASK = (1 << 64) - 1


def signed(value: int) -> int:
    """Wrapped to signed 64 bits."""
    value &= _MASK
    return value - (1 << 64) if value >> 63 else value


def number(value: int) -> Number:
    return Number(signed(value))


def plus(base: Expr, offset: int) -> Expr:
    match base:
        case Number(value=value):
            return number(value + offset)
        case Binary(op="+", left=left, right=Number(value=value)):
            base, offset = left, signed(value + offset)
        case _:
            pass
    return base if offset == 0 else Binary("+", base, number(offset), 0)


def add(left: Expr, right: Expr) -> Expr:
    if isinstance(right, Number):
        return plus(left, right.value)
    if isinstance(left, Number):
        return plus(right, left.value)
    return Binary("+", left, right, 0)


def register(name: str) -> Expr:
    """The 64 bits of a general register, by its name."""
    return Call("u_register", (Text(name.encode()),), Type.LONG, 0)


def here() -> Expr:
    """The address of the probed instruction in the process."""
    return Call("uaddr", (), Type.LONG, 0)


def load(address: Expr, size_bytes: int, is_signed: bool, at: int) -> Expr:
    """1, 2, 4 or 8 bytes of the process's memory; a soft error at the place `at` when they cannot be read."""
    name = f"user_{'' if is_signed else 'u'}int{size_bytes * 8}"
    return Call(name, (address,), Type.LONG, at)


def return_address(slot: Expr, at: int) -> Expr:
    """What the function whose return address lies at `slot` returns to, also where a return probe has replaced it."""
    return Call("user_return_address", (slot,), Type.LONG, at)


def extract(value: Expr, bits: int, is_signed: bool) -> Expr:
    """The lowest bits, extended to 64."""
    if bits >= 64:
        return value
    if isinstance(value, Number):
        raw = value.value & ((1 << bits) - 1)
        return Number(raw - (1 << bits) if is_signed and raw >> (bits - 1) else raw)
    if is_signed:
        return Binary(">>", Binary("<<", value, Number(64 - bits), 0), Number(64 - bits), 0)
    return Binary("&", value, number((1 << bits) - 1), 0)
