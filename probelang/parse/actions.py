"""Which function builds what a rule of the grammar stands for: the names after `->` in the grammar, or of the rule."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from probelang.parse import declarations, expressions, predicates, statements
from probelang.parse.builder import Builder
from probelang.parse.driver import Action


def _none(_: Builder) -> list[object]:
    return []


def _one(_: Builder, item: object) -> list[object]:
    return [item]


def _more(_: Builder, items: list[object], *rest: object) -> list[object]:
    """A list and one more item, with or without a comma between."""
    items.append(rest[-1])
    return items


_PLAIN = (
    *(
        "number",
        "floating",
        "negative",
        "string",
        "name",
        "target_variable",
        "member",
        "pretty",
        "subscript",
        "element",
    ),
    *(
        "call",
        "to_long",
        "group",
        "address_of",
        "unary",
        "binary",
        "regex_match",
        "membership",
        "membership_tuple",
    ),
    *("conditional", "assign", "increment_before", "increment_after", "print_call", "at_word", "at_call"),
    "histogram",
)
_STATEMENTS = (
    *("block", "empty", "expression_statement", "if_statement", "while_statement", "absent", "for_statement"),
    *("return_nothing", "return_value", "next_statement", "break_statement", "continue_statement"),
    *("delete_statement", "try_statement", "bracketed", "foreach_array", "order", "foreach_value"),
    "foreach_keys",
)
_DECLARATIONS = (
    *("component", "component_argument", "component_group", "point", "probe", "alias_name", "alias"),
    *("function", "parameter", "variable", "private_globals", "private_variables", "declared"),
)

ACTIONS: Mapping[str, Action] = MappingProxyType(
    {
        "none": _none,
        "one": _one,
        "more": _more,
        "sorted": statements.sorted_name,
        "globals": declarations.global_variables,
        **{name: vars(expressions)[name] for name in _PLAIN},
        **{name: vars(statements)[name] for name in _STATEMENTS},
        **{name: vars(declarations)[name] for name in _DECLARATIONS},
        **{name: vars(predicates)[name] for name in ("caller_test", "within_test")},
    }
)
