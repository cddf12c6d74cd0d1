"""Reading the corpus: which small scripts the language accepts, and which it rejects with what, where.

    == strings end on their line
    accept syntax
        probe begin { println("a") }
    reject syntax E0103 1:23 | args: one "and two"
        probe begin { println("a
        ") }

`== SENTENCE` names the statement about the language that the cases under it test. A case is one line and the
indented script under it. `accept` or `reject`, then how far the script is taken (`syntax` or `types`), then the mistakes in
order, separated by commas. Behind bars: `args:` the script's arguments, `globals:` -G settings, `warns:` codes of warnings,
`file:` the name of the script. Lines that start with `#` are comments.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Case:
    """`mistakes`: `CODE line:column` of each; none for a script that is accepted."""

    name: str
    stage: str
    mistakes: tuple[str, ...]
    script: str
    arguments: tuple[str, ...] = ()
    overrides: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] | None = None
    file: str = "case.probe"


def read_cases(path: Path) -> list[Case]:
    cases: list[Case] = []
    sentence = ""
    header = ""
    script: list[str] = []
    number = 0
    for line in [*path.read_text("utf-8").split("\n"), "=="]:
        if line.startswith("    ") or (not line and header):
            script.append(line[4:])
            continue
        if header:
            number += 1
            cases.append(_case(f"{path.stem}: {sentence} #{number}", header, script))
            header, script = "", []
        if line.startswith("=="):
            sentence, number = line[2:].strip(), 0
        elif line and not line.startswith("#"):
            header = line
    return cases


def _case(name: str, header: str, script: list[str]) -> Case:
    first, *settings = (part.strip() for part in header.split(" | "))
    verdict, stage, *rest = first.split(maxsplit=2)
    assert verdict in ("accept", "reject"), header
    assert stage in ("syntax", "types"), header
    assert (verdict == "reject") == bool(rest), header
    given = {name: value.strip() for name, _, value in (setting.partition(":") for setting in settings)}
    return Case(
        name,
        stage,
        tuple(mistake.strip() for mistake in rest[0].split(",")) if rest else (),
        "\n".join(script).rstrip("\n") + "\n",
        tuple(shlex.split(given.get("args", ""))),
        tuple(_override(word) for word in shlex.split(given.get("globals", ""))),
        tuple(given["warns"].split()) if "warns" in given else None,
        given.get("file", "case.probe"),
    )


def _override(word: str) -> tuple[str, str]:
    name, _, value = word.partition("=")
    return name, value
