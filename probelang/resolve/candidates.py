"""Places that a point means, and which of them can bear a probe.

    settle(file, (Candidate(0x1139, "f", 'process("/bin/x").function("f")'),), "f", span)  ->  Sites(sites=(Site(...),), ...)

What must not be probed is an error when it is named and is left out, counted, when a pattern finds it. Where exceptions may pass
through a function, or stacks may be changed below it, its return is not hooked: probes stand on the instructions that return.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from probelang.artifact.points import Site
from probelang.diag import CompileWarning
from probelang.diag.deferred import target
from probelang.dwarf.binary import Binary
from probelang.dwarf.files import Debug, Files
from probelang.dwarf.functions import Function, is_pattern
from probelang.dwarf.image import BinaryError
from probelang.options import Backend
from probelang.resolved import SiteDetail
from probelang.sites import Refusal, find_boundary, judge, judge_return, switches_stacks
from probelang.sites.instructions import Instructions
from probelang.source import Span

if TYPE_CHECKING:
    from probelang.sites.returns import Returns


@dataclass(frozen=True, slots=True)
class FileTarget:
    """A file that a point is about; `text`: the point so far, as pp() shows it. `files`: which also know its debug information.
    `backend`: who sets the probes. `program`: the one that is probed, where a library is probed in one only."""

    binary: Binary
    text: str
    files: Files = field(default_factory=Files)
    backend: Backend = "kernel"
    program: Binary | None = None

    def debug(self) -> Debug:
        """Raises BinaryError where there is no debug information."""
        debug = self.files.debug(self.binary.path)
        if debug is None:
            from probelang.target.debuginfo import no_debug_info

            raise BinaryError(no_debug_info(self.binary))
        return debug


@dataclass(frozen=True, slots=True)
class Sites:
    """`details` go with `sites`, one by one."""

    sites: tuple[Site, ...]
    details: tuple[SiteDetail, ...]
    warnings: tuple[CompileWarning, ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    """`name`: of the function, `text`: the point. `code`: the range of the function's code that the address lies in, where that is
    no entry: `None` there means that it has to be found. `function`: whose return is meant, for return probes. `called`: how a mistake
    names the place, by default as the function."""

    address: int
    name: str
    text: str
    detail: SiteDetail = field(default_factory=SiteDetail)
    code: tuple[int, int] | None = None
    function: Function | None = None
    called: str = ""


def settle(
    file: FileTarget, candidates: Iterable[Candidate], pattern: str, span: Span, is_return: bool = False
) -> Sites:
    """Raises BinaryError when nothing can be probed of what is named."""
    instructions = Instructions(file.binary)
    exits = _Exits(file) if is_return else None
    kept: list[tuple[Site, SiteDetail]] = []
    refused: list[tuple[str, Refusal]] = []
    for candidate in merged(candidates):
        refusal = _judge(file, candidate, instructions, is_return)
        offset = file.binary.image.offset_of(candidate.address)
        returns: tuple[int, ...] = ()
        if refusal is None and exits is not None and candidate.function is not None:
            refusal, returns = exits.of(candidate.function)
        if refusal is not None or offset is None:
            name = candidate.called or candidate.name
            refused.append((name, refusal or Refusal("its code is not in the file")))
            continue
        site = Site(offset, candidate.address, candidate.name, candidate.text, returns=returns)
        kept.append((site, candidate.detail))
    if refused and not kept and not is_pattern(pattern):
        name, refusal = refused[0]
        raise BinaryError(target.UnsafeSite(name=name, path=file.binary.path, reason=refusal.reason))
    return Sites(
        tuple(site for site, _ in kept),
        tuple(detail for _, detail in kept),
        skipped(file.binary, refused, span),
    )


def merged(candidates: Iterable[Candidate]) -> list[Candidate]:
    """One for each address and instance, with the callers of all."""
    found: dict[tuple[int, int | None, str], Candidate] = {}
    for candidate in candidates:
        key = candidate.address, candidate.detail.instance, candidate.name
        known = found.get(key)
        if known is not None and known.detail.callers and candidate.detail.callers:
            callers = dict.fromkeys((*known.detail.callers, *candidate.detail.callers))
            candidate = replace(known, detail=replace(known.detail, callers=tuple(callers)))
        elif known is not None:
            continue
        found[key] = candidate
    return sorted(found.values(), key=lambda c: c.address)


def _judge(
    file: FileTarget, candidate: Candidate, instructions: Instructions, is_return: bool
) -> Refusal | None:
    if candidate.code is not None:
        refusal = instructions.refusal(candidate.address, *candidate.code)
    elif candidate.detail.is_entry:
        refusal = None
    else:
        refusal = find_boundary(file.binary, candidate.address)
    refusal = refusal or judge(file.binary, candidate.address, file.backend)
    if refusal is None and is_return and candidate.function is not None:
        refusal = judge_return(file.binary, candidate.function, file.backend)
    return refusal


class _Exits:
    """Where functions of a file return, as far as their returns must not be hooked. A tracer hooks nothing, but waits where a call returns to:
    who catches an exception may go on just there as well, so it waits at the instructions if these are known."""

    def __init__(self, file: FileTarget) -> None:
        self._binary = file.binary
        self._has_way_back = file.backend == "ptrace"
        self._is_harmful = forbids_hooks(file.binary)
        self._is_harmful_outside = file.program is not None and forbids_hooks(file.program)

    @cached_property
    def _returns(self) -> Returns:
        from probelang.sites.returns import Returns

        return Returns(self._binary)

    def of(self, function: Function) -> tuple[Refusal | None, tuple[int, ...]]:
        """The offsets of the instructions that return; none where the return may be hooked."""
        if not (self._is_harmful or self._is_harmful_outside):
            return None, ()
        from probelang.sites.returns import is_stub

        if is_stub(self._binary, function.address):
            return None, ()
        found = self._returns.of(function.address)
        if self._has_way_back and found.refusal is not None:
            return None, ()
        if not (found.calls if self._is_harmful else found.through_pointer):
            return None, ()
        offsets = [self._binary.image.offset_of(address) for address in found.returns]
        known = tuple([offset for offset in offsets if offset is not None])
        return found.refusal or (None if known else Refusal("it never returns")), known


def forbids_hooks(binary: Binary) -> bool:
    """Whether a hooked return may be the end of a program: where exceptions pass, and where it changes stacks by itself."""
    return binary.throws or switches_stacks(binary)


def skipped(binary: Binary, refused: list[tuple[str, Refusal]], span: Span) -> tuple[CompileWarning, ...]:
    if not refused:
        return ()
    counted: dict[str, tuple[int, str]] = {}
    for name, refusal in refused:
        count, example = counted.get(refusal.reason, (0, name))
        counted[refusal.reason] = (count + 1, example)
    reasons = tuple((reason, count, example) for reason, (count, example) in counted.items())
    return (target.SkippedSites(span=span, path=binary.path, reasons=reasons),)
