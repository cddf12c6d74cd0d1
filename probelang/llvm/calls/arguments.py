"""Registers, arguments of functions and of system calls.

    int_arg(2)  ->  the low half of rsi, sign extended       long_arg(8)  ->  the word at rsp + 16

Source: System V ABI, AMD64 supplement, 3.2.3; at a function's entry the return address is at rsp.
"""

from __future__ import annotations

from collections.abc import Mapping

from probelang.artifact.code import Call, Piece
from probelang.diag import InternalError
from probelang.llvm.builder import Value
from probelang.llvm.calls.identity import field
from probelang.llvm.calls.lowering import Lowering, Result, Values, known, narrow, number, text
from probelang.llvm.calls.memory import read_number
from probelang.llvm.emitter import Emitter
from probelang.llvm.frame import REGISTERS
from probelang.llvm.text.compose import Composition
from probelang.llvm.text.format import format_piece

IN_REGISTERS = ("rdi", "rsi", "rdx", "rcx", "r8", "r9")
OF_SYSTEM_CALLS = ("rdi", "rsi", "rdx", "r10", "r8", "r9")
# not among the registers that are saved when the kernel is entered (arch/x86/include/asm/processor.h, struct thread_struct)
SEGMENT_BASES = {b"fs_base": "task_struct.thread.fsbase", b"gs_base": "task_struct.thread.gsbase"}
NO_ARGUMENT = ("argument ", " does not exist: they are counted from 1")


def register_names() -> dict[str, tuple[str, int, int]]:
    """Name -> 64-bit register, first bit, bits."""
    names = {name: (name, 0, 64) for name in REGISTERS if name != "orig_rax"}
    for letter in "abcd":
        wide = f"r{letter}x"
        names |= {f"e{letter}x": (wide, 0, 32), f"{letter}x": (wide, 0, 16)}
        names |= {f"{letter}l": (wide, 0, 8), f"{letter}h": (wide, 8, 8)}
    for short in ("si", "di", "bp", "sp", "ip"):
        wide = f"r{short}"
        names |= {f"e{short}": (wide, 0, 32), short: (wide, 0, 16)}
        if short != "ip":
            names[f"{short}l"] = (wide, 0, 8)
    for i in range(8, 16):
        names |= {f"r{i}d": (f"r{i}", 0, 32), f"r{i}w": (f"r{i}", 0, 16), f"r{i}b": (f"r{i}", 0, 8)}
    return names


REGISTER_NAMES = register_names()


def register(signed: bool) -> Lowering:
    def lower(e: Emitter, values: Values, call: Call) -> Result:
        name = text(values, 0).literal
        if name is None:
            raise InternalError(f"`{call.name}` of a name that is no literal")
        base = SEGMENT_BASES.get(name)
        if base is not None:
            return field(e, e.task(), base)
        place = REGISTER_NAMES[name.decode("utf-8", "replace")]  # the checker knows them all
        wide, first, bits = place
        return narrow(e, e.shift_right(e.register(wide), first), bits, signed)

    return lower


def instruction(e: Emitter, values: Values, call: Call) -> Result:
    return e.register("rip")


def returned(e: Emitter, values: Values, call: Call) -> Result:
    return e.register("rax")


def argument(bits: int, signed: bool) -> Lowering:
    def lower(e: Emitter, values: Values, call: Call) -> Result:
        which = number(values, 0)
        fixed = known(which)
        value = fixed_argument(e, fixed, call.at) if fixed is not None else chosen_argument(e, which, call.at)
        return narrow(e, value, bits, signed)

    return lower


def fixed_argument(e: Emitter, which: int, at: int) -> Value:
    if which < 1:
        e.fail(e.literal(f"{NO_ARGUMENT[0]}{which}{NO_ARGUMENT[1]}".encode()), at)
        return Value("0")
    if which <= len(IN_REGISTERS):
        return e.register(IN_REGISTERS[which - 1])
    address = e.add(e.register("rsp"), 8 * (which - len(IN_REGISTERS)))
    return read_number(e, address, 64, at)


def chosen_argument(e: Emitter, which: Value, at: int) -> Value:
    """The number is known only at run time."""
    wanted, value = e.cell(which), e.cell(0)
    with e.when(e.compare("slt", e.get(wanted), 1)):
        no_argument(e, e.get(wanted), at)
    done = e.fresh("done")
    for i, name in enumerate(IN_REGISTERS):
        with e.when(e.compare("eq", e.get(wanted), i + 1)):
            e.set(value, e.register(name))
            e.branch(done)
    offset = e.shift_left(e.sub(e.get(wanted), len(IN_REGISTERS)), 3)
    e.set(value, read_number(e, e.add(e.register("rsp"), offset), 64, at))
    e.start(done)
    return e.get(value)


def no_argument(e: Emitter, which: Value, at: int) -> None:
    composition = Composition(e)
    composition.literal(NO_ARGUMENT[0].encode())
    format_piece(composition, Piece("d"), iter([which]), at)
    composition.literal(NO_ARGUMENT[1].encode())
    e.fail(composition.finish(), at)


# --------------------------------------------------------------------------------------------- system calls


def syscall_number(e: Emitter, values: Values, call: Call) -> Result:
    """sys_enter(registers, number) and sys_exit(registers, result): the number stands in the registers of both."""
    return e.kernel_word(e.add(e.context_word(0), REGISTERS["orig_rax"]))


def syscall_return(e: Emitter, values: Values, call: Call) -> Result:
    """sys_exit(registers, result)"""
    return e.context_word(1)


def syscall_argument(e: Emitter, values: Values, call: Call) -> Result:
    which = number(values, 0)
    fixed = known(which)
    registers = e.context_word(0)
    if fixed is not None:
        if not 1 <= fixed <= len(OF_SYSTEM_CALLS):
            return Value("0")
        return e.kernel_word(e.add(registers, REGISTERS[OF_SYSTEM_CALLS[fixed - 1]]))
    offset = Value(str(REGISTERS[OF_SYSTEM_CALLS[0]]))
    for i, name in enumerate(OF_SYSTEM_CALLS[1:], 2):
        offset = e.select(e.compare("eq", which, i), REGISTERS[name], offset)
    return e.kernel_word(e.add(registers, offset))


LOWERINGS: Mapping[tuple[str, int], Lowering] = {
    ("register", 1): register(True),
    ("u_register", 1): register(False),
    ("uaddr", 0): instruction,
    ("returnval", 0): returned,
    ("int_arg", 1): argument(32, True),
    ("uint_arg", 1): argument(32, False),
    ("long_arg", 1): argument(64, True),
    ("ulong_arg", 1): argument(64, False),
    ("longlong_arg", 1): argument(64, True),
    ("ulonglong_arg", 1): argument(64, False),
    ("pointer_arg", 1): argument(64, False),
    ("s32_arg", 1): argument(32, True),
    ("s64_arg", 1): argument(64, True),
    ("u32_arg", 1): argument(32, False),
    ("u64_arg", 1): argument(64, False),
    ("syscall_number", 0): syscall_number,
    ("syscall_return", 0): syscall_return,
    ("syscall_arg", 1): syscall_argument,
}
