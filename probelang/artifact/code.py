"""Typed code: the statements and expressions of a program after checking.

Three parts of probelang read these nodes and nothing else of a script: the lowering to eBPF
(`probelang.llvm`), the evaluator of the user half (`probelang.runtime.evaluate`), and the manifest, which carries
the handlers of the user half. They are the definition of the language's semantics; the docstrings here are binding.

Values are `long` (signed 64 bit, wrapping) and `string` (bytes without NUL, at most `string_size - 1` of them).
A string operation whose result is longer keeps the first `string_size - 4` bytes and ends in `...`.
Variables are numbers: locals index the `locals` of their handler or function, globals the program's `variables`,
functions the program's `functions`. `at` indexes the program's `places`, for messages at run time.
Operands are evaluated left to right.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, TypeAlias, assert_never


class Type(StrEnum):
    LONG = "long"
    STRING = "string"
    STATS = "stats"  # an aggregate; only as the type of a global or of an array's values
    VOID = "void"  # functions that return nothing


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands in the script, for messages at run time: `near TOKEN at file:line:column`."""

    file: str
    line: int
    column: int
    token: str

    def near(self) -> str:
        """What follows the message of a soft error: `near operator '/' at x.probe:1:7`."""
        kind = "identifier" if self.token[:1].isalpha() or self.token[:1] in ("_", "@", "$") else "operator"
        return f"near {kind} '{self.token}' at {self.file}:{self.line}:{self.column}"


# ---------------------------------------------------------------------------------------------- expressions


@dataclass(frozen=True, slots=True)
class Number:
    value: int  # signed 64 bit


@dataclass(frozen=True, slots=True)
class Text:
    value: bytes


@dataclass(frozen=True, slots=True)
class Local:
    """A local variable or parameter; starts as 0 or empty at every entry of its handler or function."""

    slot: int
    type: Type


@dataclass(frozen=True, slots=True)
class Scalar:
    """A global that is not an array."""

    variable: int
    type: Type


@dataclass(frozen=True, slots=True)
class Element:
    """`a[i, j]`: a missing element reads as 0 or empty and is not inserted. As the target of an assignment or
    accumulation it is inserted; when the array is full that is the soft error `Array overflow`."""

    variable: int
    index: tuple[Expr, ...]
    type: Type
    at: int


@dataclass(frozen=True, slots=True)
class Contains:
    """`[k, *] in a` -> 0 or 1; None matches anything. For aggregates too."""

    variable: int
    index: tuple[Expr | None, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Unary:
    """long -> long; `!` gives 0 or 1."""

    op: Literal["-", "!", "~"]
    operand: Expr


@dataclass(frozen=True, slots=True)
class Binary:
    """long op long -> long, wrapping. `/` and `%` truncate towards zero as in C; by 0 is the soft error
    `division by 0`; `INT64_MIN / -1` is INT64_MIN and `% -1` is 0. Shift counts are masked with 63; `>>` is
    arithmetic, `>>>` logical."""

    op: Literal["+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>", ">>>"]
    left: Expr
    right: Expr
    at: int


@dataclass(frozen=True, slots=True)
class Compare:
    """Both long (signed) or both string (byte order, as strcmp) -> 0 or 1."""

    op: Literal["==", "!=", "<", "<=", ">", ">="]
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Logical:
    """Short-circuit; result 0 or 1."""

    op: Literal["&&", "||"]
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Choose:
    """`c ? a : b`; only the chosen arm is evaluated."""

    condition: Expr
    then: Expr
    otherwise: Expr
    type: Type


@dataclass(frozen=True, slots=True)
class Concat:
    """`a . b . c` -> string; cut once, at the end."""

    parts: tuple[Expr, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Matches:
    """`s =~ "ere"` -> 0 or 1 (1 or 0 when negated). `automaton` indexes the program's `automata`."""

    subject: Expr
    automaton: int
    negated: bool
    at: int


@dataclass(frozen=True, slots=True)
class Assign:
    """`target op value` -> the value stored. `op` "=" or the binary operator that is applied (`+` for `+=`,
    `.` for `.=`). The value is evaluated before the target is read; the index of an element before the value. On a
    global it is one atomic step. An assignment `g = e` where e reads g (the same element) is atomic as well,
    when e has no side effects."""

    target: Local | Scalar | Element
    op: str
    value: Expr
    type: Type
    at: int


@dataclass(frozen=True, slots=True)
class Step:
    """`++` and `--`: adds `delta` (+1 or -1) atomically; the old value when `post`, else the new one."""

    target: Local | Scalar | Element
    delta: int
    post: bool
    at: int


@dataclass(frozen=True, slots=True)
class Accumulate:
    """`aggregate <<< value` -> value. Exact from any number of CPUs."""

    target: Scalar | Element
    value: Expr
    at: int


@dataclass(frozen=True, slots=True)
class Invoke:
    """Call of a script's function. `chain`: the overloads of this arity in the order to try; `next` in one goes
    to the following, and past the last is the soft error `all functions exhausted`. Arguments by value; a
    function that ends without return gives 0 or empty. Deeper than `max_nesting`: soft error `MAXNESTING exceeded`."""

    chain: tuple[int, ...]
    arguments: tuple[Expr, ...]
    type: Type
    at: int


@dataclass(frozen=True, slots=True)
class Call:
    """Call of a builtin, by the name of its row in `probelang.builtins`; `type` VOID where nothing is returned."""

    name: str
    arguments: tuple[Expr, ...]
    type: Type
    at: int


@dataclass(frozen=True, slots=True)
class Extract:
    """`@count(s)` and the others -> long. On an empty or missing aggregate count and sum are 0, everything else is
    the soft error `empty aggregate`. avg truncates towards zero. `index` None: a scalar aggregate. `parameters`: the
    shift of variance, which is accepted and changes nothing (the sample variance, over n - 1, is computed exactly; 0 for
    one value); the rank of quantile."""

    op: Literal["count", "sum", "min", "max", "avg", "variance"]
    variable: int
    index: tuple[Expr, ...] | None
    parameters: tuple[int, ...]
    at: int


@dataclass(frozen=True, slots=True)
class HistogramShape:
    """`log`: bucket 0 for 0, powers of two either side. `linear`: steps from low up to the one that high begins, and under and over."""

    kind: Literal["log", "linear"]
    low: int = 0
    high: int = 0
    step: int = 0


@dataclass(frozen=True, slots=True)
class Histogram:
    """The histogram of an aggregate: an argument of Print or Format (piece kind "hist"), the subject of
    ForeachBucket and BucketCount. Empty: soft error `empty aggregate`."""

    variable: int
    index: tuple[Expr, ...] | None
    shape: HistogramShape
    at: int


@dataclass(frozen=True, slots=True)
class BucketCount:
    """`@hist_log(s)[n]` -> the count of the bucket with number n; out of range: soft error `histogram index out of range`."""

    histogram: Histogram
    bucket: Expr
    at: int


@dataclass(frozen=True, slots=True)
class Piece:
    """One part of a format. `kind` "text": `text` as it is. Otherwise one conversion of the next argument:
    `d i u x X o c s p b m M f F e E g G` or "hist"; those from `f` on take a long with the bits of a double. `width` and `precision` are a number, None, or -1 = taken from an argument
    (long) that comes before the value. `flag` is one of `0 + - # space` or empty."""

    kind: str
    text: bytes = b""
    flag: str = ""
    width: int | None = None
    precision: int | None = None


@dataclass(frozen=True, slots=True)
class Format:
    """sprint, sprintf, ... -> string. Arguments in the order in which the pieces take them."""

    pieces: tuple[Piece, ...]
    arguments: tuple[Expr | Histogram, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Print:
    """print, printf, ... to the script's output -> long 0."""

    pieces: tuple[Piece, ...]
    arguments: tuple[Expr | Histogram, ...]
    at: int


Expr: TypeAlias = (
    Number | Text | Local | Scalar | Element | Contains | Unary | Binary | Compare | Logical | Choose | Concat
    | Matches | Assign | Step | Accumulate | Invoke | Call | Extract | BucketCount | Format | Print
)  # fmt: skip


def type_of(expr: Expr) -> Type:
    """LONG, STRING or VOID (STATS is never the type of an expression)."""
    match expr:
        case Local() | Scalar() | Element() | Choose() | Assign() | Invoke() | Call():
            return expr.type
        case Text() | Concat() | Format():
            return Type.STRING
        case (
            Number() | Contains() | Unary() | Binary() | Compare() | Logical() | Matches() | Step() | Accumulate()
            | Extract() | BucketCount() | Print()
        ):  # fmt: skip
            return Type.LONG
        case _:
            assert_never(expr)


# ----------------------------------------------------------------------------------------------- statements


@dataclass(frozen=True, slots=True)
class Block:
    body: tuple[Stmt, ...]


@dataclass(frozen=True, slots=True)
class Evaluate:
    value: Expr


@dataclass(frozen=True, slots=True)
class If:
    condition: Expr
    then: Stmt
    otherwise: Stmt | None


@dataclass(frozen=True, slots=True)
class Loop:
    """while and for: test `condition` (None: true), run `body`, run `step`, again. `continue` goes to `step`.
    Every turn counts one action, as every statement does."""

    condition: Expr | None
    step: Expr | None
    body: Stmt
    at: int


@dataclass(frozen=True, slots=True)
class Order:
    """Sorting of a foreach. `by`: the number of the key (0..), or "value", or for aggregates the operator."""

    by: int | Literal["value", "count", "sum", "min", "max", "avg"]
    descending: bool


@dataclass(frozen=True, slots=True)
class Foreach:
    """Runs `body` for the elements as they were when the loop began (an element deleted since may be skipped).
    `keys` and `value` are set before each turn and keep their last values. `slice`: only elements that match (None =
    any). `limit`: evaluated once; at most so many turns. `value` of an aggregate array is its @count. Ties of the
    sort are broken by the keys, ascending."""

    keys: tuple[Local | Scalar, ...]
    value: Local | Scalar | None
    variable: int
    slice: tuple[Expr | None, ...] | None
    order: Order | None
    limit: Expr | None
    body: Stmt
    at: int


@dataclass(frozen=True, slots=True)
class ForeachBucket:
    """`foreach (b in @hist_log(s))`: b is each bucket's number, ascending."""

    bucket: Local | Scalar
    histogram: Histogram
    limit: Expr | None
    descending: bool
    body: Stmt
    at: int


@dataclass(frozen=True, slots=True)
class Return:
    value: Expr | None


@dataclass(frozen=True, slots=True)
class Next:
    """Ends the handler; in a function: go to the next overload."""

    at: int


@dataclass(frozen=True, slots=True)
class Break:
    pass


@dataclass(frozen=True, slots=True)
class Continue:
    pass


@dataclass(frozen=True, slots=True)
class Delete:
    """Scalar: back to 0, empty or no values. `index` None on an array: all elements. None inside: any."""

    variable: int
    index: tuple[Expr | None, ...] | None
    at: int


@dataclass(frozen=True, slots=True)
class Try:
    """A soft error in `body` goes to `handler`, its message in the local or global `variable`."""

    body: Stmt
    variable: Local | Scalar | None
    handler: Stmt


Stmt: TypeAlias = (
    Block | Evaluate | If | Loop | Foreach | ForeachBucket | Return | Next | Break | Continue | Delete | Try
)

# ------------------------------------------------------------------------------------------------- programs


@dataclass(frozen=True, slots=True)
class Variable:
    """A global. `key` None: a scalar. `max_entries` None: the default (`Limits.map_entries`). `wrap`: the oldest element
    goes when the array is full. `statistics`: the operators (`count`, `min`, ...) that the program applies, `shapes`
    the histograms. `report`: written and never read, so printed at the end; `hex` prints its value as %#x."""

    name: str
    key: tuple[Type, ...] | None
    value: Type
    wrap: bool = False
    max_entries: int | None = None
    initial: int | bytes | None = None
    statistics: tuple[str, ...] = ()
    shapes: tuple[HistogramShape, ...] = ()
    report: bool = False


@dataclass(frozen=True, slots=True)
class LocalVariable:
    name: str
    type: Type


@dataclass(frozen=True, slots=True)
class Function:
    """The first `parameters` locals are the parameters. `library`: part of the standard library, its statements do
    not count as actions."""

    name: str
    parameters: int
    locals: tuple[LocalVariable, ...]
    result: Type
    body: Stmt
    at: int
    library: bool = False


@dataclass(frozen=True, slots=True)
class Handler:
    """The code of one probe: `armed` and `when` first (both None: always), then `body`."""

    locals: tuple[LocalVariable, ...]
    armed: Expr | None
    when: Expr | None
    body: Stmt
    at: int


@dataclass(frozen=True, slots=True)
class Automaton:
    """A deterministic automaton over bytes for a regular expression, unanchored search. `table[state * 256 + byte]` is the next
    state; state 0 starts; a state in `accepting` has matched (and may stop). `accepting_end` holds those that match
    only at the end of the string (`$`)."""

    pattern: bytes
    states: int
    table: tuple[int, ...]
    accepting: tuple[int, ...]
    accepting_end: tuple[int, ...]
