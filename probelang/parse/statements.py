"""The actions of the grammar that make statements.

if_statement("if", "(", x, ")", y, None, None)  ->  If(x, y, None)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from probelang.diag.deferred import Deferred
from probelang.parse.builder import Builder
from probelang.parse.expressions import Indexes
from probelang.parse.operators import SORT_OPERATORS
from probelang.parse.tokens import Token
from probelang.syntax import (
    Block,
    Break,
    Continue,
    Delete,
    Empty,
    Expression,
    ExpressionStatement,
    For,
    Foreach,
    Histogram,
    If,
    Name,
    Next,
    Return,
    SortDirection,
    Statement,
    Try,
    While,
)

if TYPE_CHECKING:
    from probelang.diag import syntax as mistakes
else:
    mistakes = Deferred("probelang.diag.syntax")


def block(_: Builder, opening: Token, statements: list[Statement], end: Token) -> Block:
    return Block(opening.span.to(end.span), tuple(statements))


def empty(_: Builder, semicolon: Token) -> Empty:
    return Empty(semicolon.span)


def expression_statement(_: Builder, value: Expression, semicolon: Token | None) -> ExpressionStatement:
    return ExpressionStatement(value.span, value)


def if_statement(
    _: Builder,
    word: Token,
    opening: Token,
    condition: Expression,
    closing: Token,
    then: Statement,
    word_else: Token | None,
    otherwise: Statement | None,
) -> If:
    return If(word.span.to((otherwise or then).span), condition, then, otherwise)


def while_statement(
    _: Builder, word: Token, opening: Token, condition: Expression, closing: Token, body: Statement
) -> While:
    return While(word.span.to(body.span), condition, body)


def absent(_: Builder, token: Token | None = None) -> None:
    return None


def for_statement(
    _: Builder,
    word: Token,
    opening: Token,
    init: Expression | None,
    first: Token,
    condition: Expression | None,
    second: Token,
    step: Expression | None,
    closing: Token,
    body: Statement,
) -> For:
    return For(word.span.to(body.span), init, condition, step, body)


def return_nothing(builder: Builder, word: Token, semicolon: Token | None) -> Return:
    builder.returns.append(word.span)
    return Return(word.span, None)


def return_value(builder: Builder, word: Token, value: Expression, semicolon: Token | None) -> Return:
    builder.returns.append(word.span)
    return Return(word.span.to(value.span), value)


def next_statement(_: Builder, word: Token, semicolon: Token | None) -> Next:
    return Next(word.span)


def break_statement(_: Builder, word: Token, semicolon: Token | None) -> Break:
    return Break(word.span)


def continue_statement(_: Builder, word: Token, semicolon: Token | None) -> Continue:
    return Continue(word.span)


def delete_statement(_: Builder, word: Token, target: Expression, semicolon: Token | None) -> Delete:
    return Delete(word.span.to(target.span), target)


def try_statement(
    _: Builder,
    word: Token,
    body: Block,
    word_catch: Token,
    opening: Token | None,
    variable: Token | None,
    closing: Token | None,
    handler: Block,
) -> Try:
    caught = None if variable is None else Name(variable.span, variable.text)
    return Try(word.span.to(handler.span), body, caught, handler)


# ------------------------------------------------------------------------------------------------ foreach


class Sorted(NamedTuple):
    """A loop variable and the `+` or `-` behind it."""

    name: Name
    sort: Token | None

    @property
    def direction(self) -> SortDirection:
        return _direction(self.sort)


class ForeachArray(NamedTuple):
    name: Name
    slice: tuple[Expression | None, ...] | None


class Order(NamedTuple):
    """`@op-` behind the array; `op` is "" for the plain value."""

    op: str
    sort: Token


def _direction(token: Token | None) -> SortDirection:
    return "" if token is None else cast(SortDirection, token.text)


def sorted_name(_: Builder, name: Token, sort: Token | None) -> Sorted:
    return Sorted(Name(name.span, name.text), sort)


def bracketed(_: Builder, opening: Token, keys: list[Sorted], closing: Token) -> list[Sorted]:
    return keys


def foreach_array(
    _: Builder, name: Token, opening: Token | None, indexes: Indexes | None, closing: Token | None
) -> ForeachArray:
    return ForeachArray(Name(name.span, name.text), None if indexes is None else tuple(indexes))


def order(builder: Builder, at: Token | None, sort: Token) -> Order:
    if at is None:
        return Order("", sort)
    if at.text[1:] not in SORT_OPERATORS:
        expected = tuple(f"`@{op}`" for op in ("count", "sum", "min", "max", "avg"))
        builder.errors.append(mistakes.UnexpectedToken(span=at.span, found=f"`{at.text}`", expected=expected))
    return Order(at.text[1:], sort)


def foreach_value(
    builder: Builder,
    word: Token,
    opening: Token,
    value: Sorted,
    equals: Token,
    keys: list[Sorted],
    word_in: Token,
    target: ForeachArray | Histogram,
    order: Order | None,
    word_limit: Token | None,
    limit: Expression | None,
    closing: Token,
    body: Statement,
) -> Foreach:
    return _foreach(builder, word, value, keys, target, order, limit, body)


def foreach_keys(
    builder: Builder,
    word: Token,
    opening: Token,
    keys: list[Sorted],
    word_in: Token,
    target: ForeachArray | Histogram,
    order: Order | None,
    word_limit: Token | None,
    limit: Expression | None,
    closing: Token,
    body: Statement,
) -> Foreach:
    return _foreach(builder, word, None, keys, target, order, limit, body)


def _foreach(
    builder: Builder,
    word: Token,
    value: Sorted | None,
    keys: list[Sorted],
    target: ForeachArray | Histogram,
    order: Order | None,
    limit: Expression | None,
    body: Statement,
) -> Foreach:
    builder.take_histogram(target)
    sorts = [sort for _, sort in (*([value] if value else []), *keys) if sort is not None]
    sorts.extend([order.sort] if order else [])
    for extra in sorts[1:]:
        builder.errors.append(mistakes.SeveralSorts(span=extra.span, first=sorts[0].span))
    array, slice_ = (target.name, target.slice) if isinstance(target, ForeachArray) else (target, None)
    return Foreach(
        word.span.to(body.span),
        keys=tuple(key.name for key in keys),
        key_sorts=tuple(key.direction for key in keys),
        value=value.name if value else None,
        value_sort=value.direction if value else "",
        target=array,
        slice=slice_,
        sort_op=order.op if order else "",
        sort=_direction(order.sort if order else None),
        limit=limit,
        body=body,
    )
