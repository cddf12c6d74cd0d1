"""Every form of operand that sys/sdt.h documents and compilers write, read with known registers and memory."""

from __future__ import annotations

import struct
import subprocess
from functools import cache
from pathlib import Path

import pytest

from probelang.artifact.code import Number
from probelang.dwarf.binary import Binary, open_binary
from probelang.target.location import Unavailable
from probelang.target.operand import mark_argument
from probelang.target.values import is_float, value
from tests.conftest import Compile
from tests.target.samples import Hit, Sample, evaluate

RAX, BASE, STACK, THREAD = 0x8877_6655_4433_F281, 0x5555_0000_0000, 0x7FFD_0000_1000, 0x7F00_0000_2000
NAMES = (
    "rax",
    "rbx",
    "rcx",
    "rdx",
    "rsi",
    "rdi",
    "rbp",
    "r8",
    "r9",
    "r10",
    "r11",
    "r12",
    "r13",
    "r14",
    "r15",
)
REGISTERS = {name: RAX + (i << 56) for i, name in enumerate(NAMES)} | {
    "rsp": STACK,
    "fs_base": THREAD,
    "gs_base": THREAD + 8,
}
LEGACY = {"rax": "a", "rbx": "b", "rcx": "c", "rdx": "d"}
ROW = bytes(range(0x80, 0x100))
C = """
#include <unistd.h>
long table[4] = { 11, 22, 33, -44 };
static short narrow = -7;
short *keep(void) { return &narrow; }
__thread int mine[2] = { 5, 6 };
int main(void) { return mine[1] + *keep() + getpid() + (environ != 0); }
"""


@pytest.fixture(scope="module")
def program(compile_c: Compile) -> Binary:
    return open_binary(str(compile_c("#define _GNU_SOURCE\n" + C, "-O1", name="operands")))


def number(text: str, program: Binary, **registers: int) -> int | str:
    """The value of an argument. The program's own variables have values of the test's choice at their places."""
    found = mark_argument(text, program, Number(BASE))
    symbols = {name: BASE + address for name, address in addresses(Path(program.path)).items()}
    memory = {
        STACK - 64: ROW,
        RAX & 0xFFFF_FFFF: struct.pack("<i", -9),
        symbols["table"]: struct.pack("<4q", 11, 22, 33, -44),
        symbols["narrow"]: struct.pack("<h", -7),
        THREAD - 8: struct.pack("<2i", 5, 6),
        THREAD + 40: struct.pack("<q", 0x1122),
        0x1234: struct.pack("<i", 1234),
    }
    return evaluate(value(found, Surroundings()), Hit(memory, {**REGISTERS, **registers}))


class Surroundings(Sample):
    """Of values that need nothing but a place in the script."""

    def __init__(self) -> None:
        pass


@cache
def addresses(path: Path) -> dict[str, int]:
    text = subprocess.run(["nm", str(path)], capture_output=True, text=True, check=True).stdout
    return {row.split()[2]: int(row.split()[0], 16) for row in text.splitlines() if len(row.split()) == 3}


def narrowed(raw: int, size_bytes: int, signed: bool) -> int:
    """As C converts it, to a number of 64 bits with sign."""
    low = (raw & (1 << 64) - 1).to_bytes(8, "little")[:size_bytes]
    extended = int.from_bytes(low, "little", signed=signed)
    return extended - (1 << 64) if extended >> 63 == 1 else extended


def names_of(register: str) -> list[tuple[str, int]]:
    """Of a register, with the size in bytes that each has."""
    if register in LEGACY:
        letter = LEGACY[register]
        return [(register, 8), (f"e{letter}x", 4), (f"{letter}x", 2), (f"{letter}l", 1)]
    if register[1:].isdigit():
        return [(register, 8), (f"{register}d", 4), (f"{register}w", 2), (f"{register}b", 1)]
    return [(register, 8), (f"e{register[1:]}", 4), (register[1:], 2), (f"{register[1:]}l", 1)]


@pytest.mark.parametrize("register", NAMES)
def test_registers_of_every_width_and_name(register: str, program: Binary) -> None:
    for name, size in names_of(register):
        for signed in (True, False):
            expected = narrowed(REGISTERS[register], size, signed)
            assert number(f"{'-' if signed else ''}{size}@%{name}", program) == expected


@pytest.mark.parametrize(("register", "high"), [("rax", "ah"), ("rbx", "bh"), ("rcx", "ch"), ("rdx", "dh")])
def test_the_second_byte_of_a_register(register: str, high: str, program: Binary) -> None:
    assert number(f"1@%{high}", program) == 0xF2
    assert number(f"-1@%{high}", program) == 0xF2 - 0x100
    assert number(f"-1@%{high}", program, **{register: 0x7F00}) == 0x7F


def test_the_size_decides_not_the_name(program: Binary) -> None:
    """GCC may name a longer or a shorter part of the register that holds a value."""
    assert number("-2@%rax", program) == narrowed(RAX, 2, True)
    assert number("4@%ax", program) == RAX & 0xFFFF_FFFF
    assert number("8@%eax", program) == narrowed(RAX, 8, True)
    assert number("-1@%esi", program) == narrowed(RAX, 1, True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-4@$-5", -5), ("-4@$5", 5), ("-1@$-1", -1), ("1@$-1", 255), ("2@$65535", 65535), ("-2@$65535", -1), ("4@$-1", 0xFFFF_FFFF),
        ("8@$-1", -1), ("-8@$-9223372036854775808", -(1 << 63)), ("8@$0xffffffffffffffff", -1), ("-4@$0x10", 16), ("-4@$-0x10", -16),
        ("-4@$010", 8), ("-4@$0", 0), ("-4@$0b101", 5), ("-4@$8+4-1", 11), ("8@$18446744073709551615", -1),
    ],
)  # fmt: skip
def test_immediates(text: str, expected: int, program: Binary) -> None:
    assert number(text, program) == expected


@pytest.mark.parametrize(
    ("operand", "place"),
    [
        ("(%rsp)", 64), ("8(%rsp)", 72), ("-8(%rsp)", 56), ("0x10(%rsp)", 80), ("-0x10(%rsp)", 48), ("8+4(%rsp)", 76), ("-8+4(%rsp)", 60),
        ("(%rsp,%r8)", 67), ("(%rsp,%r8,4)", 76), ("-8(%rsp,%r8,8)", 80), ("8(%rsp, %r8, 2)", 78), ("(%rsp,%r8,1)", 67),
        ("(%rsp,%r9)", 60), ("(%rsp,%r9,8)", 32), ("(,%r10,8)", 64), ("16(,%r10,8)", 80), ("-64(,%r10,8)", 0), ("( %rsp )", 64),
        ("%ds:8(%rsp)", 72), ("%ss:(%rsp)", 64), ("ds:(%rsp)", 64),
    ],
)  # fmt: skip
def test_memory_by_registers(operand: str, place: int, program: Binary) -> None:
    registers = {"r8": 3, "r9": -4 & (1 << 64) - 1, "r10": STACK // 8}
    for size in (1, 2, 4, 8):
        expected = ROW[place : place + size]
        for signed in (True, False):
            found = number(f"{'-' if signed else ''}{size}@{operand}", program, **registers)
            assert found == narrowed(int.from_bytes(expected, "little"), size, signed)


def test_addresses_of_32_bits(program: Binary) -> None:
    assert number("-4@(%eax)", program) == -9
    assert number("-4@-4(%eax,%ecx,4)", program, rcx=0xFF00_0000_0001) == -9


def test_addresses_that_are_numbers(program: Binary) -> None:
    assert number("-4@4660", program) == 1234
    assert number("-4@0x1234", program) == 1234
    assert number("-4@ds:0x1234", program) == 1234


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8@table(%rip)", 11), ("8@table+8(%rip)", 22), ("8@16+table(%rip)", 33), ("-8@8+table+16(%rip)", -44), ("-8@table+32-8(%rip)", -44),
        ("-2@narrow(%rip)", -7), ("8@table", 11), ("8@table+8(,%r8,8)", 33), ("8@table(%rax)", 22),
    ],
)  # fmt: skip
def test_symbols(text: str, expected: int, program: Binary) -> None:
    assert number(text, program, r8=1, rax=8) == expected


def test_addresses_of_symbols(program: Binary) -> None:
    place = addresses(Path(program.path))["table"]
    assert number("8@$table", program) == BASE + place
    assert number("8@$8+table", program) == BASE + place + 8
    assert number("8@table@GOTPCREL(%rip)", program) == BASE + place


def test_an_address_from_the_global_offset_table(compile_c: Compile) -> None:
    library = compile_c(
        "extern long far; long *near(void) { return &far; }", "-O1", "-shared", "-fPIC", name="got.so"
    )
    text = subprocess.run(["readelf", "-rW", str(library)], capture_output=True, text=True, check=True).stdout
    (slot,) = [int(line.split()[0], 16) for line in text.splitlines() if " far + 0" in line]
    found = value(
        mark_argument("8@far@GOTPCREL(%rip)", open_binary(str(library)), Number(BASE)), Surroundings()
    )
    assert evaluate(found, Hit({BASE + slot: struct.pack("<q", 0x7777)})) == 0x7777


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-4@%fs:mine@tpoff", 5), ("-4@%fs:mine@tpoff+4", 6), ("-4@%fs:4+mine@tpoff", 6), ("-4@%fs:-8", 5), ("-8@%fs:40", 0x1122),
        ("-8@%fs:0x28", 0x1122),
        ("-8@%gs:0x20", 0x1122), ("-8@%fs:8(%r8)", 0x1122), ("-8@%fs:(%r8,%r8)", 0x1140), ("-4@mine@dtpoff(%r9)", 5), ("-4@4+mine@dtpoff(%r9)", 6),
    ],
)  # fmt: skip
def test_thread_local_variables(text: str, expected: int, program: Binary) -> None:
    if text == "-8@%fs:(%r8,%r8)":
        assert number(text, program, r8=20) == 0x1122
    else:
        assert number(text, program, r8=32, r9=THREAD - 8) == expected


def test_floating_point_numbers(program: Binary) -> None:
    bits = struct.unpack("<q", struct.pack("<d", -2.5))[0]
    single = struct.unpack("<I", struct.pack("<f", -2.5))[0]
    assert number("8f@%rax", program, rax=bits) == bits
    assert number("4f@%eax", program, rax=single | 0xFFFF << 32) == bits
    stack = STACK - 64
    found = mark_argument("8f@-8(%rbp)", program, Number(0))
    assert is_float(found.type)
    memory = Hit({stack: struct.pack("<d", -2.5)}, {"rbp": stack + 8})
    assert evaluate(value(found, Surroundings()), memory) == bits


def test_without_a_size_the_operand_tells_it(program: Binary) -> None:
    assert number("%rax", program) == narrowed(RAX, 8, False)
    assert number("%eax", program) == RAX & 0xFFFF_FFFF
    assert number("%ax", program) == 0xF281
    assert number("%al", program) == 0x81
    assert number("%ah", program) == 0xF2
    assert number("$12", program) == 12
    assert number("8(%rsp)", program) == narrowed(int.from_bytes(ROW[72:80], "little"), 8, False)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("8f@%xmm0", "vector register"), ("4f@%xmm15", "vector register"), ("8@%ymm3", "vector register"),
        ("8f@%st(1)", "st(1)"), ("8@%mm0", "vector register"), ("8@%cr3", "cr3"),
        ("16f@(%rsp)", "16 bytes"), ("16@(%rsp)", "16 bytes"), ("3@%eax", "3 bytes"), ("0@%eax", "0 bytes"),
        ("8@nosuch(%rip)", "`nosuch`"), ("8@$.LC0", "`.LC0`"), ("8@.LC0(%rip)", "`.LC0`"), ("8@mine(%rip)", "`mine`"),
        ("-4@%fs:table@tpoff", "`table`"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_says_why(text: str, reason: str, program: Binary) -> None:
    with pytest.raises(Unavailable) as caught:
        mark_argument(text, program, Number(BASE))
    assert reason in caught.value.reason


@pytest.mark.parametrize(
    "text",
    [
        "", "8@", "@%rax", "8@%", "8@$", "8@%nosuch", "8@(", "8@(%rsp", "8@%rsp)", "8@()x", "8@(%rsp,%rax,3)", "8@(%rsp,%rax,)8", "8@(%al)",
        "8@(%rip,%rax)", "8@(%rsp,%rip)", "8@4(%rsp)(%rax)", "8@8++4(%rsp)", "8@8+(%rsp)", "8@$5x", "8@$0x", "8@$08", "8@a+b(%rip)", "8@-table(%rip)",
        "8@table@nosuch(%rip)", "8@DWORD PTR [rbp-4]", "8@table*4(%rip)", "8@%fs:", "8@+", "8@$" + "9" * 100, "8@" + "1+" * 40 + "1(%rsp)",
    ],
)  # fmt: skip
def test_malformed_operands_are_named(text: str, program: Binary) -> None:
    with pytest.raises(Unavailable) as caught:
        mark_argument(text, program, Number(BASE))
    assert f"`{text}`" in caught.value.reason


def test_hostile_operands_take_no_time(program: Binary) -> None:
    for text in (
        "8@" + "(" * 100_000,
        "8@(" + " " * 2000 + "x",
        "8@$" + "1+" * 50_000,
        "-" * 1000 + "8@%rax",
    ):
        with pytest.raises(Unavailable):
            mark_argument(text, program, Number(BASE))


def test_two_variables_of_one_name_are_not_guessed_at(compile_c: Compile, tmp_path: Path) -> None:
    other = tmp_path / "other.c"
    other.write_text("static volatile int hidden = 2; int other(void) { return hidden; }")
    path = compile_c(
        "static volatile int hidden = 1; int other(void); int main(void) { return hidden + other(); }",
        "-O1", str(other), name="twins",
    )  # fmt: skip
    with pytest.raises(Unavailable) as caught:
        mark_argument("-4@hidden(%rip)", open_binary(str(path)), Number(0))
    assert "several" in caught.value.reason


def test_thread_local_alignment(compile_c: Compile) -> None:
    """The block ends at the thread pointer, its size rounded up to its alignment; the linker's own number is in the code."""
    path = compile_c(
        "__thread _Alignas(64) char first = 1; __thread char second = 2; int main(void) { return second + first; }",
        "-O1", name="aligned_thread",
    )  # fmt: skip
    text = subprocess.run(["objdump", "-d", str(path)], capture_output=True, text=True, check=True).stdout
    code = text.partition("<main>:")[2].partition("ret")[0]
    offsets = {int(word.rpartition("%fs:")[2].split(",")[0], 16) for word in code.split() if "%fs:0x" in word}
    for name in ("first", "second"):
        place = value(
            mark_argument(f"-1@%fs:{name}@tpoff", open_binary(str(path)), Number(0)), Surroundings()
        )
        memory = {(o + (1 << 64)) % (1 << 64) - (1 << 64): b"\x07" for o in offsets}
        assert evaluate(place, Hit(memory, {"fs_base": 0})) == 7
    assert len(offsets) == 2
