"""What a compilation depends on besides the script: the command line, distilled.

Compiling is pure: same source, same binaries, same `Options`, same bytes. What the kernel can do comes in as
`features` (names from `probelang.runtime.features`, asked by the pipeline before it compiles).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from probelang.artifact.limits import Limits


@dataclass(frozen=True, slots=True)
class Options:
    """`arguments`: the script's own ($1 ...). `overrides`: -G name=value. `include`: -I folders. `command`: the executable
    that -c runs (what `process` without argument means); `pid`: -x. `library_path`: folders of libraries after
    `include`. `elide`: drop unused variables and functions (off: -u)."""

    arguments: tuple[str, ...] = ()
    overrides: tuple[tuple[str, str], ...] = ()
    defines: tuple[tuple[str, str], ...] = ()
    include: tuple[Path, ...] = ()
    command: str | None = None
    pid: int | None = None
    limits: Limits = field(default_factory=Limits)
    features: frozenset[str] = frozenset()
    elide: bool = True
    architecture: str = "x86_64"
