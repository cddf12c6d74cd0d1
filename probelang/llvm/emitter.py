"""One BPF function being written: scratch memory, strings, loops, soft errors, and what the hit gives to read.

    with e.temporaries():
        buffer = e.buffer()                               # a string buffer in the frame
        e.copy(e.data(buffer), text.length, text.data)
        e.set_length(buffer, text.length)
        return e.text_of(buffer)                          # StrVal

Four kinds of functions are written with it: handlers (have `ctx`; have a frame unless simple), functions of the script,
bodies of foreach (callbacks), and routines (shared code over frame memory). They differ only in where a soft error,
`return` or `next` leads, and in whether registers come from `ctx` or from where the handler has saved them.

Rules for everything that is written here:
- memory in the frame is loaded and stored volatile, never cached over blocks: use `cell()` for what changes;
- an index into memory is masked (`mask`) or comes from a constant; a length is masked before a helper sees it;
- no value that matters stays in a register over a loop or a call of a routine: put it into a cell;
- everything that can fail calls `fail`, which ends the current block.
Sources: kernel/bpf/verifier.c; include/uapi/linux/bpf.h for the numbers of helpers.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from probelang.artifact.code import Expr
from probelang.diag import InternalError
from probelang.llvm.builder import Argument, Bit, Builder, Label, Operand, Pointer, Value, constant, typed
from probelang.llvm.frame import REGISTERS, TEXT_HEADER
from probelang.llvm.module import FRAME_SIZE, KFUNCS, Module

MAP_LOOKUP, MAP_UPDATE, MAP_DELETE = 1, 2, 3
PROBE_READ_USER, PROBE_READ_KERNEL = 112, 113
KTIME, CPU, PID_TGID, UID_GID, COMM, TASK = 5, 8, 14, 15, 16, 35
RINGBUF_OUTPUT, RINGBUF_RESERVE, RINGBUF_SUBMIT = 130, 131, 132
COPY_FROM_USER, TASK_BTF, FOR_EACH, ATTACH_COOKIE, TASK_PT_REGS = 148, 158, 164, 174, 175
STACK_LIMIT = 128  # bytes of a simple handler for keys
FAR = 32_000  # bytes; the offset of a load is 16 bits
MAX_TURNS = 8 * 1024 * 1024  # BPF_MAX_LOOPS


class NeedsFrame(Exception):
    """A handler thought to be simple asks for scratch memory: it is written again, with a frame."""


@dataclass(frozen=True, slots=True)
class StrVal:
    """A string: where its bytes are (no NUL behind them), and how many; `length` is below the capacity in every case that
    the verifier can think of. `literal`: known at compile time. The memory may be a variable's own: copy before
    anything can change it. `offset`: of the frame buffer whose string this is, for routines. `padded`: so many
    bytes (a multiple of 8) may be read from `data`, and behind the string they are zero: compare or copy them whole.
    `remote`: the verifier does not know that the memory is ours: only helpers that copy kernel memory may read it."""

    data: Pointer
    length: Value
    literal: bytes | None = None
    offset: int | None = None
    padded: int = 0
    remote: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """A u64 in memory: in the frame (`offset`), or on the stack (`pointer`) of a simple handler."""

    offset: int
    pointer: Pointer | None = None


@dataclass(frozen=True, slots=True)
class Buffer:
    """A string buffer in the frame: `u32 length, u32 zero, char data[2 * capacity]`."""

    offset: int


@dataclass(frozen=True, slots=True)
class Jump:
    """Where `return`, `next`, `break` or `continue` leads: a label, and how many loops are open there."""

    label: Label
    iterators: int


@dataclass(frozen=True, slots=True)
class Jumps:
    """None where the statement cannot stand."""

    leave: Jump  # return in a function, next in a handler
    next: Jump | None = None  # next in a function
    break_: Jump | None = None
    continue_: Jump | None = None


@dataclass(slots=True)
class LoopState:
    """An open loop; `index` counts its turns from 0."""

    index: Value
    head: Label
    done: Label


class Emitter(Builder):
    """See the module. `kind`: handler, function, callback or routine. `frame`: its pointer, None in a simple handler."""

    def __init__(
        self,
        module: Module,
        kind: str,
        symbol: str,
        parameters: Sequence[tuple[str, type[Value | Pointer]]],
        section: str = "",
        internal: bool = False,
        top: int = 0,
    ) -> None:
        super().__init__(symbol, parameters, section, internal)
        self.module = module
        self.kind = kind
        self.frame: Pointer | None = None
        self.top = top  # where the next temporary in the frame goes
        self.high = top
        self.error_labels: list[Label] = []
        self.error_cells: tuple[Cell, Cell, Cell] | None = None  # of a simple handler
        self.iterators: list[Pointer | None] = []  # of open loops; None: a counted one
        self.loop_depth = 0
        self.entry_kind = ""  # of handlers: uprobe, profile, exec, fork, exit, syscall, alive
        self.first_site = 0
        self.has_cookie = False
        self.subject: Pointer | None = None  # a handler's subject task when it is not the current one
        self.sleepable = False
        self.place = -1  # of the expression that is being written
        self.locals: list[Cell | Buffer] = []
        self.result: Cell | Buffer | None = None
        self.jumps = Jumps(Jump(Label("leave"), 0))
        self.calls: dict[int, int] = {}  # function -> clone, for calls in this code
        self.overrides: list[tuple[Expr, Cell | Buffer]] = []  # targets that have a value now, see globals.py
        self.keys: list[tuple[int, Pointer]] = []  # free places for keys on the stack
        self.words: list[Pointer] = []  # free words on the stack
        self.stack_bytes = 0
        # what called code reads from the frame: "task", "site", registers, "context0"
        self.saves: dict[str, None] = {}

    # ----------------------------------------------------------------------------------- frame memory

    @property
    def capacity(self) -> int:
        """Power of two that indexes into strings are masked to; at least `string_size`."""
        return self.module.capacity

    @property
    def string_size(self) -> int:
        """Bytes of a string with its NUL: a value has at most one less."""
        return self.module.options.limits.string_size

    @property
    def simple(self) -> bool:
        """No scratch memory: longs and literals only."""
        return self.frame is None

    def frame_pointer(self) -> Pointer:
        if self.frame is None:
            raise NeedsFrame
        return self.frame

    def at(self, offset: int) -> Pointer:
        """Pointer to a fixed place of the frame. An instruction reaches 32 KiB; LLVM would compute what lies further once and
        keep it, on a stack that is 512 bytes small, so every use of such a place computes it anew."""
        frame = self.frame_pointer()
        if offset > FAR:
            frame = Pointer(self.assign(f'call ptr asm sideeffect "", "=r,0"(ptr {frame})'))
        return self.offset(frame, offset)

    def reserve(self, size_bytes: int, alignment: int = 8) -> int:
        """Offset of scratch memory in the frame, valid until the enclosing `temporaries` ends. Contents undefined."""
        self.frame_pointer()
        if self.kind == "routine":
            offset = (self.module.routine_top + alignment - 1) // alignment * alignment
            self.module.routine_top = offset + size_bytes
            if self.module.routine_top > self.module.header.routines_end:
                raise InternalError("the routines' memory in the frame is used up")
            return offset
        offset = (self.top + alignment - 1) // alignment * alignment
        self.top = offset + size_bytes
        self.high = max(self.high, self.top)
        return offset

    @contextmanager
    def temporaries(self) -> Generator[None, None, None]:
        """Scratch memory reserved inside is free again behind."""
        top = self.top
        yield
        self.top = top

    def phi(self, *incoming: tuple[Pointer, Label]) -> Pointer:
        """One of several pointers, by the block that control comes from; first in its block."""
        pairs = ", ".join(f"[ {pointer}, %{label} ]" for pointer, label in incoming)
        return Pointer(self.assign(f"phi ptr {pairs}"))

    @contextmanager
    def key_memory(self, size_bytes: int) -> Generator[Pointer, None, None]:
        """Memory for a map key (or any small block): in the frame; on the stack of a simple handler."""
        size = (size_bytes + 7) // 8 * 8
        if not self.simple:
            with self.temporaries():
                yield self.at(self.reserve(size))
            return
        fitting = [p for p in self.keys if p[0] == size]
        place = fitting[0] if fitting else None
        if place is None:
            self.stack_bytes += size
            if self.stack_bytes > STACK_LIMIT:
                raise NeedsFrame
            place = (size, self.alloca(size))
        else:
            self.keys.remove(place)
        yield place[1]
        self.keys.append(place)

    @contextmanager
    def stack_word(self) -> Generator[Pointer, None, None]:
        """8 bytes on the stack, of handlers with a frame too, for what the kernel takes only from there."""
        word = self.words.pop() if self.words else self.alloca(8)
        yield word
        self.words.append(word)

    def cell(self, initial: Operand | None = None) -> Cell:
        """A word that survives loops and calls: frame memory, or a register-to-be in a simple handler."""
        cell = Cell(0, self.alloca_word()) if self.simple else Cell(self.reserve(8))
        if initial is not None:
            self.set(cell, initial)
        return cell

    def cell_pointer(self, cell: Cell) -> Pointer:
        return self.at(cell.offset) if cell.pointer is None else cell.pointer

    def get(self, cell: Cell) -> Value:
        return self.load(self.cell_pointer(cell), volatile=cell.pointer is None)

    def set(self, cell: Cell, value: Operand) -> None:
        self.store(self.cell_pointer(cell), value, volatile=cell.pointer is None)

    def mask(self, value: Operand) -> Value:
        """`value` modulo the capacity: what makes an index or length safe for the verifier."""
        return self.bits_and(value, self.capacity - 1)

    # --------------------------------------------------------------------------------------- strings

    def buffer(self) -> Buffer:
        """A new string buffer; set its length after filling it."""
        return Buffer(self.reserve(self.module.header.buffer_size))

    def data(self, buffer: Buffer, index: Operand = 0) -> Pointer:
        """Pointer to byte `index` (masked by the caller) of the data."""
        return self.offset(self.at(buffer.offset + TEXT_HEADER), index)

    def set_length(self, buffer: Buffer, length: Operand) -> None:
        self.store(self.at(buffer.offset), length)  # the zero word behind it too

    def length(self, buffer: Buffer) -> Value:
        return self.mask(self.load(self.at(buffer.offset), bits=32))

    def text_of(self, buffer: Buffer) -> StrVal:
        """The string in `buffer`."""
        return StrVal(self.data(buffer), self.length(buffer), offset=buffer.offset)

    def literal(self, data: bytes) -> StrVal:
        """A string in read-only memory."""
        return StrVal(self.read_only(self.module.literal(data)), Value(str(len(data))), data)

    def read_only(self, offset: int) -> Pointer:
        """Byte `offset` of `@texts` (see Module.literal and Module.table)."""
        return Pointer(f"getelementptr (i8, ptr @texts, i64 {offset})")

    def zeros(self, size_bytes: int) -> Pointer:
        """That many zero bytes in read-only memory."""
        self.module.zeros = max(self.module.zeros, size_bytes)
        return Pointer("@zeros")

    def copy(self, destination: Pointer, length: Operand, source: Pointer | Value) -> None:
        """Copies kernel memory. The destination must hold the largest `length` that the verifier can think of."""
        self.helper(PROBE_READ_KERNEL, destination, length, source)

    def copy_to_buffer(self, buffer: Buffer, text: StrVal) -> None:
        """`buffer = text` (within limits already)."""
        length = self.mask(text.length)
        self.copy(self.data(buffer), length, text.data)
        self.set_length(buffer, length)

    def in_frame(self, text: StrVal) -> StrVal:
        """The string as a private copy in a new frame buffer: byte-wise routines want it there."""
        buffer = self.buffer()
        self.copy_to_buffer(buffer, text)
        return self.text_of(buffer)

    # -------------------------------------------------------------------------------- blocks and loops

    @contextmanager
    def when(self, condition: Bit) -> Generator[None, None, None]:
        """The block runs if `condition` holds."""
        yes, behind = self.fresh("then"), self.fresh("endif")
        self.branch_if(condition, yes, behind)
        self.start(yes)
        yield
        self.start(behind)

    def choose(self, condition: Bit, yes: Callable[[], None], no: Callable[[], None]) -> None:
        """if and else; results go through cells."""
        then, otherwise, behind = self.fresh("then"), self.fresh("else"), self.fresh("endif")
        self.branch_if(condition, then, otherwise)
        self.start(then)
        yes()
        if not self.terminated:
            self.branch(behind)
        self.start(otherwise)
        no()
        self.start(behind)

    @contextmanager
    def loop(
        self, turns: Operand, exhausted: Callable[[], None] | None = None, plain_turns: int = 0
    ) -> Generator[LoopState, None, None]:
        """Runs the block up to `turns` times (a bpf_iter_num). Leave with `stop`/`stop_if`; `exhausted` writes what happens when
        the turns are used up (default: as stop). A soft error inside leaves the loop properly; nothing else may jump out.
        `plain_turns`: on a kernel without iterators a counted loop of so many turns will do, each of which the verifier walks
        through; without that the loop is a mistake of the user's there."""
        counter: Pointer | None = None
        iterator: Pointer | None = None
        if plain_turns and self.lacks("iterators"):
            counter = self.alloca_word()
            self.store(counter, 0, volatile=False)
            self.iterators.append(None)
        else:
            iterator = self.open_iterator(turns)
        state = LoopState(Value(""), self.fresh("head"), self.fresh("done"))
        over, behind = self.fresh("over"), self.fresh("behind")
        self.start(state.head)
        if counter is not None:
            state.index = self.count_turn(counter, plain_turns, over)
            if not isinstance(turns, int):
                self.stop_if(state, self.compare("uge", state.index, turns))
        elif iterator is not None:
            state.index = self.next_turn(iterator, over)
        pad = self.push_error_pad()
        yield state
        if not self.terminated:
            self.branch(state.head)
        self.pop_error_pad(pad, lambda: self.destroy(iterator))
        self.iterators.pop()
        self.start_aside(over)
        self.destroy(iterator)
        if exhausted is not None:
            exhausted()
        if not self.terminated:
            self.branch(behind)
        if state.done in self.used:
            self.start_aside(state.done)
            self.destroy(iterator)
            self.branch(behind)
        self.start(behind)

    def next_turn(self, iterator: Pointer, over: Label) -> Value:
        """The turn's number, from the iterator; the verifier knows nothing of it."""
        body = self.fresh("turn")
        word = Pointer(self.assign(f"call ptr @bpf_iter_num_next(ptr {iterator})"))
        self.branch_if(self.is_null(word), over, body)
        self.start(body)
        return self.load(word, bits=32)

    def count_turn(self, counter: Pointer, turns: int, over: Label) -> Value:
        body = self.fresh("turn")
        number = self.load(counter, volatile=False)
        self.branch_if(self.compare("uge", number, turns), over, body)
        self.start(body)
        self.store(counter, self.add(number, 1), volatile=False)
        return number

    def lacks(self, feature: str) -> bool:
        """Whether this kernel is known not to have it (nothing is known when compiling for any kernel)."""
        features = self.module.options.features
        return bool(features) and feature not in features

    def destroy(self, iterator: Pointer | None) -> None:
        if iterator is not None:
            self.put(f"call void @bpf_iter_num_destroy(ptr {iterator})")

    def stop(self, loop: LoopState) -> None:
        """Leaves the innermost loop."""
        self.branch(loop.done)

    def stop_if(self, loop: LoopState, condition: Bit) -> None:
        go_on = self.fresh("go")
        self.branch_if(condition, loop.done, go_on)
        self.start(go_on)

    def open_iterator(self, turns: Operand) -> Pointer:
        self.module.need("iterators")
        for name in ("bpf_iter_num_new", "bpf_iter_num_next", "bpf_iter_num_destroy"):
            self.module.kfuncs[name] = None
        iterator = self.iterator_slot(len(self.iterators))
        count = (
            str(min(turns, MAX_TURNS)) if isinstance(turns, int) else self.assign(f"trunc i64 {turns} to i32")
        )
        self.put(f"call i32 @bpf_iter_num_new(ptr {iterator}, i32 0, i32 {count})")
        self.iterators.append(iterator)
        return iterator

    def iterator_slot(self, depth: int) -> Pointer:
        """Loops at the same depth share their place on the stack."""
        name = f"%iterator{depth}"
        line = f"  {name} = alloca [8 x i8], align 8"
        if line not in self.entry:
            self.entry.append(line)
        return Pointer(name)

    def close_iterators(self, down_to: int) -> None:
        """Writes the destruction of the loops that a jump leaves, without closing them for what follows."""
        for iterator in reversed(self.iterators[down_to:]):
            self.destroy(iterator)

    # ---------------------------------------------------------------------------------------- errors

    def push_error_pad(self) -> Label:
        label = self.fresh("pad")
        self.error_labels.append(label)
        return label

    def pop_error_pad(self, label: Label, clean_up: Callable[[], None]) -> None:
        """Where errors inside a loop or a read section go: it is left properly, then on to the outer pad."""
        self.error_labels.pop()
        if label not in self.used:
            return
        self.start_aside(label)
        clean_up()
        self.branch(self.error_labels[-1])

    def start_aside(self, label: Label) -> None:
        """Begins a block that nothing falls into."""
        if not self.terminated:
            raise InternalError("an aside block starts where control falls through")
        self.lines.append(f"{label}:")
        self.terminated = False
        self.current = label

    def fail(self, message: str | StrVal, at: int, argument: Operand | None = None) -> None:
        """Raises a soft error at place `at` and ends the block. `message`: a fixed text (48 bytes at most), with `argument` written
        behind it as 0x...; or a string made at run time (frame handlers only)."""
        place, code, number = self.error_state()
        self.set(place, at + 1)
        if isinstance(message, str):
            self.set(code, self.module.message(message, argument is not None))
            self.set(number, 0 if argument is None else argument)
        else:
            self.copy_to_buffer(Buffer(self.module.header.error_text), message)
            self.set(code, 0)
        self.branch(self.error_labels[-1])

    def jump(self, target: Jump) -> None:
        """Leaves all loops opened since the target's place and goes there."""
        self.close_iterators(target.iterators)
        self.branch(target.label)

    def fail_if(self, condition: Bit, message: str, at: int, argument: Operand | None = None) -> None:
        with self.when(condition):
            self.fail(message, at, argument)

    def error_state(self) -> tuple[Cell, Cell, Cell]:
        """Place (plus 1), message number and argument of the error that is on its way."""
        if self.frame is None:
            if self.error_cells is None:
                self.error_cells = (self.cell(), self.cell(), self.cell())
            return self.error_cells
        header = self.module.header
        return Cell(header.error_at), Cell(header.error_code), Cell(header.error_argument)

    # ---------------------------------------------------------------------------------------- module

    def constant(self, name: str) -> Value:
        """A number that the runtime fills in before loading, `btf:task_struct.tgid` (see `manifest.Constant`)."""
        return self.load(Pointer(f"getelementptr (i8, ptr @constants, i64 {self.module.constant(name)})"))

    def map(self, name: str) -> Pointer:
        return Pointer(f"@{name}")

    def count(self, word: str) -> None:
        """Adds 1 to a word of the runtime (`lost`, `cut`, ...)."""
        self.atomic("add", self.module.word(word), 1)

    def count_cut(self) -> None:
        """A string was cut short here."""
        self.count("cut")
        self.store(self.module.word("cut_at"), self.place + 1)

    @contextmanager
    def placed(self, at: int) -> Generator[None, None, None]:
        """What is written inside stands at place `at`."""
        outer, self.place = self.place, at
        yield
        self.place = outer

    def kfunc(self, name: str, *arguments: Argument) -> None:
        """Calls a kfunc without result (bpf_rcu_read_lock, ...)."""
        self.module.kfuncs[name] = None
        if KFUNCS[name][0] != "void":
            raise InternalError(f"{name} has a result")
        self.put(f"call void @{name}({', '.join(typed(a) for a in arguments)})")

    def routine(
        self,
        name: str,
        parameters: Sequence[str],
        build: Callable[[Emitter, list[Value]], None],
        *arguments: Operand,
    ) -> Value:
        """Calls the shared BPF global function `name(frame, parameters...)` -> u64, which `build` writes when it is first used. The
        verifier checks it once, for any arguments: offsets into the frame go through `checked`. It may use cells, buffers
        and loops of its own (they are not re-entrant), and call other routines, but not fail: it returns a code."""
        self.define_routine(name, parameters, build)
        text = ", ".join([f"ptr {self.frame_pointer()}", *(f"i64 {constant(a)}" for a in arguments)])
        return Value(self.assign(f"call i64 @{name}({text})"))

    def define_routine(
        self, name: str, parameters: Sequence[str], build: Callable[[Emitter, list[Value]], None]
    ) -> None:
        if name in self.module.routines:
            return
        self.module.routines[name] = len(self.module.routines)
        signature: list[tuple[str, type[Value | Pointer]]] = [("frame", Pointer)]
        signature += [(p, Value) for p in parameters]
        e = Emitter(self.module, "routine", name, signature)
        e.enter_frame_function()
        build(e, [Value(f"%{p}") for p in parameters])
        self.module.add(e, "global", (("frame", "frame"), *((p, "long") for p in parameters)))

    def enter_frame_function(self) -> None:
        """Null check of parameter `frame` of a global function."""
        self.frame = Pointer("%frame")
        present = self.fresh("present")
        absent = self.fresh("absent")
        self.branch_if(self.is_null(self.frame), absent, present)
        self.start(absent)
        self.ret(0)
        self.start(present)

    def checked(self, offset: Value, size_bytes: int) -> Pointer:
        """In a routine: the frame at a place given as an argument; returns 0 from the routine if `size_bytes` do not fit."""
        outside, inside = self.fresh("outside"), self.fresh("inside")
        offset = self.opaque(offset)
        limit = self.sub(FRAME_SIZE, size_bytes)
        self.branch_if(self.compare("ugt", offset, limit), outside, inside)
        self.start(outside)
        self.close_iterators(0)
        self.ret(0)
        self.start(inside)
        return self.offset(self.frame_pointer(), offset)

    def checked_buffer(self, offset: Value) -> Pointer:
        """`checked` for a string buffer; its data is `TEXT_HEADER` bytes further."""
        return self.checked(offset, self.module.header.buffer_size)

    # --------------------------------------------------------------------------------------- the hit

    def subject_is_current(self) -> bool:
        """Whether pid(), execname() and so on are those of the current task for sure: then helpers do."""
        if self.kind == "handler":
            return self.subject is None
        return not any(e.kind in ("fork", "alive") for p in self.module.program.kernel for e in p.entries)

    def task(self) -> Value:
        """Address of the task_struct that the hit is about; read it with `constant("btf:task_struct...")` and `copy`."""
        if self.kind == "handler":
            return self.helper(TASK) if self.subject is None else self.address(self.subject)
        if self.subject_is_current():
            return self.helper(TASK)
        self.saves["task"] = None
        return self.load(self.at(self.module.header.task))

    def kernel_word(self, address: Operand, bits: int = 64) -> Value:
        """Reads a u64 (or less) at a kernel address; 0 when it cannot be read."""
        with self.key_memory(8) as word:
            self.store(word, 0)
            self.helper(PROBE_READ_KERNEL, word, bits // 8, address)
            return self.load(word)

    def hold_rcu(self) -> None:
        """An RCU read section: what the outer map gives stays valid in a sleepable program. The kernel runs the others in
        one as a whole, on every version (`bpf_prog_run_array_uprobe`, `__bpf_trace_run`, `bpf_iter_run_prog`)."""
        if self.module.sleeps:
            self.module.need("rcu_kfuncs")
            self.kfunc("bpf_rcu_read_lock")

    def release_rcu(self) -> None:
        if self.module.sleeps:
            self.kfunc("bpf_rcu_read_unlock")

    def opaque(self, value: Value) -> Value:
        """The same value, about which LLVM knows nothing any more: what is checked is then what is used."""
        return Value(self.assign(f'call i64 asm sideeffect "", "=r,0"(i64 {value})'))

    def site(self) -> Value:
        """The number of the site that was hit, in `program.sites`."""
        if self.kind == "handler":
            if not self.has_cookie:
                return Value(str(self.first_site))
            self.module.need("cookie")
            return self.add(self.helper(ATTACH_COOKIE, Pointer("%ctx")), self.first_site)
        self.saves["site"] = None
        return self.load(self.at(self.module.header.site))

    def register(self, name: str) -> Value:
        """A register of the process at the hit, by its name in `REGISTERS` (rdi, rip, ...)."""
        if self.kind != "handler":
            self.saves[name] = None
            return self.load(self.at(self.module.header.registers + REGISTERS[name]))
        if self.entry_kind == "uprobe":
            return self.load(Pointer(self.offset(Pointer("%ctx"), REGISTERS[name])))
        self.module.need("task_pt_regs")
        task = self.helper_pointer(TASK_BTF)
        registers = self.helper_pointer(TASK_PT_REGS, task)
        return self.kernel_word(self.add(self.address(registers), REGISTERS[name]))

    def context_word(self, index: int) -> Value:
        """Argument `index` of a raw tracepoint (sys_enter: 0 the registers' address, 1 the number of the call)."""
        if self.kind == "handler":
            return self.load(self.offset(Pointer("%ctx"), 8 * index))
        self.saves[f"context{index}"] = None
        return self.load(self.at(self.module.header.context + 8 * index))
