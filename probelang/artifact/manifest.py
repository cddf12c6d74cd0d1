"""The manifest: everything the runtime must know about a BPF object, in plain data.

It travels in the object's section `.probelang` (JSON, written and read by `probelang.artifact.serialize`). The
runtime needs nothing else of the compiler: no script text, no syntax, no LLVM.

Layouts (little endian, offsets and sizes in bytes):

- a long is 8 bytes; a string in memory is `u32 length, u32 zero, char data[string_size]` (`STRING_HEADER` bytes before
  the data), data zero padded; a string inside a map key is `char data[capacity]`, zero padded, without length;
- a scalar global lies in the map `.bss` at its offset: long 8 bytes; string `u64 sequence` (odd while being written)
  and then the string; aggregate: its `StatLayout`;
- an array is a hash map: key fields one behind the other, value a long, a string or a `StatLayout`;
- aggregates store `minimum ^ INT64_MAX` and `maximum ^ INT64_MIN`, so that all zero means empty; the squares are an unsigned
  128-bit sum, low word first; histogram counts are u64 in bucket order.
- a ring-buffer record is `u32 record, u32 cpu`, then 8 bytes a field in order (long: the value; string: `u32 length, u32
  zero`), then the bytes of the strings in order, unpadded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from probelang.artifact.code import Automaton, Function, Handler, HistogramShape, Piece, Place, Type, Variable
from probelang.artifact.codesets import CodeSet
from probelang.artifact.limits import Limits
from probelang.artifact.points import Point, is_process_point

VERSION = 4
STRING_HEADER = 8
STATE_STARTING, STATE_RUNNING, STATE_STOPPING = 0, 1, 2


@dataclass(frozen=True, slots=True)
class HistogramLayout:
    """`buckets` counters of 8 bytes at `offset`. log: bucket i counts values v with bucket_of(v) == i where 64 is zero,
    64+k is 2^(k-1) <= v < 2^k, 64-k its mirror; 129 buckets. linear: see probelang.artifact.histogram."""

    shape: HistogramShape
    offset: int
    buckets: int


@dataclass(frozen=True, slots=True)
class StatLayout:
    """Offsets of an aggregate's fields; None where the script needs no such field. `count` is always there."""

    size: int
    count: int
    sum: int | None
    minimum: int | None
    maximum: int | None
    squares: int | None
    histograms: tuple[HistogramLayout, ...] = ()


@dataclass(frozen=True, slots=True)
class KeyField:
    offset: int
    size: int
    type: Type


@dataclass(frozen=True, slots=True)
class UserStorage:
    """Only the user half touches it: an ordinary Python value, no map."""


@dataclass(frozen=True, slots=True)
class BssStorage:
    """A scalar at `offset` of the map `.bss`; `stats` for aggregates."""

    offset: int
    size: int
    stats: StatLayout | None = None


@dataclass(frozen=True, slots=True)
class MapStorage:
    """An array in hash map `map`. With `swap` the map of that name is an array of maps with one entry, the live hash map: a
    user-half handler that reads and deletes replaces it by an empty one, waits until no program can still hold the
    old one, and then owns what was counted."""

    map: str
    key: tuple[KeyField, ...]
    key_size: int
    value_size: int
    stats: StatLayout | None = None
    swap: bool = False


Storage: TypeAlias = UserStorage | BssStorage | MapStorage

MapType = Literal["hash", "lru_hash", "array", "percpu_array", "ringbuf", "array_of_maps"]


@dataclass(frozen=True, slots=True)
class MapSpec:
    """`template`: for an array of maps, the shape of the inner maps. `initial`: contents of a data section (`.bss`, `.rodata`)
    come from the object itself. Sizes in bytes; `max_entries` of a ring buffer in bytes, 0 = the runtime chooses."""

    name: str
    type: MapType
    key_size: int
    value_size: int
    max_entries: int
    flags: int = 0
    template: MapSpec | None = None


ProgramKind = Literal["uprobe", "raw_tracepoint", "perf_event", "iter_task", "host"]


@dataclass(frozen=True, slots=True)
class ProgramSpec:
    """One BPF program: the function `symbol`, alone in ELF section `section`. `tracepoint`: what a raw_tracepoint
    attaches to. `host`: run by the runtime itself with BPF_PROG_TEST_RUN (raw tracepoint type). `session`: a uprobe program that
    runs at the entry of a function and again when that call returns."""

    symbol: str
    section: str
    kind: ProgramKind
    sleepable: bool = False
    tracepoint: str = ""
    session: bool = False


FieldKind = Literal["long", "string", "user_symbol", "user_symbol_data", "histogram"]


@dataclass(frozen=True, slots=True)
class Record:
    """What a ring-buffer record with this number means. `print`: format `pieces` with the fields. `call`: do builtin
    `name` with the fields as arguments (exit, warn, system, speculate, ...). `error`: an uncaught soft error, fields place
    and message. `fields` are as in the record; `user_symbol*`: address and pid, two longs, shown as text;
    `histogram`: the counters as they were, 8 bytes each, sent as a string is; the n-th has shape `histograms[n]`."""

    kind: Literal["print", "call", "error"]
    fields: tuple[FieldKind, ...]
    name: str = ""
    pieces: tuple[Piece, ...] = ()
    histograms: tuple[HistogramShape, ...] = ()


@dataclass(frozen=True, slots=True)
class Constant:
    """A u64 at `offset` of the map `.rodata` that the runtime fills in before it loads. `name`:
    `btf:STRUCT.MEMBER[.MEMBER]` (byte offset from kernel BTF), `btf?:..` (the same, 0 where there is no such member), `run:target` (1 when -x or -c restricts), `run:self` (own
    tgid), `run:tai` (CLOCK_TAI - CLOCK_REALTIME, ns), `run:target_pid`, `run:command_pid` (of -c, or 0), `run:gmtoff` (seconds east of
    UTC), `run:tz_name` (what tz_name_bytes() gives), `file:dev:PATH`, `file:inode:PATH`."""

    name: str
    offset: int


@dataclass(frozen=True, slots=True)
class ProbeSpec:
    """One probe. `handler`: its code, which the runtime runs itself in the user half, and with the ptrace backend in every
    probe (None only where there is nothing but a program). Kernel half: `programs` (symbols) do the same. A
    FunctionPoint's site i is attached with cookie i; where the probe stands on instructions that return, the distance of each from the
    function's entry is in the upper 32 bits. `before`: of a return probe that runs at the function's entry too, its code there; only calls
    for which that comes to its end return for the probe. `at`: the place of the probe."""

    name: str
    point: Point
    programs: tuple[str, ...] = ()
    handler: Handler | None = None
    at: int = -1
    before: Handler | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """`words`: offsets in `.bss` of the runtime's own u64: `state` (STATE_*), `lost` (records that did not fit), `skipped` (hits
    not handled for want of scratch memory), `errors`, `cut` (strings cut short), `cut_at` (the place, plus 1, of one
    of them), `hooked_since` (when a program has first asked for calls under way, ns of CLOCK_MONOTONIC), `code_files_next` (the number that the next file of code gets that programs meet), `cut_stacks` (stacks that end
    before the outermost frame), `lost_stacks` (the map was full), `lost_callers` (hits left out because their caller could not
    be told). `functions` are all of the program (the user half calls them). `features`: what the kernel must have. `needs_targets`: programs read the hash map
    `targets` (u32 tgid -> u8) when `run:target` is 1. `code_files`: paths of files whose code programs tell apart, the i-th has
    number i + 1 (see `probelang.artifact.stacks`); further ones get theirs when they are met."""

    version: int
    probelang: str
    limits: Limits
    variables: tuple[Variable, ...]
    storages: tuple[Storage, ...]
    functions: tuple[Function, ...]
    probes: tuple[ProbeSpec, ...]
    automata: tuple[Automaton, ...]
    places: tuple[Place, ...]
    maps: tuple[MapSpec, ...]
    programs: tuple[ProgramSpec, ...]
    records: tuple[Record, ...]
    constants: tuple[Constant, ...]
    words: tuple[tuple[str, int], ...]
    features: tuple[str, ...] = ()
    needs_targets: bool = False
    code_sets: tuple[CodeSet, ...] = ()
    code_files: tuple[str, ...] = ()

    @property
    def has_process_probes(self) -> bool:
        """Whether anything must be probed at all: begin, end and timers need no backend."""
        return any(is_process_point(probe.point) for probe in self.probes)
