"""`probelang doctor`: what this machine and user can do, and how to get what is missing.

yes  uprobe_multi     one link for all sites of a probe
no   sleepable        reads memory of the process that is not resident (Linux 6.0)
"""

from __future__ import annotations

import json
import os
import platform
import sys
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

from probelang.cli.arguments import Given, UsageError

BCC_FOLDERS = ("/usr/lib/python3/dist-packages",)
CAPABILITIES = (("CAP_BPF", 39), ("CAP_PERFMON", 38), ("CAP_SYS_ADMIN", 21))
COMPILER = (
    ("lark", "the parser"),
    ("llvmlite", "code generation"),
    ("elftools", "symbols"),
    ("iced_x86", "safe sites"),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. `needed`: nothing runs without. `advice`: how to get it, where it is missing."""

    name: str
    present: bool
    meaning: str
    needed: bool = False
    advice: str = ""


def doctor(given: Given) -> int:
    """Status 0 when scripts can run here."""
    if given.words:
        raise UsageError(f"doctor takes no `{given.words[0]}`")
    findings = [*privileges(), *kernel(), *packages()]
    healthy = all(f.present for f in findings if f.needed)
    if given.last("--format") == "json":
        machine = {"kernel": platform.release(), "architecture": platform.machine(), "healthy": healthy}
        sys.stdout.write(json.dumps({**machine, "findings": [asdict(f) for f in findings]}) + "\n")
    else:
        sys.stdout.write(report(findings, healthy))
    return 0 if healthy else 1


def report(findings: list[Finding], healthy: bool) -> str:
    lines = [f"Linux {platform.release()} on {platform.machine()}, Python {platform.python_version()}", ""]
    for finding in findings:
        mark = "yes" if finding.present else "NO" if finding.needed else "no"
        lines.append(f"{mark:<4} {finding.name:<16} {finding.meaning}")
        if not finding.present and finding.advice:
            lines.append(f"{'':<21} -> {finding.advice}")
    verdict = "scripts can run here" if healthy else "scripts cannot run here: see the lines with NO"
    return "\n".join([*lines, "", verdict]) + "\n"


def privileges() -> list[Finding]:
    held = effective_capabilities()
    may_load = "CAP_SYS_ADMIN" in held or {"CAP_BPF", "CAP_PERFMON"} <= held
    return [
        Finding(
            "privileges", may_load, "may load BPF programs and set probes", needed=True,
            advice="run as root, or give the process CAP_BPF and CAP_PERFMON",
        ),
    ]  # fmt: skip


def effective_capabilities() -> frozenset[str]:
    status = Path("/proc/self/status").read_text()
    bits = next((int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:")), 0)
    return frozenset(name for name, bit in CAPABILITIES if bits >> bit & 1)


def kernel() -> list[Finding]:
    from probelang.runtime.features import FEATURES, detect

    btf = os.access("/sys/kernel/btf/vmlinux", os.R_OK)
    uprobes = Path("/sys/bus/event_source/devices/uprobe/type").exists()
    available = detect()
    findings = [
        Finding("bpf", Path("/proc/sys/kernel/unprivileged_bpf_disabled").exists(), "the kernel runs BPF programs",
                needed=True, advice="a kernel with CONFIG_BPF_SYSCALL"),
        Finding("btf", btf, "type information of the kernel", needed=True,
                advice="a kernel with CONFIG_DEBUG_INFO_BTF (every distribution's since 2021)"),
        Finding("uprobes", uprobes, "probes in programs", needed=True, advice="a kernel with CONFIG_UPROBE_EVENTS"),
    ]  # fmt: skip
    for name, feature in FEATURES.items():
        advice = f"Linux has it since {feature.first_kernel}"
        findings.append(Finding(name, name in available, feature.summary, feature.needed, advice))
    return findings


def packages() -> list[Finding]:
    findings = [
        Finding(
            name, find_spec(name) is not None, f"{what}; not needed to run saved objects",
            advice="python -m pip install probelang",
        )
        for name, what in COMPILER
    ]  # fmt: skip
    bcc = any(Path(folder, "bcc").is_dir() for folder in BCC_FOLDERS)
    advice = "apt install python3-bpfcc (not the package `bcc` of PyPI, which is something else)"
    return [*findings, Finding("bcc", bcc, "symbols of just-in-time compiled code", advice=advice)]
