"""The probed place in the memory of the process: what tells where the code of the probed file lies.

    offset = address - site_address(e) + site_offset(e)

The kernel knows the address of the probed instruction: at an entry it is the program counter, at a return the task's list of calls
under way has it (bpf_get_func_ip: kernel/trace/bpf_trace.c, bpf_get_func_ip_uprobe_multi).
"""

from __future__ import annotations

from probelang.artifact.points import FunctionPoint
from probelang.layout.callers import SITE_ADDRESS
from probelang.llvm.builder import Pointer, Value
from probelang.llvm.calls.lowering import known
from probelang.llvm.emitter import Emitter
from probelang.llvm.helper_ids import FUNC_IP
from probelang.llvm.text.buffers import limit

SAVED = "site_address"
"""What called code reads from the frame, see `handlers.save_context`."""


def site_address(e: Emitter) -> Value:
    if e.kind != "handler":
        e.saves[SAVED] = None
        return e.load(e.at(e.module.header.context))
    if e.on_return:
        return e.entry_address()
    if not e.at_return:
        return e.register("rip")
    e.module.need(SITE_ADDRESS)
    return e.helper(FUNC_IP, Pointer("%ctx"))


def site_offset(e: Emitter) -> Value:
    """Where the site that was hit lies in its file."""
    offsets = [0] * len(e.module.program.sites)
    for probe in e.module.program.kernel:
        point = e.module.program.source.probes[probe.index].point
        if isinstance(point, FunctionPoint):
            for i, site in enumerate(point.sites):
                offsets[probe.first_site + i] = site.offset
    return chosen(e, offsets)


def chosen(e: Emitter, values: list[int]) -> Value:
    """The one of the site that was hit: a constant where there is only one, or all are equal, else read from a table."""
    number = e.site()
    only = known(number)
    if only is not None:
        return Value(str(values[only]))
    if len(set(values)) == 1:
        return Value(str(values[0]))
    bits = 32 if max(values) < 1 << 32 else 64
    table = e.read_only(e.module.table(b"".join(v.to_bytes(bits // 8, "little") for v in values)))
    place = e.shift_left(limit(e, number, len(values) - 1), bits.bit_length() - 4)
    return e.load(e.offset(table, place), bits)
