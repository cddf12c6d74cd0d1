"""From a pattern to a deterministic automaton, by Thompson's construction and subsets.

    compile_pattern(b"a$")  ->  Automaton(states=2, accepting=(), accepting_end=(1,), ...)

The search is unanchored: every state's set also holds what a match that begins here would. A state that has matched goes
to itself on every byte, so that running on to the end of the string changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import assert_never

from probelang.artifact.code import Automaton
from probelang.regex.pattern import Alternatives, Anchor, Bytes, Pattern, Repeat, Sequence, parse_pattern

STATE_LIMIT = 4096
_NFA_LIMIT = 20_000


class TooManyStates(Exception):
    """The automaton would have more than `limit` states."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"more than {limit} states")
        self.limit = limit


def compile_pattern(text: bytes, limit: int = STATE_LIMIT) -> Automaton:
    """Raises PatternError and TooManyStates."""
    nfa = _Nfa(limit)
    start = nfa.state()
    final = nfa.add(parse_pattern(text), start)
    return _determine(text, nfa, start, final, limit)


@dataclass(slots=True)
class _Nfa:
    """State i: `free[i]` are reached without a byte, `start[i]` and `end[i]` only there, `byte[i]` on a byte."""

    limit: int
    free: list[list[int]] = field(default_factory=list[list[int]])
    start: list[list[int]] = field(default_factory=list[list[int]])
    end: list[list[int]] = field(default_factory=list[list[int]])
    byte: list[tuple[frozenset[int], int] | None] = field(
        default_factory=list[tuple[frozenset[int], int] | None]
    )

    def state(self) -> int:
        if len(self.free) >= _NFA_LIMIT:
            raise TooManyStates(self.limit)
        self.free.append([])
        self.start.append([])
        self.end.append([])
        self.byte.append(None)
        return len(self.free) - 1

    def add(self, pattern: Pattern, begin: int) -> int:
        """Adds states for `pattern` behind `begin`; gives the state after it."""
        match pattern:
            case Bytes():
                here, after = self.state(), self.state()
                self.free[begin].append(here)
                self.byte[here] = (pattern.values, after)
                return after
            case Anchor():
                after = self.state()
                (self.start if pattern.at == "start" else self.end)[begin].append(after)
                return after
            case Sequence():
                for part in pattern.parts:
                    begin = self.add(part, begin)
                return begin
            case Alternatives():
                after = self.state()
                for choice in pattern.choices:
                    entry = self.state()
                    self.free[begin].append(entry)
                    self.free[self.add(choice, entry)].append(after)
                return after
            case Repeat():
                return self.repeat(pattern, begin)
            case _:
                assert_never(pattern)

    def repeat(self, pattern: Repeat, begin: int) -> int:
        for _ in range(pattern.least):
            begin = self.add(pattern.part, begin)
        if pattern.most is None:
            # an own entry state: a loop that came back to `begin` could leave by other edges of it
            entry, after = self.state(), self.state()
            self.free[begin].append(entry)
            self.free[self.add(pattern.part, entry)].append(entry)
            self.free[entry].append(after)
            return after
        after = self.state()
        self.free[begin].append(after)
        for _ in range(pattern.most - pattern.least):
            begin = self.add(pattern.part, begin)
            self.free[begin].append(after)
        return after

    def closure(self, states: Iterable[int], at_start: bool, at_end: bool) -> frozenset[int]:
        seen = set(states)
        work = list(seen)
        while work:
            state = work.pop()
            followers = list(self.free[state])
            if at_start:
                followers += self.start[state]
            if at_end:
                followers += self.end[state]
            for follower in followers:
                if follower not in seen:
                    seen.add(follower)
                    work.append(follower)
        return frozenset(seen)


def _byte_classes(nfa: _Nfa) -> list[list[int]]:
    """Bytes that no set of the pattern tells apart, together."""
    sets = list({edge[0] for edge in nfa.byte if edge is not None})
    groups: dict[tuple[bool, ...], list[int]] = {}
    for byte in range(256):
        groups.setdefault(tuple(byte in s for s in sets), []).append(byte)
    return list(groups.values())


def _determine(text: bytes, nfa: _Nfa, start: int, final: int, limit: int) -> Automaton:
    classes = _byte_classes(nfa)
    restart = nfa.closure((start,), at_start=False, at_end=False)
    first = nfa.closure((start,), at_start=True, at_end=False)
    # only state 0 stands at the start, so an equal set reached later is another state
    numbers: dict[tuple[frozenset[int], bool], int] = {(first, True): 0}
    order = [(first, True)]
    table: list[int] = []
    accepting: list[int] = []
    accepting_end: list[int] = []
    for number, (states, at_start) in enumerate(order):
        if final in states:
            accepting.append(number)
            table += [number] * 256
            continue
        if final in nfa.closure(states, at_start, at_end=True):
            accepting_end.append(number)
        row = [0] * 256
        edges = [edge for state in states if (edge := nfa.byte[state]) is not None]
        for group in classes:
            moved = [after for values, after in edges if group[0] in values]
            key = (nfa.closure(moved, at_start=False, at_end=False) | restart, False)
            if key not in numbers:
                if len(order) >= limit:
                    raise TooManyStates(limit)
                numbers[key] = len(order)
                order.append(key)
            for byte in group:
                row[byte] = numbers[key]
        table += row
    return Automaton(text, len(order), tuple(table), tuple(accepting), tuple(accepting_end))
