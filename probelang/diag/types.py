"""What the checker says: types, variables, functions, formats, and the limits of the kernel half.

x = "a"; x++   ->  TypeMismatch(expected="long", found="string", name="x", origin=<span of x in x = "a">)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from probelang.diag import CompileWarning, Diagnostic, did_you_mean
from probelang.source import Span


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeDiagnostic(Diagnostic):
    """Base of the checker's errors. `structural`: wrong whatever the types are, so also in code that nothing calls."""

    structural: ClassVar[bool] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeMismatch(TypeDiagnostic):
    code: ClassVar[str] = "E0301"
    expected: str
    found: str
    name: str = ""
    origin: Span | None = None

    def title(self) -> str:
        subject = f" for `{self.name}`" if self.name else ""
        return f"type mismatch{subject}: expected {self.expected} but found {self.found}"

    def label(self) -> str:
        return f"this is a {self.found}"

    def help(self) -> str:
        if self.expected == "string" and self.found == "long":
            return "`sprint(..)` makes a string of a number"
        if self.expected == "long" and self.found == "string":
            return "`strtol(.., 10)` makes a number of a string; compare strings with `==`"
        return ""

    def related(self) -> tuple[tuple[Span, str], ...]:
        if self.origin is None or self.origin == self.span:
            return ()
        return ((self.origin, "the type was first inferred here"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnresolvedType(TypeDiagnostic):
    code: ClassVar[str] = "E0302"
    name: str
    declared: Span | None = None

    def title(self) -> str:
        return f"unresolved type of `{self.name}`"

    def label(self) -> str:
        return "nothing says whether this is a number or a string"

    def help(self) -> str:
        return f"assign something to `{self.name}`, or compare it with a value of its type"

    def related(self) -> tuple[tuple[Span, str], ...]:
        return ((self.declared, "declared here"),) if self.declared and self.declared != self.span else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownFunction(TypeDiagnostic):
    code: ClassVar[str] = "E0303"
    structural: ClassVar[bool] = True
    name: str
    arity: int
    arities: tuple[int, ...] = ()
    similar: tuple[str, ...] = ()

    def title(self) -> str:
        if self.arities:
            return f"no function `{self.name}` takes {_count(self.arity, 'argument')}"
        return f"unknown function `{self.name}`"

    def help(self) -> str:
        if self.arities:
            return f"`{self.name}` takes {' or '.join(str(n) for n in self.arities)}"
        return did_you_mean(self.similar)


@dataclass(frozen=True, slots=True, kw_only=True)
class UndeclaredArray(TypeDiagnostic):
    code: ClassVar[str] = "E0304"
    structural: ClassVar[bool] = True
    name: str
    arity: int
    similar: tuple[str, ...] = ()

    def title(self) -> str:
        return f"`{self.name}` is used as an array but is not declared global"

    def help(self) -> str:
        return did_you_mean(self.similar) or f"declare it outside the probe: `global {self.name}`"


@dataclass(frozen=True, slots=True, kw_only=True)
class InconsistentArity(TypeDiagnostic):
    """`arity` 0: used as a scalar."""

    code: ClassVar[str] = "E0305"
    structural: ClassVar[bool] = True
    name: str
    arity: int
    known: int
    origin: Span | None = None

    def title(self) -> str:
        if self.arity == 0:
            return f"the array `{self.name}` is used as a plain variable"
        if self.known == 0:
            return f"the plain variable `{self.name}` is used as an array"
        return f"`{self.name}` has {_count(self.known, 'key')}, not {self.arity}"

    def related(self) -> tuple[tuple[Span, str], ...]:
        if self.origin is None:
            return ()
        what = "as a plain variable" if self.known == 0 else f"with {_count(self.known, 'key')}"
        return ((self.origin, f"first used here, {what}"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class TooManyKeys(TypeDiagnostic):
    code: ClassVar[str] = "E0306"
    structural: ClassVar[bool] = True
    name: str
    arity: int

    def title(self) -> str:
        return f"the array `{self.name}` has {self.arity} keys; 9 is the most"


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsAsValue(TypeDiagnostic):
    code: ClassVar[str] = "E0307"
    name: str

    def title(self) -> str:
        return f"the aggregate `{self.name}` is used as a plain value"

    def help(self) -> str:
        return f"take something from it: `@count({self.name})`, `@sum`, `@avg`, `@min`, `@max`, `@hist_log`"


@dataclass(frozen=True, slots=True, kw_only=True)
class NotAggregate(TypeDiagnostic):
    code: ClassVar[str] = "E0308"
    what: str
    name: str
    origin: Span | None = None

    def title(self) -> str:
        if not self.name:
            return f"`{self.what}` needs an aggregate"
        return f"`{self.what}` needs an aggregate, which `{self.name}` is not"

    def help(self) -> str:
        return (
            f"values are collected with `<<<`: `global {self.name or 's'}` and `{self.name or 's'} <<< value`"
        )

    def related(self) -> tuple[tuple[Span, str], ...]:
        return ((self.origin, "used as a plain value here"),) if self.origin else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NotAssignable(TypeDiagnostic):
    code: ClassVar[str] = "E0309"
    structural: ClassVar[bool] = True
    what: str

    def title(self) -> str:
        return f"cannot assign to {self.what}"

    def help(self) -> str:
        return "only variables and array elements can be assigned to"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideLoop(TypeDiagnostic):
    code: ClassVar[str] = "E0310"
    structural: ClassVar[bool] = True
    word: str

    def title(self) -> str:
        return f"`{self.word}` outside a loop"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnOutsideFunction(TypeDiagnostic):
    code: ClassVar[str] = "E0311"
    structural: ClassVar[bool] = True

    def title(self) -> str:
        return "`return` outside a function"

    def help(self) -> str:
        return "`next` ends the handler of a probe"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoValue(TypeDiagnostic):
    code: ClassVar[str] = "E0313"
    name: str

    def title(self) -> str:
        return f"the function `{self.name}` returns no value"


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatArguments(TypeDiagnostic):
    code: ClassVar[str] = "E0315"
    structural: ClassVar[bool] = True
    needed: int
    given: int

    def title(self) -> str:
        return f"the format takes {_count(self.needed, 'argument')} but {self.given} {'is' if self.given == 1 else 'are'} given"


@dataclass(frozen=True, slots=True, kw_only=True)
class HistogramMisplaced(TypeDiagnostic):
    code: ClassVar[str] = "E0316"
    structural: ClassVar[bool] = True

    def title(self) -> str:
        return "a histogram is not a value"

    def help(self) -> str:
        return "print it, index it, or iterate over its buckets: `foreach (b in @hist_log(s))`"


@dataclass(frozen=True, slots=True, kw_only=True)
class BadParameters(TypeDiagnostic):
    code: ClassVar[str] = "E0317"
    structural: ClassVar[bool] = True
    operator: str
    reason: str

    def title(self) -> str:
        return f"bad parameters of `@{self.operator}`: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModifiedDuringIteration(TypeDiagnostic):
    code: ClassVar[str] = "E0318"
    name: str
    function: str = ""
    origin: Span | None = None

    def title(self) -> str:
        if self.function:
            return f"the call of `{self.function}` modifies `{self.name}`, over which `foreach` iterates"
        return f"`{self.name}` is modified during the `foreach` over it"

    def help(self) -> str:
        return "collect the changes in another variable and apply them after the loop"

    def related(self) -> tuple[tuple[Span, str], ...]:
        return ((self.origin, "modified here"),) if self.origin else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BadProbeCondition(TypeDiagnostic):
    code: ClassVar[str] = "E0319"
    structural: ClassVar[bool] = True
    what: str

    def title(self) -> str:
        return f"a probe's `if (..)` condition must not {self.what}"

    def help(self) -> str:
        return "it may use global variables and literals; `when (..)` takes any expression"


@dataclass(frozen=True, slots=True, kw_only=True)
class BadSort(TypeDiagnostic):
    code: ClassVar[str] = "E0320"
    reason: str

    def title(self) -> str:
        return f"this `foreach` cannot be sorted so: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicateName(TypeDiagnostic):
    code: ClassVar[str] = "E0321"
    structural: ClassVar[bool] = True
    what: str
    name: str
    first: Span | None = None

    def title(self) -> str:
        return f"duplicate {self.what} `{self.name}`"

    def related(self) -> tuple[tuple[Span, str], ...]:
        return ((self.first, "first declared here"),) if self.first else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownOverride(TypeDiagnostic):
    code: ClassVar[str] = "E0322"
    name: str
    similar: tuple[str, ...] = ()

    def title(self) -> str:
        return f"-G {self.name}=..: there is no global variable `{self.name}`"

    def help(self) -> str:
        return did_you_mean(self.similar)


@dataclass(frozen=True, slots=True, kw_only=True)
class BadOverride(TypeDiagnostic):
    code: ClassVar[str] = "E0323"
    name: str
    value: str
    reason: str

    def title(self) -> str:
        return f"-G {self.name}={self.value}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WildcardMisplaced(TypeDiagnostic):
    code: ClassVar[str] = "E0324"
    structural: ClassVar[bool] = True

    def title(self) -> str:
        return "`*` as a key is only legal with `in`, `delete` and the slice of a `foreach`"


@dataclass(frozen=True, slots=True, kw_only=True)
class BadPattern(TypeDiagnostic):
    code: ClassVar[str] = "E0326"
    structural: ClassVar[bool] = True
    reason: str

    def title(self) -> str:
        return f"bad regular expression: {self.reason}"

    def help(self) -> str:
        return "patterns are POSIX extended regular expressions without back references"


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternTooLarge(TypeDiagnostic):
    code: ClassVar[str] = "E0327"
    structural: ClassVar[bool] = True
    limit: int

    def title(self) -> str:
        return f"the regular expression needs an automaton of more than {self.limit} states"

    def help(self) -> str:
        return "smaller repetition counts, or several simpler patterns, need fewer"


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetVariableUnsupported(TypeDiagnostic):
    code: ClassVar[str] = "E0328"
    what: str
    available: tuple[str, ...] = ()

    def title(self) -> str:
        return f"`{self.what}`: variables of the probed program (DWARF) are not supported yet"

    def help(self) -> str:
        if self.available:
            return f"here there are {', '.join(f'`{a}`' for a in self.available)}"
        return "arguments by position: `int_arg(1)`, `pointer_arg(1)`; in a .return probe: `returnval()`"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideProcessProbe(TypeDiagnostic):
    code: ClassVar[str] = "E0329"
    what: str
    probe: str
    inner: Span | None = None

    def title(self) -> str:
        return f"`{self.what}` cannot be used outside a process probe"

    def label(self) -> str:
        return f"`{self.probe}` runs in no probed process"

    def related(self) -> tuple[tuple[Span, str], ...]:
        return ((self.inner, "used here"),) if self.inner else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GuruOnly(TypeDiagnostic):
    code: ClassVar[str] = "E0330"
    what: str

    def title(self) -> str:
        return f"{self.what} changes the probed program"

    def help(self) -> str:
        return "`-g` on the command line allows it"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsupportedOperator(TypeDiagnostic):
    code: ClassVar[str] = "E0331"
    what: str

    def title(self) -> str:
        return f"`{self.what}` is not supported yet"


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRegister(TypeDiagnostic):
    code: ClassVar[str] = "E0332"
    name: str
    similar: tuple[str, ...] = ()
    is_fixed: bool = False

    def title(self) -> str:
        if not self.name:
            return "the name of a register must be a string literal"
        if self.is_fixed:
            return f"`{self.name}` cannot be set: only the 64-bit general registers but `rsp`"
        return f"unknown register `{self.name}`"

    def help(self) -> str:
        return did_you_mean(self.similar)


@dataclass(frozen=True, slots=True, kw_only=True)
class BadOperand(TypeDiagnostic):
    code: ClassVar[str] = "E0333"
    structural: ClassVar[bool] = True
    what: str
    needed: str

    def title(self) -> str:
        return f"{self.what} needs {self.needed}"


# ------------------------------------------------------------------------------- limits of the kernel half

_ELSEWHERE = "move it to a timer or end probe, which run in user space; with --backend ptrace all probes do"


@dataclass(frozen=True, slots=True, kw_only=True)
class SortedForeachInProbe(TypeDiagnostic):
    """`inner`: the loop, when `span` is the call that leads to it."""

    code: ClassVar[str] = "E0510"
    array: str
    limited: bool = False
    inner: Span | None = None

    def title(self) -> str:
        how = "limited" if self.limited else "sorted"
        return f"a {how} `foreach` over `{self.array}` cannot run in a process probe"

    def help(self) -> str:
        return _ELSEWHERE

    def related(self) -> tuple[tuple[Span, str], ...]:
        return ((self.inner, "the loop is here"),) if self.inner else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltinNotInKernel(TypeDiagnostic):
    code: ClassVar[str] = "E0511"
    name: str
    advice: str = ""
    inner: Span | None = None

    def title(self) -> str:
        return f"`{self.name}` cannot be used in a process probe"

    def help(self) -> str:
        return self.advice or _ELSEWHERE

    def related(self) -> tuple[tuple[Span, str], ...]:
        return ((self.inner, "called here"),) if self.inner else ()


# ------------------------------------------------------------------------------------------------- warnings


@dataclass(frozen=True, slots=True, kw_only=True)
class NeverAssigned(CompileWarning):
    code: ClassVar[str] = "W0301"
    name: str
    similar: tuple[str, ...] = ()

    def title(self) -> str:
        return f"the local variable `{self.name}` is never assigned: it is 0 or empty"

    def help(self) -> str:
        return did_you_mean(self.similar)


@dataclass(frozen=True, slots=True, kw_only=True)
class ElidedAssignment(CompileWarning):
    code: ClassVar[str] = "W0302"
    name: str

    def title(self) -> str:
        return f"the local variable `{self.name}` is never read: its assignment is dropped"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnusedGlobal(CompileWarning):
    code: ClassVar[str] = "W0303"
    name: str

    def title(self) -> str:
        return f"the global variable `{self.name}` is never used"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnusedFunction(CompileWarning):
    code: ClassVar[str] = "W0304"
    name: str

    def title(self) -> str:
        return f"the function `{self.name}` is never called"
