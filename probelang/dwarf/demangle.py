"""C++ names as people write them.

    demangle(b"_ZN2ns3cls1fEi")          ->  "ns::cls::f(int)"
    plain_name("int ns::f<int>(int)")    ->  "ns::f<int>"

Itanium C++ ABI, chapter 5.1, through `__cxa_demangle` of libstdc++ (or libc++abi); without either, names stay mangled.
Old-style Rust names are mangled the same way; their hash is dropped.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable
from functools import cache, lru_cache

Demangler = Callable[[bytes], str]
RUST_HASH = re.compile(r"::h[0-9a-f]{16}$")
MARKS = re.compile(r" \[clone [^]]*\]|\[abi:[^]]*\]")
QUALIFIERS = re.compile(r"(?: const| volatile| &&?| noexcept)+$")
# most names: no template, no return type, no operator; the bracket groups of the parameters do not matter then
SIMPLE = re.compile(r"((?:(?!operator\b)[\w~]+(?:::|(?=\()))+)\([^()\[\]]*\)(?: const)?$")
# matching and showing a name ask for it twice
CACHED_NAMES = 1 << 17
LIBRARIES = ("libstdc++.so.6", "libc++abi.so.1")


@cache
def _demangler() -> Demangler:
    """The system's demangler; loaded once, when the first C++ name is met."""
    for name in LIBRARIES:
        try:
            return _bind(ctypes.CDLL(name), ctypes.CDLL(None))
        except (OSError, AttributeError):
            continue
    return _as_text


def _bind(library: ctypes.CDLL, libc: ctypes.CDLL) -> Demangler:
    function, free = library["__cxa_demangle"], libc["free"]
    function.restype = ctypes.c_void_p
    function.argtypes = (ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.POINTER(ctypes.c_int))
    free.restype = None
    free.argtypes = (ctypes.c_void_p,)
    status = ctypes.c_int()

    def call(mangled: bytes) -> str:
        address = function(mangled, None, None, ctypes.byref(status))
        if not address:
            return _as_text(mangled)
        text = _as_text(ctypes.string_at(address))
        free(address)
        return RUST_HASH.sub("", text)

    return call


def _as_text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


@lru_cache(CACHED_NAMES)
def demangle(name: bytes) -> str:
    """The C++ name of a symbol, with its parameter list; other names as they are."""
    if not name.startswith(b"_Z"):
        return name.decode("utf-8", "surrogateescape")
    return _demangler()(name)


@lru_cache(CACHED_NAMES)
def plain_name(demangled: str) -> str:
    """Without parameter list, return type, ABI tags and clone marks: `ns::cls::f`."""
    simple = SIMPLE.match(demangled)
    if simple:
        return simple[1]
    text = MARKS.sub("", demangled)
    end = _parameters(text)
    return text[_name_start(text, end) : end]


def with_parameters(demangled: str) -> str:
    """Without return type, ABI tags and clone marks: `ns::cls::f(int) const`."""
    if SIMPLE.match(demangled):
        return demangled
    text = MARKS.sub("", demangled)
    return text[_name_start(text, _parameters(text)) :]


def without_template(plain: str) -> str:
    """`ns::f<int>` -> `ns::f`, for people who do not write template arguments."""
    if not plain.endswith(">") or "operator" in plain:
        return plain
    depth = 0
    for position in range(len(plain) - 1, -1, -1):
        depth += {">": 1, "<": -1}.get(plain[position], 0)
        if depth == 0:
            return plain[:position]
    return plain


def last_component(plain: str) -> str:
    """`ns::cls::f` -> `f`; `a<b::c>::d` -> `d`."""
    depth = 0
    position = len(plain) - 1
    if "operator" in plain:
        return plain[plain.rindex("operator") :]
    while position > 0:
        depth += {">": 1, "<": -1, ")": 1, "(": -1}.get(plain[position], 0)
        if depth == 0 and plain[position - 1 : position + 1] == "::":
            return plain[position + 1 :]
        position -= 1
    return plain


def _parameters(text: str) -> int:
    """Where the parameter list begins (the text's length when there is none): the last bracket group at the top
    level, `const` and `&` behind it aside; not the `(anonymous namespace)` or `operator()`."""
    end = len(QUALIFIERS.sub("", text))
    if not text[:end].endswith(")"):
        return len(text)
    depth = 0
    for position in range(end - 1, -1, -1):
        depth += {")": 1, "(": -1}.get(text[position], 0)
        if depth == 0:
            before = text[:position]
            if before.endswith("operator") or text[position:].startswith("(anonymous"):
                return len(text)
            return position
    return len(text)


def _name_start(text: str, end: int) -> int:
    """Where the name begins: behind the return type that template functions carry. Conversion operators hold spaces."""
    limit = text.find("operator")
    limit = end if limit < 0 else min(limit, end)
    depth, start = 0, 0
    for position in range(limit):
        character = text[position]
        if character in "<({":
            depth += 1
        elif character in ">)}":
            depth -= 1
        elif character == " " and depth == 0:
            start = position + 1
    return start
