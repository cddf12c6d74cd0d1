"""Units of debug information and their entries (DIEs).

    unit.root  ->  Entry(TAG_compile_unit at 0xb)     entry.text(AT_name)  ->  "x.c"     entry.children()  ->  ...

An entry is decoded when something of it is asked for. Damaged data raises BinaryError.
Source: DWARF 5, chapters 2 and 7.5.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from probelang.dwarf import constants as c
from probelang.dwarf import forms
from probelang.dwarf.abbrev import Abbreviation, Abbreviations
from probelang.dwarf.image import BinaryError, corrupt
from probelang.dwarf.leb import unsigned

if TYPE_CHECKING:
    from probelang.dwarf.info import DebugInfo
    from probelang.dwarf.lines import LineTable
    from probelang.dwarf.section import Section

_DAMAGED = (IndexError, ValueError, KeyError, struct.error, forms.UnknownForm, OverflowError)
_ABSENT: tuple[int, forms.Value | None] = 0, None
_HEAD_BYTES = 512
_LONG_TEXT = 4096
Kind = Literal["compile", "partial", "type", "skeleton", "split"]


class Unit:
    """`offset`: in its section (`section`, .debug_info or .debug_types). `size_bytes` with the header; `first`: where the root
    entry begins in it. `base`: the unit of the main file whose addresses this one of a split file uses."""

    def __init__(
        self,
        info: DebugInfo,
        section: Section,
        offset: int,
        size_bytes: int,
        first: int,
        version: int,
        address_size: int,
        offset_size: int,
        abbreviations: int,
        kind: Kind,
        signature: int = 0,
        type_offset: int = 0,
    ) -> None:
        self.info = info
        self.section = section
        self.offset = offset
        self.size_bytes = size_bytes
        self.first = first
        self.version = version
        self.address_size = address_size
        self.offset_size = offset_size
        self.kind: Kind = kind
        self.signature = signature
        self.type_offset = type_offset
        self.base: Unit | None = None
        self._abbreviations_at = abbreviations
        self._data: bytes | None = None
        self._abbreviations: Abbreviations | None = None
        self._lines: LineTable | None = None

    @property
    def data(self) -> bytes:
        """Its bytes, header and all. Whoever reads much of them keeps them in a variable."""
        if self._data is None:
            self._data = self.info.load(self)
        return self._data

    @property
    def abbreviations(self) -> Abbreviations:
        if self._abbreviations is None:
            self._abbreviations = self.info.abbreviations(self._abbreviations_at, self)
        return self._abbreviations

    def forget(self) -> None:
        """Gives the memory back until it is needed again."""
        self._data = self._abbreviations = None

    @cached_property
    def root(self) -> Entry:
        """Does not bring the rest of the unit into memory."""
        head = self._data or self.section.take(self.offset, min(_HEAD_BYTES, self.size_bytes))
        try:
            number, start = unsigned(head, self.first)
            entry = Entry(self, self.first, self.abbreviations[number], start)
            entry.decode(head)
        except _DAMAGED:  # or longer than that
            entry = self.entry(self.first)
            entry.values()
        return entry

    def entry(self, position: int) -> Entry:
        """The entry at an offset from the start of the unit."""
        try:
            number, start = unsigned(self.data, position)
            return Entry(self, position, self.abbreviations[number], start)
        except _DAMAGED as error:
            raise self.damaged(position, error) from None

    def damaged(self, position: int, error: Exception | None = None) -> BinaryError:
        reason = f"has an entry at {self.offset + position:#x} that cannot be read"
        if isinstance(error, forms.UnknownForm):
            reason = f"has an attribute of the unknown form {error} at {self.offset + position:#x}"
        return corrupt(self.info.path, f"section `{self.section.name}`", reason)

    @cached_property
    def name(self) -> str:
        return self.root.text(c.AT_name)

    @cached_property
    def folder(self) -> str:
        """Where the compiler ran (DW_AT_comp_dir)."""
        return self.root.text(c.AT_comp_dir)

    @property
    def producer(self) -> str:
        return self.root.text(c.AT_producer)

    @property
    def language(self) -> int:
        return self.root.number(c.AT_language) or 0

    @cached_property
    def low_pc(self) -> int:
        """What offsets in range and location lists count from."""
        owner = self.base or self
        return owner.root.address(c.AT_low_pc) or 0

    @property
    def lines(self) -> LineTable:
        """Its own; see `probelang.dwarf.lines.line_table`. Stays for a while."""
        if self._lines is None:
            from probelang.dwarf.lines import read_line_table

            self._lines = read_line_table(self)
            self.info.note_lines(self, len(self._lines.rows))
        return self._lines

    def forget_lines(self) -> None:
        self._lines = None

    @cached_property
    def files(self) -> tuple[str, ...]:
        """See `probelang.dwarf.lines.source_files`."""
        from probelang.dwarf.lineheader import read_line_header

        header = read_line_header(self)
        return () if header is None else header.files

    # ------------------------------------------------------------------------------------------ index tables

    def address(self, index: int) -> int:
        """Of DW_FORM_addrx: an address of the image."""
        owner = self.base or self
        start = owner.root.number(c.AT_addr_base)
        if start is None:
            start = owner.root.number(c.AT_GNU_addr_base) or 0
        return owner.info.section(".debug_addr").number(start + index * self.address_size, self.address_size)

    def string(self, index: int) -> bytes:
        """Of DW_FORM_strx."""
        start = self.root.number(c.AT_str_offsets_base) if self.kind != "split" else None
        if start is None:  # split units have one table, behind its header where there is one (DWARF 5)
            start = (16 if self.offset_size == 8 else 8) if self.version >= 5 else 0
        table = self.info.section(".debug_str_offsets")
        return self.info.section(".debug_str").text(
            table.number(start + index * self.offset_size, self.offset_size)
        )

    @cached_property
    def full(self) -> Unit:
        """The unit that holds the entries: of a skeleton the one in its split file, where there is one."""
        return self.info.split(self) or self


class Entry:
    """`position`: from the start of its unit. Two entries are the same when unit and position are."""

    __slots__ = ("_shape", "_start", "_values", "position", "unit")

    def __init__(self, unit: Unit, position: int, shape: Abbreviation, start: int) -> None:
        self.unit = unit
        self.position = position
        self._shape = shape
        self._start = start
        self._values: dict[int, tuple[int, forms.Value]] | None = None

    def __repr__(self) -> str:
        return f"Entry({self.tag:#x} at {self.offset:#x})"

    @property
    def tag(self) -> int:
        return self._shape.tag

    @property
    def offset(self) -> int:
        """In the section of its unit."""
        return self.unit.offset + self.position

    @property
    def key(self) -> tuple[int, int]:
        """Tells entries apart."""
        return id(self.unit), self.position

    # ------------------------------------------------------------------------------------------- attributes

    def values(self) -> dict[int, tuple[int, forms.Value]]:
        """Attribute -> form, value as it stands in the file."""
        if self._values is None:
            try:
                return self.decode(self.unit.data)
            except _DAMAGED as error:
                raise self.unit.damaged(self.position, error) from None
        return self._values

    def decode(self, data: bytes) -> dict[int, tuple[int, forms.Value]]:
        """All values, which begin at the same place in `data` as in the unit."""
        values: dict[int, tuple[int, forms.Value]] = {}
        position, unit = self._start, self.unit
        for attribute, form, constant in self._shape.attributes:
            if form == c.FORM_indirect:
                form, position = unsigned(data, position)
                if form in (c.FORM_indirect, c.FORM_implicit_const):
                    raise forms.UnknownForm(form)
            value, position = forms.read(form, data, position, unit)
            values[attribute] = form, constant if form == c.FORM_implicit_const else value
        self._values = values
        return values

    def has(self, attribute: int) -> bool:
        return attribute in self._shape.names

    def get(self, attribute: int) -> tuple[int, forms.Value] | None:
        """Form and value."""
        shape = self._shape
        if attribute not in shape.names:
            return None
        if self._values is not None:
            return self._values[attribute]
        place = shape.places.get(attribute)
        if place is None:
            return self.values()[attribute]
        offset, form, width = place
        start = self._start + offset
        found = self.unit.data[start : start + width]
        if len(found) < width:
            raise self.unit.damaged(self.position)
        return form, int.from_bytes(found, "little")

    def number(self, attribute: int) -> int | None:
        value = (self.get(attribute) or _ABSENT)[1]
        return value if isinstance(value, int) else None

    def signed_number(self, attribute: int) -> int | None:
        """A constant whose sign its form does not say: of the size of the form."""
        form, value = self.get(attribute) or _ABSENT
        if not isinstance(value, int):
            return None
        size = forms.FIXED.get(form, 0)
        return value - (1 << 8 * size) if size and value >> (8 * size - 1) else value

    def flag(self, attribute: int) -> bool:
        return bool(self.number(attribute))

    def address(self, attribute: int) -> int | None:
        form, value = self.get(attribute) or _ABSENT
        if not isinstance(value, int):
            return None
        return self.unit.address(value) if form in forms.ADDRESS_INDEXES else value

    def expression(self, attribute: int) -> bytes | None:
        """A DWARF expression or block."""
        form, value = self.get(attribute) or _ABSENT
        return value if isinstance(value, bytes) and form in forms.BYTES else None

    def raw_text(self, attribute: int) -> bytes:
        found = self.get(attribute)
        if found is None:
            return b""
        text = self._text(*found)
        if len(text) > _LONG_TEXT:
            self.unit.info.note_text(text)
        return text

    def _text(self, form: int, value: forms.Value) -> bytes:
        info = self.unit.info
        if isinstance(value, bytes):
            return value
        if form in forms.STRING_INDEXES:
            return self.unit.string(value)
        if form in forms.SHARED_STRINGS:
            return info.alternate.section(".debug_str").text(value) if info.alternate else b""
        if form == c.FORM_line_strp:
            return info.section(".debug_line_str").text(value)
        return info.section(".debug_str").text(value) if form == c.FORM_strp else b""

    def text(self, attribute: int) -> str:
        """Empty where there is none."""
        return self.raw_text(attribute).decode("utf-8", "surrogateescape")

    def reference(self, attribute: int) -> Entry | None:
        """The entry that this attribute points to; None without one, and where it points to nothing."""
        form, value = self.get(attribute) or _ABSENT
        if not isinstance(value, int):
            return None
        unit = self.unit
        if form in forms.UNIT_REFERENCES:
            return unit.entry(value)
        if form == c.FORM_ref_addr:
            return unit.info.entry(value)
        if form == c.FORM_ref_sig8:
            return unit.info.type_entry(value)
        if form in forms.SHARED_REFERENCES:
            return unit.info.alternate.entry(value) if unit.info.alternate else None
        return None

    # --------------------------------------------------------------------------------------------- the tree

    def children(self) -> Iterator[Entry]:
        if not self._shape.has_children:
            return
        unit, data, shapes = self.unit, self.unit.data, self.unit.abbreviations
        position = self.position
        try:
            position = self._behind_values()
            while data[position]:
                number, start = unsigned(data, position)
                entry = Entry(unit, position, shapes[number], start)
                yield entry
                position = entry._behind()
        except _DAMAGED as error:
            raise unit.damaged(position, error) from None

    def descendants(self) -> Iterator[Entry]:
        """All below, each before what is below it."""
        if not self._shape.has_children:
            return
        unit, data, shapes = self.unit, self.unit.data, self.unit.abbreviations
        position = self.position
        try:
            position, depth = self._behind_values(), 1
            while depth:
                number, start = unsigned(data, position)
                if number == 0:
                    depth -= 1
                    position = start
                    continue
                entry = Entry(unit, position, shapes[number], start)
                yield entry
                position = entry._behind_values()
                depth += entry._shape.has_children
        except _DAMAGED as error:
            raise unit.damaged(position, error) from None

    def _behind_values(self) -> int:
        """Where its children begin, or what follows it."""
        shape = self._shape
        if shape.size is not None:
            return self._start + shape.size
        data, position, unit = self.unit.data, self._start, self.unit
        for _, form, _ in shape.attributes:
            position = forms.skip(form, data, position, unit)
        return position

    def _behind(self) -> int:
        """Where the next entry at its level begins."""
        if not self._shape.has_children:
            return self._behind_values()
        if (position := self._sibling()) is not None:
            return position
        position, depth = self._behind_values(), 1
        unit, data, shapes = self.unit, self.unit.data, self.unit.abbreviations
        while depth:
            number, start = unsigned(data, position)
            if number == 0:
                depth -= 1
                position = start
                continue
            entry = Entry(unit, position, shapes[number], start)
            if not entry._shape.has_children:
                position = entry._behind_values()
            elif (sibling := entry._sibling()) is not None:
                position = sibling
            else:
                position = entry._behind_values()
                depth += 1
        return position

    def _sibling(self) -> int | None:
        if self._shape.sibling is None:
            return None
        at, width = self._shape.sibling
        start = self._start + at
        position = int.from_bytes(self.unit.data[start : start + width], "little")
        if not start + width <= position <= self.unit.size_bytes:
            raise ValueError  # a file that leads in circles
        return position
