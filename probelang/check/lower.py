"""From inferred expressions to typed code.

    a["x"] = n + 1   ->  Assign(Element(0, (Text(b"x"),)), "=", Binary("+", Local(0), Number(1)))

Runs after inference has seen everything, and always to its end: where inference has reported a mistake something of the
right shape is put in its place, and the result is thrown away.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, assert_never, cast

from probelang import syntax
from probelang.artifact import code
from probelang.artifact.code import Type, type_of
from probelang.artifact.codesets import CodeSet
from probelang.artifact.formats import FLOATS, parse_format
from probelang.builtins import Builtin
from probelang.check import mistakes
from probelang.check.cells import root, type_in
from probelang.check.constants import live_arms, truth
from probelang.check.formats import plain_pieces
from probelang.check.forms import blamed, has_ctype, histogram_shape
from probelang.check.infer import Inference, is_dotted, is_of_program, is_target_index
from probelang.check.registers import REGISTERS, SETTABLE
from probelang.check.scope import Body, FunctionUse, GlobalUse, LocalUse
from probelang.diag import similar_names
from probelang.source import Span

_NOTHING = code.Number(0)
_TOKEN_LIMIT = 40


@dataclass(slots=True, eq=False)
class Lowering:
    """`variables` and `functions`: the numbers of those that are kept. `elide`: drop what has no effect. `hidden`: variables that the
    script does not name, numbered behind those it does. `locals`: of the handler or function at hand. `sessions`: the kernel runs one
    program at a call's entry and at its return, and keeps a number between. `guards`: and that program may refuse to have a return hooked.
    `hooked`: the numbers of the sets that `within` asks about,
    with the processes (None: all) and where that is asked."""

    run: Inference
    variables: dict[GlobalUse, int]
    functions: dict[FunctionUse, int]
    elide: bool
    places: list[code.Place] = field(default_factory=list[code.Place])
    spans: list[Span] = field(default_factory=list[Span])
    automata: list[code.Automaton] = field(default_factory=list[code.Automaton])
    hidden: list[code.Variable] = field(default_factory=list[code.Variable])
    sessions: bool = False
    guards: bool = False
    locals: list[code.LocalVariable] = field(default_factory=list[code.LocalVariable])
    code_sets: list[CodeSet] = field(default_factory=list[CodeSet])
    hooked: dict[int, dict[int | None, Span]] = field(default_factory=dict[int, "dict[int | None, Span]"])
    _places: dict[tuple[int, int, int], int] = field(default_factory=dict[tuple[int, int, int], int])
    _patterns: dict[bytes, int] = field(default_factory=dict[bytes, int])

    def at(self, span: Span) -> int:
        """The number of a place."""
        key = (id(span.source), span.start, span.end)
        number = self._places.get(key)
        if number is None:
            number = self._places[key] = len(self.places)
            line, column = span.line_column
            token = span.text.split("\n")[0][:_TOKEN_LIMIT]
            self.places.append(code.Place(span.source.name, line, column, token))
            self.spans.append(span)
        return number

    def automaton(self, pattern: syntax.String) -> int:
        number = self._patterns.get(pattern.value)
        if number is not None:
            return number
        from probelang.regex import PatternError, TooManyStates, compile_pattern

        try:
            automaton = compile_pattern(pattern.value)
        except PatternError as mistake:
            self.run.report(mistakes.BadPattern(span=pattern.span, reason=mistake.reason))
            return 0
        except TooManyStates as mistake:
            self.run.report(mistakes.PatternTooLarge(span=pattern.span, limit=mistake.limit))
            return 0
        self._patterns[pattern.value] = len(self.automata)
        self.automata.append(automaton)
        return self._patterns[pattern.value]

    def keep(self, kind: Type) -> code.Local:
        """A new local of the handler at hand."""
        self.locals.append(code.LocalVariable("", kind))
        return code.Local(len(self.locals) - 1, kind)

    def hide(self, variable: code.Variable) -> int:
        """The number of a new variable."""
        self.hidden.append(variable)
        return len(self.variables) + len(self.hidden) - 1

    def code_set(self, found: CodeSet) -> int:
        """The number of a set."""
        if found not in self.code_sets:
            self.code_sets.append(found)
        return self.code_sets.index(found)

    def dropped(self, use: GlobalUse | LocalUse | None) -> bool:
        """Whether this is a local that nothing reads."""
        return self.elide and isinstance(use, LocalUse) and not use.read and not use.bound


def lower(low: Lowering, body: Body, node: syntax.Expression, allow_float: bool = False) -> code.Expr:
    """An expression whose value is used. `allow_float`: also as the bits of a double."""
    if not allow_float and not _is_whole(low, body, node):
        return _NOTHING
    typed = lower_any(low, body, node)
    if type_of(typed) is Type.VOID:
        if isinstance(node, syntax.Call):
            _report_no_value(low, body, node)
        return _NOTHING
    return typed


def _report_no_value(low: Lowering, body: Body, node: syntax.Call) -> None:
    """Builtins without value were reported by inference."""
    chain = low.run.scope.find_functions(node.name, len(node.arguments), body)
    if chain and not root(chain[0].result).doubtful:
        low.run.report(mistakes.NoValue(span=node.name_span, name=node.name))


def lower_list(low: Lowering, body: Body, nodes: tuple[syntax.Expression, ...]) -> tuple[code.Expr, ...]:
    return tuple([lower(low, body, n) for n in nodes])


def lower_any(low: Lowering, body: Body, node: syntax.Expression) -> code.Expr:
    """The same, also where nothing is returned."""
    match node:
        case syntax.Number():
            return code.Number(node.value)
        case syntax.String():
            return code.Text(node.value)
        case syntax.Index() if is_target_index(low.run, body, node):
            return _lower_target(low, body, node)
        case syntax.Name() | syntax.Index():
            return _lower_variable(low, body, node)
        case syntax.Float():
            return code.Number(struct.unpack("<q", struct.pack("<d", node.value))[0])
        case syntax.Binary(op=".") if has_ctype(body, node) and is_dotted(low.run.scope, body, node):
            return _lower_target(low, body, node)
        case syntax.Binary():
            return _lower_binary(low, body, node)
        case syntax.Call():
            return _lower_call(low, body, node)
        case syntax.Assign():
            return _lower_assign(low, body, node)
        case syntax.Increment() if is_of_program(low.run, body, node.target):
            from probelang.check.changes import lower_step

            return lower_step(low, body, node)
        case syntax.Increment():
            place = lower_place(low, body, node.target)
            if place is None or not _is_whole(low, body, node.target):
                return _NOTHING
            delta = 1 if node.op == "++" else -1
            return code.Step(place, delta, not node.prefix, low.at(blamed(node.target)))
        case syntax.Unary(op="+"):
            return lower(low, body, node.operand)
        case syntax.Unary():
            return code.Unary(cast(Literal["-", "!", "~"], node.op), lower(low, body, node.operand))
        case syntax.Print():
            return _lower_print(low, body, node)
        case syntax.Conditional():
            return _lower_conditional(low, body, node)
        case syntax.RegexMatch():
            subject = lower(low, body, node.subject)
            return code.Matches(subject, low.automaton(node.pattern), node.negated, low.at(node.op_span))
        case syntax.Membership():
            use = find_array(low, body, node.array)
            if use is None:
                return _NOTHING
            return code.Contains(
                low.variables[use], lower_keys(low, body, node.indexes), low.at(node.array.span)
            )
        case syntax.Statistic():
            return _lower_statistic(low, body, node)
        case syntax.CodeTest():
            from probelang.check.callers import lower_test

            return lower_test(low, body, node)
        case (
            syntax.Histogram() | syntax.TargetVariable() | syntax.AtOperator() | syntax.Member() | syntax.Pretty()
            | syntax.AddressOf()
        ):  # fmt: skip
            return _lower_target(low, body, node)
        case _:
            assert_never(node)


# ------------------------------------------------------------------------------------------------ variables


def find(low: Lowering, body: Body, name: syntax.Name) -> GlobalUse | LocalUse | None:
    """None where inference found a mistake."""
    local = body.locals.get(name.name)
    if local is not None and (local.bound or low.run.scope.find_global(name.name, body.file) is None):
        return local
    return low.run.scope.find_global(name.name, body.file)


def find_array(low: Lowering, body: Body, node: syntax.Expression) -> GlobalUse | None:
    use = find(low, body, node) if isinstance(node, syntax.Name) else None
    return use if isinstance(use, GlobalUse) and use in low.variables else None


def lower_keys(
    low: Lowering, body: Body, indexes: tuple[syntax.Expression | None, ...]
) -> tuple[code.Expr | None, ...]:
    return tuple([None if i is None else lower(low, body, i) for i in indexes])


def full_keys(low: Lowering, body: Body, node: syntax.Index) -> tuple[code.Expr, ...]:
    return tuple([lower(low, body, i) for i in node.indexes if i is not None])


def lower_place(
    low: Lowering, body: Body, node: syntax.Expression
) -> code.Local | code.Scalar | code.Element | None:
    """What is read or assigned to; None for a local that is dropped, and after a mistake."""
    match node:
        case syntax.Name():
            use = find(low, body, node)
            if isinstance(use, LocalUse):
                return None if low.dropped(use) or use.slot < 0 else code.Local(use.slot, value_type(use))
            if use is None or use not in low.variables:
                return None
            return code.Scalar(low.variables[use], value_type(use))
        case syntax.Index(base=syntax.Name() as base):
            array = find_array(low, body, base)
            if array is None:
                return None
            index = full_keys(low, body, node)
            return code.Element(low.variables[array], index, value_type(array), low.at(base.span))
        case _:
            return None


def value_type(use: GlobalUse | LocalUse) -> Type:
    return type_in(use.value) or Type.LONG


def _lower_variable(low: Lowering, body: Body, node: syntax.Name | syntax.Index) -> code.Expr:
    if isinstance(node, syntax.Index) and isinstance(node.base, syntax.Histogram):
        histogram = lower_histogram(low, body, node.base)
        bucket = node.indexes[0]
        if histogram is None or bucket is None:
            return _NOTHING
        return code.BucketCount(histogram, lower(low, body, bucket), low.at(node.base.span))
    place = lower_place(low, body, node)
    return _NOTHING if place is None or place.type not in (Type.LONG, Type.STRING) else place


def _lower_assign(low: Lowering, body: Body, node: syntax.Assign) -> code.Expr:
    if is_of_program(low.run, body, node.target):
        from probelang.check.changes import lower_assign

        return lower_assign(low, body, node)
    at = low.at(blamed(node.target))
    if node.op == "<<<":
        place = lower_place(low, body, node.target)
        value = _whole(low, body, node.value)
        if isinstance(place, code.Scalar | code.Element):
            return code.Accumulate(place, value, at)
        return value
    place = lower_place(low, body, node.target)
    if isinstance(place, code.Local) and has_ctype(body, node.target):
        from probelang.check import lower_target

        if lower_target.is_floating(low, body, node.target):
            if node.op != "=" and not lower_target.check_whole(low, body, node.target):
                return _NOTHING
            ctype = lower_target.ctype_of(low, body, node.value)
            return code.Assign(
                place, "=", lower_target.as_double(low, body, node.value, ctype), place.type, at
            )
    value = lower(low, body, node.value)
    if place is None:
        return value
    return code.Assign(place, node.op[:-1] or "=", value, place.type, at)


def _is_whole(low: Lowering, body: Body, node: syntax.Expression) -> bool:
    if not has_ctype(body, node):
        return True
    from probelang.check.lower_target import check_whole

    return check_whole(low, body, node)


# ------------------------------------------------------------------------------------------------- operators


def _lower_binary(low: Lowering, body: Body, node: syntax.Binary) -> code.Expr:
    match node.op:
        case ".":
            return code.Concat(_concatenated(low, body, node), low.at(node.op_span))
        case "&&" | "||" as op:
            if truth(node.left, body, low.run.scope) is (op == "||"):
                return code.Number(int(op == "||"))
            return code.Logical(op, lower(low, body, node.left), lower(low, body, node.right))
        case "==" | "!=" | "<" | "<=" | ">" | ">=" as op:
            if has_ctype(body, node.left) or has_ctype(body, node.right):
                from probelang.check.lower_target import lower_compare

                special = lower_compare(low, body, node)
                if special is not None:
                    return special
            return code.Compare(op, lower(low, body, node.left), lower(low, body, node.right))
        case "+" | "-" | "*" | "/" | "%" | "&" | "|" | "^" | "<<" | ">>" | ">>>" as op:
            left, right = lower(low, body, node.left), lower(low, body, node.right)
            return code.Binary(op, left, right, low.at(node.op_span))
        case _:
            raise AssertionError(node.op)


def _concatenated(low: Lowering, body: Body, node: syntax.Expression) -> tuple[code.Expr, ...]:
    """`a . b . c` is one concatenation, cut once."""
    tail: list[code.Expr] = []
    while isinstance(node, syntax.Binary) and node.op == ".":
        tail.append(lower(low, body, node.right))
        node = node.left
    tail.append(lower(low, body, node))
    return tuple(reversed(tail))


def _lower_conditional(low: Lowering, body: Body, node: syntax.Conditional) -> code.Expr:
    """Where one arm is a floating point number the other becomes one."""
    first, second = live_arms(node, body, low.run.scope)
    if not (first and second):
        # whoever uses the whole has seen to it that a floating point number may stand here
        return lower(low, body, node.then if first else node.otherwise, allow_float=True)
    condition = lower(low, body, node.condition)
    if has_ctype(body, node):
        from probelang.check import lower_target

        if lower_target.is_floating(low, body, node):
            then, otherwise = (
                lower_target.as_double(low, body, arm, lower_target.ctype_of(low, body, arm))
                for arm in (node.then, node.otherwise)
            )
            return code.Choose(condition, then, otherwise, Type.LONG)
    then, otherwise = lower(low, body, node.then), lower(low, body, node.otherwise)
    return code.Choose(condition, then, otherwise, type_of(then))


def _lower_statistic(low: Lowering, body: Body, node: syntax.Statistic) -> code.Expr:
    aggregate = _aggregate(low, body, node.target)
    if aggregate is None:
        return _NOTHING
    op = cast(Literal["count", "sum", "min", "max", "avg", "variance"], node.op)
    return code.Extract(op, *aggregate, node.parameters, low.at(_operator(node)))


def _operator(node: syntax.Statistic | syntax.Histogram) -> Span:
    """`@avg` of `@avg(s)`."""
    return Span(node.span.source, node.span.start, node.span.start + 1 + len(node.op))


def _aggregate(
    low: Lowering, body: Body, node: syntax.Expression
) -> tuple[int, tuple[code.Expr, ...] | None] | None:
    """The number of the variable, and the keys."""
    if isinstance(node, syntax.Index):
        array = find_array(low, body, node.base)
        return None if array is None else (low.variables[array], full_keys(low, body, node))
    use = find_array(low, body, node)
    return None if use is None else (low.variables[use], None)


def lower_histogram(low: Lowering, body: Body, node: syntax.Histogram) -> code.Histogram | None:
    aggregate, shape = _aggregate(low, body, node.target), histogram_shape(node)
    if aggregate is None or isinstance(shape, str):
        return None
    return code.Histogram(*aggregate, shape, low.at(_operator(node)))


# -------------------------------------------------------------------------------------------- calls and output


def _whole(low: Lowering, body: Body, node: syntax.Expression) -> code.Expr:
    """A number without its fraction."""
    if not has_ctype(body, node):
        return lower(low, body, node)
    from probelang.check.lower_target import as_long

    return as_long(low, body, node)


def _lower_call(low: Lowering, body: Body, node: syntax.Call) -> code.Expr:
    if node.name == "long" and len(node.arguments) == 1:
        return _whole(low, body, node.arguments[0])
    arguments = lower_list(low, body, node.arguments)
    chain = low.run.scope.find_functions(node.name, len(arguments), body)
    at = low.at(node.name_span)
    if chain:
        numbers = tuple([low.functions[f] for f in chain if f in low.functions])
        return code.Invoke(numbers, arguments, type_in(chain[0].result) or Type.VOID, at)
    builtin = low.run.scope.builtins.get((node.name, len(arguments)))
    if builtin is None:
        return _NOTHING
    if builtin.rewritten:
        from probelang.check.callers import lower_caller

        return lower_caller(low, body, node)
    _check_register(low, node, builtin)
    return code.Call(builtin.name, arguments, builtin.result, at)


def _check_register(low: Lowering, node: syntax.Call, builtin: Builtin) -> None:
    """The register's number is needed when the program is compiled, and so is the file of `mapped_code`."""
    if builtin.name == "mapped_code":
        path, offset = node.arguments
        if not (isinstance(path, syntax.String) and isinstance(offset, syntax.Number)):
            reason = "it takes the path of a file and an offset in it, both literals"
            low.run.report(mistakes.BadTargetOperator(span=node.span, what="mapped_code", reason=reason))
    if builtin.name not in ("register", "u_register", "set_register"):
        return
    argument = node.arguments[0]
    if isinstance(argument, syntax.Number):
        return  # a type mismatch, reported
    if not isinstance(argument, syntax.String):
        low.run.report(mistakes.BadRegister(span=argument.span, name=""))
        return
    name = argument.value.decode("latin-1")
    if builtin.name == "set_register" and name in REGISTERS and name not in SETTABLE:
        low.run.report(mistakes.BadRegister(span=argument.span, name=name, is_fixed=True))
    elif name not in REGISTERS:
        similar = similar_names(name, REGISTERS)
        low.run.report(mistakes.BadRegister(span=argument.span, name=name, similar=similar))


def _lower_print(low: Lowering, body: Body, node: syntax.Print) -> code.Expr:
    arguments: list[code.Expr | code.Histogram] = []
    kinds = _argument_kinds(node)
    for argument, kind in zip(node.arguments, kinds, strict=False):
        if isinstance(argument, syntax.Histogram):
            arguments.append(lower_histogram(low, body, argument) or _NOTHING)
        else:
            arguments.append(_lower_argument(low, body, argument, kind))
    pieces = _print_pieces(low, body, node, arguments)
    length = len(node.family) + node.to_string
    at = low.at(Span(node.span.source, node.span.start, node.span.start + length))
    make = code.Format if node.to_string else code.Print
    return make(pieces, tuple(arguments), at)


def _argument_kinds(node: syntax.Print) -> tuple[str, ...]:
    """The conversion of each argument; "*" for a width or precision, "" where the argument decides."""
    if node.family != "printf" or node.literal is None:
        return ("",) * len(node.arguments)
    kinds: list[str] = []
    for piece in parse_format(node.literal.value):
        if piece.kind != "text":
            kinds += ["*"] * ((piece.width == -1) + (piece.precision == -1))
            kinds.append(piece.kind)
    return tuple(kinds)


def _lower_argument(low: Lowering, body: Body, node: syntax.Expression, kind: str) -> code.Expr:
    if kind in FLOATS or (kind in ("", "s") and has_ctype(body, node)):
        from probelang.check import lower_target

        if kind == "s":
            return lower_target.enum_text(low, body, node) or lower(low, body, node)
        if kind:
            return lower_target.as_double(low, body, node, lower_target.ctype_of(low, body, node))
        return lower(low, body, node, allow_float=True)
    return lower(low, body, node)


def _print_pieces(
    low: Lowering, body: Body, node: syntax.Print, arguments: list[code.Expr | code.Histogram]
) -> tuple[code.Piece, ...]:
    literal = node.literal.value if node.literal is not None else b""
    if node.family == "printf":
        return parse_format(literal)
    kinds = [_plain_kind(low, body, n, a) for n, a in zip(node.arguments, arguments, strict=True)]
    return plain_pieces(kinds, literal, newline=node.family in ("println", "printdln"))


def _plain_kind(
    low: Lowering, body: Body, node: syntax.Expression, argument: code.Expr | code.Histogram
) -> str:
    if isinstance(argument, code.Histogram):
        return "hist"
    if has_ctype(body, node):
        from probelang.check.lower_target import is_floating

        if is_floating(low, body, node):
            return "g"
    return "s" if type_of(argument) is Type.STRING else "d"


# ------------------------------------------------------------------------------------------------- $variables


def _lower_target(low: Lowering, body: Body, node: syntax.Expression) -> code.Expr:
    if isinstance(node, syntax.AtOperator) and node.name in ("defined", "probewrite"):
        return code.Number(int(truth(node, body, low.run.scope) is True))
    # what reads debug information is imported by scripts that use it
    from probelang.check.lower_target import lower_target

    return lower_target(low, body, node)


def number_locals(low: Lowering, locals_: Mapping[str, LocalUse]) -> None:
    """Gives slots to the locals that are kept, parameters first; `low.locals` are those of one handler or function from here on."""
    low.locals = []
    for use in locals_.values():
        check_resolved(low, use)
        if not low.dropped(use):
            use.slot = len(low.locals)
            low.locals.append(code.LocalVariable(use.name, type_in(use.value) or Type.LONG))


def check_resolved(low: Lowering, use: LocalUse) -> None:
    """A local that is read, or kept, must have a type."""
    cell = root(use.value)
    if cell.doubtful or low.dropped(use):
        return
    if cell.type is None:
        low.run.report(mistakes.UnresolvedType(span=use.first_use, name=use.name))
        cell.doubtful = True
    elif cell.type not in (Type.LONG, Type.STRING):
        low.run.report(mistakes.StatsAsValue(span=use.first_use, name=use.name))
