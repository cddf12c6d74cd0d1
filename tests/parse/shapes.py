"""Writing syntax trees as text with every pair of parentheses, so that a structure can be read and compared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import assert_never

from probelang.diag import CompileError
from probelang.options import Options
from probelang.parse import ParseResult, parse
from probelang.source import SourceFile
from probelang.syntax import (
    AddressOf,
    Assign,
    AtOperator,
    Binary,
    Call,
    CodeTest,
    Conditional,
    Expression,
    ExpressionStatement,
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
    Probe,
    ProbePoint,
    RegexMatch,
    Statement,
    Statistic,
    String,
    TargetVariable,
    Unary,
)


def parse_text(text: str, *arguments: str, name: str = "x.probe") -> ParseResult:
    return parse(SourceFile(name, text), Options(arguments=arguments, kernel_release="6.12.3-4-amd64"))


def mistakes(text: str, *arguments: str, name: str = "x.probe") -> list[str]:
    """`CODE line:column` of everything wrong in `text`."""
    try:
        parse_text(text, *arguments, name=name)
    except CompileError as error:
        return [f"{d.code} {place(d.span and d.span.line_column)}" for d in error.diagnostics]
    return []


def place(position: tuple[int, int] | None) -> str:
    return f"{position[0]}:{position[1]}" if position else "-"


def body(text: str, *arguments: str) -> tuple[Statement, ...]:
    """The statements of a probe."""
    (probe,) = parse_text(f"probe begin {{ {text} }}", *arguments).program.declarations
    assert isinstance(probe, Probe)
    return probe.body.statements


def expression(text: str, *arguments: str) -> Expression:
    (statement,) = body(text, *arguments)
    assert isinstance(statement, ExpressionStatement)
    return statement.value


def shape(text: str, *arguments: str) -> str:
    """The structure of an expression."""
    return written(expression(text, *arguments))


def shapes(text: str) -> list[str]:
    """The structure of each of several expression statements."""
    return [written(s.value) for s in body(text) if isinstance(s, ExpressionStatement)]


def points(text: str) -> list[str]:
    """The probe points of the first declaration."""
    probe = parse_text(text).program.declarations[0]
    assert isinstance(probe, Probe)
    return [written_point(point) for point in probe.points]


def written_point(point: ProbePoint) -> str:
    text = ".".join(
        part.name if part.argument is None else f"{part.name}({_literal(part.argument)})"
        for part in point.components
    )
    text += f" {point.optional}" if point.optional else ""
    text += f" if {written(point.armed)}" if point.armed else ""
    return text + (f" when {written(point.when)}" if point.when else "")


def _literal(value: int | bytes) -> str:
    return str(value) if isinstance(value, int) else _quoted(value)


def _quoted(value: bytes) -> str:
    plain = "".join(
        chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\{byte:03o}" for byte in value
    )
    return f'"{plain}"'


def _all(items: Iterable[Expression | None]) -> str:
    return ", ".join("*" if item is None else written(item) for item in items)


def _call(name: str, items: Sequence[Expression | None], parameters: Sequence[int] = ()) -> str:
    extra = "".join(f", {parameter}" for parameter in parameters)
    return f"{name}({_all(items)}{extra})"


def written(node: Expression) -> str:
    match node:
        case Number(value=value) | Float(value=value):
            return str(value)
        case String(value=value):
            return _quoted(value)
        case Name(name=name):
            return name
        case TargetVariable(name=name, special=special):
            return ("$$" if special else "$") + name
        case AtOperator(name=name, arguments=arguments):
            return _call("@" + name, arguments) if arguments else "@" + name
        case Member(base=base, name=name):
            return f"{written(base)}->{name}"
        case Index(base=base, indexes=indexes):
            return f"{written(base)}[{_all(indexes)}]"
        case Pretty(base=base, depth=depth):
            return written(base) + "$" * depth
        case AddressOf(operand=operand):
            return f"(&{written(operand)})"
        case Unary(op=op, operand=operand):
            return f"({op} {written(operand)})"
        case Binary(op=op, left=left, right=right):
            return f"({written(left)} {op} {written(right)})"
        case RegexMatch(subject=subject, pattern=pattern, negated=negated):
            return f"({written(subject)} {'!~' if negated else '=~'} {written(pattern)})"
        case Membership(indexes=indexes, array=array):
            return f"([{_all(indexes)}] in {written(array)})"
        case Conditional(condition=condition, then=then, otherwise=otherwise):
            return f"({written(condition)} ? {written(then)} : {written(otherwise)})"
        case CodeTest(subject=subject, code=code):
            parts = (f"{part.name}({_literal(part.argument)})" for part in code if part.argument is not None)
            return f"<{subject} {'.'.join(parts)}>"
        case Assign(op=op, target=target, value=value):
            return f"({written(target)} {op} {written(value)})"
        case Increment(op=op, target=target, prefix=prefix):
            return f"({op}{written(target)})" if prefix else f"({written(target)}{op})"
        case Call(name=name, arguments=arguments):
            return _call(name, arguments)
        case Print(family=family, to_string=to_string, literal=literal, arguments=arguments):
            first = () if literal is None else (literal,)
            return _call("s" * to_string + family, (*first, *arguments))
        case Statistic(op=op, target=target, parameters=parameters):
            return _call("@" + op, (target,), parameters)
        case Histogram(op=op, target=target, parameters=parameters):
            return _call("@" + op, (target,), parameters)
        case _:
            assert_never(node)
