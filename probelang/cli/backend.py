"""--backend: who runs the handlers of process probes, the kernel or probelang itself as a tracer.

    compile_backend(given)                       check and build: does not depend on who asks
    session_backend(given, features)             run: with `auto` what this user may
    check_session(manifest, given, choice, ...)  whether that will do for the script

Scripts without process probes need none: nothing is asked of the user then, and nothing said.
"""

from __future__ import annotations

from collections.abc import Mapping

from probelang.artifact.manifest import Manifest, ProbeSpec
from probelang.artifact.points import FunctionPoint, ProcessPoint, SyscallPoint, is_process_point
from probelang.cli.arguments import Given, UsageError
from probelang.cli.messages import Messages
from probelang.diag import CompileError, Diagnostic
from probelang.options import Backend
from probelang.pipeline import KERNEL_STAGES
from probelang.runtime.choice import Choice, choose_backend, may_use_bpf

CHOICES: Mapping[str, Backend | None] = {"kernel": "kernel", "ptrace": "ptrace", "auto": None}


def asked_backend(given: Given) -> Backend | None:
    """None for `auto`. Raises UsageError."""
    asked = given.last("--backend") or "auto"
    if asked not in CHOICES:
        raise UsageError(f"--backend takes kernel, ptrace or auto; not `{asked}`")
    stage = given.last("--emit")
    if asked == "ptrace" and stage in KERNEL_STAGES:
        raise UsageError(f"--emit {stage}: with --backend ptrace there is no such stage")
    return CHOICES[asked]


def compile_backend(given: Given) -> Backend:
    """What is compiled for when nothing runs."""
    return asked_backend(given) or "kernel"


def session_backend(given: Given, features: frozenset[str]) -> Choice:
    """`features`: what the kernel has for this user, --without not considered."""
    asked = asked_backend(given)
    if asked is not None:
        return Choice(asked)
    if given.has("--emit"):
        return Choice("kernel")  # nothing runs
    return choose_backend(features, names_processes=given.has("-c") or given.has("-x"))


def check_session(
    manifest: Manifest, given: Given, choice: Choice, command: str | None, messages: Messages
) -> Backend:
    """Before a session begins: the backend for it. Raises CompileError where that will not do, and says when it was nobody's wish.
    `command`: the file that -c runs."""
    probes = [p for p in manifest.probes if is_process_point(p.point)]
    if not probes:
        return "ptrace"  # of nothing
    mistake = _mistake(probes, given, choice, command)
    if mistake is not None:
        raise CompileError([mistake])
    if choice.backend == "ptrace" and choice.reason:
        from probelang.diag.tracing import UsingPtrace

        messages.note(UsingPtrace(reason=choice.reason))
    return choice.backend


def _mistake(probes: list[ProbeSpec], given: Given, choice: Choice, command: str | None) -> Diagnostic | None:
    if choice.backend == "kernel":
        from probelang.diag.runtime import NotPermitted

        return None if may_use_bpf() else NotPermitted(action="use BPF")
    if not (given.has("-c") or given.has("-x")):
        from probelang.diag.tracing import TargetNeeded

        return TargetNeeded(probe=probes[0].name, reason=choice.reason, pid=_only_pid(probes))
    from probelang.runtime.ptrace.refusals import check_command, check_machine

    return check_machine() or (check_command(command) if command is not None else None)


def _only_pid(probes: list[ProbeSpec]) -> int | None:
    """The number, where all of the probes name the same process by it."""
    pids = {_pid(probe) for probe in probes}
    return pids.pop() if len(pids) == 1 else None


def _pid(probe: ProbeSpec) -> int | None:
    match probe.point:
        case FunctionPoint(pid=pid) | ProcessPoint(pid=pid) | SyscallPoint(pid=pid):
            return pid
        case _:
            return None
