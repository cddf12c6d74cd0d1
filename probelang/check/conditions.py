"""Arming conditions: `probe POINT if (CONDITION)` may use globals and literals, nothing else.

    global on   probe begin if (on > 1) {}    is fine;    if (pid() == 1)   ->  BadProbeCondition

The runtime evaluates them where no hit is, so nothing of the hit may be in them.
"""

from __future__ import annotations

from probelang import resolved, syntax
from probelang.check import mistakes
from probelang.check.infer import Inference
from probelang.check.walk import everything
from probelang.source import Span


def check_condition(run: Inference, condition: resolved.Condition) -> bool:
    """Whether it holds nothing forbidden; reports what is."""
    right = True
    for node in everything(condition.expression):
        what, span = "", node.span
        match node:
            case syntax.Call():
                what, span = f"call a function, here `{node.name}`", node.name_span
            case syntax.Assign() | syntax.Increment():
                what, span = "modify a variable", node.op_span
            case syntax.TargetVariable() | syntax.Member() | syntax.AddressOf() | syntax.Pretty():
                what = "use variables of the probed program"
            case syntax.AtOperator() if node.name not in ("defined", "probewrite"):
                what = f"use `@{node.name}`"
            case syntax.CodeTest():
                what = "ask who called"
            case syntax.Print() if not node.to_string:
                what = "print"
            case syntax.Name() if run.scope.find_global(node.name, condition.file) is None:
                what = f"use `{node.name}`, which is no global variable"
            case _:
                pass
        if what:
            right = False
            _report(run, span, what)
    return right


def _report(run: Inference, span: Span, what: str) -> None:
    run.report(mistakes.BadProbeCondition(span=span, what=what))
