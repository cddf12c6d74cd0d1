"""What a library file defines, told from its text without parsing it.

    scan("function f(a) { } private global x  probe al.open = begin { }")
    ->  FileIndex(functions={"f"}, globals=set(), aliases={"al.open"})

Too much is harmless (a definition in a comment: the file is parsed for nothing), too little is not: so this takes
whatever looks like a definition. Private names are left out, nobody else sees them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_SPACE = r"(?:\s|//[^\n]*\n|\#[^\n]*\n|/\*.*?\*/)"
_LITERAL = r'(?:"(?:[^"\\]|\\.)*"|-?\s*\w+)'
_VARIABLE = (
    rf"[A-Za-z_$][\w$]*{_SPACE}*%?{_SPACE}*(?:\[[^\]]*\])?{_SPACE}*%?{_SPACE}*(?:={_SPACE}*{_LITERAL})?"
)
_FUNCTION = re.compile(rf"\b(private{_SPACE}+)?function{_SPACE}+([A-Za-z_$][\w$]*)", re.DOTALL)
_GLOBAL = re.compile(
    rf"\b(private{_SPACE}+)?global{_SPACE}+({_VARIABLE}(?:{_SPACE}*,{_SPACE}*{_VARIABLE})*)", re.DOTALL
)
_ALIAS = re.compile(rf"\bprobe{_SPACE}+((?:[\w.]+{_SPACE}*\+?={_SPACE}*)+)(?!=)", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_$][\w$]*")


@dataclass(frozen=True, slots=True)
class FileIndex:
    """Names that the rest of a session sees. Names of aliases are dotted."""

    functions: frozenset[str]
    globals: frozenset[str]
    aliases: frozenset[str]


def scan(text: str) -> FileIndex:
    functions = frozenset(m[2] for m in _FUNCTION.finditer(text) if not m[1])
    variables = frozenset(name for m in _GLOBAL.finditer(text) if not m[1] for name in _declared(m[2]))
    aliases = frozenset(
        name.strip() for m in _ALIAS.finditer(text) for name in re.split(r"\+?=", _bare(m[1])) if name.strip()
    )
    return FileIndex(functions, variables, aliases)


def _bare(text: str) -> str:
    """Without comments and space."""
    return re.sub(_SPACE, " ", text, flags=re.DOTALL)


def _declared(variables: str) -> list[str]:
    """`a, b[10] = 5` -> a, b."""
    bare = re.sub(r'"(?:[^"\\]|\\.)*"|\[[^\]]*\]|=\s*-?\s*\w+', " ", _bare(variables))
    return _NAME.findall(bare)
