"""`within_code(set)`: whether a function of a set is active in this thread, however deep.

    the probed function is of the set?            then it is, and nothing is asked
    the kernel's list of hooked calls has one?    1                                                     (hooks.py)
    can this thread be in a call of before?       no: 0; else the stack is unwound: 1, 0, or undecided where it is cut short

Threads that began after the returns were hooked, and share no stack with an older one, have all their calls in the list. Any other is
unwound until no such function is on its stack: from then on it is `settled`, a map by thread. What cannot be hooked is always unwound.
"""

from __future__ import annotations

from collections.abc import Sequence

from probelang.artifact.code import Call
from probelang.artifact.codesets import CodeFile, CodeSet
from probelang.artifact.points import FunctionPoint
from probelang.artifact.stacks import FILE_SHIFT, MOST_FRAMES, OFFSET_MASK
from probelang.diag import InternalError
from probelang.llvm.builder import Bit, Label, Pointer, Value
from probelang.llvm.callers import hooks
from probelang.llvm.callers.predicate import Answer
from probelang.llvm.callers.ranges import inside
from probelang.llvm.callers.site import chosen
from probelang.llvm.calls.lowering import Result, Values, known, number
from probelang.llvm.emitter import Emitter
from probelang.llvm.helper_ids import KTIME, MAP_LOOKUP, MAP_UPDATE, TASK_BTF
from probelang.llvm.unwind.state import WALK_BYTES, frame_place
from probelang.llvm.unwind.typed import member
from probelang.llvm.unwind.walk import walk_stack

SETTLED = "settled"
_ABSENT, _PRESENT = 0, 1


def within_code(e: Emitter, values: Values, call: Call) -> Result:
    which = known(number(values, 0))
    if which is None:
        raise InternalError("`within_code` of a set that is no literal")
    decision = e.module.decision("within_code", which, e.part)
    code_set = e.module.program.source.code_sets[which]
    answer = Answer(e)
    if not at_own_function(e, code_set, answer):
        if decision.hooks:
            hooks.search(e, code_set, which, decision, answer)
        if not decision.unwinds:
            pass_settled(e, which, answer)
        unwind(e, code_set, which, answer, settles=not decision.unwinds)
    return answer.finish(call.at)


def at_own_function(e: Emitter, code_set: CodeSet, answer: Answer) -> bool:
    """Whether that is so at every site; else answers at those where it is."""
    flags = [0] * len(e.module.program.sites)
    mine: set[int] = set()
    for probe in e.module.program.kernel:
        point = e.module.program.source.probes[probe.index].point
        if isinstance(point, FunctionPoint):
            places = range(probe.first_site, probe.first_site + len(point.sites))
            for place, site in zip(places, point.sites, strict=True):
                flags[place] = int(_holds(code_set, point.binary.path, site.offset))
            if e.part == ("probe", probe.index):
                mine.update(places)
    own = {flags[i] for i in mine} if mine else set(flags)
    if own == {1} and mine:
        answer.give(1)
        return True
    if 1 in own:
        inside_it, behind = e.fresh("own"), e.fresh("other")
        e.branch_if(e.truth(chosen(e, flags)), inside_it, behind)
        e.start(inside_it)
        answer.give(1)
        e.start_aside(behind)
    return False


def _holds(code_set: CodeSet, path: str, offset: int) -> bool:
    files = [file for file in code_set.files if file.path == path]
    return any(f.ranges is None or any(low <= offset < high for low, high in f.ranges) for f in files)


# ------------------------------------------------------------------------------------------- calls of before


def pass_settled(e: Emitter, which: int, answer: Answer) -> None:
    """Answers 0 in a thread all of whose calls are in the list."""
    unsettled = e.fresh("unsettled")
    only_young(e, unsettled, answer)
    e.start(unsettled)
    with e.key_memory(16) as key:
        thread_key(e, which, key)
        entry = e.helper_pointer(MAP_LOOKUP, settled_map(e), key)
        found, none = e.fresh("settled"), e.fresh("unknown")
        e.branch_if(e.is_null(entry), none, found)
        e.start(found)
        answer.give(0)
        e.start_aside(none)


def only_young(e: Emitter, unsettled: Label, answer: Answer) -> None:
    """Answers in a thread that began later, and not as the copy of a process: of those the stack is a copy, until they begin a program."""
    word, task = e.module.word("hooked_since"), e.helper_pointer(TASK_BTF)
    since = e.load(word)
    first, later = e.fresh("first"), e.fresh("later")
    e.branch_if(e.compare("eq", since, 0), first, later)
    e.start(first)  # programs run only when everything is attached
    e.compare_exchange(word, 0, e.helper(KTIME))
    e.branch(unsettled)
    e.start_aside(later)

    def only_if(condition: Bit) -> None:
        so = e.fresh("so")
        e.branch_if(condition, so, unsettled)
        e.start(so)

    only_if(e.compare("uge", member(e, task, "task_struct.start_time"), since))
    tid, tgid = member(e, task, "task_struct.pid", 32), member(e, task, "task_struct.tgid", 32)
    programs = member(e, task, "task_struct.self_exec_id", 32)
    at_birth = member(e, task, "task_struct.parent_exec_id", 32)
    only_if(e.either(e.compare("ne", tid, tgid), e.compare("ne", programs, at_birth)))
    answer.give(0)


def thread_key(e: Emitter, which: int, key: Pointer) -> None:
    """Start time and id of the thread, which together come once; the set."""
    task = e.helper_pointer(TASK_BTF)
    e.store(key, member(e, task, "task_struct.start_time"))
    e.store(e.offset(key, 8), e.bits_or(member(e, task, "task_struct.pid", 32), which << 32))


def settled_map(e: Emitter) -> Pointer:
    e.module.uses_settled = True
    return e.map(SETTLED)


# -------------------------------------------------------------------------------------------- the whole stack


def unwind(e: Emitter, code_set: CodeSet, which: int, answer: Answer, settles: bool) -> None:
    """Ends in `answer`."""
    with e.temporaries():
        walk = walk_stack(e)

        def search(r: Emitter, parameters: list[Value]) -> None:
            search_frames(r, parameters[0], code_set.files)

        found = e.cell(e.routine(f"within_{which}", ("walk",), search, walk.place))
        with e.when(e.compare("eq", e.get(found), _PRESENT)):
            answer.give(1)
        with e.when(walk.is_cut(e)):
            e.branch(answer.undecided)
    if settles:
        with e.key_memory(24) as key:
            thread_key(e, which, key)
            value = e.offset(key, 16)
            e.store(value, 1)
            e.helper(MAP_UPDATE, settled_map(e), key, value, 0)
    answer.give(0)


def search_frames(r: Emitter, walk: Value, files: Sequence[CodeFile]) -> None:
    """Whether one of the frames is code of the set. Frame 0 is the current instruction; behind the others stands a call."""
    turns, over, head, more = r.alloca_word(), r.fresh("over"), r.fresh("head"), r.fresh("more")
    r.start(head)
    turn = r.count_turn(turns, MOST_FRAMES, over)
    block = r.checked(walk, WALK_BYTES)
    r.branch_if(r.compare("ult", turn, r.load(block, bits=32)), more, over)
    r.start(more)
    frame = r.load(frame_place(r, block, turn))
    back = r.widen(r.compare("ne", turn, 0))
    number, offset = r.shift_right(frame, FILE_SHIFT), r.sub(r.bits_and(frame, OFFSET_MASK), back)
    for file in files:
        same, different = r.fresh("same"), r.fresh("different")
        r.branch_if(r.compare("eq", number, r.module.code_file(file.path)), same, different)
        r.start(same)
        if file.ranges is None:
            r.ret(_PRESENT)
        else:
            with r.when(r.truth(inside(r, offset, file.ranges))):
                r.ret(_PRESENT)
            r.branch(head)
        r.start_aside(different)
    r.branch(head)
    r.start_aside(over)
    r.ret(_ABSENT)
