"""The parser's tables: LALR(1), made by lark from `grammar/probelang.lark`, kept in a cache.

    state 17: {"(": shift 40, "->": reduce rule 12, ...}

Importing lark and making the tables takes a third of a second; reading them back takes two milliseconds. So they
are kept: beside the compiled modules, where `compile_tables` puts them when the package is set up; else in
`$XDG_CACHE_HOME/probelang` (`~/.cache/probelang`). The file holds the grammar's text too and counts only if that is ours, byte by
byte. One that is missing, damaged, of another user or of another Python is made anew; where none can be written the
tables are made each time. marshal, not pickle: reading it cannot run code.
"""

from __future__ import annotations

import marshal
import os
import sys
import zlib
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, TypeAlias, cast

# Raise when the meaning of `Tables` changes.
FORMAT = 1
# importlib.resources would find it too, and take ten milliseconds to import.
GRAMMAR = Path(__file__).parent.parent / "grammar" / "probelang.lark"
COMPILED = Path(__file__).parent / "__pycache__"
STARTS = ("program", "points")

State: TypeAlias = dict[str, int]


class Rule(NamedTuple):
    """`action`: the name of what to do with the children; "" hands the only child on. `slots`: the children the action sees, by
    index into the `length` symbols of the rule; -1 stands for an optional part that is absent."""

    origin: str
    length: int
    action: str
    slots: tuple[int, ...]


class Tables(NamedTuple):
    """`actions[state][kind]`: the state to shift to, or -1 - rule to reduce. `gotos[state][origin]`: the state behind
    a reduced rule. `starts` and `ends`: the first and last state by start symbol."""

    actions: tuple[State, ...]
    gotos: tuple[State, ...]
    rules: tuple[Rule, ...]
    starts: dict[str, int]
    ends: dict[str, int]


def load_tables() -> Tables:
    """The tables, from where they are kept if they are."""
    grammar = GRAMMAR.read_text("utf-8")
    path = cache_path(grammar)
    for place in (COMPILED / file_name(grammar), path):
        tables = _read(place, grammar) if place is not None else None
        if tables is not None:
            return tables
    from probelang.parse.generator import make_tables

    tables = make_tables(grammar)
    if path is not None:
        _write(path, grammar, tables)
    return tables


def compile_tables() -> None:
    """Puts the tables beside the compiled modules, if they are not there already."""
    from probelang.parse.generator import make_tables

    grammar = GRAMMAR.read_text("utf-8")
    path = COMPILED / file_name(grammar)
    if _read(path, grammar) is None:
        _write(path, grammar, make_tables(grammar))


def file_name(grammar: str) -> str:
    return f"grammar-{FORMAT}-{zlib.crc32(grammar.encode()):08x}-{sys.implementation.cache_tag}.tables"


def cache_path(grammar: str) -> Path | None:
    """Where the tables of `grammar` are kept; None where there is no home to keep them in."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not base.startswith("/"):
        home = os.environ.get("HOME", "")
        if not home.startswith("/"):
            return None
        base = f"{home}/.cache"
    return Path(base, "probelang", file_name(grammar))


def _read(path: Path, grammar: str) -> Tables | None:
    try:
        with path.open("rb") as file:
            # whoever owns this code could change it as well
            if os.fstat(file.fileno()).st_uid not in (os.getuid(), os.stat(__file__).st_uid):
                return None
            data = file.read()
        if len(data) < 4 or zlib.crc32(data[4:]) != int.from_bytes(data[:4], "little"):
            return None
        text, content = cast("tuple[str, tuple[object, ...]]", marshal.loads(data[4:]))
        if text != grammar:
            return None
        actions, gotos, rules, starts, ends = content
        return Tables(
            cast("tuple[State, ...]", actions),
            cast("tuple[State, ...]", gotos),
            tuple(Rule(*rule) for rule in cast("tuple[tuple[str, int, str, tuple[int, ...]], ...]", rules)),
            cast("dict[str, int]", starts),
            cast("dict[str, int]", ends),
        )
    except (OSError, ValueError, EOFError, TypeError):
        return None


def _write(path: Path, grammar: str, tables: Tables) -> None:
    rules = tuple((rule.origin, rule.length, rule.action, rule.slots) for rule in tables.rules)
    plain = (tables.actions, tables.gotos, rules, tables.starts, tables.ends)
    data = marshal.dumps((grammar, plain))
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    with suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary.write_bytes(zlib.crc32(data).to_bytes(4, "little") + data)
        temporary.replace(path)
