"""The actions of the grammar that make declarations and probe points.

    probe {a, b}.c ? { }   ->   Probe(points=(a.c ?, b.c ?), body)

Braces are multiplied out, in order; `if` and `when` conditions inside and behind them are joined.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal, NamedTuple, cast

from probelang.diag.deferred import Deferred
from probelang.parse.builder import Builder
from probelang.parse.expressions import number
from probelang.parse.literals import decode_number
from probelang.parse.tokens import Token
from probelang.source import Span
from probelang.syntax import (
    Alias,
    Binary,
    Block,
    Component,
    Expression,
    Function,
    GlobalVariable,
    Number,
    Parameter,
    Probe,
    ProbePoint,
    String,
)

if TYPE_CHECKING:
    from probelang.diag import syntax as mistakes
else:
    mistakes = Deferred("probelang.diag.syntax")

MAX_POINTS = 10_000
MAX_ENTRIES = 2**31 - 1

# ------------------------------------------------------------------------------------------- probe points


class Point(NamedTuple):
    """A probe point under construction; `suffix`: its `?`, `!`, `if` or `when`, the first of them."""

    components: tuple[Component, ...]
    span: Span
    optional: Literal["", "?", "!"] = ""
    armed: Expression | None = None
    when: Expression | None = None
    suffix: Token | None = None


class Group(NamedTuple):
    """`{ a, b }` as a component."""

    points: list[Point]
    span: Span


def component(
    _: Builder, token: Token, opening: Token | None = None, closing: Token | None = None
) -> Component:
    return Component(token.span if closing is None else token.span.to(closing.span), token.text)


def component_argument(
    _: Builder, token: Token, opening: Token, literal: Number | String, closing: Token
) -> Component:
    return Component(token.span.to(closing.span), token.text, literal.value)


def component_group(_: Builder, opening: Token, points: list[list[Point]], closing: Token) -> Group:
    return Group([point for alternatives in points for point in alternatives], opening.span.to(closing.span))


def point(
    builder: Builder,
    components: list[Component | Group],
    optional: Token | None,
    word_if: Token | None,
    opening: Token | None,
    armed: Expression | None,
    closing: Token | None,
    word_when: Token | None,
    opening_when: Token | None,
    when: Expression | None,
    closing_when: Token | None,
) -> list[Point]:
    span = components[0].span.to(components[-1].span)
    for part in (optional, closing, closing_when):
        span = span.to(part.span) if part is not None else span
    mark = cast(Literal["", "?", "!"], optional.text if optional is not None else "")
    suffix = optional or word_if or word_when
    return [
        Point(
            made.components,
            span,
            mark or made.optional,
            _both(made.armed, armed),
            _both(made.when, when),
            suffix or made.suffix,
        )
        for made in _multiply(builder, components, span)
    ]


def _multiply(builder: Builder, components: list[Component | Group], span: Span) -> list[Point]:
    """All points that the components stand for; the suffixes are those of a group at the end."""
    points = [Point((), span)]
    for part in components:
        for before in points:
            if before.suffix is not None:
                builder.errors.append(mistakes.SuffixNotLast(span=before.suffix.span))
                return points[:1]
        if isinstance(part, Component):
            points = [Point((*before.components, part), span) for before in points]
            continue
        if len(points) * len(part.points) > MAX_POINTS:
            what = "the number of probe points that braces stand for"
            builder.errors.append(mistakes.OutOfRange(span=span, what=what, least=1, most=MAX_POINTS))
            return points[:1]
        points = [
            after._replace(components=before.components + after.components)
            for before in points
            for after in part.points
        ]
    return points


def _both(left: Expression | None, right: Expression | None) -> Expression | None:
    if left is None or right is None:
        return left or right
    return Binary(left.span.to(right.span), "&&", left, right, right.span)


def finished_points(points: list[list[Point]]) -> tuple[ProbePoint, ...]:
    return tuple(
        ProbePoint(point.span, point.components, point.optional, point.armed, point.when)
        for alternatives in points
        for point in alternatives
    )


# ----------------------------------------------------------------------------------- probes and functions


def probe(builder: Builder, word: Token, points: list[list[Point]], body: Block) -> Probe:
    return Probe(word.span.to(body.span), finished_points(points), body)


class AliasName(NamedTuple):
    points: list[Point]
    op: Token


def alias_name(builder: Builder, points: list[Point], op: Token) -> AliasName:
    for point in points:
        if point.suffix is not None:
            found = f"`{point.suffix.text}`"
            builder.errors.append(mistakes.BadAliasName(span=point.suffix.span, found=found))
        for part in point.components:
            if part.argument is not None:
                found = f"parameters: `{part.span.text}`"
                builder.errors.append(mistakes.BadAliasName(span=part.span, found=found))
    return AliasName(points, op)


def alias(
    builder: Builder,
    word: Token,
    names: list[AliasName],
    points: list[list[Point]],
    body: Block,
    comma: Token | None,
    epilogue: Block | None,
) -> Alias:
    op: Literal["=", "+="] = "+=" if any(name.op.text == "+=" for name in names) else "="
    if comma is not None and op == "+=":
        builder.errors.append(mistakes.EpilogueAliasBlocks(span=comma.span))
    return Alias(
        word.span.to((epilogue or body).span),
        tuple(point.components for name in names for point in name.points),
        op,
        finished_points(points),
        body,
        epilogue,
    )


def function(
    builder: Builder,
    private: Token | None,
    word: Token,
    name: Token,
    colon: Token | None,
    result: Token | None,
    opening: Token,
    parameters: list[Parameter],
    closing: Token,
    priority_colon: Token | None,
    priority: Token | None,
    body: Block,
) -> Function:
    builder.returns.clear()
    level: int | None = None
    if priority is not None:
        level = number(builder, priority).value
        if decode_number(priority.text) is not None and level < 1:
            builder.errors.append(
                mistakes.OutOfRange(span=priority.span, what="a function's priority", least=1)
            )
    return Function(
        (private or word).span.to(body.span),
        name.text,
        name.span,
        private is not None,
        _type(result),
        tuple(parameters),
        level,
        body,
    )


def parameter(_: Builder, name: Token, colon: Token | None, type_: Token | None) -> Parameter:
    return Parameter(name.span, name.text, _type(type_))


def _type(token: Token | None) -> Literal["long", "string"] | None:
    return None if token is None else cast(Literal["long", "string"], token.text)


# ------------------------------------------------------------------------------------------------ globals


def variable(
    builder: Builder,
    name: Token,
    wrap: Token | None,
    opening: Token | None,
    size: Token | None,
    closing: Token | None,
    equals: Token | None,
    initial: Number | String | None,
) -> GlobalVariable:
    entries: int | None = None
    if size is not None:
        entries = number(builder, size).value
        if decode_number(size.text) is not None and not 1 <= entries <= MAX_ENTRIES:
            what = "the size of an array"
            builder.errors.append(mistakes.OutOfRange(span=size.span, what=what, least=1, most=MAX_ENTRIES))
        if equals is not None:
            builder.errors.append(mistakes.InitialisedArray(span=equals.span, name=name.text))
    return GlobalVariable(name.span, name.text, False, wrap is not None, entries, initial)


def global_variables(
    _: Builder, word: Token, variables: list[GlobalVariable], semicolon: Token | None
) -> list[GlobalVariable]:
    return variables


def private_globals(
    builder: Builder, private: Token, word: Token, variables: list[GlobalVariable], semicolon: Token | None
) -> list[GlobalVariable]:
    return private_variables(builder, private, variables, semicolon)


def private_variables(
    _: Builder, private: Token, variables: list[GlobalVariable], semicolon: Token | None
) -> list[GlobalVariable]:
    return [replace(variable, private=True) for variable in variables]


def declared(
    builder: Builder, before: object, declaration: Probe | Alias | Function | list[GlobalVariable]
) -> None:
    if isinstance(declaration, list):
        builder.declarations.extend(declaration)
    else:
        builder.declarations.append(declaration)
    builder.finish_declaration()
