"""What arrays keyed by stacks held, with names for the frames: what every form of a profile is written from.

    calls["prog", \\x1bS0123..] @count=3  ->  Sample(array=0, labels=(("execname", "prog"),), stacks=((Location(..), ..),), weight=3)

Forms are written by `folded`, `flame` and `pprof` beside this; where names come from they do not know.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from probelang.artifact.stackkeys import StackArray
from probelang.runtime.store import Key, Stat, Store, Value

CUT_SHORT = "[cut short]"
"""Stands at the root of a stack whose outermost frames are not known."""
NO_STACK = "[no stack]"


@dataclass(frozen=True, slots=True)
class Frame:
    """A function at a place. `module`: the file that holds its code, a path; `source`, `line`: of what it was doing; empty and 0 where
    not known. `inlined`: it has no frame of its own, its code lies in that of the next one."""

    name: str
    module: str = ""
    source: str = ""
    line: int = 0
    inlined: bool = False


@dataclass(frozen=True, slots=True)
class Location:
    """One address of a stack and all functions there, innermost first: more than one where calls were inlined. `address`: offset in the
    file `module`, or an address in memory where that is empty."""

    address: int
    frames: tuple[Frame, ...]
    module: str = ""
    build_id: str = ""


@dataclass(frozen=True, slots=True)
class StackFrames:
    """A stack, innermost first. `is_cut`: it goes on where it could not be followed."""

    locations: tuple[Location, ...]
    is_cut: bool = False


class StackNames(Protocol):
    """Who knows what a stack's token stands for."""

    def stack_frames(self, token: bytes) -> StackFrames: ...

    def expand(self, text: bytes) -> bytes:
        """A text of the script with every token in it replaced by what it shows as."""
        ...


@dataclass(frozen=True, slots=True)
class Sample:
    """One element of an array. `labels`: the other parts of its key and what they are called; `stacks`: mostly one. `weight`: what it
    counts in pictures; `values`: all that is known of it, see Profile.measures."""

    array: int
    labels: tuple[tuple[str, Value], ...]
    stacks: tuple[StackFrames, ...]
    weight: int
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Profile:
    """`arrays`: their names. `measures`: of each array the names of its values, the one for pictures first. `started_ns`: since 1970."""

    arrays: tuple[str, ...]
    measures: tuple[tuple[str, ...], ...]
    samples: tuple[Sample, ...]
    started_ns: int = 0
    duration_ns: int = 0


Rows = tuple[tuple[Key, Value | Stat], ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The arrays at one moment."""

    arrays: tuple[StackArray, ...]
    rows: tuple[Rows, ...]
    started_ns: int
    taken_ns: int


def take_snapshot(arrays: Sequence[StackArray], store: Store, started_ns: int) -> Snapshot:
    rows = tuple(tuple(store.items(array.variable)) for array in arrays)
    return Snapshot(tuple(arrays), rows, started_ns, time.time_ns())


def make_profile(snapshot: Snapshot, names: StackNames, by_sum: bool) -> Profile:
    """`by_sum`: of aggregates the sum is the weight, not the count."""
    samples = [
        _sample(number, array, key, _values(array, value, by_sum), names)
        for number, (array, rows) in enumerate(zip(snapshot.arrays, snapshot.rows, strict=True))
        for key, value in rows
    ]
    measures = tuple(_measures(array, by_sum) for array in snapshot.arrays)
    duration_ns = max(0, snapshot.taken_ns - snapshot.started_ns)
    return Profile(
        tuple(a.name for a in snapshot.arrays), measures, tuple(samples), snapshot.started_ns, duration_ns
    )


def _measures(array: StackArray, by_sum: bool) -> tuple[str, ...]:
    if not array.has_count:
        return ("value",)
    if not array.has_sum:
        return ("count",)
    return ("sum", "count") if by_sum else ("count", "sum")


def _values(array: StackArray, value: Value | Stat, by_sum: bool) -> tuple[int, ...]:
    if isinstance(value, Stat):
        if not array.has_sum:
            return (value.count,)
        return (value.sum, value.count) if by_sum else (value.count, value.sum)
    return (value if isinstance(value, int) else 0,)


def _sample(number: int, array: StackArray, key: Key, values: tuple[int, ...], names: StackNames) -> Sample:
    labels: list[tuple[str, Value]] = []
    stacks: list[StackFrames] = []
    for position, part in enumerate(key):
        if position in array.stacks and isinstance(part, bytes):
            stacks.append(names.stack_frames(part))
        else:
            shown = names.expand(part) if isinstance(part, bytes) else part
            labels.append((array.keys[position], shown))
    return Sample(number, tuple(labels), tuple(stacks), values[0], values)


# ---------------------------------------------------------------------------------------------- paths of pictures


@dataclass(frozen=True, slots=True, order=True)
class Step:
    """One box of a picture: what is at this height in a stack."""

    name: str
    module: str = ""
    inlined: bool = False


@dataclass(frozen=True, slots=True)
class Paths:
    """What is to be drawn. A row: the way from the root (the array where there are several, the other parts of the key, the frames
    from the outermost on) as numbers of `steps`, which ascend; and its weight. Rows ascend, each way once. `negative`: how many
    samples cannot be drawn, because their weight is below zero."""

    steps: tuple[Step, ...]
    rows: tuple[tuple[tuple[int, ...], int], ...]
    negative: int = 0

    @property
    def total(self) -> int:
        return sum(weight for _, weight in self.rows)


def find_paths(profile: Profile) -> Paths:
    numbers = _Numbers()
    weights: dict[tuple[int, ...], int] = {}
    negative = 0
    for sample in profile.samples:
        if sample.weight < 0:
            negative += 1
        elif sample.weight:
            way = tuple(_way(profile, sample, numbers))
            weights[way] = weights.get(way, 0) + sample.weight
    steps = sorted(numbers.known)
    new = {numbers.known[step]: i for i, step in enumerate(steps)}
    rows = sorted((tuple([new[n] for n in way]), weight) for way, weight in weights.items())
    return Paths(tuple(steps), tuple(rows), negative)


class _Numbers:
    """Steps as numbers; places that come again and again are looked at once."""

    def __init__(self) -> None:
        self.known: dict[Step, int] = {}
        self._places: dict[int, tuple[int, ...]] = {}  # by identity: samples keep their places alive

    def of(self, step: Step) -> int:
        return self.known.setdefault(step, len(self.known))

    def of_place(self, location: Location) -> tuple[int, ...]:
        """Outermost first."""
        found = self._places.get(id(location))
        if found is None:
            steps = [Step(f.name, f.module, f.inlined) for f in reversed(location.frames)]
            found = self._places[id(location)] = tuple([self.of(step) for step in steps])
        return found


def _way(profile: Profile, sample: Sample, numbers: _Numbers) -> list[int]:
    way = [numbers.of(Step(profile.arrays[sample.array]))] if len(profile.arrays) > 1 else []
    way += [numbers.of(Step(label_text(value))) for _, value in sample.labels]
    for stack in sample.stacks:
        if stack.is_cut:
            way.append(numbers.of(Step(CUT_SHORT)))
        if not stack.locations:
            way.append(numbers.of(Step(NO_STACK)))
        for location in reversed(stack.locations):
            way += numbers.of_place(location)
    return way


def label_text(value: Value) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
