"""The stack of the process and its symbols. Names only the runtime has: here they are tokens (`probelang.artifact.stacks`).

ubacktrace()  ->  "\x1bS" and the number of an entry of the map `stacks`        usymname(a)  ->  "\x1bF" and the frame of `a`

What walks (`probelang.llvm.unwind`) is imported by scripts that ask for it only.
"""

from __future__ import annotations

from collections.abc import Mapping

from probelang.artifact.code import Call
from probelang.artifact.stacks import (
    DATA_TOKEN,
    LINE_TOKEN,
    MODULE_TOKEN,
    MOST_FRAMES,
    NAME_TOKEN,
    PLACE_TOKEN,
    SOURCE_TOKEN,
)
from probelang.llvm.builder import Operand, Value
from probelang.llvm.calls.identity import function_returned, pid
from probelang.llvm.calls.lowering import Lowering, Result, Values, number, text
from probelang.llvm.emitter import Emitter
from probelang.llvm.prints import send_call
from probelang.llvm.text import stack
from probelang.llvm.values import StrVal


def token(e: Emitter, most: Operand = MOST_FRAMES, unseen: Operand = 0, callers: bool = False) -> StrVal:
    """The current stack, kept."""
    from probelang.llvm.unwind.keeping import keep
    from probelang.llvm.unwind.tokens import stack_token
    from probelang.llvm.unwind.walk import walk_stack

    kept = e.cell()
    with e.temporaries():
        e.set(kept, keep(e, walk_stack(e, most, unseen, callers)))
    return stack_token(e, e.get(kept))


def frames_wanted(e: Emitter, wanted: Value) -> Value:
    """0 to MOST_FRAMES."""
    positive = e.select(e.compare("slt", wanted, 0), 0, wanted)
    return e.select(e.compare("sgt", positive, MOST_FRAMES), MOST_FRAMES, positive)


def backtrace(e: Emitter, values: Values, call: Call) -> Result:
    return token(e)


def nearest(e: Emitter, values: Values, call: Call) -> Result:
    """callers(n): behind a return the current instruction is one already."""
    most = e.cell(frames_wanted(e, number(values, 0)))
    unseen = e.bits_xor(function_returned(e), 1)
    return token(e, e.get(most), unseen, callers=True)


def addresses(e: Emitter, values: Values, call: Call) -> Result:
    """As many as fit a string."""
    from probelang.llvm.unwind.state import ADDRESSES
    from probelang.llvm.unwind.walk import walk_stack

    most, result = frames_wanted(e, number(values, 0)), e.buffer()
    walk = walk_stack(e, most)
    place = walk.place + ADDRESSES
    names = ("text", "addresses", "count")
    e.routine("stack_text", names, stack.addresses_to_text, result.offset, place, walk.count(e))
    return e.text_of(result)


def address(e: Emitter, values: Values, call: Call) -> Result:
    from probelang.llvm.unwind.walk import walk_stack

    wanted, found = e.cell(number(values, 0)), e.cell(0)
    with e.temporaries():
        walk = walk_stack(e, frames_wanted(e, e.add(e.get(wanted), 1)))
        with e.when(e.compare("ult", e.get(wanted), walk.count(e))):
            e.set(found, walk.address(e, e.get(wanted)))
    return e.get(found)


def print_stack(e: Emitter, values: Values, call: Call) -> None:
    send_call(e, "print_ustack", (text(values, 0), process(e, call)))


def print_backtrace(e: Emitter, values: Values, call: Call) -> None:
    send_call(e, call.name, (token(e), process(e, call)))


def process(e: Emitter, call: Call) -> Value:
    found = pid(e, (), call)
    assert isinstance(found, Value)
    return found


def symbol(kind: bytes) -> Lowering:
    def lower(e: Emitter, values: Values, call: Call) -> Result:
        from probelang.llvm.unwind.tokens import name_token

        return name_token(e, kind, number(values, 0))

    return lower


LOWERINGS: Mapping[tuple[str, int], Lowering] = {
    ("ubacktrace", 0): backtrace,
    ("callers", 1): nearest,
    ("ustack", 1): address,
    ("ucallers", 1): addresses,
    ("print_ustack", 1): print_stack,
    ("print_ubacktrace", 0): print_backtrace,
    ("print_ubacktrace_brief", 0): print_backtrace,
    ("print_ubacktrace_fileline", 0): print_backtrace,
    ("usymname", 1): symbol(NAME_TOKEN),
    ("usymdata", 1): symbol(DATA_TOKEN),
    ("umodname", 1): symbol(MODULE_TOKEN),
    ("usymfile", 1): symbol(SOURCE_TOKEN),
    ("usymline", 1): symbol(LINE_TOKEN),
    ("usymfileline", 1): symbol(PLACE_TOKEN),
    ("caller", 1): symbol(NAME_TOKEN),
}
