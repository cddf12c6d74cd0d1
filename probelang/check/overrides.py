"""Initial values: of declarations, and of -G on the command line, which replaces them.

global limit = 10       with -G limit=20    ->  limit starts at 20
global name             with -G name=redis  ->  a string, unless the script uses it as a number
"""

from __future__ import annotations

from collections.abc import Sequence

from probelang import syntax
from probelang.artifact.code import Type
from probelang.check import mistakes
from probelang.check.cells import root, settle, type_in
from probelang.check.infer import Inference, use_with_arity
from probelang.check.scope import GlobalUse
from probelang.source import encode_text


def settle_initials(run: Inference) -> None:
    """A declaration's initial value gives the type, before any use does; only scalars have one."""
    for use in run.scope.globals:
        declaration = use.declared.declaration
        if declaration.initial is not None:
            kind = Type.LONG if isinstance(declaration.initial, syntax.Number) else Type.STRING
            settle(use.value, kind, declaration.span)
            use_with_arity(run, use, 0, declaration.span)
            use.first_use = None


def apply_overrides(run: Inference, overrides: Sequence[tuple[str, str]]) -> dict[GlobalUse, int | bytes]:
    """The values of -G, in the types that inference found; runs after it."""
    values: dict[GlobalUse, int | bytes] = {}
    for name, text in overrides:
        public = [u for u in run.scope.globals if u.name == name]
        if not public:
            known = sorted({u.name for u in run.scope.globals if not u.declared.library})
            run.report(
                mistakes.UnknownOverride(
                    name=name, similar=run.scope.similar_globals(name) or tuple(known[:3])
                )
            )
            continue
        use = next((u for u in public if not u.declared.library), public[0])
        value = _value(run, use, text)
        if value is not None:
            values[use] = value
    return values


def _value(run: Inference, use: GlobalUse, text: str) -> int | bytes | None:
    if use.arity or type_in(use.value) is Type.STATS:
        run.report(mistakes.BadOverride(name=use.name, value=text, reason="only plain variables can be set"))
        return None
    number = parse_number(text)
    kind = type_in(use.value)
    if kind is None and not root(use.value).doubtful:
        kind = Type.STRING if number is None else Type.LONG
        settle(use.value, kind, use.declared.declaration.span)
    if kind is Type.STRING:
        return encode_text(text)
    if number is None:
        run.report(mistakes.BadOverride(name=use.name, value=text, reason=f"`{use.name}` is a number"))
    return number


def parse_number(text: str) -> int | None:
    """As a number in a script: decimal, 0x, 0 octal, with a sign; wrapped to 64 bits."""
    digits = text.removeprefix("-")
    try:
        if digits[:2].lower() == "0x":
            value = int(digits, 16)
        else:
            value = int(digits, 8 if digits.startswith("0") and len(digits) > 1 else 10)
    except ValueError:
        return None
    if not digits[:1].isdigit() or "_" in digits or value >= 1 << 64:
        return None
    value = -value if text.startswith("-") else value
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)
