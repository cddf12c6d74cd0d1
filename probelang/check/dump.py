"""A typed program as text, for `--emit typed`: the code after inference, with types and numbers resolved to names.

global long n
probe begin  (x: long)
    x = n + 1
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import assert_never

from probelang import typed
from probelang.artifact import code
from probelang.artifact.codesets import CodeSet
from probelang.source import decode_text

_PARENTHESISED = (
    code.Binary, code.Compare, code.Logical, code.Choose, code.Concat, code.Contains, code.Matches,
)  # fmt: skip
_MOST_RANGES = 8
_ESCAPES = {"\n": "\\n", "\t": "\\t", '"': '\\"', "\\": "\\\\"}


def dump(program: typed.Program) -> str:
    return "\n".join(_Writer(program).lines()) + "\n"


def quote(value: bytes) -> str:
    text = "".join(_ESCAPES.get(c, c) for c in decode_text(value))
    return f'"{text}"'.encode("utf-8", "backslashreplace").decode()


class _Writer:
    """`_locals` are those of the body being written."""

    def __init__(self, program: typed.Program) -> None:
        self._program = program
        self._locals: tuple[code.LocalVariable, ...] = ()

    def lines(self) -> Iterator[str]:
        for variable in self._program.variables:
            yield self._variable(variable)
        for number, code_set in enumerate(self._program.code_sets):
            yield from _code_set(number, code_set)
        for number, function in enumerate(self._program.functions):
            self._locals = function.locals
            parameters = ", ".join(f"{v.name}: {v.type}" for v in function.locals[: function.parameters])
            rest = self._list_locals(function.locals[function.parameters :])
            library = "library " if function.library else ""
            yield f"{library}function #{number} {function.name}({parameters}) -> {function.result}{rest}"
            yield from self._statement(function.body, 1)
        for probe in self._program.probes:
            if probe.before is not None:
                yield from self._handler(f"entry of {probe.name}", probe.before)
            yield from self._handler(f"probe {probe.name}", probe.handler)

    def _handler(self, head: str, handler: code.Handler) -> Iterator[str]:
        self._locals = handler.locals
        yield f"{head}{self._list_locals(self._locals)}"
        for word, condition in (("if", handler.armed), ("when", handler.when)):
            if condition is not None:
                yield f"    {word} {self._condition(condition)}"
        yield from self._statement(handler.body, 1)

    def _variable(self, variable: code.Variable) -> str:
        keys = f"[{', '.join(variable.key)}]" if variable.key is not None else ""
        initial = "" if variable.initial is None else f" = {self._literal(variable.initial)}"
        size = f" entries={variable.max_entries}" if variable.max_entries is not None else ""
        flags = "".join(
            f" {word}" for word, on in (("wrap", variable.wrap), ("report", variable.report)) if on
        )
        statistics = "".join(f" @{op}" for op in variable.statistics)
        shapes = "".join(f" {self._shape(shape)}" for shape in variable.shapes)
        return f"global {variable.value} {variable.name}{keys}{initial}{size}{flags}{statistics}{shapes}"

    @staticmethod
    def _list_locals(variables: Sequence[code.LocalVariable]) -> str:
        return f"  ({', '.join(f'{v.name}: {v.type}' for v in variables)})" if variables else ""

    @staticmethod
    def _literal(value: int | bytes) -> str:
        return quote(value) if isinstance(value, bytes) else str(value)

    @staticmethod
    def _shape(shape: code.HistogramShape) -> str:
        if shape.kind == "log":
            return "@hist_log"
        return f"@hist_linear({shape.low}, {shape.high}, {shape.step})"

    # ------------------------------------------------------------------------------------------ statements

    def _statement(self, node: code.Stmt, depth: int) -> Iterator[str]:
        margin = "    " * depth
        match node:
            case code.Block():
                for inner in node.body:
                    yield from self._statement(inner, depth)
            case code.Evaluate():
                yield margin + self._expression(node.value)
            case code.If():
                yield f"{margin}if {self._condition(node.condition)}"
                yield from self._statement(node.then, depth + 1)
                if node.otherwise is not None:
                    yield f"{margin}else"
                    yield from self._statement(node.otherwise, depth + 1)
            case code.Loop():
                condition = "" if node.condition is None else f" while {self._condition(node.condition)}"
                step = "" if node.step is None else f" step ({self._expression(node.step)})"
                yield f"{margin}loop{condition}{step}"
                yield from self._statement(node.body, depth + 1)
            case code.Foreach():
                yield margin + self._foreach(node)
                yield from self._statement(node.body, depth + 1)
            case code.ForeachBucket():
                order = "-" if node.descending else ""
                limit = "" if node.limit is None else f" limit {self._expression(node.limit)}"
                subject = self._expression(node.histogram)
                yield f"{margin}foreach ({self._expression(node.bucket)}{order} in {subject}{limit})"
                yield from self._statement(node.body, depth + 1)
            case code.Return():
                yield f"{margin}return" + ("" if node.value is None else f" {self._expression(node.value)}")
            case code.Next() | code.Break() | code.Continue():
                yield margin + type(node).__name__.lower()
            case code.Delete():
                yield f"{margin}delete {self._named(node.variable)}{self._keys(node.index)}"
            case code.Try():
                yield f"{margin}try"
                yield from self._statement(node.body, depth + 1)
                variable = "" if node.variable is None else f" ({self._expression(node.variable)})"
                yield f"{margin}catch{variable}"
                yield from self._statement(node.handler, depth + 1)
            case _:
                assert_never(node)

    def _condition(self, node: code.Expr) -> str:
        text = self._expression(node)
        return text if isinstance(node, _PARENTHESISED) else f"({text})"

    def _foreach(self, node: code.Foreach) -> str:
        keys = ", ".join(self._expression(k) for k in node.keys)
        value = "" if node.value is None else f"{self._expression(node.value)} = "
        order = ""
        if node.order is not None:
            order = f" by {node.order.by} {'descending' if node.order.descending else 'ascending'}"
        limit = "" if node.limit is None else f" limit {self._expression(node.limit)}"
        return (
            f"foreach ({value}[{keys}] in {self._named(node.variable)}{self._keys(node.slice)}{order}{limit})"
        )

    def _named(self, variable: int) -> str:
        return self._program.variables[variable].name

    def _keys(self, index: Sequence[code.Expr | None] | None) -> str:
        if index is None:
            return ""
        return f"[{', '.join('*' if i is None else self._expression(i) for i in index)}]"

    # ----------------------------------------------------------------------------------------- expressions

    def _expression(self, node: code.Expr | code.Histogram) -> str:
        match node:
            case code.Number():
                return str(node.value)
            case code.Text():
                return quote(node.value)
            case code.Local():
                return self._locals[node.slot].name if node.slot < len(self._locals) else f"local{node.slot}"
            case code.Scalar():
                return self._named(node.variable)
            case code.Element():
                return self._named(node.variable) + self._keys(node.index)
            case code.Contains():
                return f"({self._keys(node.index)} in {self._named(node.variable)})"
            case code.Unary():
                return f"{node.op}{self._expression(node.operand)}"
            case code.Binary() | code.Compare() | code.Logical():
                return f"({self._expression(node.left)} {node.op} {self._expression(node.right)})"
            case code.Choose():
                arms = f"{self._expression(node.then)} : {self._expression(node.otherwise)}"
                return f"({self._expression(node.condition)} ? {arms})"
            case code.Concat():
                return f"({' . '.join(self._expression(p) for p in node.parts)})"
            case code.Matches():
                pattern = quote(self._program.automata[node.automaton].pattern)
                return f"({self._expression(node.subject)} {'!~' if node.negated else '=~'} {pattern})"
            case code.Assign():
                op = "=" if node.op == "=" else f"{node.op}="
                return f"{self._expression(node.target)} {op} {self._expression(node.value)}"
            case code.Step():
                sign = "++" if node.delta > 0 else "--"
                target = self._expression(node.target)
                return target + sign if node.post else sign + target
            case code.Accumulate():
                return f"{self._expression(node.target)} <<< {self._expression(node.value)}"
            case code.Invoke():
                chain = "|".join(f"#{n}" for n in node.chain)
                name = self._program.functions[node.chain[0]].name
                return f"{name}{chain}({self._arguments(node.arguments)})"
            case code.Call():
                return f"{node.name}({self._arguments(node.arguments)})"
            case code.Extract():
                parameters = "".join(f", {p}" for p in node.parameters)
                return f"@{node.op}({self._named(node.variable)}{self._keys(node.index)}{parameters})"
            case code.Histogram():
                return f"{self._shape(node.shape)} of {self._named(node.variable)}{self._keys(node.index)}"
            case code.BucketCount():
                return f"({self._expression(node.histogram)})[{self._expression(node.bucket)}]"
            case code.Format() | code.Print():
                return self._printed(node)
            case _:
                assert_never(node)

    def _arguments(self, nodes: Sequence[code.Expr | code.Histogram]) -> str:
        return ", ".join(self._expression(n) for n in nodes)

    def _printed(self, node: code.Format | code.Print) -> str:
        text = b"".join(_piece_text(p) for p in node.pieces)
        arguments = "".join(f", {self._expression(a)}" for a in node.arguments)
        return f"{'sprintf' if isinstance(node, code.Format) else 'printf'}({quote(text)}{arguments})"


def _code_set(number: int, code_set: CodeSet) -> Iterator[str]:
    yield f"code #{number} {code_set.text}"
    for file in code_set.files:
        yield f"    {file.path} {_ranges(file.ranges)}"
    for hook in code_set.hooks:
        yield f"    {hook.path} returns hooked at {_shortened([f'{offset:#x}' for offset in hook.offsets])}"
    if code_set.around is not None:
        for hook in code_set.around.hooks:
            offsets = _shortened([f"{offset:#x}" for offset in hook.offsets])
            yield f"    {hook.path} copies by the stack, inside of what is hooked at {offsets}"
    elif code_set.unhooked:
        yield "    by the stack, where no return is hooked"


def _ranges(ranges: tuple[tuple[int, int], ...] | None) -> str:
    return "all code" if ranges is None else _shortened([f"{low:#x}-{high:#x}" for low, high in ranges])


def _shortened(parts: list[str]) -> str:
    more = f" and {len(parts) - _MOST_RANGES} more" if len(parts) > _MOST_RANGES else ""
    return ", ".join(parts[:_MOST_RANGES]) + more


def _piece_text(piece: code.Piece) -> bytes:
    if piece.kind == "text":
        return piece.text.replace(b"%", b"%%")
    width = "" if piece.width is None else "*" if piece.width < 0 else str(piece.width)
    precision = "" if piece.precision is None else ".*" if piece.precision < 0 else f".{piece.precision}"
    return f"%{piece.flag}{width}{precision}{piece.kind}".encode()
