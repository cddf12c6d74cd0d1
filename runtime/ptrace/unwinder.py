"""Stacks of stopped threads, by the unwind rows of the files that they run (`probelang.runtime.stacks.walk`).

    unwinder.walk(4711, space, registers, pc=0x401136, most=127)  ->  ([0x401136, 0x401187, ...], False)

What reads unwind rows is imported when the first stack is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from probelang.artifact.stacks import MOST_FRAMES
from probelang.runtime.symbols import Symbols

if TYPE_CHECKING:
    from probelang.runtime.ptrace.machine import Registers
    from probelang.runtime.ptrace.memory import Memory
    from probelang.runtime.ptrace.space import Space
    from probelang.runtime.stacks.walk import Place


class Unwinder:
    """`symbols`: what knows the files. `cut_stacks`: how many went on where they could not be followed."""

    def __init__(self, symbols: Symbols) -> None:
        self._symbols = symbols
        self.cut_stacks = 0

    def walk(
        self, pid: int, space: Space, memory: Memory, registers: Registers, pc: int, most: int
    ) -> tuple[list[int], bool]:
        """At most `most` addresses from `pc` on, and whether the stack goes on where it could not be followed."""
        from probelang.runtime.stacks.walk import Start, walk

        in_files = self._symbols.texts.locator(pid)

        def locate(address: int) -> Place | None:
            owner = space.slot_owner(address)
            return in_files(address if owner is None else owner)

        walked = walk(Start(pc, registers.sp, registers.frame_pointer), memory.word, locate, most)
        is_cut = walked.cut and (len(walked.addresses) < most or most >= MOST_FRAMES)
        # a signal may have come when a thread was about to do the instruction of a breakpoint, in its slot
        return [space.slot_owner(address) or address for address in walked.addresses], is_cut
