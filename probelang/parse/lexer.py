"""The lexer: characters to tokens, script arguments pasted in.

    probe $1 { println(@2) }     with arguments  begin  'a "b"'
    -> "probe" IDENT begin "{" PRINT println "(" TEXT a "b" ")" "}" $END

`$1` pastes the argument's characters into the text where a token may begin, so it may hold several tokens, or a
part of one; `@1` pastes it as one string literal; `$#` and `@#` are their number. Tokens that come from an
argument have the span of the `$1`.

A character sequence that is no token becomes a BAD token, which is complained about only if it reaches the
parser: what stands in a skipped `%( %)` branch is never an error.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from probelang.diag import Diagnostic
from probelang.diag.deferred import Deferred
from probelang.parse import tokens
from probelang.parse.literals import decode_string
from probelang.parse.tokens import KEYWORDS, PRINT_FAMILY, Token
from probelang.source import SourceFile, Span, encode_text

if TYPE_CHECKING:
    from probelang.diag import syntax as mistakes
else:
    mistakes = Deferred("probelang.diag.syntax")

# no possessive groups: before Python 3.11.5 they forget what they matched (github.com/python/cpython/issues/106052)
_SPACE = re.compile(r"(?:[ \t\r\n\v\f\0]+|//[^\n]*|\#[^\n]*|/\*[^*]*\*+(?:[^/*][^*]*\*+)*/)+")
_TOKEN = re.compile(
    r"""
    (?P<paste>\$[0-9]+)
  | (?P<quote>@[0-9]+)
  | (?P<count>[$@]\#)
  | (?P<word>[A-Za-z_][A-Za-z0-9_$]*)
  | (?P<target>\$[A-Za-z0-9_$]*)
  | (?P<at>@[A-Za-z_$][A-Za-z0-9_$]*)
  | (?P<float>[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]+)?(?![A-Za-z0-9_]))
  | (?P<number>[0-9][A-Za-z0-9]*)
  | (?P<string>"[^"\\\n]*(?:\\.[^"\\\n]*)*")
  | (?P<embedded>%\{[^%]*(?:%(?!\})[^%]*)*%\})
  | (?P<open>%\{|/\*)
  | (?P<operator><<<|>>>|<<=|>>=|==|!=|<=|>=|=~|!~|\+=|-=|\*=|/=|%=|&=|\^=|\|=|\.=|&&|\|\||\+\+|--|->|<<|>>
        |%\(|%\?|%:|%\)|[-+*/%&|^~!<>=.,;:?(){}\[\]])
    """,
    re.VERBOSE | re.DOTALL,
)
_REST_OF_LINE = re.compile(r"[^\n]*")


class Lexer:
    """An iterator over one file's tokens that ends with $END again and again. `used`: arguments asked for."""

    def __init__(self, source: SourceFile, arguments: tuple[str, ...]) -> None:
        self.source = source
        self.used: set[int] = set()
        self._arguments = arguments
        self._text = source.text
        self._position = 0
        self._offset = 0  # what to add to a position in `_text` for the offset in the file
        self._pasted_end = 0  # characters before it, from the last paste on, come from an argument
        self._pasted: Span | None = None

    def next(self) -> Token:
        """The next token; at the end of the file $END, however often."""
        start = self._position
        if (space := _SPACE.match(self._text, start)) is not None:
            start = space.end()
        glued = start == self._position and start > 0
        if start >= len(self._text):
            self._position = start
            return Token(tokens.END, "", self._span(start, start))
        match = _TOKEN.match(self._text, start)
        if match is None or match.lastgroup == "open":
            return self._bad_characters(start)
        self._position = match.end()
        return self._token(match, glued)

    def _token(self, match: re.Match[str], glued: bool) -> Token:
        text = match[0]
        span = self._span(match.start(), match.end())
        match match.lastgroup:
            case "operator":
                return Token(text, text, span, glued)
            case "word" if text in KEYWORDS:
                return Token(text, text, span, glued)
            case "word":
                return Token(tokens.PRINT if text in PRINT_FAMILY else tokens.IDENT, text, span, glued)
            case "target":
                return Token(text if text in ("$", "$$") else tokens.TARGET, text, span, glued)
            case "at":
                return Token(tokens.AT, text, span, glued)
            case "number":
                return Token(tokens.NUMBER, text, span, glued)
            case "float":
                return Token(tokens.FLOAT, text, span, glued)
            case "string":
                return self._string(text, span, glued)
            case "embedded":
                return Token(tokens.EMBEDDED, "%{", span, glued, problem=mistakes.EmbeddedC(span=span))
            case "count":
                return self._count(text, span, glued)
            case _:
                return self._argument(text, match.start(), span, glued)

    def _string(self, text: str, span: Span, glued: bool) -> Token:
        value, bad = decode_string(text[1:-1])
        problem = None
        if bad is not None:
            problem = mistakes.BadEscape(span=Span(span.source, span.start + bad + 1, span.start + bad + 3))
        return Token(tokens.TEXT, text, span, glued, value, problem)

    def _count(self, text: str, span: Span, glued: bool) -> Token:
        count = str(len(self._arguments))
        if text == "$#":
            return Token(tokens.NUMBER, count, span, glued)
        return Token(tokens.TEXT, f'"{count}"', span, glued, count.encode())

    def _argument(self, text: str, start: int, span: Span, glued: bool) -> Token:
        number = int(text[1:])
        if start < self._pasted_end:
            return self._bad(text, span, mistakes.ArgumentInArgument(span=span))
        if not 1 <= number <= len(self._arguments):
            given = len(self._arguments)
            return self._bad(text, span, mistakes.MissingArgument(span=span, written=text, given=given))
        self.used.add(number)
        argument = self._arguments[number - 1]
        if text[0] == "@":
            quoted = '"' + argument.replace("\\", "\\\\").replace('"', '\\"') + '"'
            return Token(tokens.TEXT, quoted, span, glued, encode_text(argument))
        self._text = self._text[:start] + argument + self._text[self._position :]
        self._offset += len(text) - len(argument)
        self._pasted, self._pasted_end = span, start + len(argument)
        self._position = start
        token = self.next()
        return token._replace(glued=token.glued and glued)

    def _bad_characters(self, start: int) -> Token:
        text = self._text[start : start + 2]
        if text[0] == '"':
            rest = _REST_OF_LINE.match(self._text, start)
            self._position = rest.end() if rest is not None else len(self._text)
            problem: Diagnostic = mistakes.UnterminatedString(span=self._span(start, start + 1))
        elif text == "/*":
            self._position = len(self._text)
            problem = mistakes.UnterminatedComment(span=self._span(start, start + 2))
        elif text == "%{":
            self._position = len(self._text)
            problem = mistakes.EmbeddedC(span=self._span(start, start + 2))
        else:
            self._position = start + 1
            problem = mistakes.BadCharacter(span=self._span(start, start + 1), character=text[0])
        return self._bad(text, problem.span or self._span(start, start), problem)

    def _bad(self, text: str, span: Span, problem: Diagnostic) -> Token:
        return Token(tokens.BAD, text, span, problem=problem)

    def _span(self, start: int, end: int) -> Span:
        if start < self._pasted_end and self._pasted is not None:
            if end <= self._pasted_end:
                return self._pasted
            return Span(self.source, self._pasted.start, end + self._offset)
        return Span(self.source, start + self._offset, end + self._offset)
