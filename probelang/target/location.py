"""Where a value is while the program stands at a probe, as code that finds it.

Addresses and numbers are `code.Expr` of type long: the run-time address, not the one in the file. A value that is
not there at all is not a location: `Unavailable` is raised.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from probelang.artifact.code import Expr


class Unavailable(Exception):
    """`reason`: a clause, "it was optimised out", "it lives in xmm0, which ...". `optimised`: what debuggers print as <optimized out>."""

    def __init__(self, reason: str, optimised: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.optimised = optimised


@dataclass(frozen=True, slots=True)
class InMemory:
    """At an address of the process."""

    address: Expr


@dataclass(frozen=True, slots=True)
class InRegister:
    """`number`: of DWARF (System V ABI, AMD64 supplement, figure 3.36). `value`: its 64 bits, in this frame."""

    number: int
    value: Expr


@dataclass(frozen=True, slots=True)
class Computed:
    """No place, only a value (DW_OP_stack_value): 64 bits, of which the lowest are the variable's."""

    value: Expr


@dataclass(frozen=True, slots=True)
class Constant:
    """DW_OP_implicit_value, DW_AT_const_value: the bytes as they would lie in memory."""

    data: bytes


@dataclass(frozen=True, slots=True)
class PointerTo:
    """DW_OP_implicit_pointer: a pointer that is nowhere to what another entry of the debug information describes:
    `entry` (offset in .debug_info), and `offset_bytes` into it."""

    entry: int
    offset_bytes: int


@dataclass(frozen=True, slots=True)
class Piece:
    """`bits` long; bytes and bits are counted from the least significant end. `skip_bits`: where it begins in `location`. None: this part was
    optimised out, or cannot be read for another `reason`."""

    bits: int
    location: Location | None
    skip_bits: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Pieces:
    """A value in several places, its lowest part first."""

    pieces: tuple[Piece, ...]


Location: TypeAlias = InMemory | InRegister | Computed | Constant | PointerTo | Pieces
