"""A profile as `go tool pprof` and many other tools read it: profile.proto, compressed.

    pprof(profile)  ->  gzip of Profile{sample_type, sample, mapping, location, function, string_table, ..}

Each array and each of its values is a type of sample; the other parts of its key are labels. Addresses are offsets in files, so a
mapping is a file, at an invented place in memory, and its build-id. Source: github.com/google/pprof, proto/profile.proto.
"""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import dataclass, field

from probelang.runtime.stacks.profile import (
    CUT_SHORT,
    NO_STACK,
    Frame,
    Location,
    Profile,
    Sample,
    label_text,
)
from probelang.runtime.stacks.protobuf import field_bytes, field_number, field_numbers
from probelang.runtime.store import Value

MAPPING_SHIFT = 40
"""Files are mapped at multiples of a terabyte: none is as large."""


_NO_STACK = Location(0, (Frame(NO_STACK),))
_CUT_SHORT = Location(0, (Frame(CUT_SHORT),))


def pprof(profile: Profile) -> bytes:
    return gzip.compress(encode(profile), mtime=0)


@dataclass(slots=True)
class Tables:
    """What samples refer to by number. Numbers begin with 1, those of strings with 0, which is the empty one."""

    strings: dict[str, int] = field(default_factory=lambda: {"": 0})
    functions: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    mappings: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    ends: dict[int, int] = field(default_factory=dict[int, int])
    locations: dict[Location, int] = field(default_factory=dict[Location, int])
    seen: dict[int, int] = field(
        default_factory=dict[int, int]
    )  # locations by identity: samples keep them alive

    def string(self, text: str) -> int:
        return self.strings.setdefault(text, len(self.strings))

    def function(self, frame: Frame) -> int:
        key = frame.name, frame.source
        return self.functions.setdefault(key, len(self.functions) + 1)

    def location(self, location: Location) -> int:
        number = self.seen.get(id(location))
        if number is None:
            number = self.seen[id(location)] = self._add(location)
        return number

    def _add(self, location: Location) -> int:
        number = self.locations.setdefault(location, len(self.locations) + 1)
        if location.module:
            key = location.module, location.build_id
            mapping = self.mappings.setdefault(key, len(self.mappings) + 1)
            self.ends[mapping] = max(self.ends.get(mapping, 0), location.address + 1)
        return number


def encode(profile: Profile) -> bytes:
    """The message, not compressed."""
    tables = Tables()
    samples = _samples(profile, tables)
    types = _types(profile)
    data = [field_bytes(1, _value_type(tables, name)) for name in types]
    data += samples
    locations = [field_bytes(4, _location(tables, location)) for location in tables.locations]
    data += [field_bytes(3, _mapping(tables, key)) for key in tables.mappings]
    data += locations
    data += [field_bytes(5, _function(tables, key)) for key in tables.functions]
    default = tables.string(types[0]) if types else 0
    data += [field_bytes(6, text.encode("utf-8", "replace")) for text in tables.strings]
    data += [
        field_number(9, profile.started_ns),
        field_number(10, profile.duration_ns),
        field_number(14, default),
    ]
    return b"".join(data)


def _types(profile: Profile) -> list[str]:
    """What samples measure: the array's name alone for the value that pictures show."""
    return [
        array if i == 0 else f"{array} ({measure})"
        for array, measures in zip(profile.arrays, profile.measures, strict=True)
        for i, measure in enumerate(measures)
    ]


def _value_type(tables: Tables, name: str) -> bytes:
    """The unit is known to the script's author alone."""
    return field_number(1, tables.string(name)) + field_number(2, tables.string("count"))


def _samples(profile: Profile, tables: Tables) -> list[bytes]:
    width = sum(map(len, profile.measures))
    firsts = [sum(map(len, profile.measures[:i])) for i in range(len(profile.measures))]
    found: list[bytes] = []
    for sample in profile.samples:
        values = [0] * width
        first = firsts[sample.array]
        values[first : first + len(sample.values)] = sample.values
        labels = b"".join(field_bytes(3, _label(tables, name, value)) for name, value in sample.labels)
        numbers = [tables.location(location) for location in _locations(sample)]
        found.append(field_bytes(2, field_numbers(1, numbers) + field_numbers(2, values) + labels))
    return found


def _locations(sample: Sample) -> Sequence[Location]:
    """Innermost first; of several stacks the last one is innermost."""
    found: list[Location] = []
    for stack in reversed(sample.stacks):
        found += stack.locations or (_NO_STACK,)
        if stack.is_cut:
            found.append(_CUT_SHORT)
    return found


def _label(tables: Tables, name: str, value: Value) -> bytes:
    key = field_number(1, tables.string(name))
    if isinstance(value, int):
        return key + field_number(3, value)
    return key + field_number(2, tables.string(label_text(value)))


def _location(tables: Tables, location: Location) -> bytes:
    mapping = tables.mappings.get((location.module, location.build_id), 0)
    address = (mapping << MAPPING_SHIFT) + location.address
    lines = [
        field_bytes(4, field_number(1, tables.function(frame)) + field_number(2, frame.line))
        for frame in location.frames
    ]
    number = tables.locations[location]
    return field_number(1, number) + field_number(2, mapping) + field_number(3, address) + b"".join(lines)


def _mapping(tables: Tables, key: tuple[str, str]) -> bytes:
    module, build_id = key
    number = tables.mappings[key]
    start = number << MAPPING_SHIFT
    return b"".join(
        (
            field_number(1, number),
            field_number(2, start),
            field_number(3, start + tables.ends[number]),
            field_number(5, tables.string(module)),
            field_number(6, tables.string(build_id)),
            # has_functions, has_filenames, has_line_numbers, has_inline_frames: no tool need look again
            *(field_number(flag, 1) for flag in (7, 8, 9, 10)),
        )
    )


def _function(tables: Tables, key: tuple[str, str]) -> bytes:
    name, source = key
    number = tables.functions[key]
    named = field_number(2, tables.string(name)) + field_number(3, tables.string(name))
    return field_number(1, number) + named + field_number(4, tables.string(source))
