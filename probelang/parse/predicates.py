"""`caller is X`, `caller in X` and `within X`: words that are keywords only here, and what X may be.

caller is process("P").function("f*")   ->  CodeTest("caller", (Component("process", b"P"), Component("function", b"f*")))
caller = 3; within(x); caller in array  ->  names, as ever: nothing that X can begin with follows
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from probelang.diag import Diagnostic, similar_names
from probelang.diag.deferred import Deferred
from probelang.parse import tokens
from probelang.parse.builder import Builder
from probelang.parse.tokens import Token
from probelang.syntax import CodeTest, Component, Name

if TYPE_CHECKING:
    from probelang.diag import callers as mistakes
else:
    mistakes = Deferred("probelang.diag.callers")

PREDICATE_WORDS = {"caller": tokens.CALLER, "within": tokens.WITHIN, "is": tokens.IS}
_PARTS = ("process", "library", "function", "statement")
# what may stand before each part
_BEFORE: dict[str, tuple[str, ...]] = {
    "process": ("",),
    "library": ("", "process"),
    "function": ("", "process", "library"),
    "statement": ("", "process", "library", "function"),
}

Subject = Literal["caller", "within"]
Peek = Callable[[int], Token]


def begins_predicate(token: Token, peek: Peek) -> bool:
    """Whether `caller`, `within` or `is` is no name here. `is` stands only where nothing else can."""
    if token.text == "is":
        return True
    if token.text == "within":
        return _begins_code(peek, 0)
    first = peek(0)
    if first.kind == "in":
        return _begins_code(peek, 1)
    return first.kind == tokens.IDENT and first.text == "is" and _is_operand(peek(1))


def _begins_code(peek: Peek, at: int) -> bool:
    """`process("P")`, `function("f")`, `process.function`: not what could be an array, or a statement of its own."""
    word, following = peek(at), peek(at + 1)
    if word.text not in _PARTS or word.kind not in (tokens.IDENT, "function"):
        return False
    if following.kind == "(":
        return peek(at + 2).kind in (tokens.TEXT, tokens.NUMBER) or word.kind == "function"
    return word.text == "process" and following.kind == "." and peek(at + 2).text in _PARTS


def _is_operand(token: Token) -> bool:
    """What cannot follow a variable called `is`, but may be meant as a caller."""
    return token.kind in (tokens.IDENT, tokens.TEXT, tokens.NUMBER, tokens.TARGET, "function")


def mistaken(token: Token, values: Sequence[object]) -> Diagnostic | None:
    """What is wrong where a caller is compared in another way than the language has; None where that is not it. `values`: what the
    parser has read of the declaration, innermost last."""
    before = values[-1] if values else None
    second = values[-2] if len(values) > 1 else None
    match before:
        case CodeTest(code=(Component(name="not"), *_)):
            return _problem(before.code[0], "", before)
        case Token(kind="COMPONENT", text="not") if isinstance(second, Token) and second.kind == tokens.IS:
            return mistakes.CodeForm(span=second.span.to(token.span), negated=True)
        case Token(kind=tokens.IS):
            return mistakes.CodeForm(span=before.span.to(token.span), given=_given(token))
        case Token(kind="in") if _is_caller(second) and token.kind == tokens.TEXT:
            return mistakes.CodeForm(span=before.span.to(token.span), given=_given(token))
        case Token(kind="==" | "!=") if _is_caller(second) and token.kind == "function":
            return mistakes.CodeForm(span=before.span.to(token.span), negated=before.kind == "!=")
        case Name(name="within") | Token(kind=tokens.IDENT, text="within") if token.kind in (
            tokens.IDENT,
            tokens.TEXT,
        ):
            return mistakes.CodeForm(span=before.span.to(token.span), subject="within", given=_given(token))
        case _:
            return None


def _is_caller(value: object) -> bool:
    return isinstance(value, Name) and value.name == "caller"


def _given(token: Token) -> str:
    return token.value.decode("utf-8", "replace") if token.kind == tokens.TEXT else token.text


# ---------------------------------------------------------------------------------------------------- actions


def caller_test(builder: Builder, caller: Token, word: Token, code: list[Component]) -> CodeTest:
    return _test(builder, caller, "caller", code)


def within_test(builder: Builder, word: Token, code: list[Component]) -> CodeTest:
    return _test(builder, word, "within", code)


def _test(builder: Builder, word: Token, subject: Subject, code: list[Component]) -> CodeTest:
    test = CodeTest(word.span.to(code[-1].span), subject, tuple(code))
    before = ""
    for part in code:
        problem = _problem(part, before, test)
        if problem is not None:
            builder.errors.append(problem)
            break
        before = part.name
    return test


def _problem(part: Component, before: str, test: CodeTest) -> Diagnostic | None:
    allowed = _BEFORE.get(part.name)
    if allowed is None and part.argument is None:
        negated = part.name == "not"
        given = "" if negated else part.name
        return mistakes.CodeForm(span=test.span, subject=test.subject, given=given, negated=negated)
    if allowed is None or before not in allowed:
        known = tuple(name for name, after in _BEFORE.items() if before in after)
        similar = similar_names(part.name, known) if allowed is None else ()
        return mistakes.BadCode(span=part.span, part=part.name, before=before, known=known, similar=similar)
    is_right = part.name == "process" if part.argument is None else _takes(part.name, part.argument)
    return None if is_right else mistakes.BadCodeArgument(span=part.span, part=part.name)


def _takes(name: str, argument: int | bytes) -> bool:
    """Numbers are process ids, and addresses in a file."""
    return isinstance(argument, bytes) or name != "library"
