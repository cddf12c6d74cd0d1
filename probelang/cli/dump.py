"""What `--emit STAGE` shows: the value of a stage as indented text, spans left out.

Probe(
  points=(ProbePoint(components=(Component(name='begin', argument=None),), ...),),
)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import cast

from probelang import resolved, syntax, typed
from probelang.source import SourceFile, Span, decode_text

WIDTH = 110


def dump(stage: str, value: object) -> str:
    """The stage's own form where it has one, else its dataclasses; text (LLVM, assembly) as it is."""
    if stage == "tokens":
        from probelang import parse

        return parse.format_tokens(cast("tuple[parse.Token, ...]", value))
    if stage == "syntax" and isinstance(value, syntax.Program):
        from probelang import parse

        return parse.dump(value)
    if stage == "resolved" and isinstance(value, resolved.Program):
        from probelang import resolve

        return resolve.dump(value)
    if stage == "typed" and isinstance(value, typed.Program):
        from probelang import check

        return check.dump(value)
    if isinstance(value, bytes):
        return decode_text(value)
    if isinstance(value, str):
        return value if value.endswith("\n") else value + "\n"
    if isinstance(value, tuple | list):
        items: list[object] = list(value)  # pyright: ignore[reportUnknownArgumentType]
        return "".join(_pretty(item, 0) + "\n" for item in items)
    return _pretty(value, 0) + "\n"


def _pretty(value: object, indent: int) -> str:
    """One line where it fits, else one line a field."""
    flat = _flat(value)
    if len(flat) + indent <= WIDTH:
        return flat
    opening, parts, closing = _parts(value)
    if not parts:
        return flat
    pad = " " * (indent + 2)
    lines = [f"{pad}{name}{_pretty(part, indent + 2)}," for name, part in parts]
    return "\n".join([opening, *lines, " " * indent + closing])


def _flat(value: object) -> str:
    opening, parts, closing = _parts(value)
    if not parts:
        return opening + closing
    return opening + ", ".join(name + _flat(part) for name, part in parts) + closing


def _parts(value: object) -> tuple[str, list[tuple[str, object]], str]:
    """How a value is bracketed, and what stands between."""
    match value:
        case Enum():
            return str(value.value), [], ""
        case SourceFile():
            return value.name, [], ""
        case Span():
            line, column = value.line_column
            return f"{line}:{column}", [], ""
        case tuple() | list() | frozenset():
            items: list[object] = list(value)  # pyright: ignore[reportUnknownArgumentType]
            return "(", [("", item) for item in items], ")"
        case dict():
            pairs: list[tuple[object, object]] = list(value.items())  # pyright: ignore[reportUnknownArgumentType]
            return "{", [(f"{key!r}: ", item) for key, item in pairs], "}"
        case _ if is_dataclass(value) and not isinstance(value, type):
            return f"{type(value).__name__}(", list(_fields(value)), ")"
        case _:
            return repr(value), [], ""


def _fields(value: object) -> Iterator[tuple[str, object]]:
    for field in fields(value):  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        content: object = getattr(value, field.name)
        # a layout holds the typed program that it was made from, which has a stage of its own
        if not isinstance(content, Span | typed.Program):
            yield f"{field.name}=", content
