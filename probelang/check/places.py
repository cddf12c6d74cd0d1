"""Which `$names` a probe has, and where they come from.

A process's code: debug information, or the operands of a mark. PLT slots and system calls: a few names that stand for builtins.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from probelang import resolved
from probelang.artifact.points import FunctionPoint, LifecyclePoint, ProcessPoint, SyscallPoint, TimerPoint
from probelang.check.scope import Body, LocalUse, SiteContext, Targets
from probelang.diag import CompileWarning
from probelang.dwarf.files import Files

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
                return self._typed(False, probe.name, None, needs_site)
            case SyscallPoint(is_return=is_return, executable=path):
                names = _SYSCALL_NAMES | {"$return"} if is_return else _SYSCALL_NAMES
                return self._typed(True, probe.name, path, needs_site, names)
            case FunctionPoint() if needs_site:
                return self._at_site(probe, point, locals_)
            case FunctionPoint(binary=binary, sites=sites):
                return self._typed(True, probe.name, binary.path, False, _slot_names(sites[0].point))
            case ProcessPoint(executable=path):
                return self._typed(True, probe.name, path, needs_site)
            case _:
                return self._typed(True, probe.name, None, needs_site)

    def _typed(
        self,
        in_process: bool,
        name: str,
        path: str | None,
        needs_site: bool,
        names: frozenset[str] = frozenset(),
    ) -> Targets:
        if not needs_site:
            return Targets(in_process, name, names, lenient=self.lenient)
        from probelang.target.names import TypeNames

        return Targets(in_process, name, names, None, TypeNames(self.files, path), lenient=self.lenient)

    def _at_site(self, probe: resolved.Probe, point: FunctionPoint, locals_: dict[str, LocalUse]) -> Targets:
        # what reads debug information is imported by scripts that use it
        from probelang.check.entries import EntryValues, base_slot
        from probelang.target.site import Place, TargetSite

        site = point.sites[0]
        detail = probe.details[0] if probe.details else resolved.SiteDetail()
        place = Place(point.binary.path, site.address, site.function, detail.instance, detail.is_entry)
        target = TargetSite(self.files, place)
        names = _slot_names(site.point)

        def targets(context: SiteContext) -> Targets:
            return Targets(True, probe.name, names, context, target.types, lenient=self.lenient)

        if not point.is_return:
            mark = None
            if detail.mark is not None:
                from probelang.check.marks import MarkArguments

                mark = MarkArguments(detail.mark, target)
            return targets(SiteContext(target, mark=mark))
        body = Body(probe.parts[-1].file, targets(SiteContext(target)), {})
        entries = EntryValues(body, probe.span, locals_)
        if detail.callers:
            base_slot(entries, probe.span)  # so that only calls that were seen to begin return
        return targets(SiteContext(target, is_return=True, entries=entries))


def _slot_names(point: str) -> frozenset[str]:
    return frozenset(("$$name",)) if ".plt" in point else frozenset()
