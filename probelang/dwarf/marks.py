"""Marks: the places that a program names itself, by the macros of sys/sdt.h (USDT).

    find_marks(open_binary("/usr/bin/python3.11"))
    ->  (Mark("python", "gc__start", address=0x4287f3, semaphore=0xa8426e, arguments=("-4@112(%rsp)",)), ...)

Each is a `nop` in the code and a note: name "stapsdt", type 3; three addresses (the nop, where the linker put `.stapsdt.base`, the
semaphore or 0) and three strings (provider, name, operands). A mark that was inlined or unrolled has several notes.
Source: sys/sdt.h of SystemTap, `_SDT_ASM_BODY`; System V ABI chapter 5, "Note Section".
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from probelang.dwarf.binary import Binary
from probelang.dwarf.image import SHT_NOBITS, Image, corrupt

SECTION, BASE_SECTION = ".note.stapsdt", ".stapsdt.base"
_OWNER, _TYPE = b"stapsdt\0", 3
_HEADER, _ADDRESSES = struct.Struct("<III"), struct.Struct("<QQQ")
_MASK = (1 << 64) - 1
_BETWEEN_SIZED = re.compile(r" (?=-?\d+f?@)")
_SIZED = re.compile(r"(?:^| )-?\d+f?@")


@dataclass(frozen=True, slots=True)
class Mark:
    """`address`: of its instruction in the image. `semaphore`: image address of the 16-bit counter that the program looks at to know
    whether anyone probes the mark; 0: it always works for it. `arguments`: operands as the assembler writes them."""

    provider: str
    name: str
    address: int
    semaphore: int
    arguments: tuple[str, ...]


def find_marks(binary: Binary) -> tuple[Mark, ...]:
    """All of a file, in the order of its notes; the same place twice only when the notes differ. Raises BinaryError."""
    image = binary.image
    base = next((s.address for s in image.sections if s.name == BASE_SECTION), None)
    marks = (
        _mark(image, part, description, base)
        for part, data in _notes(image)
        for description in _descriptions(image, part, data)
    )
    return tuple(dict.fromkeys(marks))


def _notes(image: Image) -> Iterator[tuple[str, bytes]]:
    """The parts of the file that may have notes of marks, with their names. Files without section headers keep those notes that
    are loaded."""
    if image.sections:
        for section in image.sections:
            if section.name == SECTION and section.type != SHT_NOBITS:
                yield f"section `{SECTION}`", image.contents(section)
    else:
        for offset, size in image.notes:
            yield "a note segment", image.bytes_at(offset, size, "a note segment")


def _descriptions(image: Image, part: str, data: bytes) -> Iterator[bytes]:
    position = 0
    while position + _HEADER.size <= len(data):
        name_size, size, kind = _HEADER.unpack_from(data, position)
        name_start = position + _HEADER.size
        start = name_start + (name_size + 3 & ~3)
        if start + size > len(data):
            raise corrupt(image.path, part, f"has a note at {position:#x} that does not end in it")
        if kind == _TYPE and data[name_start : name_start + name_size] == _OWNER:
            yield data[start : start + size]
        position = start + (size + 3 & ~3)


def _mark(image: Image, part: str, description: bytes, base: int | None) -> Mark:
    strings = description[_ADDRESSES.size :].split(b"\0", 3)
    if len(strings) < 4:
        raise corrupt(image.path, part, "has a mark that is cut short")
    address, linked_base, semaphore = _ADDRESSES.unpack_from(description)
    # prelink moves sections and does not know of notes that are not loaded; the base moved with them
    moved = base - linked_base if base is not None else 0
    provider, name, arguments = (s.decode("utf-8", "surrogateescape") for s in strings[:3])
    return Mark(
        provider,
        name,
        address + moved & _MASK,
        semaphore + moved & _MASK if semaphore else 0,
        split_arguments(arguments),
    )


def split_arguments(text: str) -> tuple[str, ...]:
    """`-4@%eax 8@(%rdi, %rcx)` -> its operands. Where they have sizes, a space without one behind it is inside of an operand."""
    text = " ".join(text.split())
    if not text:
        return ()
    return tuple(_BETWEEN_SIZED.split(text) if _SIZED.search(text) else text.split())
