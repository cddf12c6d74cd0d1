"""Addresses of thread-local variables.

    of a program:      fs_base - 24 + offset           its block ends at the thread pointer
    of a library:      *(*(fs_base + 8) + 16 * module) + offset        module: what the loader wrote into the GOT
    of a library of the start (initial-exec):    fs_base + *(GOT) + offset

Sources: Drepper, "ELF Handling For Thread-Local Storage", 3.4.6 and 4.4; glibc, sysdeps/x86_64/nptl/tls.h (tcbhead_t, dtv_t),
sysdeps/generic/dl-dtv.h and elf/dl-tls.c (_dl_determine_tlsoffset), sysdeps/x86_64/dl-tlsdesc.h.
"""

from __future__ import annotations

from probelang.artifact.code import Call, Expr, Number, Text, Type
from probelang.dwarf.binary import Binary
from probelang.dwarf.tls import TlsRelocation, TlsSegment, tls_relocations, tls_segment, uses_musl
from probelang.target import arithmetic as a
from probelang.target.build import add, load, number, plus, register
from probelang.target.location import Unavailable

_DTV = 8  # in tcbhead_t; musl has its own at the same place
_PREFERRED = ("offset", "module", "descriptor")
_NO_BLOCK = b"this thread has not used the variable yet"


def tls_address(binary: Binary, base: Expr, offset: Expr, at: int) -> Expr:
    """`base`: the run-time address of image address 0. `offset`: in the file's thread-local storage. Raises Unavailable."""
    segment = tls_segment(binary.image)
    if segment is None:
        raise Unavailable("its file has no thread-local storage")
    if isinstance(offset, Number) and offset.value >= max(segment.size_bytes, segment.address):
        # gcc's -gsplit-dwarf has the address of the initial value where the offset belongs
        offset = Number(offset.value - segment.address)
    if binary.kind != "library":
        return add(plus(register("fs_base"), -_program_block(segment)), offset)
    found = sorted(tls_relocations(binary.image), key=lambda r: (r.exported, _PREFERRED.index(r.kind)))
    if not found:
        raise Unavailable("nothing in its file tells where the library's thread-local storage is")
    return add(_block(binary, base, found[0], at), offset)


def _program_block(segment: TlsSegment) -> int:
    """How far before the thread pointer it begins: so that the end is aligned with the start."""
    return segment.size_bytes + (-segment.address - segment.size_bytes) % segment.alignment


def _block(binary: Binary, base: Expr, relocation: TlsRelocation, at: int) -> Expr:
    slot = plus(base, relocation.place)
    match relocation.kind:
        case "offset":
            return plus(add(register("fs_base"), load(slot, 8, False, at)), -relocation.offset)
        case "module":
            return _of_module(load(slot, 8, False, at), 8 if uses_musl(binary) else 16, at)
        case "descriptor":
            # of the two words the second is a negative offset, or the address of module and offset (struct tlsdesc_dynamic_arg)
            argument = load(plus(slot, 8), 8, False, at)
            static = plus(add(register("fs_base"), argument), -relocation.offset)
            dynamic = _of_module(load(argument, 8, False, at), 16, at)
            return a.choose(a.compare("<", argument, Number(0)), static, dynamic)


def _of_module(module: Expr, step_bytes: int, at: int) -> Expr:
    """The block of a module, in the vector of the current thread. It is as long as its word -2 says (dtv[-1].counter), and has
    -1 or 0 for what is not there: TLS_DTV_UNALLOCATED."""
    vector = load(plus(register("fs_base"), _DTV), 8, False, at)
    block = load(add(vector, a.binary("*", module, number(step_bytes))), 8, False, at)
    missing = Call("error", (Text(_NO_BLOCK),), Type.LONG, at)
    is_there = a.unsigned("<", plus(block, 1), number(2))
    found = a.choose(is_there, missing, block)
    if step_bytes != 16:
        return found
    length = load(plus(vector, -16), 8, False, at)
    return a.choose(a.compare(">", module, length), missing, found)
