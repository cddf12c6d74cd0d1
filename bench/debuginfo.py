"""What debug information costs: the first and the second script that reads a parameter, beside bpftrace and stap; and listings.

measure(rounds, folder, probelang)  ->  Figures, medians of interleaved rounds

"First" has a cache folder in which a script without variables has run, but nothing about the program; "second" has what the first left.
"""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.subjects import Subject, subjects

LONGEST_S = 240
_STAP_FILES = {
    ".config": "CONFIG_X86_64=y\nCONFIG_MODULES=y\nCONFIG_KPROBES=y\nCONFIG_UPROBES=y\nCONFIG_UTRACE=y\n"
    "CONFIG_TRACEPOINTS=y\nCONFIG_RELAY=y\nCONFIG_DEBUG_FS=y\n",
    "Module.symvers": "",
    "include/config/kernel.release": "6.1.0\n",
}
"""stap refuses to analyse anything without a kernel's build tree, and of a script about a program reads no more than this."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Wall seconds, seconds of processor time, and the most memory."""

    wall_s: float
    cpu_s: float
    peak_bytes: int

    def __str__(self) -> str:
        return f"{self.wall_s:.2f}"


@dataclass(frozen=True, slots=True)
class Figures:
    """`uses`, `lists`: by subject and column. `missing`: subjects and tools that are not there, and why."""

    uses: dict[str, dict[str, Cost]]
    lists: dict[str, dict[str, Cost]]
    missing: list[str]


class Failed(Exception):
    """A command that should have worked."""


def run(command: Sequence[str], cache: Path | None = None) -> tuple[Cost, str]:
    """What a command cost, and what it wrote. Raises Failed."""
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    if cache is not None:
        environment["XDG_CACHE_HOME"] = str(cache)
    start = time.monotonic()
    with subprocess.Popen(
        ["timeout", str(LONGEST_S), *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
    ) as child:
        assert child.stdout is not None
        text = child.stdout.read().decode("utf-8", "replace")
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - start
    if child.returncode:
        said = [line for line in text.splitlines() if "error:" in line.lower()][-1:] or ["nothing"]
        raise Failed(f"`{os.path.basename(command[0])}` ended with {child.returncode}: {said[0]}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss << 10), text


def measure(rounds: int, folder: Path, probelang: list[str]) -> Figures:
    known, missing = subjects()
    figures = Figures({}, {}, missing)
    warm = folder / "warm"
    warm.mkdir()
    peers = _peers(folder, missing)
    for subject in known:
        try:
            run(_check(probelang, subject.plain, subject.function, "int_arg(1)"), warm)
            figures.uses[subject.name] = _uses(rounds, warm, probelang, subject, peers, missing)
            figures.lists[subject.name] = _lists(warm, probelang, subject)
        except Failed as error:
            missing.append(f"{subject.name}: {error}")
    return figures


def _check(probelang: list[str], binary: Path, function: str, value: str) -> list[str]:
    script = f'probe process("{binary}").function("{function}") {{ println({value}) }}'
    return [*probelang, "check", "-e", script]


def _peers(folder: Path, missing: list[str]) -> dict[str, Callable[[Subject], list[str]]]:
    """Tools that compile the same, and go no further."""
    found: dict[str, Callable[[Subject], list[str]]] = {}
    if (bpftrace := shutil.which("bpftrace")) is not None:
        found["bpftrace -d"] = lambda s: [
            bpftrace,
            "-d",
            "-e",
            f'uprobe:{s.binary}:{s.symbol} {{ printf("%p", args->{s.parameter}) }}',
        ]
    if (stap := shutil.which("stap")) is not None:
        for name, text in _STAP_FILES.items():
            path = folder / "kernel" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        found["stap -p2"] = lambda s: [
            stap,
            "-r",
            str(folder / "kernel"),
            "-p2",
            "-e",
            f'probe process("{s.binary}").function("{s.function.rpartition("::")[2]}") {{ println(${s.parameter}) }}',
        ]
    missing += [f"{tool}: not installed" for tool in ("bpftrace", "stap") if shutil.which(tool) is None]
    return found


def _uses(
    rounds: int,
    warm: Path,
    probelang: list[str],
    subject: Subject,
    peers: dict[str, Callable[[Subject], list[str]]],
    missing: list[str],
) -> dict[str, Cost]:
    samples: dict[str, list[Cost]] = {}
    with_variable = _check(probelang, subject.binary, subject.function, f"${subject.parameter}")
    without = _check(probelang, subject.plain, subject.function, "int_arg(1)")
    left = dict(peers)
    for _ in range(rounds):
        with _copy(warm) as cache:
            for name, command in (("without", without), ("first", with_variable), ("second", with_variable)):
                samples.setdefault(name, []).append(run(command, cache)[0])
        for name, command_of in list(left.items()):
            try:
                samples.setdefault(name, []).append(run(command_of(subject))[0])
            except Failed as error:
                missing.append(f"{name}, {subject.name}: {error}")
                del left[name], samples[name]
    return {name: _median(costs) for name, costs in samples.items()}


def _lists(warm: Path, probelang: list[str], subject: Subject) -> dict[str, Cost]:
    """Of a listing, the first time and the second."""
    one = f'function("{subject.function}")'
    found: dict[str, Cost] = {}
    with _copy(warm) as cache:

        def listed(title: str, point: str, *options: str) -> str:
            command = [*probelang, "list", *options, f'process("{subject.binary}").{point}']
            found[title], text = run(command, cache)
            found[f"{title}, again"], _ = run(command, cache)
            return text

        text = listed("-L of a function", one, "-L")
        place = re.search(r'@([^"]*):(\d+)"', text)
        if place is not None:
            listed("statement", f'statement("*@{os.path.basename(place[1])}:{place[2]}").nearest')
        listed("by pattern", f'function("{subject.pattern}")')
    return found


@contextmanager
def _copy(warm: Path) -> Generator[Path]:
    with tempfile.TemporaryDirectory(prefix="cache-", dir=warm.parent) as name:
        shutil.copytree(warm, name, dirs_exist_ok=True)
        yield Path(name)


def _median(costs: list[Cost]) -> Cost:
    return Cost(
        statistics.median(c.wall_s for c in costs),
        statistics.median(c.cpu_s for c in costs),
        max(c.peak_bytes for c in costs),
    )


def report(figures: Figures) -> list[str]:
    """Lines of results.md."""
    lines = [
        "",
        "## With debug information",
        "",
        "A script that reads one parameter of a function, compiled (`probelang check`); seconds, and the most memory.",
        "",
        "| program | without variables | first use | second use | over without | memory, first | second | bpftrace -d | stap -p2 |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, row in figures.uses.items():
        over = f"{row['second'].wall_s - row['without'].wall_s:+.2f}"
        memory = [f"{row[use].peak_bytes / (1 << 20):.0f} MB" for use in ("first", "second")]
        peers = [_with_memory(row.get(peer)) for peer in ("bpftrace -d", "stap -p2")]
        cells = [name, *(str(row[use]) for use in ("without", "first", "second")), over, *memory, *peers]
        lines.append(f"| {' | '.join(cells)} |")
    columns = list(dict.fromkeys(column for row in figures.lists.values() for column in row))
    lines += ["", f"| `probelang list`, s | {' | '.join(columns)} |"]
    lines.append(f"|---|{'---|' * len(columns)}")
    for name, row in figures.lists.items():
        lines.append(f"| {name} | {' | '.join(_with_memory(row.get(c)) for c in columns)} |")
    if figures.missing:
        lines += ["", "Not measured:", "", *(f"- {what}" for what in figures.missing)]
    return lines


def _with_memory(cost: Cost | None) -> str:
    return "-" if cost is None else f"{cost} ({cost.peak_bytes / (1 << 20):.0f} MB)"
