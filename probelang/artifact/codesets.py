"""Sets of code: what `caller is`, `caller in` and `within` of a script ask about.

    caller is function("parse_*")   ->  CodeSet("function(\\"parse_*\\")", (CodeFile("/bin/x", "9f..", ((0x1140, 0x11c3), ...)),))
    caller in library("libssl.so*") ->  CodeSet("library(\\"libssl.so*\\")", (CodeFile("/usr/lib/.../libssl.so.3", "..", None),))

Code is named by file and offset in it, never by address: one set holds for every process, wherever it has mapped the file.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CodeFile:
    """Code of one file. `ranges`: offsets in the file, [low, high), ascending and apart; None: all of its code. `offset_of_code`,
    `address_of_code`, `code_bytes`: its executable segment in the file and in the image (the program header with PF_X, which
    linkers write once). `is_fixed`: the image is loaded where its addresses say (ET_EXEC)."""

    path: str
    build_id: str
    ranges: tuple[tuple[int, int], ...] | None
    offset_of_code: int = 0
    address_of_code: int = 0
    code_bytes: int = 0
    is_fixed: bool = False


@dataclass(frozen=True, slots=True)
class Hook:
    """Functions of one file, by the offsets of their entries, whose returns are hooked so that a call under way is known."""

    path: str
    offsets: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CodeSet:
    """`text`: as the script has it. `hooks`: of a `within`, the functions that are known by their hooked returns; `unhooked`: whether
    some of the set's code cannot be known so (inlined copies, functions that exceptions may leave), and stacks must be unwound. `around`:
    where that are copies only, the functions that hold them, all of whose returns are hooked: while none of these is under way no copy is."""

    text: str
    files: tuple[CodeFile, ...]
    hooks: tuple[Hook, ...] = ()
    unhooked: bool = False
    around: CodeSet | None = None
