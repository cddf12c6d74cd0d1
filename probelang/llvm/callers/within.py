"""`within_code(set)`: whether a function of a set is active in this thread, however deep.

    the probed function is of the set?            then it is, and nothing is asked
    the kernel's list of hooked calls has one?    1                                                     (hooks.py)
    can this thread be in a call of before?       no: 0; else the stack is unwound: 1, 0, or undecided where it is cut short

Threads that began after the returns were hooked, and share no stack with an older one, have all their calls in the list. Any other is
unwound until no such function is on its stack: from then on it is settled. What cannot be hooked is always unwound; but of inlined copies
the functions that hold them are hooked, and only inside of these the stack is unwound. A list that is full does not tell.
"""

from __future__ import annotations

from collections.abc import Sequence

from probelang.artifact.code import Call
from probelang.artifact.codesets import CodeFile, CodeSet
from probelang.artifact.points import FunctionPoint
from probelang.artifact.stacks import FILE_SHIFT, MOST_FRAMES, OFFSET_MASK
from probelang.diag import InternalError
from probelang.llvm.builder import Bit, Label, Operand, Pointer, Value
from probelang.llvm.callers import hooks
from probelang.llvm.callers.predicate import Answer
from probelang.llvm.callers.ranges import inside
from probelang.llvm.callers.site import chosen
from probelang.llvm.calls.lowering import Result, Values, known, number
from probelang.llvm.emitter import Emitter
from probelang.llvm.frame import REGISTERS
from probelang.llvm.helper_ids import KTIME, TASK_BTF
from probelang.llvm.mixing import mix
from probelang.llvm.unwind import locate
from probelang.llvm.unwind.state import WALK_BYTES, frame_place
from probelang.llvm.unwind.typed import member
from probelang.llvm.unwind.walk import walk_stack

ROWS_LOG = 13
"""Of settled threads."""
_ABSENT, _PRESENT, _UNKNOWN, _HELD = 0, 1, 2, 3
"""What unwinding finds. _HELD: no code of the set, but of what holds its copies."""
_REGISTERS = ("rip", "rsp", "rbp")


def within_code(e: Emitter, values: Values, call: Call) -> Result:
    which = known(number(values, 0))
    if which is None:
        raise InternalError("`within_code` of a set that is no literal")
    decision = e.module.decision("within_code", which, e.part)
    code_set = e.module.program.source.code_sets[which]
    answer = Answer(e)
    if not at_own_function(e, code_set, answer):
        untold = e.fresh("untold")
        if decision.hooks:
            told = hooks.search(e, code_set, f"hooked_{which}", decision.hooks)
            active, other = e.fresh("active"), e.fresh("other")
            e.branch_if(e.compare("eq", told, hooks.ACTIVE), active, other)
            e.start(active)
            answer.give(1)
            e.start_aside(other)
            go_on_if(e, e.compare("eq", told, hooks.NONE), untold)
        if decision.around and code_set.around is not None:
            told = hooks.search(e, code_set.around, f"around_{which}", decision.around)
            go_on_if(e, e.compare("eq", told, hooks.NONE), untold)
        if not decision.unwinds:
            pass_settled(e, which, answer)
            unwind(e, code_set, which, answer, settles=True)
            if untold in e.used:
                e.start_aside(untold)
        if decision.unwinds or untold in e.used:
            unwind(e, code_set, which, answer, settles=False)
    return answer.finish(call.at)


def go_on_if(e: Emitter, condition: Bit, otherwise: Label) -> None:
    so = e.fresh("so")
    e.branch_if(condition, so, otherwise)
    e.start(so)


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
    unsettled, settled, news = e.fresh("unsettled"), e.fresh("settled"), e.fresh("news")
    row, mark = settled_row(e, which)
    e.branch_if(e.compare("eq", e.load(row), mark), settled, news)
    e.start(news)
    only_young(e, unsettled)
    settle(e, which)
    e.branch(settled)
    e.start_aside(settled)
    answer.give(0)
    e.start_aside(unsettled)


def only_young(e: Emitter, otherwise: Label) -> None:
    """Goes on in a thread that began later, and not as the copy of a process: of those the stack is a copy, until they begin a program.
    The command of -c is made earlier, and begins its program later. Where the runtime cannot say when all was attached (it lives in a time
    namespace), the first program does."""
    word, task = e.module.word("hooked_since"), e.helper_pointer(TASK_BTF)
    since = e.load(word)
    first, later = e.fresh("first"), e.fresh("later")
    e.branch_if(e.compare("eq", since, 0), first, later)
    e.start(first)  # programs run only when everything is attached
    e.compare_exchange(word, 0, e.helper(KTIME))
    e.branch(otherwise)
    e.start_aside(later)

    tid, tgid = member(e, task, "task_struct.pid", 32), member(e, task, "task_struct.tgid", 32)
    is_late = e.compare("uge", member(e, task, "task_struct.start_time"), since)
    go_on_if(e, e.either(is_late, e.compare("eq", tgid, e.constant("run:command_pid"))), otherwise)
    programs = member(e, task, "task_struct.self_exec_id", 32)
    at_birth = member(e, task, "task_struct.parent_exec_id", 32)
    go_on_if(e, e.either(e.compare("ne", tid, tgid), e.compare("ne", programs, at_birth)), otherwise)


def settled_row(e: Emitter, which: int) -> tuple[Pointer, Value]:
    """The row of this thread and set, and what stands in it where the thread is settled: a hash of when the thread began, of its id and
    of the set. Threads share rows: the one that was settled last has it, others are unwound once more."""
    task = e.helper_pointer(TASK_BTF)
    began, tid = member(e, task, "task_struct.start_time"), member(e, task, "task_struct.pid", 32)
    mark = mix(e, (began, e.bits_or(tid, which << 32)))
    rows = e.module.data("settled_rows", ".bss.settled", 1 << ROWS_LOG + 3)
    place = e.bits_and(e.opaque(e.shift_right(mark, 40)), (1 << ROWS_LOG) - 1)
    return e.offset(rows, e.shift_left(place, 3)), mark


def settle(e: Emitter, which: int) -> None:
    row, mark = settled_row(e, which)
    e.store(row, mark)


# -------------------------------------------------------------------------------------------- the whole stack


def unwind(e: Emitter, code_set: CodeSet, which: int, answer: Answer, settles: bool) -> None:
    """Ends in `answer`."""
    if e.kind == "handler" and e.subject is not None:
        e.branch(
            answer.undecided
        )  # the stack of a process that begins, or lives already, is not that of the current task
        return
    name = f"within_{which}"
    locate.define(e, name, _REGISTERS, lambda r, given: write_unwinding(r, given, code_set))
    given = ", ".join(f"i64 {e.register(register)}" for register in _REGISTERS)
    found = Value(e.assign(f"call i64 @{name}({given})"))
    for outcome, label in ((_PRESENT, e.fresh("present")), (_UNKNOWN, answer.undecided)):
        other = e.fresh("other")
        e.branch_if(e.compare("eq", found, outcome), label, other)
        if outcome == _PRESENT:
            e.start(label)
            answer.give(1)
        e.start_aside(other)
    if settles and code_set.around is not None:
        held, free = e.fresh("held"), e.fresh("free")
        e.branch_if(e.compare("eq", found, _HELD), held, free)
        e.start(held)
        answer.give(0)
        e.start_aside(free)
    if settles:
        settle(e, which)
    answer.give(0)


def write_unwinding(r: Emitter, given: list[Value], code_set: CodeSet) -> None:
    """A function that claims a frame for itself: so what asks needs none, and mostly stays without."""
    from probelang.llvm.handlers import claim_frame

    module, none = r.module, r.fresh("none")
    module.uses_frames = True
    claim_frame(r, none)
    r.top = r.high = module.header.routines_end
    for register, value in zip(_REGISTERS, given, strict=True):
        r.store(r.at(module.header.registers + REGISTERS[register]), value)
    walk = walk_stack(r)
    result = r.alloca_word()
    r.store(result, find_frame(r, "frames", walk.place, code_set.files), volatile=False)
    if code_set.around is not None:
        with r.when(r.compare("eq", r.load(result, volatile=False), _ABSENT)):
            held = find_frame(r, "held", walk.place, code_set.around.files)
            r.store(result, r.mul(held, _HELD), volatile=False)
    found = r.load(result, volatile=False)
    absent = r.either(r.compare("eq", found, _ABSENT), r.compare("eq", found, _HELD))
    with r.when(r.both(absent, walk.is_cut(r))):
        r.store(result, _UNKNOWN, volatile=False)
    r.store(r.frame_pointer(), 0)
    module.frame_end = max(module.frame_end, r.high)
    r.ret(r.load(result, volatile=False))
    r.start_aside(none)
    r.ret(_UNKNOWN)


def find_frame(r: Emitter, name: str, walk: Operand, files: Sequence[CodeFile]) -> Value:
    return r.routine(
        f"{r.symbol}_{name}", ("walk",), lambda inner, at: search_frames(inner, at[0], files), walk
    )


def search_frames(r: Emitter, walk: Value, files: Sequence[CodeFile]) -> None:
    """Whether one of the frames is code of the set. Frame 0 is the current instruction; behind the others stands a call."""
    turns, over, head, following = r.alloca_word(), r.fresh("over"), r.fresh("head"), r.fresh("following")
    go_on_if(r, r.truth(count_at(r, walk)), over)
    r.start(head)
    turn = r.load(turns, volatile=False)
    block = r.checked(walk, WALK_BYTES)
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
            r.branch(following)
        r.start_aside(different)
    # a loop ends in a condition: kernels up to 6.2 want to see a jump where it goes on
    r.start(following)
    after = r.add(r.load(turns, volatile=False), 1)
    r.store(turns, after, volatile=False)
    go_on_if(r, r.compare("ult", after, MOST_FRAMES), over)
    r.branch_if(r.compare("ult", after, count_at(r, walk)), head, over)
    r.start_aside(over)
    r.ret(_ABSENT)


def count_at(r: Emitter, walk: Value) -> Value:
    """Of frames in a walk."""
    return r.load(r.checked(walk, WALK_BYTES), bits=32)
