"""Functions and PLT slots of one file as sites.

    function_sites(FileTarget(binary, 'process("/bin/x")'), "f*", ".return", span)
    ->  Sites((Site(offset=0x1136, address=0x401136, function="f1", point='process("/bin/x").function("f1").return'), ...))

A function that must not be probed is an error when it is named and is left out, counted, when a wildcard finds it.
"""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass, field

from probelang.artifact.points import Site
from probelang.diag import CompileWarning, Diagnostic, names, similar_names, target
from probelang.dwarf.binary import Binary
from probelang.dwarf.files import Files
from probelang.dwarf.functions import Function, find_functions, is_pattern, similar_functions
from probelang.dwarf.image import BinaryError
from probelang.dwarf.plt import Slot, find_slots
from probelang.options import Backend
from probelang.resolve.families import component_text
from probelang.resolved import SiteDetail
from probelang.sites import Refusal, enclosing_function, find_boundary, judge, judge_return
from probelang.source import Span

SHOWN_IMPLEMENTATIONS = 4


@dataclass(frozen=True, slots=True)
class FileTarget:
    """A file that a point is about; `text`: the point so far, as pp() shows it. `files`: which also know its debug information.
    `backend`: who sets the probes."""

    binary: Binary
    text: str
    files: Files = field(default_factory=Files)
    backend: Backend = "kernel"


@dataclass(frozen=True, slots=True)
class Sites:
    """`details` go with `sites`, one by one."""

    sites: tuple[Site, ...]
    details: tuple[SiteDetail, ...]
    warnings: tuple[CompileWarning, ...] = ()


def function_sites(file: FileTarget, pattern: str | int, suffix: str, span: Span) -> Sites:
    """`suffix` is the rest of the point: "", ".call", ".exported", ".return". Raises BinaryError when nothing is left."""
    if isinstance(pattern, int):
        return _address_site(file, pattern, suffix, span)
    found = find_functions(file.binary, pattern)
    if suffix == ".exported":
        found = tuple(f for f in found if f.exported)
    if not found:
        raise BinaryError(_no_function(file.binary, pattern, suffix))
    is_return = suffix.startswith(".return")
    kept, refused = _sift(file, found, is_return)
    if refused and not kept and not is_pattern(pattern):
        function, refusal = refused[0]
        raise BinaryError(target.UnsafeSite(name=function.name, path=file.binary.path, reason=refusal.reason))
    warnings = _skipped(file.binary, refused, span)
    if not is_pattern(pattern):
        warnings += tuple(_indirect(file.binary, f, span) for f in kept if f.indirect)
    if is_return and kept and file.binary.throws and file.backend == "kernel":
        warnings += (target.ExceptionsPass(span=span, path=file.binary.path),)
    sites = tuple(_site(file, f, suffix) for f in kept)
    return Sites(sites, tuple(SiteDetail() for _ in sites), warnings)


def slot_sites(file: FileTarget, pattern: str | None, is_return: bool, span: Span) -> Sites:
    """PLT slots; `pattern` None: all of them."""
    matches = re.compile(fnmatch.translate(pattern or "*")).match
    found = [s for s in find_slots(file.binary) if matches(s.name) or matches(s.symbol)]
    if not found:
        name = pattern or "*"
        known = sorted({s.name for s in find_slots(file.binary)})
        raise BinaryError(
            target.NoSuchFunction(
                name=name, path=file.binary.path, what="PLT entry", similar=similar_names(name, known)
            )
        )
    kept: list[Site] = []
    refused: list[tuple[Function, Refusal]] = []
    for slot in found:
        function = Function(slot.name, slot.symbol, slot.address, slot.offset, 0, False, False)
        refusal = _judge(file, function, is_return)
        if refusal is None:
            kept.append(_slot_site(file, slot, is_return))
        else:
            refused.append((function, refusal))
    if not kept and pattern is not None and not is_pattern(pattern):
        raise BinaryError(target.UnsafeSite(name=pattern, path=file.binary.path, reason=refused[0][1].reason))
    return Sites(tuple(kept), tuple(SiteDetail() for _ in kept), _skipped(file.binary, refused, span))


def _slot_site(file: FileTarget, slot: Slot, is_return: bool) -> Site:
    text = f"{file.text}.{component_text('plt', slot.name)}{'.return' if is_return else ''}"
    return Site(slot.offset, slot.address, slot.name, text)


def _address_site(file: FileTarget, address: int, suffix: str, span: Span) -> Sites:
    binary = file.binary
    function = enclosing_function(binary, address)
    offset = binary.image.offset_of(address)
    if function is None or offset is None:
        raise BinaryError(target.NoFunctionAtAddress(address=address, path=binary.path))
    name = function.name or f"{function.start:#x}"
    refusal = find_boundary(binary, address) or judge(binary, address, file.backend)
    if refusal is None and suffix.startswith(".return"):
        if function.start != address:
            refusal = Refusal(f"it is not the entry of `{name}`, and only whole functions return")
        else:
            known = find_functions(binary, function.name)
            own = [f for f in known if f.address == address] or [
                Function(name, name, address, offset, 0, False, False)
            ]
            refusal = judge_return(binary, own[0], file.backend)
    if refusal is not None:
        raise BinaryError(target.UnsafeSite(name=f"{address:#x}", path=binary.path, reason=refusal.reason))
    text = f"{file.text}.function({address:#x}){suffix}"
    return Sites((Site(offset, address, name, text),), (SiteDetail(is_entry=function.start == address),))


def _sift(
    file: FileTarget, functions: tuple[Function, ...], is_return: bool
) -> tuple[list[Function], list[tuple[Function, Refusal]]]:
    kept: list[Function] = []
    refused: list[tuple[Function, Refusal]] = []
    for function in functions:
        refusal = _judge(file, function, is_return)
        if refusal is None:
            kept.append(function)
        else:
            refused.append((function, refusal))
    return kept, refused


def _judge(file: FileTarget, function: Function, is_return: bool) -> Refusal | None:
    refusal = judge(file.binary, function.address, file.backend)
    return refusal or (judge_return(file.binary, function, file.backend) if is_return else None)


def _skipped(
    binary: Binary, refused: list[tuple[Function, Refusal]], span: Span
) -> tuple[CompileWarning, ...]:
    if not refused:
        return ()
    counted: dict[str, tuple[int, str]] = {}
    for function, refusal in refused:
        count, example = counted.get(refusal.reason, (0, function.name))
        counted[refusal.reason] = (count + 1, example)
    reasons = tuple((reason, count, example) for reason, (count, example) in counted.items())
    return (target.SkippedSites(span=span, path=binary.path, reasons=reasons),)


def _indirect(binary: Binary, function: Function, span: Span) -> CompileWarning:
    stem = function.name.lstrip("_")
    known = find_functions(binary, f"__{stem}_*")
    shown = tuple(f.name for f in known if not f.indirect and "chk" not in f.name)[:SHOWN_IMPLEMENTATIONS]
    return names.IndirectFunction(span=span, name=function.name, path=binary.path, implementations=shown)


def _site(file: FileTarget, function: Function, suffix: str) -> Site:
    text = f"{file.text}.{component_text('function', function.name)}{suffix}"
    return Site(function.offset, function.address, function.name, text)


def _no_function(binary: Binary, pattern: str, suffix: str) -> Diagnostic:
    similar = () if is_pattern(pattern) else similar_functions(binary, pattern)
    what = "exported function" if suffix == ".exported" else "function"
    return target.NoSuchFunction(
        name=pattern, path=binary.path, what=what, similar=similar, stripped=binary.stripped
    )
