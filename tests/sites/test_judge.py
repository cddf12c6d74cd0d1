"""On which instructions a probe may stand, and whose returns can be probed."""

from __future__ import annotations

import random
from pathlib import Path

import iced_x86
import pytest

from probelang.dwarf.binary import open_binary
from probelang.dwarf.functions import Function, all_functions, find_functions
from probelang.sites import judge, judge_return
from probelang.sites.opcodes import (
    EMULATED_OPCODES,
    PLAIN,
    PREFIXES,
    REFUSED_OPCODES,
    REX,
    SYSTEM_CALLS,
    classify,
)
from tests.dwarf.targets import C, compile_target

LIBC = "/lib/x86_64-linux-gnu/libc.so.6"


def entries(path: Path) -> dict[str, Function]:
    return {f.name: f for f in all_functions(open_binary(str(path)))}


def test_entries_that_must_never_be_probed_are_refused_and_others_are_not(asm: Path) -> None:
    binary = open_binary(str(asm))
    own = [f for f in all_functions(binary) if f.name.startswith(("good_", "bad_"))]
    refused = {f.name for f in own if judge(binary, f.address) is not None}
    assert refused == {f.name for f in own if f.name.startswith("bad_")}
    assert len(own) == 16


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("bad_syscall", "`syscall`"),
        ("bad_lock", "`lock` prefix"),
        ("bad_notrack", "`notrack` prefix"),
        ("bad_cs", "`cs` prefix"),
        ("bad_vex_as_jump", "(VEX), for a conditional jump"),
        ("bad_vex_refused", "(VEX) on which the kernel sets no probe"),
        ("bad_int3", "opcode cc"),
    ],
)
def test_reasons(asm: Path, name: str, reason: str) -> None:
    refusal = judge(open_binary(str(asm)), entries(asm)[name].address)
    assert refusal is not None
    assert reason in refusal.reason


def test_only_typed_function_symbols_are_functions(asm: Path) -> None:
    known = entries(asm)
    assert "empty_size" in known
    assert "table" not in known
    assert "untyped" not in known


def test_entries_of_libc_that_are_known_to_break_programs() -> None:
    binary = open_binary(LIBC)
    spin = find_functions(binary, "pthread_spin_lock")
    assert [judge(binary, f.address) is not None for f in spin] == [True]
    for function in all_functions(binary):
        if "_evex" in function.symbol or "_avx" in function.symbol:
            code = binary.image.data[function.offset : function.offset + 15]
            assert (judge(binary, function.address) is None) == (classify(code) is None)


def test_an_address_outside_of_the_file_is_refused(pie: Path) -> None:
    assert judge(open_binary(str(pie)), 0x7000_0000) is not None


def test_the_fast_path_agrees_with_the_whole_look() -> None:
    for first in PLAIN:
        assert classify(bytes([first]) + bytes(14)) is None


def test_random_instructions_against_a_decoder() -> None:
    """The oracle knows prefixes and encodings by decoding; ours looks at bytes."""
    choose = random.Random(11)
    known = 0
    for _ in range(30_000):
        code = bytes(choose.choice((choose.randrange(256), 0xC5, 0xC4, 0x62, 0x0F, 0xF0)) for _ in range(15))
        instruction = iced_x86.Decoder(64, code).decode()
        if instruction.is_invalid:
            continue
        known += 1
        assert (classify(code) is not None) == must_refuse(instruction, code), code.hex()
    assert known > 5_000


def must_refuse(instruction: iced_x86.Instruction, code: bytes) -> bool:
    whole = code[: instruction.len]
    encoding = instruction.encoding
    opcode_info = instruction.op_code()
    opcode = opcode_info.op_code
    legacy = len(whole) - len(whole.lstrip(b"\x26\x2e\x36\x3e\x64\x65\x66\x67\xf0\xf2\xf3"))
    if set(whole[:legacy]) & set(b"\x26\x2e\x36\x3e\xf0"):
        return True
    if whole[legacy] in REX and whole[legacy + 1] in REX | PREFIXES:
        return True  # processors ignore the first; the kernel would be at a loss
    if encoding == iced_x86.EncodingKind.D3NOW:
        return False
    if encoding != iced_x86.EncodingKind.LEGACY:
        return opcode in EMULATED_OPCODES | REFUSED_OPCODES
    table = opcode_info.table
    if table == iced_x86.OpCodeTableKind.NORMAL:
        first = opcode if opcode < 0x100 else opcode >> 8
        if first in REFUSED_OPCODES:
            return True
        return 0x66 in whole[:legacy] and first in EMULATED_OPCODES - {0x90}
    if table == iced_x86.OpCodeTableKind.T0F:
        low = opcode if opcode < 0x100 else opcode >> 8
        return low in SYSTEM_CALLS or (0x66 in whole[:legacy] and 0x80 <= low <= 0x8F)
    return False


# -------------------------------------------------------------------------------------------------- returns


@pytest.mark.parametrize(
    "name", ["_setjmp", "setjmp", "getcontext", "swapcontext", "dlsym", "pthread_exit", "_Unwind_Resume"]
)
def test_functions_that_use_their_return_address(name: str) -> None:
    binary = open_binary(LIBC)
    (function,) = find_functions(binary, name)[:1]
    refusal = judge_return(binary, function)
    assert refusal is not None
    assert "return address" in refusal.reason


@pytest.mark.parametrize("name", ["malloc", "free", "read", "fopen", "qsort", "fork", "printf"])
def test_ordinary_functions_return(name: str) -> None:
    binary = open_binary(LIBC)
    for function in find_functions(binary, name):
        assert judge_return(binary, function) is None


def test_the_entry_point_of_a_program_does_not_return(pie: Path) -> None:
    binary = open_binary(str(pie))
    (start,) = find_functions(binary, "_start")
    refusal = judge_return(binary, start)
    assert refusal is not None
    assert "not entered by a call" in refusal.reason


def test_fragments_of_functions_do_not_return(pie: Path) -> None:
    assert (
        judge_return(open_binary(str(pie)), Function("f.cold", "f.cold", 1, 1, 1, False, False)) is not None
    )


def test_go_programs_are_never_return_probed(folder: Path) -> None:
    source = C + '__attribute__((section(".gopclntab"))) const char table[8] = "x";\n'
    binary = open_binary(str(compile_target(folder, "like_go", source)))
    (function,) = find_functions(binary, "visible")
    refusal = judge_return(binary, function)
    assert refusal is not None
    assert "Go" in refusal.reason
