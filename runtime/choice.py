"""Which backend this user gets with `--backend auto`, and why not the other.

    choose_backend(detect(), names_processes=False)  ->  Choice("ptrace", "this user may not use BPF")

The kernel backend wherever it is allowed: it sees every process, and costs far less. What it needs is to load programs (the
features that every script needs; they were tried) and to attach them: multi-uprobes need no more than that, single
uprobes CAP_SYS_ADMIN.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from probelang.runtime.capabilities import (
    CAP_BPF,
    CAP_PERFMON,
    CAP_SYS_ADMIN,
    has_capability,
    own_capabilities,
)
from probelang.runtime.features import FEATURES, Feature
from probelang.runtime.targets import sees_all_processes

_INITIAL_USER_NAMESPACE = 0xEFFFFFFD  # PROC_USER_INIT_INO, include/linux/proc_ns.h


@dataclass(frozen=True, slots=True)
class Choice:
    """`reason`: why not the kernel, a sentence without full stop; empty when it is the kernel, or was asked for."""

    backend: Literal["kernel", "ptrace"]
    reason: str = ""


def choose_backend(
    features: frozenset[str], names_processes: bool, known: Mapping[str, Feature] = FEATURES
) -> Choice:
    """`features`: what the kernel has for this user. `names_processes`: with -c or -x, whose numbers must mean the same to the
    kernel."""
    if any(feature.needed and name not in features for name, feature in known.items()):
        return Choice("ptrace", _why_no_programs())
    if "uprobe_multi" not in features and not has_capability(CAP_SYS_ADMIN):
        return Choice("ptrace", "this user may not set probes with BPF")
    if names_processes and not sees_all_processes():
        return Choice("ptrace", "process ids differ in this container")
    return Choice("kernel")


def _why_no_programs() -> str:
    return "BPF does not work here" if may_use_bpf() else "this user may not use BPF"


def may_use_bpf() -> bool:
    """By the capabilities of this process, which count only outside of user namespaces; the kernel may refuse all the same."""
    own = own_capabilities() if in_initial_user_namespace() else 0
    return bool(own >> CAP_SYS_ADMIN & 1 or own >> CAP_BPF & own >> CAP_PERFMON & 1)


def in_initial_user_namespace() -> bool:
    """Not so in containers that an ordinary user has started."""
    try:
        return os.stat("/proc/self/ns/user").st_ino == _INITIAL_USER_NAMESPACE
    except OSError:
        return True
