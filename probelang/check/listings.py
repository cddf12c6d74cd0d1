"""What `$$vars`, `$$parms`, `$$locals` and `$$return` stand for at a place: names, each with its object or why it cannot be read."""

from __future__ import annotations

from typing import TypeAlias

from probelang import syntax
from probelang.check.objects import NotAnObject, Walk
from probelang.diag.deferred import variables
from probelang.target.location import Unavailable
from probelang.target.mistake import TargetMistake
from probelang.target.site import Kind
from probelang.target.values import Object

Row: TypeAlias = tuple[str, Object | Unavailable]
_KINDS: dict[str, Kind] = {"vars": "vars", "parms": "parms", "locals": "locals"}


def variables_of(walk: Walk, node: syntax.TargetVariable) -> list[Row]:
    """Raises TargetMistake and NotAnObject."""
    context = walk.body.targets.site
    if context is None:
        raise NotAnObject
    if context.mark is not None and node.name in ("vars", "parms"):
        return list(context.mark.all())
    if node.name == "return":
        if not context.is_return:
            raise TargetMistake(variables.NeedsReturnProbe(what="$$return"))
        return _result(walk)
    if node.name not in _KINDS:
        raise NotAnObject
    if context.is_return:
        return [(name, _before(walk, name, node)) for name in _names(walk, node.name)]
    return list(context.target.all_variables(_KINDS[node.name], walk.inner.at(node)))


def _result(walk: Walk) -> list[Row]:
    context = walk.body.targets.site
    assert context is not None
    if not context.target.scope.has_result():
        return []
    try:
        return [("return", context.target.result())]
    except Unavailable as reason:
        return [("return", reason)]


def _names(walk: Walk, kind: str) -> list[str]:
    context = walk.body.targets.site
    assert context is not None
    known = context.target.scope.variables()
    return [n for n, v in known.items() if kind == "vars" or (kind == "parms") == (v.kind == "parameter")]


def _before(walk: Walk, name: str, node: syntax.TargetVariable) -> Object | Unavailable:
    """In a return probe: as it was when the function was entered."""
    try:
        return walk.object(syntax.TargetVariable(node.span, name))
    except Unavailable as reason:
        return reason
