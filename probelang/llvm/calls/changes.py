"""What changes the probed process: its memory by a helper, its registers by stores to the context.

    set_register("rdi", x)  ->  store i64 x, ptr (ctx + 112)

The helper writes only to pages that are there and writable at once (copy_to_user_nofault). Source: kernel/trace/bpf_trace.c,
bpf_probe_write_user and kprobe_prog_is_valid_access.
"""

from __future__ import annotations

from collections.abc import Mapping

from probelang.artifact.code import Call
from probelang.diag import InternalError
from probelang.diag.deferred import kernel
from probelang.llvm.builder import Pointer, Value
from probelang.llvm.calls.lowering import Lowering, Result, Values, number, text
from probelang.llvm.emitter import Emitter
from probelang.llvm.frame import REGISTERS
from probelang.llvm.helper_ids import PROBE_WRITE_USER
from probelang.source import Span

FAULT = "user write fault at "


def write_number(bits: int) -> Lowering:
    def lower(e: Emitter, values: Values, call: Call) -> Result:
        need(e, "write_user", call)
        address, value = number(values, 0), number(values, 1)
        with e.key_memory(8) as memory:
            e.store(memory, value)
            failed = e.helper(PROBE_WRITE_USER, address, memory, bits // 8)
        e.fail_if(e.truth(failed), FAULT, call.at, address)
        return value

    return lower


def set_register(e: Emitter, values: Values, call: Call) -> Result:
    name = text(values, 0).literal
    if name is None:
        raise InternalError("`set_register` of a name that is no literal")
    return store_register(e, name.decode(), number(values, 1), call)


def set_returned(e: Emitter, values: Values, call: Call) -> Result:
    return store_register(e, "rax", number(values, 0), call)


def need(e: Emitter, feature: str, call: Call) -> None:
    """The object needs it, because of this call."""
    e.module.features.setdefault(feature, place(e, call))


def place(e: Emitter, call: Call) -> Span:
    return e.module.program.source.spans[call.at]


def store_register(e: Emitter, name: str, value: Value, call: Call) -> Value:
    need(e, "write_registers", call)
    if e.kind != "handler" or e.entry_kind != "uprobe":
        e.module.diagnostics.append(kernel.RegisterOutOfReach(span=place(e, call), register=name))
        return value
    e.store(Pointer(e.offset(Pointer("%ctx"), REGISTERS[name])), value)
    if not e.simple:
        # what called code reads
        e.store(e.at(e.module.header.registers + REGISTERS[name]), value)
    return value


LOWERINGS: Mapping[tuple[str, int], Lowering] = {
    **{(f"set_user_int{bits}", 2): write_number(bits) for bits in (8, 16, 32, 64)},
    ("set_register", 2): set_register,
    ("set_returnval", 1): set_returned,
}
