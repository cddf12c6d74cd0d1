"""Memory of a function being written: the frame, cells, and string buffers in it.

    with e.temporaries():
        buffer = e.buffer()                               # a string buffer in the frame
        e.copy(e.data(buffer), text.length, text.data)
        e.set_length(buffer, text.length)
        return e.text_of(buffer)                          # StrVal

Memory in the frame is loaded and stored volatile, so that the verifier (kernel/bpf/verifier.c) follows nothing through it.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager

from probelang.artifact.code import Expr
from probelang.diag import InternalError
from probelang.llvm.builder import Builder, Label, Operand, Pointer, Value
from probelang.llvm.frame import TEXT_HEADER
from probelang.llvm.helper_ids import FAR, PROBE_READ_KERNEL, STACK_LIMIT
from probelang.llvm.module import Module
from probelang.llvm.values import Buffer, Cell, Jump, Jumps, NeedsFrame, StrVal


class Memory(Builder):
    """The state of one function being written, and its memory. `kind`: handler, function, callback or routine. `frame`: its
    pointer, None in a simple handler."""

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
        self.entry_kind = ""  # of handlers: uprobe, profile, exec, fork, exit, syscall, alive
        self.first_site = 0
        self.has_cookie = False
        self.unhooked: Pointer | None = None  # a session's result, 1 until the return is to be hooked
        self.on_return = False  # the hit is on an instruction that returns, and shall look as one behind it
        self.subject: Pointer | None = None  # a handler's subject task when it is not the current one
        self.sleepable = False
        self.at_return = False  # of a handler: the program counter is where the function returns to
        self.end: Jump | None = None  # of a handler, as `next` leads to it; None in other kinds of functions
        # of which probe or function of the script this is, for `Module.decision`
        self.part: tuple[str, int] = ("", 0)
        # return addresses: value, whether it was read
        self.read_once: dict[tuple[Expr, ...], tuple[Pointer, Pointer]] = {}
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
            return self.reserve_for_routines(size_bytes, alignment)
        offset = (self.top + alignment - 1) // alignment * alignment
        self.top = offset + size_bytes
        self.high = max(self.high, self.top)
        return offset

    def reserve_for_routines(self, size_bytes: int, alignment: int = 8) -> int:
        """Likewise, in the part of the frame that is routines' own: nobody else's, and valid as long as the frame."""
        self.frame_pointer()
        offset = (self.module.routine_top + alignment - 1) // alignment * alignment
        self.module.routine_top = offset + size_bytes
        if self.module.routine_top > self.module.header.routines_end:
            raise InternalError("the routines' memory in the frame is used up")
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
