"""Builtins on strings. A result that is longer than a string can be is cut and ends in `...`.

for (word = tokenize(line, " "); word != ""; word = tokenize(" ")) println(word)
"""

from __future__ import annotations

from probelang.artifact.code import Type
from probelang.builtins import Builtin

L, S = Type.LONG, Type.STRING

ROWS: tuple[Builtin, ...] = (
    Builtin("strlen", (S,), L, "The length of a string in bytes."),
    Builtin(
        "substr",
        (S, L, L),
        S,
        "Of a string the part from a position (from 0), of at most some length; empty when the position is outside "
        "or the length not positive.",
    ),
    Builtin("stringat", (S, L), L, "The byte (0 to 255) at a position (from 0) of a string; 0 outside it."),
    Builtin("isinstr", (S, S), L, "1 when the first string contains the second, else 0."),
    Builtin(
        "strtol",
        (S, L),
        L,
        "The number at the start of a string, in base 2 to 36, or 0: base 16 after `0x`, 8 after `0`, else 10. An optional "
        "`-`, no spaces; stops at the first byte that is no digit; 0 without digits; wraps at 64 bits.",
    ),
    Builtin(
        "matched",
        (L,),
        S,
        "What group n of the last `=~` of this handler matched; 0 is the whole match. An error when it did not match or has no "
        "such group.",
        kernel=False,
        advice="match in a timer or end probe",
    ),
    Builtin(
        "ngroups",
        (),
        L,
        "How many parts matched(n) knows after the last `=~` of this handler, the whole included; 0 when it did not match.",
        kernel=False,
        advice="match in a timer or end probe",
    ),
    Builtin(
        "tokenize",
        (S, S),
        S,
        "The first token of a string; tokens are separated by one or more bytes of the second string. "
        "The rest is kept for tokenize(delimiters) until the end of the handler.",
        effect=True,
    ),
    Builtin(
        "tokenize",
        (S,),
        S,
        "The next token of the string given last in this handler; empty after the last.",
        effect=True,
    ),
    Builtin(
        "text_str",
        (S,),
        S,
        r"A string with unprintable bytes, quotes and backslashes escaped: \a \b \f \n \r \t \v \" \\, others as three "
        "octal digits.",
    ),
    Builtin(
        "text_strn",
        (S, L, L),
        S,
        "The escaped text of a string in at most n bytes (as many as a string holds when n is not positive), in quotes "
        'when the third argument is not 0: then n is at least 5, and text that does not fit ends in "...".',
    ),
    Builtin(
        "str_replace",
        (S, S, S),
        S,
        "The first string with every occurrence of the second replaced by the third.",
    ),
)
