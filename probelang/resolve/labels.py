"""Labels in functions as sites.

    label_sites(file, "f@x.c", "retry", span)  ->  Sites((Site(..., point='process("/bin/x").function("f@/src/x.c:5").label("retry")'),))

A label of an inlined function is in each copy of it. Source: DWARF 5, section 3.6 (DW_TAG_label).
"""

from __future__ import annotations

import fnmatch
import re

from probelang.diag import similar_names
from probelang.diag.places import NoSuchLabel
from probelang.dwarf import constants as c
from probelang.dwarf.callsites import within
from probelang.dwarf.functions import is_pattern
from probelang.dwarf.image import BinaryError
from probelang.dwarf.instances import Instance
from probelang.dwarf.types import origins, own_name
from probelang.resolve.candidates import Candidate, FileTarget, Sites, settle
from probelang.resolve.families import component_text
from probelang.resolve.functions import code_around, declared_name
from probelang.resolve.sources import instances_at
from probelang.resolved import SiteDetail
from probelang.source import Span


def label_sites(file: FileTarget, pattern: str | int, label: str, span: Span) -> Sites:
    """Raises BinaryError when there is no such label, or no code for it."""
    functions = instances_at(file, pattern)
    matches = re.compile(fnmatch.translate(label)).match
    found: list[Candidate] = []
    known: set[str] = set()
    for instance in functions:
        for entry in within(instance.entry, inlined=False):
            if entry.tag == c.TAG_label and (name := own_name(entry)):
                known.add(name)
                address = entry.address(c.AT_low_pc)
                if matches(name) and address is not None:
                    found.append(_candidate(file, instance, name, address))
    if not found:
        raise BinaryError(_no_label(file, functions, str(pattern), label, known))
    return settle(file, found, label, span)


def _candidate(file: FileTarget, instance: Instance, label: str, address: int) -> Candidate:
    function = component_text("function", declared_name(instance, instance.name))
    text = f"{file.text}.{function}.{component_text('label', label)}"
    detail = SiteDetail(instance.offset, is_entry=False)
    return Candidate(address, instance.name, text, detail, code_around(instance, address), called=label)


def _no_label(
    file: FileTarget, functions: tuple[Instance, ...], pattern: str, label: str, known: set[str]
) -> NoSuchLabel:
    # what nothing is left of stands in the abstract instance only
    for instance in functions:
        for entry in list(origins(instance.entry))[1:]:
            known |= {own_name(e) for e in within(entry, inlined=False) if e.tag == c.TAG_label}
    gone = label in known
    similar = () if gone or is_pattern(label) else similar_names(label, sorted(known))
    return NoSuchLabel(path=file.binary.path, function=pattern, name=label, gone=gone, similar=similar)
