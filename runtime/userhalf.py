"""The handlers that run in user space: begin, end, error and timer probes; with the ptrace backend all others, too.

    half.run(number)                    runs the handler of such a probe
    half.process_handler(number)        what runs the handler of a process probe, given the context of a hit

An uncaught soft error is reported, counted, and ends only the handler. The evaluator is imported here, so a session without such handlers never pays for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from probelang.artifact.code import Handler
from probelang.artifact.manifest import Manifest, ProbeSpec
from probelang.artifact.points import LifecyclePoint, TimerPoint
from probelang.runtime.output.sink import Sink
from probelang.runtime.services import SessionServices
from probelang.runtime.store import Store

if TYPE_CHECKING:
    from probelang.runtime.evaluate.context import Context
    from probelang.runtime.evaluate.evaluator import Evaluator


class UserHalf:
    """`on_error` is told each uncaught soft error: message and number of its place."""

    def __init__(
        self,
        manifest: Manifest,
        store: Store,
        sink: Sink,
        services: SessionServices,
        on_error: Callable[[bytes, int], None],
    ) -> None:
        self._manifest = manifest
        self._store = store
        self._sink = sink
        self._services = services
        self._on_error = on_error
        self._compiled: dict[int, Callable[[], None]] = {}
        self._evaluator_made: Evaluator | None = None

    def lifecycle(self, kind: str) -> list[int]:
        """The probes of this kind with a handler, in the order in which they run."""
        found = [
            (p.point.priority, i)
            for i, p in enumerate(self._manifest.probes)
            if isinstance(p.point, LifecyclePoint) and p.point.kind == kind and p.handler is not None
        ]
        return [i for _, i in sorted(found)]

    def timers(self) -> list[tuple[int, TimerPoint]]:
        return [
            (i, p.point)
            for i, p in enumerate(self._manifest.probes)
            if isinstance(p.point, TimerPoint) and p.handler is not None
        ]

    def prepare(self) -> None:
        """Compiles what will run sooner or later, now that nothing else is to be done."""
        for number in [n for n, _ in self.timers()] + self.lifecycle("end"):
            self._code(number)

    def run(self, number: int) -> None:
        """May raise what the sink's streams raise, and Interrupted."""
        self._code(number)()

    def _code(self, number: int) -> Callable[[], None]:
        code = self._compiled.get(number)
        if code is None:
            code = self._compiled[number] = self._compile(self._manifest.probes[number])
        return code

    def _compile(self, probe: ProbeSpec) -> Callable[[], None]:
        from probelang.runtime.evaluate.context import SessionContext

        assert probe.handler is not None
        handler = self._reporting(self._evaluator().prepare(probe.handler))
        context = SessionContext(probe.name, probe.name)
        return lambda: handler(context)

    def has_entry_handler(self, number: int) -> bool:
        """Whether a return probe decides something at the function's entry."""
        return self._manifest.probes[number].before is not None

    def entry_handler(self, number: int) -> Callable[[Context], None]:
        return self._prepared(self._manifest.probes[number].before)

    def process_handler(self, number: int) -> Callable[[Context], None]:
        return self._prepared(self._manifest.probes[number].handler)

    def _prepared(self, handler: Handler | None) -> Callable[[Context], None]:
        assert handler is not None
        actions = self._manifest.limits.actions
        return self._reporting(self._evaluator().prepare(handler, actions=actions))

    def _reporting(self, handler: Callable[[Context], None]) -> Callable[[Context], None]:
        from probelang.runtime.evaluate.frame import SoftError

        on_error = self._on_error

        def run(context: Context) -> None:
            try:
                handler(context)
            except SoftError as error:
                on_error(error.message, error.at)

        return run

    @property
    def cut_strings(self) -> tuple[int, int]:
        """How many strings were cut short so far, and a place where (-1: none known)."""
        return self._evaluator_made.cut_strings if self._evaluator_made else (0, -1)

    @property
    def lost_callers(self) -> int:
        """Handlers that ended where their caller could not be found out."""
        return self._evaluator_made.lost_callers if self._evaluator_made else 0

    def _evaluator(self) -> Evaluator:
        if self._evaluator_made is None:
            from probelang.runtime.evaluate.evaluator import Evaluator

            m = self._manifest
            self._evaluator_made = Evaluator(
                m.variables,
                m.functions,
                m.automata,
                m.places,
                m.limits,
                self._store,
                self._sink,
                self._services,
                m.code_sets,
            )
        return self._evaluator_made
