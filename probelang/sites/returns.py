"""Where a function returns: its `ret` instructions, for probes that stand on them.

    Returns(binary).of(0x1139)  ->  Exits(returns=(0x1160, 0x1171), calls=True, through_pointer=False)

A hooked return (a uretprobe) replaces the return address on the stack, at which an exception that passes gives up (std::terminate);
and where a program changes stacks, the kernel forgets what the address was. A probe on `ret` changes nothing. The kernel steps over
that instruction, where a hook costs less: so a function that calls nothing may be hooked all the same.

A function that is left by a jump to another one returns where that does, as calls of the other alone do: then nothing at its own
instructions tells of the return, and it is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from probelang.dwarf.binary import Binary
from probelang.dwarf.extents import Extents
from probelang.dwarf.frames import CfaRegister, frame_at
from probelang.dwarf.image import BinaryError
from probelang.sites.judge import Refusal

if TYPE_CHECKING:
    from iced_x86 import Instruction

MOST_PIECES, LONGEST = 64, 1 << 20
AT_ENTRY = CfaRegister(7, 8)
"""rsp + 8."""
_LOOK_BACK = 8
_INDIRECT_CALL = re.compile(rb"\xff[\x10-\x17\x50-\x57\x90-\x97\xd0-\xd7]")
_NOTRACK = 0x3E
_HARMFUL = (
    "exceptions may pass through it, which a hooked return would turn into the end of the program, and "
)
_POINTER = _HARMFUL + "it is left by a jump through a pointer, to where it returns"
_JUMP = _HARMFUL + "it is left by a jump to another function, where it returns"
_UNKNOWN = _HARMFUL + "neither symbols nor unwind information say where its code ends"


@dataclass(frozen=True, slots=True)
class Exits:
    """`calls`: anything, so that exceptions may pass; `through_pointer`: what is known only when it runs. `refusal`: why the returns are
    not known."""

    returns: tuple[int, ...] = ()
    calls: bool = False
    through_pointer: bool = False
    refusal: Refusal | None = None


class Returns:
    """Of the functions of one file."""

    def __init__(self, binary: Binary) -> None:
        self._binary = binary

    @cached_property
    def _extents(self) -> Extents:
        return Extents(self._binary)

    @cached_property
    def _pieces(self) -> frozenset[int]:
        """Parts of functions that lie apart."""
        return frozenset(s.address for s in self._binary.symbols() if b".cold" in s.name)

    def of(self, address: int) -> Exits:
        """Of the function that is entered there."""
        own = self._extents.around(address)
        if own is None or own[0] != address:
            return Exits(calls=True, refusal=Refusal(_UNKNOWN))
        found = Exits()
        pieces, done = [own], 0
        while done < len(pieces):
            low, high = pieces[done]
            done += 1
            if high - low > LONGEST or len(pieces) > MOST_PIECES:
                return replace(found, calls=True, refusal=Refusal(_UNKNOWN))
            walk = _Walk(self._binary, low, high)
            walk.run()
            found = replace(
                found,
                returns=(*found.returns, *walk.returns),
                calls=found.calls or walk.calls,
                through_pointer=found.through_pointer or walk.through_pointer,
            )
            if walk.left_by_pointer:
                return replace(found, calls=True, through_pointer=True, refusal=Refusal(_POINTER))
            for goal in walk.goals:
                if any(start <= goal < end for start, end in pieces):
                    continue
                piece = self._extents.around(goal)
                if piece is None or not self._is_part(goal):
                    return replace(found, calls=True, refusal=Refusal(_JUMP))
                pieces.append(piece)
        return replace(found, returns=tuple(sorted(found.returns)))

    def _is_part(self, address: int) -> bool:
        """Whether code that is jumped to belongs to the same function: by its name, or as there is more on the stack already than a
        function finds at its entry. (Of stubs the unwind information may say anything.)"""
        if address in self._pieces:
            return True
        if is_stub(self._binary, address):
            return False
        try:
            frame = frame_at(self._binary, None, address)
        except BinaryError:
            return False
        return frame is not None and frame.cfa != AT_ENTRY


def is_stub(binary: Binary, address: int) -> bool:
    """Whether this is a PLT slot, which jumps to another file."""
    return any(s.address <= address < s.end and ".plt" in s.name for s in binary.image.sections)


def calls_through_pointer(binary: Binary, address: int) -> bool:
    """Whether a function calls what its caller gave it, as qsort does."""
    piece = Extents(binary).around(address)
    offset = None if piece is None else binary.image.offset_of(piece[0])
    if piece is None or offset is None:
        return False
    # the decoder takes a while to import, and most functions do not even look like it
    code = binary.image.data[offset : offset + piece[1] - piece[0]]
    return _INDIRECT_CALL.search(code) is not None and Returns(binary).of(address).through_pointer


class _Walk:
    """Over one piece of code. `goals`: of jumps that lead out of it."""

    def __init__(self, binary: Binary, low: int, high: int) -> None:
        self._binary, self._low, self._high = binary, low, high
        offset = binary.image.offset_of(low)
        self._code = b"" if offset is None else binary.image.data[offset : offset + high - low]
        self.returns: list[int] = []
        self.goals: list[int] = []
        self.calls = self.through_pointer = self.left_by_pointer = False

    def run(self) -> None:
        from iced_x86 import Decoder, FlowControl, OpKind, Register

        before: list[Instruction] = []
        for instruction in Decoder(64, self._code, ip=self._low):
            flow = instruction.flow_control
            if flow == FlowControl.NEXT:
                pass
            elif flow == FlowControl.RETURN:
                self.returns.append(instruction.ip)
            elif flow in (FlowControl.UNCONDITIONAL_BRANCH, FlowControl.CONDITIONAL_BRANCH):
                if not self._low <= instruction.near_branch_target < self._high:
                    self.goals.append(instruction.near_branch_target)
            elif flow == FlowControl.CALL:
                self.calls = True
            elif flow == FlowControl.INDIRECT_CALL:
                self.calls = True
                # through a slot that the loader fills in is a call by name
                by_name = instruction.op0_kind == OpKind.MEMORY and instruction.memory_base == Register.RIP
                self.through_pointer = self.through_pointer or not by_name
            elif flow == FlowControl.INDIRECT_BRANCH and not self._is_switch(instruction, before):
                self.left_by_pointer = True
            before = [*before[1 - _LOOK_BACK :], instruction]

    def _is_switch(self, jump: Instruction, before: Sequence[Instruction]) -> bool:
        """Whether a computed jump stays in the function. Compilers mark those with `notrack` where the processor would mind; else the
        goal comes from a table of distances, which are added to its address, or from one of addresses that lie here."""
        from iced_x86 import Mnemonic, OpKind

        if self._code[jump.ip - self._low] == _NOTRACK:
            return True
        if jump.op0_kind == OpKind.MEMORY:
            return self._is_table(jump)
        for instruction in reversed(before):
            if (
                instruction.op_count
                and instruction.op0_kind == OpKind.REGISTER
                and (instruction.op0_register == jump.op0_register)
            ):
                if instruction.mnemonic == Mnemonic.ADD:
                    return True
                return instruction.mnemonic == Mnemonic.MOV and self._is_table(instruction)
        return False

    def _is_table(self, instruction: Instruction) -> bool:
        """Whether an instruction takes an address from a table, of which the first leads here."""
        from iced_x86 import Register

        if instruction.memory_base != Register.NONE or instruction.memory_index == Register.NONE:
            return False
        offset = self._binary.image.offset_of(instruction.memory_displacement)
        if offset is None:
            return False
        goal = int.from_bytes(self._binary.image.data[offset : offset + 8], "little")
        return self._low <= goal < self._high
