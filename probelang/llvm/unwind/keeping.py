"""Stacks kept in the map `stacks`, each once: what a token leads to.

keep(e, walk)  ->  the stack's number, its key in the map
"""

from __future__ import annotations

from probelang.artifact.stacks import STACK_BYTES, STACK_FLAG_CUT
from probelang.llvm.builder import Value
from probelang.llvm.emitter import Emitter
from probelang.llvm.helper_ids import MAP_LOOKUP, MAP_UPDATE
from probelang.llvm.unwind.state import FRAMES, WALK_BYTES, state_of
from probelang.llvm.unwind.walk import PROCESS, Walk

STACKS = "stacks"
_NO_EXIST = 1  # BPF_NOEXIST
_EXISTS = -17 & (1 << 64) - 1  # -EEXIST


def keep(e: Emitter, walk: Walk) -> Value:
    """Of a walk that was just made."""
    e.module.uses_stacks = True
    e.routine("unwind_keep", ("place",), _keep, walk.place)
    return e.get(state_of(e).hash)


def _keep(r: Emitter, parameters: list[Value]) -> None:
    """A stack that is known already is looked up, which takes no lock. A new one is entered empty and then filled, the header last:
    kernels up to 6.1 take no value from a frame that is a parameter."""
    state = state_of(r)
    block = r.checked(parameters[0], WALK_BYTES)
    with r.when(r.truth(r.bits_and(r.get(state.flags), STACK_FLAG_CUT))):
        r.count("cut_stacks")
    full, filled, entered, there, out = (r.fresh(n) for n in ("full", "filled", "entered", "there", "out"))
    with r.stack_word() as key:
        r.store(key, r.get(state.hash))
        known = r.helper_pointer(MAP_LOOKUP, r.map(STACKS), key)
        r.branch_if(r.is_null(known), filled, out)
        r.start(filled)
        code = r.cell(r.helper(MAP_UPDATE, r.map(STACKS), key, r.zeros(STACK_BYTES), _NO_EXIST))
        r.branch_if(r.compare("eq", r.get(code), 0), entered, full)
        r.start(entered)
        place = r.helper_pointer(MAP_LOOKUP, r.map(STACKS), key)
    r.branch_if(r.is_null(place), out, there)
    r.start(there)
    r.copy(r.offset(place, FRAMES), STACK_BYTES - FRAMES, r.offset(block, FRAMES))
    r.store(r.offset(place, PROCESS), r.load(r.offset(block, PROCESS)))
    r.store(place, r.load(block))
    r.branch(out)
    r.start_aside(full)
    with r.when(r.compare("ne", r.get(code), _EXISTS)):
        r.count("lost_stacks")
    r.start(out)
    r.ret(0)
