"""docs/functions.md, made from the rows of the builtins and the `///` comments of the standard library.

python -m tests.docs.functions_page        writes it (`make docs`)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from probelang.artifact.code import Type
from probelang.builtins import (
    Builtin,
    callers,
    changes,
    clock,
    control,
    floats,
    memory,
    process,
    stacks,
    text,
)
from probelang.library import standard_folder

PAGE = Path(__file__).parent.parent.parent / "docs/functions.md"
HEAD = """# Functions

<!-- made by `make docs` from probelang/builtins and stdlib; do not edit -->

Where nothing else is said a function works in all probes. *process* means that it tells of the process that was hit, so only probes
of processes, and timer.profile, may call it; *user half* that only begin, end, error and timer probes may.
"""
GROUPS = (
    ("The process and the probe", process.ROWS),
    ("Clocks", clock.ROWS),
    ("Memory of the process", memory.ROWS),
    ("Changing the process", changes.ROWS),
    ("Floating point numbers", floats.ROWS),
    ("Strings", text.ROWS),
    ("Stacks and symbols", stacks.ROWS),
    ("Who called", callers.ROWS),
    ("Control and output", control.ROWS),
)
DECLARATION = re.compile(
    r"((?:^///.*\n)+)^function\s+(?P<name>\w+)\s*(?::\s*(?P<type>\w+))?\s*\((?P<arguments>[^)]*)\)",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Row:
    signature: str
    doc: str


def make_page() -> str:
    parts = [HEAD]
    for title, rows in GROUPS:
        parts.append(table(title, [builtin_row(row) for row in rows if not row.internal]))
    for path in sorted(Path(str(standard_folder())).rglob("*.probe")):
        rows = list(library_rows(path.read_text()))
        if rows:
            parts.append(table(f"Library: {path.stem}", rows))
    return "\n".join(parts)


def table(title: str, rows: list[Row]) -> str:
    lines = [f"| `{row.signature}` | {row.doc} |" for row in rows]
    return "\n".join([f"## {title}", "", "| function | |", "|---|---|", *lines]) + "\n"


def builtin_row(row: Builtin) -> Row:
    result = "" if row.result is Type.VOID else f":{row.result.value}"
    where = " *process*" if row.process_only else "" if row.kernel else " *user half*"
    parameters = ", ".join(kind.value for kind in row.parameters)
    return Row(f"{row.name}{result}({parameters})", escape(row.doc) + where)


def library_rows(text_of_file: str) -> Iterator[Row]:
    for match in DECLARATION.finditer(text_of_file):
        doc = " ".join(line.removeprefix("///").strip() for line in match[1].splitlines())
        result = f":{match['type']}" if match["type"] else ""
        arguments = " ".join(match["arguments"].split())
        yield Row(f"{match['name']}{result}({arguments})", escape(doc))


def escape(doc: str) -> str:
    return doc.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(make_page())
