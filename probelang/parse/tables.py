"""The parser's tables: LALR(1), made by lark from `grammar/probelang.lark`, kept in a cache.

    state 17: {"(": shift 40, "->": reduce rule 12, ...}

Importing lark and making the tables takes a third of a second; reading them back takes two milliseconds. So they
are kept in `$XDG_CACHE_HOME/probelang` (`~/.cache/probelang`), in a file that holds the grammar's text too and counts only if that is
ours, byte by byte. A file that is missing, damaged, of another user or of another Python is made anew; where none can
be written the tables are made each time. marshal, not pickle: reading it cannot run code.
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
    """The tables, from the cache if it has them."""
    grammar = GRAMMAR.read_text("utf-8")
    path = cache_path(grammar)
    tables = _read(path, grammar) if path is not None else None
    if tables is None:
        from probelang.parse.generator import make_tables

        tables = make_tables(grammar)
        if path is not None:
            _write(path, grammar, tables)
    return tables


def cache_path(grammar: str) -> Path | None:
    """Where the tables of `grammar` are kept; None where there is no home to keep them in."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not base.startswith("/"):
        home = os.environ.get("HOME", "")
        if not home.startswith("/"):
            return None
        base = f"{home}/.cache"
    key = zlib.crc32(grammar.encode())
    return Path(base, "probelang", f"grammar-{FORMAT}-{key:08x}-{sys.implementation.cache_tag}.tables")


def _read(path: Path, grammar: str) -> Tables | None:
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_uid != os.getuid():
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
