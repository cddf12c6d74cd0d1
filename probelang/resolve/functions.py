"""Functions and PLT slots of one file as sites.

    function_sites(FileTarget(binary, 'process("/bin/x")'), "f*", ".return", span)
    ->  Sites((Site(offset=0x1136, address=0x401136, function="f1", point='process("/bin/x").function("f1").return'), ...))

Names are looked up among the symbols; where there is debug information also inlined copies are found, and functions without
symbols. `.call`, `.return` and `.exported` of a function with a symbol ask nothing more.
"""

from __future__ import annotations

import fnmatch
import re
from typing import TYPE_CHECKING

from probelang.diag import CompileWarning, Diagnostic, similar_names
from probelang.diag.deferred import names, target
from probelang.dwarf.binary import Binary
from probelang.dwarf.functions import Function, find_functions, is_pattern, similar_functions
from probelang.dwarf.image import BinaryError
from probelang.dwarf.plt import Slot, find_slots
from probelang.resolve.candidates import Candidate, FileTarget, Sites, forbids_hooks, settle
from probelang.resolve.families import component_text
from probelang.resolve.patterns import Place, parse_place
from probelang.resolved import SiteDetail
from probelang.sites import enclosing_function, find_boundary
from probelang.source import Span

if TYPE_CHECKING:
    from probelang.dwarf.instances import Instance

__all__ = ["FileTarget", "Sites", "function_sites", "slot_sites"]

SHOWN_IMPLEMENTATIONS = 4
_PART = re.compile(rb"\.(?:part|cold)(?:\.\d+)?(?:$|\.)")


def function_sites(file: FileTarget, pattern: str | int, suffix: str, span: Span) -> Sites:
    """`suffix` is the rest of the point: "", ".call", ".inline", ".exported", ".return". Raises BinaryError when nothing is left."""
    if isinstance(pattern, int):
        return _address_site(file, pattern, suffix, span)
    place = parse_place(pattern)
    if place.file:
        from probelang.resolve.sources import instances_of

        found = _merged(file, (), instances_of(file, place), place, suffix)
    else:
        found = _by_name(file, place, suffix)
    if not found:
        raise BinaryError(_no_function(file.binary, pattern, suffix))
    is_return = suffix.startswith(".return")
    sites = settle(file, found, pattern, span, is_return)
    warnings = sites.warnings
    if not is_pattern(pattern):
        kept = {site.address for site in sites.sites}
        warnings += tuple(
            _indirect(file.binary, c.function, span)
            for c in found
            if c.function is not None and c.function.indirect and c.address in kept
        )
        if is_return:
            warnings += _callbacks(file, sites, span)
    return Sites(sites.sites, sites.details, warnings)


def _callbacks(file: FileTarget, sites: Sites, span: Span) -> tuple[CompileWarning, ...]:
    """Of a library in whatever program: functions that call what they are given, which may throw."""
    binary = file.binary
    if file.backend != "kernel" or binary.kind != "library" or file.program is not None:
        return ()
    from probelang.sites.returns import calls_through_pointer

    hooked = (site for site in sites.sites if not site.returns)
    return tuple(
        target.ExceptionsPass(span=span, path=binary.path, function=site.function)
        for site in hooked
        if not binary.throws and calls_through_pointer(binary, site.address)
    )


def _by_name(file: FileTarget, place: Place, suffix: str) -> list[Candidate]:
    symbols = () if suffix == ".inline" else find_functions(file.binary, place.function)
    if suffix == ".exported":
        symbols = tuple(f for f in symbols if f.exported)
    instances: tuple[Instance, ...] = ()
    if not symbols or suffix == "":
        instances = _instances(file, place.function, needed=suffix == ".inline", sure=bool(symbols))
    return _merged(file, symbols, instances, place, suffix)


def _instances(file: FileTarget, pattern: str, needed: bool, sure: bool) -> tuple[Instance, ...]:
    """Of debug information, where there is some. `needed`: without, it is a mistake. `sure`: symbols have found something, which damaged
    debug information does not take away."""
    try:
        debug = file.debug() if needed else file.files.debug(file.binary.path)
        if debug is None:
            return ()
        from probelang.dwarf.instances import find_instances

        return find_instances(debug, pattern)
    except BinaryError:
        if sure:
            return ()
        raise


def _merged(
    file: FileTarget,
    symbols: tuple[Function, ...],
    instances: tuple[Instance, ...],
    place: Place,
    suffix: str,
) -> list[Candidate]:
    """A function that has both a symbol and debug information is one."""
    declared = {i.address: i for i in instances if not i.inlined}
    found = [_candidate(file, f, declared.get(f.address), suffix) for f in symbols]
    known = {f.address for f in symbols}
    others = [] if suffix == ".inline" else [i for i in declared.values() if i.address not in known]
    if others:
        own = _symbols_at(file.binary, {i.address for i in others})
        for instance in others:
            function = own.get(instance.address) or _function(file.binary, instance)
            if function is None or _PART.search(function.symbol.encode("utf-8", "surrogateescape")):
                continue  # a piece that the compiler split off, which other pieces call
            if suffix != ".exported" or function.exported:
                found.append(_candidate(file, function, instance, suffix))
    if suffix in ("", ".inline"):
        found += [copy_candidate(file, i, f"function{suffix}") for i in instances if i.inlined]
    return found


def _symbols_at(binary: Binary, addresses: set[int]) -> dict[int, Function]:
    found: dict[int, Function] = {}
    for symbol in binary.symbols():
        if symbol.address in addresses:
            name = symbol.name.decode("utf-8", "surrogateescape")
            offset = binary.image.offset_of(symbol.address)
            if offset is not None and (symbol.address not in found or symbol.exported):
                found[symbol.address] = Function(
                    "", name, symbol.address, offset, symbol.size, symbol.exported, symbol.indirect
                )
    return found


def _function(binary: Binary, instance: Instance) -> Function | None:
    offset = binary.image.offset_of(instance.address)
    if offset is None:
        return None
    symbol = instance.symbol or instance.name
    return Function(instance.name, symbol, instance.address, offset, 0, False, False)


def _candidate(file: FileTarget, function: Function, instance: Instance | None, suffix: str) -> Candidate:
    name = function.name or (instance.name if instance is not None else function.symbol)
    shown = name if instance is None else declared_name(instance, name)
    text = f"{file.text}.{component_text('function', shown)}{suffix}"
    return Candidate(function.address, name, text, function=function)


def copy_candidate(file: FileTarget, copy: Instance, component: str) -> Candidate:
    """Where an inlined copy begins. `component`: "function", "function.inline"."""
    name, dot, suffix = component.partition(".")
    text = f"{file.text}.{component_text(name, declared_name(copy, copy.name))}{dot}{suffix}"
    return Candidate(copy.address, copy.name, text, SiteDetail(copy.offset), code_around(copy))


def code_around(instance: Instance, address: int | None = None) -> tuple[int, int] | None:
    """The range of the function's code that an address lies in, by default where the instance begins."""
    from probelang.dwarf.ranges import entry_ranges

    wanted = instance.address if address is None else address
    return next((r for r in entry_ranges(instance.function) if r[0] <= wanted < r[1]), None)


def declared_name(instance: Instance, name: str) -> str:
    """`f@/src/x.c:12`, as pp() shows a function whose declaration is known."""
    file, line = instance.file, instance.line
    return f"{name}@{file}:{line}" if file and line else name


# --------------------------------------------------------------------------------------------------------- PLT


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
    candidates = [_slot_candidate(file, slot, is_return) for slot in found]
    sites = settle(file, candidates, pattern or "*", span, is_return)
    if is_return and file.backend == "kernel" and forbids_hooks(file.binary):
        exceptions = target.ExceptionsPass(span=span, path=file.binary.path)
        return Sites(sites.sites, sites.details, (*sites.warnings, exceptions))
    return sites


def _slot_candidate(file: FileTarget, slot: Slot, is_return: bool) -> Candidate:
    text = f"{file.text}.{component_text('plt', slot.name)}{'.return' if is_return else ''}"
    function = Function(slot.name, slot.symbol, slot.address, slot.offset, 0, False, False)
    return Candidate(slot.address, slot.name, text, function=function)


# ---------------------------------------------------------------------------------------------------- addresses


def _address_site(file: FileTarget, address: int, suffix: str, span: Span) -> Sites:
    binary = file.binary
    function = enclosing_function(binary, address)
    if function is None or binary.image.offset_of(address) is None:
        raise BinaryError(target.NoFunctionAtAddress(address=address, path=binary.path))
    name = function.name or f"{function.start:#x}"
    own: Function | None = None
    if suffix.startswith(".return"):
        if function.start != address and find_boundary(binary, address) is None:
            reason = f"it is not the entry of `{name}`, and only whole functions return"
            raise BinaryError(target.UnsafeSite(name=f"{address:#x}", path=binary.path, reason=reason))
        known = find_functions(binary, function.name)
        own = next((f for f in known if f.address == address), None) or Function(
            name, name, address, 0, 0, False, False
        )
    is_entry = function.start == address
    detail = SiteDetail(is_entry=is_entry)
    text = f"{file.text}.function({address:#x}){suffix}"
    candidate = Candidate(address, name, text, detail, function=own, called=f"{address:#x}")
    return settle(file, [candidate], "", span, own is not None)


def _indirect(binary: Binary, function: Function, span: Span) -> CompileWarning:
    shown = implementations(binary, function)
    return names.IndirectFunction(span=span, name=function.name, path=binary.path, implementations=shown)


def implementations(binary: Binary, function: Function) -> tuple[str, ...]:
    """A few of the functions that an IFUNC chooses from, by their names."""
    stem = function.name.lstrip("_")
    known = find_functions(binary, f"__{stem}_*")
    return tuple(f.name for f in known if not f.indirect and "chk" not in f.name)[:SHOWN_IMPLEMENTATIONS]


def _no_function(binary: Binary, pattern: str, suffix: str) -> Diagnostic:
    similar = () if is_pattern(pattern) else similar_functions(binary, pattern)
    what = {".exported": "exported function", ".inline": "inlined function"}.get(suffix, "function")
    return target.NoSuchFunction(
        name=pattern, path=binary.path, what=what, similar=similar, stripped=binary.stripped
    )
