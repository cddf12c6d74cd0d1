"""The debug information of one file: its units, found by address and by name, and its sections.

    info = DebugInfo(find_debug_file(binary))
    info.unit_at(0x1139).name           ->  "x.c"
    info.units_naming(b"list_insert")   ->  the units that have an entry of this name, and perhaps others

No look-up walks the whole file: addresses are found in .debug_aranges, names by searching for the number that refers to their
string. Source: DWARF 5, sections 6.1.2 and 7.5.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from functools import cached_property, partial
from typing import TYPE_CHECKING, Protocol, TypeAlias

from probelang.dwarf import constants as c
from probelang.dwarf.abbrev import Abbreviations
from probelang.dwarf.answers import Answers
from probelang.dwarf.aranges import read_aranges
from probelang.dwarf.entry import Entry, Unit
from probelang.dwarf.headers import read_units
from probelang.dwarf.image import corrupt
from probelang.dwarf.naming import units_naming
from probelang.dwarf.package import Package, PackageUnit
from probelang.dwarf.ranges import entry_ranges
from probelang.dwarf.section import Section

if TYPE_CHECKING:
    from probelang.dwarf.frames import FrameIndex

__all__ = ["DebugInfo", "Section", "Source", "split_name"]

_KEPT_BYTES = 48 << 20
"""Of units' entries, at most; with the abbreviations of those units."""
_KEPT_TABLES = 64
_KEPT_ROWS = 1 << 20
_LONG_BYTES = 1 << 29
_LEAST_WORK, _WORK_PER_BYTE = 1 << 24, 16

Range: TypeAlias = "tuple[int, int, int]"


class Source(Protocol):
    """Where sections come from: `probelang.dwarf.debugfile.DebugFile`."""

    @property
    def path(self) -> str: ...
    def section(self, name: str) -> bytes | Section:
        """Empty where there is none."""
        ...

    @property
    def alternate(self) -> Source | None:
        """The file with what dwz moved out of several programs."""
        ...

    def split(self, name: str, folder: str, identity: int) -> Source | None:
        """The split file `name` of a compiler that ran in `folder`, with the unit `identity`."""
        ...


class DebugInfo:
    """`suffix`: of section names, ".dwo" in split files. `main`: what a split file belongs to. `shared`: what dwz made.
    `answers`: to look-ups, of other runs."""

    def __init__(
        self,
        source: Source,
        suffix: str = "",
        main: DebugInfo | None = None,
        shared: bool = False,
        answers: Answers | None = None,
    ) -> None:
        self.answers = answers or Answers()
        self.path = source.path
        self._source = source
        self._suffix = suffix
        self._main = main
        self._shared = shared
        self._sections: dict[str, Section] = {}
        self._split: dict[int, Unit | None] = {}
        self._elsewhere: dict[int, Entry | None] = {}
        self._abbreviations: dict[tuple[int, int, int], Abbreviations] = {}
        self._loaded: deque[Unit] = deque()
        self._loaded_bytes = 0
        self._lined: deque[tuple[Unit, int]] = deque()
        self._lined_rows = 0
        self._long_bytes = 0
        self._work = 0

    def section(self, name: str) -> Section:
        """Empty where there is none. Addresses and line strings are in the main file."""
        found = self._sections.get(name)
        if found is None:
            if self._main is not None and name in (".debug_addr", ".debug_line_str", ".debug_ranges"):
                found = self._main.section(name)
            else:
                full = name + self._suffix
                data = self._source.section(full)
                found = Section(self.path, full, data) if isinstance(data, bytes) else data
            self._sections[name] = found
        return found

    @cached_property
    def alternate(self) -> DebugInfo | None:
        """What dwz has moved to a file of its own, for several programs."""
        source = None if self._shared else self._source.alternate
        return None if source is None else DebugInfo(source, shared=True)

    def abbreviations(self, offset: int, unit: Unit) -> Abbreviations:
        key = offset, unit.version, unit.offset_size
        found = self._abbreviations.get(key)
        if found is None:
            section = self.section(".debug_abbrev")
            found = Abbreviations(section, offset, unit, partial(self.spend, section=section))
            if len(self._abbreviations) >= _KEPT_TABLES:
                del self._abbreviations[next(iter(self._abbreviations))]
            self._abbreviations[key] = found
        return found

    # ------------------------------------------------------------------------------------------ memory and time

    def load(self, unit: Unit) -> bytes:
        """The bytes of a unit, which stay with it for a while."""
        data = unit.section.take(unit.offset, unit.size_bytes)
        self._loaded.append(unit)
        self._loaded_bytes += len(data)
        while self._loaded_bytes > _KEPT_BYTES and len(self._loaded) > 1:
            oldest = self._loaded.popleft()
            self._loaded_bytes -= oldest.size_bytes
            oldest.forget()
        return data

    def note_lines(self, unit: Unit, rows: int) -> None:
        """That a unit has its line table in memory."""
        self._lined.append((unit, rows))
        self._lined_rows += rows
        while self._lined_rows > _KEPT_ROWS and len(self._lined) > 1:
            oldest, size = self._lined.popleft()
            self._lined_rows -= size
            oldest.forget_lines()

    def note_text(self, text: bytes) -> None:
        """Counts long strings: an honest file has few, and a damaged one may have the same long one in every entry."""
        self._long_bytes += len(text)
        if self._long_bytes > _LONG_BYTES:
            raise corrupt(self.path, "section `.debug_str`", "has too many long strings")

    def spend(self, steps: int, section: Section) -> None:
        """Counts work that the file asks for again and again. Raises BinaryError when no honest file could ask for so much."""
        self._work += steps
        if self._work > self._most_work:
            raise corrupt(self.path, f"section `{section.name}`", "leads in circles")

    @cached_property
    def _most_work(self) -> int:
        names = (".debug_info", ".debug_ranges", ".debug_rnglists", ".debug_loc", ".debug_loclists")
        return _LEAST_WORK + _WORK_PER_BYTE * sum(self.section(name).size for name in names)

    @cached_property
    def frame_indexes(self) -> dict[str, FrameIndex]:
        """Of sections without a sorted table, as `probelang.dwarf.frames` needs them."""
        return {}

    # ------------------------------------------------------------------------------------------------ units

    @cached_property
    def units(self) -> tuple[Unit, ...]:
        """Of .debug_info, in order."""
        return tuple(read_units(self, self.section(".debug_info"), types=False, split=bool(self._suffix)))

    @cached_property
    def _starts(self) -> list[int]:
        return [u.offset for u in self.units]

    def unit_with(self, offset: int) -> Unit | None:
        """The unit that holds this offset of .debug_info."""
        index = bisect_right(self._starts, offset) - 1
        if index < 0 or offset >= self.units[index].offset + self.units[index].size_bytes:
            return None
        return self.units[index]

    def entry(self, offset: int) -> Entry:
        """By its offset in .debug_info."""
        unit = self.unit_with(offset)
        if unit is None:
            raise self.section(".debug_info").damaged(offset)
        return unit.entry(offset - unit.offset)

    @cached_property
    def _type_units(self) -> dict[int, Unit]:
        units = [u for u in self.units if u.kind == "type"]
        units += read_units(self, self.section(".debug_types"), types=True, split=bool(self._suffix))
        return {u.signature: u for u in units}

    @property
    def type_units(self) -> list[Unit]:
        return list(self._type_units.values())

    def type_entry(self, signature: int) -> Entry | None:
        """The type of a type unit (DW_FORM_ref_sig8)."""
        unit = self._type_units.get(signature)
        if unit is not None:
            return unit.entry(unit.type_offset)
        if signature not in self._elsewhere:
            self._elsewhere[signature] = self._packaged_type(signature)
        return self._elsewhere[signature]

    def _packaged_type(self, signature: int) -> Entry | None:
        """The type units of a package lie each by itself."""
        source = self._source.type_unit(signature) if isinstance(self._source, PackageUnit) else None
        unit = None if source is None else self._type_unit_of(source)
        return None if unit is None else unit.entry(unit.type_offset)

    def _type_unit_of(self, source: PackageUnit) -> Unit | None:
        return next(iter(DebugInfo(source, self._suffix, self._main).type_units), None)

    def split(self, unit: Unit) -> Unit | None:
        """The unit with the entries that a skeleton stands for; None where it is no skeleton, or the file is missing."""
        if unit.offset not in self._split:
            self._split[unit.offset] = self._find_split(unit)
        return self._split[unit.offset]

    def _find_split(self, unit: Unit) -> Unit | None:
        name = split_name(unit)
        if not name or self._main is not None:
            return None
        identity = unit.signature or unit.root.number(c.AT_GNU_dwo_id) or 0
        source = self._source.split(name, unit.folder, identity)
        if source is None:
            return None
        for found in DebugInfo(source, ".dwo", self).units:
            own = found.signature or found.root.number(c.AT_GNU_dwo_id) or 0
            if found.kind != "type" and own == identity:
                found.base = unit
                return found
        return None

    # --------------------------------------------------------------------------------------------- look-ups

    def missing_at(self, address: int) -> str:
        """The split file that would describe the code at an address and is not here; else empty."""
        unit = self.unit_at(address)
        return "" if unit is None or unit.info is not self else split_name(unit)

    def unit_at(self, address: int) -> Unit | None:
        """The unit whose code lies at an address of the image; with its entries, also where they are in a split file."""
        offset = _holder(self._listed_ranges, address)
        if offset is None:
            offset = _holder(self._other_ranges, address)
        unit = None if offset is None else self.unit_with(offset)
        return None if unit is None else unit.full

    @cached_property
    def _listed_ranges(self) -> list[Range]:
        """Start, end and unit of code, by address, as .debug_aranges has them."""
        return _sorted_ranges(read_aranges(self.section(".debug_aranges")))

    @cached_property
    def _other_ranges(self) -> list[Range]:
        """What .debug_aranges does not know stands in the units themselves: one has to look into each."""
        known = {offset for _, _, offset in self._listed_ranges}
        units = [u for u in self.units if u.offset not in known and u.kind in ("compile", "skeleton")]
        return _sorted_ranges([(low, high, u.offset) for u in units for low, high in entry_ranges(u.root)])

    def units_naming(self, name: bytes) -> tuple[Unit, ...]:
        """Every unit that may hold an entry of this name: a superset. Split units are all among them."""
        units = [unit.full for unit in units_naming(self, name)]
        units += self._types_naming(name, units)
        if self.alternate is not None:
            units += self.alternate.units_naming(name)
        return tuple(units)

    def _types_naming(self, name: bytes, units: list[Unit]) -> list[Unit]:
        """Type units of split files."""
        found: list[Unit] = []
        packages: dict[Package, DebugInfo] = {}
        for unit in units:
            info = unit.info
            if info is not self and isinstance(info._source, PackageUnit):
                packages.setdefault(info._source.package, info)
            elif info is not self:
                found += info.type_units
        for package, info in packages.items():
            found += [
                one
                for source in package.types_naming(name)
                if (one := info._type_unit_of(source)) is not None
            ]
        return found


def _sorted_ranges(rows: list[Range]) -> list[Range]:
    return sorted(row for row in rows if row[1] > row[0] > 0)


def _holder(table: list[Range], address: int) -> int | None:
    """The unit of the range that an address lies in."""
    index = bisect_right(table, (address, 1 << 70, 0))
    for start, end, offset in reversed(table[max(0, index - 4) : index]):
        if start <= address < end:
            return offset
    return None


def split_name(unit: Unit) -> str:
    """The file with the entries that a skeleton stands for; empty where it is none."""
    return unit.root.text(c.AT_dwo_name) or unit.root.text(c.AT_GNU_dwo_name)
