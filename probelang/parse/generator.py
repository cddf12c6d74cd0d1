"""Making the parser's tables from the grammar: the one module that imports lark.

lark analyses the grammar; its names of terminals (`LPAR`) are replaced by the kinds of our tokens (`(`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, cast

from lark import Lark
from lark.grammar import Rule as LarkRule
from lark.lexer import Lexer, LexerState, Token
from lark.parsers.lalr_analysis import Shift
from lark.parsers.lalr_parser import LALR_Parser

from probelang.parse.tables import STARTS, Rule, State, Tables


class _NoLexer(Lexer):
    """Our tokens come from elsewhere."""

    def __init__(self, lexer_conf: object) -> None: ...

    def lex(self, lexer_state: LexerState, parser_state: object) -> Iterator[Token]:
        return iter(())


class _Table(Protocol):
    """What of lark's parse table is read here."""

    states: dict[int, dict[str, tuple[object, object]]]
    start_states: dict[str, int]
    end_states: dict[str, int]


def make_tables(grammar: str) -> Tables:
    """Shift/reduce conflicts are resolved as shift; any other is a bug of the grammar, and raises."""
    lark = Lark(
        grammar,
        parser="lalr",
        lexer=_NoLexer,
        start=list(STARTS),
        keep_all_tokens=True,
        maybe_placeholders=True,
    )
    kinds = {terminal.name: terminal.pattern.value for terminal in lark.terminals}
    parser = cast(LALR_Parser, lark.parser.parser)  # pyright: ignore[reportUnknownMemberType]
    table = cast(_Table, parser._parse_table)  # pyright: ignore[reportPrivateUsage]
    rules = list(dict.fromkeys(lark.rules))
    numbers = {rule: number for number, rule in enumerate(rules)}
    actions: list[State] = []
    gotos: list[State] = []
    for state in range(len(table.states)):
        by_kind: State = {}
        by_origin: State = {}
        for name, (action, argument) in table.states[state].items():
            if action is not Shift:
                by_kind[kinds.get(name, name)] = -1 - numbers[cast(LarkRule, argument)]
            elif name in kinds or name.isupper():
                by_kind[kinds.get(name, name)] = cast(int, argument)
            else:
                by_origin[name] = cast(int, argument)
        actions.append(by_kind)
        gotos.append(by_origin)
    return Tables(
        tuple(actions),
        tuple(gotos),
        tuple(_rule(rule) for rule in rules),
        dict(table.start_states),
        dict(table.end_states),
    )


def _rule(rule: LarkRule) -> Rule:
    length = len(rule.expansion)
    origin = str(rule.origin.name)
    action = str(rule.alias or "")
    if not action and not (rule.options.expand1 and length == 1):
        action = origin
    slots: list[int] = []
    present = 0
    for absent in rule.options.empty_indices or [False] * length:
        slots.append(-1 if absent else present)
        present += not absent
    return Rule(origin, length, action, tuple(slots))
