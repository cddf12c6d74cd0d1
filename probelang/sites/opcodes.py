"""What the kernel does with an instruction under a probe, judged by prefixes and opcode alone.

    classify(bytes.fromhex("0f05"))      ->  "its first instruction is `syscall`, ..."
    classify(bytes.fromhex("c5f9efc0"))  ->  "...": `vpxor` has opcode byte ef, which the kernel takes for `out`
    classify(bytes.fromhex("55"))        ->  None: `push %rbp` is fine

The kernel copies the instruction elsewhere and steps over it there, or emulates it. It looks at the opcode byte without
asking whether a VEX or EVEX prefix gave that byte another meaning; hence vector instructions that are taken for a
jump (the program computes nonsense) or for `in` and `out` (no probe is set, and nobody is told when the file is not yet
mapped). Sources: arch/x86/kernel/uprobes.c, good_insns_64, is_prefix_bad, branch_setup_xol_ops; AMD64 manual
volume 3 for the encodings.
"""

from __future__ import annotations

# Opcode bytes that good_insns_64 lacks: no user-space instruction of 64-bit code, or one that traps
REFUSED_OPCODES = frozenset(
    b"\x06\x07\x0e\x16\x17\x1e\x1f\x27\x2f\x37\x3f\x60\x61\x62\x6c\x6d\x6e\x6f\x82\x9a"
    b"\xcc\xcd\xce\xd4\xd5\xd6\xe4\xe5\xe6\xe7\xea\xec\xed\xee\xef\xf1\xf4\xfa\xfb"
)
# Opcode bytes that branch_setup_xol_ops emulates: jcc, call, jmp; nop
BRANCH_OPCODES = frozenset((*range(0x70, 0x80), 0xE8, 0xE9, 0xEB))
EMULATED_OPCODES = BRANCH_OPCODES | {0x90}
REFUSED_PREFIXES = {0x26: "es", 0x2E: "cs", 0x36: "ss", 0x3E: "ds", 0xF0: "lock"}
OTHER_PREFIXES = frozenset((0x64, 0x65, 0x66, 0x67, 0xF2, 0xF3))
PREFIXES = OTHER_PREFIXES | frozenset(REFUSED_PREFIXES)
REX = frozenset(range(0x40, 0x50))
VECTOR_OR_ESCAPE = frozenset((0x0F, 0x62, 0x8F, 0xC4, 0xC5))
# 0f xx: instructions that leave the program while it is being stepped
SYSTEM_CALLS = {0x05: "syscall", 0x07: "sysret", 0x34: "sysenter", 0x35: "sysexit"}
MAXIMUM_PREFIXES = 14

# First bytes that decide alone: no prefix, no escape, nothing refused
PLAIN = frozenset(range(256)) - REFUSED_OPCODES - PREFIXES - REX - VECTOR_OR_ESCAPE

NO_INSTRUCTION = "it does not begin with an instruction"
NOT_SET = "on which the kernel sets no probe"


def classify(code: bytes) -> str | None:
    """Why no probe can stand on the instruction that `code` begins with, as a clause; None when one can. `code` holds 15
    bytes, or fewer at the end of a file; what follows the instruction does not matter."""
    position = 0
    while position < len(code) and code[position] in PREFIXES:
        position += 1
    if position > MAXIMUM_PREFIXES or position == len(code):
        return NO_INSTRUCTION
    prefixes = code[:position]
    for prefix in prefixes:
        if prefix in REFUSED_PREFIXES:
            name = "notrack" if prefix == 0x3E and code[position] == 0xFF else REFUSED_PREFIXES[prefix]
            return f"its first instruction has a `{name}` prefix, {NOT_SET}"
    if code[position] in REX:
        position += 1
        if code[position : position + 1] and code[position] in REX | PREFIXES:
            return f"its first instruction has prefixes in an odd order, {NOT_SET}"
    return _classify_opcode(code[position:], 0x66 in prefixes)


def _classify_opcode(code: bytes, operand_prefix: bool) -> str | None:
    if not code:
        return NO_INSTRUCTION
    match code[0]:
        case 0xC5:
            return _classify_vector(code[2:3], "VEX")
        case 0xC4:
            return _classify_vector(code[3:4], "VEX")
        case 0x62:
            return _classify_vector(code[4:5], "EVEX")
        case 0x8F if len(code) > 1 and code[1] & 0x1F >= 8:
            return _classify_vector(code[3:4], "XOP")
        case 0x0F:
            return _classify_two_bytes(code[1:2], operand_prefix)
        case opcode if opcode in REFUSED_OPCODES:
            return f"its first instruction has opcode {opcode:02x}, {NOT_SET}"
        case opcode if opcode in BRANCH_OPCODES and operand_prefix:
            return f"its first instruction is a branch with an operand-size prefix, {NOT_SET}"
        case _:
            return None


def _classify_vector(opcode: bytes, encoding: str) -> str | None:
    if not opcode:
        return NO_INSTRUCTION
    if opcode[0] in EMULATED_OPCODES:
        kind = {0xE8: "call", 0xE9: "jump", 0xEB: "jump", 0x90: "nop"}.get(opcode[0], "conditional jump")
        return f"the kernel would take its first instruction, a vector instruction ({encoding}), for a {kind}"
    if opcode[0] in REFUSED_OPCODES:
        return f"its first instruction is a vector instruction ({encoding}) {NOT_SET}"
    return None


def _classify_two_bytes(opcode: bytes, operand_prefix: bool) -> str | None:
    if not opcode:
        return NO_INSTRUCTION
    if opcode[0] in SYSTEM_CALLS:
        return f"its first instruction is `{SYSTEM_CALLS[opcode[0]]}`, and the program would die of a probe on it"
    if operand_prefix and 0x80 <= opcode[0] <= 0x8F:
        return f"its first instruction is a branch with an operand-size prefix, {NOT_SET}"
    return None
