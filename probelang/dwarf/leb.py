"""Numbers of variable length: seven bits a byte, the lowest first.

    unsigned(b"\\xe5\\x8e\\x26", 0)  ->  (624485, 3)        signed(b"\\x7f", 0)  ->  (-1, 1)

Source: DWARF 5, section 7.6. A number that runs out of the data raises IndexError.
"""

from __future__ import annotations


def unsigned(data: bytes, position: int) -> tuple[int, int]:
    """The number, and where the next thing begins."""
    byte = data[position]
    position += 1
    if byte < 0x80:
        return byte, position
    value, shift = byte & 0x7F, 7
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7


def signed(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return (value - (1 << shift) if byte & 0x40 else value), position
