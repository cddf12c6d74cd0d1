"""Slots hold what the instruction does at its own place: every instruction of real programs, decoded again by the library."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from iced_x86 import Decoder, FlowControl, Instruction, Register

from probelang.dwarf.binary import open_binary
from probelang.dwarf.functions import find_functions
from probelang.runtime.ptrace.machine import CannotRelocate
from probelang.runtime.ptrace.x86_64 import X86_64

BASE, SLOT = 0x5555_5555_0000, 0x5555_1000_0000
MACHINE = X86_64()


def decode(code: bytes, address: int) -> list[Instruction]:
    return list(Decoder(64, code, ip=address))


def target(instruction: Instruction, slot: bytes, at: int) -> int:
    """Where a jump of a slot goes; one through memory has its target in the slot."""
    if instruction.is_ip_rel_memory_operand:
        offset = instruction.ip_rel_memory_address - at
        return int.from_bytes(slot[offset : offset + 8], "little")
    return instruction.near_branch_target


def assert_same(original: Instruction, slot: bytes, at: int) -> None:
    """`slot`, executed at `at`, does what `original` does at its place, and goes on behind it."""
    copied = decode(slot, at)
    first = copied[0]
    if (
        original.flow_control in (FlowControl.CALL, FlowControl.INDIRECT_CALL)
        and original.mnemonic != first.mnemonic
    ):
        pushed = first.ip_rel_memory_address - at
        assert int.from_bytes(slot[pushed : pushed + 8], "little") == original.next_ip
        if original.is_call_near:
            assert target(copied[1], slot, at) == original.near_branch_target
        else:
            assert_same_operand(original, copied[1])
        return
    match original.flow_control:
        case FlowControl.UNCONDITIONAL_BRANCH:
            assert target(first, slot, at) == original.near_branch_target
        case FlowControl.CONDITIONAL_BRANCH:
            assert first.condition_code == original.condition_code
            assert first.mnemonic == original.mnemonic
            assert target(copied[1], slot, at) == original.next_ip
            over = next(i for i in copied if i.ip == first.near_branch_target)
            assert target(over, slot, at) == original.near_branch_target
        case _:
            # as text, memory relative to the instruction pointer is its absolute address
            assert str(first) == str(original)
            if original.flow_control not in (FlowControl.RETURN, FlowControl.INDIRECT_BRANCH):
                assert target(copied[1], slot, at) == original.next_ip


def assert_same_operand(call: Instruction, jump: Instruction) -> None:
    """The push before the jump has moved the stack pointer down by 8."""
    assert jump.op0_register == call.op0_register
    assert (jump.memory_base, jump.memory_index) == (call.memory_base, call.memory_index)
    assert jump.memory_index_scale == call.memory_index_scale
    assert jump.segment_prefix == call.segment_prefix
    moved = 8 if Register.RSP in (call.memory_base, call.memory_index) else 0
    assert jump.memory_displacement == call.memory_displacement + moved


def instructions(path: Path, every: int) -> Iterator[tuple[Instruction, bytes]]:
    """Those of every n-th function."""
    binary = open_binary(str(path))
    for function in sorted(find_functions(binary, "*"), key=lambda f: f.address)[::every]:
        offset = binary.image.offset_of(function.address)
        if offset is None or not function.size_bytes:
            continue
        code = bytes(binary.image.data[offset : offset + function.size_bytes])
        for instruction in decode(code, BASE + function.address):
            start = instruction.ip - BASE - function.address
            yield instruction, (code + bytes(16))[start : start + 16]


def libc() -> Path:
    return next(p for p in sorted(Path("/lib").glob("*/libc.so.6")) if "64" in str(p))


@pytest.mark.parametrize("path", [libc(), Path(shutil.which("bash") or "/bin/bash")], ids=["libc", "bash"])
def test_every_instruction_of_a_program(path: Path) -> None:
    refused: Counter[int] = Counter()
    seen = 0
    for original, code in instructions(path, every=2):
        if original.is_invalid:
            continue
        seen += 1
        try:
            slot = MACHINE.slot_code(code, original.ip, SLOT)
        except CannotRelocate:
            refused[original.mnemonic] += 1
            continue
        assert len(slot) <= MACHINE.slot_bytes
        assert_same(original, slot, SLOT)
    assert seen > 10_000
    # transactions, traps of the program's own
    assert sum(refused.values()) < seen / 1000, refused
