"""The actions of the grammar that make expressions; each has the name of its rules and takes their parts.

binary(Number(1), "+", Number(2))  ->  Binary("+", Number(1), Number(2))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

from probelang.diag import similar_names
from probelang.diag.deferred import Deferred
from probelang.parse import operators
from probelang.parse.builder import Builder
from probelang.parse.literals import decode_number, wrap
from probelang.parse.operators import Operator
from probelang.parse.tokens import Token
from probelang.source import Span
from probelang.syntax import (
    AddressOf,
    Assign,
    AtOperator,
    Binary,
    Call,
    Conditional,
    Expression,
    Float,
    Histogram,
    Increment,
    Index,
    Member,
    Membership,
    Name,
    Number,
    Pretty,
    Print,
    PrintFamily,
    RegexMatch,
    Statistic,
    String,
    TargetVariable,
    Unary,
)

if TYPE_CHECKING:
    from probelang.diag import syntax as mistakes
else:
    mistakes = Deferred("probelang.diag.syntax")

Indexes = list[Expression | None]


def floating(_: Builder, token: Token) -> Float:
    return Float(token.span, float(token.text))


def number(builder: Builder, token: Token) -> Number:
    value = decode_number(token.text)
    if value is None:
        builder.errors.append(mistakes.BadNumber(span=token.span, text=token.text))
    return Number(token.span, value or 0)


def negative(builder: Builder, minus: Token, token: Token) -> Number:
    return Number(minus.span.to(token.span), wrap(-number(builder, token).value))


def string(_: Builder, token: Token) -> String:
    return String(token.span, token.value)


def name(_: Builder, token: Token) -> Name:
    return Name(token.span, token.text)


def target_variable(builder: Builder, token: Token) -> Expression:
    text = token.text
    bare = text.rstrip("$")
    if not bare:
        builder.errors.append(mistakes.UnexpectedToken(span=token.span, found=f"`{text}`"))
        return Name(token.span, text)
    special = bare.startswith("$$")
    variable = TargetVariable(token.span, bare[2:] if special else bare[1:], special)
    return _maybe_pretty(variable, len(text) - len(bare))


def _maybe_pretty(base: Expression, dollars: int) -> Expression:
    return Pretty(base.span, base, min(dollars, 2)) if dollars else base


def member(builder: Builder, base: Expression, arrow: Token, token: Token) -> Expression:
    _check_not_pretty(builder, base, arrow)
    bare = token.text.rstrip("$")
    node = Member(base.span.to(token.span), base, bare)
    return _maybe_pretty(node, len(token.text) - len(bare))


def pretty(builder: Builder, base: Expression, dollars: Token) -> Pretty:
    _check_not_pretty(builder, base, dollars)
    return Pretty(base.span.to(dollars.span), base, len(dollars.text))


def subscript(builder: Builder, base: Expression, opening: Token, index: Expression, end: Token) -> Index:
    _check_not_pretty(builder, base, opening)
    builder.take_histogram(base)
    return Index(base.span.to(end.span), base, (index,))


def _check_not_pretty(builder: Builder, base: Expression, suffix: Token) -> None:
    if isinstance(base, Pretty):
        builder.errors.append(mistakes.AfterPretty(span=suffix.span, found=suffix.text))


def element(_: Builder, array: Token, opening: Token, indexes: Indexes, end: Token) -> Index:
    return Index(array.span.to(end.span), Name(array.span, array.text), tuple(indexes))


def call(_: Builder, function: Token, opening: Token, arguments: list[Expression], end: Token) -> Call:
    return Call(function.span.to(end.span), function.text, tuple(arguments), function.span)


def to_long(_: Builder, word: Token, opening: Token, inner: Expression, end: Token) -> Call:
    return Call(word.span.to(end.span), "long", (inner,), word.span)


def group(_: Builder, opening: Token, inner: Expression, end: Token) -> Expression:
    return inner


def address_of(_: Builder, ampersand: Token, operand: Expression) -> AddressOf:
    return AddressOf(ampersand.span.to(operand.span), operand)


def unary(_: Builder, op: Token, operand: Expression) -> Unary:
    return Unary(op.span.to(operand.span), cast(Literal["+", "-", "!", "~"], op.text), operand)


def binary(_: Builder, left: Expression, op: Token, right: Expression) -> Binary:
    return Binary(left.span.to(right.span), op.text, left, right, op.span)


def regex_match(_: Builder, subject: Expression, op: Token, pattern: Token) -> RegexMatch:
    literal = String(pattern.span, pattern.value)
    return RegexMatch(subject.span.to(pattern.span), subject, literal, op.text == "!~", op.span)


def membership(builder: Builder, index: Expression, word: Token, array: Expression) -> Membership:
    builder.take_histogram(array)
    return Membership(index.span.to(array.span), (index,), array)


def membership_tuple(
    builder: Builder, opening: Token, indexes: Indexes, closing: Token, word: Token, array: Expression
) -> Membership:
    builder.take_histogram(array)
    return Membership(opening.span.to(array.span), tuple(indexes), array)


def conditional(
    _: Builder, condition: Expression, mark: Token, then: Expression, colon: Token, otherwise: Expression
) -> Conditional:
    return Conditional(condition.span.to(otherwise.span), condition, then, otherwise)


def assign(_: Builder, target: Expression, op: Token, value: Expression) -> Assign:
    return Assign(target.span.to(value.span), op.text, target, value, op.span)


def increment_before(_: Builder, op: Token, target: Expression) -> Increment:
    return Increment(op.span.to(target.span), cast(Literal["++", "--"], op.text), target, True, op.span)


def increment_after(_: Builder, target: Expression, op: Token) -> Increment:
    return Increment(target.span.to(op.span), cast(Literal["++", "--"], op.text), target, False, op.span)


# ------------------------------------------------------------------------------------------- print family


def print_call(
    builder: Builder, function: Token, opening: Token, arguments: list[Expression], end: Token
) -> Print:
    to_string = function.text[0] == "s"
    family = cast(PrintFamily, function.text.removeprefix("s"))
    span = function.span.to(end.span)
    literal: String | None = None
    if family in ("printf", "printd", "printdln"):
        literal = _print_literal(builder, function.text, arguments, end)
        if literal is not None and family == "printf":
            _check_format(builder, literal)
        arguments = arguments[1:]
    least = {"print": 1, "printd": 2, "printdln": 2}.get(family, 0)
    if len(arguments) < least and (literal is not None or family == "print"):
        builder.errors.append(
            mistakes.OperatorArguments(span=end.span, name=function.text, usage=_PRINT_USAGE[family])
        )
    if family in ("print", "println") and len(arguments) == 1:
        builder.take_histogram(arguments[0])
    return Print(span, family, to_string, literal, tuple(arguments))


_PRINT_USAGE: dict[PrintFamily, str] = {
    "print": "`print(value, ...)`",
    "println": "`println(value, ...)`",
    "printd": '`printd("delimiter", value, value, ...)`',
    "printdln": '`printdln("delimiter", value, value, ...)`',
    "printf": '`printf("format", value, ...)`',
}


def _check_format(builder: Builder, literal: String) -> None:
    from probelang.artifact.formats import BadFormat, parse_format

    try:
        parse_format(literal.value)
    except BadFormat as mistake:
        text = mistake.text.decode("utf-8", "replace")
        builder.errors.append(mistakes.BadConversion(span=literal.span, text=text))


def _print_literal(builder: Builder, function: str, arguments: list[Expression], end: Token) -> String | None:
    if arguments and isinstance(arguments[0], String):
        return arguments[0]
    what = f"the {'format' if function.endswith('f') else 'delimiter'} of `{function}`"
    span = arguments[0].span if arguments else end.span
    builder.errors.append(mistakes.LiteralExpected(span=span, what=what, kind="string"))
    return None


# --------------------------------------------------------------------------------------------- @operators


def at_word(builder: Builder, token: Token) -> Expression:
    return _at(builder, token, [], token.span)


def at_call(
    builder: Builder, token: Token, opening: Token, arguments: list[Expression], end: Token
) -> Expression:
    return _at(builder, token, arguments, end.span)


def histogram(
    builder: Builder, token: Token, opening: Token, arguments: list[Expression], end: Token
) -> Expression:
    """Where only a histogram can be."""
    if token.text[1:] not in operators.HISTOGRAMS:
        expected = ("an array", "`@hist_log`", "`@hist_linear`")
        builder.errors.append(
            mistakes.UnexpectedToken(span=token.span, found=f"`{token.text}`", expected=expected)
        )
        return Name(token.span, token.text)
    return _at(builder, token, arguments, end.span)


def _at(builder: Builder, token: Token, arguments: list[Expression], end: Span) -> Expression:
    word = token.text[1:]
    span = token.span.to(end)
    if (operator := operators.HISTOGRAMS.get(word)) is not None:
        if not _check_count(builder, token, operator, arguments, end):
            return AtOperator(span, word, tuple(arguments))
        parameters = _literals(builder, token, arguments[1:])
        op: Literal["hist_log", "hist_linear"] = "hist_log" if word == "hist_log" else "hist_linear"
        node = Histogram(span, op, arguments[0], parameters)
        builder.histograms.append(node)
        return node
    if (operator := operators.STATISTICS.get(word)) is not None:
        if not _check_count(builder, token, operator, arguments, end):
            return AtOperator(span, word, tuple(arguments))
        return Statistic(span, word, arguments[0], _literals(builder, token, arguments[1:]))
    if (operator := operators.OPERATORS.get(word)) is None:
        similar = similar_names(word, operators.ALL_NAMES)
        builder.errors.append(mistakes.UnknownOperator(span=token.span, name=word, similar=similar))
    elif operator.guru:
        builder.errors.append(mistakes.GuruOnly(span=token.span, what=f"`{token.text}`"))
    elif _check_count(builder, token, operator, arguments, end):
        _check_strings(builder, token, operator, arguments)
    return AtOperator(span, word, tuple(arguments))


def _check_count(
    builder: Builder, token: Token, operator: Operator, arguments: list[Expression], end: Span
) -> bool:
    if operator.least <= len(arguments) <= operator.most:
        return True
    span = end if len(arguments) < operator.least else arguments[operator.most].span
    builder.errors.append(mistakes.OperatorArguments(span=span, name=token.text, usage=operator.usage))
    return False


def _check_strings(builder: Builder, token: Token, operator: Operator, arguments: list[Expression]) -> None:
    for argument in arguments[operator.strings :] if operator.strings is not None else ():
        if not isinstance(argument, String):
            what = f"this argument of `{token.text}`"
            builder.errors.append(mistakes.LiteralExpected(span=argument.span, what=what, kind="string"))


def _literals(builder: Builder, token: Token, arguments: list[Expression]) -> tuple[int, ...]:
    values: list[int] = []
    for argument in arguments:
        match argument:
            case Number(value=value):
                values.append(value)
            case Unary(op="-", operand=Number(value=value)):
                values.append(wrap(-value))
            case _:
                what = f"this argument of `{token.text}`"
                builder.errors.append(mistakes.LiteralExpected(span=argument.span, what=what, kind="number"))
                values.append(0)
    return tuple(values)
