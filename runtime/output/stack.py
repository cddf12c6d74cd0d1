"""Stacks as text. A stack travels as a string of `0x...` addresses separated by spaces, innermost first.

stack_lines(symbols, b"0x401136 0x7f0000000000", None)  ->  b" 0x401136 : main+0x0 [a.out]\\n 0x7f0000000000\\n"
"""

from __future__ import annotations

from probelang.runtime.evaluate.services import Symbols

MASK = (1 << 64) - 1


def hex_stack(addresses: list[int]) -> bytes:
    return b" ".join(b"%#x" % (address & MASK) for address in addresses)


def stack_addresses(stack: bytes) -> list[int]:
    """The addresses of a stack's string; a last one that was cut is dropped."""
    addresses: list[int] = []
    for word in stack.split():
        try:
            addresses.append(int(word, 16))
        except ValueError:
            break
    return addresses


def symbol_name(symbols: Symbols, address: int, pid: int | None) -> bytes:
    return symbols.name(address & MASK, pid) or b"%#x" % (address & MASK)


def symbol_data(symbols: Symbols, address: int, pid: int | None) -> bytes:
    return symbols.data(address & MASK, pid) or b"%#x" % (address & MASK)


def stack_lines(symbols: Symbols, stack: bytes, pid: int | None) -> bytes:
    """One line for each address: ` 0x401136 : main+0x10 [/usr/bin/x]`."""
    lines: list[bytes] = []
    for address in stack_addresses(stack):
        data = symbols.data(address, pid)
        lines.append(b" %#x%s\n" % (address, b" : " + data if data else b""))
    return b"".join(lines)


def stack_names(symbols: Symbols, stack: bytes, pid: int | None) -> bytes:
    """The functions' names in one line."""
    names = [symbol_name(symbols, address, pid) for address in stack_addresses(stack)]
    return b" ".join(names) + b"\n"
