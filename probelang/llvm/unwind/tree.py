"""The area around an address, read off the kernel's own tree of areas: where nothing may be locked, as in an interrupt.

    area_in_tree(address)  ->  the address of the vm_area_struct, 0 where there is none

Timers hit a process inside an interrupt, where the kernel's ways to ask for areas give up; its tree is in memory all the same. A
node has up to 15 pivots, each the last address of a range, ascending, 0 behind the last; and as many slots and one: the next node, or in a
leaf the area. The tree may change under our eyes: what comes out is compared with what was looked for, by who uses it.
Sources: include/linux/maple_tree.h (kinds of nodes, how a pointer tells them), lib/maple_tree.c (mtree_lookup_walk); from Linux 6.1 on.
"""

from __future__ import annotations

from probelang.llvm.builder import Pointer, Value
from probelang.llvm.emitter import Emitter
from probelang.llvm.helper_ids import PROBE_READ_KERNEL, TASK

ROOT = "btf?:mm_struct.mm_mt.ma_root"
_PIVOTS, _FEWER_PIVOTS = 15, 9  # of struct maple_range_64 and of maple_arange_64
_INNER, _WITH_GAPS = 2, 3  # maple_range_64 and all after it, maple_arange_64
_ROOT_MARK = 2
_KIND_SHIFT, _KIND_MASK, _NODE_BYTES = 3, 15, 256
_DEEPEST = 8
_RESERVED = 4096  # smaller words are no areas
_PAGE_BITS = 12


def lookup(r: Emitter, parameters: list[Value]) -> None:
    """Body of a function without frame."""
    (address,) = parameters
    root = r.constant(ROOT)
    with r.when(r.compare("eq", root, 0)):
        r.ret(0)
    memory = _word(r, r.add(r.helper(TASK), r.constant("btf:task_struct.mm")))
    entry, turns = r.cell(_word(r, r.add(memory, root))), r.alloca_word()
    pivots = r.alloca(8 * _PIVOTS)
    head, over, leaf, node = r.fresh("head"), r.fresh("over"), r.fresh("leaf"), r.fresh("node")
    marked = r.compare("eq", r.bits_and(r.get(entry), 3), _ROOT_MARK)
    r.branch_if(marked, node, over)
    r.start(node)
    r.start(head)
    r.count_turn(turns, _DEEPEST, over)
    kind = r.cell(_kind(r, r.get(entry)))
    r.set(entry, _slot(r, r.get(entry), r.get(kind), address, pivots))
    r.branch_if(r.compare("ult", r.get(kind), _INNER), leaf, head)
    r.start(leaf)
    reserved = r.compare("ult", r.get(entry), _RESERVED)
    r.ret(r.select(reserved, 0, r.get(entry)))
    r.start_aside(over)
    r.ret(0)


def _kind(r: Emitter, entry: Value) -> Value:
    return r.bits_and(r.shift_right(entry, _KIND_SHIFT), _KIND_MASK)


def _slot(r: Emitter, entry: Value, kind: Value, address: Value, pivots: Pointer) -> Value:
    """What the node holds for the address."""
    node = r.bits_and(entry, -_NODE_BYTES)
    first = r.add(node, r.constant("btf?:maple_range_64.pivot"))
    r.helper(PROBE_READ_KERNEL, pivots, 8 * _PIVOTS, first)
    page = r.shift_right(address, _PAGE_BITS)
    few, more = _below(r, pivots, page, 0, _FEWER_PIVOTS), _below(r, pivots, page, _FEWER_PIVOTS, _PIVOTS)
    has_gaps = r.compare("eq", kind, _WITH_GAPS)
    plain = r.add(r.constant("btf?:maple_range_64.slot"), r.shift_left(more, 3))
    slots = r.select(has_gaps, r.constant("btf?:maple_arange_64.slot"), plain)
    return _word(r, r.add(r.add(node, slots), r.shift_left(few, 3)))


def _below(r: Emitter, pivots: Pointer, page: Value, low: int, high: int) -> Value:
    """How many pivots lie below the page: without branches. One less makes of the empty ones the highest."""
    count: Value = Value("0")
    for i in range(low, high):
        pivot = r.load(r.offset(pivots, 8 * i))
        last = r.opaque(r.shift_right(r.sub(pivot, 1), _PAGE_BITS))  # else LLVM makes branches of it
        count = r.opaque(r.add(count, r.shift_right(r.sub(last, page), 63)))  # and keeps all on the stack
    return count


def _word(r: Emitter, address: Value) -> Value:
    return r.kernel_word(address)
