"""What finished code needs of the kernel, read off the code and the maps themselves: what lowering need not know about.

kernel_needs(elf, manifest)  ->  {"atomics", "raw_tracepoints", "ring_buffer"}

Operations: Linux Documentation/bpf/standardization/instruction-set.rst, "Atomic operations".
"""

from __future__ import annotations

import struct

from probelang.artifact.elf import ElfObject
from probelang.artifact.manifest import Manifest
from probelang.llvm import follow

_ATOMIC_32, _ATOMIC_64, _LOAD_IMMEDIATE = 0xC3, 0xDB, 0x18
_PLAIN_ADD = 0x00  # the one atomic operation that is as old as BPF
_DATA = (".", "license", "maps")


def kernel_needs(elf: ElfObject, manifest: Manifest) -> frozenset[str]:
    """Names of kernel features."""
    always = {p.symbol for p in follow.PROGRAMS}  # loaded only for -x and -c, which the session asks for
    kinds = {p.kind for p in manifest.programs if p.symbol not in always}
    found: set[str] = set()
    if any(m.type == "ringbuf" for m in manifest.maps):
        found.add("ring_buffer")
    if kinds & {"raw_tracepoint", "host"}:
        found.add("raw_tracepoints")
    if "iter_task" in kinds:
        found.add("iter_task")
    if _uses_atomics(elf):
        found.add("atomics")
    return frozenset(found)


def _uses_atomics(elf: ElfObject) -> bool:
    """Anything but plain additions."""
    names = {".text"} | {s.name for s in elf.sections if not s.name.startswith(_DATA)}
    return any(_has_fetch(s.data) for s in elf.sections if s.name in names)


def _has_fetch(code: bytes) -> bool:
    at = 0
    while at + 8 <= len(code):
        operation, _, _, immediate = struct.unpack_from("<BBhi", code, at)
        if operation in (_ATOMIC_32, _ATOMIC_64) and immediate != _PLAIN_ADD:
            return True
        at += 16 if operation == _LOAD_IMMEDIATE else 8
    return False
