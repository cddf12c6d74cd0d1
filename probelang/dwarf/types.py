"""From entries to types.

    types = Types(info);   types.of(variable)        ->  Struct("struct", "list", ...)
    types.find("struct list")                        ->  the same, from whichever unit defines it

Source: DWARF 5, chapter 5. What is damaged or unknown is `Void`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Literal

from probelang.dwarf import constants as c
from probelang.dwarf.ctypes import (
    Array,
    Base,
    CType,
    Encoding,
    Enum,
    FunctionType,
    Lazy,
    Member,
    Pointer,
    Qualified,
    Struct,
    Typedef,
    Void,
    bare,
)
from probelang.dwarf.entry import Entry, Unit
from probelang.dwarf.info import DebugInfo
from probelang.dwarf.leb import unsigned
from probelang.dwarf.sweep import entries_around, prefix_of

_ENCODINGS: dict[int, Encoding] = {
    c.ATE_address: "address", c.ATE_boolean: "bool", c.ATE_complex_float: "complex", c.ATE_float: "float",
    c.ATE_signed: "signed", c.ATE_signed_char: "signed char", c.ATE_unsigned: "unsigned",
    c.ATE_unsigned_char: "unsigned char", c.ATE_UTF: "utf", c.ATE_UCS: "utf", c.ATE_ASCII: "unsigned char",
}  # fmt: skip
_ARITHMETIC = re.compile(r"\b(?:unsigned|signed|long|short|int)(?: (?:unsigned|signed|long|short|int))*\b")
_KEYWORDS = {
    c.TAG_const_type: "const", c.TAG_volatile_type: "volatile", c.TAG_restrict_type: "restrict",
    c.TAG_atomic_type: "_Atomic",
}  # fmt: skip
_STRUCTS: dict[int, Literal["struct", "class", "union"]] = {
    c.TAG_structure_type: "struct", c.TAG_class_type: "class", c.TAG_union_type: "union",
    c.TAG_interface_type: "class",
}  # fmt: skip
# words that may stand before a type's name, and the tags that they mean
_WORDS = {
    "struct": {c.TAG_structure_type, c.TAG_class_type}, "class": {c.TAG_structure_type, c.TAG_class_type},
    "union": {c.TAG_union_type}, "enum": {c.TAG_enumeration_type},
}  # fmt: skip
_NAMED = frozenset(
    (*_STRUCTS, c.TAG_enumeration_type, c.TAG_typedef, c.TAG_base_type, c.TAG_unspecified_type)
)
_FEW = 8
OUTER = frozenset((c.TAG_namespace, c.TAG_module, *_STRUCTS))
"""What gives the names inside it a prefix."""
OP_PLUS_UCONST, OP_CONSTU = 0x23, 0x10
_LONGEST_NAME = 1 << 16


class Types:
    """The types of one file's debug information, each read once."""

    def __init__(self, info: DebugInfo) -> None:
        self.info = info
        self._known: dict[tuple[int, int], CType] = {}
        self._found: dict[str, CType | None] = {}
        self._entries: list[Entry] = []  # so that keys stay unique
        self._asked: Counter[Unit] = Counter()
        self._prefixes: dict[Unit, dict[int, str]] = {}

    def of(self, entry: Entry) -> CType:
        """The type that an entry has (DW_AT_type, its own or its origin's)."""
        for holder in origins(entry):
            if holder.has(c.AT_type):
                target = holder.reference(c.AT_type)
                return Void() if target is None else self.read(target)
        return Void()

    def lazy(self, entry: Entry) -> Lazy[CType]:
        return Lazy(partial(self.of, entry))

    def read(self, entry: Entry) -> CType:
        """The type that an entry is."""
        known = self._known.get(entry.key)
        if known is None:
            self._known[entry.key] = Void()  # what a type is found to be made of itself
            self._entries.append(entry)
            known = self._known[entry.key] = self._read(entry)
        return known

    def _read(self, entry: Entry) -> CType:
        tag = entry.tag
        if tag == c.TAG_base_type:
            encoding = _ENCODINGS.get(entry.number(c.AT_encoding) or 0, "unsigned")
            return Base(entry.text(c.AT_name), _size(entry), encoding)
        if tag in (c.TAG_pointer_type, c.TAG_reference_type, c.TAG_rvalue_reference_type):
            kind = "pointer" if tag == c.TAG_pointer_type else "reference"
            return Pointer(
                _size(entry) or 8, self.lazy(entry), "pointer" if kind == "pointer" else "reference"
            )
        if tag in _KEYWORDS:
            return Qualified(_KEYWORDS[tag], self.lazy(entry))
        if tag == c.TAG_typedef:
            return Typedef(entry.text(c.AT_name), self.lazy(entry))
        if tag in _STRUCTS:
            return self._struct(entry)
        if tag == c.TAG_array_type:
            return self._array(entry)
        if tag == c.TAG_enumeration_type:
            return self._enum(entry)
        if tag == c.TAG_subroutine_type:
            return FunctionType(self.lazy(entry), Lazy(partial(self._parameters, entry)))
        if tag == c.TAG_ptr_to_member_type:
            return Base("ptrdiff_t", _size(entry) or 8, "signed")
        if tag in (c.TAG_packed_type, c.TAG_immutable_type, c.TAG_shared_type, c.TAG_subrange_type):
            return self.of(entry)
        return Void()

    def _struct(self, entry: Entry) -> CType:
        if entry.has(c.AT_signature):
            whole = entry.reference(c.AT_signature)
            if whole is not None and whole.tag in _STRUCTS and not whole.has(c.AT_signature):
                return self.read(whole)
        kind = _STRUCTS[entry.tag]
        name = self.qualified_name(entry)
        declared = entry.flag(c.AT_declaration)
        fields = Lazy(partial(self._members, entry), entry.key)
        return Struct(kind, name, _size(entry), fields, declared, _passing(entry))

    def _members(self, entry: Entry) -> tuple[Member, ...]:
        return tuple(self._each_member(entry))

    def _each_member(self, entry: Entry, depth: int = 0) -> Iterator[Member]:
        for child in entry.children():
            if child.tag == c.TAG_inheritance:
                offset, location = _offset(child)
                yield Member(None, self.lazy(child), offset, inherited=True, location=location)
            elif child.tag == c.TAG_member:
                if not (child.flag(c.AT_external) or child.flag(c.AT_declaration)):
                    yield self._member(child)
            elif child.tag in (c.TAG_variant_part, c.TAG_variant) and depth < 8:  # enums of Rust
                yield from self._each_member(child, depth + 1)

    def _member(self, entry: Entry) -> Member:
        name = entry.text(c.AT_name) or None
        bits = entry.number(c.AT_bit_size) or 0
        offset, location = _offset(entry)
        if not bits or offset is None:
            return Member(name, self.lazy(entry), offset, location=location)
        first = entry.number(c.AT_data_bit_offset)
        if first is not None:
            return Member(name, self.lazy(entry), offset + first // 8, bits, first % 8)
        # DWARF 2 and 3 count from the most significant bit of the storage
        storage = entry.number(c.AT_byte_size)
        if storage is None:
            of_type = bare(self.of(entry))
            storage = of_type.size_bytes if isinstance(of_type, Base | Enum) else 4
        first = 8 * storage - (entry.number(c.AT_bit_offset) or 0) - bits
        return Member(name, self.lazy(entry), offset, bits, max(first, 0))

    def _array(self, entry: Entry) -> CType:
        counts: list[int | None] = []
        for child in entry.children():
            if child.tag == c.TAG_subrange_type:
                count = child.number(c.AT_count)
                upper = child.signed_number(c.AT_upper_bound)
                if count is None and upper is not None:
                    count = upper + 1 - (child.signed_number(c.AT_lower_bound) or 0)
                    if count < 0:
                        count = child.number(c.AT_upper_bound)
                        count = None if count is None or count + 1 >= 1 << 32 else count + 1
                counts.append(count)
            elif child.tag == c.TAG_enumeration_type:
                counts.append(sum(1 for _ in child.children()))
        return Array(self.lazy(entry), tuple(counts) or (None,), entry.number(c.AT_byte_stride))

    def _enum(self, entry: Entry) -> CType:
        if entry.has(c.AT_signature):
            whole = entry.reference(c.AT_signature)
            if whole is not None and whole.tag == entry.tag and not whole.has(c.AT_signature):
                return self.read(whole)
        under = self._underlying(entry)
        values = Lazy(partial(_enumerators, entry))
        if isinstance(under, Base):
            signed = under.encoding in ("signed", "signed char")
        else:
            signed = any(value < 0 for _, value in _enumerators(entry))
        return Enum(self.qualified_name(entry), _size(entry) or 4, signed, values)

    def _underlying(self, entry: Entry) -> CType | None:
        """Of an enumeration. Only what it can be is read: damaged files lead round in circles."""
        target = entry.reference(c.AT_type)
        for _ in range(16):
            if target is None or target.tag == c.TAG_base_type:
                return None if target is None else self.read(target)
            target = target.reference(c.AT_type)
        return None

    def _parameters(self, entry: Entry) -> tuple[CType, ...]:
        return tuple(self.of(p) for p in entry.children() if p.tag == c.TAG_formal_parameter)

    # ------------------------------------------------------------------------------------------------ names

    def qualified_name(self, entry: Entry) -> str:
        """With its namespaces and classes."""
        name = entry.text(c.AT_name)
        if not name or entry.unit.language in _PLAIN_C:
            return name
        return (self._prefix(entry) + name)[:_LONGEST_NAME]

    def _prefix(self, entry: Entry) -> str:
        """Of a few entries each is looked for; for many the unit is walked once."""
        unit = entry.unit
        if unit in self._prefixes or self._asked[unit] >= _FEW:
            return self._prefixes_of(unit).get(entry.position, "")
        key = b"%x:%s" % (entry.offset, unit.section.name.encode())
        known = unit.info.answers.get("around", key)
        if known is None:
            self._asked[unit] += 1
            known = tuple(e.position for e in entries_around(unit, entry.position))
            unit.info.answers.put("around", key, known)
        around = [unit.entry(position) for position in known]
        return prefix_of(around[:32])[:_LONGEST_NAME] if all(e.tag in OUTER for e in around[1:]) else ""

    def _prefixes_of(self, unit: Unit) -> dict[int, str]:
        """Position of an entry -> what stands before its name, where that is anything."""
        known = self._prefixes.get(unit)
        if known is None:
            known = {entry.position: prefix for entry, prefix in scoped_entries(unit) if prefix}
            self._prefixes[unit] = known
        return known

    def find(self, name: str) -> CType | None:
        """A type by its name: `list`, `struct list`, `unsigned int`, `ns::cls`, with any number of `*` behind it."""
        # a `*` between `<` and `>` belongs to the name
        head, angle, tail = name.rpartition(">")
        text = " ".join((head + angle + tail.replace("*", " * ")).split())
        if text not in self._found:
            self._found[text] = self._find(text)
        return self._found[text]

    def _find(self, text: str) -> CType | None:
        if text.endswith(" *"):
            target = self.find(text[:-2])
            return None if target is None else Pointer(8, Lazy(partial(_same, target)))
        if text == "void":
            return Void()
        plain, angle, arguments = text.partition("<")
        words = [w for w in plain.split(" ") if w not in ("const", "volatile", "restrict")]
        tags: set[int] | frozenset[int] = _NAMED
        if words and words[0] in _WORDS:
            tags = _WORDS[words.pop(0)]
        others = (
            [f"{' '.join(words)}<{_respelled(arguments)}"] if angle else _spellings(words) if words else []
        )
        for spelling in (" ".join(words) + angle + arguments, *others):
            found = self._named(spelling, tags)
            if found is not None:
                return self.read(found)
        return None

    def _named(self, name: str, tags: set[int] | frozenset[int]) -> Entry | None:
        """A definition; where there is none, a declaration."""
        from probelang.dwarf.references import named_in_scope

        last = _last_component(name)
        raw = last.encode("utf-8", "surrogateescape")
        declared: Entry | None = None
        for unit in self.info.units_naming(raw):
            for entry, prefix in named_in_scope(unit, raw, frozenset(tags)):
                if prefix + last != name and not ("::" not in name and not prefix):
                    continue
                if not entry.flag(c.AT_declaration):
                    return entry
                declared = declared or entry
        return declared

    def complete(self, struct: Struct) -> Struct:
        """The definition of a type that is only declared where it was met; itself where there is none."""
        if not struct.declared or not struct.name:
            return struct
        found = self.find(f"{'union' if struct.kind == 'union' else 'struct'} {struct.name}")
        return found if isinstance(found, Struct) else struct


_PLAIN_C = frozenset((0x1, 0x2, 0xC, 0x1D, 0x8001))  # C89, C, C99, C11, assembler


_CC_PASS_BY_REFERENCE, _CC_PASS_BY_VALUE = 4, 5


def _passing(entry: Entry) -> Literal["value", "reference", "unknown"]:
    convention = entry.number(c.AT_calling_convention)
    if convention == _CC_PASS_BY_REFERENCE:
        return "reference"
    return "value" if convention == _CC_PASS_BY_VALUE or entry.unit.language in _PLAIN_C else "unknown"


def origins(entry: Entry) -> Iterator[Entry]:
    """The entry, and those that it repeats or completes: abstract instances and declarations."""
    seen = 0
    current: Entry | None = entry
    while current is not None and seen < 16:
        yield current
        seen += 1
        found = current.reference(c.AT_abstract_origin) if current.has(c.AT_abstract_origin) else None
        if found is None and current.has(c.AT_specification):
            found = current.reference(c.AT_specification)
        current = found


def own_name(entry: Entry) -> str:
    """Of the entry or its origin."""
    return next((name for e in origins(entry) if (name := e.text(c.AT_name))), "")


def scoped_entries(unit: Unit) -> Iterator[tuple[Entry, str]]:
    """The entries of a unit that have names of the file's scope, with the namespaces and classes before each."""
    stack = [(unit.root, "", 0)]
    seen: set[int] = set()  # siblings of a damaged file lead back
    while stack:
        parent, prefix, depth = stack.pop()
        for child in parent.children():
            yield child, prefix
            if child.tag in OUTER and depth < 32 and child.position not in seen:
                seen.add(child.position)
                name = child.text(c.AT_name)
                inner = f"{prefix}{name}::"[:_LONGEST_NAME] if name else prefix
                stack.append((child, inner, depth + 1))


def _size(entry: Entry) -> int:
    size = entry.number(c.AT_byte_size)
    if size is None and (bits := entry.number(c.AT_bit_size)) is not None:
        size = (bits + 7) // 8
    return size or 0


def _offset(entry: Entry) -> tuple[int | None, bytes]:
    """Offset in bytes, or the expression that computes it."""
    expression = entry.expression(c.AT_data_member_location)
    if expression is None:
        return entry.number(c.AT_data_member_location) or 0, b""
    if expression[:1] in (bytes((OP_PLUS_UCONST,)), bytes((OP_CONSTU,))):
        try:
            value, end = unsigned(expression, 1)
        except IndexError:
            return None, expression
        if end == len(expression):
            return value, b""
    return None, expression


def _enumerators(entry: Entry) -> tuple[tuple[str, int], ...]:
    rows: list[tuple[str, int]] = []
    for child in entry.children():
        if child.tag == c.TAG_enumerator:
            value = child.number(c.AT_const_value)
            rows.append((child.text(c.AT_name), 0 if value is None else value))
    return tuple(rows)


def _same(ctype: CType) -> CType:
    return ctype


def _last_component(name: str) -> str:
    depth = 0
    for i in range(len(name) - 1, 0, -1):
        depth += (name[i] == ">") - (name[i] == "<")
        if depth == 0 and name[i - 1 : i + 1] == "::":
            return name[i + 1 :]
    return name


def _respelled(arguments: str) -> str:
    """Arguments of a template as gcc writes them: `unsigned long, 4>` as `long unsigned int, 4>`."""
    return _ARITHMETIC.sub(lambda run: (_spellings(run[0].split()) or [run[0]])[0], arguments)


def _spellings(words: list[str]) -> list[str]:
    """How compilers write the arithmetic types."""
    kinds = sorted(words)
    sign = [w for w in kinds if w in ("unsigned",)]
    longs, rest = kinds.count("long"), [w for w in kinds if w not in ("long", "unsigned", "signed", "int")]
    if rest == [] and longs:
        tail = "unsigned int" if sign else "int"
        return [f"{'long ' * longs}{tail}", f"{'unsigned ' if sign else ''}{'long ' * longs}".strip()]
    if rest == ["short"]:
        return ["short unsigned int", "unsigned short"] if sign else ["short int", "short"]
    if not rest and not longs:
        return ["unsigned int"] if sign else ["int"]
    return []
