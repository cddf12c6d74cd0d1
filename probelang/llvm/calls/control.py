"""Builtins that act on the session: most become a record that the runtime carries out."""

from __future__ import annotations

from collections.abc import Mapping

from probelang.artifact.code import Call, Type
from probelang.artifact.manifest import STATE_STOPPING
from probelang.llvm import errors
from probelang.llvm.builder import Value
from probelang.llvm.calls.lowering import Lowering, Result, Values, number, text
from probelang.llvm.emitter import Emitter
from probelang.llvm.prints import send_call

PRANDOM = 7


def deferred(e: Emitter, values: Values, call: Call) -> None:
    send_call(e, call.name, values)


def exit_session(e: Emitter, values: Values, call: Call) -> None:
    """No handler starts from now on; this one goes on to its end."""
    e.atomic("xchg", e.module.word("state"), STATE_STOPPING)
    send_call(e, "exit", ())


def abort(e: Emitter, values: Values, call: Call) -> None:
    exit_session(e, values, call)
    errors.fail_hard(e, errors.ABORT, call.at)


def error(e: Emitter, values: Values, call: Call) -> Result | None:
    """In place of a number, where debug information describes none: then its text is a short literal, and no frame is needed."""
    message = text(values, 0)
    if call.type is Type.LONG and message.literal is not None:
        e.fail(message.literal.decode(), call.at)
        return Value("0")
    e.fail(message, call.at)
    return None


def randint(e: Emitter, values: Values, call: Call) -> Result:
    below = number(values, 0)
    high = e.shift_left(e.helper(PRANDOM), 32)
    drawn = e.bits_or(high, e.bits_and(e.helper(PRANDOM), 0xFFFFFFFF))
    return e.arithmetic("urem", drawn, e.select(e.compare("sgt", below, 0), below, 1))


def speculation(e: Emitter, values: Values, call: Call) -> Result:
    return e.add(e.atomic_fetch("add", e.module.word("speculations"), 1), 1)


LOWERINGS: Mapping[tuple[str, int], Lowering] = {
    ("exit", 0): exit_session,
    ("abort", 0): abort,
    ("error", 1): error,
    ("randint", 1): randint,
    ("speculation", 0): speculation,
    **{(name, 0): deferred for name in ("switch_file",)},
    **{(name, 1): deferred for name in ("warn", "log", "ftrace", "system", "commit", "discard")},
    ("speculate", 2): deferred,
}
