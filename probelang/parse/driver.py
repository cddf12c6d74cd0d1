"""The parser proper: runs the LALR tables over the tokens and calls an action for each rule.

    NUMBER "+" NUMBER   ->   number(1), number(2), binary(1, "+", 2)   ->   Binary("+", Number(1), Number(2))

It is told apart from lark's own loop by three things: words that are keywords only in places are decided here, by what
the tables accept at that place; after a mistake it goes on at the next declaration; and it counts how deep
the tree gets. It uses no recursion, so no input is too deep for itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from probelang.diag.deferred import Deferred
from probelang.parse import tokens
from probelang.parse.builder import Builder
from probelang.parse.predicates import PREDICATE_WORDS, begins_predicate, mistaken
from probelang.parse.tables import State, Tables
from probelang.parse.tokens import DECLARATION_KEYWORDS, KEYWORDS, Token, describe

if TYPE_CHECKING:
    from probelang.diag import syntax as mistakes
else:
    mistakes = Deferred("probelang.diag.syntax")

Action = Callable[..., object]

# Later phases walk the tree recursively, a few Python frames a level.
MAX_DEPTH = 1000
MAX_MISTAKES = 20
# Rules that make no node, so add no depth.
_FLAT = frozenset(("", "none", "one", "more", "bracketed", "group", "declared"))
_NAME_LIKE = KEYWORDS | {tokens.IDENT, tokens.PRINT}
_COMPONENT_LIKE = _NAME_LIKE | {"*"}


class Parser:
    """One run over one file."""

    def __init__(
        self,
        tables: Tables,
        actions: Mapping[str, Action],
        builder: Builder,
        fetch: Callable[[], Token],
    ) -> None:
        self._tables = tables
        self._actions = actions
        self._builder = builder
        self._fetch = fetch
        self._ahead: deque[Token] = deque()
        self._before = ""  # the kind of the token before the current one
        self._states: list[int] = []
        self._values: list[object] = []
        self._depths: list[int] = []
        self._suspect: Token | None = None  # a keyword in the wrong place
        self._left_open = 0  # blocks that the last mistake broke off: their `}` are no mistakes

    def run(self, start: str) -> object:
        """The value of the start symbol. Mistakes go to the builder; then the value means nothing."""
        begin, end = self._tables.starts[start], self._tables.ends[start]
        self._restart(begin)
        while True:
            token = self._classify(self._next())
            if token.problem is not None:
                self._builder.errors.append(token.problem)
            trouble = token.kind in (tokens.BAD, tokens.EMBEDDED) or not self._feed(token, end)
            if trouble and not self._recover(token, begin):
                return None
            if not trouble and token.kind == tokens.END:
                return self._values[-1]
            if not trouble:
                self._before = token.kind
                if token is not self._suspect:
                    self._suspect = None

    def _restart(self, begin: int) -> None:
        self._states, self._values, self._depths = [begin], [], []

    # ------------------------------------------------------------------------------------------- tokens

    def _next(self) -> Token:
        return self._ahead.popleft() if self._ahead else self._fetch()

    def _peek(self, distance: int = 0) -> Token:
        while len(self._ahead) <= distance:
            self._ahead.append(self._fetch())
        return self._ahead[distance]

    def _classify(self, token: Token) -> Token:
        """The token with the kind that it has at this place."""
        accepted = self._tables.actions[self._states[-1]]
        kind = token.kind
        if "COMPONENT" in accepted and kind in _COMPONENT_LIKE:
            return self._component(token)
        if "MEMBER" in accepted and kind in _NAME_LIKE:
            return token._replace(kind="MEMBER")
        if kind == tokens.IDENT and token.text == "when" and "WHEN" in accepted:
            return token._replace(kind="WHEN")
        if kind == "return" and self._peek().kind in (";", "}"):
            return token._replace(kind="RETURN_ALONE")
        if (
            kind == tokens.IDENT
            and token.text in PREDICATE_WORDS
            and (soft := PREDICATE_WORDS[token.text]) in accepted
        ):
            return token._replace(kind=soft) if begins_predicate(token, self._peek) else token
        return token

    def _component(self, token: Token) -> Token:
        """The part of a probe point that starts with `token`: all that follows without space between."""
        text, span = token.text, token.span
        while (more := self._peek()).glued and (more.kind in _COMPONENT_LIKE or more.kind == tokens.NUMBER):
            text += more.text
            span = span.to(more.span)
            self._next()
        return token._replace(kind="COMPONENT", text=text, span=span)

    # --------------------------------------------------------------------------------- shift and reduce

    def _feed(self, token: Token, end: int) -> bool:
        """Reduces what `token` completes and shifts it; false after a mistake, which is reported."""
        actions, gotos, rules = self._tables.actions, self._tables.gotos, self._tables.rules
        states = self._states
        while True:
            if token.kind == tokens.END and states[-1] == end:
                return True
            action = actions[states[-1]].get(token.kind)
            if action is None:
                self._report(token, actions[states[-1]])
                return False
            if action >= 0:
                states.append(action)
                self._values.append(token)
                self._depths.append(0)
                return True
            rule = rules[-1 - action]
            if not rule.action:
                states.pop()
                states.append(gotos[states[-1]][rule.origin])
            elif not self._reduce(rule.length, rule.action, rule.slots, rule.origin):
                self._builder.errors.append(mistakes.NestedTooDeeply(span=token.span, limit=MAX_DEPTH))
                return False

    def _reduce(self, length: int, action: str, slots: tuple[int, ...], origin: str) -> bool:
        """Replaces the last `length` values by what `action` makes of them; false where that is too deep."""
        first = len(self._values) - length
        children = self._values[first:]
        depth = max(self._depths[first:], default=0)
        if action not in _FLAT:
            depth += 1
        del self._values[first:], self._depths[first:], self._states[first + 1 :]
        if depth > MAX_DEPTH:
            return False
        arguments = children if len(slots) == length else [None if i < 0 else children[i] for i in slots]
        self._values.append(self._actions[action](self._builder, *arguments))
        self._depths.append(depth)
        self._states.append(self._tables.gotos[self._states[-1]][origin])
        return True

    # ----------------------------------------------------------------------------------------- mistakes

    def _report(self, token: Token, accepted: State) -> None:
        if self._follows(token, accepted):
            return
        form = mistaken(token, self._values)
        if form is not None:
            if form not in self._builder.errors:
                self._builder.errors.append(form)
            return
        advice = ""
        if token.kind == tokens.END:
            advice = self._unclosed()
        elif token.kind == tokens.AT and "probe" in accepted:
            advice = f"there is no macro `{token.text}`"
        self._builder.errors.append(
            mistakes.UnexpectedToken(
                span=token.span,
                found=describe(token),
                expected=expectations(accepted),
                advice=advice,
                macro_call=token.origin,
            )
        )

    def _follows(self, token: Token, accepted: State) -> bool:
        """Whether this is only what a keyword taken for a name, or a declaration within a block, leaves behind."""
        if token.kind == "}" and "probe" in accepted and self._left_open:
            self._left_open -= 1
            return True
        return self._suspect is not None

    def _unclosed(self) -> str:
        closed = 0
        for value in reversed(self._values):
            if not isinstance(value, Token):
                continue
            if value.kind in ("}", ")", "]"):
                closed += 1
            elif value.kind in ("{", "(", "[") and closed:
                closed -= 1
            elif value.kind in ("{", "(", "["):
                line, column = value.span.line_column
                return f"the `{value.text}` of line {line}, column {column} is not closed"
        return ""

    def _recover(self, token: Token, begin: int) -> bool:
        """Skips to the next declaration; false at the end of the file."""
        builder = self._builder
        builder.forget()
        mistaken = token
        self._left_open += sum(isinstance(value, Token) and value.kind == "{" for value in self._values)
        self._restart(begin)
        while token.kind != tokens.END and len(builder.errors) < MAX_MISTAKES:
            if self._starts_declaration(token):
                self._ahead.appendleft(token)
                self._before = ""
                self._suspect = token if token is mistaken else None
                return True
            self._left_open = max(0, self._left_open + (token.kind == "{") - (token.kind == "}"))
            if token.kind not in (tokens.BAD, tokens.EMBEDDED) and token.problem is not None:
                builder.errors.append(token.problem)
            self._before = token.kind
            token = self._next()
        return False

    def _starts_declaration(self, token: Token) -> bool:
        if token.kind not in DECLARATION_KEYWORDS or self._before in (".", "->"):
            return False
        return token.kind != "function" or self._peek().kind in (tokens.IDENT, tokens.PRINT)


_SINGLE = {
    "COMPONENT": "a probe point",
    "MEMBER": "a member name",
    "IDENT": "a name",
    "NUMBER": "a number",
    "TEXT": "a string literal",
}
_SHOWN = ("(", ")", "[", "]", "{", "}", ";", ":", ",", "in", "=", "catch", "long", "string", "limit", "else")


def expectations(accepted: State) -> tuple[str, ...]:
    """What could have stood there instead, for a message; empty where that is too much to say."""
    words: list[str] = []
    if "probe" in accepted:
        words.append("a declaration (`probe`, `global`, `private` or `function`)")
    if "while" in accepted:
        words.append("a statement")
    elif {"IDENT", "NUMBER", "("} <= accepted.keys():
        words.append("an expression")
    else:
        words.extend(text for kind, text in _SINGLE.items() if kind in accepted)
    if {"&&", "||"} <= accepted.keys():
        words.append("an operator")
    started = "while" in accepted or "an expression" in words
    hidden = frozenset("([{;") if started else frozenset[str]()
    words.extend(f"`{kind}`" for kind in _SHOWN if kind in accepted and kind not in hidden)
    return tuple(words) if len(words) <= 7 else ()
