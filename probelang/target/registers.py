"""Registers by the numbers that DWARF gives them.

    name_of(5)  ->  "rdi"        number_of("rdi")  ->  5        name_of(17)  ->  None: a vector register

Source: System V ABI, AMD64 supplement, figure 3.36 "DWARF Register Number Mapping". Names are those of `u_register()`.
"""

from __future__ import annotations

RBP, RSP, RETURN_ADDRESS = 6, 7, 16
_GENERAL = ("rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip")  # fmt: skip
_NAMES = {
    **dict(enumerate(_GENERAL)),
    49: "eflags", 51: "cs", 52: "ss", 58: "fs_base", 59: "gs_base",
}  # fmt: skip
_NUMBERS = {name: number for number, name in _NAMES.items()}
VECTORS = frozenset((*range(17, 33), *range(67, 83), *range(118, 126)))
"""xmm0 to xmm31 and the mask registers."""
X87 = frozenset(range(33, 49))
"""Floating point and MMX registers."""


def name_of(number: int) -> str | None:
    """None for those that `u_register()` has not."""
    return _NAMES.get(number)


def number_of(name: str) -> int:
    return _NUMBERS[name]
