"""What layout yields: a typed program plus where everything lies and which half runs what.

    global n, a; probe process("x").function("f") { a[tid()] = n++ }
    -> variables as typed, storages=(BssStorage(offset=128, size=8), MapStorage("a", ...)),
       kernel=(KernelProbe(index=0, programs=(Attachment("probe_0", ...),), frame=False, ...),), maps=(...)

The manifest's types say what a storage, a map or a key field is (`probelang.artifact.manifest`); this module adds what
only the lowering needs: the handlers of the kernel half and how each becomes programs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from probelang import typed
from probelang.artifact.manifest import MapSpec, Storage

if TYPE_CHECKING:
    from probelang.layout.callers import Decision

EntryKind = Literal["uprobe", "profile", "exec", "fork", "exit", "syscall", "alive"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One BPF program of a probe: what kind of event starts it. `tracepoint`: for raw tracepoints. `leaders`: True: only for
    thread group leaders (fork, alive) or only when the process ends (exit); False: only for other threads; None: for all.
    `session`: it runs at the entry of a function and at the return."""

    symbol: str
    section: str
    kind: EntryKind
    sleepable: bool = False
    tracepoint: str = ""
    leaders: bool | None = None
    session: bool = False


@dataclass(frozen=True, slots=True)
class KernelProbe:
    """A probe of the kernel half. `index`: in the program's probes; `entries`: its programs; `frame`: the handler needs
    scratch memory; `first_site`: the number of its site 0 among all sites of the program."""

    index: int
    entries: tuple[Entry, ...]
    frame: bool
    first_site: int


@dataclass(frozen=True, slots=True)
class SiteText:
    """What pp(), ppfunc() and pn() say at a site."""

    point: str
    function: str
    probe: str


@dataclass(frozen=True, slots=True)
class Clone:
    """One compiled copy of a function. `depth` counts recursive entries from 1; `inline`: written into its callers; `calls`:
    function number -> clone number, None where nesting is exhausted. `frame`: needs scratch memory."""

    function: int
    symbol: str
    depth: int
    inline: bool
    frame: bool
    calls: tuple[tuple[int, int | None], ...] = ()


@dataclass(frozen=True, slots=True)
class Mailbox:
    """How the user half hands operations to the host program: capacities in bytes; 0 operations: no mailbox."""

    key_size: int
    text_size: int


@dataclass(frozen=True, slots=True)
class Program:
    """`storages[i]` belongs to `source.variables[i]`. `words`: the runtime's own u64 in `.bss`, `bss_size` in bytes. `clones` come
    callees first. `kernel_functions`: function number -> clone that a handler calls. `written`: variables that the user
    half writes and the kernel half touches (the host program's)."""

    source: typed.Program
    storages: tuple[Storage, ...]
    maps: tuple[MapSpec, ...]
    kernel: tuple[KernelProbe, ...]
    clones: tuple[Clone, ...]
    kernel_functions: tuple[tuple[int, int], ...]
    sites: tuple[SiteText, ...]
    words: tuple[tuple[str, int], ...]
    bss_size: int
    written: tuple[int, ...]
    mailbox: Mailbox | None
    text_capacity: int
    sequences: tuple[tuple[int, int], ...] = field(default=())
    """variable -> offset in `.bss` of the sequence word that guards `.=` on its elements."""
    decisions: tuple[Decision, ...] = field(default=())
    """How each question about callers is decided."""
