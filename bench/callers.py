"""What caller predicates, `@elapsed` and stacks cost, beside the same probe without them, and beside bpftrace.

measure(rounds, calls, folder, probelang)  ->  Figures, medians of interleaved rounds

A predicate is compared with the same probe, the same calls and the same handler without it. `@elapsed` is compared with a program of two
instructions that the kernel runs at entry and return of the same function, in every process, which is the least that such a probe can cost.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.rounds import interleave, run_under

HERE = Path(__file__).parent
RANGES = 4096
DEPTHS = (10, 50)
LIBRARIES = {
    "libprobed.so": (
        "__attribute__((naked, noinline, noipa)) long library_hit(long n)"
        ' { __asm__ volatile("push %rbp\\n\\tmov %rdi, %rax\\n\\tpop %rbp\\n\\tret"); }\n'
    ),
    "libother.so": (
        "long library_hit(long n);\n"
        "long call_from_other(long calls)"
        " { long sum = 0; for (long i = 0; i < calls; i++) sum += library_hit(i); return sum; }\n"
    ),
}


@dataclass(frozen=True, slots=True)
class Predicate:
    """`case`: how the target calls. `base`: a name for what it is compared with: equal ones are measured once. `aim`: ratio."""

    name: str
    case: str
    point: str
    condition: str
    aim: float

    @property
    def base(self) -> str:
        return f"{self.case} {self.point}"


HIT, IN_LIBRARY = (
    'process("{target}").function("hit")',
    'process("{folder}/libprobed.so").function("library_hit")',
)
PREDICATES = (
    Predicate("same module, hit", "near", HIT, 'caller is function("near_caller")', 1.1),
    Predicate("same module, miss", "near", HIT, 'caller is function("far_caller")', 1.1),
    Predicate("main executable, hit", "far", IN_LIBRARY, 'caller in process("{target}")', 1.4),
    Predicate("main executable, miss", "other", IN_LIBRARY, 'caller in process("{target}")', 1.4),
    Predicate("other library, hit", "other", IN_LIBRARY, 'caller in library("{folder}/libother.so")', 1.4),
    Predicate("other library, miss", "far", IN_LIBRARY, 'caller in library("{folder}/libother.so")', 1.4),
    Predicate(f"{RANGES:,} ranges, hit", "range", HIT, 'caller is function("range_*")', 1.4),
    Predicate(f"{RANGES:,} ranges, miss", "near", HIT, 'caller is function("range_*")', 1.4),
    Predicate("within, inside", "within", HIT, 'within function("outer")', 1.4),
    Predicate("within, outside", "near", HIT, 'within function("outer")', 1.4),
)

WORK = 'process("{target}").function("work")'
TIMES = {
    "@elapsed": "global n probe {work}.return when (@elapsed > 1000000) {{ n++ }} probe end {{ println(n) }}",
    "@elapsed in an aggregate": "global s probe {work}.return {{ s <<< @elapsed }} probe end {{ println(@count(s)) }}",
    "a hash by tid()": (
        "global t, s probe {work} {{ t[tid()] = gettimeofday_ns() }} probe {work}.return"
        " {{ s <<< gettimeofday_ns() - t[tid()]; delete t[tid()] }} probe end {{ println(@count(s)) }}"
    ),
}
READY = ' probe begin { println("ready") }'
IDIOM = (
    "uprobe:{target}:work {{ @start[tid] = nsecs; }} uretprobe:{target}:work /@start[tid]/"
    " {{ @ = stats(nsecs - @start[tid]); delete(@start[tid]); }}"
)
COUNT = "global n probe {point} {{ n++ }} probe end {{ println(n) }}"
STACKS = "global s probe {point} {{ s[ubacktrace()]++ }} probe end {{ n = 0; foreach (k in s) n += s[k]; println(n) }}"


@dataclass(frozen=True, slots=True)
class Figures:
    """Nanoseconds by name. `predicates`: without and with. `stacks`: by "depth, build" and tool. `failed`: what could not be
    measured, and why."""

    predicates: dict[str, tuple[float, float]]
    times: dict[str, float]
    stacks: dict[str, dict[str, float]]
    failed: list[str]


def build(folder: Path, *flags: str, name: str = "callers") -> Path:
    """The target with its libraries."""
    functions = [
        f"__attribute__((noinline, noipa)) long {kind}_{i}(long n) {{ return hit(n) + {i}; }}"
        for i in range(RANGES)
        for kind in ("range", "gap")
    ]
    ranges = folder / "ranges.c"
    ranges.write_text(
        "long hit(long n);\n" + "\n".join(functions) + "\nlong call_from_range(long calls)"
        f" {{ long sum = 0; for (long i = 0; i < calls; i++) sum += range_{RANGES // 3}(i); return sum; }}\n"
    )
    for library, text in LIBRARIES.items():
        path = folder / library
        path.with_suffix(".c").write_text(text)
        needs = [str(folder / "libprobed.so")] if library != "libprobed.so" else []
        _gcc("-O2", "-fPIC", "-shared", "-o", str(path), str(path.with_suffix(".c")), *needs)
    target = folder / name
    libraries = [str(folder / library) for library in LIBRARIES]
    _gcc("-O2", *flags, "-o", str(target), str(HERE / "callers.c"), str(ranges), *libraries,
         f"-Wl,-rpath,{folder}")  # fmt: skip
    return target


def _gcc(*words: str) -> None:
    subprocess.run(["gcc", "-w", *words], check=True)


class Missed(Exception):
    """The tracer has not counted what it should have."""


def measure(rounds: int, calls: int, folder: Path, probelang: list[str]) -> Figures:
    target = build(folder)
    framed = build(folder, "-fno-omit-frame-pointer", name="framed")
    jobs = {
        **_predicate_jobs(calls, folder, target, probelang),
        **_time_jobs(calls, folder, target, probelang),
        **_stack_jobs(max(calls // 10, 1), folder, {"without": target, "with": framed}, probelang),
    }
    failed: list[str] = []
    for name, job in list(jobs.items()):
        try:
            job()
        except (Missed, SystemExit) as error:
            failed.append(f"{name}: {error}")
            del jobs[name]
    found = interleave(rounds, {name: _steady(job) for name, job in jobs.items()})
    predicates = {
        p.name: (found[f"without/{p.base}"], found[f"with/{p.name}"])
        for p in PREDICATES
        if f"with/{p.name}" in found and f"without/{p.base}" in found
    }
    times = {name.partition("/")[2]: ns for name, ns in found.items() if name.startswith("time/")}
    stacks: dict[str, dict[str, float]] = {}
    for name, ns in found.items():
        if name.startswith("stack/"):
            _, row, tool = name.split("/")
            stacks.setdefault(row, {})[tool] = ns
    return Figures(predicates, times, stacks, failed)


def _steady(job: Callable[[], float]) -> Callable[[], float]:
    """Once more where a round fails: the others shall not be lost."""

    def run() -> float:
        try:
            return job()
        except (Missed, SystemExit):
            return job()

    return run


def _run(
    command: list[str],
    folder: Path,
    calls: int | None,
    counted: Callable[[str], int | None] = lambda text: int(text),
) -> float:
    """Nanoseconds a call. `calls`: how many hits the tracer must have counted, those before the measuring starts included."""
    output, result = folder / "output", folder / "result"
    ns = run_under(command, output, result)
    text = output.read_text(errors="replace").strip()
    if calls is not None:
        try:
            found = counted(text)
        except ValueError:
            found = None
        if found != calls:
            raise Missed(f"counted {text[-200:]!r}, not {calls}")
    return ns


def _beside(command: list[str], target: list[str], folder: Path, expected: int | None) -> float:
    """As `_run`, of a tracer that is told of no process, as the empty session is not."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as tracer:
        assert tracer.stdout is not None
        if tracer.stdout.readline() != "ready\n":
            raise Missed("did not begin")
        subprocess.run(target, check=True)
        tracer.send_signal(signal.SIGINT)
        text = tracer.stdout.read().strip()
    if expected is not None and text != str(expected):
        raise Missed(f"counted {text!r}, not {expected}")
    return float((folder / "result").read_text())


def _predicate_jobs(
    calls: int, folder: Path, target: Path, probelang: list[str]
) -> dict[str, Callable[[], float]]:
    def job(predicate: Predicate, condition: str, expected: int) -> Callable[[], float]:
        places = {"target": target, "folder": folder}
        point = predicate.point.format(**places)
        when = f" when ({condition.format(**places)})" if condition else ""
        script = f"global n probe {point}{when} {{ n++ }} probe end {{ println(n) }}"
        command = f"{target} {predicate.case} {calls} {folder / 'result'}"
        return lambda: _run([*probelang, "run", "-e", script, "-c", command], folder, expected)

    jobs: dict[str, Callable[[], float]] = {}
    for predicate in PREDICATES:
        hits = 0 if predicate.name.endswith(("miss", "outside")) else calls + 1000
        jobs[f"without/{predicate.base}"] = job(predicate, "", calls + 1000)
        jobs[f"with/{predicate.name}"] = job(predicate, predicate.condition, hits)
    return jobs


def _time_jobs(
    calls: int, folder: Path, target: Path, probelang: list[str]
) -> dict[str, Callable[[], float]]:
    words = ["session", str(calls), str(folder / "result")]
    command = " ".join([str(target), *words])
    empty = [sys.executable, "-m", "bench.emptysession", str(target), "work", *words]
    jobs: dict[str, Callable[[], float]] = {"time/empty session": lambda: _run(empty, folder, None)}
    for name, text in TIMES.items():
        script = text.format(work=WORK.format(target=target)) + READY
        expected = None if name == "@elapsed" else calls + 1000
        line = [*probelang, "run", "-e", script]
        jobs[f"time/{name}"] = lambda line=line, expected=expected: _beside(
            line, [str(target), *words], folder, expected
        )
    if bpftrace := shutil.which("bpftrace"):
        idiom = [bpftrace, "-e", IDIOM.format(target=target), "-c", command]
        jobs["time/bpftrace's idiom"] = lambda: _run(idiom, folder, None)
    return jobs


def _stack_jobs(
    calls: int, folder: Path, targets: dict[str, Path], probelang: list[str]
) -> dict[str, Callable[[], float]]:
    jobs: dict[str, Callable[[], float]] = {}
    for depth in DEPTHS:
        for kind, target in targets.items():
            row = f"{depth} frames, {kind} frame pointers"
            command = f"{target} {depth} {calls} {folder / 'result'}"
            point = HIT.format(target=target)
            for tool, text in (("count only", COUNT), ("probelang", STACKS)):
                line = [*probelang, "run", "-e", text.format(point=point), "-c", command]
                jobs[f"stack/{row}/{tool}"] = lambda line=line: _run(line, folder, calls + 1000)
            for tool, script in _bpftrace_stacks(target).items():
                jobs[f"stack/{row}/{tool}"] = lambda line=[*script, "-c", command]: _run(line, folder, None)
    return jobs


def _bpftrace_stacks(target: Path) -> dict[str, list[str]]:
    """`dw_ustack` where this bpftrace has it."""
    bpftrace = shutil.which("bpftrace")
    if bpftrace is None:
        return {}
    found = {
        "bpftrace, count only": [bpftrace, "-e", f"uprobe:{target}:hit {{ @ = count(); }}"],
        "bpftrace ustack": [bpftrace, "-e", f"uprobe:{target}:hit {{ @[ustack] = count(); }}"],
    }
    dwarf = [bpftrace, "-e", f"uprobe:{target}:hit {{ @[dw_ustack] = count(); }}"]
    known = subprocess.run([*dwarf[:1], "-d", *dwarf[1:]], capture_output=True, check=False)
    return found if known.returncode else {**found, "bpftrace dw_ustack": dwarf}


# ------------------------------------------------------------------------------------------------------- report


def report(figures: Figures, calls: int) -> list[str]:
    """Lines of results.md."""
    lines = [
        "",
        "## Callers and stacks",
        "",
        f"{calls:,} hits a round ({max(calls // 10, 1):,} with stacks). A predicate stands in `when (..)` of a probe that counts.",
        "",
        "| predicate, ns per hit | without | with | ratio | aim |",
        "|---|---|---|---|---|",
    ]
    aims = {p.name: p.aim for p in PREDICATES}
    for name, (without, with_) in figures.predicates.items():
        lines.append(f"| {name} | {without:.0f} | {with_:.0f} | {with_ / without:.2f} | {aims[name]:.1f} |")
    lines += ["", "| entry and return, ns per call | | of the empty session | aim |", "|---|---|---|---|"]
    empty = figures.times.get("empty session", 0.0)
    for name, ns in figures.times.items():
        ratio = f"{ns / empty:.2f}" if empty else "-"
        lines.append(f"| {name} | {ns:.0f} | {ratio} | {'1.1' if name == '@elapsed' else ''} |")
    tools = list(dict.fromkeys(tool for row in figures.stacks.values() for tool in row))
    lines += ["", f"| stacks as keys, ns per hit | {' | '.join(tools)} |", "|---" * (1 + len(tools)) + "|"]
    for name, row in figures.stacks.items():
        cells = [f"{row[tool]:.0f}" if tool in row else "-" for tool in tools]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    if figures.failed:
        lines += ["", "Not measured:", "", *(f"- {text}" for text in figures.failed)]
    return lines
