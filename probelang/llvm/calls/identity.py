"""Who was hit: process, thread, user, names, CPU, and what the probe point is called.

Where the hit is about the current task, helpers tell; in process events about another one (a child that begins) its
task_struct is read, at the offsets that the runtime takes from the kernel's BTF.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from probelang.artifact.code import Call
from probelang.artifact.points import FunctionPoint, SyscallPoint
from probelang.layout.program import SiteText
from probelang.llvm.builder import Operand, Pointer, Value
from probelang.llvm.calls.lowering import Lowering, Result, Values, known, number
from probelang.llvm.cut import cut_literal
from probelang.llvm.emitter import Emitter
from probelang.llvm.frame import REGISTERS
from probelang.llvm.helper_ids import COMM, CPU, MAP_LOOKUP, PID_TGID, PROBE_READ_KERNEL, STACK_LIMIT, UID_GID
from probelang.llvm.text import userstring
from probelang.llvm.text.buffers import limit
from probelang.llvm.values import NeedsFrame, StrVal

COMM_SIZE = 16  # TASK_COMM_LEN
LOW = 0xFFFFFFFF
USER_SEGMENT = 3  # privilege level in cs
TEXT_OFFSET_MASK = (1 << 28) - 1  # the verifier refuses offsets beyond 2**29


def field(e: Emitter, structure: Operand, member: str, bits: int = 64) -> Value:
    """Member of a kernel structure, `task_struct.tgid`."""
    return e.kernel_word(e.add(structure, e.constant(f"btf:{member}")), bits)


def pid(e: Emitter, values: Values, call: Call) -> Result:
    if e.subject_is_current():
        return e.shift_right(e.helper(PID_TGID), 32)
    return field(e, e.task(), "task_struct.tgid", 32)


def tid(e: Emitter, values: Values, call: Call) -> Result:
    if e.subject_is_current():
        return e.bits_and(e.helper(PID_TGID), LOW)
    return field(e, e.task(), "task_struct.pid", 32)


def parent(e: Emitter) -> Value:
    return field(e, e.task(), "task_struct.real_parent")


def ppid(e: Emitter, values: Values, call: Call) -> Result:
    return field(e, parent(e), "task_struct.tgid", 32)


def credential(member: str, shift: int | None) -> Lowering:
    """`shift`: where the helper of the current task has it, None where it has not."""

    def lower(e: Emitter, values: Values, call: Call) -> Result:
        if shift is not None and e.subject_is_current():
            return e.bits_and(e.shift_right(e.helper(UID_GID), shift), LOW)
        credentials = field(e, e.task(), "task_struct.cred")
        return field(e, credentials, f"cred.{member}", 32)

    return lower


# --------------------------------------------------------------------------------------------------- names


def execname(e: Emitter, values: Values, call: Call) -> Result:
    if e.subject_is_current():
        return comm(e, None)
    return comm(e, e.task())


def pexecname(e: Emitter, values: Values, call: Call) -> Result:
    return comm(e, parent(e))


def comm(e: Emitter, task: Value | None) -> StrVal:
    """The name of a task (None: the current one): at most 15 bytes, padded with zeros to 16."""
    if e.simple:
        e.stack_bytes += COMM_SIZE
        if e.stack_bytes > STACK_LIMIT:
            raise NeedsFrame
        memory = e.alloca(COMM_SIZE)
    else:
        memory = e.at(e.reserve(COMM_SIZE))
    # some kernels (6.1 is one) write nothing behind the NUL
    e.store(memory, 0)
    e.store(e.offset(memory, 8), 0)
    if task is None:
        e.helper(COMM, memory, COMM_SIZE)
    else:
        e.helper(PROBE_READ_KERNEL, memory, COMM_SIZE, e.add(task, e.constant("btf:task_struct.comm")))
    # not volatile: a comparison of whole words needs no length, and then LLVM drops all of this
    first = e.load(memory, volatile=False)
    second = e.load(e.offset(memory, 8), volatile=False)
    length = bytes_before_nul(e, first)
    length = e.add(length, e.bits_and(bytes_before_nul(e, second), e.sub(0, e.shift_right(length, 3))))
    return StrVal(memory, e.bits_and(length, COMM_SIZE - 1), padded=COMM_SIZE)


def bytes_before_nul(e: Emitter, word: Value) -> Value:
    """How many bytes stand before the first NUL of a word, 8 without one; without a branch. The lowest bit of `nuls` is bit
    7 of the first NUL; below it every byte has its bit 0 set, and the product adds those up in its highest byte."""
    ones, highs = 0x0101010101010101, 0x8080808080808080 - (1 << 64)
    nuls = e.bits_and(e.bits_and(e.sub(word, ones), e.bits_xor(word, -1)), highs)
    lowest = e.bits_and(nuls, e.sub(0, nuls))
    below = e.sub(e.shift_right(lowest, 7), 1)
    return e.shift_right(e.mul(e.bits_and(below, ones), ones), 56)


def cmdline(e: Emitter, values: Values, call: Call) -> Result:
    """The words lie one behind the other in the process, each with its NUL."""
    return userstring.command_line(e, field(e, e.task(), "task_struct.mm"))


# ------------------------------------------------------------------------------------------------ processes


def target(e: Emitter, values: Values, call: Call) -> Result:
    return e.constant("run:target_pid")


def target_set_pid(e: Emitter, values: Values, call: Call) -> Result:
    with e.key_memory(8) as key:
        e.store(key, number(values, 0))
        found = e.helper_pointer(MAP_LOOKUP, e.map("targets"), key)
        return e.widen(e.negate(e.is_null(found)))


def cpu(e: Emitter, values: Values, call: Call) -> Result:
    return e.bits_and(e.helper(CPU), LOW)


def user_mode(e: Emitter, values: Values, call: Call) -> Result:
    """1 but where a timer.profile tick met the kernel: its context starts with the registers that were interrupted."""
    if e.kind == "handler" and e.entry_kind == "profile":
        segment = e.load(e.offset(Pointer("%ctx"), REGISTERS["cs"]))
        return e.widen(e.compare("eq", e.bits_and(segment, USER_SEGMENT), USER_SEGMENT))
    return Value("1")


def task_time(member: str) -> Lowering:
    def lower(e: Emitter, values: Values, call: Call) -> Result:
        return field(e, e.task(), f"task_struct.{member}")

    return lower


# --------------------------------------------------------------------------------------------- probe points


def site_text(choose: Callable[[SiteText], str]) -> Lowering:
    """A text that each site has. Known at compile time where the handler has one site."""

    def lower(e: Emitter, values: Values, call: Call) -> Result:
        texts = [
            cut_literal(choose(site).encode("utf-8", "surrogateescape"), e.string_size)
            for site in e.module.program.sites
        ]
        site = e.site()
        only = known(site)
        if only is not None:
            return e.literal(texts[only])
        return chosen_text(e, texts, site)

    return lower


def chosen_text(e: Emitter, texts: list[bytes], index: Value) -> StrVal:
    """Text number `index`, through a table of `u32 offset, u32 length` in read-only memory."""
    if len(set(texts)) == 1:
        return e.literal(texts[0])
    rows = b"".join(
        e.module.literal(text).to_bytes(4, "little") + len(text).to_bytes(4, "little") for text in texts
    )
    row = e.shift_left(limit(e, index, len(texts) - 1), 3)
    place = e.offset(e.read_only(e.module.table(rows)), row)
    start, length = e.load(place, bits=32), e.load(e.offset(place, 4), bits=32)
    return StrVal(e.offset(e.read_only(0), e.bits_and(start, TEXT_OFFSET_MASK)), e.mask(length), remote=True)


def place_number(e: Emitter, values: Values, call: Call) -> Result:
    program = e.module.program
    site = e.site()
    only = known(site)
    numbers = [0] * len(program.sites)
    for probe in program.kernel:
        point = program.source.probes[probe.index].point
        for i in range(len(point.sites) if isinstance(point, FunctionPoint) else 0):
            numbers[probe.first_site + i] = i
    if only is not None:
        return Value(str(numbers[only]))
    if not any(numbers):
        return Value("0")
    if e.kind == "handler":
        return e.sub(site, e.first_site)
    table = e.read_only(e.module.table(b"".join(n.to_bytes(4, "little") for n in numbers)))
    return e.load(e.offset(table, e.shift_left(limit(e, site, len(numbers) - 1), 2)), bits=32)


def is_return(e: Emitter, values: Values, call: Call) -> Result:
    return _returned(e, (FunctionPoint, SyscallPoint))


def function_returned(e: Emitter) -> Value:
    """1 behind the return of a function: the current instruction is its caller's."""
    return _returned(e, (FunctionPoint,))


def _returned(e: Emitter, kinds: tuple[type[FunctionPoint | SyscallPoint], ...]) -> Value:
    program = e.module.program
    flags = [0] * len(program.sites)
    for probe in program.kernel:
        point = program.source.probes[probe.index].point
        if isinstance(point, kinds) and point.is_return:
            count = len(point.sites) if isinstance(point, FunctionPoint) else 1
            flags[probe.first_site : probe.first_site + count] = [1] * count
    if len(set(flags)) == 1:
        return Value(str(flags[0]))
    site = e.site()
    only = known(site)
    if only is not None:
        return Value(str(flags[only]))
    table = e.read_only(e.module.table(bytes(flags)))
    return e.load(e.offset(table, limit(e, site, len(flags) - 1)), bits=8)


LOWERINGS: Mapping[tuple[str, int], Lowering] = {
    ("pid", 0): pid,
    ("tid", 0): tid,
    ("ppid", 0): ppid,
    ("uid", 0): credential("uid", 0),
    ("gid", 0): credential("gid", 32),
    ("euid", 0): credential("euid", None),
    ("egid", 0): credential("egid", None),
    ("execname", 0): execname,
    ("pexecname", 0): pexecname,
    ("cmdline_str", 0): cmdline,
    ("target", 0): target,
    ("target_set_pid", 1): target_set_pid,
    ("cpu", 0): cpu,
    ("user_mode", 0): user_mode,
    ("task_utime", 0): task_time("utime"),
    ("task_stime", 0): task_time("stime"),
    ("pp", 0): site_text(lambda site: site.point),
    ("ppfunc", 0): site_text(lambda site: site.function),
    ("probefunc", 0): site_text(lambda site: site.function),
    ("pn", 0): site_text(lambda site: site.probe),
    ("place_number", 0): place_number,
    ("is_return", 0): is_return,
}
