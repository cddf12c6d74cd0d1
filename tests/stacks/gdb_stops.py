"""Stopped threads as gdb sees them: registers, the stack's memory, the files that are mapped, and the addresses of all frames.

    for stop in stops([program, "3"], Every(steps=97, count=100)): walk_of(stop).addresses == stop.addresses

The program runs under gdb, which stops it by single steps, or by a signal after random times, and unwinds in its own way.

    python -m tests.stacks.gdb_stops --count 1000 git log -p       how many stacks of a real program are equal
"""

from __future__ import annotations

import argparse
import os
import pickle
import subprocess
import sys
import tempfile
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from probelang.dwarf.image import BinaryError
from probelang.dwarf.unwind import UnwindTable, cached_unwind_table, unwind_table_of_memory
from probelang.runtime.evaluate.context import MemoryFault
from probelang.runtime.stacks.walk import Start, Walked, walk

SCRIPT = Path(__file__).parent / "gdb_script.py"
TIMEOUT_S = 200


@dataclass(frozen=True, slots=True)
class Area:
    """Mapped memory: of a file, at an offset, or `[vdso]`."""

    start: int
    end: int
    offset: int
    executable: bool
    path: str


@dataclass(frozen=True, slots=True)
class Stop:
    """`memory`: pieces of it, by address. `addresses`: of gdb's frames, the innermost first. `end`: why gdb has no more of them. `names`:
    of their functions, for messages."""

    pc: int
    sp: int
    fp: int
    memory: tuple[tuple[int, bytes], ...]
    addresses: tuple[int, ...]
    end: str
    names: tuple[str, ...]
    areas: tuple[Area, ...]
    vdso: bytes

    def word(self, address: int) -> int:
        for start, data in self.memory:
            if start <= address and address + 8 <= start + len(data):
                return int.from_bytes(data[address - start : address - start + 8], "little")
        raise MemoryFault(address)


@dataclass(frozen=True, slots=True)
class Every:
    """When to stop: after so many instructions (0: by a signal, after a random time up to `at_most_s`), so many times, from `start` on.
    `commands`: for gdb, before the program runs."""

    count: int
    steps: int = 0
    at_most_s: float = 0.01
    start: str = "main"
    commands: tuple[str, ...] = ()


def stops(
    words: Sequence[str | Path], when: Every, pid: int = 0, environment: dict[str, str] | None = None
) -> Iterator[Stop]:
    """`pid`: of a running process that gdb shall stop; else the command is started."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "stops"
        given = {
            "STOPS_OUT": str(out), "STOPS_COUNT": str(when.count), "STOPS_STEPS": str(when.steps),
            "STOPS_AT_MOST_S": str(when.at_most_s), "STOPS_START": when.start, "STOPS_PID": str(pid),
        }  # fmt: skip
        command = ["gdb", "-nx", "-batch", "-q", *(w for c in when.commands for w in ("-ex", c))]
        command += ["-x", str(SCRIPT), *(["--args", *map(str, words)] if words else [])]
        done = subprocess.run(
            command,
            stdout=subprocess.DEVNULL,  # the program writes there, too
            stderr=subprocess.PIPE,
            env={**os.environ, **(environment or {}), **given},
            stdin=subprocess.DEVNULL,
            timeout=TIMEOUT_S,
            check=False,
        )
        text = done.stderr.decode(errors="replace")
        assert out.exists() and "Traceback" not in text and "Python Exception" not in text, text[-3000:]
        with out.open("rb") as file:
            while True:
                try:
                    state = pickle.load(file)  # of gdb's own Python, which is ours
                except EOFError:
                    return
                state["areas"] = tuple(Area(*area) for area in state["areas"])
                yield Stop(**state)


class Tables:
    """By path; files without rows have an empty one."""

    def __init__(self) -> None:
        self._known: dict[str, UnwindTable] = {}

    def of(self, stop: Stop, path: str) -> UnwindTable:
        if path not in self._known:
            try:
                made = unwind_table_of_memory(stop.vdso) if path == "[vdso]" else cached_unwind_table(path)
            except BinaryError:
                made = UnwindTable(b"", False)
            self._known[path] = made
        return self._known[path]


def walk_of(stop: Stop, tables: Tables, most: int = 1 << 20) -> Walked:
    """Our own walk."""
    starts = [area.start for area in stop.areas]
    numbers = {path: i for i, path in enumerate(sorted({a.path for a in stop.areas}), 1)}

    def locate(address: int) -> tuple[int, int, UnwindTable] | None:
        index = bisect_right(starts, address) - 1
        if index < 0 or address >= stop.areas[index].end:
            return None
        area = stop.areas[index]
        if not area.executable or (not area.path.startswith("/") and area.path != "[vdso]"):
            return None
        return numbers[area.path], address - area.start + area.offset, tables.of(stop, area.path)

    return walk(Start(stop.pc, stop.sp, stop.fp), stop.word, locate, most)


def explain(stop: Stop, walked: Walked) -> str:
    """Both stacks side by side, from the first difference on."""
    mine, theirs = walked.addresses, stop.addresses
    first = next(
        (i for i, (a, b) in enumerate(zip(mine, theirs, strict=False)) if a != b), min(len(mine), len(theirs))
    )
    lines = [
        f"first difference at frame {first} of {len(mine)} (cut: {walked.cut}) and gdb's {len(theirs)} ({stop.end})"
    ]
    for i in range(max(0, first - 2), min(first + 3, max(len(mine), len(theirs)))):
        own = f"{mine[i]:#x} {place(stop, mine[i])}" if i < len(mine) else "-"
        other = f"{theirs[i]:#x} {place(stop, theirs[i])} {stop.names[i]}" if i < len(theirs) else "-"
        lines.append(f"  {i}: {own:60} {other}")
    return "\n".join(lines)


def place(stop: Stop, address: int) -> str:
    for area in stop.areas:
        if area.start <= address < area.end:
            return f"{os.path.basename(area.path)}+{address - area.start + area.offset:#x}"
    return "?"


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.stacks.gdb_stops")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--at-most-s", type=float, default=0.01, help="the longest time between two stops")
    parser.add_argument("--skip", type=int, default=0, help="stops of the beginning that do not count")
    parser.add_argument("--pid", type=int, default=0, help="of a running process")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    given = parser.parse_args(words)
    tables, count, frames, different = Tables(), 0, 0, 0
    when = Every(given.count + given.skip, at_most_s=given.at_most_s, start="")
    for number, stop in enumerate(stops(given.command, when, given.pid)):
        if number < given.skip:
            continue
        walked = walk_of(stop, tables)
        count, frames = count + 1, frames + len(stop.addresses)
        if walked.addresses != stop.addresses:
            different += 1
            if different <= 10:
                print(explain(stop, walked))
    share = 100 * (count - different) / max(1, count)
    print(
        f"{count} stacks of {frames / max(1, count):.1f} frames; {different} differ: {share:.2f} % are equal"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
