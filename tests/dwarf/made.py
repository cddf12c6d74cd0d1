"""Programs whose debug information no compiler would write: entries of random tags, with random attributes in random forms.

made_program(Random(3))  ->  the bytes of an ELF file with a function `f`, and a parameter `n` of a type made of nonsense
"""

from __future__ import annotations

import struct
from random import Random

from probelang.dwarf import constants as c

ADDRESS, CODE_BYTES = 0x401000, 4096
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")

Shape = tuple[int, bool, tuple[tuple[int, int], ...]]

UNIT: Shape = (
    c.TAG_compile_unit,
    True,
    ((c.AT_low_pc, c.FORM_addr), (c.AT_high_pc, c.FORM_data4), (c.AT_language, c.FORM_data1)),
)
FUNCTION: Shape = (
    c.TAG_subprogram,
    True,
    ((c.AT_name, c.FORM_string), (c.AT_low_pc, c.FORM_addr), (c.AT_high_pc, c.FORM_data4)),
)
PARAMETER: Shape = (
    c.TAG_formal_parameter,
    False,
    ((c.AT_name, c.FORM_string), (c.AT_type, c.FORM_ref4), (c.AT_location, c.FORM_exprloc)),
)


def elf(**sections: bytes) -> bytes:
    """A program with 4096 bytes of code, which the symbol `f` names, and these sections (`debug_info=...`)."""
    symbols = _SYMBOL.pack(*(0,) * 6) + _SYMBOL.pack(1, 0x12, 0, 1, ADDRESS, 64)
    rows = [
        (".text", 1, 6, ADDRESS, b"\x90" * CODE_BYTES, 0, 0),
        (".symtab", 2, 0, 0, symbols, 3, _SYMBOL.size),
        (".strtab", 3, 0, 0, b"\0f\0", 0, 0),
        *((f".{name}", 1, 0, 0, data, 0, 0) for name, data in sections.items()),
    ]
    names, body, table = b"\0", b"", [_SECTION.pack(*(0,) * 10)]
    for name, kind, flags, address, data, link, size in rows:
        header = (len(names), kind, flags, address, CODE_BYTES + len(body), len(data), link, 0, 1, size)
        table.append(_SECTION.pack(*header))
        names, body = names + name.encode() + b"\0", body + data
    table.append(_SECTION.pack(len(names), 3, 0, 0, CODE_BYTES + len(body), len(names) + 10, 0, 0, 1, 0))
    body += names + b".shstrtab\0"
    header = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 2, 62, 1, ADDRESS, 64, CODE_BYTES + len(body), 0, 64, 56, 1, 64, len(table),
        len(table) - 1,
    )  # fmt: skip
    header += struct.pack("<IIQQQQQQ", 1, 5, CODE_BYTES, ADDRESS, 0, CODE_BYTES, CODE_BYTES, 4096)
    return header.ljust(CODE_BYTES, b"\0") + body + b"".join(table)


def unit(body: bytes) -> bytes:
    """Of DWARF 4."""
    return struct.pack("<IHIB", len(body) + 7, 4, 0, 8) + body


def abbreviations(*shapes: Shape) -> bytes:
    """Numbered from 1."""
    found = b""
    for number, (tag, has_children, attributes) in enumerate(shapes, 1):
        rows = b"".join(bytes(row) for row in attributes)
        found += bytes((number, tag, has_children)) + rows + b"\0\0"
    return found + b"\0"


def root(language: int = 2) -> bytes:
    return b"\1" + struct.pack("<QIB", ADDRESS, CODE_BYTES, language)


def function(name: bytes = b"f", address: int = ADDRESS, size: int = 64) -> bytes:
    return b"\2" + name + b"\0" + struct.pack("<QI", address, size)


def made_program(random: Random) -> bytes:
    top = root(random.choice((2, 4, 0x1C, 0x21)))
    shape, entry = _nonsense(random, 11 + len(top))
    if random.random() < 0.5:  # in the function, before the parameter that is of it
        there = 11 + len(top) + len(function())
        body = top + function() + b"\3" + entry + _parameter(there) + b"\0\0\0"
    else:
        body = top + b"\3" + entry + b"\0" + function() + _parameter(11 + len(top)) + b"\0\0"
    return elf(debug_info=unit(body), debug_abbrev=abbreviations(UNIT, FUNCTION, shape, PARAMETER))


def _parameter(of_type: int) -> bytes:
    return b"\4n\0" + struct.pack("<I", of_type) + b"\1\x50"


def _nonsense(random: Random, near: int) -> tuple[Shape, bytes]:
    """A shape, and values for it."""
    rows: list[tuple[int, int]] = []
    values = b""
    for attribute in random.sample(_ATTRIBUTES, random.randrange(2, 9)):
        form, value = random.choice((*_VALUES, (c.FORM_ref4, struct.pack("<I", near))))
        rows.append((attribute, form))
        values += value
    return (random.choice(_TAGS), True, tuple(rows)), values


_ATTRIBUTES = [value for name, value in vars(c).items() if name.startswith("AT_") and value < 0x80]
_TAGS = (
    c.TAG_variable, c.TAG_formal_parameter, c.TAG_member, c.TAG_structure_type, c.TAG_class_type, c.TAG_union_type, c.TAG_subprogram,
    c.TAG_inlined_subroutine, c.TAG_array_type, c.TAG_enumeration_type, c.TAG_base_type, c.TAG_pointer_type, c.TAG_typedef,
    c.TAG_lexical_block, c.TAG_label, c.TAG_call_site, c.TAG_subrange_type, c.TAG_enumerator, c.TAG_inheritance, c.TAG_variant_part,
    c.TAG_reference_type, c.TAG_namespace, c.TAG_imported_unit, c.TAG_imported_module, c.TAG_ptr_to_member_type, c.TAG_subroutine_type,
)  # fmt: skip
_VALUES = (
    (c.FORM_sdata, b"\x7f"), (c.FORM_sdata, b"\x80" * 9 + b"\x7f"), (c.FORM_udata, b"\xff" * 9 + b"\1"), (c.FORM_udata, b"\3"),
    (c.FORM_data8, b"\xff" * 8), (c.FORM_data8, bytes(7) + b"\x80"), (c.FORM_data1, b"\7"), (c.FORM_data16, b"\x80" * 16),
    (c.FORM_string, b"a\0"), (c.FORM_string, b"\xff\xfe\n\0"), (c.FORM_string, b"std::__cxx11::basic_string<char>\0"),
    (c.FORM_block1, b"\0"), (c.FORM_exprloc, b"\1\x9c"), (c.FORM_exprloc, b"\3\x23\xff\1"), (c.FORM_exprloc, b"\2\x31\x9f"),
    (c.FORM_ref4, struct.pack("<I", 11)), (c.FORM_flag_present, b""), (c.FORM_sec_offset, bytes(4)),
    (c.FORM_addr, b"\xff" * 8), (c.FORM_addr, struct.pack("<Q", ADDRESS)), (c.FORM_ref_sig8, b"\1" * 8),
)  # fmt: skip
