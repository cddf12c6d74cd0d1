"""Functions by name or pattern, C and C++.

    find_functions(binary, "ns::cls::f")   all overloads of a C++ method
    find_functions(binary, "Py*Malloc")    a glob, `*`, `?` and `[..]`
    find_functions(binary, "f")            `f`, its clones `f.constprop.0`, and every C++ function whose own name is f

One result per address. Symbols that name no function entry (`f.cold`: the part of a function that the compiler moved
away, reached by jumps) are found only under their full name.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from probelang.diag import similar_names
from probelang.dwarf.binary import Binary
from probelang.dwarf.demangle import demangle, last_component, plain_name, with_parameters, without_template
from probelang.dwarf.symbols import Symbol

# GCC's and LLVM's marks of copies that still begin with the function's first instruction
CLONE = re.compile(rb"(?:\.(?:isra|constprop|lto_priv|llvm|specialized)\.[0-9A-Za-z]+)+$")
FRAGMENT = re.compile(rb"\.cold(?:\.\d+)?(?:$|\.)")
# thunks and transaction clones demangle to "virtual thunk to f", but are not f
THUNK = re.compile(rb"_Z(?:T[hvc]|GTt)")
STANDARD = frozenset({"std", "allocator", "basic_string", "string", "istream", "ostream", "iostream"})
NEAR_CANDIDATES = 200


@dataclass(frozen=True, slots=True)
class Function:
    """`name` as people know it (C++ demangled, without parameters), `symbol` as the linker does. `offset`: in the file.
    `size_bytes` may be 0 where the symbol table does not say. `indirect`: an IFUNC resolver. `aliases`: other names
    of the same address."""

    name: str
    symbol: str
    address: int
    offset: int
    size_bytes: int
    exported: bool
    indirect: bool
    aliases: tuple[str, ...] = ()


def is_pattern(text: str) -> bool:
    """Has the text wildcards? (`operator[]` and `operator*` of C++ have not.)"""
    return any(c in text for c in "*?[") and re.search(r"operator(\*=?|\[\]|->\*)$", text) is None


def find_functions(binary: Binary, pattern: str) -> tuple[Function, ...]:
    """The functions that match, by address; empty when none does."""
    matched = _matching(binary, pattern) if is_pattern(pattern) else _named(binary, pattern)
    return _merge(binary, matched)


def all_functions(binary: Binary) -> tuple[Function, ...]:
    return find_functions(binary, "*")


def display_name(symbol: bytes) -> str:
    """`_ZN2ns1fEi` -> `ns::f`, `f.constprop.0` -> `f`."""
    base = CLONE.sub(b"", symbol)
    return plain_name(demangle(base)) if base.startswith(b"_Z") else base.decode("utf-8", "surrogateescape")


def _named(binary: Binary, name: str) -> list[Symbol]:
    raw = name.encode("utf-8", "surrogateescape")
    found = binary.symbols_named(raw)
    if "." not in name:
        found += _clones(binary, raw)
    # a plain name may be the last component of C++ names; `::`, `(`, `~`, `<` or a space occur in C++ names only
    return found + _cpp_matching(binary, name, _cpp_test(name))


def _clones(binary: Binary, name: bytes) -> list[Symbol]:
    copies = re.compile(rb"\0" + re.escape(name) + rb"\.(?:isra|constprop|lto_priv|llvm|specialized)\.")
    if not any(copies.search(table.strings) for table in binary.tables):
        return []
    return [s for s in binary.symbols() if s.name.startswith(name + b".") and CLONE.sub(b"", s.name) == name]


def _matching(binary: Binary, pattern: str) -> list[Symbol]:
    if pattern == "*":
        return [s for s in binary.symbols() if not FRAGMENT.search(s.name)]
    matches = re.compile(fnmatch.translate(pattern).encode("utf-8", "surrogateescape")).match
    found = [
        s
        for s in binary.symbols()
        if (matches(s.name) or (b"." in s.name and matches(CLONE.sub(b"", s.name))))
        and not FRAGMENT.search(s.name)
    ]
    test = re.compile(fnmatch.translate(pattern)).match
    return found + _cpp_matching(binary, pattern, lambda text: test(text) is not None)


def _cpp_test(name: str) -> Callable[[str], bool]:
    # spaces are the demangler's taste: `f(char const*, int)` and `f(char const *,int)` are the same
    wanted = name.replace(" ", "")
    return lambda text: text.replace(" ", "") == wanted


def _cpp_matching(binary: Binary, pattern: str, test: Callable[[str], bool]) -> list[Symbol]:
    """C++ symbols whose name matches as a whole, without parameters, without template arguments, or (for patterns
    without `::`) by its last component."""
    needle = _needle(pattern)
    tables = [t for t in binary.tables if b"_Z" in t.strings and needle in t.strings]
    if not tables:
        return []
    found: list[Symbol] = []
    for symbol in binary.symbols():
        if symbol.name.startswith(b"_Z") and needle in symbol.name and not THUNK.match(symbol.name):
            if FRAGMENT.search(symbol.name):
                continue
            demangled = demangle(CLONE.sub(b"", symbol.name))
            full, plain = with_parameters(demangled), plain_name(demangled)
            short = without_template(plain)
            names = (full, plain, short) if "::" in pattern else (full, plain, short, last_component(short))
            if any(test(text) for text in names):
                found.append(symbol)
    return found


def _needle(pattern: str) -> bytes:
    """Something that every mangled name of a match holds: `ns::cls::f` -> b"1f" (Itanium ABI, <source-name>). Empty when
    nothing is sure."""
    name = plain_name(pattern) if "(" in pattern else pattern
    for component in reversed(name.split("::")):
        base = re.split(r"[<(]", component)[0].lstrip("~")
        if re.fullmatch(r"\w+", base) and not base.startswith("operator") and base not in STANDARD:
            return f"{len(base.encode())}{base}".encode()
        literal = max(re.split(r"[*?]", base), key=len)
        if (
            "[" not in base
            and re.fullmatch(r"\w+", literal)
            and literal not in STANDARD
            and "operator" not in base
        ):
            return literal.encode()
    return b""


def _merge(binary: Binary, symbols: Iterable[Symbol]) -> tuple[Function, ...]:
    by_address: dict[int, list[Symbol]] = {}
    for symbol in symbols:
        by_address.setdefault(symbol.address, []).append(symbol)
    functions: list[Function] = []
    for address, group in sorted(by_address.items()):
        offset = binary.image.offset_of(address)
        if offset is None:
            continue  # in memory only
        best = min(group, key=preference) if len(group) > 1 else group[0]
        names = sorted({s.name for s in group} - {best.name}) if len(group) > 1 else []
        functions.append(
            Function(
                display_name(best.name),
                best.name.decode("utf-8", "surrogateescape"),
                address,
                offset,
                max(s.size for s in group),
                any(s.exported for s in group),
                best.indirect,
                tuple(n.decode("utf-8", "surrogateescape") for n in names),
            )
        )
    return tuple(functions)


def preference(symbol: Symbol) -> tuple[int, bool, int, bytes]:
    """The name people call it by: few leading underscores, exported, short."""
    name = symbol.name
    underscores = 0 if name.startswith(b"_Z") else len(name) - len(name.lstrip(b"_"))
    return underscores, not symbol.exported, len(name), name


def similar_functions(binary: Binary, name: str, count: int = 3) -> tuple[str, ...]:
    """Names near to `name`. difflib takes a second for 30,000 names: only those that share most letter pairs go in."""
    wanted = name.split("(")[0]
    pairs = {wanted[i : i + 2] for i in range(len(wanted) - 1)}
    known = {
        display_name(s.name)
        for s in binary.symbols()
        if abs(len(s.name) - len(wanted)) <= 3 or "::" in wanted
    }
    ranked = sorted(known, key=lambda n: (-sum(p in n for p in pairs), abs(len(n) - len(wanted)), n))
    return similar_names(wanted, ranked[:NEAR_CANDIDATES], count)
