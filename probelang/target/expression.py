"""DWARF expressions as code.

    fbreg -20                      ->   InMemory(cfa - 20)
    breg5 8; deref; stack_value    ->   Computed(user_uint64(u_register("rdi") + 8))
    reg0; piece 8; reg1; piece 8   ->   Pieces(rax, rdx)

The stack machine of the standard runs here, at compile time, on code instead of numbers. Where it branches on what only the
run knows, both ways are followed to their ends and `Choose` picks between the results.
Source: DWARF 5, sections 2.5 and 2.6; what GNU added for versions 2 to 4 means the same as what became of it in 5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from probelang.artifact.code import Expr, Number
from probelang.dwarf import constants as c
from probelang.dwarf import operations as op
from probelang.dwarf.entry import Entry, Unit
from probelang.dwarf.image import corrupt
from probelang.dwarf.leb import signed as signed_leb
from probelang.dwarf.leb import unsigned as unsigned_leb
from probelang.dwarf.ranges import entry_locations
from probelang.target import arithmetic as a
from probelang.target.build import load, number, plus, signed
from probelang.target.location import (
    Computed,
    Constant,
    InMemory,
    InRegister,
    Location,
    Piece,
    Pieces,
    PointerTo,
    Unavailable,
)
from probelang.target.operators import BINARY, load_size, operate, operate_one
from probelang.target.stack import Integer, Stack, Value, base_type

if TYPE_CHECKING:
    from probelang.target.frame import SiteFrame

OPTIMISED_OUT = "it was optimised out"
_DEPENDS = "where it is depends on what the program did before"
_MOST_STEPS, _MOST_FORKS, _MOST_CALLS = 10_000, 16, 16
_CONSTANTS = {
    op.const1u: (1, False), op.const1s: (1, True), op.const2u: (2, False), op.const2s: (2, True),
    op.const4u: (4, False), op.const4s: (4, True), op.const8u: (8, False), op.const8s: (8, True),
}  # fmt: skip
_PIECES = (bytes((op.piece,)), bytes((op.bit_piece,)))
_SINGLE = frozenset((op.abs_, op.neg, op.not_))
_SAME = {  # what GNU called it before it was standard
    op.GNU_push_tls_address: op.form_tls_address, op.GNU_implicit_pointer: op.implicit_pointer,
    op.GNU_entry_value: op.entry_value, op.GNU_const_type: op.const_type, op.GNU_regval_type: op.regval_type,
    op.GNU_deref_type: op.deref_type, op.GNU_convert: op.convert, op.GNU_reinterpret: op.reinterpret,
    op.GNU_addr_index: op.addrx, op.GNU_const_index: op.constx,
}  # fmt: skip


class CallerNeeded(Exception):
    """Raised by a frame that is asked what its caller passed, and does not know which call that was."""


def compile_location(expression: bytes, frame: SiteFrame) -> Location:
    """Where the described object is. Raises Unavailable; BinaryError for what is no expression."""
    return _compile(expression, frame, ())


def compile_value(expression: bytes, frame: SiteFrame, *pushed: Expr) -> Expr:
    """What an expression leaves on the stack, which begins with `pushed`: rows of unwind information, values at call sites."""
    return plain_value(_compile(expression, frame, pushed))


def _compile(expression: bytes, frame: SiteFrame, pushed: tuple[Expr, ...]) -> Location:
    def run(frame: SiteFrame) -> Location:
        stack = Stack()
        for expr in pushed:
            stack.push_leaf(expr)
        return _Machine(frame).run(_State((_Text(expression, frame.unit),), stack))

    try:
        return run(frame)
    except CallerNeeded:
        from probelang.target.callers import by_caller

        return by_caller(frame, run)


def location_at(entry: Entry, address: int, attribute: int = c.AT_location) -> bytes | None:
    """The expression of an entry that holds at an address of the image; None or empty: there is none."""
    found = entry_locations(entry, attribute)
    if found is None or isinstance(found, bytes):
        return found
    default: bytes | None = None
    for low, high, expression in found:
        if high == 1 << 64:
            default = expression
        elif low <= address < high:
            return expression
    return default


def plain_value(location: Location) -> Expr:
    """The number that an expression computed, whether it was meant as an address or not."""
    match location:
        case InMemory(address=value) | InRegister(value=value) | Computed(value=value):
            return value
        case Constant(data=data) if len(data) <= 8:
            return number(int.from_bytes(data, "little"))
        case _:
            raise Unavailable("its description needs a number and gets none")


class _Malformed(Exception):
    pass


@dataclass(slots=True)
class _Text:
    """Operations that are being read: an expression, and how far it was read."""

    data: bytes
    unit: Unit
    position: int = 0

    def byte(self) -> int:
        return self.number(1)

    def number(self, size: int) -> int:
        return int.from_bytes(self.block(size), "little")

    def block(self, size: int) -> bytes:
        start, self.position = self.position, self.position + size
        if self.position > len(self.data):
            raise _Malformed
        return self.data[start : self.position]

    def unsigned(self) -> int:
        value, self.position = unsigned_leb(self.data, self.position)
        return value

    def signed(self) -> int:
        value, self.position = signed_leb(self.data, self.position)
        return value

    def copy(self) -> _Text:
        return _Text(self.data, self.unit, self.position)


@dataclass(slots=True)
class _State:
    """`texts`: the expression, and those that call2, call4 and call_ref have entered. `found`: the place that was named last,
    where that is no address on the stack; `lost`: why that piece cannot be read."""

    texts: tuple[_Text, ...]
    stack: Stack
    found: Location | None = None
    lost: str = ""
    pieces: tuple[Piece, ...] = ()

    def fork(self) -> _State:
        return _State(
            tuple(t.copy() for t in self.texts), self.stack.copy(), self.found, self.lost, self.pieces
        )


class _Machine:
    def __init__(self, frame: SiteFrame) -> None:
        self.frame = frame
        self._steps = self._forks = 0

    def run(self, state: _State) -> Location:
        try:
            return self._run(state)
        except (_Malformed, IndexError):
            self._refuse()

    def _refuse(self) -> NoReturn:
        raise corrupt(self.frame.unit.info.path, "a location expression", "cannot be read") from None

    def _run(self, state: _State) -> Location:
        while state.texts:
            text = state.texts[-1]
            if text.position == len(text.data):
                state.texts = state.texts[:-1]
                continue
            self._steps += 1
            if self._steps > _MOST_STEPS:
                raise Unavailable("its description does not come to an end")
            code = text.byte()
            if code in (op.skip, op.bra):
                distance = _signed(text.number(2), 2)
                condition = state.stack.pop().expr if code == op.bra else Number(1)
                target = text.position + distance
                if not 0 <= target <= len(text.data):
                    raise _Malformed
                if not isinstance(condition, Number):
                    return self._both(state, condition, target)
                text.position = target if condition.value else text.position
            else:
                self._step(_SAME.get(code, code), text, state)
        return _result(state)

    def _both(self, state: _State, condition: Expr, target: int) -> Location:
        self._forks += 1
        if self._forks > _MOST_FORKS:
            raise Unavailable("its description has too many branches")
        taken = state.fork()
        taken.texts[-1].position = target
        return choose_location(condition, self._run(taken), self._run(state))

    # ------------------------------------------------------------------------------------------- operations

    def _step(self, code: int, text: _Text, state: _State) -> None:
        if state.found is not None and code not in (op.piece, op.bit_piece, op.nop, op.GNU_uninit):
            raise _Malformed  # the name of a place stands alone (2.6.1.1)
        stack = state.stack
        if op.lit0 <= code <= op.lit31:
            stack.push(Value(Number(code - op.lit0)))
        elif op.reg0 <= code <= op.reg31:
            self._register(code - op.reg0, text, state)
        elif op.breg0 <= code <= op.breg31:
            stack.push_leaf(plus(self.frame.register(code - op.breg0), text.signed()))
        elif code in _CONSTANTS:
            size, is_signed = _CONSTANTS[code]
            value = text.number(size)
            stack.push(Value(number(_signed(value, size) if is_signed else value)))
        elif code in BINARY:
            right, left = stack.pop(), stack.pop()
            operate(code, left, right, stack, self.frame.at)
        elif code in _SINGLE:
            operate_one(code, stack)
        elif not (
            self._move(code, text, stack)
            or self._push(code, text, stack)
            or self._read(code, text, stack)
            or self._typed(code, text, stack)
            or self._place(code, text, state)
            or self._call(code, text, state)
        ):
            raise Unavailable(f"its description uses the operation {code:#x}, which is not known")

    def _register(self, number: int, text: _Text, state: _State) -> None:
        try:
            state.found = InRegister(number, self.frame.register(number))
        except Unavailable as error:
            if text.data[text.position : text.position + 1] not in _PIECES:
                raise
            state.lost = error.reason  # other pieces may well be read

    def _move(self, code: int, text: _Text, stack: Stack) -> bool:
        match code:
            case op.nop | op.GNU_uninit:
                pass
            case op.dup:
                stack.push(stack.peek(0))
            case op.drop:
                stack.pop()
            case op.over:
                stack.push(stack.peek(1))
            case op.pick:
                stack.push(stack.peek(text.byte()))
            case op.swap:
                first, second = stack.pop(), stack.pop()
                stack.push(first)
                stack.push(second)
            case op.rot:
                first, second, third = stack.pop(), stack.pop(), stack.pop()
                for value in (first, third, second):
                    stack.push(value)
            case _:
                return False
        return True

    def _push(self, code: int, text: _Text, stack: Stack) -> bool:
        """What does not depend on the stack."""
        frame = self.frame
        match code:
            case op.addr:
                stack.push_leaf(frame.static_address(text.number(8)))
            case op.addrx:
                stack.push_leaf(frame.static_address(text.unit.address(text.unsigned())))
            case op.constx:
                stack.push_leaf(number(text.unit.address(text.unsigned())))
            case op.constu:
                stack.push_leaf(number(text.unsigned()))
            case op.consts:
                stack.push_leaf(number(text.signed()))
            case op.bregx:
                register = text.unsigned()
                stack.push_leaf(plus(frame.register(register), text.signed()))
            case op.fbreg:
                stack.push_leaf(plus(frame.frame_base(), text.signed()))
            case op.call_frame_cfa:
                stack.push_leaf(frame.cfa())
            case op.push_object_address:
                stack.push_leaf(frame.object())
            case op.entry_value:
                stack.push_leaf(frame.entry_value(text.block(text.unsigned())))
            case op.GNU_parameter_ref:
                stack.push_leaf(frame.parameter(text.unit.entry(text.number(4))))
            case op.GNU_variable_value:
                stack.push_leaf(frame.variable_value(text.unit.info.entry(text.number(_width(text.unit)))))
            case _:
                return False
        return True

    def _read(self, code: int, text: _Text, stack: Stack) -> bool:
        """What takes one value and makes another of it."""
        at = self.frame.at
        match code:
            case op.plus_uconst:
                value, offset = stack.pop(), text.unsigned()
                stack.push_result(plus(value.expr, signed(offset)), value.type, value)
            case op.deref:
                value = stack.pop()
                stack.push_result(load(value.expr, 8, False, at), None, value)
            case op.deref_size:
                size, value = text.byte(), stack.pop()
                if not 1 <= size <= 8:
                    raise _Malformed
                stack.push_result(load_size(value.expr, size, at), None, value)
            case op.form_tls_address:
                value = stack.pop()
                stack.push_leaf(self.frame.tls_address(value.expr))
            case op.xderef | op.xderef_size | op.xderef_type:
                raise Unavailable("its description uses address spaces, which this machine has not")
            case _:
                return False
        return True

    def _typed(self, code: int, text: _Text, stack: Stack) -> bool:
        match code:
            case op.const_type:
                kind = base_type(text.unit.entry(text.unsigned()))
                data = text.block(text.byte())
                stack.push_result(number(int.from_bytes(data, "little")), kind)
            case op.regval_type:
                register = text.unsigned()
                kind = base_type(text.unit.entry(text.unsigned()))
                stack.push_leaf(self.frame.register(register))
                value = stack.pop()
                stack.push_result(value.expr, kind, value)
            case op.deref_type:
                size = text.byte()
                kind = base_type(text.unit.entry(text.unsigned()))
                if not 1 <= size <= 8:
                    raise _Malformed
                value = stack.pop()
                stack.push_result(load_size(value.expr, size, self.frame.at), kind, value)
            case op.convert | op.reinterpret:
                # integers of at most 64 bits: to convert is to keep the low bits, as reinterpreting does
                offset, value = text.unsigned(), stack.pop()
                new: Integer | None = base_type(text.unit.entry(offset)) if offset else None
                stack.push_result(value.expr, new, value)
            case _:
                return False
        return True

    def _place(self, code: int, text: _Text, state: _State) -> bool:
        match code:
            case op.regx:
                self._register(text.unsigned(), text, state)
            case op.stack_value:
                state.found = Computed(state.stack.pop().expr)
            case op.implicit_value:
                state.found = Constant(text.block(text.unsigned()))
            case op.implicit_pointer:
                entry = text.number(_width(text.unit))
                state.found = PointerTo(entry, signed(text.signed()))
            case op.piece:
                _add_piece(state, 8 * text.unsigned(), 0)
            case op.bit_piece:
                bits = text.unsigned()
                _add_piece(state, bits, text.unsigned())
            case _:
                return False
        return True

    def _call(self, code: int, text: _Text, state: _State) -> bool:
        """The location of another entry, on the same stack."""
        match code:
            case op.call2:
                entry = text.unit.entry(text.number(2))
            case op.call4:
                entry = text.unit.entry(text.number(4))
            case op.call_ref:
                entry = text.unit.info.entry(text.number(_width(text.unit)))
            case _:
                return False
        if len(state.texts) > _MOST_CALLS:
            raise Unavailable("its description calls itself")
        expression = location_at(entry, self.frame.place)
        if expression:
            state.texts = (*state.texts, _Text(expression, entry.unit))
        return True


def _add_piece(state: _State, bits: int, skip_bits: int) -> None:
    location = state.found
    if location is None and not state.lost and len(state.stack):
        location = InMemory(state.stack.pop().expr)
    state.pieces = (*state.pieces, Piece(bits, location, skip_bits, state.lost))
    state.found, state.lost = None, ""


def _result(state: _State) -> Location:
    if state.pieces:
        if state.found is not None:
            raise _Malformed
        return Pieces(state.pieces)
    if state.found is not None:
        return state.found
    if not len(state.stack):
        raise Unavailable(OPTIMISED_OUT, optimised=True)
    return InMemory(state.stack.pop().expr)


def choose_location(condition: Expr, then: Location, otherwise: Location) -> Location:
    """Raises Unavailable where the two have nothing in common."""
    if then == otherwise:
        return then
    match then, otherwise:
        case InMemory(address=left), InMemory(address=right):
            return InMemory(a.choose(condition, left, right))
        case ((InRegister() | Computed() | Constant()), (InRegister() | Computed() | Constant())):
            return Computed(a.choose(condition, plain_value(then), plain_value(otherwise)))
        case Pieces(pieces=left_pieces), Pieces(pieces=right_pieces) if len(left_pieces) == len(right_pieces):
            return Pieces(
                tuple(_choose_piece(condition, p, q) for p, q in zip(left_pieces, right_pieces, strict=True))
            )
        case _:
            raise Unavailable(_DEPENDS)


def _choose_piece(condition: Expr, then: Piece, otherwise: Piece) -> Piece:
    if then.location is None and otherwise.location is None and then.bits == otherwise.bits:
        return then
    if (then.bits, then.skip_bits) != (otherwise.bits, otherwise.skip_bits) or not (
        then.location and otherwise.location
    ):
        raise Unavailable(_DEPENDS)
    return Piece(then.bits, choose_location(condition, then.location, otherwise.location), then.skip_bits)


def _width(unit: Unit) -> int:
    """Of a reference into .debug_info; DWARF 2 gave it the size of an address."""
    return unit.address_size if unit.version <= 2 else unit.offset_size


def _signed(value: int, size: int) -> int:
    return value - (1 << 8 * size) if value >> (8 * size - 1) else value
