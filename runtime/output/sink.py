"""Where output goes: text as the script prints it, or one JSON object a line.

    TextSink:  x=5
    JsonSink:  {"type": "variable", "name": "x", "value": 5}

A sink does not catch what its streams raise (a broken pipe is the session's business).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import BinaryIO, Protocol, TypeAlias

from probelang.runtime.store import Key, Value

Json: TypeAlias = "int | str | list[Json] | dict[str, Json] | None"


@dataclass(frozen=True, slots=True)
class Aggregate:
    """A final aggregate; everything but the count is None where it is empty or was not collected."""

    count: int
    minimum: int | None = None
    maximum: int | None = None
    sum: int | None = None
    average: int | None = None


@dataclass(frozen=True, slots=True)
class FinalVariable:
    """A global that is shown at the end: `value` of a scalar, or `rows` of an array."""

    name: str
    value: Value | Aggregate | None = None
    rows: tuple[tuple[Key, Value | Aggregate], ...] | None = None


class Sink(Protocol):
    def print(self, text: bytes) -> None:
        """Output of the script."""
        ...

    def warn(self, message: bytes) -> None:
        """warn() of the script and warnings of the session; without newline."""
        ...

    def error(self, message: bytes, place: str) -> None:
        """An uncaught soft error; `place` is `near TOKEN at file:line:column`, or empty."""
        ...

    def variable(self, variable: FinalVariable) -> None: ...
    def flush(self) -> None: ...


class TextSink:
    """Collects output and writes it at `flush`, or as soon as a good piece has come together. Messages go to `messages`."""

    def __init__(self, stream: BinaryIO, messages: BinaryIO, buffer_size: int = 1 << 16) -> None:
        self.stream = stream
        self._messages = messages
        self._buffer_size = buffer_size
        self._parts: list[bytes] = []
        self._size = 0

    def print(self, text: bytes) -> None:
        self._parts.append(text)
        self._size += len(text)
        if self._size >= self._buffer_size:
            self._write()

    def warn(self, message: bytes) -> None:
        self._say(b"WARNING: " + message)

    def error(self, message: bytes, place: str) -> None:
        self._say(b"ERROR: " + message + (f" {place}".encode("utf-8", "surrogateescape") if place else b""))

    def variable(self, variable: FinalVariable) -> None:
        # at the end of a session only: the rendering is not needed before
        from probelang.runtime.output.report import variable_text

        self.print(variable_text(variable))

    def flush(self) -> None:
        self._write()
        self.stream.flush()

    def _write(self) -> None:
        parts, self._parts, self._size = self._parts, [], 0
        if parts:
            self.stream.write(b"".join(parts))

    def _say(self, line: bytes) -> None:
        self.flush()
        self._messages.write(line + b"\n")
        self._messages.flush()


class JsonSink:
    """`{"type": "print" | "warning" | "error" | "variable", ...}`, one object a line, all on `stream`. Bytes that are no UTF-8
    are shown as `\\xff`."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream

    def print(self, text: bytes) -> None:
        self._emit({"type": "print", "text": decode(text)})

    def warn(self, message: bytes) -> None:
        self._emit({"type": "warning", "message": decode(message)})

    def error(self, message: bytes, place: str) -> None:
        self._emit({"type": "error", "message": decode(message), "place": place})

    def variable(self, variable: FinalVariable) -> None:
        record: dict[str, Json] = {"type": "variable", "name": variable.name}
        if variable.rows is None:
            record["value"] = json_value(variable.value)
        else:
            record["rows"] = [
                {"key": [json_value(part) for part in key], "value": json_value(value)}
                for key, value in variable.rows
            ]
        self._emit(record)

    def flush(self) -> None:
        self.stream.flush()

    def _emit(self, record: dict[str, Json]) -> None:
        self.stream.write(json.dumps(record).encode() + b"\n")


def decode(text: bytes) -> str:
    return text.decode("utf-8", "backslashreplace")


def json_value(value: Value | Aggregate | None) -> Json:
    match value:
        case bytes():
            return decode(value)
        case Aggregate():
            fields = {
                "count": value.count,
                "min": value.minimum,
                "max": value.maximum,
                "sum": value.sum,
                "avg": value.average,
            }
            return {name: number for name, number in fields.items() if number is not None}
        case _:
            return value
