"""The user half's evaluator: typed handlers become Python closures, and run over a store.

    run = Evaluator(variables, functions, automata, places, limits, store, output, services).prepare(handler)
    run(SessionContext("begin", "begin"))

It is the reference of the language's meaning: it covers everything that `probelang.artifact.code` can say, and with a
context that has registers and memory it runs handlers of process probes too.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from probelang.artifact.code import Automaton, Function, Handler, Place, Variable
from probelang.artifact.codesets import CodeSet
from probelang.artifact.limits import Limits
from probelang.runtime.evaluate.analysis import taken_variables
from probelang.runtime.evaluate.context import Context
from probelang.runtime.evaluate.expressions import Compiler
from probelang.runtime.evaluate.frame import Abort, Environment, Frame, Run
from probelang.runtime.evaluate.invocations import initial_locals
from probelang.runtime.evaluate.services import Services
from probelang.runtime.evaluate.statements import compile_body
from probelang.runtime.output.sink import Sink
from probelang.runtime.store import Store

STACK_PER_NESTING = 100  # Python frames that one call of a script's function may need, generously


class Evaluator:
    """Compiles handlers of one program. Functions are compiled when first used."""

    def __init__(
        self,
        variables: Sequence[Variable],
        functions: Sequence[Function],
        automata: Sequence[Automaton],
        places: Sequence[Place],
        limits: Limits,
        store: Store,
        output: Sink,
        services: Services,
        code_sets: Sequence[CodeSet] = (),
    ) -> None:
        self._environment = Environment(
            variables, functions, automata, places, limits, store, output, services, code_sets=code_sets
        )  # fmt: skip
        needed = 1000 + STACK_PER_NESTING * min(limits.nesting, 10_000)
        if sys.getrecursionlimit() < needed:
            sys.setrecursionlimit(needed)

    @property
    def cut_strings(self) -> tuple[int, int]:
        """How many strings were cut short so far, and a place where (-1: none known)."""
        return self._environment.cuts, self._environment.cut_at

    @property
    def lost_callers(self) -> int:
        """Handlers that ended where their caller could not be found out."""
        return self._environment.lost_callers

    def prepare(self, handler: Handler, actions: int | None = None) -> Callable[[Context], None]:
        """What runs the handler once. `actions`: its MAXACTION, None: that of the user half. Raises SoftError when the script made a mistake that nothing catches; after abort()
        it just returns, and `services.exit` has been called."""
        environment = self._environment
        compiler = Compiler(environment)
        conditions = [compiler.long(test) for test in (handler.armed, handler.when) if test is not None]
        body = compile_body(environment, handler.body, handler.at, counted=True)
        taken = taken_variables(handler, environment.functions)
        locals_ = initial_locals(handler.locals)
        store = environment.store
        allowed = environment.limits.user_actions if actions is None else actions

        def run(context: Context) -> None:
            frame = Frame(list(locals_), Run(environment, context, allowed))
            store.begin_handler(taken)
            try:
                if all(condition(frame) for condition in conditions):
                    body(frame)
            except Abort:
                pass
            finally:
                store.end_handler()

        return run
