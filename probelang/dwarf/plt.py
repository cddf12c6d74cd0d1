"""PLT slots: the stubs through which a file calls functions of other files.

    find_slots(binary)  ->  (Slot("malloc", address=0x1030, offset=0x1030), ...)

Whatever the linker (GNU ld, gold, lld, mold) and the flavour (`.plt`, `.plt.sec` with `endbr64`, `.plt.got`), a slot
ends in `jmp *disp(%rip)` through a table entry, and a relocation says whose address that entry holds.
Sources: x86-64 psABI, "Procedure Linkage Table"; binutils elfxx-x86.c for the layouts.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from probelang.dwarf.binary import Binary
from probelang.dwarf.demangle import demangle, plain_name
from probelang.dwarf.image import SHT_DYNSYM, SHT_RELA, Image, Section
from probelang.dwarf.symbols import read_table

RELOCATION = struct.Struct("<QQq")
R_X86_64_GLOB_DAT, R_X86_64_JUMP_SLOT = 6, 7
SECTIONS = (".plt", ".plt.sec", ".plt.got", ".iplt")
JUMP = b"\xff\x25"
ENDBR64 = b"\xf3\x0f\x1e\xfa"
BND = 0xF2


@dataclass(frozen=True, slots=True)
class Slot:
    """`name`: the function called through it, demangled; `symbol`: as the linker knows it."""

    name: str
    symbol: str
    address: int
    offset: int


def find_slots(binary: Binary) -> tuple[Slot, ...]:
    """All slots whose function has a name, by address. Slots of a program linked statically have none."""
    image = binary.image
    targets = _targets(image)
    if not targets:
        return ()
    slots = [
        slot for s in image.sections if s.name in SECTIONS and s.size for slot in _slots(image, s, targets)
    ]
    return tuple(sorted(slots, key=lambda slot: slot.address))


def _targets(image: Image) -> dict[int, bytes]:
    """Address of each entry of the global offset table -> name of the function that it points to."""
    dynsym = image.section_of_type(SHT_DYNSYM)
    if dynsym is None:
        return {}
    table = read_table(image, dynsym)
    found: dict[int, bytes] = {}
    for section in image.sections:
        if section.type != SHT_RELA or section.entry_size != RELOCATION.size:
            continue
        data = image.contents(section)
        for place, info, _ in RELOCATION.iter_unpack(data[: len(data) // RELOCATION.size * RELOCATION.size]):
            if info & 0xFFFFFFFF in (R_X86_64_GLOB_DAT, R_X86_64_JUMP_SLOT):
                name = table.name_at(info >> 32)
                if name:
                    found[place] = name
    return found


def _slots(image: Image, section: Section, targets: dict[int, bytes]) -> Iterator[Slot]:
    data = image.contents(section)
    position = data.find(JUMP)
    while 0 <= position <= len(data) - 6:
        (displacement,) = struct.unpack_from("<i", data, position + 2)
        name = targets.get(section.address + position + 6 + displacement)
        if name is not None:
            start = position - 1 if position and data[position - 1] == BND else position
            if data[max(start - 4, 0) : start] == ENDBR64:
                start -= 4
            text = name.decode("utf-8", "surrogateescape")
            yield Slot(plain_name(demangle(name)), text, section.address + start, section.offset + start)
            position += 5
        position = data.find(JUMP, position + 1)
