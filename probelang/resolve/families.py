"""The families of probe points: which parts may follow which, and what may stand in their brackets.

    find(components of `process("/bin/ls").function("main").return`)
    ->  [("process(s).function(s).return", the same components)]
    find(components of `process("/bin/ls").*`)  ->  one row per family without further argument

The table below is the whole grammar of points: `(n)` wants a number, `(s)` a string. A part with `*` stands for
every part of matching name at its place, `**` for any number of parts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

from probelang import syntax
from probelang.diag import CompileError, Diagnostic, similar_names
from probelang.diag.deferred import names

TIMER_UNITS_NS = {
    "ns": 1, "nsec": 1, "us": 1_000, "usec": 1_000, "ms": 1_000_000, "msec": 1_000_000,
    "s": 1_000_000_000, "sec": 1_000_000_000, "jiffies": 4_000_000,
}  # fmt: skip

_FUNCTION = (
    "", ".call", ".inline", ".exported", ".return", ".return.maxactive(n)", ".label(s)", ".callees", ".callees(n)",
    *(f".callee{kind}{tail}" for kind in ("", "(s)") for tail in ("", ".call", ".return", ".return.maxactive(n)")),
)  # fmt: skip
_CODE = (
    *(f".function({kind}){tail}" for kind in "sn" for tail in _FUNCTION),
    *(f".statement({kind}){tail}" for kind in "sn" for tail in ("", ".nearest")),
    ".plt", ".plt.return", ".plt(s)", ".plt(s).return", ".mark(s)", ".provider(s).mark(s)",
)  # fmt: skip
_LIFE = (".begin", ".end", ".thread.begin", ".thread.end", ".syscall", ".syscall.return")
_RARE = (
    ".insn", ".insn.block", ".data(n).write", ".data(n).rw", ".data(s).write",
    ".data(s).rw", ".data(n).length(n).write", ".data(n).length(n).rw",
)  # fmt: skip
_PROCESS = ("process", "process(s)", "process(n)")

SUPPORTED = (
    "begin", "begin(n)", "end", "end(n)", "error", "error(n)", "never", "oneshot",
    "timer.profile", "timer.profile.tick", "timer.profile.freq.hz(n)",
    *(f"timer.{unit}(n){tail}" for unit in (*TIMER_UNITS_NS, "hz") for tail in ("", ".randomize(n)")),
    *(f"{head}{tail}" for head in _PROCESS for tail in (*_CODE, *_LIFE)),
    *(f"{head}.library(s){tail}" for head in _PROCESS for tail in _CODE),
    "process(n).statement(n).absolute",
)  # fmt: skip
UNSUPPORTED = (
    "process.statement(n).absolute",
    "process(s).statement(n).absolute",
    *(f"{head}{tail}" for head in _PROCESS for tail in _RARE),
    *(
        f"perf.type(n).config(n){tail}{end}"
        for tail in ("", ".sample(n)", ".hz(n)")
        for end in ("", ".process", ".process(s)", ".counter(s)")
    ),
)
KERNEL = frozenset(
    ("kernel", "module", "kprobe", "kretprobe", "syscall", "nd_syscall", "netfilter", "procfs", "lsm", "input", "tp_syscall",
     "scheduler", "socket", "ioblock", "netdev", "tcp", "udp",
     "vfs", "nfsd", "irq_handler", "softirq", "workqueue")
)  # fmt: skip

_INTERPRETER = "an agent in the interpreter; probe its functions by their symbols"
NEEDS_AGENT = {
    "java": "an agent in the virtual machine",
    "python2": _INTERPRETER,
    "python3": _INTERPRETER,
    "debuginfod": "a debuginfod server",
}


@dataclass(slots=True)
class _Node:
    """A place in the grammar: `children` by name and kind of argument; `family` when a point may end here."""

    children: dict[tuple[str, str], _Node] = field(default_factory=dict[tuple[str, str], "_Node"])
    family: str = ""

    def kinds(self, name: str) -> list[str]:
        return [kind for known, kind in self.children if known == name]

    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for name, _ in self.children))


@dataclass(frozen=True, slots=True)
class Match:
    """`family` is a row of the table; `components` are the point's own, wildcards replaced by what they stand for."""

    family: str
    components: tuple[syntax.Component, ...]

    @property
    def supported(self) -> bool:
        return self.family in SUPPORTED


@cache
def _grammar() -> _Node:
    root = _Node()
    for family in (*SUPPORTED, *UNSUPPORTED):
        node = root
        for part in family.split("."):
            name, _, kind = part.rstrip(")").partition("(")
            node = node.children.setdefault((name, kind), _Node())
        node.family = family
    return root


def heads() -> tuple[str, ...]:
    """What a point can begin with, aliases aside."""
    return _grammar().names()


def find(components: tuple[syntax.Component, ...]) -> list[Match]:
    """The families that a point belongs to: one, or with wildcards any number. Raises CompileError with what is wrong
    about it, or where nothing fits."""
    matches = list(_walk(_grammar(), components, ()))
    if matches:
        # wildcards mean what can be had; a point that is named must be
        return [m for m in matches if m.supported] or matches if has_wildcard(components) else matches
    raise CompileError([_explain(components)])


def has_wildcard(components: tuple[syntax.Component, ...]) -> bool:
    return any("*" in c.name for c in components)


def kind_of(component: syntax.Component) -> str:
    match component.argument:
        case None:
            return ""
        case int():
            return "n"
        case _:
            return "s"


def wildcard(name: str) -> re.Pattern[str]:
    """A regular expression for a dotted name with `*` (within a part) and `**` (over parts)."""
    parts = re.split(r"(\*\*|\*)", name)
    return re.compile("".join({"**": ".+", "*": "[^.]*"}.get(p) or re.escape(p) for p in parts))


def _walk(
    node: _Node, components: tuple[syntax.Component, ...], done: tuple[syntax.Component, ...]
) -> Iterator[Match]:
    if not components:
        if node.family:
            yield Match(node.family, done)
        return
    first, rest = components[0], components[1:]
    if "**" in first.name:
        for tail, child in _tails(node, first):
            if wildcard(first.name).fullmatch(".".join(c.name for c in tail)):
                yield from _walk(child, rest, done + tail)
        return
    pattern = wildcard(first.name)
    for (name, kind), child in node.children.items():
        if kind == kind_of(first) and pattern.fullmatch(name):
            concrete = syntax.Component(first.span, name, first.argument)
            yield from _walk(child, rest, (*done, concrete))


def _tails(node: _Node, origin: syntax.Component) -> Iterator[tuple[tuple[syntax.Component, ...], _Node]]:
    """Every way on from `node` through parts without arguments."""
    for (name, kind), child in node.children.items():
        if not kind:
            component = syntax.Component(origin.span, name, None)
            yield (component,), child
            for tail, end in _tails(child, origin):
                yield (component, *tail), end


def _explain(components: tuple[syntax.Component, ...]) -> Diagnostic:
    """What keeps these components from being a point."""
    span = components[0].span.to(components[-1].span)
    if has_wildcard(components):
        return names.NoMatchingPoint(span=span, point=point_text(components))
    node = _grammar()
    for position, component in enumerate(components):
        child = node.children.get((component.name, kind_of(component)))
        if child is None:
            return _explain_component(node, components, position)
        node = child
    known = tuple(_shown(name, kind) for name, kind in node.children)
    return names.IncompletePoint(span=span, point=point_text(components), known=known)


def _explain_component(node: _Node, components: tuple[syntax.Component, ...], position: int) -> Diagnostic:
    component = components[position]
    kinds = node.kinds(component.name)
    if kinds:
        words = {"": "no argument", "n": "a number", "s": "a string"}
        expected = " or ".join(words[kind] for kind in kinds)
        return names.WrongArgument(span=component.span, component=component.name, expected=expected)
    if position == 0:
        if component.name in KERNEL:
            return names.KernelPoint(span=component.span, family=component.name)
        if component.name in NEEDS_AGENT:
            needs = f"it needs {NEEDS_AGENT[component.name]}"
            return names.UnsupportedPoint(span=component.span, point=point_text(components), needs=needs)
        return names.UnknownPoint(
            span=component.span, point=component.name, similar=similar_names(component.name, heads())
        )
    return names.UnknownComponent(
        span=component.span,
        component=component.name,
        before=point_text(components[:position]),
        similar=similar_names(component.name, node.names()),
        known=tuple(_shown(name, kind) for name, kind in node.children),
    )


def _shown(name: str, kind: str) -> str:
    return name + {"": "", "n": "(NUMBER)", "s": '("...")'}[kind]


def point_text(components: tuple[syntax.Component, ...]) -> str:
    """The point as source text, in one form: `process("/bin/ls").function("main")`."""
    return ".".join(component_text(c.name, c.argument) for c in components)


def component_text(name: str, argument: int | bytes | str | None) -> str:
    match argument:
        case None:
            return name
        case int():
            return f"{name}({argument})"
        case bytes():
            return f'{name}("{_escape(argument.decode("utf-8", "surrogateescape"))}")'
        case _:
            return f'{name}("{_escape(argument)}")'


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
