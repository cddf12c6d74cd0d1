"""Runs a script's begin, timer and end handlers in this process: text to output, with no kernel.

    run_script('probe begin { println(1 + 2) }').text  ->  "3\\n"

Handlers run once each, in the order in which they stand. Names and types go through the real front end; the standard
library is there when asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from probelang import typed
from probelang.artifact.limits import Limits
from probelang.runtime.evaluate.context import Context, SessionContext
from probelang.runtime.evaluate.evaluator import Evaluator
from probelang.runtime.evaluate.frame import SoftError
from probelang.runtime.memorystore import MemoryStore
from probelang.runtime.output.report import final_variables, variable_text
from probelang.runtime.output.sink import FinalVariable
from probelang.runtime.output.speculation import Speculations
from probelang.runtime.output.stack import hex_stack, stack_addresses
from tests.check.scripts import check_text

STANDARD = Path(__file__).parents[2] / "stdlib"


class Symbols:
    """Two functions of one file."""

    def name(self, address: int, pid: int | None) -> bytes | None:
        return {0x401000: b"main", 0x402000: b"work"}.get(address & ~0xFFF)

    def data(self, address: int, pid: int | None) -> bytes | None:
        name = self.name(address, pid)
        return name and name + b"+%#x [prog]" % (address & 0xFFF)

    def module(self, address: int, pid: int | None) -> bytes | None:
        return b"prog" if self.name(address, pid) else None

    def function(self, address: int, pid: int | None) -> bytes:
        return self.name(address, pid) or b"%#x" % address

    def source(self, address: int, pid: int | None) -> tuple[bytes, int] | None:
        return (b"/src/prog.c", address & 0xFFF) if self.name(address, pid) else None

    def stack(
        self, addresses: Sequence[int], pid: int, is_cut: bool = False, of_callers: bool = False
    ) -> bytes:
        return b"\x1bS" + b",".join([b"%x" % address for address in addresses])

    def _addresses(self, stack: bytes) -> list[int]:
        if stack.startswith(b"\x1bS"):
            return [int(word, 16) for word in stack[2:].split(b",")]
        return stack_addresses(stack)

    def lines(self, stack: bytes, pid: int | None, style: str) -> bytes:
        addresses = self._addresses(stack)
        if style == "names":
            return b" ".join([self.function(address, pid) for address in addresses]) + b"\n"
        known = [(address, self.data(address, pid)) for address in addresses]
        return b"".join([b" %#x%s\n" % (a, b" : " + data if data else b"") for a, data in known])

    def show(self, text: bytes) -> bytes:
        if not text.startswith(b"\x1bS"):
            return text
        return b"<-".join([self.function(address, None) for address in self._addresses(text)])

    def spell(self, text: bytes) -> bytes:
        return hex_stack(self._addresses(text)) if text.startswith(b"\x1bS") else text


@dataclass(slots=True)
class Outcome:
    """What came out. `errors`: uncaught soft errors with their places; `calls`: what was asked of the session."""

    parts: list[bytes] = field(default_factory=list[bytes])
    errors: list[str] = field(default_factory=list[str])
    warnings: list[bytes] = field(default_factory=list[bytes])
    calls: list[tuple[str, bytes]] = field(default_factory=list[tuple[str, bytes]])

    @property
    def data(self) -> bytes:
        return b"".join(self.parts)

    @property
    def text(self) -> str:
        return self.data.decode("utf-8", "surrogateescape")


class RecordingSink:
    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome

    def print(self, text: bytes) -> None:
        self._outcome.parts.append(text)

    def warn(self, message: bytes) -> None:
        self._outcome.warnings.append(message)

    def error(self, message: bytes, place: str) -> None:
        self._outcome.errors.append(f"{message.decode()} {place}")

    def variable(self, variable: FinalVariable) -> None:
        self._outcome.parts.append(variable_text(variable))

    def flush(self) -> None: ...


class RecordingServices:
    def __init__(self, outcome: Outcome, sink: RecordingSink) -> None:
        self._outcome = outcome
        self._speculations = Speculations(sink.print)

    @property
    def speculations(self) -> Speculations:
        return self._speculations

    @property
    def symbols(self) -> Symbols:
        return Symbols()

    def exit(self) -> None:
        self._outcome.calls.append(("exit", b""))

    def system(self, command: bytes) -> None:
        self._outcome.calls.append(("system", command))

    def warn(self, message: bytes) -> None:
        self._outcome.warnings.append(message)

    def ftrace(self, message: bytes) -> None:
        self._outcome.calls.append(("ftrace", message))

    def switch_file(self) -> None:
        self._outcome.calls.append(("switch_file", b""))

    def target(self) -> int:
        return 4711

    def in_target_set(self, pid: int) -> bool:
        return pid in (4711, 4712)


def run_script(
    text: str, *, standard: bool = False, limits: Limits | None = None, context: Context | None = None
) -> Outcome:
    """Compiles and runs. `context`: of all handlers; else that of a begin probe."""
    library = "\n".join(path.read_text() for path in sorted(STANDARD.glob("*.probe"))) if standard else ""
    return run_program(check_text(text, library).program, limits or Limits(), context)


def run_program(program: typed.Program, limits: Limits, context: Context | None = None) -> Outcome:
    outcome = Outcome()
    sink = RecordingSink(outcome)
    store = MemoryStore(program.variables, limits.map_entries)
    evaluator = Evaluator(
        program.variables,
        program.functions,
        program.automata,
        program.places,
        limits,
        store,
        sink,
        RecordingServices(outcome, sink),
    )
    for probe in program.probes:
        try:
            evaluator.prepare(probe.handler)(context or SessionContext(probe.name, probe.name))
        except SoftError as error:
            sink.error(error.message, program.places[error.at].near())
    for variable in final_variables(program.variables, store):
        sink.variable(variable)
    return outcome
