"""Which `$names` a probe has, and where they come from.

A process's code: debug information, or the operands of a mark. PLT slots and system calls: a few names that stand for builtins.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from probelang import resolved, syntax
from probelang.artifact.points import (
    FunctionPoint,
    LifecyclePoint,
    Point,
    ProcessPoint,
    ProfilePoint,
    SyscallPoint,
    TimerPoint,
)
from probelang.check.scope import Body, CallerWay, LocalUse, SiteContext, Targets
from probelang.check.walk import everything
from probelang.diag import CompileWarning
from probelang.dwarf.files import Files

if TYPE_CHECKING:
    from probelang.target.names import TypeNames

_SYSCALL_NAMES = frozenset(("$syscall", *(f"$arg{n}" for n in range(1, 7))))


@dataclass(frozen=True, slots=True)
class Places:
    """`lenient`: what cannot be found reads as 0. `warnings`: of places that were left out."""

    files: Files
    lenient: bool
    warnings: list[CompileWarning] = field(default_factory=list[CompileWarning])

    def targets(self, probe: resolved.Probe, locals_: dict[str, LocalUse], needs_site: bool) -> Targets:
        """`locals_`: of the probe. `needs_site`: its code names the probed program; it is a probe of one site then."""
        point = probe.point
        match point:
            case LifecyclePoint() | TimerPoint():
                return self._typed(False, probe, None, needs_site)
            case SyscallPoint(is_return=is_return, executable=path):
                names = _SYSCALL_NAMES | {"$return"} if is_return else _SYSCALL_NAMES
                return self._typed(True, probe, path, needs_site, names)
            case FunctionPoint() if needs_site:
                return self._at_site(probe, point, locals_)
            case FunctionPoint(binary=binary, sites=sites, is_return=is_return):
                names = _slot_names(sites[0].point)
                plain = self._typed(True, probe, binary.path, False, names)
                return _returning(probe, plain, plain, locals_) if is_return and _looks_back(probe) else plain
            case ProcessPoint(executable=path):
                return self._typed(True, probe, path, needs_site)
            case _:
                return self._typed(True, probe, None, needs_site)

    def _typed(
        self,
        in_process: bool,
        probe: resolved.Probe,
        path: str | None,
        needs_site: bool,
        names: frozenset[str] = frozenset(),
    ) -> Targets:
        types = self._types(path) if needs_site else None
        return Targets(
            in_process,
            probe.name,
            names,
            types=types,
            lenient=self.lenient,
            callers=_caller_way(probe.point),
            around=_around(probe),
        )

    def _types(self, path: str | None) -> TypeNames:
        from probelang.target.names import TypeNames

        return TypeNames(self.files, path)

    def _at_site(self, probe: resolved.Probe, point: FunctionPoint, locals_: dict[str, LocalUse]) -> Targets:
        # what reads debug information is imported by scripts that use it
        from probelang.target.site import Place, TargetSite

        site = point.sites[0]
        detail = probe.details[0] if probe.details else resolved.SiteDetail()
        place = Place(point.binary.path, site.address, site.function, detail.instance, detail.is_entry)
        target = TargetSite(self.files, place)
        names = _slot_names(site.point)

        def targets(context: SiteContext) -> Targets:
            return Targets(
                True,
                probe.name,
                names,
                context,
                target.types,
                lenient=self.lenient,
                callers=_caller_way(point),
                around=_around(probe),
            )

        if not point.is_return:
            mark = None
            if detail.mark is not None:
                from probelang.check.marks import MarkArguments

                mark = MarkArguments(detail.mark, target)
            return targets(SiteContext(target, mark=mark))
        return _returning(probe, targets(SiteContext(target)), targets(SiteContext(target, True)), locals_)


def _looks_back(probe: resolved.Probe) -> bool:
    """Whether a return probe wants something of the entry, if nothing of the program itself."""
    return bool(probe.when) or any(
        isinstance(node, syntax.AtOperator) and node.name == "elapsed"
        for part in probe.parts
        for node in everything(part.code)
    )


def _returning(
    probe: resolved.Probe, entry: Targets, after: Targets, locals_: dict[str, LocalUse]
) -> Targets:
    """Of a return probe, which knows something of the entry. `entry`, `after`: what code has there and there."""
    from probelang.check.entries import EntryValues

    before = replace(entry, begins=True, callers="frame", copies={})
    body = Body(probe.parts[-1].file, before, {})
    return replace(after, entries=EntryValues(body, probe.span, locals_))


def _caller_way(point: Point) -> CallerWay:
    match point:
        case FunctionPoint(is_return=is_return):
            return "return" if is_return else "frame"
        case SyscallPoint():
            return "stack"
        case ProfilePoint():
            return "sample"
        case _:
            return ""


def _around(probe: resolved.Probe) -> resolved.Surroundings:
    match probe.point:
        case FunctionPoint(binary=binary, pid=pid, executable=executable):
            return resolved.Surroundings(probe.name, binary.path, executable or binary.path, pid)
        case SyscallPoint(executable=executable, pid=pid) | ProcessPoint(executable=executable, pid=pid):
            return resolved.Surroundings(probe.name, None, executable, pid)
        case _:
            return resolved.Surroundings(probe.name)


def _slot_names(point: str) -> frozenset[str]:
    return frozenset(("$$name",)) if ".plt" in point else frozenset()
