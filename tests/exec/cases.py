"""The declarative run-time tests: reading `*.cases` files.

    NAME counts every call
    REQUIRES uprobe_multi
    OPTIONS -S 64
    COMMAND {counter} -t 8 -n 1000
    PROG
    probe process("{counter}").function("work") { n++ }
    probe end { println(n) }
    EXPECT
    {work}

Every case runs with the kernel backend and with ptrace, and must show the same; `ONLY kernel: reason` says why one does not.
`EACH program: counter static`: and once for each of these, as `{program}`.
`REQUIRES`: features of the kernel backend. `COMMAND` is run with -c; without one the script ends by itself. `{work}` is the sum of
what the command said of its own calls, `{said chain}` what it said behind `chain: `, one or several lines of it. `EXPECT` is the whole output of the script, `MATCH` a regular expression that is found
in it, `STDERR` one that is found on the error output, `STATUS` the exit status (0 unless said).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

HEADS = ("NAME", "REQUIRES", "ONLY", "EACH", "OPTIONS", "COMMAND", "STATUS")
BODIES = ("PROG", "EXPECT", "MATCH", "STDERR")


@dataclass(frozen=True, slots=True)
class Case:
    name: str = ""
    requires: str = ""
    only: str = ""
    each: str = ""
    options: str = ""
    command: str = ""
    status: str = "0"
    prog: str = ""
    expect: str | None = None
    match: str | None = None
    stderr: str | None = None


def read_cases(path: Path) -> list[Case]:
    """The blocks of one file; a line of dashes ends a block."""
    cases: list[Case] = []
    for block in re.split(r"^----\n", path.read_text(), flags=re.MULTILINE):
        case = read_block(block)
        if case.name:
            cases.append(case)
    return cases


def variants(case: Case) -> list[Case]:
    """One for each program that a case is for: its name is written where `{program}` stood."""
    place, _, names = case.each.partition(":")
    return [_with_program(case, "{" + place + "}", "{" + name + "}", name) for name in names.split()] or [
        case
    ]


def _with_program(case: Case, place: str, filled: str, name: str) -> Case:
    return replace(
        case, name=f"{case.name}, {name}",
        prog=case.prog.replace(place, filled), command=case.command.replace(place, filled),
        options=case.options.replace(place, filled),
    )  # fmt: skip


def read_block(block: str) -> Case:
    case, body = Case(), ""
    for line in block.splitlines():
        word, _, rest = line.partition(" ")
        if word in HEADS:
            case, body = replace(case, **{word.lower(): rest}), ""
        elif line in BODIES:
            body = line.lower()
            case = replace(case, **{body: ""})
        elif body:
            case = replace(case, **{body: getattr(case, body) + line + "\n"})
        elif line and not line.startswith("#"):
            raise ValueError(f"a line outside of every section: {line!r}")
    return case
