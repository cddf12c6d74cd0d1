"""Addresses as text: `0x...` numbers separated by spaces, innermost first.

hex_stack([0x401136, 0x401180])  ->  b"0x401136 0x401180"
"""

from __future__ import annotations

from collections.abc import Sequence

MASK = (1 << 64) - 1


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
