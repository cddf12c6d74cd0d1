"""What `$names` mean at one probe site.

    site = TargetSite(files, Place("/usr/bin/x", address=0x1139, function="insert"))
    site.variable("list")   ->  Object(Pointer(...), InRegister(5, u_register("rdi")))
    site.pc                 ->  0x1139, or behind the prologue, where unoptimised code has stored its parameters

A mistake of the script is raised as `TargetMistake`, what is there but cannot be read as `Unavailable`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Literal

from probelang.artifact.code import Call, Expr, Local, Number, Text, Type
from probelang.diag import Diagnostic, similar_names
from probelang.diag.deferred import target as mistakes
from probelang.diag.deferred import variables
from probelang.dwarf import constants as c
from probelang.dwarf.binary import Binary
from probelang.dwarf.ctypes import Struct, bare
from probelang.dwarf.files import Debug, Files
from probelang.dwarf.globals import find_definition
from probelang.dwarf.ranges import entry_ranges
from probelang.dwarf.scopes import Scope, Variable
from probelang.dwarf.types import own_name
from probelang.target.abi import argument_locations, result_location
from probelang.target.bits import SYNTHETIC
from probelang.target.build import here, number, plus, register
from probelang.target.debuginfo import debug_of
from probelang.target.expression import OPTIMISED_OUT, compile_location, compile_value
from probelang.target.frame import SiteFrame
from probelang.target.location import Computed, Constant, InMemory, Location, Unavailable
from probelang.target.mistake import TargetMistake
from probelang.target.names import TypeNames, few_units, global_names
from probelang.target.symbols import Symbols
from probelang.target.values import Object

WORD_BYTES = 8
PAGE_BYTES = 4096
_OP_ADDR, _OP_ADDRX = 0x03, 0xA1

Kind = Literal["parms", "locals", "vars"]


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
    """`base`: the run-time address of image address 0, where that cannot be told from the address of the hit (in return probes).
    `was_read`: something of the frame was asked for, so the probe has to stand at `pc`."""

    def __init__(self, files: Files, place: Place, base: Expr | None = None) -> None:
        self.files = files
        self.place = place
        self.was_read = False
        self._base = base

    def with_base(self, base: Expr) -> TargetSite:
        return TargetSite(self.files, self.place, base)

    @property
    def base(self) -> Expr:
        if self.binary.kind == "exec":
            return number(0)
        if self._base is not None:
            return self._base
        self.was_read = True
        return plus(here(), -self.pc)

    @cached_property
    def binary(self) -> Binary:
        return self.files.binary(self.place.path)

    @cached_property
    def debug(self) -> Debug:
        """Raises TargetMistake."""
        return debug_of(self.files, self.place.path)

    @cached_property
    def types(self) -> TypeNames:
        return TypeNames(self.files, self.place.path)

    @cached_property
    def scope(self) -> Scope:
        found = self.debug.scope(self.place.address, self.place.instance)
        if found is None:
            if missing := self.debug.info.missing_at(self.place.address):
                raise TargetMistake(mistakes.MissingDebugFile(path=self.debug.info.path, part=missing))
            raise TargetMistake(variables.NotDescribed(function=self.place.function, path=self.place.path))
        return found

    def is_described(self) -> bool:
        """Whether debug information has this place, where the file has any."""
        try:
            _ = self.scope
        except TargetMistake as mistake:
            return not isinstance(mistake.diagnostic, variables.NotDescribed)
        return True

    @cached_property
    def pc(self) -> int:
        """Where the probe has to stand so that parameters can be read."""
        if not self._stores_parameters:
            return self.place.address
        from probelang.target.prologue import prologue_end

        return prologue_end(self.debug, self.scope)

    @property
    def address(self) -> int:
        """Where the probe stands."""
        return self.pc if self.was_read else self.place.address

    @cached_property
    def _at_function_entry(self) -> bool:
        scope, address = self.scope, self.place.address
        is_own = scope.instance.key == scope.function.key
        return is_own and any(low == address for low, _ in entry_ranges(scope.function))

    @cached_property
    def _stores_parameters(self) -> bool:
        """Whether this is the entry of unoptimised code: parameters are described only as what is on the stack later."""
        try:
            if not self.place.is_entry or not self._at_function_entry:
                return False
        except TargetMistake:
            return False  # without debug information nothing is read
        return any(v.kind == "parameter" and v.everywhere for v in self.scope.variables().values())

    def frame(self, at: int = 0) -> SiteFrame:
        """`at`: the place in the script that reads, for errors at run time."""
        self.was_read = True
        return SiteFrame(self.binary, self.debug, self.scope, self.pc, self.base, at)

    def frame_address(self) -> Expr:
        """The CFA: where the stack pointer is when the function has returned."""
        if self.address == self.place.address and self.place.is_entry:
            return plus(register("rsp"), WORD_BYTES)
        return self.frame().cfa()

    # ---------------------------------------------------------------------------------------------- variables

    def variable(self, name: str, at: int = 0) -> Object:
        """`$name`. Raises TargetMistake and Unavailable."""
        found = self.find(name)
        if found is None:
            raise TargetMistake(partial(self._unknown, name))
        return self.object(found, at)

    def find(self, name: str) -> Variable | None:
        found = self.scope.find(name)
        return find_definition(self.debug, name) or found if found is None or found.declared else found

    def is_static(self, name: str) -> bool:
        """Whether a variable lies in memory all the time, and not in the function's frame."""
        found = self.find(name)
        if found is None:
            return False
        return found.kind == "global" or (found.kind == "local" and _has_address(found))

    def _unknown(self, name: str) -> Diagnostic:
        known = self.scope.variables()
        near = similar_names(name, [*known, *global_names(self.scope.unit)])
        return variables.UnknownVariable(
            name=f"${name}",
            function=self.scope.name or self.place.function,
            similar=tuple(f"${n}" for n in near),
            available=tuple(f"${n}" for n, found in self.all_variables("vars") if isinstance(found, Object)),
        )

    def object(self, variable: Variable, at: int = 0) -> Object:
        ctype = variable.type.get()
        plain = bare(ctype)
        if isinstance(plain, Struct) and plain.declared:
            ctype = self.types.complete(plain)
        return Object(ctype, self._location(variable, at))

    def _location(self, variable: Variable, at: int) -> Location:
        expression = variable.location(self.pc)
        if expression:
            found = compile_location(expression, self.frame(at).in_unit(variable.entry.unit))
            if isinstance(found, InMemory) and variable.kind == "parameter" and variable.everywhere:
                return (self._passed(variable) if self._passes_arguments else None) or found
            return found
        if variable.declared and variable.constant() is None:
            return InMemory(Symbols(self.binary, self.base).address(variable.name))
        return _fixed(variable)

    @property
    def _passes_arguments(self) -> bool:
        """Whether the probe stands at the first instruction, where arguments are where the caller has put them."""
        return self.pc == self.place.address and self._at_function_entry

    def _passed(self, variable: Variable) -> Location | None:
        """Where the caller put a parameter that code has yet to store."""
        self.was_read = True
        # those without a name are passed as well
        parameters = [e for e in self.scope.instance.children() if e.tag == c.TAG_formal_parameter]
        types = tuple(self.debug.types.of(entry) for entry in parameters)
        result = self.scope.result() if self.scope.has_result() else None
        places = zip(map(own_name, parameters), argument_locations(types, result), strict=True)
        found = dict(places).get(variable.name)
        if isinstance(found, Unavailable):
            raise found
        return found

    def nearest_point(self, name: str) -> str:
        """The probe point nearest to the site at which a variable lives that is not readable here; empty for none."""
        found = self.scope.variables().get(name)
        if found is None or not (places := found.places()):
            return ""
        later = [low for low, _ in places if low >= self.place.address]
        return self.statement_at(min(later, default=min(low for low, _ in places)))

    def statement_at(self, address: int) -> str:
        """`statement("f@x.c:12")` of an address."""
        from probelang.dwarf.lines import line_table

        row = line_table(self.scope.unit).row_at(address)
        if row is None:
            return f"statement({address:#x})"
        return f'statement("{self.scope.name}@{row.file.rpartition("/")[2]}:{row.line}")'

    def all_variables(self, kind: Kind, at: int = 0) -> Iterator[tuple[str, Object | Unavailable]]:
        """Each with what it is or why it cannot be read."""
        for name, variable in self.scope.variables().items():
            if kind == "vars" or (kind == "parms") == (variable.kind == "parameter"):
                try:
                    yield name, self.object(variable, at)
                except Unavailable as reason:
                    yield name, reason

    def result(self) -> Object:
        """`$return`."""
        if not self.scope.has_result():
            raise TargetMistake(variables.NoResult(function=self.scope.name or self.place.function))
        ctype = self.scope.result()
        plain = bare(ctype)
        if isinstance(plain, Struct):
            ctype = self.types.complete(plain)
        return Object(ctype, result_location(ctype))

    def global_variable(self, name: str, module: str | None, at: int = 0) -> Object:
        """`@var("name@file.c", "module")`."""
        wanted, _, source = name.partition("@")
        if module is not None and (path := self.files.locate(module)) != self.place.path:
            base = module_base(self.files.binary(path), at)
            return TargetSite(self.files, Place(path, 0, ""), base).outer_variable(wanted, source, at)
        found = find_definition(self.debug, wanted, source) or (None if source else self.scope.find(wanted))
        if found is None:
            raise TargetMistake(partial(self._unknown_global, name))
        return self.object(found, at)

    def outer_variable(self, name: str, source: str, at: int) -> Object:
        """A global of a file that the probe is not in: `base` is all that is known of where it lies."""
        found = find_definition(self.debug, name, source)
        if found is None:
            raise TargetMistake(partial(self._unknown_global, name))
        ctype = found.type.get()
        plain = bare(ctype)
        if isinstance(plain, Struct):
            ctype = self.types.complete(plain)
        expression = found.location(0)
        if not expression:
            return Object(ctype, _fixed(found))
        # of the scope only the unit counts: what a global's description needs is in no function
        scope = Scope(self.debug.types, found.entry.unit, (found.entry,), found.entry)
        return Object(
            ctype, compile_location(expression, SiteFrame(self.binary, self.debug, scope, 0, self.base, at))
        )

    def _unknown_global(self, name: str) -> Diagnostic:
        wanted, _, source = name.partition("@")
        known = [n for unit in few_units(self.debug) for n in global_names(unit)]
        near = () if source and wanted in known else similar_names(wanted, sorted(set(known)))
        return variables.UnknownGlobal(name=name, path=self.place.path, similar=near)


def module_base(binary: Binary, at: int = 0) -> Expr:
    """The run-time address of image address 0 of a file other than the probed one, by where its code is mapped."""
    if binary.kind == "exec":
        return number(0)
    code = next((s for s in binary.image.segments if s.executable), None)
    if code is None:
        raise Unavailable(f"`{binary.path}` has no code")
    skip = code.offset % PAGE_BYTES
    path = Text(binary.path.encode("utf-8", "surrogateescape"))
    start = Call("mapped_code", (path, Number(code.offset - skip)), Type.LONG, at)
    return plus(start, skip - code.address)


class Reader:
    """`Surroundings` of values. `site`: None where nothing was hit. `at`: the place in the script. `keep`: gives a new local."""

    def __init__(self, types: TypeNames, site: TargetSite | None, at: int, keep: Callable[[], Local]) -> None:
        self.types = types
        self.site = site
        self.at = at
        self.keep = keep

    def entry_object(self, entry: int) -> Object:
        assert self.site is not None, "only variables are nowhere"
        if entry == 0:  # gcc, with -gsplit-dwarf
            raise Unavailable(SYNTHETIC)
        found = self.site.scope.unit.info.entry(entry)  # of the split file, where there is one
        kind: Literal["parameter", "local"] = "parameter" if found.tag == c.TAG_formal_parameter else "local"
        lazy = self.site.debug.types.lazy(found)
        return self.site.object(Variable(own_name(found), kind, found, lazy), self.at)

    def member_location(self, expression: bytes, owner_address: Expr) -> Expr:
        if self.site is None:
            raise Unavailable("its place in the object is found only where the program was hit")
        # the owner's address is on the stack already (DWARF 5, 5.7.6)
        return compile_value(expression, self.site.frame(self.at).of_object(owner_address), owner_address)

    def complete(self, struct: Struct) -> Struct:
        return self.types.complete(struct)

    def static_member(self, name: str) -> Object | None:
        found = None if self.site is None else self.site.find(name)
        return None if found is None or self.site is None else self.site.object(found, self.at)


def _fixed(variable: Variable) -> Location:
    """Of a variable that is nowhere, but may have one value. Raises Unavailable."""
    constant = variable.constant()
    if isinstance(constant, int):
        return Computed(number(constant))
    if constant is not None:
        return Constant(constant)
    raise Unavailable(OPTIMISED_OUT, optimised=True)


def _has_address(variable: Variable) -> bool:
    found = variable.location(0) if variable.everywhere else None
    return found is not None and found[:1] in (bytes((_OP_ADDR,)), bytes((_OP_ADDRX,)))
