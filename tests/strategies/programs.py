"""Random well-typed scripts for the property tests: what one half prints the other half must print too.

    scripts().example().text()  ->  "global g0 = 5, ... function f0(...) {...} probe begin { ... } probe end { ... }"

Every draw is a script that parses, checks, ends, and whose output depends on nothing but itself: no clocks, no
identities, no order of an unsorted foreach. Its handler first sets all its locals and at last prints them; `probe end` prints the
globals. Soft errors are wanted: both halves must raise the same ones.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, TypeVar

from hypothesis import strategies as st

Kind = Literal["long", "string"]
Signature: TypeAlias = tuple[str, tuple[Kind, ...], Kind]
T = TypeVar("T")

KINDS: tuple[Kind, ...] = ("long", "string")
LOCALS: dict[Kind, tuple[str, ...]] = {"long": ("l0", "l1", "l2"), "string": ("s0", "s1")}
SCALARS: dict[Kind, tuple[str, ...]] = {"long": ("g0", "g1"), "string": ("h0",)}
# name -> key types and value type; "stats" arrays are written with <<< only
ARRAYS: dict[str, tuple[tuple[Kind, ...], Kind]] = {
    "a0": (("long",), "long"),
    "a1": (("string",), "long"),
    "a2": (("long", "string"), "string"),
}
AGGREGATES: dict[str, tuple[Kind, ...]] = {"t0": (), "t1": ("long",), "t2": ("string", "long")}
EXTREMES = (0, 1, 2, 3, 7, 8, 63, 64, 255, 256, 65535, 2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1)
WORDS = (
    "",
    "a",
    "b",
    "ab",
    "abc",
    "12",
    "-7",
    "0x1f",
    "hello world",
    "x,y,,z",
    '%d\t\\"\n',
    "\u00e9",
    "A" * 40,
)
PATTERNS = ("a", "^a", "b$", "[0-9]+", "(ab|c)+", "x.y", "^$", "[^a-z]", "l{2}o?", "[[:upper:]]{3,}")


@dataclass(frozen=True)
class Script:
    """`functions` and `body` are source text; `text` puts them into a whole script around a probe point."""

    functions: str
    body: str

    def text(self, point: str = "begin") -> str:
        return "\n".join((GLOBALS, self.functions, f"probe {point} {{", self.body, "}", REPORT, ""))


def _globals() -> str:
    names = [f"{n} = {5 + i}" for i, n in enumerate(SCALARS["long"])]
    names += [f'{n} = "glob"' for n in SCALARS["string"]]
    return f"global {', '.join((*names, *ARRAYS, *AGGREGATES))}"


GLOBALS = _globals()
REPORT = r"""
probe never { a0[0] = 0 a1[""] = 0 a2[0, ""] = "" t0 <<< 0 t1[0] <<< 0 t2["", 0] <<< 0 h0 = "" }
probe end {
  printf("g %d %d %s\n", g0, g1, h0)
  foreach (k+ in a0) printf("a0 %d %d\n", k, a0[k])
  foreach (w+ in a1) printf("a1 %s %d\n", w, a1[w])
  foreach ([i+, j] in a2) printf("a2 %d\n", i)
  if (@count(t0)) printf("t0 %d %d %d %d %d\n", @count(t0), @sum(t0), @min(t0), @max(t0), @avg(t0))
  foreach (k+ in t1) printf("t1 %d %d %d %d %d\n", k, @count(t1[k]), @min(t1[k]), @max(t1[k]), @avg(t1[k]))
  foreach ([x, y+] in t2) n += @sum(t2[x, y]) ^ y
  printf("t2 %d\n", n)
  if (@count(t0)) { print(@hist_log(t0)) print(@hist_linear(t0, -10, 10, 4)) }
}
"""


def quote(text: str) -> str:
    escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}
    return '"' + "".join(escapes.get(c, c) for c in text) + '"'


@dataclass
class Writer:
    """Draws pieces of source text. `locals` are the variables that may be read and written here, `functions` those that may
    be called; `pure` forbids effects (inside an unsorted foreach the order must not show)."""

    draw: Callable[[int], int]
    user_half: bool
    locals: dict[Kind, tuple[str, ...]] = field(default_factory=lambda: dict(LOCALS))
    readable: tuple[str, ...] = ()
    functions: list[Signature] = field(default_factory=list[Signature])
    pure: bool = False
    in_function: bool = False
    loops: int = 0
    counters: int = 0

    def pick(self, options: Sequence[T]) -> T:
        return options[self.draw(len(options))]

    def chance(self, percent: int) -> bool:
        return self.draw(100) < percent

    # ------------------------------------------------------------------------------------- expressions

    def expression(self, kind: Kind, depth: int) -> str:
        return self.number(depth) if kind == "long" else self.string(depth)

    def number(self, depth: int) -> str:
        if depth <= 0 or self.chance(15):
            return self.small_number()
        options: list[Callable[[int], str]] = [
            self._arithmetic, self._arithmetic, self._division, self._shift, self._comparison, self._comparison,
            self._logical, self._unary, self._choose_number, self._membership, self._text_number, self._match,
            self._extract,
        ]  # fmt: skip
        if not self.pure:
            options += [self._step, self._assign_number, self._call_number]
        return self.pick(options)(depth - 1)

    def small_number(self) -> str:
        match self.draw(6):
            case 0:
                return str(self.pick(EXTREMES))
            case 1:
                return f"(-{self.pick(EXTREMES)})"
            case 2:
                return self.pick((*self.locals["long"], *self.readable, "0"))
            case 3:
                return self.pick(SCALARS["long"])
            case 4:
                return self.element("a0", 0) if self.chance(50) else self.element("a1", 0)
            case _:
                return str(self.draw(100))

    def _arithmetic(self, depth: int) -> str:
        return f"({self.number(depth)} {self.pick('+-*&|^')} {self.number(depth)})"

    def _division(self, depth: int) -> str:
        divisor = self.number(depth)
        if self.chance(90):
            divisor = f"({divisor} | 1)"
        return f"({self.number(depth)} {self.pick('/%')} {divisor})"

    def _shift(self, depth: int) -> str:
        return f"({self.number(depth)} {self.pick(('<<', '>>', '>>>'))} {self.number(depth)})"

    def _comparison(self, depth: int) -> str:
        kind = self.pick(KINDS)
        op = self.pick(("<", ">", "<=", ">=", "==", "!="))
        return f"({self.expression(kind, depth)} {op} {self.expression(kind, depth)})"

    def _logical(self, depth: int) -> str:
        return f"({self.number(depth)} {self.pick(('&&', '||'))} {self.number(depth)})"

    def _unary(self, depth: int) -> str:
        return f"({self.pick('-!~+')} {self.number(depth)})"

    def _choose_number(self, depth: int) -> str:
        return f"({self.number(depth)} ? {self.number(depth)} : {self.number(depth)})"

    def _membership(self, depth: int) -> str:
        name = self.pick(tuple(ARRAYS))
        keys = self.keys(ARRAYS[name][0], depth, wildcards=True)
        return f"([{', '.join(keys)}] in {name})"

    def _match(self, depth: int) -> str:
        return f"({self.string(depth)} {self.pick(('=~', '!~'))} {quote(self.pick(PATTERNS))})"

    def _text_number(self, depth: int) -> str:
        match self.draw(4):
            case 0:
                return f"strlen({self.string(depth)})"
            case 1:
                return f"isinstr({self.string(depth)}, {self.string(depth)})"
            case 2:
                return f"stringat({self.string(depth)}, {self.number(depth)} & 15)"
            case _:
                return f"strtol({self.string(depth)}, {self.pick((0, 8, 10, 16))})"

    def _extract(self, depth: int) -> str:
        name = self.pick(tuple(AGGREGATES))
        keys = self.keys(AGGREGATES[name], 0)
        target = f"{name}[{', '.join(keys)}]" if keys else name
        op = self.pick(("count", "sum", "min", "max", "avg", "variance"))
        if op in ("count", "sum"):
            return f"@{op}({target})"
        return f"(@count({target}) ? @{op}({target}) : {self.number(depth)})"

    def _step(self, _depth: int) -> str:
        target = self.pick((*self.locals["long"], *SCALARS["long"], self.element("a0", 0)))
        op = self.pick(("++", "--"))
        return f"({target}{op})" if self.chance(50) else f"({op}{target})"

    def _assign_number(self, depth: int) -> str:
        target = self.pick((*self.locals["long"], *SCALARS["long"]))
        return f"({target} {self.pick(('=', '+=', '-=', '*=', '&=', '|=', '^=', '<<=', '>>='))} {self.number(depth)})"

    def string(self, depth: int) -> str:
        if depth <= 0 or self.chance(20):
            return self.small_string()
        options: list[Callable[[int], str]] = [
            self._concatenation, self._concatenation, self._substr, self._sprintf, self._sprint, self._choose_string,
            self._replace, self._escaped,
        ]  # fmt: skip
        if not self.pure:
            options += [self._assign_string, self._call_string, self._tokenize]
        return self.pick(options)(depth - 1)

    def small_string(self) -> str:
        match self.draw(5):
            case 0 | 1:
                return quote(self.pick(WORDS))
            case 2:
                return self.pick((*self.locals["string"], '"l"'))
            case 3:
                return self.pick(SCALARS["string"])
            case _:
                return self.element("a2", 0)

    def _concatenation(self, depth: int) -> str:
        return f"({self.string(depth)} . {self.string(depth)})"

    def _substr(self, depth: int) -> str:
        return f"substr({self.string(depth)}, {self.number(depth)} & 7, {self.number(depth)} & 15)"

    def _choose_string(self, depth: int) -> str:
        return f"({self.number(depth)} ? {self.string(depth)} : {self.string(depth)})"

    def _replace(self, depth: int) -> str:
        return f"str_replace({self.string(depth)}, {self.small_string()}, {self.small_string()})"

    def _escaped(self, depth: int) -> str:
        if self.chance(60):
            return f"text_str({self.string(depth)})"
        return f"text_strn({self.string(depth)}, {self.draw(30)}, {self.pick('01')})"

    def _tokenize(self, depth: int) -> str:
        delimiter = quote(self.pick((",", " ", "ab", "l")))
        return f"tokenize({delimiter})" if self.chance(30) else f"tokenize({self.string(depth)}, {delimiter})"

    def _assign_string(self, depth: int) -> str:
        target = self.pick((*self.locals["string"], *SCALARS["string"]))
        return f"({target} {self.pick(('=', '.='))} {self.string(depth)})"

    def _sprint(self, depth: int) -> str:
        values = [self.expression(self.pick(KINDS), depth) for _ in range(1 + self.draw(3))]
        if len(values) < 2 or self.chance(50):
            return f"sprint({', '.join(values)})"
        return f"sprintd({quote(self.pick(('', ',', ' - ')))}, {', '.join(values)})"

    def _sprintf(self, depth: int) -> str:
        return f"sprintf({self.format(depth)})"

    def format(self, depth: int, ending: str = "") -> str:
        """A format and its arguments."""
        text, arguments = "", ""
        for _ in range(1 + self.draw(3)):
            conversion, values = self._conversion(depth)
            text += self.pick(("", "x", " %% ", "|")) + conversion
            arguments += "".join(f", {value}" for value in values)
        return quote(text + ending) + arguments

    def _conversion(self, depth: int) -> tuple[str, list[str]]:
        kind = self.pick("ddiuxXocsssp")
        flag = self.pick(("", "", "", "-", "#", "0", "+", " "))
        values: list[str] = []
        width = self.pick(("", "", "5", "12", "*"))
        precision = self.pick(("", "", "", ".3", ".0", ".*"))
        if kind == "c":
            flag, width, precision = "", "", ""
        if "*" in width:
            values.append(f"({self.number(0)} & 15)")
        if "*" in precision:
            values.append(f"({self.number(0)} & 7)")
        if kind == "c":
            # printable: what a terminal does with the rest is not the language's business
            values.append(f"(32 + (({self.number(depth)}) & 63))")
        else:
            values.append(self.expression("string" if kind == "s" else "long", depth))
        return f"%{flag}{width}{precision}{kind}", values

    def _call_number(self, depth: int) -> str:
        return self._call("long", depth)

    def _call_string(self, depth: int) -> str:
        return self._call("string", depth)

    def _call(self, kind: Kind, depth: int) -> str:
        known = [f for f in self.functions if f[2] == kind]
        if not known:
            return self.expression(kind, depth)
        name, parameters, _ = self.pick(known)
        arguments = [self.expression(p, min(depth, 1)) for p in parameters]
        if name == "f_deep":
            arguments[0] = f"({arguments[0]} & 3)"
        return f"{name}({', '.join(arguments)})"

    # ----------------------------------------------------------------------------------------- variables

    def keys(self, kinds: Sequence[Kind], depth: int, wildcards: bool = False) -> list[str]:
        """Keys from a small range, so that elements are met again and arrays stay small."""
        keys: list[str] = []
        for kind in kinds:
            if wildcards and self.chance(15):
                keys.append("*")
            elif kind == "long":
                keys.append(f"({self.number(depth - 1)} & 3)" if depth > 0 else str(self.draw(4)))
            else:
                keys.append(quote(self.pick(("k", "kk", "", "a key"))))
        return keys

    def element(self, name: str, depth: int) -> str:
        return f"{name}[{', '.join(self.keys(ARRAYS[name][0], depth))}]"

    # ---------------------------------------------------------------------------------------- statements

    def statements(self, count: int, depth: int) -> str:
        return "\n".join(self.statement(depth) for _ in range(1 + self.draw(count)))

    def block(self, depth: int) -> str:
        return "{ " + self.statements(3, depth) + " }"

    def statement(self, depth: int) -> str:
        simple: list[Callable[[], str]] = [
            self._set_local, self._set_local, self._set_global, self._set_element, self._set_element,
            self._accumulate, self._accumulate, self._print, self._step_statement, self._delete,
        ]  # fmt: skip
        if depth <= 0 or self.chance(50):
            return self.pick(simple)()
        compound: list[Callable[[int], str]] = [
            self._if, self._if, self._for, self._while, self._foreach, self._foreach, self._try, self._leave,
        ]  # fmt: skip
        if self.user_half:
            compound.append(self._sorted_foreach)
        return self.pick(compound)(depth - 1)

    def _set_local(self) -> str:
        kind: Kind = self.pick(KINDS)
        op = (
            self.pick(("=", "=", "+=", "-=", "*=", "%=", "&=", "^=", "|=", "<<=", ">>="))
            if kind == "long"
            else "="
        )
        if kind == "string":
            op = self.pick(("=", ".="))
        value = self.expression(kind, 3)
        if op == "%=":
            value = f"({value} | 1)"
        return f"{self.pick(self.locals[kind])} {op} {value};"

    def _set_global(self) -> str:
        kind: Kind = self.pick(KINDS)
        return f"{self.pick(SCALARS[kind])} {'=' if self.chance(60) else '+=' if kind == 'long' else '.='} {self.expression(kind, 3)};"

    def _set_element(self) -> str:
        name = self.pick(tuple(ARRAYS))
        kind = ARRAYS[name][1]
        op = self.pick(("=", "+=", "^=")) if kind == "long" else self.pick(("=", ".="))
        return f"{self.element(name, 2)} {op} {self.expression(kind, 2)};"

    def _accumulate(self) -> str:
        name = self.pick(tuple(AGGREGATES))
        keys = self.keys(AGGREGATES[name], 1)
        target = f"{name}[{', '.join(keys)}]" if keys else name
        return f"{target} <<< {self.number(2)};"

    def _step_statement(self) -> str:
        return f"{self._step(0)};"

    def _print(self) -> str:
        match self.draw(7):
            case 0:
                return "if (@count(t0)) print(@hist_log(t0));"
            case 1:
                return "if (@count(t1[1])) println(@hist_linear(t1[1], -100, 100, 25));"
            case 2 | 3:
                return f"println({self.expression(self.pick(KINDS), 2)});"
            case 4:
                return f'printdln(",", {self.number(1)}, {self.string(1)});'
            case _:
                ending = "\n"
                return f"printf({self.format(2, ending)});"

    def _delete(self) -> str:
        match self.draw(5):
            case 0:
                return f"delete {self.pick(tuple(ARRAYS))};"
            case 1:
                return f"delete {self.pick(tuple(AGGREGATES))};"
            case 2:
                return f"delete {self.pick(SCALARS['long'] + SCALARS['string'])};"
            case _:
                name = self.pick(tuple(ARRAYS))
                return f"delete {name}[{', '.join(self.keys(ARRAYS[name][0], 1, wildcards=True))}];"

    def _if(self, depth: int) -> str:
        otherwise = f" else {self.block(depth)}" if self.chance(50) else ""
        return f"if ({self.number(2)}) {self.block(depth)}{otherwise}"

    def _counter(self) -> str:
        """A variable that nothing else assigns, so that the loop ends."""
        self.counters += 1
        return f"c{self.counters}"

    def _loop_block(self, depth: int) -> str:
        self.loops += 1
        text = self.statements(3, depth if self.loops < 3 else 0)
        if self.chance(25):
            text += f"\nif ({self.number(1)}) {self.pick(('break', 'continue'))};"
        self.loops -= 1
        return text + "\n" + self.pick(("", self._set_local()))

    def _for(self, depth: int) -> str:
        counter, turns = self._counter(), 1 + self.draw(4)
        return f"for ({counter} = 0; {counter} < {turns}; {counter}++) {{ {self._loop_block(depth)} }}"

    def _while(self, depth: int) -> str:
        counter, turns = self._counter(), 1 + self.draw(4)
        return f"{counter} = {turns}; while ({counter}-- > 0) {{ {self._loop_block(depth)} }}"

    def _foreach(self, _depth: int) -> str:
        """Unsorted: the body only adds up what it sees, so the order does not show."""
        name = self.pick(("a0", "a1", "t1"))
        kind: Kind = "string" if name == "a1" else "long"
        key, value = self._counter(), self._counter()
        seen = Writer(self.draw, self.user_half, {"long": (), "string": ()}, pure=True)
        what = f"strlen({key})" if kind == "string" else key
        head = key
        if name == "t1":
            what += f" + @count(t1[{key}])"
        elif self.chance(50):
            head, what = f"{value} = {key}", f"{what} + {value}"
        total = self.pick(self.locals["long"])
        return f"foreach ({head} in {name}) {total} {self.pick(('+=', '^='))} ({what}) * {seen.number(1)};"

    def _sorted_foreach(self, depth: int) -> str:
        name = self.pick(("a0", "a1"))
        key, value = self._counter(), self._counter()
        sort = self.pick("+-")
        head = self.pick((f"{key}{sort} in {name}", f"{value} = {key}{sort} in {name}"))
        limit = f" limit {self.number(1)} & 7" if self.chance(50) else ""
        shown = self.pick(self.locals["string"])
        counted = f"{shown} .= sprint({key});"
        del depth
        return f"foreach ({head}{limit}) {{ {counted} }}"

    def _try(self, depth: int) -> str:
        cause = self.pick(
            (
                f"error({self.string(1)});",
                f"{self.pick(self.locals['long'])} = {self.number(1)} / ({self.number(1)} & 1);",
                f"{self.pick(self.locals['long'])} = @avg(t1[9]);",
                "",
            )
        )
        message = self._counter()
        caught = (
            f"catch ({message}) {{ println({message}); {self.statements(2, 0)} }}"
            if self.chance(70)
            else "catch {}"
        )
        return f"try {{ {self.statements(2, depth)} {cause} {self.statements(1, 0)} }} {caught}"

    def _leave(self, _depth: int) -> str:
        if self.in_function or self.chance(80):
            return f"if ({self.number(2)} == {self.small_number()}) {self.block(0)}"
        return f'if ({self.number(2)} == {self.small_number()}) {{ println("next"); next; }}'


def _function(writer: Writer, name: str, parameters: tuple[tuple[str, Kind], ...], result: Kind) -> str:
    """A function whose body sees its parameters and its own locals; it may call those before it."""
    own: dict[Kind, tuple[str, ...]] = {"long": ("u",), "string": ("v",)}
    for parameter, kind in parameters:
        own[kind] = (*own[kind], parameter)
    inner = Writer(writer.draw, writer.user_half, own, functions=list(writer.functions), in_function=True)
    body = f'u = 1; v = "v"; {inner.statements(2, 1)}\nreturn {inner.expression(result, 2)}'
    header = ", ".join(f"{p}:{k}" for p, k in parameters)
    writer.functions.append((name, tuple(k for _, k in parameters), result))
    return f"function {name}:{result}({header}) {{ {body} }}"


def _functions(writer: Writer) -> str:
    texts = [
        _function(writer, "f_long", (("p", "long"), ("q", "string")), "long"),
        _function(writer, "f_text", (("p", "string"),), "string"),
    ]
    deep = Writer(writer.draw, writer.user_half, {"long": ("n", "m"), "string": ()}, pure=True)
    step = deep.number(1)
    texts.append(
        f"function f_deep:long(n:long, m:long) {{ if (n <= 0) return m; return f_deep(n - 1, {step}) + n }}"
    )
    deep.locals = {"long": ("n",), "string": ()}
    texts.append(
        f"function f_chain:long(n:long) :1 {{ if ({deep.number(1)}) next; return 1 }}\n"
        f"function f_chain:long(n:long) :2 {{ return {deep.number(1)} }}"
    )
    deep_signature: Signature = ("f_deep", ("long", "long"), "long")
    chain_signature: Signature = ("f_chain", ("long",), "long")
    writer.functions += [deep_signature, chain_signature]
    return "\n".join(texts)


def _handler(writer: Writer, body: str) -> str:
    start = [f"{name} = {number};" for number, name in enumerate(LOCALS["long"], 1)]
    start += [f'{name} = "{name}";' for name in LOCALS["string"]]
    shown = (*LOCALS["long"], *LOCALS["string"])
    values = "".join(f", {name}" for name in shown)
    conversions = " ".join("%d" if name in LOCALS["long"] else "%s" for name in shown)
    return "\n".join((" ".join(start), body, f'printf("locals {conversions}\\n"{values});'))


def _drawer(draw: st.DrawFn) -> Callable[[int], int]:
    return lambda count: draw(_BELOW[count])


_BELOW = {count: st.integers(0, count - 1) for count in range(1, 101)}


@st.composite
def scripts(draw: st.DrawFn, user_half: bool = False, statements: int = 8, depth: int = 3) -> Script:
    """Statement lists over everything. `user_half`: also what only begin, end and timer probes may do."""
    return _script(_drawer(draw), user_half, statements, depth)


@st.composite
def expressions(draw: st.DrawFn, depth: int = 4, count: int = 1) -> Script:
    """`count` expressions, each printed on a line of its own, after a few statements that give variables values."""
    return _expressions(_drawer(draw), depth, count)


def random_script(seed: int, user_half: bool = False, statements: int = 8, depth: int = 3) -> Script:
    """The same for large numbers: one number decides all, scripts are as long as asked for, and nothing shrinks."""
    return _script(random.Random(seed).randrange, user_half, statements, depth)


def random_expressions(seed: int, depth: int = 4, count: int = 1) -> Script:
    return _expressions(random.Random(seed).randrange, depth, count)


def _script(draw: Callable[[int], int], user_half: bool, statements: int, depth: int) -> Script:
    writer = Writer(draw, user_half)
    functions = _functions(writer)
    return Script(functions, _handler(writer, writer.statements(statements, depth)))


def _expressions(draw: Callable[[int], int], depth: int, count: int) -> Script:
    writer = Writer(draw, user_half=False)
    functions = _functions(writer) if writer.chance(30) else ""
    body = "\n".join(writer.statement(0) for _ in range(2))
    for _ in range(count):
        if writer.chance(60):
            body += f'\nprintf("= %d\\n", {writer.number(depth)});'
        else:
            body += f'\nprintf("= %s\\n", {writer.string(depth)});'
    return Script(functions, _handler(writer, body))
