"""What can be probed and what can be read there, as `probelang list` shows it.

places(program, files)   ->   Listed('process("/bin/x").function("f@/src/x.c:12")', "/bin/x", 0x1139,
                                     (Readable("$list", "struct list *"), Readable("$i", "int", "it was optimised out")))
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from probelang import resolved
from probelang.artifact.points import FunctionPoint, ProcessPoint, Site, SyscallPoint
from probelang.dwarf.ctypes import CType, type_name
from probelang.dwarf.files import Files
from probelang.dwarf.image import BinaryError
from probelang.target.location import Unavailable
from probelang.target.mistake import TargetMistake
from probelang.target.operand import mark_argument
from probelang.target.site import Place, TargetSite

_SYSCALL = ("$syscall", *(f"$arg{n}" for n in range(1, 7)))
AT_ENTRY = ("int_arg(n)", "long_arg(n)", "pointer_arg(n)", "register(name)")
AT_RETURN = ("returnval()", "register(name)")


@dataclass(frozen=True, slots=True)
class Readable:
    """`type` is empty for what the language itself gives. `reason`: why it cannot be read there, a clause, or empty."""

    name: str
    type: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Listed:
    """`address` is -1 where a point has none."""

    point: str
    file: str
    address: int
    readable: tuple[Readable, ...]


def places(program: resolved.Program, files: Files, variables: bool) -> Iterator[Listed]:
    """Every place of every probe. `variables`: with what can be read."""
    for probe in program.probes:
        match probe.point:
            case FunctionPoint(binary=binary, sites=sites, is_return=is_return):
                details = probe.details or tuple(resolved.SiteDetail() for _ in sites)
                for site, detail in zip(sites, details, strict=True):
                    known = _readable(files, binary.path, site, detail, is_return) if variables else ()
                    yield Listed(site.point, binary.path, site.address, known)
            case SyscallPoint(point=point, is_return=is_return):
                names = ("$syscall", "$return") if is_return else _SYSCALL
                yield Listed(point, "", -1, tuple(Readable(name) for name in names))
            case ProcessPoint(point=point):
                yield Listed(point, "", -1, ())
            case _:
                yield Listed(probe.name, "", -1, ())


def _readable(
    files: Files, path: str, site: Site, detail: resolved.SiteDetail, is_return: bool
) -> tuple[Readable, ...]:
    target = TargetSite(files, Place(path, site.address, site.function, detail.instance, detail.is_entry))
    if detail.mark is not None:
        return tuple(_mark_arguments(target, detail.mark))
    try:
        return tuple(_variables(target, is_return))
    except (TargetMistake, BinaryError):  # no debug information, or none of this function
        return tuple(Readable(name) for name in (AT_RETURN if is_return else AT_ENTRY))


def _variables(target: TargetSite, is_return: bool) -> Iterator[Readable]:
    if is_return and target.scope.has_result():
        try:
            yield Readable("$return", type_name(target.result().type))
        except Unavailable as error:
            yield Readable("$return", type_name(target.scope.result()), error.reason)
    # what is read in a return probe is what was there when the function was entered
    for name, variable in target.scope.variables().items():
        if is_return and variable.kind != "parameter":
            continue
        ctype: CType = variable.type.get()
        try:
            target.object(variable)
            yield Readable(f"${name}", type_name(ctype))
        except Unavailable as error:
            yield Readable(f"${name}", type_name(ctype), error.reason)


def _mark_arguments(target: TargetSite, mark: resolved.Mark) -> Iterator[Readable]:
    for number, text in enumerate(mark.arguments, start=1):
        name = f"$arg{number}"
        try:
            yield Readable(name, type_name(mark_argument(text, target.binary, target.base).type))
        except Unavailable as error:
            yield Readable(name, "", error.reason)
