"""The stack of the process, by frame pointers, as addresses; names only where the runtime makes them."""

from __future__ import annotations

from collections.abc import Mapping

from probelang.artifact.code import Call
from probelang.artifact.stacks import DATA_TOKEN, NAME_TOKEN
from probelang.llvm.builder import Operand, Value
from probelang.llvm.calls.identity import pid
from probelang.llvm.calls.lowering import Lowering, Result, Values, number, text
from probelang.llvm.emitter import Emitter
from probelang.llvm.frame import TEXT_HEADER
from probelang.llvm.helper_ids import TASK_BTF
from probelang.llvm.prints import send_call
from probelang.llvm.text import stack
from probelang.llvm.unwind.tokens import name_token
from probelang.llvm.values import Buffer, StrVal

GET_TASK_STACK = 141
USER_STACK = 1 << 8  # BPF_F_USER_STACK
MAX_DEPTH = 128


def read_stack(e: Emitter) -> tuple[Buffer, Value]:
    """The raw addresses, from the data of a buffer on, and how many there are. bpf_get_stack wants the context, which functions
    do not have; the current task's stack is the same."""
    buffer = e.buffer()
    room = min(2 * e.capacity, 8 * MAX_DEPTH)
    task = e.helper_pointer(TASK_BTF)
    got = e.cell(e.helper(GET_TASK_STACK, task, e.at(buffer.offset + TEXT_HEADER), room, USER_STACK))
    size = e.select(e.compare("slt", e.get(got), 0), 0, e.get(got))
    return buffer, e.shift_right(size, 3)


def stack_text(e: Emitter, most: Operand) -> StrVal:
    """At most `most` addresses, and no more than fit a string."""
    result = e.buffer()
    raw, count = read_stack(e)
    shown = e.select(e.compare("ult", count, most), count, most)
    e.routine(
        "stack_text",
        ("text", "addresses", "count"),
        stack.addresses_to_text,
        result.offset,
        raw.offset,
        shown,
    )
    return e.text_of(result)


def backtrace(e: Emitter, values: Values, call: Call) -> Result:
    return stack_text(e, MAX_DEPTH)


def callers(e: Emitter, values: Values, call: Call) -> Result:
    wanted = number(values, 0)
    return stack_text(e, e.select(e.compare("slt", wanted, 0), 0, wanted))


def address(e: Emitter, values: Values, call: Call) -> Result:
    wanted = e.cell(number(values, 0))
    raw, count = read_stack(e)
    found = e.cell(0)
    with e.when(e.compare("ult", e.get(wanted), count)):
        place = e.opaque(e.bits_and(e.opaque(e.shift_left(e.get(wanted), 3)), 2 * e.capacity - 8))
        e.set(found, e.load(e.data(raw, place)))
    return e.get(found)


def print_stack(e: Emitter, values: Values, call: Call) -> None:
    send_call(e, "print_ustack", (text(values, 0), process(e, call)))


def print_backtrace(e: Emitter, values: Values, call: Call) -> None:
    send_call(e, call.name, (stack_text(e, MAX_DEPTH), process(e, call)))


def process(e: Emitter, call: Call) -> Value:
    found = pid(e, (), call)
    assert isinstance(found, Value)
    return found


def symbol(kind: bytes) -> Lowering:
    """Only the runtime has names."""

    def lower(e: Emitter, values: Values, call: Call) -> Result:
        return name_token(e, kind, number(values, 0))

    return lower


LOWERINGS: Mapping[tuple[str, int], Lowering] = {
    ("ubacktrace", 0): backtrace,
    ("ustack", 1): address,
    ("ucallers", 1): callers,
    ("print_ustack", 1): print_stack,
    ("print_ubacktrace", 0): print_backtrace,
    ("print_ubacktrace_brief", 0): print_backtrace,
    ("usymname", 1): symbol(NAME_TOKEN),
    ("usymdata", 1): symbol(DATA_TOKEN),
    ("caller", 1): symbol(NAME_TOKEN),
}
