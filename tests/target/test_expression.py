"""Every operation of DWARF expressions, by what the compiled code computes."""

from __future__ import annotations

import re
import struct
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probelang.artifact.code import Number
from probelang.dwarf import constants as c
from probelang.dwarf import operations as op
from probelang.dwarf.image import BinaryError
from probelang.target.expression import compile_location, compile_value
from probelang.target.location import (
    Computed,
    Constant,
    InMemory,
    InRegister,
    Piece,
    Pieces,
    PointerTo,
    Unavailable,
)
from tests.target.machine import BASE, PC, Machine, Ref, expression, sleb, uleb, variable

MASK = (1 << 64) - 1
REGISTERS = {
    "rax": 100, "rdx": 101, "rcx": 102, "rbx": 103, "rsi": 104, "rdi": 105, "rbp": 0x7FFE00001000, "rsp": 0x7FFE00000F00,
    **{f"r{n}": 100 + n for n in range(8, 16)}, "rip": BASE + PC, "fs_base": 0x7FFF00000000, "gs_base": 5, "eflags": 0x246,
    "cs": 0x33, "ss": 0x2B,
}  # fmt: skip
ORDER = ("rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", *(f"r{n}" for n in range(8, 16)), "rip")
CFA = REGISTERS["rsp"] + 16


SHARED = Machine(None, {0x5000: bytes(range(0x80, 0x90)), 0x6000: struct.pack("<Q", 0x5000)})


@pytest.fixture
def machine() -> Machine:
    SHARED.hit.registers = REGISTERS
    return SHARED


def signed(value: int) -> int:
    value &= MASK
    return value - (1 << 64) if value >> 63 else value


def const(value: int) -> bytes:
    """A number that the compiler of expressions knows."""
    return expression(op.const8u, struct.pack("<Q", value & MASK))


# ------------------------------------------------------------------------------------------------- registers


def test_registers_by_their_numbers(machine: Machine) -> None:
    for number, name in enumerate(ORDER):
        assert machine.location(op.reg0 + number) == machine.location(op.regx, uleb(number))
        assert isinstance(machine.location(op.reg0 + number), InRegister)
        assert machine.value(op.reg0 + number) == REGISTERS[name]
        assert machine.value(op.breg0 + number, sleb(-300)) == REGISTERS[name] - 300
        assert machine.value(op.bregx, uleb(number), sleb(7)) == REGISTERS[name] + 7
    for number, name in ((49, "eflags"), (51, "cs"), (58, "fs_base"), (59, "gs_base")):
        assert machine.value(op.regx, uleb(number)) == REGISTERS[name]


def test_registers_that_cannot_be_read(machine: Machine) -> None:
    for number in (17, 32, 67, 118):
        with pytest.raises(Unavailable, match="vector register"):
            machine.location(op.regx, uleb(number))
    with pytest.raises(Unavailable, match="floating point register"):
        machine.location(op.regx, uleb(33))
    with pytest.raises(Unavailable, match="in register 200, which"):
        machine.location(op.regx, uleb(200))


# ------------------------------------------------------------------------------------------------- constants


def test_constants(machine: Machine) -> None:
    for n in range(32):
        assert machine.value(op.lit0 + n) == n
    assert machine.value(op.const1u, b"\xff") == 255
    assert machine.value(op.const1s, b"\xff") == -1
    assert machine.value(op.const2u, b"\xfe\xff") == 0xFFFE
    assert machine.value(op.const2s, b"\xfe\xff") == -2
    assert machine.value(op.const4u, b"\xfd\xff\xff\xff") == 0xFFFFFFFD
    assert machine.value(op.const4s, b"\xfd\xff\xff\xff") == -3
    assert machine.value(op.const8u, b"\xff" * 8) == -1
    assert machine.value(op.const8s, b"\xfc" + b"\xff" * 7) == -4
    assert machine.value(op.constu, uleb(1 << 40)) == 1 << 40
    assert machine.value(op.consts, sleb(-(1 << 40))) == -(1 << 40)


def test_addresses_move_with_the_file(machine: Machine) -> None:
    assert machine.value(op.addr, struct.pack("<Q", 0x4010)) == BASE + 0x4010


@pytest.mark.parametrize("version", [4, 5])
def test_addresses_and_constants_by_their_index(version: int) -> None:
    base = (c.AT_addr_base if version == 5 else c.AT_GNU_addr_base, c.FORM_sec_offset, 8)
    machine = Machine(
        REGISTERS,
        version=version,
        root=(base,),
        sections={".debug_addr": bytes(8) + struct.pack("<QQ", 1, 0x4020)},
    )
    address, constant = (op.addrx, op.constx) if version == 5 else (op.GNU_addr_index, op.GNU_const_index)
    assert machine.value(address, 1) == BASE + 0x4020
    assert machine.value(constant, 1) == 0x4020
    with pytest.raises(BinaryError, match="debug_addr"):
        machine.value(address, 2)


# ------------------------------------------------------------------------------------------------- the stack


def test_the_stack(machine: Machine) -> None:
    one, two, three = op.lit0 + 1, op.lit0 + 2, op.lit0 + 3
    join = (op.lit0 + 4, op.shl, op.or_)  # of the top two, as hexadecimal digits, top first
    assert machine.value(one, op.dup, *join) == 0x11
    assert machine.value(one, two, op.drop) == 1
    assert machine.value(one, two, op.over, *join, *join) == 0x121
    assert machine.value(one, two, three, op.pick, 2) == 1
    assert machine.value(one, two, op.swap) == 1
    # DWARF 5, 2.5.1.3: the top becomes the third, the second the top
    for drops, top in ((0, 2), (1, 1), (2, 3)):
        assert machine.value(one, two, three, op.rot, *(op.drop,) * drops) == top
    assert machine.value(one, op.nop) == 1


@pytest.mark.parametrize(
    "parts", [(op.dup,), (op.drop,), (op.over,), (op.lit0, op.over), (op.lit0, op.pick, 1), (op.lit0, op.swap),
              (op.lit0, op.lit0, op.rot), (op.lit0, op.plus), (op.deref,), (op.abs_,), (op.stack_value,), (op.bra, b"\0\0")]
)  # fmt: skip
def test_too_little_on_the_stack_is_damage(machine: Machine, parts: tuple[int, ...]) -> None:
    with pytest.raises(BinaryError, match="made-up"):
        machine.location(*parts)


@pytest.mark.parametrize(
    "parts", [(op.addr, b"1234567"), (op.const8u,), (op.constu, b"\x80"), (op.breg0,), (op.fbreg, b"\xff"), (op.pick,),
              (op.skip, b"\1"), (op.skip, b"\1\0"), (op.skip, b"\xfc\xff"), (op.implicit_value, b"\5abc"), (op.piece,),
              (op.entry_value, b"\2P"), (op.deref_size, b"\4"), (op.lit0, op.deref_size, b"\x09"), (op.lit0, op.deref_size, b"\0"),
              (op.call4, b"\xff\xff\xff\xff"), (op.reg0, op.lit0), (op.reg0, op.reg0), (op.reg0, op.piece, b"\4", op.reg0)]
)  # fmt: skip
def test_what_is_cut_short_is_damage(machine: Machine, parts: tuple[int | bytes, ...]) -> None:
    with pytest.raises(BinaryError, match="made-up"):
        machine.location(*parts)


def test_operations_that_nobody_knows(machine: Machine) -> None:
    for code in (0x01, 0x00, 0xAA, 0xDF, 0xE1, 0xFF):
        with pytest.raises(Unavailable, match=f"operation {code:#x}"):
            machine.location(code)
    with pytest.raises(Unavailable, match="address spaces"):
        machine.location(op.lit0, op.lit0, op.xderef)


# ------------------------------------------------------------------------------------------------ arithmetic

CORNERS = (0, 1, 3, 10, 63, 64, 1 << 31, (1 << 63) - 1, 1 << 63, (1 << 63) + 5, MASK)


def quotient(left: int, right: int) -> int:
    return abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1)


def expected(code: int, left: int, right: int) -> int | None:
    """On 64 bits; None: a division by 0."""
    x, y = left & MASK, right & MASK
    match code:
        case op.plus:
            return signed(x + y)
        case op.minus:
            return signed(x - y)
        case op.mul:
            return signed(x * y)
        case op.and_:
            return signed(x & y)
        case op.or_:
            return signed(x | y)
        case op.xor:
            return signed(x ^ y)
        case op.div:
            return None if y == 0 else signed(quotient(signed(x), signed(y)))
        case op.mod:
            return None if y == 0 else signed(x % y)
        case op.shl:
            return signed(x << y) if y < 64 else 0
        case op.shr:
            return signed(x >> y) if y < 64 else 0
        case op.shra:
            return signed(x) >> min(y, 63)
        case op.eq:
            return int(x == y)
        case op.ne:
            return int(x != y)
        case op.lt:
            return int(signed(x) < signed(y))
        case op.le:
            return int(signed(x) <= signed(y))
        case op.gt:
            return int(signed(x) > signed(y))
        case op.ge:
            return int(signed(x) >= signed(y))
        case _:
            raise AssertionError(code)


OPERATIONS = (op.plus, op.minus, op.mul, op.and_, op.or_, op.xor, op.div, op.mod, op.shl, op.shr, op.shra, op.eq, op.ne, op.lt,
              op.le, op.gt, op.ge)  # fmt: skip


@pytest.mark.parametrize("code", OPERATIONS)
@pytest.mark.parametrize("known", ["neither", "left", "right", "both"])
def test_arithmetic_on_64_bits(machine: Machine, code: int, known: str) -> None:
    for left, right in product(CORNERS, CORNERS):
        machine.hit.registers = {"rax": left, "rdx": right}
        one = const(left) if known in ("left", "both") else expression(op.breg0, 0)
        other = const(right) if known in ("right", "both") else expression(op.breg0 + 1, 0)
        want = expected(code, left, right)
        if want is None and known in ("right", "both"):
            with pytest.raises(Unavailable, match="divides by 0"):
                machine.value(one, other, code)
        else:
            found = machine.value(one, other, code)
            assert found == ("error: division by 0" if want is None else want), (left, right)


def test_operations_on_one_operand(machine: Machine) -> None:
    for value in CORNERS:
        machine.hit.registers = {"rax": value}
        for one in (const(value), expression(op.breg0, 0)):
            assert machine.value(one, op.neg) == signed(-value)
            assert machine.value(one, op.not_) == signed(~value)
            assert machine.value(one, op.abs_) == signed(abs(signed(value)))
            assert machine.value(one, op.plus_uconst, uleb(300)) == signed(value + 300)


# ---------------------------------------------------------------------------------------------------- memory


def test_memory(machine: Machine) -> None:
    at = const(0x5000)
    data = bytes(range(0x80, 0x90))
    assert machine.value(const(0x6000), op.deref) == 0x5000
    assert machine.value(at, op.deref) == int.from_bytes(data[:8], "little", signed=True)
    for size in range(1, 9):
        found = machine.value(at, op.deref_size, size)
        assert found == int.from_bytes(data[:size], "little", signed=size == 8)
    # nothing behind the end is touched
    for size in range(1, 9):
        assert machine.value(const(0x5010 - size), op.deref_size, size) == int.from_bytes(
            data[16 - size :], "little", signed=size == 8
        )
    assert machine.value(const(0x5010), op.deref_size, 1) == "error: user read fault at 0x5010"


def test_typed_memory(machine: Machine) -> None:
    def at(name: str, size: int) -> int | str:
        return machine.value(const(0x5000), op.deref_type, size, uleb(machine.offsets[name]), op.stack_value)

    assert at("int", 4) == 0x83828180 - (1 << 32)
    assert at("unsigned", 4) == 0x83828180
    assert at("char", 1) == -128
    with pytest.raises(Unavailable, match="floating point"):
        at("double", 8)
    with pytest.raises(Unavailable, match="128 bits"):
        at("wide", 8)


# --------------------------------------------------------------------------------------------- typed numbers

KINDS = {
    "int": (32, True),
    "unsigned": (32, False),
    "char": (8, True),
    "byte": (8, False),
    "long": (64, True),
    "ulong": (64, False),
}


def fit(value: int, kind: str) -> int:
    bits, is_signed = KINDS[kind]
    value &= (1 << bits) - 1
    value = value - (1 << bits) if is_signed and value >> (bits - 1) else value
    return value


@given(
    st.sampled_from(sorted(KINDS)), st.sampled_from(OPERATIONS), st.integers(0, MASK), st.integers(0, MASK)
)
def test_typed_arithmetic_is_that_of_c(kind: str, code: int, left: int, right: int) -> None:
    bits, is_signed = KINDS[kind]
    if code in (op.shl, op.shr, op.shra):
        right %= 70
    machine = SHARED
    machine.hit.registers = {"rax": left, "rdx": right}
    offset = uleb(machine.offsets[kind])
    x, y = fit(left, kind), fit(right, kind)
    if code in (op.div, op.mod) and y == 0:
        return
    match code:
        case op.plus | op.minus | op.mul | op.and_ | op.or_ | op.xor:
            want = fit(expected(code, x, y) or 0, kind)
        case op.div:
            want = fit(quotient(x, y), kind)
        case op.mod:
            want = fit(x - y * quotient(x, y), kind)
        case op.shl:
            want = fit(x << y, kind) if 0 <= y < bits else 0
        case op.shr:
            want = fit((x & ((1 << bits) - 1)) >> y, kind) if 0 <= y < bits else 0
        case op.shra:
            high = x - (1 << bits) if not is_signed and x >> (bits - 1) else x
            want = fit(high >> (y if 0 <= y < bits else bits - 1), kind)
        case _:
            want = int(
                {op.eq: x == y, op.ne: x != y, op.lt: x < y, op.le: x <= y, op.gt: x > y, op.ge: x >= y}[code]
            )
    convert = op.convert
    found = machine.value(
        op.breg0, 0, convert, offset, op.breg0 + 1, 0, convert, offset, code, op.stack_value
    )
    assert found == signed(want)


def test_conversions(machine: Machine) -> None:
    o = machine.offsets
    for convert in (op.convert, op.reinterpret, op.GNU_convert, op.GNU_reinterpret):
        assert machine.value(const(0x1FF), convert, uleb(o["char"]), op.stack_value) == -1
        assert machine.value(const(0x1FF), convert, uleb(o["byte"]), op.stack_value) == 0xFF
        assert (
            machine.value(const(-1), convert, uleb(o["unsigned"]), convert, 0, op.stack_value) == 0xFFFFFFFF
        )
        with pytest.raises(Unavailable, match="floating point"):
            machine.value(const(1), convert, uleb(o["double"]))
    assert machine.value(op.const_type, uleb(o["int"]), 4, b"\xfe\xff\xff\xff", op.stack_value) == -2
    assert machine.value(op.regval_type, uleb(7), uleb(o["byte"]), op.stack_value) == REGISTERS["rsp"] & 0xFF
    with pytest.raises(Unavailable, match="vector register"):
        machine.value(op.regval_type, uleb(17), uleb(o["int"]))


# ------------------------------------------------------------------------------------------------- branches


def minimum() -> bytes:
    """The lesser of rax and rdx, as gcc writes it."""
    return expression(
        op.breg0,
        0,
        op.breg0 + 1,
        0,
        op.over,
        op.over,
        op.lt,
        op.bra,
        b"\1\0",
        op.swap,
        op.drop,
        op.stack_value,
    )


def test_a_branch_that_only_the_run_decides() -> None:
    for left, right in product((-5, 0, 3, 4), (-5, 0, 3, 4)):
        machine = Machine({"rax": left & MASK, "rdx": right & MASK})
        assert machine.value(minimum()) == min(left, right)


def test_a_branch_that_is_decided_when_the_code_is_made(machine: Machine) -> None:
    taken = (op.lit0 + 1, op.bra, b"\1\0", op.lit0 + 7, op.lit0 + 8)
    assert machine.value(*taken) == 8
    assert machine.location(op.lit0 + 9, op.lit0, op.bra, b"\1\0", op.dup, op.plus) == InMemory(Number(18))
    assert machine.value(op.lit0 + 1, op.skip, b"\1\0", op.drop) == 1


def test_a_loop_that_ends(machine: Machine) -> None:
    # 5 + 4 + 3 + 2 + 1: total, counter; total += counter; counter -= 1; again while counter
    loop = expression(op.dup, op.rot, op.plus, op.swap, op.lit0 + 1, op.minus, op.dup, op.bra)
    # rot: [t, c, c] -> [c, t, c]; plus: [c, t + c]; swap: [t + c, c]
    back = struct.pack("<h", -(len(loop) + 2))
    assert machine.value(op.lit0, op.lit0 + 5, loop, back, op.drop) == 15


def test_a_loop_that_does_not_end(machine: Machine) -> None:
    with pytest.raises(Unavailable, match="does not come to an end"):
        machine.location(op.skip, b"\xfd\xff")
    with pytest.raises(Unavailable, match="too many branches"):
        machine.location(op.breg0, 0, op.bra, struct.pack("<h", -5), op.lit0)


def test_places_that_depend_on_a_branch() -> None:
    choice = expression(op.breg0, 0, op.bra, b"\5\0", op.breg0 + 1, 0, op.skip, b"\2\0", op.breg0 + 2, 0)
    for value, want in ((0, 101), (9, 102)):
        machine = Machine({**REGISTERS, "rax": value})
        assert isinstance(machine.location(choice), InMemory)
        assert machine.value(choice) == want
    with pytest.raises(Unavailable, match="depends on what the program did"):
        Machine(REGISTERS).location(op.lit0 + 5, op.breg0, 0, op.bra, b"\1\0", op.reg0)


def test_code_without_bound_is_refused(machine: Machine) -> None:
    with pytest.raises(Unavailable, match="too long"):
        machine.location(op.breg0, 0, *(op.dup, op.mul) * 40)
    with pytest.raises(Unavailable, match="too long"):
        machine.location(op.breg0, 0, *(op.not_,) * 500)
    with pytest.raises(Unavailable, match="too long"):
        machine.location(*(op.lit0,) * 2000)


# ---------------------------------------------------------------------------------------------- frame and file


def test_the_frame_address_comes_from_the_unwind_rows(machine: Machine) -> None:
    assert machine.value(op.call_frame_cfa) == CFA
    assert machine.value(op.fbreg, sleb(-20)) == CFA - 20


def test_frame_bases() -> None:
    assert (
        Machine(REGISTERS, frame_base=expression(op.reg0 + 6)).value(op.fbreg, sleb(-4))
        == REGISTERS["rbp"] - 4
    )
    assert (
        Machine(REGISTERS, frame_base=expression(op.breg0 + 7, 24)).value(op.fbreg, 0)
        == REGISTERS["rsp"] + 24
    )
    with pytest.raises(Unavailable, match="frame is not described"):
        Machine(REGISTERS, frame_base=b"").value(op.fbreg, 0)


def test_a_frame_address_that_an_expression_computes() -> None:
    inner = expression(op.breg0 + 6, 16, op.deref)
    machine = Machine(
        REGISTERS,
        {REGISTERS["rbp"] + 16: struct.pack("<Q", 0x7FFE00002000)},
        frame_code=b"\x0f" + uleb(len(inner)) + inner,
    )
    assert machine.value(op.call_frame_cfa) == 0x7FFE00002000


def test_the_address_of_the_owner_of_a_member(machine: Machine) -> None:
    with pytest.raises(Unavailable, match="address of the object"):
        machine.location(op.push_object_address)
    owner = machine.frame.of_object(Number(0x5000))
    found = compile_location(expression(op.push_object_address, op.plus_uconst, uleb(8)), owner)
    assert found == InMemory(Number(0x5008))


def test_locations_of_other_entries() -> None:
    double = variable("double_it", (c.AT_location, c.FORM_exprloc, expression(op.dup, op.plus)))
    itself = variable("itself", (c.AT_location, c.FORM_exprloc, expression(op.call4, b"\0\0\0\0")))
    bare = variable("bare")
    machine = Machine(REGISTERS, dies=(double, itself, bare))
    at = machine.offsets["double_it"]
    assert machine.value(op.lit0 + 21, op.call2, struct.pack("<H", at)) == 42
    assert machine.value(op.lit0 + 21, op.call4, struct.pack("<I", at), op.lit0, op.plus) == 42
    assert machine.value(op.lit0 + 21, op.call_ref, struct.pack("<I", at)) == 42
    assert machine.value(op.lit0 + 21, op.call4, struct.pack("<I", machine.offsets["bare"])) == 21


def test_a_location_that_calls_itself() -> None:
    itself = variable("itself", (c.AT_location, c.FORM_exprloc, expression(op.call4, b"\x0c\0\0\0")))
    machine = Machine(REGISTERS, dies=(itself,))
    again = expression(op.call4, struct.pack("<I", machine.offsets["itself"]))
    machine = Machine(REGISTERS, dies=(variable("itself", (c.AT_location, c.FORM_exprloc, again)),))
    with pytest.raises(Unavailable, match="calls itself"):
        machine.location(again)


def test_the_value_of_another_variable() -> None:
    n = variable(
        "n",
        (c.AT_type, c.FORM_ref4, Ref("int")),
        (c.AT_location, c.FORM_exprloc, expression(op.fbreg, sleb(-24))),
    )
    k = variable("k", (c.AT_type, c.FORM_ref4, Ref("int")), (c.AT_const_value, c.FORM_data1, 77))
    machine = Machine(REGISTERS, {CFA - 24: struct.pack("<i", -9)}, inside=(n, k))
    assert machine.value(op.GNU_variable_value, struct.pack("<I", machine.offsets["n"])) == -9
    assert machine.value(op.GNU_variable_value, struct.pack("<I", machine.offsets["k"])) == 77


# -------------------------------------------------------------------------------------------- what is found


def test_places_of_values(machine: Machine) -> None:
    assert machine.location(op.lit0 + 8, op.stack_value) == Computed(Number(8))
    assert machine.location(op.implicit_value, 3, b"abc") == Constant(b"abc")
    assert machine.location(op.implicit_pointer, struct.pack("<I", 0x1234), sleb(-8)) == PointerTo(0x1234, -8)
    assert machine.location(op.GNU_implicit_pointer, struct.pack("<I", 0x1234), sleb(8)) == PointerTo(
        0x1234, 8
    )
    assert machine.location(op.breg0, 0, op.GNU_uninit) == machine.location(op.breg0, 0)


def test_nothing_is_optimised_out(machine: Machine) -> None:
    for parts in ((), (op.nop,)):
        with pytest.raises(Unavailable) as caught:
            machine.location(*parts)
        assert caught.value.optimised and caught.value.reason == "it was optimised out"


def test_pieces(machine: Machine) -> None:
    rax, rdx = machine.location(op.reg0), machine.location(op.reg0 + 1)
    found = machine.location(op.reg0, op.piece, 8, op.reg0 + 1, op.piece, 4, op.piece, 4)
    assert found == Pieces((Piece(64, rax), Piece(32, rdx), Piece(32, None)))
    found = machine.location(op.lit0 + 5, op.piece, 1, op.implicit_value, 1, b"x", op.piece, 1)
    assert found == Pieces((Piece(8, InMemory(Number(5))), Piece(8, Constant(b"x"))))
    found = machine.location(op.reg0, op.bit_piece, 3, 5, op.lit0 + 9, op.stack_value, op.bit_piece, 29, 0)
    assert found == Pieces((Piece(3, rax, 5), Piece(29, Computed(Number(9)))))


def test_a_piece_that_cannot_be_read_leaves_the_others(machine: Machine) -> None:
    found = machine.location(op.reg0 + 17, op.piece, 8, op.reg0, op.piece, 8)
    assert isinstance(found, Pieces)
    assert [p.location for p in found.pieces] == [None, machine.location(op.reg0)]
    assert "vector register" in found.pieces[0].reason and not found.pieces[1].reason


def test_values_for_rows_and_call_sites(machine: Machine) -> None:
    pushed = machine.frame.register(0)
    found = compile_value(expression(op.lit0 + 3, op.mul), machine.frame, pushed)
    assert machine.run(found) == 300


# ---------------------------------------------------------------------------------------- any bytes whatever


@given(st.binary(max_size=40))
def test_no_bytes_are_too_bad(data: bytes) -> None:
    try:
        compile_location(data, SHARED.frame)
    except Unavailable as error:
        assert re.match(r"(it|its|nothing|where) ", error.reason)
    except BinaryError as error:
        assert "made-up" in str(error)
