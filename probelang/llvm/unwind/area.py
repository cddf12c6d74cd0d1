"""The memory area of the current process around an address.

    area = find(e, address)
    with e.when(e.compare("eq", e.get(area.state), FOUND)): e.get(area.start), e.get(area.inode), ...

The kernel is asked by its iterator over areas, which works under a private look at the list (kernel/bpf/task_iter.c,
bpf_iter_task_vma_new), or, on older ones, by bpf_find_vma, whose callback gets the area. Both give up in interrupts, the second also
while another thread maps memory; then the kernel's tree is read (tree.py), twice, and what is the same both times is taken.
"""

from __future__ import annotations

from dataclasses import dataclass

from probelang.llvm.builder import Bit, Pointer, Value
from probelang.llvm.emitter import Emitter
from probelang.llvm.helper_ids import FIND_VMA, TASK, TASK_BTF
from probelang.llvm.unwind import tree
from probelang.llvm.unwind.frameless import define
from probelang.llvm.unwind.typed import follow, member
from probelang.llvm.values import Cell

ITERATOR, FIND = "task_vma_iterator", "find_vma"
NONE, FOUND, BUSY = 0, 1, 2
VDSO = 1
"""Stands for the inode of the code that the kernel maps into every process."""
VM_EXEC = 4  # include/linux/mm.h
PAGE_BITS = 12
_NO_ENTRY = -2 & (1 << 64) - 1  # -ENOENT
_WORDS = ("state", "start", "end", "file_offset", "inode")


@dataclass(frozen=True, slots=True)
class Area:
    """`state`: NONE, FOUND or BUSY. `file_offset`: of its first byte in the file, in bytes. `inode`: the kernel's address of its file's
    inode, VDSO, or 0 where it is no file's. All but `state` are set where it is FOUND: an area whose code may be executed."""

    state: Cell
    start: Cell
    end: Cell
    file_offset: Cell
    inode: Cell


def is_possible(e: Emitter) -> bool:
    """Whether this kernel can be asked."""
    return not (e.lacks(ITERATOR) and e.lacks(FIND))


def find(e: Emitter, address: Value) -> Area:
    """Writes the question into a function, which has no frame."""
    memory = e.alloca(8 * len(_WORDS))
    area = _area_in(e, memory)
    e.set(area.state, NONE)
    e.set(area.inode, 0)
    if e.lacks(ITERATOR) and not e.lacks(FIND):
        _by_helper(e, address, memory, area)
    else:
        _by_iterator(e, address, area)
    with e.when(e.compare("eq", e.get(area.state), BUSY)):
        _by_tree(e, address, area)
    _name_vdso(e, area)
    return area


def _area_in(e: Emitter, memory: Pointer) -> Area:
    return Area(*(Cell(0, e.offset(memory, 8 * i)) for i in range(len(_WORDS))))


def _by_iterator(e: Emitter, address: Value, area: Area) -> None:
    e.module.need(ITERATOR)
    for step in ("new", "next", "destroy"):
        e.module.kfuncs[f"bpf_iter_task_vma_{step}"] = None
    iterator = e.alloca(8)
    task = e.helper_pointer(TASK_BTF)
    status = e.assign(f"call i32 @bpf_iter_task_vma_new(ptr {iterator}, ptr {task}, i64 {address})")
    failed, some, nothing = e.fresh("over"), e.fresh("some"), e.fresh("nothing")
    with e.when(e.truth(Value(e.assign(f"zext i32 {status} to i64")))):
        e.set(area.state, BUSY)
    found = Pointer(e.assign(f"call ptr @bpf_iter_task_vma_next(ptr {iterator})"))
    e.branch_if(e.is_null(found), nothing, some)
    e.start(nothing)
    e.set(area.state, BUSY)
    e.branch(failed)
    e.start_aside(some)
    _read(e, found, address, area)
    e.start(failed)
    e.put(f"call void @bpf_iter_task_vma_destroy(ptr {iterator})")


def _by_helper(e: Emitter, address: Value, memory: Pointer, area: Area) -> None:
    e.module.need(FIND)
    symbol = _write_callback(e)
    task = e.helper_pointer(TASK_BTF)
    code = e.helper(FIND_VMA, task, address, Pointer(f"@{symbol}"), memory, 0)
    with e.when(e.both(e.truth(code), e.compare("ne", code, _NO_ENTRY))):
        e.set(area.state, BUSY)


def _write_callback(e: Emitter) -> str:
    """Called with the area that holds the address."""
    symbol = "read_area"
    if symbol not in e.module.routines:
        e.module.routines[symbol] = len(e.module.routines)
        parameters = (("task", Pointer), ("area", Pointer), ("context", Pointer))
        b = Emitter(e.module, "callback", symbol, parameters, internal=True)
        _read(b, Pointer("%area"), None, _area_in(b, Pointer("%context")))
        b.ret(0)
        e.module.add(b, "static", (("task", "pointer"), ("area", "pointer"), ("context", "pointer")))
    return symbol


def _read(e: Emitter, found: Pointer, address: Value | None, area: Area) -> None:
    """`address`: to be compared with the area's start, because the iterator goes on to a later one: where there is none, and also
    past one that a writer has locked, as fork does with all of them (lock_next_vma in mm/mmap_lock.c). The tree tells which."""
    out = e.fresh("apart")

    def only_if_code(flags: Value) -> None:
        code = e.fresh("code")
        e.branch_if(e.truth(e.bits_and(flags, VM_EXEC)), code, out)
        e.start(code)

    start = member(e, found, "vm_area_struct.vm_start")
    if address is not None:
        around, later = e.fresh("around"), e.fresh("later")
        e.branch_if(e.compare("ugt", start, address), later, around)
        e.start(later)
        e.set(area.state, BUSY)
        e.branch(out)
        e.start_aside(around)
    only_if_code(member(e, found, "vm_area_struct.vm_flags"))
    e.set(area.start, start)
    e.set(area.end, member(e, found, "vm_area_struct.vm_end"))
    e.set(area.file_offset, e.shift_left(member(e, found, "vm_area_struct.vm_pgoff"), PAGE_BITS))
    e.set(area.state, FOUND)
    file, some = follow(e, found, "vm_area_struct.vm_file"), e.fresh("file")
    e.branch_if(e.is_null(file), out, some)
    e.start(some)
    e.set(area.inode, member(e, file, "file.f_inode"))
    e.start(out)


def _by_tree(e: Emitter, address: Value, area: Area) -> None:
    define(e, "area_in_tree", ("address",), tree.lookup)
    out = e.fresh("undecided")

    def only_if(condition: Bit) -> None:
        go_on = e.fresh("go")
        e.branch_if(condition, go_on, out)
        e.start(go_on)

    def word(structure: Value, name: str) -> Value:
        return e.kernel_word(e.add(structure, e.constant(f"btf:{name}")))

    members = ("vm_start", "vm_end", "vm_pgoff", "vm_file", "vm_flags", "vm_mm")
    found = Value(e.assign(f"call i64 @area_in_tree(i64 {address})"))
    only_if(e.truth(found))
    seen = [e.cell(word(found, f"vm_area_struct.{name}")) for name in members]
    again = Value(e.assign(f"call i64 @area_in_tree(i64 {address})"))
    only_if(e.compare("eq", again, found))
    for cell, name in zip(seen, members, strict=True):
        only_if(e.compare("eq", word(found, f"vm_area_struct.{name}"), e.get(cell)))
    start, end, page, file, flags, memory = (e.get(cell) for cell in seen)
    only_if(e.compare("ult", e.sub(address, start), e.sub(end, start)))
    only_if(e.compare("eq", memory, word(e.helper(TASK), "task_struct.mm")))
    e.set(area.state, NONE)
    only_if(e.truth(e.bits_and(flags, VM_EXEC)))
    e.set(area.start, start)
    e.set(area.end, end)
    e.set(area.file_offset, e.shift_left(page, PAGE_BITS))
    e.set(area.inode, 0)
    e.set(area.state, FOUND)
    only_if(e.truth(file))
    e.set(area.inode, word(file, "file.f_inode"))
    e.start(out)


def _name_vdso(e: Emitter, area: Area) -> None:
    """The vdso is no file; where it lies stands in `mm->context` (arch/x86/include/asm/mmu.h)."""
    nameless = e.both(e.compare("eq", e.get(area.state), FOUND), e.compare("eq", e.get(area.inode), 0))
    with e.when(nameless):
        memory = e.kernel_word(e.add(e.helper(TASK), e.constant("btf:task_struct.mm")))
        vdso = e.kernel_word(e.add(memory, e.constant("btf:mm_struct.context.vdso")))
        with e.when(e.compare("eq", vdso, e.get(area.start))):
            e.set(area.inode, VDSO)
            e.set(area.file_offset, 0)
