"""The syntax tree: what `probelang.parse` makes of one preprocessed file.

    probe begin { x = 1 + 2 }
    -> Program(declarations=(Probe(points=(ProbePoint((Component("begin"),)),),
               body=Block((ExpressionStatement(Assign("=", Name("x"), Binary("+", Number(1), Number(2)))),))),))

Nodes are frozen, carry a span, and say nothing about meaning: names are unresolved and nothing has a type.
Braces in probe points are already multiplied out; macros, conditionals and script arguments are gone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from probelang.source import Span


@dataclass(frozen=True, slots=True)
class Node:
    span: Span


# ---------------------------------------------------------------------------------------------- expressions


@dataclass(frozen=True, slots=True)
class Number(Node):
    """An integer literal, wrapped to signed 64 bits."""

    value: int


@dataclass(frozen=True, slots=True)
class Float(Node):
    """`2.5`: to compare floating point values of the program with."""

    value: float


@dataclass(frozen=True, slots=True)
class String(Node):
    """A string literal after gluing and escapes."""

    value: bytes


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A variable: local or global; may be `lib::name`."""

    name: str


@dataclass(frozen=True, slots=True)
class TargetVariable(Node):
    """`$name` or `$$vars`; `name` without the leading `$` or `$$`; a trailing `$`/`$$` glued by the lexer is
    already a `Pretty` around it."""

    name: str
    special: bool = False  # written with `$$`


@dataclass(frozen=True, slots=True)
class AtOperator(Node):
    """`@cast(..) @var(..) @entry(..) @defined(..) @enum(..) @enumname(..) @perf(..) @uregister(..) @uderef(..)
    @probewrite(..) @const(..) @elapsed ...`: `name` without `@`; arguments as written."""

    name: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Member(Node):
    """`base->name`; legal on target symbols and on values that carry a DWARF type."""

    base: Expression
    name: str


@dataclass(frozen=True, slots=True)
class Index(Node):
    """`base[i, j]`; None stands for `*`. `base` a Name: array element (or autocast subscript); a Histogram:
    bucket; anything else: subscript of a target symbol."""

    base: Expression
    indexes: tuple[Expression | None, ...]


@dataclass(frozen=True, slots=True)
class Pretty(Node):
    """`$x$` (depth 1) and `$x$$` (depth 2)."""

    base: Expression
    depth: int


@dataclass(frozen=True, slots=True)
class AddressOf(Node):
    """`&$x->f`."""

    operand: Expression


@dataclass(frozen=True, slots=True)
class Unary(Node):
    op: Literal["+", "-", "!", "~"]
    operand: Expression


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """Arithmetic, bitwise, shift, comparison, `&&`, `||` and `.`; `op_span` is the operator itself."""

    op: str
    left: Expression
    right: Expression
    op_span: Span


@dataclass(frozen=True, slots=True)
class RegexMatch(Node):
    """`subject =~ "pattern"`, negated for `!~`."""

    subject: Expression
    pattern: String
    negated: bool
    op_span: Span


@dataclass(frozen=True, slots=True)
class Membership(Node):
    """`k in a`, `[k1, *] in a`; None stands for `*`."""

    indexes: tuple[Expression | None, ...]
    array: Expression


@dataclass(frozen=True, slots=True)
class Conditional(Node):
    condition: Expression
    then: Expression
    otherwise: Expression


@dataclass(frozen=True, slots=True)
class Assign(Node):
    """`op` is one of `= <<< += -= *= /= %= <<= >>= &= ^= |= .=`; whether `target` is an lvalue is checked later."""

    op: str
    target: Expression
    value: Expression
    op_span: Span


@dataclass(frozen=True, slots=True)
class Increment(Node):
    op: Literal["++", "--"]
    target: Expression
    prefix: bool
    op_span: Span


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A function call; `name` may be `lib::name`."""

    name: str
    arguments: tuple[Expression, ...]
    name_span: Span


PrintFamily = Literal["print", "println", "printd", "printdln", "printf"]


@dataclass(frozen=True, slots=True)
class Print(Node):
    """`print println printd printdln printf` and (`to_string`) their s-variants. `literal` is the format of
    printf and the delimiter of printd, else None."""

    family: PrintFamily
    to_string: bool
    literal: String | None
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Statistic(Node):
    """`@count(s) @sum @min @max @avg @variance(s, shift)` and the extensions `@quantile(s, n) @distinct(s) @rate(s)`;
    `op` without `@`; `parameters` are the literals after the aggregate."""

    op: str
    target: Expression
    parameters: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Histogram(Node):
    """`@hist_log(s)` or `@hist_linear(s, low, high, step)`."""

    op: Literal["hist_log", "hist_linear"]
    target: Expression
    parameters: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class CodeTest(Node):
    """`caller is X`, `caller in X`, `within X` -> 0 or 1. `code`: the parts of X, `process("P").function("f*")`."""

    subject: Literal["caller", "within"]
    code: tuple[Component, ...]

    @property
    def code_span(self) -> Span:
        return self.code[0].span.to(self.code[-1].span)


Expression: TypeAlias = (
    Number | Float | String | Name | TargetVariable | AtOperator | Member | Index | Pretty | AddressOf | Unary | Binary
    | RegexMatch | Membership | Conditional | Assign | Increment | Call | Print | Statistic | Histogram | CodeTest
)  # fmt: skip

# ----------------------------------------------------------------------------------------------- statements


@dataclass(frozen=True, slots=True)
class Block(Node):
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Empty(Node):
    pass


@dataclass(frozen=True, slots=True)
class ExpressionStatement(Node):
    value: Expression


@dataclass(frozen=True, slots=True)
class If(Node):
    condition: Expression
    then: Statement
    otherwise: Statement | None


@dataclass(frozen=True, slots=True)
class While(Node):
    condition: Expression
    body: Statement


@dataclass(frozen=True, slots=True)
class For(Node):
    init: Expression | None
    condition: Expression | None
    step: Expression | None
    body: Statement


SortDirection = Literal["", "+", "-"]


@dataclass(frozen=True, slots=True)
class Foreach(Node):
    """`foreach (value = [keys] in target[slice] @op+ limit n) body`. At most one sort suffix is non-empty:
    `key_sorts[i]`, `value_sort`, or `sort` (behind the array; `sort_op` is its aggregate, "" = by value)."""

    keys: tuple[Name, ...]
    key_sorts: tuple[SortDirection, ...]
    value: Name | None
    value_sort: SortDirection
    target: Name | Histogram | Index
    slice: tuple[Expression | None, ...] | None
    sort_op: str
    sort: SortDirection
    limit: Expression | None
    body: Statement


@dataclass(frozen=True, slots=True)
class Return(Node):
    value: Expression | None


@dataclass(frozen=True, slots=True)
class Next(Node):
    pass


@dataclass(frozen=True, slots=True)
class Break(Node):
    pass


@dataclass(frozen=True, slots=True)
class Continue(Node):
    pass


@dataclass(frozen=True, slots=True)
class Delete(Node):
    """`delete a`, `delete a[k, *]`, `delete scalar`."""

    target: Expression


@dataclass(frozen=True, slots=True)
class Try(Node):
    body: Block
    variable: Name | None
    handler: Block


Statement: TypeAlias = (
    Block
    | Empty
    | ExpressionStatement
    | If
    | While
    | For
    | Foreach
    | Return
    | Next
    | Break
    | Continue
    | Delete
    | Try
)

# --------------------------------------------------------------------------------------------- declarations


@dataclass(frozen=True, slots=True)
class Component(Node):
    """One part of a probe point: `name` may hold `*` wildcards; `argument` is None, a number or a string.
    `parenthesised` tells `f()` apart from `f` where that is legal."""

    name: str
    argument: int | bytes | None = None


@dataclass(frozen=True, slots=True)
class ProbePoint(Node):
    """Components plus `?` or `!`, an arming condition `if (..)` and an entry condition `when (..)`."""

    components: tuple[Component, ...]
    optional: Literal["", "?", "!"] = ""
    armed: Expression | None = None
    when: Expression | None = None


@dataclass(frozen=True, slots=True)
class Probe(Node):
    points: tuple[ProbePoint, ...]
    body: Block


@dataclass(frozen=True, slots=True)
class Alias(Node):
    """`probe a.b = points { prologue } , { epilogue }`: `body` is before the user's body for `=`, after it for
    `+=`; `epilogue` only with `=`. `names`: the alias names (one or more, `probe a = b = point`)."""

    names: tuple[tuple[Component, ...], ...]
    op: Literal["=", "+="]
    points: tuple[ProbePoint, ...]
    body: Block
    epilogue: Block | None


@dataclass(frozen=True, slots=True)
class GlobalVariable(Node):
    """One name of a `global` declaration; `wrap` is `%`, `max_entries` the number in brackets."""

    name: str
    private: bool
    wrap: bool
    max_entries: int | None
    initial: Number | String | None


@dataclass(frozen=True, slots=True)
class Parameter(Node):
    name: str
    type: Literal["long", "string"] | None


@dataclass(frozen=True, slots=True)
class Function(Node):
    name: str
    name_span: Span
    private: bool
    result: Literal["long", "string"] | None
    parameters: tuple[Parameter, ...]
    priority: int | None
    body: Block


Declaration: TypeAlias = Probe | Alias | GlobalVariable | Function


@dataclass(frozen=True, slots=True)
class Program(Node):
    """One file: declarations in source order."""

    declarations: tuple[Declaration, ...]
