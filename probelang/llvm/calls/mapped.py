"""Where a file lies in the memory of the process that was hit: `@var("v", "libx.so")`.

    mapped_code("/usr/lib/libx.so", 0x1000)  ->  the start of the mapping of this file's bytes from 0x1000 on, which may be executed

The kernel's own list of the task's memory areas is walked (kernel/bpf/task_iter.c, bpf_iter_task_vma), about 50 ns an area. Files
are told apart by inode and device, as in `handlers.filter_executable`.
"""

from __future__ import annotations

from collections.abc import Mapping

from probelang.artifact.code import Call
from probelang.diag import InternalError
from probelang.llvm.builder import Pointer, Value
from probelang.llvm.calls.identity import field
from probelang.llvm.calls.lowering import Lowering, Result, Values, known, number, text
from probelang.llvm.emitter import Emitter
from probelang.llvm.helper_ids import TASK_BTF
from probelang.llvm.values import NeedsFrame

FEATURE = "task_vma_iterator"
NOT_MAPPED = "the file of `@var` is not in this process"
BUSY = "this process is changing its memory map"
_BUSY_ANSWER = 1
VM_EXEC = 4  # include/linux/mm.h
PAGE_BITS = 12


def mapped_code(e: Emitter, values: Values, call: Call) -> Result:
    path, offset = text(values, 0).literal, known(number(values, 1))
    if path is None or offset is None:
        raise InternalError("`mapped_code` of what is no literal")
    if e.simple:
        raise NeedsFrame
    e.module.need(FEATURE)
    name = path.decode("utf-8", "surrogateescape")
    identity = e.constant(f"file:inode:{name}"), e.constant(f"file:dev:{name}")
    found = e.cell(
        e.routine("mapped_code", ("inode", "device", "page"), _search, *identity, offset >> PAGE_BITS)
    )
    e.fail_if(e.compare("eq", e.get(found), 0), NOT_MAPPED, call.at)
    e.fail_if(e.compare("eq", e.get(found), _BUSY_ANSWER), BUSY, call.at)
    return e.get(found)


def _search(r: Emitter, parameters: list[Value]) -> None:
    """The first area that fits; 0 where there is none, 1 where the areas cannot be looked at now."""
    inode, device, page = parameters
    for step in ("new", "next", "destroy"):
        r.module.kfuncs[f"bpf_iter_task_vma_{step}"] = None
    found, iterator = r.cell(0), _iterator(r)
    head, over, body = r.fresh("head"), r.fresh("over"), r.fresh("area")
    task = r.helper_pointer(TASK_BTF)
    status = Value(r.assign(f"call i32 @bpf_iter_task_vma_new(ptr {iterator}, ptr {task}, i64 0)"))
    with r.when(r.truth(Value(r.assign(f"zext i32 {status} to i64")))):
        r.set(found, _BUSY_ANSWER)
    r.start(head)
    area = Pointer(r.assign(f"call ptr @bpf_iter_task_vma_next(ptr {iterator})"))
    r.branch_if(r.is_null(area), over, body)
    r.start(body)
    address = r.address(area)

    def only_if(value: Value, wanted: Value | int) -> None:
        same = r.fresh("same")
        r.branch_if(r.compare("eq", value, wanted), same, head)
        r.start(same)

    only_if(r.bits_and(field(r, address, "vm_area_struct.vm_flags"), VM_EXEC), VM_EXEC)
    only_if(field(r, address, "vm_area_struct.vm_pgoff"), page)
    node = r.cell(field(r, field(r, address, "vm_area_struct.vm_file"), "file.f_inode"))
    only_if(field(r, r.get(node), "inode.i_ino"), inode)
    only_if(field(r, field(r, r.get(node), "inode.i_sb"), "super_block.s_dev", 32), device)
    r.set(found, field(r, address, "vm_area_struct.vm_start"))
    r.start(over)
    r.put(f"call void @bpf_iter_task_vma_destroy(ptr {iterator})")
    r.ret(r.get(found))


def _iterator(r: Emitter) -> Pointer:
    r.entry.append("  %areas = alloca [8 x i8], align 8")
    return Pointer("%areas")


LOWERINGS: Mapping[tuple[str, int], Lowering] = {("mapped_code", 2): mapped_code}
