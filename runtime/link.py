"""Linking one BPF program: its own code, the subprograms that it calls, and every relocation filled in.

    link_program(elf, symbol, maps, kfuncs)  ->  Linked(code, functions=((0, "probe_0"), (312, "compare"), ...))

A program's section holds its entry function; the functions it calls lie in `.text` and are appended once each. Sources:
Linux Documentation/bpf/llvm_reloc.rst; how libbpf does it: `bpf_object__relocate_calls`.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from probelang.artifact.elf import (
    R_BPF_64_32,
    R_BPF_64_64,
    STT_FUNC,
    STT_SECTION,
    ElfObject,
    NotAnObject,
    Relocation,
    Section,
    Symbol,
)
from probelang.runtime import bpf

_LD_IMM64, _CALL = 0x18, 0x85
Place = tuple[int, int]  # section index, byte offset


@dataclass(frozen=True, slots=True)
class Linked:
    """`functions`: instruction index and (section, offset) of each, ascending."""

    code: bytes
    functions: tuple[tuple[int, Place], ...]


class Linker:
    """Links the programs of one object. `map_fds` by name (a data section's map by the section's name); `kfunc` gives
    the BTF id of a kernel function."""

    def __init__(self, elf: ElfObject, map_fds: Mapping[str, int], kfunc: Callable[[str], int]) -> None:
        self._elf = elf
        self._map_fds = map_fds
        self._kfunc = kfunc
        self._functions: dict[int, list[Symbol]] = {}
        for symbol in elf.symbols:
            if symbol.type == STT_FUNC and symbol.section:
                self._functions.setdefault(symbol.section, []).append(symbol)
        for found in self._functions.values():
            found.sort(key=lambda s: s.value)

    def link(self, symbol_name: str) -> Linked:
        """Raises NotAnObject."""
        symbol = self._elf.symbol(symbol_name)
        if symbol is None or not symbol.section:
            raise NotAnObject(f"program `{symbol_name}` is missing")
        code = bytearray()
        starts: dict[Place, int] = {}
        calls: list[tuple[int, Place]] = []
        pending = [(symbol.section, symbol.value)]
        while pending:
            place = pending.pop()
            if place in starts:
                continue
            starts[place] = len(code) // 8
            found = self._append(code, place)
            calls += found
            pending += [target for _, target in found]
        for at, target in calls:
            struct.pack_into("<i", code, at * 8 + 4, starts[target] - at - 1)
        return Linked(bytes(code), tuple(sorted((at, place) for place, at in starts.items())))

    def _function_at(self, section: int, offset: int) -> Symbol:
        functions = self._functions.get(section, [])
        index = bisect_right(functions, offset, key=lambda s: s.value) - 1
        if index < 0 or functions[index].value != offset:
            raise NotAnObject(f"a call leads to no function (section {section}, offset {offset})")
        return functions[index]

    def _append(self, code: bytearray, place: Place) -> list[tuple[int, Place]]:
        """Appends one function; gives the instructions that call or name other functions, with their targets."""
        section = self._elf.sections[place[0]]
        function = self._function_at(*place)
        base = len(code)
        start, end = function.value, function.value + function.size
        code += section.data[start:end]
        calls: list[tuple[int, Place]] = []
        patched: set[int] = set()
        for relocation in self._elf.relocations.get(section.index, ()):
            if start <= relocation.offset < end:
                at = base + relocation.offset - start
                patched.add(at)
                target = self._relocate(code, at, relocation)
                if target is not None:
                    calls.append((at // 8, target))
        calls += self._local_calls(code, base, section, start, patched)
        return calls

    def _local_calls(
        self, code: bytearray, base: int, section: Section, start: int, patched: set[int]
    ) -> list[tuple[int, Place]]:
        """Calls within a section may come without relocation: their distance is right already."""
        calls: list[tuple[int, Place]] = []
        at = base
        while at < len(code):
            operation = code[at]
            if operation == _CALL and at not in patched and code[at + 1] >> 4 == bpf.PSEUDO_CALL:
                (distance,) = struct.unpack_from("<i", code, at + 4)
                calls.append((at // 8, (section.index, start + (at - base) + 8 * (distance + 1))))
            at += 16 if operation == _LD_IMM64 else 8
        return calls

    def _relocate(self, code: bytearray, at: int, relocation: Relocation) -> Place | None:
        if relocation.type == R_BPF_64_32:
            return self._relocate_call(code, at, relocation.symbol)
        if relocation.type == R_BPF_64_64:
            return self._relocate_load(code, at, relocation.symbol)
        raise NotAnObject(f"it holds a relocation of type {relocation.type}, which programs never have")

    def _relocate_call(self, code: bytearray, at: int, symbol: Symbol) -> Place | None:
        if not symbol.section:
            _set_source(code, at, bpf.PSEUDO_KFUNC_CALL)
            struct.pack_into("<hi", code, at + 2, 0, self._kfunc(symbol.name))
            return None
        (immediate,) = struct.unpack_from("<i", code, at + 4)
        _set_source(code, at, bpf.PSEUDO_CALL)
        offset = symbol.value
        if symbol.type == STT_SECTION:
            offset += (immediate + 1) * 8
        return symbol.section, offset

    def _relocate_load(self, code: bytearray, at: int, symbol: Symbol) -> Place | None:
        if not symbol.section:
            raise NotAnObject(f"`{symbol.name}` is defined nowhere")
        section = self._elf.sections[symbol.section]
        (addend,) = struct.unpack_from("<i", code, at + 4)
        if section.name == ".maps":
            _set_source(code, at, bpf.PSEUDO_MAP_FD)
            struct.pack_into("<i", code, at + 4, self._map_fds[symbol.name])
            return None
        if section.name in self._map_fds:
            _set_source(code, at, bpf.PSEUDO_MAP_VALUE)
            struct.pack_into("<i", code, at + 4, self._map_fds[section.name])
            struct.pack_into("<i", code, at + 12, symbol.value + addend)
            return None
        _set_source(code, at, bpf.PSEUDO_FUNC)
        struct.pack_into("<i", code, at + 12, 0)
        return symbol.section, symbol.value + addend


def _set_source(code: bytearray, at: int, source: int) -> None:
    """The source register of an instruction with an immediate says what the immediate is."""
    code[at + 1] = code[at + 1] & 0x0F | source << 4
