"""One script three ways: by the evaluator as a begin probe, and in a probe of a real process as eBPF or by its tracer.

    run_user("println(1 + 2)")    -> Outcome("3\\n")
    run_kernel("println(1 + 2)", target, features)  -> Outcome("3\\n"), after the process has called its function once
    run_traced("println(1 + 2)", target)            -> the same, by the ptrace backend

The end probes run in the user half either way, so what a script has left in its globals is compared as well.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from probelang import typed
from probelang.artifact.limits import Limits
from probelang.artifact.points import BinaryFile, FunctionPoint, LifecyclePoint, Site
from probelang.interpret import interpret
from probelang.layout import lay_out
from probelang.llvm import compile_program
from probelang.options import Options
from probelang.runtime.runoptions import RunOptions
from probelang.runtime.session import run
from tests.check.scripts import check_text
from tests.evaluate.scripts import Outcome, RecordingSink, run_program

POINT = 'process("P").function("f")'
LIMITS = Limits(errors=1_000_000)  # soft errors are part of what is compared


@dataclass(frozen=True, slots=True)
class Target:
    """A program that calls `fire` as often as its argument says; the file offset of `fire`."""

    path: str
    offset: int

    @property
    def point(self) -> FunctionPoint:
        site = Site(self.offset, self.offset, "fire", POINT)
        return FunctionPoint(BinaryFile(self.path), (site,), False)


def at_target(program: typed.Program, target: Target) -> typed.Program:
    """The same program with its probes of a process set in the real one."""
    probes = [
        replace(probe, point=target.point) if isinstance(probe.point, FunctionPoint) else probe
        for probe in program.probes
    ]
    return replace(program, probes=tuple(probes))


def run_user(text: str, limits: Limits = LIMITS) -> Outcome:
    program = check_text(text).program
    hit = tuple(p for p in program.probes if p.point != LifecyclePoint("never"))
    return run_program(replace(program, probes=hit), limits, None)


def run_kernel(
    text: str,
    target: Target,
    features: frozenset[str],
    limits: Limits = LIMITS,
    hits: int = 1,
    threads: int = 1,
    ring_bytes: int = 1 << 20,
) -> Outcome:
    """`text` has its probe at POINT, which each thread of the process hits `hits` times."""
    program = at_target(check_text(text).program, target)
    options = Options(limits=limits, features=features)
    compiled = compile_program(lay_out(program, options), options)
    outcome = Outcome()
    command = (target.path, str(hits), str(threads))
    run_options = RunOptions(features, command=command, ring_bytes=ring_bytes)
    run(compiled.manifest, compiled.code, run_options, RecordingSink(outcome))
    return outcome


def run_traced(
    text: str, target: Target, limits: Limits = LIMITS, hits: int = 1, threads: int = 1
) -> Outcome:
    program = at_target(check_text(text, backend="ptrace").program, target)
    outcome = Outcome()
    command = (target.path, str(hits), str(threads))
    run_options = RunOptions(frozenset(), command=command, backend="ptrace")
    run(interpret(program, limits), b"", run_options, RecordingSink(outcome))
    return outcome
