"""One variable, as gdb has it and as our code finds it in the same stopped process.

Both are taken apart together: members, elements, halves of wide integers, parts of complex numbers. What is compared is
always one number, or that it was optimised out, or that it cannot be read in memory.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from probelang.artifact.code import Local, Number, Type
from probelang.dwarf.ctypes import Struct, bare, size_of
from probelang.target.abi import VECTOR
from probelang.target.build import load
from probelang.target.expression import OPTIMISED_OUT as WORDS
from probelang.target.location import InMemory, Pieces, PointerTo, Unavailable
from probelang.target.members import member_object
from probelang.target.mistake import TargetMistake
from probelang.target.site import Reader, TargetSite
from probelang.target.stack import FLOATING
from probelang.target.values import Object, dereference, follow_references, index, value
from probelang.target.values import address as address_of
from tests.target.oracle import debugger
from tests.target.samples import Hit, evaluate

OPTIMISED_OUT = "<optimized out>"
X87 = "it is in a floating point register, which probes cannot read"
VIRTUAL = "(virtual)"
UNREADABLE = "<unreadable>"
SYNTHETIC = "<synthetic pointer>"
_MASK = (1 << 64) - 1
_ELEMENTS, _DEEPEST = 3, 5
_LOST = "value was optimised out for this caller"


class Stopped(Hit):
    """Registers and memory of the process as it stands."""

    def __init__(self, gdb: debugger.Debugger, pc: int, memory: int) -> None:
        super().__init__(file=memory)
        self.frame = gdb.newest_frame()
        self.pc = pc

    def register(self, name: bytes, signed: bool) -> int:
        text = name.decode()
        if text not in self.registers:
            self.registers[text] = int(self.frame.read_register(text))
        return super().register(name, signed)

    def instruction(self) -> int:
        return self.pc

    def vectors(self) -> list[bytes]:
        wholes = (self.frame.read_register(f"xmm{i}")["uint128"] for i in range(16))
        return [int(whole.format_string(format="x"), 16).to_bytes(16, "little") for whole in wholes]

    def x87(self) -> list[int]:
        return [double_bits(float(self.frame.read_register(f"st{i}"))) for i in range(8)]


@dataclass(slots=True)
class Outcome:
    """`counts`: of values, by what they turned out to be. `differences`: (path, gdb, ours). `read`: the same of all."""

    counts: Counter[str] = field(default_factory=Counter[str])
    differences: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    read: dict[str, tuple[int | str, int | str]] = field(
        default_factory=dict[str, "tuple[int | str, int | str]"]
    )


class Comparison:
    def __init__(self, gdb: debugger.Debugger, hit: Stopped) -> None:
        self.gdb = gdb
        self.hit = hit
        self.outcome = Outcome()
        self._kept = 0
        self.entered = False
        """Whether the variable is described by what a register held when the function was entered."""
        self.blind = ""
        """Why gdb may be wrong about this variable."""

    def variable(self, site: TargetSite, name: str, theirs: debugger.Value) -> Outcome:
        self.around = Reader(site.types, site, 0, self._keep)
        self._kept = 0
        try:
            ours: Object | Unavailable = site.variable(name)
        except Unavailable as reason:
            ours = reason
        except TargetMistake as mistake:
            self.outcome.differences.append((name, "there is one", str(mistake)))
            return self.outcome
        self.whole = ours
        self._compare(name, ours, theirs, 0)
        return self.outcome

    def _keep(self) -> Local:
        self._kept += 1
        return Local(self._kept - 1, Type.LONG)

    # --------------------------------------------------------------------------------------- taking apart

    def _compare(self, path: str, ours: Object | Unavailable, theirs: debugger.Value, level: int) -> None:
        gdb, ctype = self.gdb, theirs.type.strip_typedefs()
        code = ctype.code
        if code in (gdb.TYPE_CODE_REF, gdb.TYPE_CODE_RVALUE_REF):
            self._reference(path, ours, theirs, level)
        elif code in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
            self._struct(path, ours, theirs, ctype, level)
        elif code == gdb.TYPE_CODE_ARRAY:
            self._array(path, ours, theirs, ctype, level)
        elif code == gdb.TYPE_CODE_COMPLEX or (code == gdb.TYPE_CODE_INT and ctype.sizeof == 16):
            self._halves(path, ours, theirs, ctype)
        elif code not in (gdb.TYPE_CODE_MEMBERPTR, gdb.TYPE_CODE_METHODPTR):
            self._settle(path, ours, lambda: self._theirs(theirs, ctype))
            if (
                code == gdb.TYPE_CODE_PTR
                and isinstance(ours, Object)
                and isinstance(ours.location, PointerTo)
            ):
                self._pointed(path, ours, theirs, level)

    def _halves(
        self, path: str, ours: Object | Unavailable, theirs: debugger.Value, ctype: debugger.Type
    ) -> None:
        halves = [_element(ours, i, self.around) for i in (0, 1)]
        if theirs.is_optimized_out and any(self._number(half) == OPTIMISED_OUT for half in halves):
            self.outcome.counts[OPTIMISED_OUT] += 1  # one is enough for gdb
            return
        for i, half in enumerate(halves):
            self._settle(f"{path}[{i}]", half, lambda i=i: self._their_half(theirs, ctype, i))

    def _pointed(self, path: str, ours: Object, theirs: debugger.Value, level: int) -> None:
        if level < _DEEPEST:
            self.whole = _try(lambda: dereference(ours, self.around))
            try:
                target = theirs.dereference()
            except self.gdb.error as reason:  # gcc's split files do not say to what it points
                if isinstance(self.whole, Object):
                    self.outcome.differences.append((f"*{path}", str(reason), "an object"))
                return
            self._compare(f"*{path}", self.whole, target, level + 1)

    def _reference(self, path: str, ours: Object | Unavailable, theirs: debugger.Value, level: int) -> None:
        if level and not (isinstance(self.whole, Object) and isinstance(self.whole.location, InMemory)):
            self.outcome.counts["gdb fails (coerce_pieced_ref)"] += 1
            return
        try:
            referred = theirs.referenced_value()
            referred.fetch_lazy()
        except self.gdb.error as reason:
            text = str(reason)
            known = (
                OPTIMISED_OUT if "optimized out" in text else SYNTHETIC if "find DIE" in text else UNREADABLE
            )
            self._note(path, known, self._number(ours, address=True))
            del self.outcome.read[path]
            return
        followed = ours
        if isinstance(ours, Object):
            obj = ours
            followed = _try(lambda: follow_references(obj, self.around))
        self._compare(path, followed, referred, level + 1)

    def _struct(
        self, path: str, ours: Object | Unavailable, theirs: debugger.Value, ctype: debugger.Type, level: int
    ) -> None:
        fields = [f for f in ctype.fields() if hasattr(f, "bitpos")]
        if level > _DEEPEST or not fields:  # gdb does not complete every declaration
            return
        if not isinstance(ours, Object):
            for each in fields:
                self._compare_part(f"{path}.{each.name}", ours, theirs, each, level)
            return
        obj, plain = ours, bare(ours.type)
        assert isinstance(plain, Struct), (path, plain)
        assert len(plain.members) == len(fields), (path, plain.members, [f.name for f in fields])
        for step, each in zip(plain.members, fields, strict=True):
            assert each.is_base_class or (step.name or "") == (each.name or ""), (path, step, each.name)
            inner = _try(lambda step=step: member_object(obj, step, self.around))
            name = VIRTUAL if step.offset_bytes is None else each.name
            self._compare_part(f"{path}.{name}", inner, theirs, each, level)

    def _array(
        self, path: str, ours: Object | Unavailable, theirs: debugger.Value, ctype: debugger.Type, level: int
    ) -> None:
        try:
            low, high = ctype.range()
        except self.gdb.error:
            return
        chosen = sorted({*range(low, min(high + 1, low + _ELEMENTS)), *range(max(low, high), high + 1)})
        for i in chosen if level <= _DEEPEST and high < 1 << 32 else ():
            self._compare_part(f"{path}[{i}]", _element(ours, i, self.around), theirs, i, level)

    def _compare_part(
        self,
        path: str,
        ours: Object | Unavailable,
        theirs: debugger.Value,
        key: debugger.Field | int,
        level: int,
    ) -> None:
        try:
            part = theirs[key]
        except self.gdb.error:
            # a virtual base, when there is no object yet; an element behind the end of a vector
            self.outcome.counts["gdb does not come so far"] += 1
            return
        self._compare(path, ours, part, level + 1)

    # ------------------------------------------------------------------------------------------ one number

    def _settle(self, path: str, ours: Object | Unavailable, read: Callable[[], int | str]) -> None:
        self._note(path, self._their_number(read), self._number(ours))

    def _note(self, path: str, theirs: int | str, mine: int | str) -> None:
        self.outcome.read[path] = theirs, mine
        if mine in (VECTOR, X87) and isinstance(theirs, int) and self._in_vector(theirs, mine == X87):
            self.outcome.counts["in a vector register"] += 1
        elif mine == FLOATING and (isinstance(theirs, int) or theirs == OPTIMISED_OUT):
            self.outcome.counts["computed with floating point numbers"] += 1
        elif isinstance(theirs, str) and theirs.startswith("gdb: Invalid floating value"):
            self.outcome.counts["gdb cannot convert it"] += 1
        elif self.blind and mine != theirs and theirs != OPTIMISED_OUT:
            self.outcome.counts[self.blind] += 1
        elif self.entered and isinstance(mine, int) and theirs == OPTIMISED_OUT:
            self.outcome.counts["gdb does not know what a call calls"] += 1
        elif VIRTUAL in path and UNREADABLE in (theirs, mine):
            self.outcome.counts["a virtual base when there is no object yet"] += 1
        elif mine == OPTIMISED_OUT and theirs != mine and _is_short(self.whole):
            self.outcome.counts["gdb takes what is not described for 0"] += 1
        elif mine == theirs or _are_nan(mine, theirs):
            self.outcome.counts["number" if isinstance(mine, int) else mine] += 1
        else:
            self.outcome.differences.append((path, shown(theirs), shown(mine)))

    def _number(self, ours: Object | Unavailable, address: bool = False) -> int | str:
        """`address`: where it is, if something can be read there."""
        try:
            if not isinstance(ours, Object):
                raise ours
            if isinstance(ours.location, PointerTo):
                return SYNTHETIC
            expr = load(address_of(ours, self.around), 1, False, 0) if address else value(ours, self.around)
            found = evaluate(expr, self.hit, self._kept)
        except Unavailable as reason:
            lost = reason.optimised or reason.reason == WORDS
            return OPTIMISED_OUT if lost else reason.reason
        except TargetMistake as mistake:
            return f"{type(mistake.diagnostic).__name__}: {mistake}"
        if isinstance(found, str):
            return OPTIMISED_OUT if _LOST in found else UNREADABLE if "read fault" in found else found
        return found & _MASK

    def _their_number(self, read: Callable[[], int | str]) -> int | str:
        try:
            return read()
        except (self.gdb.error, RuntimeError) as reason:
            text = str(reason)
            if "optimized out" in text:
                return OPTIMISED_OUT
            return UNREADABLE if "Cannot access memory" in text else f"gdb: {text}"

    def _theirs(self, theirs: debugger.Value, ctype: debugger.Type) -> int | str:
        if theirs.is_optimized_out:
            return OPTIMISED_OUT
        if ctype.code == self.gdb.TYPE_CODE_FLT:
            return double_bits(float(theirs))
        if ctype.code == self.gdb.TYPE_CODE_PTR and SYNTHETIC in theirs.format_string(symbols=False):
            return SYNTHETIC
        return int(theirs) & _MASK

    def _their_half(self, theirs: debugger.Value, ctype: debugger.Type, i: int) -> int | str:
        if theirs.is_optimized_out:
            return OPTIMISED_OUT
        if ctype.code == self.gdb.TYPE_CODE_INT:
            return int(theirs.format_string(format="x"), 16) >> 64 * i & _MASK
        text = theirs.format_string().replace(" ", "").removesuffix("i")
        at = max(k for k in range(1, len(text)) if text[k] in "+-" and text[k - 1] != "e")
        return double_bits(float((text[:at], text[at:])[i]))

    def _in_vector(self, theirs: int, x87: bool) -> bool:
        """Whether a vector register holds it: as an integer, a double, a float; or one of the x87."""
        if x87:
            return theirs in self.hit.x87()
        wide = theirs.to_bytes(8, "little")
        forms = [wide, wide[:4] if theirs >> 32 in (0, 0xFFFFFFFF) else wide]
        with suppress(OverflowError):
            forms.append(struct.pack("<f", *struct.unpack("<d", wide)))
        return any(form in register for form in forms for register in self.hit.vectors())


def _try(make: Callable[[], Object]) -> Object | Unavailable:
    try:
        return make()
    except Unavailable as reason:
        return reason


def _element(ours: Object | Unavailable, i: int, around: Reader) -> Object | Unavailable:
    return _try(lambda: index(ours, Number(i), around)) if isinstance(ours, Object) else ours


def _is_short(whole: Object | Unavailable) -> bool:
    """Whether the pieces that are described are not all there is of the variable."""
    if not isinstance(whole, Object) or not isinstance(whole.location, Pieces):
        return False
    return sum(piece.bits for piece in whole.location.pieces) < 8 * (size_of(whole.type) or 0)


def _are_nan(mine: int | str, theirs: int | str) -> bool:
    """The same one but for the bit that becomes set when gdb's Python is given a signalling one."""
    quiet, exponent = 1 << 51, 0x7FF << 52
    if isinstance(mine, str) or isinstance(theirs, str):
        return False
    return mine & exponent == exponent and mine | quiet == theirs | quiet


def double_bits(number: float) -> int:
    return int.from_bytes(struct.pack("<d", number), "little")


def shown(known: int | str) -> str:
    return f"{known:#x}" if isinstance(known, int) else known
