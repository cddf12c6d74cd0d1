"""What is visible at an address: the function there, what is inlined, and every variable.

    scope = find_scope(info, types, 0x1139)
    scope.variables()      ->  {"l": Variable("l", "parameter", ...), "i": Variable("i", "local", ...)}
    scope.find("counter")  ->  a global of the unit, where no variable of the function hides it

Source: DWARF 5, sections 3.3, 3.4 and 4.1.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Literal

from probelang.dwarf import constants as c
from probelang.dwarf.ctypes import CType, Lazy
from probelang.dwarf.entry import Entry, Unit
from probelang.dwarf.info import DebugInfo
from probelang.dwarf.ranges import entry_locations, entry_ranges
from probelang.dwarf.references import variables_named
from probelang.dwarf.sweep import places_of, sweep
from probelang.dwarf.types import OUTER, Types, origins, own_name

_VARIABLES = {c.TAG_formal_parameter: "parameter", c.TAG_variable: "local"}
_DECLARATIONS = frozenset((*_VARIABLES, c.TAG_lexical_block))
_BLOCKS = frozenset(
    (c.TAG_lexical_block, c.TAG_inlined_subroutine, c.TAG_try_block, c.TAG_catch_block, c.TAG_with_stmt)
)
_SUBPROGRAM = frozenset((c.TAG_subprogram,))
_OWN = _BLOCKS - {c.TAG_inlined_subroutine}
_FUNCTIONS = frozenset((c.TAG_subprogram, c.TAG_inlined_subroutine, c.TAG_entry_point))

_DEEPEST = 256
_DEEPEST_BARE = 3  # blocks without addresses of their own in one another

VariableKind = Literal["parameter", "local", "global"]


@dataclass(frozen=True, slots=True, eq=False)
class Variable:
    """`entry`: with the location. `gone`: nothing is left of it. `declared`: only declared in this unit (`extern`)."""

    name: str
    kind: VariableKind
    entry: Entry
    type: Lazy[CType]
    gone: bool = False
    declared: bool = False

    def location(self, address: int) -> bytes | None:
        """The DWARF expression that holds at an address of the image; None or empty: optimised out there."""
        if self.gone:
            return None
        found = entry_locations(self.entry)
        if found is None or isinstance(found, bytes):
            return found
        default: bytes | None = None
        for low, high, expression in found:
            if high == 1 << 64:
                default = expression
            elif low <= address < high:
                return expression
        return default

    def places(self) -> list[tuple[int, int]]:
        """Address ranges in which it lives; empty where that is not limited, or nowhere."""
        found = None if self.gone else entry_locations(self.entry)
        return [(low, high) for low, high, e in found if e] if isinstance(found, list) else []

    @property
    def everywhere(self) -> bool:
        """One location for the whole scope: how unoptimised code describes what lies on the stack."""
        return not self.gone and isinstance(entry_locations(self.entry), bytes)

    def constant(self) -> int | bytes | None:
        """DW_AT_const_value."""
        for entry in origins(self.entry):
            if (block := entry.expression(c.AT_const_value)) is not None:
                return block
            if (text := entry.raw_text(c.AT_const_value)) and entry.number(c.AT_const_value) is None:
                return text + b"\0"
            if (number := entry.number(c.AT_const_value)) is not None:
                return number
        return None


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """`chain`: from the function's own entry (of the instance that is probed, inlined or not) to the innermost block.
    `function`: the entry with code of its own around it all, which has the frame base."""

    types: Types
    unit: Unit
    chain: tuple[Entry, ...]
    function: Entry

    @property
    def instance(self) -> Entry:
        """The function, or the inlined instance of one, whose variables these are."""
        return self.chain[0]

    @property
    def name(self) -> str:
        return own_name(self.instance)

    @property
    def linkage_name(self) -> str:
        for entry in origins(self.instance):
            if name := entry.text(c.AT_linkage_name):
                return name
        return ""

    def result(self) -> CType:
        return self.types.of(self.instance)

    def has_result(self) -> bool:
        return any(entry.has(c.AT_type) for entry in origins(self.instance))

    def variables(self) -> dict[str, Variable]:
        """Parameters and locals in scope, parameters first; an inner one hides an outer one."""
        found: dict[str, Variable] = {}
        for entry in self.chain:
            own: dict[str, Variable] = {}
            for variable in self._own(entry):
                if not (variable.gone and variable.name in own):
                    own[variable.name] = variable
            found |= own
        return dict(sorted(found.items(), key=lambda item: item[1].kind != "parameter"))

    def _own(self, block: Entry) -> Iterator[Variable]:
        seen: set[tuple[int, int]] = set()
        for child in _declarations(block):
            seen |= {origin.key for origin in origins(child)}
            if child.tag in _VARIABLES and (name := own_name(child)):
                yield self._variable(name, child, False)
        # what the abstract instance has and this one has not was optimised away altogether
        for abstract in list(origins(block))[1:]:
            for child in _declarations(abstract, seen):
                seen.add(child.key)
                if child.tag in _VARIABLES and (name := own_name(child)):
                    yield self._variable(name, child, True)

    def _variable(self, name: str, entry: Entry, is_abstract: bool) -> Variable:
        external = entry.tag == c.TAG_variable and entry.flag(c.AT_external) and entry.flag(c.AT_declaration)
        kind: VariableKind = "parameter" if entry.tag == c.TAG_formal_parameter else "local"
        gone = is_abstract and not any(
            e.has(c.AT_const_value) or e.has(c.AT_location) for e in origins(entry)
        )
        return Variable(name, kind, entry, self.types.lazy(entry), gone, external)

    def find(self, name: str) -> Variable | None:
        """A variable by name, from the innermost block outwards; else a global of the unit."""
        return self.variables().get(name) or find_global(self.types, self.unit, name)

    def parameters(self) -> tuple[Variable, ...]:
        return tuple(v for v in self.variables().values() if v.kind == "parameter")


def _declarations(block: Entry, known: Container[tuple[int, int]] = (), depth: int = 0) -> Iterator[Entry]:
    """Variables and blocks in a block but for the `known` ones; also what is in blocks without code, which were optimised away."""
    info, section = block.unit.info, block.unit.section
    for child in block.children():
        info.spend(1, section)
        if child.key in known or child.tag not in _DECLARATIONS:
            continue
        yield child
        bare = child.tag == c.TAG_lexical_block and not (child.has(c.AT_low_pc) or child.has(c.AT_ranges))
        if bare and depth < _DEEPEST_BARE:
            yield from _declarations(child, known, depth + 1)


def find_global(types: Types, unit: Unit, name: str) -> Variable | None:
    """A variable of the unit's file scope, or of its namespaces (`ns::v`, or `v` where only one has it). A definition is preferred."""
    last = name.rpartition("::")[2]
    best: Variable | None = None
    best_rank = 99
    for entry, prefix in variables_named(unit, last.encode("utf-8", "surrogateescape")):
        if entry.tag == c.TAG_member and not entry.flag(c.AT_external):
            continue
        if not entry.has(c.AT_specification) and "::" in name and prefix + last != name:
            continue
        located = any(e.has(c.AT_location) or e.has(c.AT_const_value) for e in origins(entry))
        rank = (0 if located else 2) + (1 if prefix and "::" not in name else 0)
        if rank < best_rank:
            best_rank = rank
            declared = not located and any(e.flag(c.AT_declaration) for e in origins(entry))
            gone = not located and not declared
            best = Variable(name, "global", entry, types.lazy(entry), gone, declared)
    return best


class Functions:
    """The functions of units by address; each unit is walked once."""

    def __init__(self, info: DebugInfo) -> None:
        self.info = info
        self._noted: dict[int, Entry] = {}
        self._order: list[int] = []
        self._known: dict[Unit, tuple[list[int], list[tuple[int, int, Entry]]]] = {}

    def of(self, unit: Unit) -> list[tuple[int, int, Entry]]:
        """(start, end, entry), by start: one row for each range."""
        return self._table(unit)[1]

    def _table(self, unit: Unit) -> tuple[list[int], list[tuple[int, int, Entry]]]:
        known = self._known.get(unit)
        if known is None:
            rows = [(low, high, e) for e in _subprograms(unit.root) for low, high in entry_ranges(e)]
            rows.sort(key=lambda row: (row[0], -row[1]))
            known = self._known[unit] = [row[0] for row in rows], rows
        return known

    def note(self, address: int, entry: Entry) -> None:
        """That the function `entry` has code at an address, as was found by its name."""
        self._noted[address] = entry

    def _by_note(self, address: int) -> Entry | None:
        if len(self._order) != len(self._noted):
            self._order = sorted(self._noted)
        index = bisect_right(self._order, address) - 1
        entry = self._noted[self._order[index]] if index >= 0 else None
        return entry if entry is not None and _holds(entry, address) else None

    def at(self, address: int) -> Entry | None:
        """The function with code at this address of the image."""
        noted = self._by_note(address)
        if noted is not None:
            return noted
        unit = self.info.unit_at(address)
        if unit is None:
            return None
        if unit not in self._known and (entry := _beginning(unit, address)) is not None:
            return entry
        starts, rows = self._table(unit)
        index = bisect_right(starts, address)
        for low, high, entry in reversed(rows[max(0, index - 8) : index]):
            if low <= address < high:
                return entry
        return None


def _holds(entry: Entry, address: int) -> bool:
    return any(low <= address < high for low, high in entry_ranges(entry))


def _beginning(unit: Unit, address: int) -> Entry | None:
    """The function that begins at an address, found by a search for its number; None may mean that it is written otherwise."""
    places = places_of(unit.data, address.to_bytes(unit.address_size, "little"))
    found = sweep(unit, _SUBPROGRAM, places) if places else ()
    return next((e for e, _ in found if e.address(c.AT_low_pc) == address and _holds(e, address)), None)


def _subprograms(root: Entry) -> Iterator[Entry]:
    """Those with code; also nested ones (of GNU C, Rust, Ada)."""
    inside = OUTER if root.unit.language in _NO_NESTING else OUTER | {c.TAG_subprogram, c.TAG_lexical_block}
    stack = [(root, 0)]
    seen: set[int] = set()  # siblings of a damaged file lead back
    while stack:
        parent, depth = stack.pop()
        for child in parent.children():
            tag = child.tag
            if tag == c.TAG_subprogram:
                if not (child.has(c.AT_low_pc) or child.has(c.AT_ranges)):
                    continue
                yield child
            if tag in inside and depth < 32 and child.position not in seen:
                seen.add(child.position)
                stack.append((child, depth + 1))


_NO_NESTING = frozenset((0x4, 0x1A, 0x21, 0x2B, 0x2C))  # C++: local classes' methods stand outside


def find_scope(functions: Functions, types: Types, address: int, instance: int | None = None) -> Scope | None:
    """What is in scope at an address. `instance`: the offset (in its section) of the function, inlined instance or block that is meant,
    where several hold the address; else the innermost. None without debug information for the address."""
    function = functions.at(address)
    if function is None:
        return None
    path: list[Entry] | None = [function]
    if instance is not None and instance != function.offset:
        path = _trail(function, instance)
    tags = _BLOCKS if instance is None else _OWN
    while path and len(path) < _DEEPEST and (inner := _holding(path[-1], address, tags)) is not None:
        path.append(inner)
    if not path:
        return None
    start = max(i for i, entry in enumerate(path) if entry.tag in _FUNCTIONS)
    return Scope(types, function.unit, tuple(path[start:]), function)


def path_to(function: Entry, address: int) -> list[Entry]:
    """From the function down to the innermost block that holds an address, inlined copies among them."""
    path = [function]
    while len(path) < _DEEPEST and (inner := _holding(path[-1], address, _BLOCKS)) is not None:
        path.append(inner)
    return path


def _holding(entry: Entry, address: int, tags: frozenset[int], depth: int = 0) -> Entry | None:
    """The block in `entry` whose code includes the address."""
    info, section = entry.unit.info, entry.unit.section
    for child in entry.children():
        info.spend(1, section)
        if child.tag in tags:
            ranges = entry_ranges(child)
            if any(low <= address < high for low, high in ranges) or (
                not ranges and depth < _DEEPEST_BARE and _holding(child, address, tags, depth + 1) is not None
            ):
                return child
    return None


def _trail(entry: Entry, offset: int) -> list[Entry] | None:
    """The way down from `entry` to the block at `offset`."""
    stack = [(entry, 0)]
    above: dict[int, Entry] = {}
    while stack:
        parent, depth = stack.pop()
        for child in parent.children():
            if child.tag not in _BLOCKS or child.position in above:
                continue
            above[child.position] = parent
            if child.offset == offset:
                way = [child]
                while (step := way[-1]).position != entry.position:
                    way.append(above[step.position])
                return way[::-1]
            if depth < _DEEPEST:
                stack.append((child, depth + 1))
    return None
