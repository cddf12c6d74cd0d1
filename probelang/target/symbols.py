"""What a symbol in an operand of the assembler stands for, at run time.

    Symbols(binary, base).address("table")            ->  base + 0x4050
    Symbols(binary, base).thread_offset("counter")    ->  -12       from the thread pointer (fs_base)
    Symbols(binary, base).pointer("environ")          ->  InMemory(base + 0x3fe0)    its entry of the global offset table

Sources: System V ABI chapter 4, "Symbol Table"; AMD64 supplement 4.4 (relocations); Drepper, "ELF Handling For Thread-Local
Storage", 3.4.6 and 4.4.6.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from probelang.artifact.code import Expr
from probelang.dwarf.binary import Binary
from probelang.dwarf.image import HEADER, SEGMENT, SHT_RELA
from probelang.dwarf.plt import R_X86_64_GLOB_DAT, RELOCATION
from probelang.dwarf.symbols import ENTRY, SHN_UNDEF, SymbolTable, read_table
from probelang.target.build import plus
from probelang.target.location import Computed, InMemory, Location, Unavailable

_STT_TLS, _PT_TLS = 6, 7
_LONGEST_NAME = 4096


@dataclass(frozen=True, slots=True)
class Symbols:
    """`base`: the run-time address of image address 0. What is not in the file's tables raises Unavailable."""

    binary: Binary
    base: Expr

    def address(self, name: str) -> Expr:
        return plus(self.base, self._value(name, thread_local=False))

    def block_offset(self, name: str) -> int:
        """Of a thread-local one in its module's block."""
        return self._value(name, thread_local=True)

    def thread_offset(self, name: str) -> int:
        """Of a thread-local one of the executable, whose block ends at the thread pointer."""
        offset = self._value(name, thread_local=True)
        size, alignment = self._thread_block(name)
        return offset - (size + alignment - 1) // alignment * alignment

    def pointer(self, name: str) -> Location:
        """Its address, as the program would load it from the global offset table."""
        image = self.binary.image
        encoded = name.encode("utf-8", "surrogateescape")
        for section in image.sections:
            if section.type == SHT_RELA and 0 < section.link < len(image.sections):
                data = image.contents(section)
                symbols = image.sections[section.link]
                if section.entry_size != RELOCATION.size or symbols.entry_size != ENTRY.size:
                    continue
                table = read_table(image, symbols)
                for place, info, _ in RELOCATION.iter_unpack(
                    data[: len(data) // RELOCATION.size * RELOCATION.size]
                ):
                    if info & 0xFFFFFFFF == R_X86_64_GLOB_DAT and table.name_at(info >> 32) == encoded:
                        return InMemory(plus(self.base, place))
        return Computed(self.address(name))

    def _value(self, name: str, thread_local: bool) -> int:
        values = {
            value
            for table in self.binary.tables
            for value, kind in _defined(table, name.encode("utf-8", "surrogateescape"))
            if (kind == _STT_TLS) == thread_local
        }
        if len(values) != 1:
            why = "several symbols of its file have" if values else "no symbol of its file has"
            raise Unavailable(f"{why} the name `{name}`, which it refers to")
        return values.pop()

    def _thread_block(self, name: str) -> tuple[int, int]:
        """Size and alignment."""
        data = self.binary.image.data
        fields = HEADER.unpack_from(data)
        offset, count = fields[5], fields[10]
        for row in SEGMENT.iter_unpack(data[offset : offset + count * SEGMENT.size]):
            if row[0] == _PT_TLS:
                return row[6], max(row[7], 1)
        raise Unavailable(f"its file has no thread-local block that `{name}` could lie in")


def _defined(table: SymbolTable, name: bytes) -> Iterator[tuple[int, int]]:
    """Value and type of every symbol of that name, whatever its version."""
    if not name or len(name) > _LONGEST_NAME:
        return
    places: set[int] = set()
    for end in (b"\0", b"@"):
        position = table.strings.find(name + end)
        while position >= 0:
            places.add(position)
            position = table.strings.find(name + end, position + 1)
    if places:
        for place, info, _, section, value, _ in ENTRY.iter_unpack(table.entries):
            if place in places and section != SHN_UNDEF:
                yield value, info & 15
