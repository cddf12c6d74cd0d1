"""Control of a function being written: conditions, loops that the verifier follows, soft errors.

    with e.loop(10) as loop:
        e.stop_if(loop, e.compare("eq", loop.index, 5))

Loops are open-coded iterators (kernel/bpf/bpf_iter.c, bpf_iter_num) or counted; an error inside one destroys its iterator first.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

from probelang.diag import InternalError
from probelang.llvm.builder import Bit, Label, Operand, Pointer, Value
from probelang.llvm.helper_ids import MAX_TURNS
from probelang.llvm.memory import Memory
from probelang.llvm.values import Buffer, Cell, Jump, LoopState, StrVal


class Control(Memory):
    """Adds conditions, loops and soft errors."""

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
