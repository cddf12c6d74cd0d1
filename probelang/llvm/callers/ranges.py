"""Whether an offset in a file lies in one of the ranges of a set.

    inside(e, offset, ((0x1140, 0x11c3),))  ->  1 or 0

A few ranges are arithmetic without a branch: of d = offset - low and (size - 1) - d both are at least 0 just inside. Many are a table
of where ranges begin and end, in which an odd number of rows lies at or below an offset inside. The search takes a step for each
power of two and knows no branch either, since the kernel's verifier walks every branch of a program.
"""

from __future__ import annotations

from collections.abc import Sequence

from probelang.llvm.builder import Value
from probelang.llvm.emitter import Emitter

FEW = 8
_SIGN = 63

Ranges = Sequence[tuple[int, int]]


def inside(e: Emitter, offset: Value, ranges: Ranges) -> Value:
    """0 or 1 for any 64 bits. `ranges`: [low, high), ascending and apart, none empty, all below 1 << 62."""
    if not ranges:
        return Value("0")
    if len(ranges) <= FEW:
        return _compared(e, offset, ranges)
    return _searched(e, offset, ranges)


def _compared(e: Emitter, offset: Value, ranges: Ranges) -> Value:
    outside: Value | None = None
    for low, high in ranges:
        distance = e.sub(offset, low)
        sign = e.shift_right(e.bits_or(distance, e.sub(high - low - 1, distance)), _SIGN)
        outside = sign if outside is None else e.bits_and(outside, sign)
    assert outside is not None
    return e.bits_xor(outside, 1)


def _searched(e: Emitter, offset: Value, ranges: Ranges) -> Value:
    bounds = [bound for pair in ranges for bound in pair]
    bits = 32 if bounds[-1] < 1 << 32 else 64
    steps = len(bounds).bit_length()
    filler = (1 << bits) - 1 if bits == 32 else (1 << 62)
    rows = bounds + [filler] * ((1 << steps) - len(bounds))
    table = e.read_only(e.module.table(b"".join(row.to_bytes(bits // 8, "little") for row in rows)))
    # what is far outside would overflow the comparisons
    found = e.alloca_word()
    e.store(found, 0, volatile=False)
    with e.when(e.compare("ult", e.sub(offset, bounds[0]), bounds[-1] - bounds[0])):
        index = Value("0")
        for step in reversed(range(steps)):
            half = 1 << step
            place = e.offset(table, e.shift_left(e.add(index, half - 1), bits.bit_length() - 4))
            # 1 where the row lies above the offset. LLVM would make a branch of what it sees through, on either side of the shift,
            # and the verifier two paths of an arithmetic shift with an `and` (kernel/bpf/verifier.c, maybe_fork_scalars)
            above = e.opaque(e.shift_right(e.opaque(e.sub(offset, e.load(place, bits))), _SIGN))
            index = e.add(index, e.shift_left(e.bits_xor(above, 1), step))
        e.store(found, e.bits_and(index, 1), volatile=False)
    return e.load(found, volatile=False)
