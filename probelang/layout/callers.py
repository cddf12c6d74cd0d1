"""How each question about callers is decided: the cheapest way for every file of its set, with the reason.

    probe library("libx.so").function("f") when (caller is process("P").function("main")) { ... }
    ->  Decision(probe=0, function=None, code_set=0, kind="code_in", files=(FileWay(EXECUTABLE, 1),), hooks=(), unwinds=False,
            text='caller is process("P").function("main"): main executable, 1 range')

- MODULE: the file is the probed one. Its code is one mapping, so the distance from the site tells the offset in the file: no look-up.
- EXECUTABLE: the file is a program. The kernel keeps where the code of a process's own program lies (`mm->start_code`). What runs
  another program is asked as below.
- AREA: the memory area around the address is looked up, once for each address while the process does not change its memory map.

`within` asks the same of the functions whose returns are hooked, about the address of the hooked instruction.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from probelang import typed
from probelang.artifact.code import Call, Number
from probelang.artifact.codesets import CodeFile, CodeSet
from probelang.artifact.points import FunctionPoint, Point, is_process_point
from probelang.layout.usage import callees, reachable, whole_code
from probelang.layout.walk import Node, nodes, probe_nodes
from probelang.options import Options

CODE_IN, WITHIN = "code_in", "within_code"
SITE_ADDRESS = "uprobe_multi"
"""The feature with which a return probe's program knows where its function lies (bpf_get_func_ip)."""


class Way(StrEnum):
    MODULE = "same module"
    EXECUTABLE = "main executable"
    AREA = "memory area"


@dataclass(frozen=True, slots=True)
class FileWay:
    """`ranges`: how many of the file's code; None: all of it. Of hooks: how many functions."""

    path: str
    way: Way
    ranges: int | None


@dataclass(frozen=True, slots=True)
class Decision:
    """Of one question in the handler of a probe, with all functions that are written into it, or in a function of its own. `files`
    and `hooks` belong to those of the set, `around` to the hooks of what is around its copies. `unwinds`: the stack has to be unwound at
    every hit; with `around` only while one of these is under way."""

    probe: int | None
    function: int | None
    code_set: int
    kind: Literal["code_in", "within_code"]
    files: tuple[FileWay, ...]
    hooks: tuple[FileWay, ...]
    unwinds: bool
    text: str
    around: tuple[FileWay, ...] = ()


def decisions(program: typed.Program, options: Options) -> tuple[Decision, ...]:
    """In the order of the probes, then of the functions."""
    return tuple(_decisions(program, options)) if program.code_sets else ()


def _decisions(program: typed.Program, options: Options) -> Iterator[Decision]:
    callers: dict[int, list[Point]] = {}
    for index, probe in enumerate(program.probes):
        if is_process_point(probe.point):
            for function in reachable(program, callees(probe_nodes(probe))):
                callers.setdefault(function, []).append(probe.point)
            for kind, number in _questions(whole_code(program, probe)):
                chooser = _Chooser([probe.point], options)
                yield chooser.decide(program.code_sets[number], kind, number, index, None)
    for function, points in callers.items():
        for kind, number in _questions(nodes(program.functions[function].body)):
            chooser = _Chooser(points, options)
            yield chooser.decide(program.code_sets[number], kind, number, None, function)


def _questions(code: Iterable[Node]) -> list[tuple[Literal["code_in", "within_code"], int]]:
    """What is asked about which set, each once."""
    found: dict[tuple[Literal["code_in", "within_code"], int], None] = {}
    for node in code:
        match node:
            case Call(name="code_in", arguments=(_, Number(value=number))):
                found["code_in", number] = None
            case Call(name="within_code", arguments=(Number(value=number),)):
                found["within_code", number] = None
            case _:
                pass
    return list(found)


@dataclass(frozen=True, slots=True)
class _Chooser:
    """For code that runs at `points`."""

    points: list[Point]
    options: Options

    def decide(
        self,
        code_set: CodeSet,
        kind: Literal["code_in", "within_code"],
        number: int,
        probe: int | None,
        function: int | None,
    ) -> Decision:
        files = tuple(
            self.way(f.path, f, None if f.ranges is None else len(f.ranges)) for f in code_set.files
        )
        segments = {f.path: f for f in code_set.files}
        hooks = tuple(self.way(h.path, segments.get(h.path), len(h.offsets)) for h in code_set.hooks)
        if kind == CODE_IN:
            text = _explain(code_set, kind, files, (), False, ())
            return Decision(probe, function, number, kind, files, (), False, text)
        held = code_set.around or CodeSet("", ())
        holders = {f.path: f for f in held.files}
        around = tuple(self.way(h.path, holders.get(h.path), len(h.offsets)) for h in held.hooks)
        unwinds = (code_set.unhooked or not hooks) and not around
        text = _explain(code_set, kind, files, hooks, unwinds, around)
        return Decision(probe, function, number, kind, files, hooks, unwinds, text, around)

    def way(self, path: str, segment: CodeFile | None, ranges: int | None) -> FileWay:
        if segment is not None and all(self.is_module_of(point, segment) for point in self.points):
            return FileWay(path, Way.MODULE, ranges)
        return FileWay(path, Way.EXECUTABLE if self.is_program(path, segment) else Way.AREA, ranges)

    def is_module_of(self, point: Point, segment: CodeFile) -> bool:
        """Whether the site tells where the file's code lies."""
        if not isinstance(point, FunctionPoint) or point.binary.path != segment.path:
            return False
        if point.is_return and self.lacks(SITE_ADDRESS):
            return False
        end = segment.offset_of_code + segment.code_bytes
        return all(segment.offset_of_code <= site.offset < end for site in point.sites)

    def is_program(self, path: str, segment: CodeFile | None) -> bool:
        """A guess that costs time where it is wrong, no more."""
        if any(isinstance(p, FunctionPoint) and p.executable == path for p in self.points):
            return True
        return segment is not None and (
            segment.is_fixed or re.search(r"\.so(\.|$)", os.path.basename(path)) is None
        )

    def lacks(self, feature: str) -> bool:
        return bool(self.options.features) and feature not in self.options.features


# ------------------------------------------------------------------------------------------------------ in words


def _explain(
    code_set: CodeSet,
    kind: str,
    files: tuple[FileWay, ...],
    hooks: tuple[FileWay, ...],
    unwinds: bool,
    around: tuple[FileWay, ...],
) -> str:
    if kind == CODE_IN:
        verb = "in" if all(f.ranges is None for f in files) else "is"
        return f"caller {verb} {code_set.text}: {_list(files, 'range')}"
    if unwinds:
        reason = "not every return of it can be hooked" if hooks else "no return of it can be hooked"
        return f"within {code_set.text}: by unwinding the stack, {reason}"
    if around:
        own = f"hooked returns, {_list(hooks, 'function')}; " if hooks else ""
        return f"within {code_set.text}: {own}its inlined copies by unwinding inside of {_list(around, 'function')}"
    return f"within {code_set.text}: hooked returns, {_list(hooks, 'function')}"


def _list(ways: tuple[FileWay, ...], unit: str) -> str:
    """`same module, 3 ranges; libx.so: memory area, all code`"""
    several = len(ways) > 1
    return "; ".join(
        (f"{os.path.basename(w.path)}: " if several else "") + f"{w.way}, {_amount(w.ranges, unit)}"
        for w in ways
    )


def _amount(count: int | None, unit: str) -> str:
    if count is None:
        return "all code"
    return f"{count} {unit}" + ("" if count == 1 else "s")
