"""Mistakes of the front end: characters, macros, conditionals, script arguments and grammar (E01xx, W01xx).

probe begin { x = }   ->   E0101 unexpected `}`, with label "expected an expression"
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from probelang.diag import CompileWarning, Diagnostic, did_you_mean
from probelang.source import Span


def _list(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} or {items[-1]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnexpectedToken(Diagnostic):
    """`found` is described already (`x`, end of file); `expected` too, empty when too much is possible.
    `macro_call`: where the macro was called that the token comes from."""

    code: ClassVar[str] = "E0101"
    found: str
    expected: tuple[str, ...] = ()
    advice: str = ""
    macro_call: Span | None = None

    def title(self) -> str:
        return f"unexpected {self.found}"

    def label(self) -> str:
        return f"expected {_list(self.expected)}" if self.expected else ""

    def help(self) -> str:
        return self.advice

    def related(self) -> tuple[tuple[Span, str], ...]:
        return () if self.macro_call is None else ((self.macro_call, "it comes from this macro"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class BadCharacter(Diagnostic):
    code: ClassVar[str] = "E0102"
    character: str

    def title(self) -> str:
        number = ord(self.character)
        byte = number < 0x80 or 0xDC80 <= number < 0xDD00  # a byte that is no UTF-8, as a surrogate
        written = f"\\x{number & 0xFF:02x}" if byte else f"U+{number:04X}"
        shown = self.character if self.character.isprintable() else written
        return f"the character `{shown}` means nothing here"

    def help(self) -> str:
        return 'there are no character literals: write a string, "x"' if self.character == "'" else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnterminatedString(Diagnostic):
    code: ClassVar[str] = "E0103"

    def title(self) -> str:
        return "string literal without closing quote"

    def help(self) -> str:
        return (
            "a string ends on its line; write \\n for a newline, and glue long strings from several literals"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class UnterminatedComment(Diagnostic):
    code: ClassVar[str] = "E0104"

    def title(self) -> str:
        return "comment without closing `*/`"


@dataclass(frozen=True, slots=True, kw_only=True)
class BadNumber(Diagnostic):
    code: ClassVar[str] = "E0105"
    text: str

    def title(self) -> str:
        return f"number `{self.text}` is invalid or out of range"

    def help(self) -> str:
        return "numbers are decimal, 0x hexadecimal or 0 octal, from 0 to 18446744073709551615"


@dataclass(frozen=True, slots=True, kw_only=True)
class BadEscape(Diagnostic):
    code: ClassVar[str] = "E0106"

    def title(self) -> str:
        return "`\\x` without hexadecimal digits"


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedC(Diagnostic):
    code: ClassVar[str] = "E0107"

    def title(self) -> str:
        return "embedded C code is not supported"

    def label(self) -> str:
        return "starts here"

    def help(self) -> str:
        return "`%{ %}` is C for a kernel module; probelang compiles to eBPF: write it in the script language"


@dataclass(frozen=True, slots=True, kw_only=True)
class GuruOnly(Diagnostic):
    """`what` is the construct in words, with its names in backticks."""

    code: ClassVar[str] = "E0108"
    what: str

    def title(self) -> str:
        return f"{self.what} reads the kernel, which probelang does not do"


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingArgument(Diagnostic):
    code: ClassVar[str] = "E0109"
    written: str
    given: int

    def title(self) -> str:
        return f"script argument `{self.written}` was not given"

    def label(self) -> str:
        return f"{self.given or 'no'} argument{'' if self.given == 1 else 's'} given"

    def help(self) -> str:
        return "put arguments behind the script's name on the command line"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArgumentInArgument(Diagnostic):
    code: ClassVar[str] = "E0110"

    def title(self) -> str:
        return "a script argument may not itself use script arguments"


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicateMacro(Diagnostic):
    code: ClassVar[str] = "E0111"
    name: str
    first: Span

    def title(self) -> str:
        return f"macro `@{self.name}` is defined twice in this file"

    def related(self) -> tuple[tuple[Span, str], ...]:
        return ((self.first, "first definition"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class MacroSyntax(Diagnostic):
    code: ClassVar[str] = "E0112"
    found: str
    expected: str

    def title(self) -> str:
        return f"unexpected {self.found} in macro definition"

    def label(self) -> str:
        return f"expected {self.expected}"

    def help(self) -> str:
        return "write `@define NAME %( BODY %)` or `@define NAME(a, b) %( BODY %)`"


@dataclass(frozen=True, slots=True, kw_only=True)
class MacroArguments(Diagnostic):
    """`given` is None when no parenthesis follows the name."""

    code: ClassVar[str] = "E0113"
    name: str
    wanted: int
    given: int | None

    def title(self) -> str:
        number = f"{self.wanted} argument{'' if self.wanted == 1 else 's'}"
        got = "none" if self.given is None else str(self.given)
        return f"macro `@{self.name}` takes {number}, got {got}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DefineInMacro(Diagnostic):
    code: ClassVar[str] = "E0114"

    def title(self) -> str:
        return "`@define` inside a macro body"

    def help(self) -> str:
        return "define each macro on its own, outside of other macros"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unclosed(Diagnostic):
    """`what` is opened at the span; `closing` never came."""

    code: ClassVar[str] = "E0115"
    what: str
    closing: str

    def title(self) -> str:
        return f"{self.what} without closing `{self.closing}`"

    def label(self) -> str:
        return "opened here"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionSyntax(Diagnostic):
    code: ClassVar[str] = "E0116"
    found: str
    expected: str

    def title(self) -> str:
        return f"unexpected {self.found} in a `%( ... %?` condition"

    def label(self) -> str:
        return f"expected {self.expected}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MacroRecursion(Diagnostic):
    code: ClassVar[str] = "E0117"
    name: str

    def title(self) -> str:
        return f"macro `@{self.name}` expands to itself"


@dataclass(frozen=True, slots=True, kw_only=True)
class TooManyExpansions(Diagnostic):
    code: ClassVar[str] = "E0133"
    limit: int

    def title(self) -> str:
        return f"more than {self.limit} macro expansions"

    def help(self) -> str:
        return "macros that use others several times each grow very fast"


@dataclass(frozen=True, slots=True, kw_only=True)
class StrayConditional(Diagnostic):
    code: ClassVar[str] = "E0118"
    text: str

    def title(self) -> str:
        return f"`{self.text}` without `%(`"


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryMacrosOnly(Diagnostic):
    code: ClassVar[str] = "E0119"
    found: str

    def title(self) -> str:
        return f"unexpected {self.found} in a macro library"

    def help(self) -> str:
        return "a .stpm file holds only @define"


@dataclass(frozen=True, slots=True, kw_only=True)
class NestedTooDeeply(Diagnostic):
    code: ClassVar[str] = "E0120"
    limit: int

    def title(self) -> str:
        return f"nested too deeply (more than {self.limit} levels)"

    def help(self) -> str:
        return "split the expression or the block, or move a part of it into a function"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownOperator(Diagnostic):
    code: ClassVar[str] = "E0121"
    name: str
    similar: tuple[str, ...] = ()

    def title(self) -> str:
        return f"unknown operator or macro `@{self.name}`"

    def help(self) -> str:
        return did_you_mean(tuple(f"@{s}" for s in self.similar))


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorArguments(Diagnostic):
    """`usage` shows how it is written."""

    code: ClassVar[str] = "E0122"
    name: str
    usage: str

    def title(self) -> str:
        return f"wrong number of arguments for `{self.name}`"

    def help(self) -> str:
        return f"write {self.usage}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LiteralExpected(Diagnostic):
    """`what`: the place that wants it; `kind`: number or string."""

    code: ClassVar[str] = "E0123"
    what: str
    kind: str

    def title(self) -> str:
        return f"{self.what} must be a {self.kind} literal"


@dataclass(frozen=True, slots=True, kw_only=True)
class BadAliasName(Diagnostic):
    code: ClassVar[str] = "E0124"
    found: str

    def title(self) -> str:
        return f"an alias name may not have {self.found}"


@dataclass(frozen=True, slots=True, kw_only=True)
class EpilogueAliasBlocks(Diagnostic):
    code: ClassVar[str] = "E0125"

    def title(self) -> str:
        return "an alias defined with `+=` has one block only"

    def help(self) -> str:
        return "define the alias with `=` to give it a prologue and an epilogue"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutOfRange(Diagnostic):
    code: ClassVar[str] = "E0126"
    what: str
    least: int
    most: int | None = None

    def title(self) -> str:
        if self.most is None:
            return f"{self.what} must be at least {self.least}"
        return f"{self.what} must be from {self.least} to {self.most}"


@dataclass(frozen=True, slots=True, kw_only=True)
class InitialisedArray(Diagnostic):
    code: ClassVar[str] = "E0127"
    name: str

    def title(self) -> str:
        return f"array `{self.name}` cannot have an initial value"

    def help(self) -> str:
        return "only scalar globals are initialised; fill an array in a begin probe"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeveralSorts(Diagnostic):
    code: ClassVar[str] = "E0128"
    first: Span

    def title(self) -> str:
        return "a `foreach` can be sorted by one thing only"

    def related(self) -> tuple[tuple[Span, str], ...]:
        return ((self.first, "already sorted by this"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class SuffixNotLast(Diagnostic):
    code: ClassVar[str] = "E0129"

    def title(self) -> str:
        return "`?`, `!` and conditions belong to the last component of a probe point"


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterPretty(Diagnostic):
    code: ClassVar[str] = "E0130"
    found: str

    def title(self) -> str:
        return f"`{self.found}` after a pretty-printed value"

    def help(self) -> str:
        return "the `$` that pretty-prints comes last: `$x->member$`"


@dataclass(frozen=True, slots=True, kw_only=True)
class HistogramAsValue(Diagnostic):
    code: ClassVar[str] = "E0131"
    name: str

    def title(self) -> str:
        return f"`@{self.name}` is not a value"

    def help(self) -> str:
        return "a histogram is printed alone (`print(@hist_log(s))`), indexed, or iterated with foreach"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnOutsideFunction(Diagnostic):
    code: ClassVar[str] = "E0132"

    def title(self) -> str:
        return "`return` outside of a function"

    def help(self) -> str:
        return "write `next` to leave a probe"


@dataclass(frozen=True, slots=True, kw_only=True)
class BadConversion(Diagnostic):
    code: ClassVar[str] = "E0134"
    text: str

    def title(self) -> str:
        return f"invalid or missing conversion specifier in `{self.text}`"

    def help(self) -> str:
        return "conversions are %d %i %u %x %X %o %c %s %p %b %m %M and %%, with one flag at most"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnusedArgument(CompileWarning):
    """No span: it is about the command line."""

    code: ClassVar[str] = "W0101"
    number: int
    text: str

    def title(self) -> str:
        return f"script argument `${self.number}` (`{self.text}`) is not used"


@dataclass(frozen=True, slots=True, kw_only=True)
class MacroShadowsOperator(CompileWarning):
    code: ClassVar[str] = "W0102"
    name: str

    def title(self) -> str:
        return f"macro `@{self.name}` hides the operator of that name"
