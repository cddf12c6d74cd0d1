"""What arrives from the kernel half, done: printed, called, reported.

    RecordHandler(manifest.records, ...).handle(batch)

One handler for each kind of record is made when the first of its kind comes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from probelang.artifact.code import Place
from probelang.artifact.manifest import Record
from probelang.diag import InternalError
from probelang.runtime.output.record import compile_batch, compile_unpacker
from probelang.runtime.output.sink import Sink
from probelang.runtime.ringbuf import Batch
from probelang.runtime.services import SessionServices
from probelang.runtime.store import Value

STYLES: Mapping[str, Literal["full", "lines", "names"]] = {
    "print_ustack": "full", "print_ubacktrace": "full", "print_ubacktrace_brief": "names",
    "print_ubacktrace_fileline": "lines",
}  # fmt: skip
_HandleBatch = Callable[[Batch], None]


@dataclass(frozen=True, slots=True)
class RecordResolver:
    """What a record only names: symbols, looked up when they are shown. `show`: what becomes of strings; None: nothing."""

    services: SessionServices
    show: Callable[[bytes], bytes] | None = None

    def symbol(self, address: int, pid: int, data: bool) -> bytes:
        symbols = self.services.symbols
        found = symbols.data(address, pid) if data else symbols.name(address, pid)
        return found or b"%#x" % (address & (1 << 64) - 1)


class RecordHandler:
    """`on_error` is told each uncaught soft error: message and place."""

    def __init__(
        self,
        records: tuple[Record, ...],
        sink: Sink,
        services: SessionServices,
        resolver: RecordResolver,
        on_error: Callable[[bytes, int], None],
    ) -> None:
        self._records = records
        self._sink = sink
        self._services = services
        self._resolver = resolver
        self._on_error = on_error
        self._handlers: dict[int, _HandleBatch] = {}

    def handle(self, batch: Batch) -> None:
        handler = self._handlers.get(batch.record)
        if handler is None:
            handler = self._handlers[batch.record] = self._make(self._records[batch.record])
        handler(batch)

    def _make(self, record: Record) -> _HandleBatch:
        match record.kind:
            case "print":
                return self._make_print(record)
            case "call":
                return self._make_call(record)
            case "error":
                return self._make_error(record)

    def _make_print(self, record: Record) -> _HandleBatch:
        render, sink = compile_batch(record, self._resolver), self._sink

        def show(batch: Batch) -> None:
            sink.print(render(batch.data, batch.offsets))

        return show

    def _make_call(self, record: Record) -> _HandleBatch:
        unpack, call = compile_unpacker(record), call_of(record.name, self._services, self._sink)

        def do(batch: Batch) -> None:
            for offset in batch.offsets:
                call(unpack(batch.data, offset))

        return do

    def _make_error(self, record: Record) -> _HandleBatch:
        unpack = compile_unpacker(record)

        def report(batch: Batch) -> None:
            for offset in batch.offsets:
                at, message = unpack(batch.data, offset)
                self._on_error(self._services.symbols.show(_text(message)), _long(at))

        return report


def call_of(name: str, services: SessionServices, sink: Sink) -> Callable[[tuple[Value, ...]], None]:
    """What a record of a call with this name does with its fields. Stacks are a string and the process's id."""
    speculations, show = services.speculations, services.symbols.show
    match name:
        case "exit":
            return lambda _: services.exit()
        case "warn":
            return lambda fields: services.warn(show(_text(fields[0])))
        case "log":
            return lambda fields: sink.print(show(_text(fields[0])) + b"\n")
        case "system":
            return lambda fields: services.system(show(_text(fields[0])))
        case "ftrace":
            return lambda fields: services.ftrace(show(_text(fields[0])))
        case "switch_file":
            return lambda _: services.switch_file()
        case "speculate":
            return lambda fields: speculations.add(_long(fields[0]), show(_text(fields[1])))
        case "commit":
            return lambda fields: speculations.commit(_long(fields[0]))
        case "discard":
            return lambda fields: speculations.discard(_long(fields[0]))
        case "code_file":
            return lambda fields: services.symbols.met_file([_long(field) for field in fields])
        case "print_ustack" | "print_ubacktrace" | "print_ubacktrace_brief" | "print_ubacktrace_fileline":
            style = STYLES[name]
            return lambda fields: sink.print(
                services.symbols.lines(_text(fields[0]), _long(fields[1]) if len(fields) > 1 else None, style)
            )
        case _:
            raise InternalError(f"the kernel half calls `{name}`, which the session does not know")


def _text(value: Value) -> bytes:
    assert isinstance(value, bytes)
    return value


def _long(value: Value) -> int:
    assert isinstance(value, int)
    return value


def place_text(places: tuple[Place, ...], at: int) -> str:
    """`near operator '+' at file:line:column`, empty for no place."""
    if not 0 <= at < len(places):
        return ""
    return places[at].near()
