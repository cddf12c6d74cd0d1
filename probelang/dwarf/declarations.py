"""What functions are called and where they are declared.

    names_of(Prefixes(), entry, naming_entry(entry))   ->  ("shop::Cart::add", "_ZN4shop4Cart3addEl")
    declared_at(entry)                            ->  ("/src/cart.cpp", 12)
    name_test("Cart::*")("shop::Cart::add", ...)  ->  False: with `::` a name is matched as a whole

Source: DWARF 5, sections 2.14, 2.15 and 3.3.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable

from probelang.dwarf import constants as c
from probelang.dwarf.demangle import demangle, last_component, plain_name, with_parameters, without_template
from probelang.dwarf.entry import Entry
from probelang.dwarf.functions import is_pattern
from probelang.dwarf.index import NameTest
from probelang.dwarf.sweep import Prefixes
from probelang.dwarf.types import origins, own_name

_MIPS_LINKAGE_NAME = 0x2007  # DW_AT_MIPS_linkage_name, before DWARF 4


def naming_entry(entry: Entry) -> Entry:
    """The last origin: the declaration, or the abstract instance, that all instances share."""
    *_, last = origins(entry)
    return last


def names_of(prefixes: Prefixes, entry: Entry, root: Entry) -> tuple[str, str]:
    """Display name and symbol of an instance; `root`: its naming entry."""
    for known in origins(entry):
        symbol = known.text(c.AT_linkage_name) or known.text(_MIPS_LINKAGE_NAME)
        if symbol:
            if symbol.startswith("_Z"):
                return plain_name(demangle(symbol.encode("utf-8", "surrogateescape"))), symbol
            return own_name(entry), symbol
    if any(e.flag(c.AT_external) for e in origins(entry)):
        return own_name(entry), ""  # extern "C": a name of its own in whatever namespace it stands
    return prefixes.of(root) + own_name(entry), ""


def declared_at(entry: Entry) -> tuple[str, int]:
    """Source file and line of a declaration; empty and 0 where they are not known."""
    file, line = "", 0
    for known in origins(entry):
        if not file and (number := known.number(c.AT_decl_file)) is not None:
            files = known.unit.files
            file = files[number] if 0 <= number < len(files) else ""
        line = line or known.number(c.AT_decl_line) or 0
    return file, line


def name_test(pattern: str) -> NameTest:
    """Does a function of this display name and symbol match a name or glob?"""
    if pattern == "*":
        return lambda name, symbol: True
    if is_pattern(pattern):
        fits = re.compile(fnmatch.translate(pattern)).match
        test: Callable[[str], bool] = lambda text: fits(text) is not None
    else:
        wanted = pattern.replace(" ", "")
        test = lambda text: text.replace(" ", "") == wanted
    qualified, has_parameters = "::" in pattern, "(" in pattern

    def matches(name: str, symbol: str) -> bool:
        if test(name) or (symbol and test(symbol)):
            return True
        short = without_template(name) if "<" in name else name
        if "<" in name and test(short):
            return True
        if not qualified and "::" in short and test(last_component(short)):
            return True
        if not has_parameters or not symbol.startswith("_Z"):
            return False
        return test(with_parameters(demangle(symbol.encode("utf-8", "surrogateescape"))))

    return matches


def last_name(pattern: str) -> str:
    """The last component of a name, without template arguments."""
    return last_component(without_template(plain_name(pattern) if "(" in pattern else pattern))
