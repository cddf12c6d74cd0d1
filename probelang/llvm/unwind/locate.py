"""An address of the current process as a frame: which file's code it is, and where in that file.

    locate.emit(e, address)  ->  0                        no file's code, but memory
                                 file << 48 | offset      see `probelang.artifact.stacks`; the vdso is such a file
                                 UNDECIDED (all ones)     it cannot be told now

Files are known by the address of their inode, map `code_files`. One that is met for the first time gets the next number, and the
runtime is told, record `code_file`: number, inode's address, i_ino, s_dev, start of the area, its first page in the file, process.
The function has no frame, so simple handlers may call it; about 150 ns.
"""

from __future__ import annotations

from dataclasses import dataclass

from probelang.artifact.manifest import Record
from probelang.artifact.stacks import FILE_SHIFT, MOST_FILES, OFFSET_MASK
from probelang.llvm.builder import Bit, Label, Value
from probelang.llvm.emitter import Emitter
from probelang.llvm.helper_ids import (
    MAP_LOOKUP,
    MAP_UPDATE,
    PID_TGID,
    RINGBUF_DISCARD,
    RINGBUF_RESERVE,
    RINGBUF_SUBMIT,
)
from probelang.llvm.module import CODE_FILE_BYTES
from probelang.llvm.prints import HEADER, NO_WAKEUP, heading
from probelang.llvm.unwind import area as areas
from probelang.llvm.unwind.frameless import define

__all__ = ["UNDECIDED", "File", "define", "emit", "file_of"]

UNDECIDED = -1
CODE_FILES = "code_files"
NUMBER, FLAGS, FIRST_ROW, ROW_COUNT = 0, 4, 8, 12
"""u32 each, in a value of `code_files`."""
HAS_ROWS, IS_FRAMED, HAS_NO_ROWS = 1, 2, 4
"""`FLAGS`: the file has unwind rows; its code keeps frame pointers throughout; it was read and has none. 0: it was not read yet."""
_NO_EXIST = 1  # BPF_NOEXIST
_FORCE_WAKEUP = 2  # BPF_RB_FORCE_WAKEUP


@dataclass(frozen=True, slots=True)
class File:
    """What `code_files` says: u32 each."""

    number: Value
    flags: Value
    first_row: Value
    row_count: Value


def emit(e: Emitter, address: Value) -> Value:
    """The frame of an address; e.lacks("task_vma_iterator") and e.lacks("find_vma"): the program needs a newer kernel."""
    define(e, "locate", ("address",), _locate)
    return Value(e.assign(f"call i64 @locate(i64 {address})"))


def file_of(e: Emitter, address: Value, area: areas.Area, unknown: Label) -> File:
    """The file of an area, around `address`, that has an inode; goes to `unknown` where it has no number and cannot be given one now. In functions
    without frame."""
    e.module.uses_code_files = True
    define(e, "meet_file", ("address",), _meet)
    known, met = e.fresh("known"), e.fresh("met")
    with e.stack_word() as key:
        e.store(key, e.get(area.inode))
        entry = e.helper_pointer(MAP_LOOKUP, e.map(CODE_FILES), key)
        first = e.current
        e.branch_if(e.is_null(entry), met, known)
        e.start(met)
        e.assign(f"call i64 @meet_file(i64 {address})")
        e.store(key, e.get(area.inode))
        again = e.helper_pointer(MAP_LOOKUP, e.map(CODE_FILES), key)
        second = e.current
        e.branch_if(e.is_null(again), unknown, known)
        e.start_aside(known)
        place = e.phi((entry, first), (again, second))
        return File(*(e.load(e.offset(place, at), 32) for at in (NUMBER, FLAGS, FIRST_ROW, ROW_COUNT)))


def _locate(r: Emitter, parameters: list[Value]) -> None:
    (address,) = parameters
    area = areas.find(r, address)
    with r.when(r.compare("eq", r.get(area.state), areas.BUSY)):
        r.ret(UNDECIDED)
    inside = r.both(r.compare("eq", r.get(area.state), areas.FOUND), r.truth(r.get(area.inode)))
    with r.when(inside):
        unknown = r.fresh("unknown")
        file = file_of(r, address, area, unknown)
        offset = r.add(r.sub(address, r.get(area.start)), r.get(area.file_offset))
        r.ret(r.bits_or(r.shift_left(file.number, FILE_SHIFT), r.bits_and(offset, OFFSET_MASK)))
        r.start_aside(unknown)
        r.ret(UNDECIDED)
    r.ret(0)


def _meet(r: Emitter, parameters: list[Value]) -> None:
    """Enters the file whose code an address is and tells the runtime; leaves it where that cannot be done now. It looks for the area
    again, because a pointer, as the inode is one, may not be handed to a function. Two threads at once may lose a number."""
    module = r.module
    record = module.record(Record("call", ("long",) * 7, "code_file"))
    next_number = module.word("code_files_next")
    out = r.fresh("out")
    area = areas.find(r, parameters[0])
    _only_if(r, r.compare("eq", r.get(area.state), areas.FOUND), out)
    _only_if(r, r.truth(r.get(area.inode)), out)
    _only_if(r, r.compare("ule", r.load(next_number), MOST_FILES), out)
    # first room, then a number: a full buffer must not use them up
    place = r.helper_pointer(RINGBUF_RESERVE, r.map("events"), HEADER + 8 * 7, 0)
    _only_if(r, r.negate(r.is_null(place)), out)
    number = r.cell(r.atomic_fetch("add", next_number, 1))
    page = r.shift_right(r.get(area.file_offset), areas.PAGE_BITS)
    told = (r.get(number), r.get(area.inode), *_identity(r, area), r.get(area.start), page, _pid(r))
    for i, value in enumerate((heading(r, record), *told)):
        r.store(r.offset(place, 8 * i), value)
    with r.key_memory(8) as key:
        entry = r.alloca(CODE_FILE_BYTES)
        r.store(key, r.get(area.inode))
        r.store(entry, r.get(number))
        for at in range(8, CODE_FILE_BYTES, 8):
            r.store(r.offset(entry, at), 0)
        code = r.helper(MAP_UPDATE, r.map(CODE_FILES), key, entry, _NO_EXIST)
    with r.when(r.truth(code)):
        r.helper(RINGBUF_DISCARD, place, NO_WAKEUP)
        r.ret(0)
    r.helper(RINGBUF_SUBMIT, place, _FORCE_WAKEUP)  # the process may soon end, and its rows are waited for
    r.start(out)
    r.ret(0)


def _only_if(r: Emitter, condition: Bit, out: Label) -> None:
    go_on = r.fresh("go")
    r.branch_if(condition, go_on, out)
    r.start(go_on)


def _identity(r: Emitter, area: areas.Area) -> tuple[Value, Value]:
    """i_ino and s_dev. The vdso has none."""
    number, device = r.cell(0), r.cell(0)
    with r.when(r.compare("ne", r.get(area.inode), areas.VDSO)):
        r.set(number, _word(r, r.get(area.inode), "inode.i_ino"))
        r.set(device, _word(r, _word(r, r.get(area.inode), "inode.i_sb"), "super_block.s_dev", 32))
    return r.get(number), r.get(device)


def _word(r: Emitter, structure: Value, member: str, bits: int = 64) -> Value:
    return r.kernel_word(r.add(structure, r.constant(f"btf:{member}")), bits)


def _pid(r: Emitter) -> Value:
    return r.shift_right(r.helper(PID_TGID), 32)
