"""Writes the LLVM text of one function: instructions, blocks, and nothing about probes.

    b = Builder("probe_0", (("ctx", Pointer),), section="uprobe/probe_0")
    b.ret(b.add(b.load(b.offset(Pointer("%ctx"), 112)), 1))
    b.text()  ->  'define i64 @probe_0(ptr %ctx) section "uprobe/probe_0" { ... }'

Every integer is an i64 (`Value`); narrower ones exist only in memory. A `Bit` is an i1, a `Pointer` a ptr. Plain Python
ints may stand wherever a Value may. Text instead of llvmlite's own builder: half the time, volatile accesses, and
the order of everything is ours, so the same script gives the same bytes.
Source: the LLVM language reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias


class Value(str):
    """An i64 operand."""

    __slots__ = ()


class Bit(str):
    """An i1 operand."""

    __slots__ = ()


class Pointer(str):
    """A ptr operand."""

    __slots__ = ()


class Label(str):
    """A basic block."""

    __slots__ = ()


Operand: TypeAlias = Value | int
Argument: TypeAlias = Value | Pointer | int

AtomicOp = Literal["add", "or", "and", "xor", "xchg"]
Predicate = Literal["eq", "ne", "slt", "sle", "sgt", "sge", "ult", "ule", "ugt", "uge"]


def constant(operand: Operand) -> str:
    """An operand as LLVM writes it: ints wrap to signed 64 bits."""
    if isinstance(operand, int):
        return str((operand + (1 << 63)) % (1 << 64) - (1 << 63))
    return operand


def typed(argument: Argument) -> str:
    """`i64 5`, `ptr %x`."""
    return f"ptr {argument}" if isinstance(argument, Pointer) else f"i64 {constant(argument)}"


class Builder:
    """One function. `parameters`: names and classes (Value or Pointer). Blocks begin with `start`; whatever is written
    behind a terminator goes to a block of its own that nothing reaches."""

    def __init__(
        self,
        symbol: str,
        parameters: Sequence[tuple[str, type[Value | Pointer]]],
        section: str = "",
        internal: bool = False,
    ) -> None:
        self.symbol = symbol
        self.parameters = tuple(parameters)
        self.section = section
        self.internal = internal
        self.entry: list[str] = []  # allocas and what must run before everything else
        self.lines: list[str] = []
        self.terminated = False
        self.names = 0
        self.labels = 0
        self.used: set[Label] = set()
        self.current = Label("body")

    # ------------------------------------------------------------------------------------------- blocks

    def text(self) -> str:
        """The whole definition."""
        if not self.terminated:
            self.ret(0)
        parameters = ", ".join(
            f"{'ptr' if kind is Pointer else 'i64'} %{name}" for name, kind in self.parameters
        )
        linkage = "internal" if self.internal else "external"
        section = f' section "{self.section}"' if self.section else ""
        head = f"define {linkage} i64 @{self.symbol}({parameters}) #0{section} {{"
        return "\n".join([head, "entry:", *self.entry, "  br label %body", "body:", *self.lines, "}", ""])

    def fresh(self, hint: str = "b") -> Label:
        """A label not used yet; `start` places it."""
        self.labels += 1
        return Label(f"{hint}{self.labels}")

    def start(self, label: Label) -> None:
        """The following instructions belong to block `label`; falls through from the block before."""
        if not self.terminated:
            self.branch(label)
        self.lines.append(f"{label}:")
        self.terminated = False
        self.current = label

    def put(self, line: str) -> None:
        if self.terminated:
            self.start(self.fresh("dead"))
        self.lines.append("  " + line)

    def branch(self, label: Label) -> None:
        self.put(f"br label %{label}")
        self.used.add(label)
        self.terminated = True

    def branch_if(self, condition: Bit, yes: Label, no: Label) -> None:
        self.put(f"br i1 {condition}, label %{yes}, label %{no}")
        self.used |= {yes, no}
        self.terminated = True

    def ret(self, value: Operand) -> None:
        self.put(f"ret i64 {constant(value)}")
        self.terminated = True

    def name(self) -> str:
        self.names += 1
        return f"%v{self.names}"

    def assign(self, instruction: str) -> str:
        name = self.name()
        self.put(f"{name} = {instruction}")
        return name

    # -------------------------------------------------------------------------------------- arithmetic

    def arithmetic(self, op: str, left: Operand, right: Operand) -> Value:
        """`op`: an LLVM instruction on two i64 (add, sub, mul, and, or, xor, shl, lshr, ashr, udiv, urem, sdiv, srem)."""
        return Value(self.assign(f"{op} i64 {constant(left)}, {constant(right)}"))

    def add(self, left: Operand, right: Operand) -> Value:
        return self.arithmetic("add", left, right)

    def sub(self, left: Operand, right: Operand) -> Value:
        return self.arithmetic("sub", left, right)

    def mul(self, left: Operand, right: Operand) -> Value:
        return self.arithmetic("mul", left, right)

    def bits_and(self, left: Operand, right: Operand) -> Value:
        return self.arithmetic("and", left, right)

    def bits_or(self, left: Operand, right: Operand) -> Value:
        return self.arithmetic("or", left, right)

    def bits_xor(self, left: Operand, right: Operand) -> Value:
        return self.arithmetic("xor", left, right)

    def shift_left(self, left: Operand, right: Operand) -> Value:
        return self.arithmetic("shl", left, right)

    def shift_right(self, left: Operand, right: Operand, signed: bool = False) -> Value:
        return self.arithmetic("ashr" if signed else "lshr", left, right)

    def compare(self, predicate: Predicate, left: Operand, right: Operand) -> Bit:
        return Bit(self.assign(f"icmp {predicate} i64 {constant(left)}, {constant(right)}"))

    def truth(self, value: Operand) -> Bit:
        return self.compare("ne", value, 0)

    def widen(self, bit: Bit) -> Value:
        """0 or 1."""
        return Value(self.assign(f"zext i1 {bit} to i64"))

    def negate(self, bit: Bit) -> Bit:
        return Bit(self.assign(f"xor i1 {bit}, true"))

    def both(self, left: Bit, right: Bit) -> Bit:
        return Bit(self.assign(f"and i1 {left}, {right}"))

    def either(self, left: Bit, right: Bit) -> Bit:
        return Bit(self.assign(f"or i1 {left}, {right}"))

    def select(self, condition: Bit, yes: Operand, no: Operand) -> Value:
        """BPF has no conditional move: this becomes a branch. Both sides are already computed."""
        return Value(self.assign(f"select i1 {condition}, i64 {constant(yes)}, i64 {constant(no)}"))

    # ------------------------------------------------------------------------------------------- memory

    def offset(self, pointer: Pointer, offset_bytes: Operand) -> Pointer:
        if offset_bytes == 0:
            return pointer
        return Pointer(self.assign(f"getelementptr i8, ptr {pointer}, i64 {constant(offset_bytes)}"))

    def address(self, pointer: Pointer) -> Value:
        return Value(self.assign(f"ptrtoint ptr {pointer} to i64"))

    def is_null(self, pointer: Pointer) -> Bit:
        return Bit(self.assign(f"icmp eq ptr {pointer}, null"))

    def load(self, pointer: Pointer, bits: int = 64, signed: bool = False, volatile: bool = True) -> Value:
        """An aligned load of 8, 16, 32 or 64 bits, extended to an i64."""
        word = "volatile " if volatile else ""
        loaded = self.assign(f"load {word}i{bits}, ptr {pointer}, align {bits // 8}")
        if bits == 64:
            return Value(loaded)
        return Value(self.assign(f"{'sext' if signed else 'zext'} i{bits} {loaded} to i64"))

    def store(self, pointer: Pointer, value: Operand, bits: int = 64, volatile: bool = True) -> None:
        """An aligned store of the low 8, 16, 32 or 64 bits."""
        word = "volatile " if volatile else ""
        if bits == 64:
            text = constant(value)
        elif isinstance(value, int):
            text = str(value & ((1 << bits) - 1))
        else:
            text = self.assign(f"trunc i64 {value} to i{bits}")
        self.put(f"store {word}i{bits} {text}, ptr {pointer}, align {bits // 8}")

    def alloca(self, size_bytes: int) -> Pointer:
        """Memory on the BPF stack (512 bytes for a whole chain of calls), 8-byte aligned; contents undefined."""
        name = self.name()
        self.entry.append(f"  {name} = alloca [{size_bytes} x i8], align 8")
        return Pointer(name)

    def alloca_word(self) -> Pointer:
        """One i64 that mem2reg can turn into a register, starting as 0."""
        name = self.name()
        self.entry.append(f"  {name} = alloca i64, align 8")
        self.entry.append(f"  store i64 0, ptr {name}, align 8")
        return Pointer(name)

    def atomic(self, op: AtomicOp, pointer: Pointer, value: Operand) -> None:
        """`lock op`, result not wanted: the cheap form, one instruction without fetch. (LLVM tells them apart by the ordering,
        not by the use: the result of a monotonic one would be wrong.)"""
        order = "seq_cst" if op == "xchg" else "monotonic"
        self.assign(f"atomicrmw {op} ptr {pointer}, i64 {constant(value)} {order}, align 8")

    def atomic_fetch(self, op: AtomicOp, pointer: Pointer, value: Operand) -> Value:
        """The old value."""
        return Value(self.assign(f"atomicrmw {op} ptr {pointer}, i64 {constant(value)} seq_cst, align 8"))

    def compare_exchange(self, pointer: Pointer, expected: Operand, new: Operand) -> Value:
        """What was there; equal to `expected` when `new` was stored."""
        pair = self.assign(
            f"cmpxchg ptr {pointer}, i64 {constant(expected)}, i64 {constant(new)} seq_cst seq_cst, align 8"
        )
        return Value(self.assign(f"extractvalue {{ i64, i1 }} {pair}, 0"))

    # -------------------------------------------------------------------------------------------- calls

    def helper(self, number: int, *arguments: Argument) -> Value:
        """Calls a BPF helper by its number (include/uapi/linux/bpf.h)."""
        text = ", ".join(typed(a) for a in arguments)
        return Value(self.assign(f"call i64 inttoptr (i64 {number} to ptr)({text})"))

    def helper_pointer(self, number: int, *arguments: Argument) -> Pointer:
        """The same for a helper that returns a pointer (map_lookup_elem, ringbuf_reserve, ...)."""
        text = ", ".join(typed(a) for a in arguments)
        return Pointer(self.assign(f"call ptr inttoptr (i64 {number} to ptr)({text})"))
