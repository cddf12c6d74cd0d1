"""What `$names` mean at one probe site.

    site = TargetSite(files, Place("/usr/bin/x", address=0x1139, function="insert"))
    site.variable("list", at)   ->  Object(Pointer(...), InRegister(5, u_register("rdi")))
    site.pc                     ->  0x1139, or behind the prologue, where unoptimised code has stored its parameters

A mistake of the script is raised as `TargetMistake`, what is there but cannot be read as `Unavailable`.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from probelang.artifact.code import Expr
from probelang.diag import Diagnostic, similar_names, variables
from probelang.dwarf import constants as c
from probelang.dwarf.binary import Binary
from probelang.dwarf.ctypes import CType, Pointer, Struct, Void, bare
from probelang.dwarf.entry import Unit
from probelang.dwarf.files import Debug, Files
from probelang.dwarf.frames import frame_at
from probelang.dwarf.image import BinaryError
from probelang.dwarf.ranges import entry_locations, entry_ranges
from probelang.dwarf.scopes import Scope, Variable, find_global
from probelang.dwarf.types import origins
from probelang.target.abi import argument_locations, result_location
from probelang.target.build import here, number, plus
from probelang.target.expression import compile_location
from probelang.target.frame import SiteFrame
from probelang.target.location import Computed, Constant, InMemory, Location, Unavailable
from probelang.target.values import Object

OPTIMISED_OUT = "it was optimised out"


class TargetMistake(Exception):
    """`diagnostic` has no span yet."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.title())
        self.diagnostic = diagnostic


@dataclass(frozen=True, slots=True)
class Place:
    """A probe site in a file. `instance`: the entry of the debug information that it belongs to (its offset), where that is known.
    `is_entry`: of a function, inlined or not."""

    path: str
    address: int
    function: str
    instance: int | None = None
    is_entry: bool = True


class TargetSite:
    """`base`: the run-time address of image address 0, where that cannot be told from the address of the hit (in return probes)."""

    def __init__(self, files: Files, place: Place, base: Expr | None = None) -> None:
        self.files = files
        self.place = place
        self._base = base

    @property
    def base(self) -> Expr:
        if self.binary.kind == "exec":
            return number(0)
        return self._base or plus(here(), -self.pc)

    @property
    def binary(self) -> Binary:
        return self.files.binary(self.place.path)

    @cached_property
    def debug(self) -> Debug:
        """Raises TargetMistake."""
        return self.debug_of(self.place.path)

    def debug_of(self, path: str) -> Debug:
        try:
            debug = self.files.debug(path)
            if debug is None:
                raise TargetMistake(no_debug_info(self.files.binary(path)))
        except BinaryError as error:
            raise TargetMistake(error.diagnostic) from None
        return debug

    @cached_property
    def scope(self) -> Scope:
        found = self.debug.scope(self.place.address, self.place.instance)
        if found is None:
            raise TargetMistake(
                variables.VariableUnavailable(
                    name=self.place.function,
                    reason="its file has debug information, but not of this function",
                )
            )
        return found

    @cached_property
    def pc(self) -> int:
        """Where the probe has to stand so that parameters can be read."""
        if not self._stores_parameters:
            return self.place.address
        from probelang.target.prologue import prologue_end

        return prologue_end(self.debug, self.scope)

    @cached_property
    def _at_function_entry(self) -> bool:
        return self.place.is_entry and any(
            low == self.place.address for low, _ in entry_ranges(self.scope.function)
        ) and self.scope.instance.key == self.scope.function.key  # fmt: skip

    @cached_property
    def _stores_parameters(self) -> bool:
        """Whether this is the entry of unoptimised code: parameters are described only as what is on the stack later."""
        if not self._at_function_entry:
            return False
        known = self.scope.variables().values()
        return any(v.kind == "parameter" and v.everywhere for v in known) and all(
            v.everywhere or v.gone or v.location(self.place.address) is None for v in known
        )

    @cached_property
    def frame(self) -> SiteFrame:
        return SiteFrame(self.binary, self.debug, self.scope, self.pc, self.base)

    # ---------------------------------------------------------------------------------------------- variables

    def variable(self, name: str) -> Object:
        """`$name`. Raises TargetMistake and Unavailable."""
        found = self.scope.find(name)
        if found is None or found.declared:
            found = self._elsewhere(name) or found
        if found is None:
            raise TargetMistake(self._unknown(name))
        return self.object(found)

    def _unknown(self, name: str) -> Diagnostic:
        known = tuple(f"${n}" for n in self.scope.variables())
        near = similar_names(f"${name}", known)
        return variables.UnknownVariable(
            name=f"${name}", function=self.scope.name or self.place.function, similar=near, available=known
        )

    def _elsewhere(self, name: str) -> Variable | None:
        """A global that another unit of the same file defines."""
        for unit in self.debug.info.units_naming(name.rpartition("::")[2].encode()):
            found = find_global(self.debug.types, unit, name)
            if found is not None and not found.declared:
                return found
        return None

    def object(self, variable: Variable) -> Object:
        ctype = variable.type.get()
        return Object(self._completed(ctype), self._location(variable, ctype))

    def _completed(self, ctype: CType) -> CType:
        plain = bare(ctype)
        return self.debug.types.complete(plain) if isinstance(plain, Struct) and plain.declared else ctype

    def _location(self, variable: Variable, ctype: CType) -> Location:
        expression = variable.location(self.pc)
        if expression:
            if variable.kind == "parameter" and variable.everywhere and self._at_function_entry:
                passed = self._passed(variable)
                if passed is not None:
                    return passed
            return compile_location(expression, self.frame)
        constant = variable.constant()
        if isinstance(constant, int):
            return Computed(number(constant))
        if constant is not None:
            return Constant(constant)
        if variable.declared and (address := self._symbol(variable.name)) is not None:
            return InMemory(self.frame.static_address(address))
        raise Unavailable(OPTIMISED_OUT, optimised=True)

    def _passed(self, variable: Variable) -> Location | None:
        """Where the caller put a parameter that optimised code has yet to store, because its address is taken."""
        if self.pc != self.place.address:
            return None
        parameters = [v for v in self.scope.parameters()]
        types = tuple(v.type.get() for v in parameters)
        result = self.scope.result() if self.scope.has_result() else None
        places = dict(zip((v.name for v in parameters), argument_locations(types, result), strict=True))
        return places.get(variable.name)

    def _symbol(self, name: str) -> int | None:
        for table in self.binary.tables:
            for symbol in table.objects(name.encode()):
                return symbol
        return None

    def nearest(self, name: str) -> int | None:
        """The address nearest to the site at which a variable lives that is not readable here."""
        found = self.scope.variables().get(name)
        places = [] if found is None else found.places()
        inside = [low for low, _ in places if low >= self.place.address]
        return min(inside, default=min((low for low, _ in places), default=None))

    def all_variables(self, kind: str) -> Iterable[tuple[str, Object | Unavailable]]:
        """`kind`: "parms", "locals" or "vars"; each with what it is or why it cannot be read."""
        for name, variable in self.scope.variables().items():
            if kind == "vars" or (kind == "parms") == (variable.kind == "parameter"):
                try:
                    yield name, self.object(variable)
                except Unavailable as reason:
                    yield name, reason

    def result(self) -> Object:
        """`$return`."""
        if not self.scope.has_result():
            raise TargetMistake(variables.NoResult(function=self.scope.name or self.place.function))
        ctype = self._completed(self.scope.result())
        return Object(ctype, result_location(ctype))

    def global_variable(self, name: str, path: str | None) -> Object:
        """`@var("name@file.c", "path")`."""
        wanted, _, source = name.partition("@")
        if path is not None and path != self.place.path:
            raise Unavailable("globals of other files than the probed one cannot be found yet")
        debug = self.debug
        for unit in debug.info.units_naming(wanted.rpartition("::")[2].encode()):
            if source and not _is_source(unit, source):
                continue
            found = find_global(debug.types, unit, wanted)
            if found is not None and not found.declared:
                return self.object(found)
        if not source and (found := self.scope.find(wanted)) is not None:
            return self.object(found)
        raise TargetMistake(variables.UnknownVariable(name=name, function=self.place.path))

    # -------------------------------------------------------------------------------------------------- types

    def type_named(self, name: str, path: str | None) -> CType:
        """For @cast. Raises TargetMistake."""
        for part in (path or "").split(":"):
            debug = self.debug_of(part) if part and part != self.place.path else self.debug
            found = debug.types.find(name)
            if found is not None:
                plain = bare(found)
                return debug.types.complete(plain) if isinstance(plain, Struct) else found
        raise TargetMistake(variables.UnknownType(name=name, path=path or self.place.path))


class Reader:
    """`Surroundings` of values at a site. `at`: the place in the script."""

    def __init__(self, site: TargetSite, at: int) -> None:
        self.site = site
        self.at = at

    def entry_object(self, entry: int) -> Object:
        found = self.site.debug.info.entry(entry)
        types = self.site.debug.types
        name = next((n for e in origins(found) if (n := e.text(c.AT_name))), "")
        kind = "parameter" if found.tag == c.TAG_formal_parameter else "local"
        return self.site.object(
            Variable(name, "parameter" if kind == "parameter" else "local", found, types.lazy(found))
        )

    def member_location(self, expression: bytes, owner_address: Expr) -> Expr:
        found = compile_location(expression, self.site.frame.of_object(owner_address))
        if not isinstance(found, InMemory):
            raise Unavailable("its place in the object cannot be computed")
        return found.address

    def complete(self, struct: Struct) -> Struct:
        return self.site.debug.types.complete(struct)


def _is_source(unit: Unit, pattern: str) -> bool:
    name = unit.name if unit.name.startswith("/") else f"{unit.folder}/{unit.name}"
    return fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(name, f"*/{pattern}")


def no_debug_info(binary: Binary) -> Diagnostic:
    from probelang.dwarf.debugfile import debug_advice
    from probelang.diag.target import NoDebugInfo

    return NoDebugInfo(path=binary.path, build_id=binary.build_id, advice=debug_advice(binary))
