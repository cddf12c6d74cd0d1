"""Kernel structures read by type: the verifier knows what a pointer leads to, and a load is one instruction.

    member(e, area, "vm_area_struct.vm_start")  ->  load i64, ptr area + btf:vm_area_struct.vm_start

The offset is a constant of `.rodata`, which the verifier knows when it checks the program; a load that faults reads 0
(kernel/bpf/verifier.c, check_ptr_to_btf_access). A pointer may only be followed behind a check that it is not null.
"""

from __future__ import annotations

from probelang.llvm.builder import Pointer, Value
from probelang.llvm.emitter import Emitter


def place(e: Emitter, structure: Pointer, name: str) -> Pointer:
    """Where a member of `structure` lies; `name`: `STRUCT.MEMBER`."""
    return e.offset(structure, e.constant(f"btf:{name}"))


def member(e: Emitter, structure: Pointer, name: str, bits: int = 64) -> Value:
    """A number."""
    return e.load(place(e, structure, name), bits)


def follow(e: Emitter, structure: Pointer, name: str) -> Pointer:
    """A pointer, which may be null."""
    return Pointer(e.assign(f"load volatile ptr, ptr {place(e, structure, name)}, align 8"))
