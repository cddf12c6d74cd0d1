"""Tokens: what the lexer makes, the preprocessor rewrites and the parser reads.

    probe begin { x = 1 }   ->   "probe"  IDENT begin  "{"  IDENT x  "="  NUMBER 1  "}"  $END

The `kind` of a keyword or operator is its own text; all other kinds are upper-case words (so no text is both). A
kind is what the terminals of `grammar/probelang.lark` are called (TEXT is a string literal: lark has its own use for STRING).
"""

from __future__ import annotations

from typing import NamedTuple

from probelang.diag import Diagnostic
from probelang.source import Span

END = "$END"
IDENT = "IDENT"
PRINT = "PRINT"
NUMBER = "NUMBER"
FLOAT = "FLOAT"
TEXT = "TEXT"
TARGET = "TARGET"
AT = "AT"
CALLER = "CALLER"
IS = "IS"
WITHIN = "WITHIN"
EMBEDDED = "EMBEDDED"
BAD = "BAD"

KEYWORDS = frozenset(
    (
        *("probe", "global", "private", "function", "if", "else", "for", "foreach", "in", "limit", "return"),
        *("delete", "while", "break", "continue", "next", "string", "long", "try", "catch"),
    )
)
PRINT_FAMILY = frozenset(
    s + name for s in ("", "s") for name in ("print", "println", "printd", "printdln", "printf")
)
DECLARATION_KEYWORDS = frozenset(("probe", "global", "private", "function"))


class Token(NamedTuple):
    """`text`: as written. `value`: the decoded bytes of a TEXT. `glued`: nothing stands between it and the token before.
    `problem`: what to say when a BAD token (or a TEXT with a bad escape) reaches the parser: one in a skipped
    branch never does. `origin`: the macro call that a token came from."""

    kind: str
    text: str
    span: Span
    glued: bool = False
    value: bytes = b""
    problem: Diagnostic | None = None
    origin: Span | None = None


def describe(token: Token) -> str:
    """The token for a message."""
    match token.kind:
        case "$END":
            return "end of file"
        case "TEXT":
            return "string literal"
        case "NUMBER" | "FLOAT":
            return f"number `{token.text}`"
        case _:
            return f"`{token.text}`"


def format_tokens(tokens: tuple[Token, ...]) -> str:
    """One token a line: `LINE:COLUMN KIND text`, for --emit tokens."""
    lines: list[str] = []
    for token in tokens:
        line, column = token.span.line_column
        shown = "" if token.kind == token.text else f" {token.text}"
        lines.append(f"{line}:{column} {token.kind}{shown}\n")
    return "".join(lines)
