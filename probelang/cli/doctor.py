"""`probelang doctor`: what this machine and user can do, and how to get what is missing.

ok       uprobe_multi     one link for all sites of a probe
missing  sleepable        reads memory of the process that is not resident
                          -> Linux 6.0 has it
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from importlib.util import find_spec

from probelang.cli.arguments import Given, UsageError
from probelang.runtime.doctor import Finding, State, can_run, can_use_kernel, examine

COMPILER = (
    ("lark", "the parser"),
    ("llvmlite", "code generation"),
    ("iced_x86", "safe sites"),
)


def doctor(given: Given) -> int:
    """Status 0 when scripts can run here, 1 when not."""
    if given.words:
        raise UsageError(f"doctor takes no `{given.words[0]}`")
    machine = examine()
    findings, healthy = [*machine, *packages()], can_run(machine)
    if given.last("--format") == "json":
        report = {"healthy": healthy, "findings": [asdict(f) for f in findings]}
        sys.stdout.write(json.dumps(report) + "\n")
    else:
        sys.stdout.write(report_text(findings, verdict(machine)))
    return 0 if healthy else 1


def verdict(machine: list[Finding]) -> str:
    if can_use_kernel(machine):
        return "scripts can run here"
    if can_run(machine):
        return "scripts can run here, with ptrace: they probe what -c starts or -x names"
    return "scripts cannot run here: see what is missing"


def report_text(findings: list[Finding], verdict: str) -> str:
    lines: list[str] = []
    for finding in findings:
        lines.append(f"{finding.state:<8} {finding.name:<16} {finding.detail}")
        if finding.advice:
            lines.append(f"{'':<25} -> {finding.advice}")
    return "\n".join([*lines, "", verdict]) + "\n"


def packages() -> list[Finding]:
    """The compiler's libraries; a saved object runs without them."""
    return [
        Finding(name, State.OK, f"installed: {what}")
        if find_spec(name) is not None
        else Finding(
            name, State.LIMITED, f"not installed, so no {what}: only saved objects run", f"pip install {name}"
        )
        for name, what in COMPILER
    ]
