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

from probelang.runtime import bpf, perf
from probelang.runtime.features import FEATURES, has
from probelang.runtime.kernelbtf import VMLINUX
from probelang.runtime.symbols import load_bcc

_CAPABILITIES = {"CAP_SYS_ADMIN": 21, "CAP_SYS_PTRACE": 19, "CAP_PERFMON": 38, "CAP_BPF": 39}


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
    checks: tuple[Callable[[], Finding], ...] = (
        _kernel, _privileges, _bpf, _type_information, _uprobes, _lockdown, _symbols,
    )  # fmt: skip
    return [check() for check in checks] + [_feature(name) for name in FEATURES]


def can_run(findings: list[Finding]) -> bool:
    """Whether nothing is missing that every script needs."""
    optional = {name for name, feature in FEATURES.items() if not feature.needed}
    return all(f.state is not State.MISSING or f.name in optional for f in findings)


def _kernel() -> Finding:
    system = os.uname()
    if system.sysname != "Linux":
        return Finding("kernel", State.MISSING, system.sysname, "probelang works on Linux only")
    if system.machine != "x86_64":
        return Finding("kernel", State.LIMITED, f"{system.release} {system.machine}", "x86_64 is supported")
    return Finding("kernel", State.OK, f"Linux {system.release} {system.machine}")


def capabilities() -> frozenset[str]:
    """Those of `_CAPABILITIES` that this process has."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return frozenset()
    mask = next((int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:")), 0)
    return frozenset(name for name, bit in _CAPABILITIES.items() if mask >> bit & 1)


def _privileges() -> Finding:
    own = capabilities()
    if "CAP_SYS_ADMIN" in own:
        return Finding("privileges", State.OK, "CAP_SYS_ADMIN")
    if {"CAP_BPF", "CAP_PERFMON"} <= own:
        return Finding(
            "privileges", State.LIMITED, "CAP_BPF and CAP_PERFMON",
            "probes need the feature uprobe_multi; run as root for the others",
        )  # fmt: skip
    return Finding(
        "privileges", State.MISSING, "neither root nor CAP_BPF and CAP_PERFMON",
        "run as root: sudo probelang ...",
    )  # fmt: skip


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


def _symbols() -> Finding:
    module = load_bcc()
    if module is None:
        return Finding(
            "bcc", State.LIMITED, "not installed: names of just-in-time compiled code are not known",
            "apt install python3-bpfcc (Fedora: dnf install python3-bcc)",
        )  # fmt: skip
    version = getattr(module, "__version__", "")
    return Finding("bcc", State.OK, f"version {version}" if version else "installed")


def _feature(name: str) -> Finding:
    feature = FEATURES[name]
    if has(feature):
        return Finding(name, State.OK, feature.summary)
    return Finding(name, State.MISSING, feature.summary, f"Linux {feature.first_kernel} has it")
