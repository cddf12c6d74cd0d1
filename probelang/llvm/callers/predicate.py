"""`code_in(address, set)`: whether the byte at an address is code of a set, the cheapest way first.

    same module       d = address - rip + site; d in ranges                          no look-up
    main executable   mm->exe_file is the file?  d = address - mm->start_code + segment; d in ranges
    memory area       the file at the address, and the offset in it

Each way tells for sure whether it applies; what none has decided asks for the memory area. Where that cannot be said either, the handler
ends and the word `lost_callers` counts it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from probelang.artifact.code import Call
from probelang.artifact.codesets import CodeFile
from probelang.artifact.stacks import FILE_SHIFT, OFFSET_MASK
from probelang.diag import InternalError
from probelang.layout.callers import Way
from probelang.layout.walk import nodes
from probelang.llvm.builder import Label, Pointer, Value
from probelang.llvm.callers import located
from probelang.llvm.callers.ranges import inside
from probelang.llvm.callers.site import site_address, site_offset
from probelang.llvm.calls.lowering import Result, Values, known, number
from probelang.llvm.emitter import Emitter
from probelang.llvm.errors import ABORT, fail_hard
from probelang.llvm.helper_ids import TASK_BTF
from probelang.llvm.unwind.locate import UNDECIDED
from probelang.llvm.unwind.typed import follow, member


@dataclass(frozen=True, slots=True)
class Part:
    """Code of one file, and how it is asked for."""

    file: CodeFile
    way: Way


def code_in(e: Emitter, values: Values, call: Call) -> Result:
    which = known(number(values, 1))
    if which is None:
        raise InternalError("`code_in` of a set that is no literal")
    decision = e.module.decision("code_in", which, e.part)
    code_set = e.module.program.source.code_sets[which]
    parts = [Part(file, chosen.way) for file, chosen in zip(code_set.files, decision.files, strict=True)]
    answer, address = Answer(e), number(values, 0)
    if any(isinstance(node, Call) and node.name == "ustack" for node in nodes(call.arguments[0])):
        known_caller = e.fresh("caller")  # the stack has no second frame, or cannot be followed
        e.branch_if(e.compare("eq", address, -1), answer.undecided, known_caller)
        e.start(known_caller)
    ask(e, address, parts, answer, lambda: e.sub(site_offset(e), site_address(e)))
    return answer.finish(call.at)


class Answer:
    """Where what decides a predicate leads, and with what."""

    def __init__(self, e: Emitter) -> None:
        self.e = e
        self.value = e.alloca_word()
        self.decided = e.fresh("decided")
        self.undecided = e.fresh("undecided")

    def give(self, value: Value | int) -> None:
        """Decided; ends the block."""
        self.e.store(self.value, value, volatile=False)
        self.e.branch(self.decided)

    def finish(self, at: int) -> Value:
        """The value, behind everything; out of the handler where it could not be decided."""
        e = self.e
        if self.undecided in e.used:
            e.start_aside(self.undecided)
            leave_undecided(e, at)
        e.start_aside(self.decided)
        return e.load(self.value, volatile=False)


def leave_undecided(e: Emitter, at: int) -> None:
    """Ends the handler as `next` does."""
    e.count("lost_callers")
    if e.end is not None:
        e.jump(e.end)
    else:
        fail_hard(e, ABORT, at)


def ask(
    e: Emitter, address: Value, parts: Sequence[Part], answer: Answer, module: Callable[[], Value]
) -> None:
    """Ends in `answer`. `module`: what leads from an address to an offset in the probed file."""
    for part in parts:
        if part.way is Way.MODULE:
            offset = e.add(address, module())
            in_segment(e, offset, part.file, part.file.offset_of_code, answer)
    rest = [part for part in parts if part.way is not Way.MODULE]
    executables = [part for part in rest if part.way is Way.EXECUTABLE]
    if executables:
        in_executable(e, address, executables, len(executables) == len(rest), answer)
    if rest:
        in_area(e, address, rest, answer)
    else:
        answer.give(0)


def in_segment(e: Emitter, distance: Value, file: CodeFile, start: int, answer: Answer) -> None:
    """Answers where `distance`, which is `start` at the first byte of the file's code, lies in its code; else goes on."""
    apart, there = e.fresh("apart"), e.fresh("there")
    e.branch_if(e.compare("ult", e.sub(distance, start), file.code_bytes), there, apart)
    e.start(there)
    answer.give(1 if file.ranges is None else _in_file(e, e.add(distance, file.offset_of_code - start), file))
    e.start_aside(apart)


def _in_file(e: Emitter, offset: Value, file: CodeFile) -> Value:
    return Value("1") if file.ranges is None else inside(e, offset, file.ranges)


def in_executable(e: Emitter, address: Value, parts: Sequence[Part], is_all: bool, answer: Answer) -> None:
    """Answers for a process whose own program is one of the files; `is_all`: there are no others, so what lies in the code of another
    program is decided, too."""
    behind = e.fresh("other")
    task = e.helper_pointer(TASK_BTF)
    memory = _there(e, follow(e, task, "task_struct.mm"), behind)
    distance = e.sub(address, member(e, memory, "mm_struct.start_code"))
    program = _there(e, follow(e, memory, "mm_struct.exe_file"), behind)
    inode = member(e, program, "file.f_inode")
    for part in parts:
        same, different = e.fresh("same"), e.fresh("different")
        e.branch_if(e.compare("eq", inode, e.constant(f"exe_inode:{part.file.path}")), same, different)
        e.start(same)
        in_segment(e, distance, part.file, 0, answer)
        if len(parts) == 1 and is_all:
            answer.give(0)
        else:
            e.branch(behind)
        e.start_aside(different)
    if is_all:
        size = e.sub(member(e, memory, "mm_struct.end_code"), member(e, memory, "mm_struct.start_code"))
        own = e.fresh("own")
        e.branch_if(e.compare("ult", distance, size), own, behind)
        e.start(own)
        answer.give(0)
        e.start_aside(behind)
    else:
        e.start(behind)


def _there(e: Emitter, pointer: Pointer, missing: Label) -> Pointer:
    found = e.fresh("found")
    e.branch_if(e.is_null(pointer), missing, found)
    e.start(found)
    return pointer


def in_area(e: Emitter, address: Value, parts: Sequence[Part], answer: Answer) -> None:
    """Ends in `answer`."""
    found = located.emit(e, address)
    decided = e.fresh("located")
    e.branch_if(e.compare("eq", found, UNDECIDED), answer.undecided, decided)
    e.start(decided)
    of_file = e.shift_right(found, FILE_SHIFT)
    for part in parts:
        same, different = e.fresh("same"), e.fresh("different")
        e.branch_if(e.compare("eq", of_file, e.module.code_file(part.file.path)), same, different)
        e.start(same)
        answer.give(_in_file(e, e.bits_and(found, OFFSET_MASK), part.file))
        e.start_aside(different)
    answer.give(0)
