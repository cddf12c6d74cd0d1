"""Loading an object: maps made, constants filled in, programs linked and verified.

    with load_object(data, features=features, values={"run:target": 1}) as loaded:
        attach_sites(loaded.programs["probe_0"], path, offsets, cookies, pid=0, is_return=False)

Nothing is pinned: when the file descriptors go, everything goes.
"""

from __future__ import annotations

import errno
import mmap
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from probelang.artifact.btf import own_functions
from probelang.artifact.elf import SHT_NOBITS, ElfObject
from probelang.artifact.manifest import Manifest, MapSpec, ProgramSpec
from probelang.artifact.object import MAP_TYPES, read_object
from probelang.diag import CompileError, Diagnostic
from probelang.runtime import bpf, exits
from probelang.runtime.kernelbtf import UnknownKernelFact, kernel_facts
from probelang.runtime.link import Linked, Linker
from probelang.runtime.targets import EXIT_PROGRAM, FORK_PROGRAM

DEFAULT_RING_BYTES = 1 << 24
_DATA_PREFIXES = (".bss", ".data", ".rodata")
_PROGRAM_TYPES = {
    "uprobe": bpf.PROG_KPROBE,
    "raw_tracepoint": bpf.PROG_RAW_TRACEPOINT,
    "perf_event": bpf.PROG_PERF_EVENT,
    "iter_task": bpf.PROG_TRACING,
    "host": bpf.PROG_RAW_TRACEPOINT,
}


@dataclass(frozen=True, slots=True)
class Map:
    """A map in the kernel. For an array of maps `template` is what a new inner map looks like. `memory` is the mapped
    contents of `.bss` and other writable data sections."""

    fd: int
    spec: MapSpec
    memory: mmap.mmap | None = None


@dataclass(slots=True)
class Loaded:
    """`programs`: file descriptors by symbol. Closing it closes them all; links keep their programs alive."""

    manifest: Manifest
    features: frozenset[str]
    programs: dict[str, int]
    maps: dict[str, Map]

    def close(self) -> None:
        for fd in self.programs.values():
            os.close(fd)
        for m in self.maps.values():
            if m.memory is not None:
                m.memory.close()
            os.close(m.fd)
        self.programs, self.maps = {}, {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def word(self, name: str) -> int:
        """One of the u64 in `.bss` that the manifest names."""
        memory = self.maps[".bss"].memory
        assert memory is not None
        value: int = struct.unpack_from("<Q", memory, dict(self.manifest.words)[name])[0]
        return value

    def runs_left_out(self) -> int:
        """Of tracepoints' programs: since Linux 7.0 they may be preempted, and are left out where the same one was."""
        kinds = {spec.symbol: spec.kind for spec in self.manifest.programs}
        return sum(
            bpf.runs_left_out(fd) for symbol, fd in self.programs.items() if kinds[symbol] == "raw_tracepoint"
        )

    def set_word(self, name: str, value: int) -> None:
        memory = self.maps[".bss"].memory
        assert memory is not None
        struct.pack_into("<Q", memory, dict(self.manifest.words)[name], value)


def load_object(
    data: bytes,
    manifest: Manifest | None = None,
    *,
    features: frozenset[str],
    values: Mapping[str, int] | None = None,
    ring_bytes: int = DEFAULT_RING_BYTES,
    value_sizes: Mapping[str, int] | None = None,
) -> Loaded:
    """`manifest` None: the object's own. `values`: constants other than kernel BTF's by name, missing ones are 0. `value_sizes`: of maps
    whose size the manifest leaves open, in bytes. Raises CompileError, and NotAnObject where the data is none."""
    elf, own = read_object(data)
    manifest = manifest or own
    loaded = Loaded(manifest, features, {}, {})
    try:
        told = {"run:group_dead": int(exits.FEATURE in features)}
        _make_maps(loaded, elf, told | dict(values or {}), ring_bytes, value_sizes or {})
        _load_programs(loaded, elf, bool((values or {}).get("run:target")))
    except OSError as error:
        loaded.close()
        raise CompileError([_refusal(error, manifest)]) from error
    except UnknownKernelFact as error:
        loaded.close()
        from probelang.diag.runtime import KernelFactMissing

        raise CompileError([KernelFactMissing(fact=str(error.args[0]))]) from error
    except BaseException:
        loaded.close()
        raise
    return loaded


def _refusal(error: OSError, manifest: Manifest) -> Diagnostic:
    from probelang.diag.runtime import NotPermitted, ProbedFileMissing, ProgramRefusedByKernel, RunFailed

    if isinstance(error, FileNotFoundError):
        return ProbedFileMissing(path=str(error.filename))
    if isinstance(error, bpf.ProgramRefused) and error.log:
        symbol = str(error.filename)
        for probe in manifest.probes:
            if symbol in probe.programs and 0 <= probe.at < len(manifest.places):
                place = manifest.places[probe.at]
                where = f"{place.file}:{place.line}:{place.column}"
                return ProgramRefusedByKernel(program=symbol, log=error.log, probe=probe.name, place=where)
        return ProgramRefusedByKernel(program=symbol, log=error.log)
    if error.errno in (errno.EPERM, errno.EACCES):
        return NotPermitted(action="load BPF programs")
    return RunFailed(action="load the BPF programs", reason=str(error.strerror).lower())


# ------------------------------------------------------------------------------------------------------ maps


def possible_cpus() -> int:
    """One more than the highest number that a CPU can have."""
    try:
        with open("/sys/devices/system/cpu/possible") as f:
            return int(f.read().strip().replace(",", "-").split("-")[-1]) + 1
    except (OSError, ValueError):
        return os.cpu_count() or 1


def _entries(spec: MapSpec, ring_bytes: int) -> int:
    if spec.max_entries:
        return spec.max_entries
    if spec.type == "ringbuf":
        return ring_bytes
    # frames: a handler starts at slot cpu * 4 and tries the following ones
    return possible_cpus() * 4 + 16


def make_map(spec: MapSpec, ring_bytes: int = DEFAULT_RING_BYTES) -> int:
    """A new map; an array of maps gets its first inner map."""
    inner_fd = 0 if spec.template is None else make_map(spec.template)
    try:
        entries = _entries(spec, ring_bytes)
        kind = MAP_TYPES[spec.type]
        fd = bpf.create_map(spec.name, kind, spec.key_size, spec.value_size, entries, spec.flags, inner_fd)
        if inner_fd:
            bpf.update(fd, bytes(4), struct.pack("<I", inner_fd))
        return fd
    finally:
        if inner_fd:
            os.close(inner_fd)


def _make_maps(
    loaded: Loaded, elf: ElfObject, values: Mapping[str, int], ring_bytes: int, value_sizes: Mapping[str, int]
) -> None:
    for section in elf.sections:
        if section.name.startswith(_DATA_PREFIXES) and section.size:
            content = bytearray(section.size) if section.type == SHT_NOBITS else bytearray(section.data)
            if section.name == ".rodata":
                _fill_constants(content, loaded.manifest, values)
            loaded.maps[section.name] = _data_map(section.name, bytes(content))
    for spec in loaded.manifest.maps:
        if spec.name not in loaded.maps and not spec.name.startswith(_DATA_PREFIXES):
            chosen = replace(spec, value_size=value_sizes.get(spec.name, spec.value_size))
            loaded.maps[spec.name] = Map(make_map(chosen, ring_bytes), chosen)


def _data_map(name: str, content: bytes) -> Map:
    read_only = name.startswith(".rodata")
    flags = bpf.F_RDONLY_PROG if read_only else bpf.F_MMAPABLE
    spec = MapSpec(name, "array", 4, len(content), 1, flags)
    fd = make_map(spec)
    if read_only:
        bpf.update(fd, bytes(4), content)
        bpf.freeze(fd)
        return Map(fd, spec)
    size = -(-len(content) // mmap.PAGESIZE) * mmap.PAGESIZE
    memory = mmap.mmap(fd, size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
    memory[: len(content)] = content
    return Map(fd, spec, memory)


def _fill_constants(content: bytearray, manifest: Manifest, values: Mapping[str, int]) -> None:
    offsets = kernel_facts([c.name for c in manifest.constants if c.name.startswith(("btf:", "btf?:"))])
    for constant in manifest.constants:
        if constant.name.startswith("file:") and constant.name not in values:
            value = file_identity(constant.name)
        else:
            value = offsets.get(constant.name, values.get(constant.name, 0))
        struct.pack_into("<Q", content, constant.offset, value & (1 << 64) - 1)


def file_identity(name: str) -> int:
    """`file:inode:PATH` or `file:dev:PATH`, the device as the kernel's `dev_t` has it (12 bits major, 20 bits minor)."""
    _, what, path = name.split(":", 2)
    status = os.stat(path)
    if what == "inode":
        return status.st_ino
    return os.major(status.st_dev) << 20 | os.minor(status.st_dev)


# -------------------------------------------------------------------------------------------------- programs


def _load_programs(loaded: Loaded, elf: ElfObject, is_restricted: bool) -> None:
    """`is_restricted`: to some processes, which must be followed then."""
    kfuncs: dict[str, int] = {}

    def kfunc(name: str) -> int:
        if name not in kfuncs:
            undefined = {f"func:{s.name}" for s in elf.symbols if s.name and not s.section}
            kfuncs.update({k.removeprefix("func:"): v for k, v in kernel_facts(sorted(undefined)).items()})
        return kfuncs[name]

    linker = Linker(elf, {n: m.fd for n, m in loaded.maps.items()}, kfunc)
    types = _FunctionTypes(elf)
    license_section = elf.section("license")
    license_text = license_section.data.rstrip(b"\0") if license_section else b"GPL"
    try:
        for spec in loaded.manifest.programs:
            if spec.symbol in (FORK_PROGRAM, EXIT_PROGRAM) and not is_restricted:
                continue
            linked = linker.link(spec.symbol)
            loaded.programs[spec.symbol] = _load_program(spec, linked, types, license_text, loaded.features)
    finally:
        types.close()


def enters_function(spec: ProgramSpec, features: frozenset[str]) -> bool:
    """Whether a program of the end of threads goes to a function's entry (see `exits`)."""
    return spec.tracepoint == exits.TRACEPOINT and exits.FEATURE in features and not exits.tracepoint_tells()


def _load_program(
    spec: ProgramSpec, linked: Linked, types: _FunctionTypes, license_text: bytes, features: frozenset[str]
) -> int:
    info = types.info(linked) if len(linked.functions) > 1 else b""
    multi = spec.kind == "uprobe" and "uprobe_multi" in features
    iterator = spec.kind == "iter_task"
    if enters_function(spec, features):
        kind, attach_type, target = bpf.PROG_TRACING, bpf.ATTACH_TRACE_FENTRY, exits.entered_function()
    else:
        kind = _PROGRAM_TYPES[spec.kind]
        uprobe = bpf.ATTACH_UPROBE_SESSION if spec.session else bpf.ATTACH_UPROBE_MULTI
        attach_type = uprobe if multi else bpf.ATTACH_TRACE_ITER if iterator else 0
        target = kernel_facts(["func:bpf_iter_task"])["func:bpf_iter_task"] if iterator else 0
    return bpf.load_program(
        spec.symbol,
        kind,
        linked.code,
        license=license_text,
        flags=bpf.F_SLEEPABLE if spec.sleepable else 0,
        expected_attach_type=attach_type,
        attach_btf_id=target,
        btf_fd=types.btf_fd() if info else 0,
        functions=info,
    )


class _FunctionTypes:
    """The object's BTF in the kernel, loaded when the first program needs it."""

    def __init__(self, elf: ElfObject) -> None:
        self._elf = elf
        self._fd = -1
        self._types: dict[tuple[int, int], int] | None = None

    def btf_fd(self) -> int:
        section = self._elf.section(".BTF")
        if self._fd < 0 and section is not None:
            self._fd = bpf.load_btf(own_functions(section.data))
        return self._fd

    def info(self, linked: Linked) -> bytes:
        """func_info rows of a linked program; none where a function has no type (then all are static to the kernel)."""
        types = self._read()
        rows = [(at, types.get(place)) for at, place in linked.functions]
        if any(t is None for _, t in rows):
            return b""
        return b"".join(struct.pack("<II", at, t or 0) for at, t in rows)

    def _read(self) -> dict[tuple[int, int], int]:
        if self._types is None:
            self._types = {}
            extension, btf = self._elf.section(".BTF.ext"), self._elf.section(".BTF")
            if extension is not None and btf is not None:
                self._types = _function_types(self._elf, extension.data, btf.data)
        return self._types

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)


def _function_types(elf: ElfObject, extension: bytes, btf: bytes) -> dict[tuple[int, int], int]:
    """Type id by (section, offset), from `.BTF.ext`."""
    header_size, start, size = struct.unpack_from("<III", extension, 4)
    (btf_header_size,) = struct.unpack_from("<I", btf, 4)
    (string_start,) = struct.unpack_from("<I", btf, 16)
    strings = btf_header_size + string_start
    at, end = header_size + start + 4, header_size + start + size
    found: dict[tuple[int, int], int] = {}
    while at < end:
        name, count = struct.unpack_from("<II", extension, at)
        text = btf[strings + name : btf.index(b"\0", strings + name)].decode()
        at += 8
        rows = [struct.unpack_from("<II", extension, at + 8 * i) for i in range(count)]
        at += 8 * count
        for section in elf.sections:
            if section.name == text:
                found |= {(section.index, offset): type_id for offset, type_id in rows}
    return found
