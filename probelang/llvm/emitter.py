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

from probelang.diag import InternalError
from probelang.llvm.builder import Argument, Operand, Pointer, Value, constant, typed
from probelang.llvm.control import Control
from probelang.llvm.frame import REGISTERS
from probelang.llvm.helper_ids import (
    ATTACH_COOKIE,
    PROBE_READ_KERNEL,
    PROBE_READ_USER,
    TASK,
    TASK_BTF,
    TASK_PT_REGS,
)
from probelang.llvm.module import FRAME_SIZE, KFUNCS


class Emitter(Control):
    """See the module."""

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

    def kfunc_value(self, name: str, *arguments: Argument) -> Value:
        """Calls a kfunc that returns a number."""
        self.module.kfuncs[name] = None
        return Value(self.assign(f"call i64 @{name}({', '.join(typed(a) for a in arguments)})"))

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
            cookie = self.bits_and(self.cookie(), 0xFFFFFFFF) if self.on_return else self.cookie()
            return self.add(cookie, self.first_site)
        self.saves["site"] = None
        return self.load(self.at(self.module.header.site))

    def cookie(self) -> Value:
        self.module.need("cookie")
        return self.helper(ATTACH_COOKIE, Pointer("%ctx"))

    def entry_address(self) -> Value:
        """On an instruction that returns: where the function is entered (see `ProbeSpec`)."""
        distance = self.shift_right(self.cookie(), 32, signed=True)
        here = self.load(Pointer(self.offset(Pointer("%ctx"), REGISTERS["rip"])))
        return self.sub(here, distance)

    def register(self, name: str) -> Value:
        """A register of the process at the hit, by its name in `REGISTERS` (rdi, rip, ...)."""
        if self.kind != "handler":
            self.saves[name] = None
            return self.load(self.at(self.module.header.registers + REGISTERS[name]))
        if self.entry_kind == "uprobe":
            if self.on_return and name == "rip":
                return self.returned_to()
            value = self.load(Pointer(self.offset(Pointer("%ctx"), REGISTERS[name])))
            return self.add(value, 8) if self.on_return and name == "rsp" else value
        self.module.need("task_pt_regs")
        task = self.helper_pointer(TASK_BTF)
        registers = self.helper_pointer(TASK_PT_REGS, task)
        return self.kernel_word(self.add(self.address(registers), REGISTERS[name]))

    def returned_to(self) -> Value:
        """On an instruction that returns: where to. It lies on top of the stack, which was used just now."""
        top = self.load(Pointer(self.offset(Pointer("%ctx"), REGISTERS["rsp"])))
        with self.key_memory(8) as word:
            self.store(word, 0)
            self.helper(PROBE_READ_USER, word, 8, top)
            return self.load(word)

    def context_word(self, index: int) -> Value:
        """Argument `index` of a raw tracepoint (sys_enter: 0 the registers' address, 1 the number of the call)."""
        if self.kind == "handler":
            return self.load(self.offset(Pointer("%ctx"), 8 * index))
        self.saves[f"context{index}"] = None
        return self.load(self.at(self.module.header.context + 8 * index))
