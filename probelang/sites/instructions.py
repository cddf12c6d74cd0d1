"""The instructions of functions, decoded once: where they begin, and which of them call.

    code = Instructions(binary)
    code.refusal(0x1145, 0x1139, 0x1172)  ->  Refusal("0x1145 is the middle of the instruction at 0x1144")
    code.calls(0x1139, 0x1172)            ->  ((0x1040, 0x1158), ...)      target and return address

Unlike `find_boundary`, which looks for a known start, this takes the function's own range: debug information has it.
"""

from __future__ import annotations

from bisect import bisect_right

from probelang.dwarf.binary import Binary
from probelang.sites.boundary import MAXIMUM_BYTES, UNKNOWN
from probelang.sites.judge import Refusal


class Instructions:
    """Of one file. `low, high`: a range of addresses of the image that begins with an instruction."""

    def __init__(self, binary: Binary) -> None:
        self._binary = binary
        self._known: dict[tuple[int, int], tuple[list[int], tuple[tuple[int, int], ...]]] = {}

    def refusal(self, address: int, low: int, high: int) -> Refusal | None:
        """None when an instruction begins at `address`."""
        if address == low:
            return None
        starts, _ = self._decoded(low, high)
        index = bisect_right(starts, address) - 1
        if index < 0:
            return Refusal(UNKNOWN)
        if starts[index] == address:
            return None
        return Refusal(f"{address:#x} is the middle of the instruction at {starts[index]:#x}")

    def calls(self, low: int, high: int) -> tuple[tuple[int, int], ...]:
        """Direct calls: where each goes and where it returns to."""
        return self._decoded(low, high)[1]

    def _decoded(self, low: int, high: int) -> tuple[list[int], tuple[tuple[int, int], ...]]:
        key = low, high
        if key not in self._known:
            self._known[key] = self._decode(low, high)
        return self._known[key]

    def _decode(self, low: int, high: int) -> tuple[list[int], tuple[tuple[int, int], ...]]:
        from iced_x86 import Decoder, Mnemonic  # 30 ms

        offset = self._binary.image.offset_of(low)
        if offset is None or not low < high <= low + MAXIMUM_BYTES:
            return [], ()
        starts: list[int] = []
        calls: list[tuple[int, int]] = []
        for instruction in Decoder(64, self._binary.image.data[offset : offset + high - low], ip=low):
            if instruction.is_invalid:
                break
            starts.append(instruction.ip)
            if instruction.mnemonic == Mnemonic.CALL and instruction.is_call_near:
                calls.append((instruction.near_branch_target, instruction.next_ip))
        return starts, tuple(calls)
