"""Conditions `when (..)` of return probes: what is decided where the call begins, and what only its return knows.

    .return when ($n > 5 && $return < 0 && caller is function("g"))   ->   entry: $n > 5, caller is ...     return: $return < 0

The conditions that stand first are decided at the entry, up to one that needs the return; behind that one only what is the same
at both, as `$return == 0 && $out->n > 5` is written by people who mean the `n` that the call has left.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from probelang import resolved, syntax
from probelang.check.scope import Scope
from probelang.check.walk import Code, everything, parts

_OF_RETURN = frozenset((
    "returnval", "register", "u_register", "uaddr", "ubacktrace", "ustack", "ucallers", "print_ubacktrace",
    "print_ubacktrace_brief", "sprint_ubacktrace", "caller", "caller_addr", "callers", "is_return",
))  # fmt: skip
"""Builtins that say something else at the entry."""
_OPERATORS_OF_RETURN = frozenset(("elapsed", "uregister"))
_SAME = frozenset(("tid", "pid", "uid", "euid", "gid", "egid", "target", "pp", "pn", "ppfunc"))
"""Builtins that say the same all through a call."""
_TOTAL = frozenset(
    ["+", "-", "*", "&", "|", "^", "<<", ">>", ">>>", "&&", "||", "==", "!=", "<", "<=", ">", ">="]
)
"""Operators that cannot fail."""


def split_conditions(
    scope: Scope, probe: resolved.Probe
) -> tuple[tuple[resolved.Condition, ...], tuple[resolved.Condition, ...]]:
    """Of a return probe: conditions at the entry, and those at the return. All joined by && are the condition of the probe."""
    at_entry: list[resolved.Condition] = []
    at_return: list[resolved.Condition] = []
    functions = _Functions(scope)
    for condition in probe.when:
        for part in _conjuncts(condition.expression):
            one = replace(condition, expression=part)
            moves = _is_same(part) or not (at_return or functions.need_return(part, condition.file))
            (at_entry if moves else at_return).append(one)
    return tuple(at_entry), tuple(at_return)


def _conjuncts(node: syntax.Expression) -> Iterator[syntax.Expression]:
    if isinstance(node, syntax.Binary) and node.op == "&&":
        yield from _conjuncts(node.left)
        yield from _conjuncts(node.right)
    else:
        yield node


def _is_same(node: Code) -> bool:
    """Whether code has no effect, cannot fail, and says the same wherever it stands in a call."""
    match node:
        case syntax.Number() | syntax.CodeTest():
            return True
        case syntax.AtOperator(name="entry", arguments=(inner,)):
            return not any(
                isinstance(n, syntax.Assign | syntax.Increment | syntax.Call) for n in everything(inner)
            )
        case syntax.Binary(op=op) if op not in _TOTAL:
            return False
        case syntax.Call(name=name) if name not in _SAME:
            return False
        case syntax.Binary() | syntax.Unary() | syntax.Conditional() | syntax.Call():
            return all(map(_is_same, parts(node)))
        case _:
            return False


class _Functions:
    """Which of the script's functions need the return."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._known: dict[str, bool] = {}

    def need_return(self, node: syntax.Expression, file: str) -> bool:
        """Of a condition: also where it uses a local variable, which the handler has at the return."""
        return self._need(node) or any(
            isinstance(n, syntax.Name) and self._scope.find_global(n.name, file) is None
            for n in everything(node)
        )

    def _need(self, node: Code) -> bool:
        match node:
            case syntax.AtOperator(name="entry"):
                return False
            case syntax.AtOperator(name=name) if name in _OPERATORS_OF_RETURN:
                return True
            case syntax.TargetVariable(name="return"):
                return True
            case syntax.Call(name=name) if name in _OF_RETURN or self._calls_for_it(name):
                return True
            case _:
                return any(map(self._need, parts(node)))

    def _calls_for_it(self, name: str) -> bool:
        if name not in self._known:
            self._known[name] = False  # what it finds when it calls itself
            self._known[name] = any(self._need(body) for body in self._bodies(name))
        return self._known[name]

    def _bodies(self, name: str) -> Iterable[syntax.Block]:
        return (f.declared.declaration.body for f in self._scope.functions if f.name == name)
