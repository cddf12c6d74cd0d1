"""Builtins about the stack of the probed process and about its symbols.

    probe P { seen[ubacktrace()] <<< 1 }
    probe end { foreach (s in seen- limit 5) { print_ustack(s) printf("\t%d times\n", @count(seen[s])) } }

A stack is a short string that stands for its frames, the innermost first, whatever their number; it shows as their functions' names. It is
unwound as debuggers do it, by the tables that programs carry for exceptions, and by frame pointers where a file has none.
"""

from __future__ import annotations

from probelang.artifact.code import Type
from probelang.builtins import Builtin

L, S, V = Type.LONG, Type.STRING, Type.VOID
_LATER = "keep ubacktrace() in an array and turn it into text in a timer or end probe"

ROWS: tuple[Builtin, ...] = (
    Builtin(
        "ubacktrace", (), S, "The stack of the current task in user mode: who called whom, up to 127 frames."
    ),
    Builtin("ustack", (L,), L, "Address n (from 0, the current instruction) of the stack; 0 beyond its end."),
    Builtin("ucallers", (L,), S, "The first n addresses of the stack."),
    Builtin("usymname", (L,), S, "The name of the function at an address, or the address in hexadecimal."),
    Builtin("usymdata", (L,), S, "`function+offset [file]` of an address, or the address in hexadecimal."),
    Builtin(
        "umodname",
        (L,),
        S,
        "The name, without folders, of the file that is mapped at an address; `<unknown>` where none is.",
    ),
    *(
        Builtin(
            name,
            (L,),
            S,
            f"{what} of an address; in hexadecimal where it is not known.",
        )
        for name, what in (
            ("usymfile", "The source file"),
            ("usymline", "The line in the source file"),
            ("usymfileline", "`file:line`, without folders,"),
        )
    ),
    Builtin("print_ustack", (S,), V, "Prints a stack, one line for each address, with symbols.", effect=True),
    Builtin("print_ubacktrace", (), V, "Prints the current stack, one line for each address.", effect=True),
    Builtin(
        "print_ubacktrace_brief",
        (),
        V,
        "Prints the names of the current stack's functions in a line.",
        effect=True,
    ),
    Builtin(
        "print_ubacktrace_fileline",
        (),
        V,
        "Prints the current stack, one line for each function, with source files and lines.",
        effect=True,
    ),
    Builtin(
        "sprint_ubacktrace_brief",
        (),
        S,
        "The names of the current stack's functions in a line.",
        kernel=False,
        advice=_LATER,
    ),
    Builtin(
        "sprint_ubacktrace", (), S, "The current stack as text, with symbols.", kernel=False, advice=_LATER
    ),
    Builtin(
        "sprint_usyms", (S,), S, "A stack as text, one line for each address.", kernel=False, advice=_LATER
    ),
)
