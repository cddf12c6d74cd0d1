"""`make bench`: what probelang costs, beside bpftrace (and gdb, strace, ltrace) on the same work in the same run.

Writes bench/results.md: medians of interleaved rounds, as absolute figures and as ratios, with machine and versions.

    python -m bench [--rounds 7] [--calls 300000] [--output bench/results.md]
    python -m bench --only debuginfo         that part alone, shown and not written (also: callers, unwinding)
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import callers, debuginfo, tracing, unwinding
from bench.rounds import interleave, run_under

HERE = Path(__file__).parent
PROBELANG = [sys.executable, "-m", "probelang.cli.main"]
FLOOD_LINES = 1_000_000


@dataclass(frozen=True, slots=True)
class Work:
    """One kind of work per hit, as both languages say it. `{target}` is the program's path."""

    name: str
    probelang: str
    bpftrace: str


WORKS = (
    Work("empty program", 'probe process("{target}").function("hit") {{ }}', "uprobe:{target}:hit {{ }}"),
    Work(
        "count",
        'global n probe process("{target}").function("hit") {{ n++ }} probe end {{ println(n) }}',
        "uprobe:{target}:hit {{ @ = count(); }}",
    ),
    Work(
        "keyed count",
        'global a probe process("{target}").function("hit") {{ a[tid()]++ }} probe end {{ foreach (k in a) println(a[k]) }}',
        "uprobe:{target}:hit {{ @[tid] = count(); }}",
    ),
    Work(
        "histogram",
        'global s probe process("{target}").function("hit") {{ s <<< int_arg(1) }} probe end {{ print(@hist_log(s)) }}',
        "uprobe:{target}:hit {{ @ = hist(arg0); }}",
    ),
    Work(
        "string key",
        'global a probe process("{target}").function("hit") {{ a[execname()]++ }} probe end {{ foreach (k in a) println(k) }}',
        "uprobe:{target}:hit {{ @[comm] = count(); }}",
    ),
    Work(
        "printf",
        'probe process("{target}").function("hit") {{ printf("%d %s %d\\n", tid(), execname(), int_arg(1)) }}',
        'uprobe:{target}:hit {{ printf("%d %s %d\\n", tid, comm, arg0); }}',
    ),
)


def tracers(work: Work, target: Path, command: str) -> dict[str, list[str]]:
    """The command line of each tool for one kind of work."""
    script = work.probelang.format(target=target)
    found = {"probelang": [*PROBELANG, "run", "-e", script, "-c", command]}
    if bpftrace := shutil.which("bpftrace"):
        found["bpftrace"] = [bpftrace, "-e", work.bpftrace.format(target=target), "-c", command]
    return found


def measure_hits(rounds: int, calls: int, folder: Path, target: Path) -> dict[str, dict[str, float]]:
    """Nanoseconds per hit: {work: {tool: median}}, all works and tools interleaved."""
    output, result = folder / "output", folder / "result"
    command = f"{target} {calls} {result}"
    jobs = {
        f"{work.name}/{tool}": lambda line=line: run_under(line, output, result)
        for work in WORKS
        for tool, line in tracers(work, target, command).items()
    }
    table: dict[str, dict[str, float]] = {}
    for name, value in interleave(rounds, jobs).items():
        work, tool = name.split("/")
        table.setdefault(work, {})[tool] = value
    return table


def seconds_of(command: Sequence[str]) -> float:
    start = time.monotonic()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False, timeout=60)
    return time.monotonic() - start


def measure_start(rounds: int, target: Path) -> dict[str, float]:
    """Start to exit of a script with one uprobe, seconds."""
    script = f'global n probe process("{target}").function("hit") {{ n++ }} probe begin {{ exit() }}'
    on_target = ["-c", f"{target} 0 /dev/null"]
    jobs: dict[str, Callable[[], float]] = {
        "probelang": lambda: seconds_of([*PROBELANG, "run", "-e", script]),
        "with ptrace": lambda: seconds_of(
            [*PROBELANG, "run", "--backend", "ptrace", "-e", script, *on_target]
        ),
        "python alone": lambda: seconds_of([sys.executable, "-c", "pass"]),
    }
    if bpftrace := shutil.which("bpftrace"):
        text = f"uprobe:{target}:hit {{ @ = count(); }} BEGIN {{ exit(); }}"
        jobs["bpftrace"] = lambda: seconds_of([bpftrace, "-e", text])
    return interleave(rounds, jobs)


def measure_flood(rounds: int, folder: Path, target: Path) -> dict[str, float]:
    """Share of the lines of a printf flood that reach a file."""
    output, result = folder / "flood", folder / "result"
    work = Work(
        "flood",
        'probe process("{target}").function("hit") {{ printf("line %d\\n", int_arg(1)) }}',
        'uprobe:{target}:hit {{ printf("line %d\\n", arg0); }}',
    )

    def share(line: list[str]) -> float:
        run_under(line, output, result)
        return output.read_bytes().count(b"line ") / (FLOOD_LINES + 1000)

    command = f"{target} {FLOOD_LINES} {result}"
    return interleave(
        rounds, {tool: lambda line=line: share(line) for tool, line in tracers(work, target, command).items()}
    )


def version_of(command: str) -> str:
    if shutil.which(command) is None:
        return "not installed"
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).strip().splitlines()[0]


def ratio(row: dict[str, float], base: str = "bpftrace") -> str:
    return f"{row['probelang'] / row[base]:.2f}" if row.get(base) else "-"


def report(
    hits: dict[str, dict[str, float]],
    start: dict[str, float],
    flood: dict[str, float],
    traced: tracing.Figures,
    described: debuginfo.Figures,
    called: callers.Figures,
    shares: dict[str, unwinding.Share],
    rounds: int,
    calls: int,
) -> str:
    """The text of results.md."""
    empty = hits["empty program"]["probelang"]
    lines = [
        "# Measured",
        "",
        (
            "Written by `make bench` (`python -m bench`). Medians of "
            f"{rounds} interleaved rounds; {calls:,} hits a round of a function that starts with `push`."
        ),
        "",
        f"- machine: {platform.machine()}, {os.cpu_count()} CPUs, Linux {platform.release()}",
        f"- Python {platform.python_version()}; bpftrace: {version_of('bpftrace')}; gdb: {version_of('gdb')}",
        "",
        "| per hit, ns | probelang | over its empty program | bpftrace | ratio |",
        "|---|---|---|---|---|",
    ]
    for name, row in hits.items():
        lines.append(
            f"| {name} | {row['probelang']:.0f} | {row['probelang'] - empty:+.0f} | {row.get('bpftrace', 0):.0f} | {ratio(row)} |"
        )
    lines += [
        "",
        "| start to exit of a one-probe script, s | probelang | bpftrace | ratio | with ptrace | python alone |",
        "|---|---|---|---|---|---|",
    ]
    lines.append(
        f"| | {start['probelang']:.3f} | {start.get('bpftrace', 0):.3f} | {ratio(start)} | {start['with ptrace']:.3f} | {start['python alone']:.3f} |"
    )
    lines += [
        "",
        f"| share delivered of {FLOOD_LINES:,} printf lines | probelang | bpftrace |",
        "|---|---|---|",
    ]
    lines.append(f"| | {flood['probelang']:.4f} | {flood.get('bpftrace', 0):.4f} |")
    lines += tracing.report(traced, hits)
    lines += callers.report(called, calls)
    lines += unwinding.report(shares)
    lines += debuginfo.report(described)
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--calls", type=int, default=300_000)
    parser.add_argument("--output", type=Path, default=HERE / "results.md")
    parser.add_argument(
        "--only",
        choices=["debuginfo", "callers", "unwinding"],
        help="a part, whose figures are shown and not written",
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="probelang-bench-") as name:
        folder = Path(name)
        if options.only == "callers":
            called = callers.measure(options.rounds, options.calls, folder, PROBELANG)
            print("\n".join(callers.report(called, options.calls)))
            return
        if options.only == "unwinding":
            print("\n".join(unwinding.report(unwinding.measure(folder))))
            return
        described = debuginfo.measure(min(options.rounds, 5), folder, PROBELANG)
        if options.only:
            print("\n".join(debuginfo.report(described)))
            return
        target = folder / "target"
        subprocess.run(["gcc", "-O2", str(HERE / "target.c"), "-o", str(target)], check=True)
        start = measure_start(3 * options.rounds, target)
        hits = measure_hits(options.rounds, options.calls, folder, target)
        flood = measure_flood(3, folder, target)
        traced = tracing.measure(options.rounds, folder, target, PROBELANG)
        called = callers.measure(options.rounds, options.calls, folder, PROBELANG)
        shares = unwinding.measure(folder)
    text = report(hits, start, flood, traced, described, called, shares, options.rounds, options.calls)
    options.output.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
