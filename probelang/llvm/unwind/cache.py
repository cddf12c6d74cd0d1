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
from probelang.llvm.unwind.seal import seal
from probelang.llvm.unwind.state import AREA_BYTES, CACHED, State, state_of

START, SIZE, TO_FILE, FILE, FIRST_ROW, ROW_COUNT, FLAGS = (8 * i for i in range(7))
_WORDS, _TAG = (START, SIZE, TO_FILE, FILE, FIRST_ROW, ROW_COUNT, FLAGS), 56
_AREAS, _SECTION, _KEPT_LOG = "unwind_areas", ".bss.areas", 10
_ENTRY_LOG = AREA_BYTES.bit_length() - 1
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
    at = e.cell(e.routine("unwind_area", ("address",), _remember, _code(e, state)))
    with e.when(e.compare("slt", e.get(at), 0)):
        e.branch(unknown)
    e.set(state.area, e.get(at))
    e.start(found)


def _code(e: Emitter, state: State) -> Value:
    """The byte whose area is wanted."""
    return e.sub(e.get(state.rip), e.get(state.back))


def _remember(r: Emitter, parameters: list[Value]) -> None:
    """Where the area lies that is remembered now; negative where there is none. What an earlier walk has kept of this process is
    taken while it holds; else the kernel is asked."""
    state, address, tag = state_of(r), r.cell(parameters[0]), r.cell(0)
    at, ask, behind, unknown = r.cell(), r.fresh("ask"), r.fresh("behind"), r.fresh("unknown")
    r.set(at, r.bits_and(r.get(state.next_area), _MASK))
    r.set(tag, seal(r, r.shift_right(r.get(address), areas.PAGE_BITS), ask))
    kept = _kept(r, r.get(tag))
    mixed = r.load(r.offset(kept, _TAG))
    for word in _WORDS:
        value = r.load(r.offset(kept, word))
        r.store(r.offset(_entry(r, state, r.get(at)), word), value)
        mixed = r.bits_xor(mixed, value)
    r.branch_if(r.compare("eq", mixed, r.get(tag)), behind, ask)
    r.start_aside(ask)
    _ask(r, state, r.get(address), r.get(at), unknown)
    _keep(r, state, r.get(tag), r.get(at), behind)
    r.start(behind)
    r.set(state.next_area, r.bits_and(r.add(r.get(at), AREA_BYTES), _MASK))
    r.ret(r.get(at))
    r.start_aside(unknown)
    r.ret(_NOTHING)


def _ask(r: Emitter, state: State, address: Value, at: Value, unknown: Label) -> None:
    for word in _WORDS:
        r.store(r.offset(_entry(r, state, at), word), 0)
    area = areas.find(r, address)
    found, nameless, named = (r.fresh(n) for n in ("found", "nameless", "named"))
    r.branch_if(r.compare("eq", r.get(area.state), areas.FOUND), found, unknown)
    r.start(found)
    place = _entry(r, state, at)
    r.store(r.offset(place, START), r.get(area.start))
    size = r.cell(r.sub(r.get(area.end), r.get(area.start)))
    r.store(r.offset(place, TO_FILE), r.sub(r.get(area.file_offset), r.get(area.start)))
    r.branch_if(r.truth(r.get(area.inode)), named, nameless)
    r.start(named)
    file = locate.file_of(r, address, area, unknown)
    place = _entry(r, state, at)
    r.store(r.offset(place, FILE), r.shift_left(file.number, FILE_SHIFT))
    r.store(r.offset(place, FIRST_ROW), file.first_row)
    r.store(r.offset(place, ROW_COUNT), file.row_count)
    r.store(r.offset(place, FLAGS), file.flags)
    r.start(nameless)
    r.store(r.offset(_entry(r, state, at), SIZE), r.get(size))


def _keep(r: Emitter, state: State, tag: Value, at: Value, behind: Label) -> None:
    """For the next walks; not of a file whose rows may still come. Threads write without a lock: words of two do not make up a tag."""
    place, keep = _entry(r, state, at), r.fresh("keep")
    unread = r.both(
        r.truth(r.load(r.offset(place, FILE))), r.compare("eq", r.load(r.offset(place, FLAGS)), 0)
    )
    worth = r.both(r.truth(tag), r.negate(unread))
    r.branch_if(worth, keep, behind)
    r.start(keep)
    kept, mixed = _kept(r, tag), tag
    for word in _WORDS:
        value = r.load(r.offset(place, word))
        r.store(r.offset(kept, word), value)
        mixed = r.bits_xor(mixed, value)
    r.store(r.offset(kept, _TAG), mixed)


def _kept(r: Emitter, tag: Value) -> Pointer:
    """The place for this tag: a copy of an entry, and the tag with all of its words mixed in."""
    r.module.data(_AREAS, _SECTION, 1 << _KEPT_LOG + _ENTRY_LOG)
    number = r.bits_and(r.opaque(r.shift_right(tag, 40)), (1 << _KEPT_LOG) - 1)
    return r.offset(Pointer(f"@{_AREAS}"), r.shift_left(number, _ENTRY_LOG))
