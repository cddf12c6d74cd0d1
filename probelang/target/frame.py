"""What a DWARF expression may ask of the frame in which the probe stands.

    frame = SiteFrame(binary, debug, scope, pc, base)
    frame.register(5)          ->  u_register("rdi")
    frame.cfa()                ->  u_register("rsp") + 24        from the row of .eh_frame for pc
    frame.caller(0x1234)       ->  the frame that called this one, if it is to go on at 0x1234

In the frame of a caller registers are what the unwind rows make of those of the frame below.
Sources: DWARF 5, sections 2.5.1, 3.3.5 and 6.4; System V ABI, AMD64 supplement, 3.2.1 and 3.6.2.
"""

from __future__ import annotations

from copy import copy
from functools import cached_property

from probelang.artifact.code import Expr
from probelang.dwarf import constants as c
from probelang.dwarf.binary import Binary
from probelang.dwarf.ctypes import Base, Enum, Pointer, bare
from probelang.dwarf.entry import Entry, Unit
from probelang.dwarf.files import Debug
from probelang.dwarf.frames import (
    AtExpression,
    AtOffset,
    CfaRegister,
    Frame,
    InRegister,
    Rule,
    SameValue,
    Undefined,
    ValueExpression,
    ValueOffset,
    frame_at,
)
from probelang.dwarf.scopes import Scope
from probelang.target import registers
from probelang.target.abi import VECTOR
from probelang.target.build import extract, load, number, plus, register, return_address
from probelang.target.expression import (
    OPTIMISED_OUT,
    compile_location,
    compile_value,
    location_at,
    plain_value,
)
from probelang.target.location import InMemory, Unavailable

_X87 = "it is in a floating point register, which probes cannot read"
MOST_CALLERS = 64
_NO_ROW = "its file says nothing about the stack at this address"


class SiteFrame:
    """`pc`: an address of the image. `base`: the run-time address of image address 0. `at`: the place in the script, for faults.
    `place`: the address that ranges and rows are looked up by. `callee`: the frame below, and whether this one `jumped` into it, which
    leaves nothing of it on the stack. `depth`: how many frames are below; `breadth`: how many callers may be told apart. `origin`: the caller and the call that led here, where they are known; else the run tells."""

    def __init__(self, binary: Binary, debug: Debug, scope: Scope, pc: int, base: Expr, at: int = 0) -> None:
        self.binary = binary
        self.debug = debug
        self.scope = scope
        self.pc = pc
        self.base = base
        self.at = at
        self.place = pc
        self.unit: Unit = scope.unit
        self.callee: SiteFrame | None = None
        self.jumped = False
        self.origin: tuple[SiteFrame, Entry] | None = None
        self.depth = 0
        self.breadth = MOST_CALLERS
        self._object: Expr | None = None

    def of_object(self, address: Expr) -> SiteFrame:
        """The same frame, for the description of a part of an object: its address is pushed first."""
        changed = copy(self)
        changed._object = address
        return changed

    def in_unit(self, unit: Unit) -> SiteFrame:
        """The same frame, for a description that stands in another unit."""
        changed = copy(self)
        changed.unit = unit
        return changed

    # ------------------------------------------------------------------------------------------- registers

    def register(self, number: int) -> Expr:
        """By its number of DWARF. Raises Unavailable."""
        if self.callee is not None:
            if number == registers.RETURN_ADDRESS:
                return plus(self.base, self.pc)
            value = self.callee.restored(number)
            return plus(value, -8) if self.jumped and number == registers.RSP else value
        name = registers.name_of(number)
        if name is not None:
            return register(name)
        if number in registers.VECTORS:
            raise Unavailable(VECTOR)
        raise Unavailable(
            _X87 if number in registers.X87 else f"it is in register {number}, which probes cannot read"
        )

    @cached_property
    def row(self) -> Frame | None:
        return frame_at(self.binary, self.debug, self.place)

    def cfa(self) -> Expr:
        """The canonical frame address: the caller's stack pointer."""
        if self.jumped and self.callee is not None:
            return self.callee.cfa()
        if self.row is None:
            if self.callee is None and self.pc == function_address(self.scope.function):
                return plus(self.register(registers.RSP), 8)
            raise Unavailable(_NO_ROW)
        rule = self.row.cfa
        if isinstance(rule, CfaRegister):
            return plus(self.register(rule.register), rule.offset)
        return compile_value(rule.expression, self)

    def restored(self, number: int) -> Expr:
        """A register as the caller has it. Raises Unavailable where that is lost."""
        if self.jumped and self.callee is not None:
            return self.callee.restored(number)
        if self.row is None:
            raise Unavailable(_NO_ROW)
        rule = self.row.registers.get(number)
        if rule is None:
            if number == registers.RSP:
                return self.cfa()
            # one that functions need not preserve too: compilers know which ones a function leaves alone, and describe values
            # by them (gcc's -fipa-ra); they do not where it is lost
            rule = SameValue()
        return self._follow(rule, number)

    def _follow(self, rule: Rule, number: int) -> Expr:
        match rule:
            case Undefined():
                raise Unavailable(OPTIMISED_OUT, optimised=True)
            case SameValue():
                return self.register(number)
            case AtOffset(offset=offset):
                return load(plus(self.cfa(), offset), 8, False, self.at)
            case ValueOffset(offset=offset):
                return plus(self.cfa(), offset)
            case InRegister(register=other):
                return self.register(other)
            case AtExpression(expression=expression):
                return load(compile_value(expression, self, self.cfa()), 8, False, self.at)
            case ValueExpression(expression=expression):
                return compile_value(expression, self, self.cfa())

    def return_address(self) -> Expr:
        """Where the function returns to, at run time."""
        if self.jumped and self.callee is not None:
            return self.callee.return_address()
        rule = None if self.row is None else self.row.registers.get(self.row.return_register)
        if rule is None or isinstance(rule, AtOffset):
            return return_address(plus(self.cfa(), -8 if rule is None else rule.offset), self.at)
        return self._follow(rule, registers.RETURN_ADDRESS)

    def caller(self, return_pc: int, jumped: bool = False) -> SiteFrame | None:
        """The frame that called this one, if it goes on at `return_pc`; or `jumped` here with the instruction before that. None where
        nothing describes it."""
        # a call may be its function's last instruction
        scope = self.debug.scope(return_pc - 1)
        if scope is None:
            return None
        frame = SiteFrame(self.binary, self.debug, scope, return_pc, self.base, self.at)
        frame.place = return_pc - 1
        frame.callee = self
        frame.jumped = jumped
        frame.depth = self.depth + 1
        return frame

    # --------------------------------------------------------------------------------------------- addresses

    def frame_base(self) -> Expr:
        """What DW_OP_fbreg counts from."""
        function = self.scope.function
        expression = location_at(function, self.place, c.AT_frame_base)
        if not expression:
            raise Unavailable("its function's frame is not described at this address")
        return plain_value(compile_location(expression, self.in_unit(function.unit)))

    def static_address(self, image_address: int) -> Expr:
        return plus(self.base, image_address)

    def tls_address(self, offset: Expr) -> Expr:
        """`offset`: in the module's thread-local storage."""
        from probelang.target.tls import tls_address

        return tls_address(self.binary, self.base, offset, self.at)

    def object(self) -> Expr:
        """What `of_object` was told."""
        if self._object is None:
            raise Unavailable("its description needs the address of the object that it belongs to")
        return self._object

    # ------------------------------------------------------------------------------------------ other values

    def entry_value(self, expression: bytes) -> Expr:
        """What an expression gave when the function was entered. Raises Unavailable."""
        from probelang.target.callers import value_at_entry

        return value_at_entry(self, expression)

    def parameter(self, entry: Entry) -> Expr:
        """What was passed for a parameter that the compiler took away."""
        from probelang.target.callers import value_of_parameter

        return value_of_parameter(self, entry)

    def variable_value(self, entry: Entry) -> Expr:
        """Of a variable that another's description mentions (the length of an array)."""
        constant = entry.signed_number(c.AT_const_value)
        if constant is not None:
            return number(constant)
        expression = location_at(entry, self.place)
        if not expression:
            raise Unavailable(OPTIMISED_OUT, optimised=True)
        location = compile_location(expression, self.in_unit(entry.unit))
        ctype = bare(self.debug.types.of(entry))
        if not isinstance(ctype, Base | Enum | Pointer) or ctype.size_bytes not in (1, 2, 4, 8):
            raise Unavailable("its description needs the value of what is no number")
        is_signed = isinstance(ctype, Base) and ctype.encoding in ("signed", "signed char")
        if isinstance(location, InMemory):
            return load(location.address, ctype.size_bytes, is_signed, self.at)
        return extract(plain_value(location), 8 * ctype.size_bytes, is_signed)


def function_address(function: Entry) -> int | None:
    """Where a function is entered."""
    from probelang.dwarf.ranges import entry_ranges

    low = function.address(c.AT_low_pc)
    if low is None:
        return next((start for start, _ in entry_ranges(function)), None)
    return low
