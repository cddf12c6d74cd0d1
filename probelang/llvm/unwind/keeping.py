"""Stacks kept in the map `stacks`, each once: what a token leads to.

keep(e, walk)  ->  the stack's number, its key in the map
"""

from __future__ import annotations

from probelang.artifact.stacks import STACK_FLAG_CUT
from probelang.llvm.builder import Value
from probelang.llvm.emitter import Emitter
from probelang.llvm.helper_ids import MAP_LOOKUP, MAP_UPDATE
from probelang.llvm.unwind.state import WALK_BYTES, state_of
from probelang.llvm.unwind.walk import Walk

STACKS = "stacks"
_NO_EXIST = 1  # BPF_NOEXIST
_EXISTS = -17 & (1 << 64) - 1  # -EEXIST


def keep(e: Emitter, walk: Walk) -> Value:
    """Of a walk that was just made."""
    e.module.uses_stacks = True
    e.routine("unwind_keep", ("place",), _keep, walk.place)
    return e.get(state_of(e).hash)


def _keep(r: Emitter, parameters: list[Value]) -> None:
    """A stack that is known already is looked up, which takes no lock."""
    state = state_of(r)
    block = r.checked(parameters[0], WALK_BYTES)
    with r.when(r.truth(r.bits_and(r.get(state.flags), STACK_FLAG_CUT))):
        r.count("cut_stacks")
    key = r.at(state.hash.offset)
    known = r.helper_pointer(MAP_LOOKUP, r.map(STACKS), key)
    with r.when(r.is_null(known)):
        code = r.cell(r.helper(MAP_UPDATE, r.map(STACKS), key, block, _NO_EXIST))
        with r.when(r.truth(r.get(code))), r.when(r.compare("ne", r.get(code), _EXISTS)):
            r.count("lost_stacks")
    r.ret(0)
