"""The scratch memory of a handler: one entry of the array map `frames`, claimed for the time of one hit.

    0 busy | 8 error place | 16 error message | 24 its argument | 32 actions left | 40 subject task | 48 site | 56 flow
    | 64 context words | 96 registers | text of a dynamic error | memory of routines | locals and temporaries

Uprobe programs can be preempted and sleep, so nothing per CPU is exclusive; and everything in a frame is read and
written with volatile accesses, so the verifier knows no values, loops converge and states are pruned.
"""

from __future__ import annotations

from dataclasses import dataclass

TEXT_HEADER = 8  # u32 length, u32 zero

# offsets of struct pt_regs, x86-64 (arch/x86/include/asm/ptrace.h)
REGISTERS = {
    "r15": 0, "r14": 8, "r13": 16, "r12": 24, "rbp": 32, "rbx": 40, "r11": 48, "r10": 56, "r9": 64, "r8": 72,
    "rax": 80, "rcx": 88, "rdx": 96, "rsi": 104, "rdi": 112, "orig_rax": 120, "rip": 128, "cs": 136,
    "eflags": 144, "rsp": 152, "ss": 160,
}  # fmt: skip

FLOW_NONE, FLOW_BREAK, FLOW_NEXT, FLOW_RETURN, FLOW_ERROR = 0, 1, 2, 3, 4


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """Offsets of the fixed part of a frame, for strings of `capacity` bytes."""

    capacity: int
    busy: int = 0
    error_at: int = 8  # place + 1, 0: no error
    error_code: int = 16  # number of the message, 0: the text is in `error_text`
    error_argument: int = 24
    actions: int = 32
    task: int = 40
    site: int = 48
    flow: int = 56
    context: int = 64
    registers: int = 96
    tokens: int = 264  # length of what tokenize() has left; a handler starts with 0
    error_text: int = 272

    @property
    def buffer_size(self) -> int:
        """A string buffer: header and twice the capacity, so that a masked length fits behind a masked offset."""
        return TEXT_HEADER + 2 * self.capacity

    @property
    def routines(self) -> int:
        """Memory of routines starts here."""
        return self.error_text + self.buffer_size

    @property
    def routines_end(self) -> int:
        return self.routines + 4096 + 4 * self.buffer_size
