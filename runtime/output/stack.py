"""Addresses as text: `0x...` numbers separated by spaces, innermost first; and the source at one.

hex_stack([0x401136, 0x401180])  ->  b"0x401136 0x401180"
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Literal, TypeAlias

MASK = (1 << 64) - 1
UNKNOWN_FILE = b"<unknown>"
SourcePart: TypeAlias = Literal["file", "line", "place"]


def source_text(part: SourcePart, found: tuple[bytes, int] | None, address: int) -> bytes:
    """`found`: file and line at the address. The place is `file:line`, without folders."""
    if found is None:
        return b"%#x" % (address & MASK)
    match part:
        case "file":
            return found[0]
        case "line":
            return b"%d" % found[1]
        case "place":
            return b"%s:%d" % (os.path.basename(found[0]), found[1])


def hex_stack(addresses: Sequence[int]) -> bytes:
    return b" ".join(b"%#x" % (address & MASK) for address in addresses)


def stack_addresses(stack: bytes) -> list[int]:
    """The addresses of such a text; a last one that was cut is dropped."""
    addresses: list[int] = []
    for word in stack.split():
        try:
            addresses.append(int(word, 16) & MASK)
        except ValueError:
            break
    return addresses
