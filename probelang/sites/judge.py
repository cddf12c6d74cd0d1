"""May a probe be set here? Entries and returns of functions.

    judge(binary, 0x9be70)  ->  Refusal("the kernel would take its first instruction ... for a conditional jump")

Only the bytes of the file are read. Ten thousand entries take some milliseconds: most are decided by their first byte.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from probelang.dwarf.binary import Binary
from probelang.dwarf.functions import Function
from probelang.options import Backend
from probelang.sites.opcodes import PLAIN, classify

LONGEST_INSTRUCTION = 15
ENDBR64 = b"\xf3\x0f\x1e\xfa"

# A return probe replaces what lies at *(%rsp) when the function is entered. These are entered with something else
# than a return address there: the argument count, the kernel's signal frame, the loader's own words.
NO_RETURN_ADDRESS = re.compile(
    r"_start|_dl_start_user|_*restore(_rt)?|_dl_runtime_(resolve|profile)\w*|_*start_context|.*\.cold(\.\d+)?"
)
# These keep their return address for a second return, ask it who called, or unwind the stack from it.
USES_RETURN_ADDRESS = re.compile(
    r"_*(sig)?setjmp|_*(get|swap|save)context(_ret)?|_*(lib_?c_?)?dl(open|mopen|sym|vsym)(_\w+)?"
    r"|_Unwind_\w+|_*mcount|__fentry__|_dl_mcount\w*|__morestack\w*|__cxa_(re)?throw"
    r"|_*pthread_exit|_*pthread_unwind(_next)?|_*do_cancel|_*backtrace"
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """`reason` is a clause that follows "no probe can be set on `f`: "."""

    reason: str


def judge(binary: Binary, address: int, backend: Backend = "kernel") -> Refusal | None:
    """None where a probe can stand on the instruction at `address`, which must be an instruction's first byte. What the kernel
    cannot bear matters only to probes that the kernel sets."""
    offset = binary.image.offset_of(address)
    if offset is None:
        return Refusal("its code is not in the file")
    if backend == "ptrace":
        return None
    code = binary.image.data[offset : offset + LONGEST_INSTRUCTION]
    if code and (code[0] in PLAIN or code.startswith(ENDBR64)):
        return None
    reason = classify(code)
    return Refusal(reason) if reason else None


def judge_return(binary: Binary, function: Function, backend: Backend = "kernel") -> Refusal | None:
    """None where the return of `function` can be probed, its entry aside. Only the kernel's return probes change the stack."""
    if binary.go:
        harm = "a return probe would crash the program" if backend == "kernel" else "returns would be missed"
        return Refusal(f"it is made by the Go compiler, whose stacks move, and {harm}")
    names = (function.symbol, *function.aliases)
    if function.address == binary.image.entry or any(NO_RETURN_ADDRESS.fullmatch(name) for name in names):
        return Refusal("it is not entered by a call, so it has no return that could be probed")
    if backend == "kernel" and any(USES_RETURN_ADDRESS.fullmatch(name) for name in names):
        return Refusal("it uses its return address, which a return probe replaces")
    return None
