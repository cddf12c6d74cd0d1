"""The front end: from text to `syntax.Program`.

    parse(SourceFile("x.probe", "probe begin { exit() }"), Options()).program

lexer -> macros -> conditionals -> driver (LALR tables made from grammar/probelang.lark) -> actions.
Nothing of lark leaves this package; nothing here knows what a name means.
"""

from __future__ import annotations

from probelang.parse.dump import dump
from probelang.parse.front import ParseResult, parse, parse_probe_point, tokenize
from probelang.parse.macros import Macro
from probelang.parse.tokens import Token, format_tokens

__all__ = (
    "Macro",
    "ParseResult",
    "Token",
    "dump",
    "format_tokens",
    "parse",
    "parse_probe_point",
    "tokenize",
)
