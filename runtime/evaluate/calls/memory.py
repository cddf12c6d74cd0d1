"""Reads of the probed process's memory, through the context."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from probelang.artifact.integers import INTEGERS
from probelang.runtime.evaluate.calls.process import narrow
from probelang.runtime.evaluate.context import MemoryFault
from probelang.runtime.evaluate.frame import Run
from probelang.runtime.output.escape import escape_limited
from probelang.runtime.store import Value

_PAGE = 4096


def read_string(run: Run, address: int, limit: int) -> bytes:
    """The bytes up to a NUL, at most `limit`; read page by page, as what follows the string may not be readable. A
    fault is told with the address where the string begins."""
    found = b""
    while len(found) < limit:
        size = min(limit - len(found), _PAGE - (address + len(found)) % _PAGE)
        try:
            read = run.context.read_memory(address + len(found), size)
        except MemoryFault:
            raise MemoryFault(address) from None
        piece, nul, _ = read.partition(b"\0")
        found += piece
        if nul:
            break
    return found


def user_string(run: Run, address: int) -> bytes:
    # one byte more than fits shows that the string is longer, so that it is marked as cut
    return read_string(run, address, run.environment.limits.string_size)


def user_string_or(run: Run, address: int, fallback: bytes) -> bytes:
    try:
        return user_string(run, address)
    except MemoryFault:
        return fallback


def user_string_n(run: Run, address: int, size: int) -> bytes:
    return read_string(run, address, min(max(size, 0), run.environment.limits.string_size))


def user_string_n_or(run: Run, address: int, size: int, fallback: bytes) -> bytes:
    try:
        return user_string_n(run, address, size)
    except MemoryFault:
        return fallback


def quoted(run: Run, address: int, size: int | None = None) -> bytes:
    if address == 0:
        return b"NULL"
    try:
        text = user_string(run, address) if size is None else user_string_n(run, address, size)
    except MemoryFault:
        return b"%#x" % (address & ((1 << 64) - 1))
    return escape_limited(text, run.environment.limits.string_size - 1, quoted=True)


def _number(bits: int, signed: bool) -> Callable[[Run, int], int]:
    def read(run: Run, address: int) -> int:
        return narrow(int.from_bytes(run.context.read_memory(address, bits // 8), "little"), bits, signed)

    return read


BUILTINS: Mapping[tuple[str, int], Callable[..., Value | None]] = {
    ("user_string", 1): user_string,
    ("user_string", 2): user_string_or,
    ("user_string2", 2): user_string_or,
    ("user_string_n", 2): user_string_n,
    ("user_string_n", 3): user_string_n_or,
    ("user_string_n2", 3): user_string_n_or,
    ("user_string_quoted", 1): quoted,
    ("user_string_n_quoted", 2): quoted,
    **{(name, 1): _number(bits, signed) for name, (bits, signed) in INTEGERS.items()},
    ("user_return_address", 1): _number(64, False),  # breakpoints at return addresses put none in its place
}
