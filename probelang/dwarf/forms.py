"""How attribute values are encoded.

    read(FORM_data2, b"\\x34\\x12", 0, facts)  ->  (0x1234, 2)

Values come as they stand in the file: a number (constants, offsets, indexes, flags) or bytes (blocks, expressions, strings that
stand in place). What a number means (an offset into .debug_str, an index of an address) is asked of the unit.
Source: DWARF 5, section 7.5.6; GNU forms of split and of shared (dwz) debug information.
"""

from __future__ import annotations

from typing import Protocol

from probelang.dwarf import constants as c
from probelang.dwarf.leb import signed, unsigned

Value = int | bytes


class Facts(Protocol):
    """Of a unit, that sizes depend on."""

    @property
    def version(self) -> int: ...
    @property
    def address_size(self) -> int: ...
    @property
    def offset_size(self) -> int: ...


class UnknownForm(Exception):
    def __init__(self, form: int) -> None:
        super().__init__(f"{form:#x}")
        self.form = form


FIXED = {
    c.FORM_data1: 1, c.FORM_ref1: 1, c.FORM_flag: 1, c.FORM_strx1: 1, c.FORM_addrx1: 1,
    c.FORM_data2: 2, c.FORM_ref2: 2, c.FORM_strx2: 2, c.FORM_addrx2: 2,
    c.FORM_strx3: 3, c.FORM_addrx3: 3,
    c.FORM_data4: 4, c.FORM_ref4: 4, c.FORM_strx4: 4, c.FORM_addrx4: 4, c.FORM_ref_sup4: 4,
    c.FORM_data8: 8, c.FORM_ref8: 8, c.FORM_ref_sig8: 8, c.FORM_ref_sup8: 8,
    c.FORM_data16: 16, c.FORM_flag_present: 0, c.FORM_implicit_const: 0,
}  # fmt: skip
OFFSETS = frozenset(
    (
        c.FORM_strp,
        c.FORM_line_strp,
        c.FORM_sec_offset,
        c.FORM_strp_sup,
        c.FORM_GNU_ref_alt,
        c.FORM_GNU_strp_alt,
    )
)
LEB = frozenset(
    (c.FORM_udata, c.FORM_ref_udata, c.FORM_strx, c.FORM_addrx, c.FORM_loclistx, c.FORM_rnglistx,
     c.FORM_GNU_addr_index, c.FORM_GNU_str_index)
)  # fmt: skip
BLOCKS = {c.FORM_block1: 1, c.FORM_block2: 2, c.FORM_block4: 4}

STRING_INDEXES = frozenset(
    (c.FORM_strx, c.FORM_strx1, c.FORM_strx2, c.FORM_strx3, c.FORM_strx4, c.FORM_GNU_str_index)
)
ADDRESS_INDEXES = frozenset(
    (c.FORM_addrx, c.FORM_addrx1, c.FORM_addrx2, c.FORM_addrx3, c.FORM_addrx4, c.FORM_GNU_addr_index)
)
UNIT_REFERENCES = frozenset((c.FORM_ref1, c.FORM_ref2, c.FORM_ref4, c.FORM_ref8, c.FORM_ref_udata))
SHARED_REFERENCES = frozenset((c.FORM_GNU_ref_alt, c.FORM_ref_sup4, c.FORM_ref_sup8))
SHARED_STRINGS = frozenset((c.FORM_GNU_strp_alt, c.FORM_strp_sup))
BYTES = frozenset((c.FORM_exprloc, c.FORM_block, c.FORM_block1, c.FORM_block2, c.FORM_block4, c.FORM_data16))


def fixed_size(form: int, facts: Facts) -> int | None:
    """In bytes; None where it depends on the value."""
    size = FIXED.get(form)
    if size is not None:
        return size
    if form in OFFSETS:
        return facts.offset_size
    if form == c.FORM_addr:
        return facts.address_size
    if form == c.FORM_ref_addr:  # DWARF 2 had the size of an address here
        return facts.address_size if facts.version <= 2 else facts.offset_size
    return None


def skip(form: int, data: bytes, position: int, facts: Facts) -> int:
    """Where the next value begins."""
    size = fixed_size(form, facts)
    if size is not None:
        return position + size
    if form in LEB or form == c.FORM_sdata:
        while data[position] >= 0x80:
            position += 1
        return position + 1
    if form == c.FORM_string:
        return data.index(b"\0", position) + 1
    return read(form, data, position, facts)[1]


def read(form: int, data: bytes, position: int, facts: Facts) -> tuple[Value, int]:
    """The value and where the next one begins. Raises UnknownForm; IndexError and ValueError at the end of the data."""
    size = fixed_size(form, facts)
    if size is not None:
        end = position + size
        if end > len(data):
            raise IndexError
        if form == c.FORM_data16:
            return data[position:end], end
        if form == c.FORM_flag_present:
            return 1, end
        return int.from_bytes(data[position:end], "little"), end
    if form in LEB:
        return unsigned(data, position)
    if form == c.FORM_sdata:
        return signed(data, position)
    if form == c.FORM_string:
        end = data.index(b"\0", position)
        return data[position:end], end + 1
    if form == c.FORM_indirect:
        actual, position = unsigned(data, position)
        if actual in (c.FORM_indirect, c.FORM_implicit_const):
            raise UnknownForm(actual)
        return read(actual, data, position, facts)
    return _read_block(form, data, position)


def _read_block(form: int, data: bytes, position: int) -> tuple[Value, int]:
    if form in (c.FORM_exprloc, c.FORM_block):
        size, position = unsigned(data, position)
    elif form in BLOCKS:
        width = BLOCKS[form]
        size, position = int.from_bytes(data[position : position + width], "little"), position + width
    else:
        raise UnknownForm(form)
    if position + size > len(data):
        raise IndexError
    return data[position : position + size], position + size
