"""Reads of the process's memory."""

from __future__ import annotations

from collections.abc import Mapping

from probelang.artifact.code import Call, Piece
from probelang.artifact.integers import INTEGERS
from probelang.llvm.builder import Label, Operand, Pointer, Value
from probelang.llvm.calls.identity import field
from probelang.llvm.calls.lowering import Lowering, Result, Values, number
from probelang.llvm.calls.text import quote
from probelang.llvm.emitter import Emitter
from probelang.llvm.helper_ids import TASK, TASK_BTF
from probelang.llvm.text.compose import Composition
from probelang.llvm.text.format import format_piece
from probelang.llvm.text.userstring import FAULT, finish_read, read_user_bytes, read_user_string
from probelang.llvm.unwind import locate
from probelang.llvm.unwind.typed import follow, member
from probelang.llvm.values import Cell, StrVal

MOST_REPLACED = 64  # calls under way with return probes: MAX_URETPROBE_DEPTH


def read_number(e: Emitter, address: Value, bits: int, at: int, signed: bool = False) -> Value:
    with e.key_memory(8) as memory:
        read_user_bytes(e, memory, address, bits // 8, at)
        return e.load(memory, bits=bits, signed=signed)


def read_as(bits: int, signed: bool) -> Lowering:
    def lower(e: Emitter, values: Values, call: Call) -> Result:
        return read_number(e, number(values, 0), bits, call.at, signed)

    return lower


def return_address(e: Emitter, values: Values, call: Call) -> Result:
    """What the kernel has replaced for return probes stands in a list of the task, the latest call first; each knows where on
    the stack it was. Source: include/linux/uprobes.h, struct return_instance; kernel/events/uprobes.c, prepare_uretprobe."""
    slot = e.cell(number(values, 0))
    found = e.cell(read_number(e, e.get(slot), 64, call.at))
    behind = e.fresh("original")
    only_where_hooked(e, behind)
    locate.define(e, "replaced_return_address", ("slot", "found"), replaced_address)
    true = Value(e.assign(f"call i64 @replaced_return_address(i64 {e.get(slot)}, i64 {e.get(found)})"))
    e.set(found, true)
    e.start(behind)
    return e.get(found)


def only_where_hooked(e: Emitter, otherwise: Label) -> None:
    """Goes on where a call is under way whose return is probed."""
    place: Pointer = e.helper_pointer(TASK_BTF)
    for name in ("task_struct.utask", "uprobe_task.return_instances"):
        place = follow(e, place, name)
        there = e.fresh("there")
        e.branch_if(e.is_null(place), otherwise, there)
        e.start(there)


def replaced_address(r: Emitter, parameters: list[Value]) -> None:
    """A function without frame. Of several calls at one place, each the end of the one before, the first was called from outside."""
    slot, found = parameters
    result, plain, hooked = r.cell(found), r.fresh("plain"), r.fresh("hooked")
    place: Pointer = r.helper_pointer(TASK_BTF)
    for name in ("task_struct.mm", "mm_struct.uprobes_state.xol_area"):
        place = follow(r, place, name)
        there = r.fresh("there")
        r.branch_if(r.is_null(place), plain, there)
        r.start(there)
    r.branch_if(r.compare("eq", found, member(r, place, "xol_area.vaddr")), hooked, plain)
    r.start(plain)
    r.ret(found)
    r.start_aside(hooked)
    task = r.helper(TASK)
    instance = r.cell(field(r, field(r, task, "task_struct.utask"), "uprobe_task.return_instances"))
    with r.loop(MOST_REPLACED, plain_turns=MOST_REPLACED) as loop:
        r.stop_if(loop, r.compare("eq", r.get(instance), 0))
        stack = field(r, r.get(instance), "return_instance.stack")
        with r.when(r.compare("eq", stack, slot)):
            r.set(result, field(r, r.get(instance), "return_instance.orig_ret_vaddr"))
        r.set(instance, field(r, r.get(instance), "return_instance.next"))
    r.ret(r.get(result))


def read_string(e: Emitter, address: Value, most: Operand, failed: Cell) -> StrVal:
    buffer = e.buffer()
    read_user_string(e, buffer, address, most, failed)
    return finish_read(e, buffer)


def user_string(e: Emitter, values: Values, call: Call) -> Result:
    """(address[, n][, fallback])"""
    address = e.cell(number(values, 0))
    rest = values[1:]
    most: Operand = e.string_size
    if rest and isinstance(rest[0], Value):
        most = at_most(e, rest[0])
        rest = rest[1:]
    failed = e.cell(0)
    if not rest:
        found = read_string(e, e.get(address), most, failed)
        e.fail_if(e.truth(e.get(failed)), FAULT, call.at, e.get(address))
        return found
    fallback = rest[0]
    assert isinstance(fallback, StrVal)
    buffer = e.buffer()
    read_user_string(e, buffer, e.get(address), most, failed)
    with e.when(e.truth(e.get(failed))):
        e.copy_to_buffer(buffer, fallback)
    return finish_read(e, buffer)


def at_most(e: Emitter, wanted: Value) -> Value:
    """0 to string_size: one byte more than fits shows that the string is longer."""
    positive = e.select(e.compare("slt", wanted, 0), 0, wanted)
    return e.select(e.compare("ugt", positive, e.string_size), e.string_size, positive)


def user_string_quoted(e: Emitter, values: Values, call: Call) -> Result:
    """(address[, n])"""
    address, failed = e.cell(number(values, 0)), e.cell(0)
    most: Operand = at_most(e, number(values, 1)) if len(values) > 1 else e.string_size
    result, read = e.buffer(), e.buffer()

    def null() -> None:
        e.copy_to_buffer(result, e.literal(b"NULL"))

    def fault() -> None:
        composition = Composition(e)
        format_piece(composition, Piece("p"), iter([e.get(address)]), call.at)
        e.copy_to_buffer(result, composition.finish())

    def quoted() -> None:
        quote(e, result, read, e.string_size - 1)

    def present() -> None:
        read_user_string(e, read, e.get(address), most, failed)
        e.choose(e.truth(e.get(failed)), fault, quoted)

    e.choose(e.compare("eq", e.get(address), 0), null, present)
    return e.text_of(result)


LOWERINGS: Mapping[tuple[str, int], Lowering] = {
    ("user_return_address", 1): return_address,
    **{(name, 1): read_as(bits, signed) for name, (bits, signed) in INTEGERS.items()},
    ("user_string", 1): user_string,
    ("user_string", 2): user_string,
    ("user_string2", 2): user_string,
    ("user_string_n", 2): user_string,
    ("user_string_n", 3): user_string,
    ("user_string_n2", 3): user_string,
    ("user_string_quoted", 1): user_string_quoted,
    ("user_string_n_quoted", 2): user_string_quoted,
}
