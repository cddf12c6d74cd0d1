"""Conditions of `%( CONDITION %? ... %)`: what `kernel_v`, `arch` and the rest stand for, and comparing.

    $# > 1 && arch == "x86*" || systemtap_v >= "4.0"   ->   True or False

`&&` binds tighter than `||`, there are no parentheses. Version strings compare as strverscmp does: digits by value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from probelang.diag import Diagnostic
from probelang.diag.deferred import Deferred
from probelang.options import Options
from probelang.parse import tokens
from probelang.parse.literals import decode_number
from probelang.parse.tokens import Token, describe
from probelang.source import decode_text

if TYPE_CHECKING:
    from probelang.diag import syntax as mistakes
else:
    mistakes = Deferred("probelang.diag.syntax")

SYSTEMTAP_VERSION = "5.6"
_ARCHITECTURES = {"aarch64": "arm64"}
_OPERATORS: dict[str, Callable[[int], bool]] = {
    "==": lambda order: order == 0,
    "!=": lambda order: order != 0,
    "<": lambda order: order < 0,
    "<=": lambda order: order <= 0,
    ">": lambda order: order > 0,
    ">=": lambda order: order >= 0,
}
_VERSIONS = ("kernel_v", "kernel_vr", "systemtap_v")
_NAMES = ("arch", "runtime", "systemtap_privilege", "guru_mode")


class BadCondition(Exception):
    """Carries what is wrong."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__()
        self.diagnostic = diagnostic


def evaluate(condition: Sequence[Token], end: Token, options: Options) -> bool:
    """The value of the tokens between `%(` and `end` (the `%?`). Raises BadCondition."""
    return _Evaluation(condition, end, options).disjunction()


def compare_versions(left: str, right: str) -> int:
    """Negative, 0 or positive; parts made of digits compare by value, others as text."""
    a, b = _version_key(left), _version_key(right)
    return (a > b) - (a < b)


def _version_key(text: str) -> list[tuple[int, int, str]]:
    parts = re.findall(r"[0-9]+|[^0-9]+", text)
    return [(1, int(part), "") if part[0].isdigit() else (2, 0, part) for part in parts]


class _Evaluation:
    def __init__(self, condition: Sequence[Token], end: Token, options: Options) -> None:
        self._tokens = [*condition, end]
        self._position = 0
        self._end = end
        self._options = options

    def disjunction(self) -> bool:
        value = self._conjunction()
        while self._peek().kind == "||":
            self._position += 1
            value = self._conjunction() or value
        if self._peek() is not self._end:
            raise _unexpected(self._peek(), "`&&`, `||` or `%?`")
        return value

    def _conjunction(self) -> bool:
        value = self._comparison()
        while self._peek().kind == "&&":
            self._position += 1
            value = self._comparison() and value
        return value

    def _peek(self) -> Token:
        return self._tokens[self._position]

    def _take(self) -> Token:
        token = self._peek()
        if token.problem is not None:
            raise BadCondition(token.problem)
        if token is not self._end:
            self._position += 1
        return token

    def _comparison(self) -> bool:
        left, operator = self._take(), self._take()
        if left.kind not in (tokens.IDENT, tokens.TEXT, tokens.NUMBER):
            raise _unexpected(left, "`kernel_v`, `arch`, `runtime`, `CONFIG_...`, a string or a number")
        if operator.kind not in _OPERATORS:
            raise _unexpected(operator, "a comparison operator")
        right = self._take()
        holds = _OPERATORS[operator.kind]
        if left.kind == tokens.NUMBER:
            return holds(_order(_number(left), _number(right)))
        if left.kind == tokens.TEXT:
            return holds(_order(_string(left), _string(right)))
        return self._named(left, operator, right)

    def _named(self, left: Token, operator: Token, right: Token) -> bool:
        name = left.text
        exact = operator.kind in ("==", "!=")
        if name in _VERSIONS:
            version, wanted = self._version(name), _string(right)
            if exact:
                return fnmatchcase(version, wanted) == (operator.kind == "==")
            return _OPERATORS[operator.kind](compare_versions(version, wanted))
        if name.startswith("CONFIG_"):
            return self._configuration(operator, right)
        if name not in _NAMES:
            raise _unexpected(left, "`kernel_v`, `arch`, `runtime`, `CONFIG_...`, a string or a number")
        if not exact:
            raise _unexpected(operator, "`==` or `!=`")
        if name == "guru_mode":
            return (_number(right) == int(self._options.guru)) == (operator.kind == "==")
        return fnmatchcase(self._text(name), _string(right)) == (operator.kind == "==")

    def _version(self, name: str) -> str:
        if name == "systemtap_v":
            return SYSTEMTAP_VERSION
        release = self._options.kernel_release
        if name == "kernel_vr":
            return release
        match = re.match(r"[0-9.]+", release)
        return match[0].rstrip(".") if match else release

    def _text(self, name: str) -> str:
        match name:
            case "arch":
                return _ARCHITECTURES.get(self._options.architecture, self._options.architecture)
            case "runtime":
                return "bpf"
            case _:
                return "stapdev"

    @staticmethod
    def _configuration(operator: Token, right: Token) -> bool:
        """Kernel configuration is none of our business: every CONFIG_ name is undefined."""
        if right.kind == tokens.TEXT:
            if operator.kind not in ("==", "!="):
                raise _unexpected(operator, "`==` or `!=`")
            return fnmatchcase("undefined", _string(right)) == (operator.kind == "==")
        if right.kind == tokens.IDENT and right.text.startswith("CONFIG_"):
            return _OPERATORS[operator.kind](0)
        return _OPERATORS[operator.kind](_order(0, _number(right)))


def _order(left: int | str, right: int | str) -> int:
    if isinstance(left, int) and isinstance(right, int):
        return (left > right) - (left < right)
    return (str(left) > str(right)) - (str(left) < str(right))


def _number(token: Token) -> int:
    if token.kind != tokens.NUMBER:
        raise _unexpected(token, "a number")
    value = decode_number(token.text)
    if value is None:
        raise BadCondition(mistakes.BadNumber(span=token.span, text=token.text))
    return value


def _string(token: Token) -> str:
    if token.kind != tokens.TEXT:
        raise _unexpected(token, "a string literal")
    return decode_text(token.value)


def _unexpected(token: Token, expected: str) -> BadCondition:
    if token.problem is not None:
        return BadCondition(token.problem)
    return BadCondition(mistakes.ConditionSyntax(span=token.span, found=describe(token), expected=expected))
