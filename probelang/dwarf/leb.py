"""Numbers of variable length: seven bits a byte, the lowest first.

    unsigned(b"\\xe5\\x8e\\x26", 0)  ->  (624485, 3)        signed(b"\\x7f", 0)  ->  (-1, 1)

Numbers are of 64 bits: higher bits are dropped. One that runs out of the data, or goes on and on, raises IndexError.
Source: DWARF 5, section 7.6.
"""

from __future__ import annotations

_MASK = (1 << 64) - 1
_MOST_BITS = 7 * 32  # writers may pad with empty bytes, but not for ever


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
            return value & _MASK, position
        shift += 7
        if shift > _MOST_BITS:
            raise IndexError


def signed(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
        if shift > _MOST_BITS:
            raise IndexError
    if byte & 0x40:
        value -= 1 << shift
    value &= _MASK
    return (value - (1 << 64) if value >> 63 else value), position
