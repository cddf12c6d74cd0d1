"""What this machine and user can do, as a list of findings; the command line shows it.

examine()  ->  [Finding("kernel BPF", OK, "Linux 6.18", ""), Finding("uprobe_multi", MISSING, "...", "Linux 6.6 has it")]
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from probelang.diag.tracing import AS_ROOT
from probelang.runtime import bpf, perf
from probelang.runtime.capabilities import (
    CAP_BPF,
    CAP_PERFMON,
    CAP_SYS_ADMIN,
    CAP_SYS_PTRACE,
    has_capability,
)
from probelang.runtime.choice import choose_backend, in_initial_user_namespace, may_use_bpf
from probelang.runtime.features import FEATURES, has
from probelang.runtime.kernelbtf import VMLINUX
from probelang.runtime.ptrace.refusals import check_machine, explain_general_refusal, yama_scope
from probelang.runtime.ptrace.trial import trace_a_child

BACKEND, PTRACE = "backend", "ptrace"


class State(StrEnum):
    OK = "ok"
    LIMITED = "limited"  # works, with less
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Finding:
    """`advice`: how to get what is missing; empty where all is well."""

    name: str
    state: State
    detail: str
    advice: str = ""


def examine() -> list[Finding]:
    """All checks, the most important first. Takes some milliseconds: the kernel is asked, not the cache."""
    features = {name: has(feature) for name, feature in FEATURES.items()}
    ptrace = _ptrace()
    backend = _backend(frozenset(name for name, is_there in features.items() if is_there), ptrace)
    checks: tuple[Callable[[], Finding], ...] = (
        _privileges, _bpf, _type_information, _uprobes, _lockdown,
    )  # fmt: skip
    rest = [check() for check in checks] + [_feature(name, is_there) for name, is_there in features.items()]
    return [_kernel(), backend, ptrace, *rest]


def can_run(findings: list[Finding]) -> bool:
    """Whether scripts with probes in processes run here, with one backend at least."""
    return can_use_kernel(findings) or _named(findings, PTRACE).state is not State.MISSING


def can_use_kernel(findings: list[Finding]) -> bool:
    """Whether nothing is missing that every program in the kernel needs."""
    optional = {name for name, feature in FEATURES.items() if not feature.needed} | {PTRACE, BACKEND}
    return all(f.state is not State.MISSING or f.name in optional for f in findings)


def _named(findings: list[Finding], name: str) -> Finding:
    return next(f for f in findings if f.name == name)


def _backend(features: frozenset[str], ptrace: Finding) -> Finding:
    """What --backend auto takes, and why."""
    always = choose_backend(features, names_processes=False)
    chosen = choose_backend(features, names_processes=True)
    if chosen.backend == "kernel":
        return Finding(BACKEND, State.OK, "auto takes kernel: every process can be probed")
    if ptrace.state is State.MISSING and always.backend == "ptrace":
        return Finding(BACKEND, State.MISSING, f"neither kernel ({always.reason}) nor ptrace", AS_ROOT)
    if always.backend == "kernel":
        detail = f"auto takes kernel, and ptrace with -c or -x: {chosen.reason}"
        advice = "give the container the pid namespace of the host (docker run --pid=host)"
        return Finding(BACKEND, State.LIMITED, detail, advice)
    detail = f"auto takes ptrace, which needs -c or -x: {chosen.reason}"
    return Finding(BACKEND, State.LIMITED, detail, f"to probe all processes {AS_ROOT}")


def _ptrace() -> Finding:
    refused = check_machine()
    if refused is None and (error := trace_a_child()) is not None:
        refused = explain_general_refusal(error)
    if refused is not None:
        return Finding(PTRACE, State.MISSING, refused.title(), refused.help())
    if yama_scope() == 1 and not has_capability(CAP_SYS_PTRACE):
        return Finding(
            PTRACE, State.LIMITED, "what -c starts can be probed, what -x names cannot (kernel.yama.ptrace_scope is 1)",
            "allow it until the next boot: sudo sysctl kernel.yama.ptrace_scope=0",
        )  # fmt: skip
    whose = "all" if has_capability(CAP_SYS_PTRACE) else "your own"
    return Finding(PTRACE, State.OK, f"{whose} processes can be probed without BPF")


def _kernel() -> Finding:
    system = os.uname()
    if system.sysname != "Linux":
        return Finding("kernel", State.MISSING, system.sysname, "probelang works on Linux only")
    if system.machine != "x86_64":
        return Finding("kernel", State.LIMITED, f"{system.release} {system.machine}", "x86_64 is supported")
    return Finding("kernel", State.OK, f"Linux {system.release} {system.machine}")


def _privileges() -> Finding:
    if not in_initial_user_namespace():
        return Finding(
            "privileges", State.MISSING, "in a user namespace, whose capabilities mean nothing to BPF",
            "for BPF run as root outside of it",
        )  # fmt: skip
    if has_capability(CAP_SYS_ADMIN):
        return Finding("privileges", State.OK, "CAP_SYS_ADMIN")
    if has_capability(CAP_BPF) and has_capability(CAP_PERFMON):
        return Finding(
            "privileges", State.LIMITED, "CAP_BPF and CAP_PERFMON",
            "probes need the feature uprobe_multi; run as root for the others",
        )  # fmt: skip
    return Finding(
        "privileges", State.MISSING, "neither root nor CAP_BPF and CAP_PERFMON", f"for BPF {AS_ROOT}"
    )


def _bpf() -> Finding:
    try:
        os.close(bpf.create_map("ask", bpf.MAP_ARRAY, 4, 8, 1))
    except OSError as error:
        if error.errno == errno.ENOSYS:
            return Finding(
                "bpf", State.MISSING, "not in this kernel", "needs a kernel with CONFIG_BPF_SYSCALL"
            )
        return Finding("bpf", State.MISSING, f"refused: {error.strerror}", "run as root")
    return Finding("bpf", State.OK, "maps and programs can be loaded")


def _type_information() -> Finding:
    try:
        size = VMLINUX.stat().st_size
    except OSError:
        return Finding(
            "kernel types", State.MISSING, f"no {VMLINUX}", "needs a kernel with CONFIG_DEBUG_INFO_BTF"
        )
    return Finding("kernel types", State.OK, f"{VMLINUX}, {size / 1e6:.1f} MB")


def _uprobes() -> Finding:
    try:
        perf.uprobe_type()
    except (OSError, ValueError):
        return Finding(
            "uprobes", State.MISSING, "not in this kernel", "needs a kernel with CONFIG_UPROBE_EVENTS"
        )
    return Finding("uprobes", State.OK, "probes in user programs")


def _lockdown() -> Finding:
    try:
        text = Path("/sys/kernel/security/lockdown").read_text()
    except OSError:
        return Finding("lockdown", State.OK, "not known")
    mode = text.partition("[")[2].partition("]")[0]
    if mode == "confidentiality":
        return Finding(
            "lockdown", State.MISSING, "confidentiality: programs may not read memory",
            "boot with lockdown=integrity or without Secure Boot",
        )  # fmt: skip
    return Finding("lockdown", State.OK, mode or "none")


def _feature(name: str, is_there: bool) -> Finding:
    feature = FEATURES[name]
    if is_there:
        return Finding(name, State.OK, feature.summary)
    whom = "" if may_use_bpf() else ", for those who may use BPF"
    return Finding(name, State.MISSING, feature.summary, f"Linux {feature.first_kernel} has it{whom}")
