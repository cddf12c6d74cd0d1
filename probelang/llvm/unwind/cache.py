"""The areas that a walk has met: most frames lie in one of them, and then the kernel is not asked.

remember(e, state, unknown)  ->  an entry's place, in which the code at hand lies

entry: u64 start | size (0: empty) | what leads from an address to an offset in the file | file << 48 (0: none)
       | first row | count of rows | flags
"""

from __future__ import annotations

from probelang.artifact.stacks import FILE_SHIFT
from probelang.llvm.builder import Label, Pointer, Value
from probelang.llvm.emitter import Emitter
from probelang.llvm.unwind import area as areas
from probelang.llvm.unwind import locate
from probelang.llvm.unwind.state import AREA_BYTES, CACHED, State, state_of

START, SIZE, TO_FILE, FILE, FIRST_ROW, ROW_COUNT, FLAGS = (8 * i for i in range(7))
_MASK = (CACHED - 1) * AREA_BYTES
_NOTHING = -1


def forget(e: Emitter, state: State) -> None:
    for i in range(CACHED):
        e.store(e.at(state.areas.offset + i * AREA_BYTES + SIZE), 0)
    e.set(state.next_area, 0)


def entry(e: Emitter, state: State) -> Pointer:
    """The one that `find` has found."""
    return _entry(e, state, e.get(state.area))


def _entry(e: Emitter, state: State, at: Value) -> Pointer:
    return e.offset(e.at(state.areas.offset), e.opaque(e.bits_and(e.opaque(at), _MASK)))


def find(e: Emitter, state: State, unknown: Label) -> None:
    """Sets `state.area` by `rip`; goes to `unknown` where that is no code, or cannot be told now."""
    found = e.fresh("found")
    for i in range(CACHED):
        place = state.areas.offset + i * AREA_BYTES
        distance = e.sub(_code(e, state), e.load(e.at(place + START)))
        with e.when(e.compare("ult", distance, e.load(e.at(place + SIZE)))):
            e.set(state.area, i * AREA_BYTES)
            e.branch(found)
    at = e.cell(e.routine("unwind_area", ("address",), _ask, _code(e, state)))
    with e.when(e.compare("slt", e.get(at), 0)):
        e.branch(unknown)
    e.set(state.area, e.get(at))
    e.start(found)


def _code(e: Emitter, state: State) -> Value:
    """The byte whose area is wanted."""
    return e.sub(e.get(state.rip), e.get(state.back))


def _ask(r: Emitter, parameters: list[Value]) -> None:
    """Where the area lies that is remembered now; negative where there is none."""
    state, address = state_of(r), r.cell(parameters[0])
    area = areas.find(r, parameters[0])
    found, unknown, nameless, named = (r.fresh(n) for n in ("found", "unknown", "nameless", "named"))
    r.branch_if(r.compare("eq", r.get(area.state), areas.FOUND), found, unknown)
    r.start(found)
    at = r.get(state.next_area)
    place = _entry(r, state, at)
    r.set(state.next_area, r.bits_and(r.add(at, AREA_BYTES), _MASK))
    r.store(r.offset(place, SIZE), 0)
    for word in (TO_FILE, FILE, FIRST_ROW, ROW_COUNT, FLAGS):
        r.store(r.offset(place, word), 0)
    r.store(r.offset(place, START), r.get(area.start))
    size = r.cell(r.sub(r.get(area.end), r.get(area.start)))
    r.store(r.offset(place, TO_FILE), r.sub(r.get(area.file_offset), r.get(area.start)))
    r.branch_if(r.truth(r.get(area.inode)), named, nameless)
    r.start(named)
    file = locate.file_of(r, r.get(address), area, unknown)
    r.store(r.offset(place, FILE), r.shift_left(file.number, FILE_SHIFT))
    r.store(r.offset(place, FIRST_ROW), file.first_row)
    r.store(r.offset(place, ROW_COUNT), file.row_count)
    r.store(r.offset(place, FLAGS), file.flags)
    r.start(nameless)
    r.store(r.offset(place, SIZE), r.get(size))
    r.ret(r.bits_and(r.sub(r.get(state.next_area), AREA_BYTES), _MASK))
    r.start_aside(unknown)
    r.ret(_NOTHING)
