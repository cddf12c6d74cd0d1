"""Marks of one file as sites.

    mark_sites(FileTarget(binary, 'process("/usr/bin/x")'), None, "query-*", span)
    ->  Sites((Site(..., point='process("/usr/bin/x").mark("query__start")', semaphore=0x1f536), ...), ...)

In a probe point `-` is what the notes write as `__`: the macros cannot have it in their names.
"""

from __future__ import annotations

import fnmatch
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable

from probelang import resolved
from probelang.artifact.points import Site
from probelang.diag import CompileWarning, Diagnostic, similar_names
from probelang.diag.marks import NoMarks, NoSuchMark, SkippedMarks, UnreachableSemaphore, UnsafeMark
from probelang.dwarf.binary import Binary
from probelang.dwarf.functions import display_name, is_pattern
from probelang.dwarf.image import BinaryError, Image
from probelang.dwarf.marks import Mark, find_marks
from probelang.resolve.families import component_text
from probelang.resolve.functions import FileTarget, Sites
from probelang.resolved import SiteDetail
from probelang.sites import judge
from probelang.source import Span

_PAGE = 4096


def mark_sites(file: FileTarget, provider: str | None, mark: str, span: Span) -> Sites:
    """All sites of the marks that match; `provider` None: of any. Raises BinaryError when there are none."""
    binary = file.binary
    known = find_marks(binary)
    found = _matching(known, provider, note_name(mark))
    if not found:
        raise BinaryError(_no_mark(binary, known, provider, mark))
    kept: list[Mark] = []
    refused: list[tuple[Mark, str]] = []
    for one in found:
        refusal = judge(binary, one.address, file.backend)
        if refusal is None:
            kept.append(one)
        else:
            refused.append((one, refusal.reason))
    if not kept and not is_pattern(mark):
        raise BinaryError(UnsafeMark(name=mark, path=binary.path, reason=refused[0][1]))
    function_at = _functions(binary) if kept else str
    return Sites(
        tuple(_site(file, one, provider, function_at(one.address)) for one in kept),
        tuple(SiteDetail(is_entry=False, mark=_detail(one)) for one in kept),
        _warnings(binary, kept, refused, span),
    )


def note_name(pattern: str) -> str:
    """`query-start` -> `query__start`; a `-` inside of `[a-z]` stays."""
    return re.sub(r"\[[^]]*\]|-", lambda found: "__" if found[0] == "-" else found[0], pattern)


def _matching(marks: Iterable[Mark], provider: str | None, name: str) -> list[Mark]:
    names = re.compile(fnmatch.translate(name)).match
    providers = re.compile(fnmatch.translate("*" if provider is None else provider)).match
    return [m for m in marks if names(m.name) and providers(m.provider)]


def _site(file: FileTarget, mark: Mark, provider: str | None, function: str) -> Site:
    image = file.binary.image
    offset = image.offset_of(mark.address)
    assert offset is not None  # or it would have been refused
    head = file.text if provider is None else f"{file.text}.{component_text('provider', mark.provider)}"
    point = f"{head}.{component_text('mark', mark.name)}"
    return Site(offset, mark.address, function, point, _semaphore_offset(image, mark) or 0)


def _detail(mark: Mark) -> resolved.Mark:
    return resolved.Mark(mark.provider, mark.name, mark.arguments)


def _semaphore_offset(image: Image, mark: Mark) -> int | None:
    """Where in the file the counter lies, 0: there is none; None: the kernel takes it for none (update_ref_ctr in kernel/events/uprobes.c).
    What follows the file's part of a segment on its last page is mapped from the file, too."""
    address = mark.semaphore
    if address == 0:
        return 0
    for segment in image.segments:
        mapped = segment.address + segment.file_size + _PAGE - 1 & ~(_PAGE - 1)
        if segment.file_size and segment.address <= address < mapped and address % 2 == 0:
            return address - segment.address + segment.offset
    return None


def _functions(binary: Binary) -> Callable[[int], str]:
    """Names of the functions that addresses lie in; empty where there is no symbol for it."""
    symbols = sorted(binary.symbols(), key=lambda s: (s.address, s.size))
    starts = [s.address for s in symbols]

    def find(address: int) -> str:
        index = bisect_right(starts, address) - 1
        if index < 0:
            return ""
        symbol = symbols[index]
        inside = address < symbol.address + symbol.size or symbol.size == 0
        return display_name(symbol.name) if inside else ""

    return find


def _warnings(
    binary: Binary, kept: list[Mark], refused: list[tuple[Mark, str]], span: Span
) -> tuple[CompileWarning, ...]:
    warnings: list[CompileWarning] = []
    unreachable = tuple(dict.fromkeys(m.name for m in kept if _semaphore_offset(binary.image, m) is None))
    if unreachable:
        warnings.append(UnreachableSemaphore(span=span, path=binary.path, names=unreachable))
    if refused:
        counted: dict[str, tuple[int, str]] = {}
        for mark, reason in refused:
            count, example = counted.get(reason, (0, mark.name))
            counted[reason] = (count + 1, example)
        reasons = tuple((reason, count, example) for reason, (count, example) in counted.items())
        warnings.append(SkippedMarks(span=span, path=binary.path, reasons=reasons))
    return tuple(warnings)


def _no_mark(binary: Binary, known: tuple[Mark, ...], provider: str | None, name: str) -> Diagnostic:
    if not known:
        return NoMarks(path=binary.path)
    providers = tuple(dict.fromkeys(m.provider for m in known))
    of = "" if provider is None else provider
    names = {m.name for m in known if provider is None or fnmatch.fnmatchcase(m.provider, of)}
    similar = () if is_pattern(name) else similar_names(note_name(name), names)
    if not names:
        similar = () if is_pattern(of) else similar_names(of, providers)
    return NoSuchMark(name=name, path=binary.path, provider=of, similar=similar, providers=providers)
