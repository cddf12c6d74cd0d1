"""What a compilation depends on besides the script: the command line, distilled.

Compiling is pure: same source, same binaries, same `Options`, same bytes. What the kernel can do comes in as
`features` (names from `probelang.runtime.features`, asked by the pipeline before it compiles).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from probelang.artifact.limits import Limits

Backend: TypeAlias = Literal["kernel", "ptrace"]


def _running_release() -> str:
    return os.uname().release


@dataclass(frozen=True, slots=True)
class Options:
    """`arguments`: the script's own ($1 ...). `overrides`: -G name=value. `include`: -I folders. `command`: the executable
    that -c runs (what `process` without argument means); `pid`: -x. `library_path`: folders of libraries after
    `include`. `elide`: drop unused variables and functions (off: -u). `kernel_release`: what `kernel_v` of `%( %)`
    compares with. `backend`: what is to run the handlers of process probes: programs in the kernel, or probelang itself, as
    the tracer of the processes; nothing is refused then for the kernel's sake. `skip_bad_variables`: `$names` that are not there or
    cannot be read are 0 (--skip-badvars). `guru`: the script may change the probed program (-g). `keep_sums`: aggregates keep their sums
    even where the script does not ask for them (--weight sum)."""

    arguments: tuple[str, ...] = ()
    overrides: tuple[tuple[str, str], ...] = ()
    defines: tuple[tuple[str, str], ...] = ()
    include: tuple[Path, ...] = ()
    command: str | None = None
    pid: int | None = None
    limits: Limits = field(default_factory=Limits)
    features: frozenset[str] = frozenset()
    backend: Backend = "kernel"
    elide: bool = True
    skip_bad_variables: bool = False
    guru: bool = False
    keep_sums: bool = False
    architecture: str = "x86_64"
    kernel_release: str = field(default_factory=_running_release)
