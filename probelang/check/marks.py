"""What a mark (sys/sdt.h) has instead of variables: `$arg1` .. `$argN`, `$$name`, `$$provider`, `$$parms`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from probelang.diag.deferred import variables
from probelang.resolved import Mark
from probelang.target.location import Unavailable
from probelang.target.mistake import TargetMistake
from probelang.target.operand import mark_argument
from probelang.target.site import TargetSite
from probelang.target.values import Object


@dataclass(frozen=True, slots=True, eq=False)
class MarkArguments:
    mark: Mark
    site: TargetSite

    def object(self, name: str) -> Object:
        """`name`: "arg3". Raises TargetMistake and Unavailable."""
        number = int(name[3:]) if name[:3] == "arg" and name[3:].isdecimal() else 0
        if not 1 <= number <= len(self.mark.arguments):
            known = tuple(f"$arg{i + 1}" for i in range(len(self.mark.arguments)))
            label = f"{self.mark.provider}:{self.mark.name}"
            raise TargetMistake(
                variables.UnknownVariable(name=f"${name}", function=label, available=known, place="the mark")
            )
        return mark_argument(self.mark.arguments[number - 1], self.site.binary, self.site.base)

    def all(self) -> Iterator[tuple[str, Object | Unavailable]]:
        for i in range(len(self.mark.arguments)):
            try:
                yield f"arg{i + 1}", self.object(f"arg{i + 1}")
            except Unavailable as reason:
                yield f"arg{i + 1}", reason
