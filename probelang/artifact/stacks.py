"""How stacks travel: frames, stack numbers, and the short texts that stand for both until they are shown.

A frame is a u64: `file << 48 | offset` for code of a file (`file`: its number in this session, from 1; `offset`: in the file), or a plain
address, below 1 << 47, for code that lies in no file. So a stack says the same in every process that maps the files, and still
says it when the process is gone.

A script's strings hold stacks and names of functions as *tokens*, which become text when they are shown:

    ubacktrace()   ->  b"\\x1bS" + 16 hexadecimal digits                 a stack: key of the map `stacks`
    caller()       ->  b"\\x1bF" + 16 digits + 8 digits                  the function at a frame; then the process, 0 where a file tells all
    usymdata()     ->  b"\\x1bD" + 16 digits + 8 digits                  `function+0x12 [file]` at a frame; likewise M its file, P, L and K
                                                                     the source file there, the line, and both

Frame 0 of a stack is the current instruction; each further one is a return address, and what calls it ends one byte before. Of
callers() all are return addresses (STACK_FLAG_CALLERS).
"""

from __future__ import annotations

import struct

FILE_SHIFT = 48
OFFSET_MASK = (1 << FILE_SHIFT) - 1
MOST_FILES = (1 << 16) - 2
MOST_FRAMES = 127

TOKEN = 0x1B
STACK_TOKEN, NAME_TOKEN, DATA_TOKEN = b"\x1bS", b"\x1bF", b"\x1bD"
MODULE_TOKEN, SOURCE_TOKEN, LINE_TOKEN, PLACE_TOKEN = b"\x1bM", b"\x1bP", b"\x1bL", b"\x1bK"
PLACE_TOKENS = (NAME_TOKEN, DATA_TOKEN, MODULE_TOKEN, SOURCE_TOKEN, LINE_TOKEN, PLACE_TOKEN)
"""All that say something of one frame."""
STACK_TOKEN_BYTES, NAME_TOKEN_BYTES = 18, 26

STACK_FLAG_CUT, STACK_FLAG_CALLERS = 1, 2
"""The stack goes on where it could not be followed; it has no frame 0, so the first is a return address as well."""
STACK_HEADER = struct.Struct("<IIII")
"""A value of the map `stacks`: count of frames, flags, process id (0 where every frame is of a file), zero; then MOST_FRAMES u64."""
STACK_BYTES = STACK_HEADER.size + 8 * MOST_FRAMES

# --------------------------------------------------------------------------------------------------- unwind rows

UNWIND_ROW = struct.Struct("<IhbB")
"""From offset `pc` of the file on: frame address, in units of 8 bytes; where rbp is saved, in units of 8 bytes from the CFA (0:
unchanged; 127: lost); kind. Rows ascend by pc; the first of a file is at 0 and the last of ROW_UNKNOWN, so every offset has one."""
RBP_SAME, RBP_LOST = 0, 127
ROW_END = 0
"""The outermost frame: nothing called it."""
ROW_RSP = 1
"""CFA = rsp + 8 * offset; the return address is at CFA - 8, as in all that follow."""
ROW_RBP = 2
"""CFA = rbp + 8 * offset."""
ROW_PLT = 3
"""CFA = rsp + 8 * offset, and 8 more from byte 11 of each 16 on."""
ROW_SIGNAL = 4
"""A signal handler returns here: rip, rsp and rbp lie in the ucontext at rsp (rt_sigframe)."""
ROW_AT_RBP = 5
"""CFA = the word at rbp + 8 * offset, as in functions that align their stack by hand. The distance to the CFA is not known then: rbp is
saved where it points to, unless it is lost."""
ROW_AT_RSP = 6
"""CFA = the word at rsp + 8 * offset, plus 8."""
ROW_UNKNOWN = 7
"""Nothing says how to go on."""
UCONTEXT_RBP, UCONTEXT_RSP, UCONTEXT_RIP = 120, 160, 168
"""Offsets from rsp in `__restore_rt`: struct ucontext, arch/x86/include/uapi/asm/sigcontext.h."""
