"""Calls from their entry to their return: whether the return is hooked, and the word that the kernel keeps, `bpf_session_cookie`
(kernel/trace/bpf_trace.c).

entry:   session_keep(local_clock_ns()); session_hook()        return:  took = local_clock_ns() - session_kept()
"""

from __future__ import annotations

from collections.abc import Mapping

from probelang.artifact.code import Call
from probelang.llvm.builder import Pointer
from probelang.llvm.calls.lowering import Lowering, Result, Values, number
from probelang.llvm.emitter import Emitter


def cookie(e: Emitter) -> Pointer:
    """Of the call that the hit is about; only the program itself may ask, in the entry and in the return alike."""
    e.module.need("session")
    e.module.kfuncs["bpf_session_cookie"] = None
    return Pointer(e.assign("call ptr @bpf_session_cookie(ptr %ctx)"))


def keep(e: Emitter, values: Values, call: Call) -> Result | None:
    e.store(cookie(e), number(values, 0))
    return None


def kept(e: Emitter, values: Values, call: Call) -> Result:
    return e.load(cookie(e))


def hook(e: Emitter, values: Values, call: Call) -> Result | None:
    """Sets what the program returns."""
    assert e.unhooked is not None
    e.store(e.unhooked, 0, volatile=False)
    return None


LOWERINGS: Mapping[tuple[str, int], Lowering] = {
    ("session_keep", 1): keep,
    ("session_kept", 0): kept,
    ("session_hook", 0): hook,
}
