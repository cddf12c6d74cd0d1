"""Calls under way whose returns are hooked: the kernel's list of them, the latest first.

    search(e, ...)  ->  ACTIVE where a function of the set is in the list of the current thread, and still active

An entry has the address of the hooked instruction, and where on the stack the return address was; there the kernel has put the
address of its trampoline. Functions that were left by longjmp or an exception stay in the list until the kernel notices: their place lies
below the stack pointer, or holds something else by now. Handlers of signals may have a stack of their own, and what was
interrupted is then on another one (sigaltstack(2)). Sources: include/linux/uprobes.h, struct return_instance;
kernel/events/uprobes.c, prepare_uretprobe (a thread has at most 64 entries: what is called then is not hooked).
"""

from __future__ import annotations

from probelang.artifact.codesets import CodeFile, CodeSet
from probelang.layout.callers import FileWay, Way
from probelang.llvm.builder import Bit, Label, Pointer, Value
from probelang.llvm.callers.predicate import Answer, Part, ask
from probelang.llvm.callers.site import site_address, site_offset
from probelang.llvm.emitter import Emitter
from probelang.llvm.helper_ids import PROBE_READ_USER, TASK_BTF
from probelang.llvm.signalstack import is_on_signal_stack
from probelang.llvm.unwind import locate
from probelang.llvm.unwind.typed import follow, member

MOST = 63
"""One less than a full list: in that a call may be missing (MAX_URETPROBE_DEPTH)."""
NONE, ACTIVE, UNTOLD = 0, 1, 2
"""What the search gives. UNTOLD: the list does not tell."""


def search(e: Emitter, code_set: CodeSet, name: str, found_by: tuple[FileWay, ...]) -> Value:
    """NONE, ACTIVE or UNTOLD. `found_by`: how each hook of the set is told."""
    ways = tuple(hook.way for hook in found_by)
    name += "".join(f"_{way.name.lower()}" for way in ways)
    parts = hooked_code(code_set, ways)
    to_offset = e.sub(site_offset(e), site_address(e)) if Way.MODULE in ways else Value("0")
    stack_pointer = e.register("rsp")
    locate.define(e, name, ("rsp", "module"), lambda r, given: _search(r, given, parts))
    return Value(e.assign(f"call i64 @{name}(i64 {stack_pointer}, i64 {to_offset})"))


def hooked_code(code_set: CodeSet, ways: tuple[Way, ...]) -> list[Part]:
    """The hooked instructions, as code of files."""
    segments = {file.path: file for file in code_set.files}
    parts: list[Part] = []
    for hook, way in zip(code_set.hooks, ways, strict=True):
        of = segments.get(hook.path, CodeFile(hook.path, "", None))
        ranges = tuple((offset, offset + 1) for offset in sorted(hook.offsets))
        parts.append(
            Part(
                CodeFile(
                    of.path,
                    of.build_id,
                    ranges,
                    of.offset_of_code,
                    of.address_of_code,
                    of.code_bytes,
                    of.is_fixed,
                ),
                way,
            )
        )
    return parts


def _search(r: Emitter, given: list[Value], parts: list[Part]) -> None:
    stack_pointer, to_offset = given
    none, over = r.fresh("none"), r.fresh("over")
    task = r.helper_pointer(TASK_BTF)
    head = follow(r, task, "task_struct.utask"), r.fresh("utask")
    r.branch_if(r.is_null(head[0]), none, head[1])
    r.start(head[1])
    instance, turns = _pointer_word(r), r.alloca_word()
    _set_pointer(r, instance, follow(r, head[0], "uprobe_task.return_instances"))
    again, some = r.fresh("again"), r.fresh("some")
    r.start(again)
    current = _get_pointer(r, instance)
    r.branch_if(r.is_null(current), none, some)
    r.start(some)
    r.count_turn(turns, MOST, over)
    answer = Answer(r)
    ask(r, member(r, current, "return_instance.func"), parts, answer, lambda: to_offset)
    following = r.fresh("following")
    if answer.undecided in r.used:
        r.start_aside(answer.undecided)
        r.branch(over)
    r.start_aside(answer.decided)
    ours = r.fresh("ours")
    r.branch_if(r.truth(r.load(answer.value, volatile=False)), ours, following)
    r.start(ours)
    only_active(r, task, stack_pointer, member(r, current, "return_instance.stack"), following, over)
    r.ret(ACTIVE)
    r.start_aside(following)
    _set_pointer(r, instance, follow(r, current, "return_instance.next"))
    r.branch(again)
    r.start_aside(none)
    # what is called there may have been left unhooked
    nothing = r.fresh("nothing")
    r.branch_if(is_on_signal_stack(r, stack_pointer), over, nothing)
    r.start(nothing)
    r.ret(NONE)
    r.start_aside(over)
    r.ret(UNTOLD)


def only_active(
    r: Emitter, task: Pointer, stack_pointer: Value, slot: Value, ended: Label, untold: Label
) -> None:
    """Goes on where the call whose return address is at `slot` has not ended."""
    first, size = member(r, task, "task_struct.sas_ss_sp"), member(r, task, "task_struct.sas_ss_size")

    def is_apart(address: Value) -> Bit:
        return r.compare("ult", r.sub(address, first), size)

    def only_if(condition: Bit, otherwise: Label) -> None:
        so = r.fresh("so")
        r.branch_if(condition, so, otherwise)
        r.start(so)

    here, there = r.widen(is_apart(stack_pointer)), r.widen(is_apart(slot))
    above = r.widen(r.compare("uge", slot, stack_pointer))
    on_same = r.bits_xor(r.bits_xor(here, there), 1)
    # on another stack than this one: that of what was interrupted, or a signal handler's that was left
    only_if(r.truth(r.bits_or(r.bits_and(on_same, above), r.bits_and(r.bits_xor(on_same, 1), here))), ended)
    with r.key_memory(8) as word:
        only_if(r.compare("eq", r.helper(PROBE_READ_USER, word, 8, slot), 0), untold)
        content = r.load(word)
    memory = follow(r, task, "task_struct.mm")
    only_if(r.negate(r.is_null(memory)), untold)
    area = follow(r, memory, "mm_struct.uprobes_state.xol_area")
    only_if(r.negate(r.is_null(area)), ended)
    only_if(r.compare("eq", content, member(r, area, "xol_area.vaddr")), ended)


def _pointer_word(r: Emitter) -> Pointer:
    """A place for a pointer, which becomes a register."""
    name = r.name()
    r.entry.append(f"  {name} = alloca ptr, align 8")
    return Pointer(name)


def _set_pointer(r: Emitter, word: Pointer, pointer: Pointer) -> None:
    r.put(f"store ptr {pointer}, ptr {word}, align 8")


def _get_pointer(r: Emitter, word: Pointer) -> Pointer:
    return Pointer(r.assign(f"load ptr, ptr {word}, align 8"))
