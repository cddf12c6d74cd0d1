"""Writing messages of protocol buffers: the two kinds of fields that profiles need.

    field_number(1, 150) + field_bytes(2, b"testing")  ->  08 96 01 12 07 "testing"

Source: protobuf.dev, "Encoding". A number that is 0 is its field's default and is not written.
"""

from __future__ import annotations

from collections.abc import Iterable

_MASK = (1 << 64) - 1
_VARINT, _BYTES = 0, 2


def varint(value: int) -> bytes:
    """Seven bits a byte, lowest first; negative numbers as 64 bits of two's complement."""
    value &= _MASK
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field_number(field: int, value: int) -> bytes:
    return varint(field << 3 | _VARINT) + varint(value) if value else b""


def field_bytes(field: int, data: bytes) -> bytes:
    """A string, or a message within a message."""
    return varint(field << 3 | _BYTES) + varint(len(data)) + data


def field_numbers(field: int, values: Iterable[int]) -> bytes:
    """A repeated number, packed."""
    data = b"".join(map(varint, values))
    return field_bytes(field, data) if data else b""
