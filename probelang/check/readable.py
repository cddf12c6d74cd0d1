"""Whether what a script names of the probed program is there and can be read at a place: `@defined($x->y)`."""

from __future__ import annotations

from probelang import syntax
from probelang.check.listings import variables_of
from probelang.check.objects import TROUBLES, Asking, NotAnObject, Walk
from probelang.check.scope import Body, Scope
from probelang.target.location import Unavailable
from probelang.target.values import is_aggregate, value


def is_readable(node: syntax.Expression, body: Body, scope: Scope) -> bool | None:
    """None where the expression is one of the script, or stands for a builtin."""
    walk = Walk(scope, body, Asking())
    try:
        match node:
            case syntax.Pretty(base=syntax.TargetVariable(special=True) as base):
                return _is_listed(walk, base)
            case syntax.TargetVariable(special=True):
                return _is_listed(walk, node)
            case syntax.Pretty(base=base):
                walk.object(base)
            case syntax.AddressOf():
                walk.object(node)
            case syntax.AtOperator(name="entry"):
                return walk.body.targets.entries is not None or walk.body.targets.begins
            case syntax.AtOperator(name="enum" | "enumname"):
                return _is_known(walk, node)
            case _:
                found = walk.object(node)
                if not isinstance(node, syntax.Name | syntax.Call) and not is_aggregate(found.type):
                    value(found, walk.reader(node))
        return True
    except NotAnObject:
        return None
    except TROUBLES:
        return False


def _is_listed(walk: Walk, node: syntax.TargetVariable) -> bool:
    if walk.body.targets.site is not None and walk.body.targets.site.mark is not None:
        return node.name in ("name", "provider", "parms", "vars")
    return any(not isinstance(found, Unavailable) for _, found in variables_of(walk, node))


def _is_known(walk: Walk, node: syntax.AtOperator) -> bool:
    from probelang.check.infer_target import enum_type, enumerator

    if node.name == "enum":
        enumerator(walk.body, node)
    else:
        enum_type(walk, node)
    return True
