"""The ptrace backend beside gdb's dprintf, ltrace and strace, on the same site or system call; and what a stop costs at the least.

measure(rounds, folder, target, probelang)  ->  Figures, medians of interleaved rounds
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.rounds import interleave, run_under

HERE = Path(__file__).parent
CALLS, CALLS_OF_PEERS = 20_000, 2_000

ENTRY = 'process("{target}").function("hit")'
WORKS = {
    "empty handler": "probe {entry} {{ }}",
    "count": "global n probe {entry} {{ n++ }} probe end {{ println(n) }}",
    "keyed count": "global a probe {entry} {{ a[tid()]++ }} probe end {{ foreach (k in a) println(a[k]) }}",
    "printf": 'probe {entry} {{ printf("%d\\n", int_arg(1)) }}',
    "return": "global s probe {entry}.return {{ s <<< returnval() }} probe end {{ println(@count(s)) }}",
}


@dataclass(frozen=True, slots=True)
class Figures:
    """Nanoseconds. `hits`: by work or tool; `calls`: for one system call; `floor`: of a tracer in C, on any processor and on one."""

    hits: dict[str, float]
    calls: dict[str, float]
    floor: dict[str, float]


def measure(rounds: int, folder: Path, target: Path, probelang: list[str]) -> Figures:
    stops = folder / "stops"
    subprocess.run(["gcc", "-O2", str(HERE / "stops.c"), "-o", str(stops)], check=True)
    output, result = folder / "output", folder / "result"

    def job(command: list[str]) -> Callable[[], float]:
        return lambda: run_under(command, output, result)

    def traced(script: str, command: str) -> Callable[[], float]:
        return job([*probelang, "run", "--backend", "ptrace", "-e", script, "-c", command])

    entry = ENTRY.format(target=target)
    hits = {
        name: traced(text.format(entry=entry), f"{target} {CALLS} {result}") for name, text in WORKS.items()
    }
    hits |= {name: job(words) for name, words in _peers(folder, target, result).items()}
    count = f'global n probe process("{stops}").syscall {{ n++ }} probe end {{ println(n) }}'
    calls = {"probelang": traced(count, f"{stops} calls {CALLS} {result}")}
    if strace := shutil.which("strace"):
        calls["strace"] = job([strace, "-o", "/dev/null", str(stops), "calls", str(CALLS), str(result)])
    tracer = [str(stops), "tracer", str(CALLS), str(result)]
    floor = {"on any processor": job(tracer)}
    if taskset := shutil.which("taskset"):
        floor["on one processor"] = job([taskset, "-c", str(min(os.sched_getaffinity(0))), *tracer])
    named = {"hits": hits, "calls": calls, "floor": floor}
    flat = {f"{group}/{name}": run for group, jobs in named.items() for name, run in jobs.items()}
    medians = interleave(rounds, flat)
    found = {group: {name: medians[f"{group}/{name}"] for name in jobs} for group, jobs in named.items()}
    return Figures(found["hits"], found["calls"], found["floor"])


def _peers(folder: Path, target: Path, result: Path) -> dict[str, list[str]]:
    peers: dict[str, list[str]] = {}
    command = [str(target), str(CALLS_OF_PEERS), str(result)]
    if gdb := shutil.which("gdb"):
        script = folder / "dprintf.gdb"
        script.write_text('set pagination off\ndprintf hit,"%ld\\n", $rdi\nrun\n')
        peers["gdb dprintf"] = [gdb, "-nx", "-q", "-batch", "-x", str(script), "--args", *command]
    if ltrace := shutil.which("ltrace"):
        peers["ltrace"] = [ltrace, "-o", "/dev/null", "-L", "-x", "hit", *command]
    return peers


def report(figures: Figures, kernel: dict[str, dict[str, float]]) -> list[str]:
    """Lines of results.md. `kernel`: the same works in the kernel, by name and tool."""
    gdb, hits = figures.hits.get("gdb dprintf"), figures.hits
    lines = [
        "",
        "## With ptrace",
        "",
        f"{CALLS:,} hits a round ({CALLS_OF_PEERS:,} with gdb and ltrace), as above.",
        "",
        "| per hit, ns | ptrace | in the kernel | gdb dprintf / ptrace |",
        "|---|---|---|---|",
    ]
    for name in WORKS:
        row = kernel.get({"empty handler": "empty program"}.get(name, name), {})
        inside = f"{row['probelang']:.0f}" if "probelang" in row else "-"
        times = f"{gdb / hits[name]:.1f}" if gdb else "-"
        lines.append(f"| {name} | {hits[name]:.0f} | {inside} | {times} |")
    for peer in [name for name in hits if name not in WORKS]:
        lines.append(f"| {peer} | {hits[peer]:.0f} | | |")
    lines += ["", "| per system call, ns | probelang | strace | ratio |", "|---|---|---|---|"]
    strace = figures.calls.get("strace")
    own = figures.calls["probelang"]
    lines.append(f"| | {own:.0f} | {strace or 0:.0f} | {f'{own / strace:.2f}' if strace else '-'} |")
    lines += ["", "| the least that a stop costs: a tracer in C, ns | |", "|---|---|"]
    lines += [f"| {name} | {value:.0f} |" for name, value in figures.floor.items()]
    lines += ["", *WHERE]
    return lines


WHERE = (
    "Where the time goes: most of a hit is the kernel's, two changes of process and the waking of a processor that has gone idle,",
    "as the tracer in C shows that has nothing else to do: on one processor nobody need be woken. probelang looks for the next stop",
    "for a while before it sleeps, which saves one of the two wake-ups of a program that hits often. Of its own are five requests",
    "(wait, registers, kind of signal, new place, go on), one to two microseconds each, and the handler. A return probe stops twice.",
)
