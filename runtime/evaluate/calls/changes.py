"""What changes the probed process, through the context."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from probelang.runtime.evaluate.frame import Run
from probelang.runtime.store import Value


def _memory(bits: int) -> Callable[[Run, int, int], int]:
    def write(run: Run, address: int, value: int) -> int:
        data = (value & ((1 << bits) - 1)).to_bytes(bits // 8, "little")
        run.context.write_memory(address, data)
        return value

    return write


def set_register(run: Run, name: bytes, value: int) -> int:
    run.context.set_register(name, value)
    return value


def set_returned(run: Run, value: int) -> int:
    run.context.set_return_value(value)
    return value


BUILTINS: Mapping[tuple[str, int], Callable[..., Value | None]] = {
    **{(f"set_user_int{bits}", 2): _memory(bits) for bits in (8, 16, 32, 64)},
    ("set_register", 2): set_register,
    ("set_returnval", 1): set_returned,
}
