"""x86-64: registers, slots, system calls. The only module of the backend that knows this instruction set.

Sources: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2; System V ABI, AMD64 supplement (3.2.3,
parameter passing); arch/x86/include/asm/user_64.h (struct user_regs_struct).
"""

from __future__ import annotations

import ctypes
import errno
import struct
from typing import TYPE_CHECKING

from probelang.runtime.ptrace import calls
from probelang.runtime.ptrace.machine import CannotRelocate, Registers
from probelang.runtime.ptrace.memory import Memory

if TYPE_CHECKING:
    from iced_x86 import Instruction

_MASK = (1 << 64) - 1
_NAMES = (
    "r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi",
    "orig_rax", "rip", "cs", "eflags", "rsp", "ss", "fs_base", "gs_base", "ds", "es", "fs", "gs",
)  # fmt: skip
_AT = {name: i for i, name in enumerate(_NAMES)}
_RBP, _R10, _R9, _R8, _RAX, _RDX, _RSI, _RDI, _ORIG_RAX, _RIP, _RSP = (
    _AT[n] for n in ("rbp", "r10", "r9", "r8", "rax", "rdx", "rsi", "rdi", "orig_rax", "rip", "rsp")
)
_ARGUMENTS = tuple(_AT[n] for n in ("rdi", "rsi", "rdx", "rcx", "r8", "r9"))
_SYSCALL_ARGUMENTS = tuple(_AT[n] for n in ("rdi", "rsi", "rdx", "r10", "r8", "r9"))

# arch/x86/entry/syscalls/syscall_64.tbl
_MMAP, _CLONE, _FORK, _VFORK, _CLONE3 = 9, 56, 57, 58, 435
_CLONE_VM = 0x100
_PROT_READ_EXEC, _PRIVATE_ANONYMOUS, _FIXED_NOREPLACE = 5, 0x22, 0x100000
# those that signal(7) says are never restarted, and that give EINTR to a thread that was only stopped: epoll_wait, epoll_pwait,
# epoll_pwait2, semop, semtimedop, msgsnd, msgrcv, io_getevents, io_pgetevents, rt_sigtimedwait, io_uring_enter
_NEVER_RESTARTED = frozenset({232, 281, 441, 65, 220, 69, 70, 208, 333, 128, 426})

_SYSCALL = b"\x0f\x05"
_JUMP_BYTES = 5


def _register_names() -> dict[bytes, tuple[int, int, int]]:
    """Name -> number, first bit, bits."""
    names = {name: (i, 0, 64) for name, i in _AT.items() if i <= _AT["gs_base"] and name != "orig_rax"}
    for letter in "abcd":
        wide = _AT[f"r{letter}x"]
        names |= {f"e{letter}x": (wide, 0, 32), f"{letter}x": (wide, 0, 16)}
        names |= {f"{letter}l": (wide, 0, 8), f"{letter}h": (wide, 8, 8)}
    for short in ("si", "di", "bp", "sp", "ip"):
        wide = _AT[f"r{short}"]
        names |= {f"e{short}": (wide, 0, 32), short: (wide, 0, 16)}
        if short != "ip":
            names[f"{short}l"] = (wide, 0, 8)
    for i in range(8, 16):
        wide = _AT[f"r{i}"]
        names |= {f"r{i}d": (wide, 0, 32), f"r{i}w": (wide, 0, 16), f"r{i}b": (wide, 0, 8)}
    return {name.encode(): place for name, place in names.items()}


_REGISTER_NAMES = _register_names()


class UserRegisters:
    """struct user_regs_struct, as 27 words."""

    __slots__ = ("_address", "_words")

    def __init__(self) -> None:
        self._words = (ctypes.c_uint64 * len(_NAMES))()
        self._address = ctypes.addressof(self._words)

    def fetch(self, tid: int) -> None:
        calls.request(calls.PTRACE_GETREGS, tid, 0, self._address)

    def store(self, tid: int) -> None:
        calls.request(calls.PTRACE_SETREGS, tid, 0, self._address)

    def get(self, number: int) -> int:
        return self._words[number]

    def set(self, number: int, value: int) -> None:
        self._words[number] = value & _MASK

    @property
    def pc(self) -> int:
        return self._words[_RIP]

    @pc.setter
    def pc(self, value: int) -> None:
        self._words[_RIP] = value

    @property
    def sp(self) -> int:
        return self._words[_RSP]

    def move(self, pc: int, sp: int) -> None:
        self._words[_RIP], self._words[_RSP] = pc, sp

    @property
    def frame_pointer(self) -> int:
        return self._words[_RBP]

    def argument(self, number: int, memory: Memory) -> int:
        if number <= len(_ARGUMENTS):
            return self._words[_ARGUMENTS[number - 1]]
        return memory.word(self.sp + 8 * (number - len(_ARGUMENTS)))

    def return_value(self) -> int:
        return self._words[_RAX]

    def named(self, name: bytes) -> tuple[int, int]:
        number, first, bits = _REGISTER_NAMES[name]
        return self._words[number] >> first & ((1 << bits) - 1), bits

    def set_named(self, tid: int, name: bytes, value: int) -> None:
        self._set_in_thread(tid, _REGISTER_NAMES[name][0], value)

    def set_return_value(self, tid: int, value: int) -> None:
        self._set_in_thread(tid, _RAX, value)

    def _set_in_thread(self, tid: int, number: int, value: int) -> None:
        self.set(number, value)
        calls.request(calls.PTRACE_POKEUSER, tid, 8 * number, value & _MASK)

    def syscall_number(self) -> int:
        return self._words[_ORIG_RAX]

    def syscall_argument(self, number: int) -> int:
        return self._words[_SYSCALL_ARGUMENTS[number - 1]]

    def syscall_result(self) -> int:
        return self._words[_RAX]


class X86_64:
    """A `Machine`."""

    breakpoint = b"\xcc"
    slot_bytes = 64
    near_bytes = 1 << 30  # what an instruction may address reaches 2 GB either way, and so must its copy

    def registers(self) -> UserRegisters:
        return UserRegisters()

    def set_pc(self, tid: int, pc: int) -> None:
        calls.request(calls.PTRACE_POKEUSER, tid, 8 * _RIP, pc)

    def breakpoint_address(self, pc: int) -> int:
        return pc - 1

    def slot_code(self, code: bytes, address: int, slot: int) -> bytes:
        """The slot begins with the instruction itself unless that is a call, so a fault in it is one at the slot's first byte."""
        length = _plain_length(code)
        if length:
            return code[:length] + _jump(slot + length, address + length)
        return _relocated(code, address, slot)

    def return_address(self, registers: Registers, memory: Memory) -> int:
        return memory.word(registers.sp)

    def sp_after_return(self, registers: Registers) -> int:
        return registers.sp + 8

    def syscall_instruction(self, code: bytes) -> int | None:
        found = code.find(_SYSCALL)
        return found if found >= 0 else None

    def prepare_mmap(self, registers: Registers, instruction: int, address: int, size: int) -> None:
        assert isinstance(registers, UserRegisters)
        for number, value in (
            (_RIP, instruction), (_RAX, _MMAP), (_ORIG_RAX, -1), (_RDI, address), (_RSI, size),
            (_RDX, _PROT_READ_EXEC), (_R10, _PRIVATE_ANONYMOUS | _FIXED_NOREPLACE), (_R8, -1), (_R9, 0),
        ):  # fmt: skip
            registers.set(number, value)

    def restart_syscall(self, registers: Registers) -> bool:
        assert isinstance(registers, UserRegisters)
        if registers.get(_ORIG_RAX) not in _NEVER_RESTARTED or registers.get(_RAX) != -errno.EINTR & _MASK:
            return False
        registers.set(_RAX, registers.get(_ORIG_RAX))
        registers.set(_RIP, registers.pc - len(_SYSCALL))
        return True

    def shares_memory(self, registers: Registers, memory: Memory) -> bool:
        assert isinstance(registers, UserRegisters)
        match registers.get(_ORIG_RAX):
            case number if number == _VFORK:
                return True
            case number if number == _CLONE:
                return bool(registers.get(_RDI) & _CLONE_VM)
            case number if number == _CLONE3:
                return bool(memory.word(registers.get(_RDI)) & _CLONE_VM)  # struct clone_args
            case _:
                return False

    def jumps_to_entry(self, code: bytes, address: int) -> bool:
        """Only direct jumps, by their bytes: those of another function behind it count as well."""
        at = code.find(b"\xe9")
        while 0 <= at <= len(code) - _JUMP_BYTES:
            (distance,) = struct.unpack_from("<i", code, at + 1)
            if at + _JUMP_BYTES + distance == 0:
                return True
            at = code.find(b"\xe9", at + 1)
        return any(code[i] == 0xEB and code[i + 1] == (-i - 2) & 0xFF for i in range(min(len(code) - 1, 127)))


_PUSH_POP = frozenset(range(0x50, 0x60))
_REGISTER_FORMS = frozenset(
    {0x89, 0x8B, 0x31, 0x33, 0x85, 0x39, 0x3B, 0x01, 0x03, 0x29, 0x2B, 0x21, 0x23, 0x09}
)


def _plain_length(code: bytes) -> int:
    """Of an instruction that functions often begin with and that is the same anywhere; 0: not one of them."""
    if code[:4] in (b"\xf3\x0f\x1e\xfa", b"\x0f\x1f\x40\x00"):  # endbr64, nop
        return 4
    at = 1 if code[0] & 0xF0 == 0x40 else 0  # REX
    opcode, modrm = code[at], code[at + 1]
    if opcode in _PUSH_POP:
        return at + 1
    if modrm >= 0xC0:
        if opcode in _REGISTER_FORMS:
            return at + 2
        if opcode == 0x83:
            return at + 3
        if opcode == 0x81:
            return at + 6
    return 0


def _jump(at: int, target: int) -> bytes:
    """A jump to anywhere, which changes no register."""
    distance = target - (at + _JUMP_BYTES)
    if -(1 << 31) <= distance < 1 << 31:
        return b"\xe9" + struct.pack("<i", distance)
    return b"\xff\x25\0\0\0\0" + struct.pack("<Q", target)


def _relocated(code: bytes, address: int, slot: int) -> bytes:
    from iced_x86 import Decoder, FlowControl

    decoder = Decoder(64, code, ip=address)
    instruction = decoder.decode()
    if instruction.is_invalid:
        raise CannotRelocate
    behind = instruction.next_ip
    raw = code[: instruction.len]
    if raw.endswith(_SYSCALL) and instruction.len == len(_SYSCALL):
        return raw + _jump(slot + len(raw), behind)
    match instruction.flow_control:
        case FlowControl.NEXT | FlowControl.EXCEPTION:
            copied = _encoded(instruction, slot, raw)
            return copied + _jump(slot + len(copied), behind)
        case FlowControl.RETURN:
            return raw
        case FlowControl.INDIRECT_BRANCH:
            return _encoded(instruction, slot, raw)
        case FlowControl.UNCONDITIONAL_BRANCH if instruction.is_jmp_short_or_near:
            return _jump(slot, instruction.near_branch_target)
        case FlowControl.CONDITIONAL_BRANCH:
            return _branch(instruction, raw, slot, behind)
        case FlowControl.CALL if instruction.is_call_near:
            return _call(instruction.near_branch_target, slot, behind)
        case FlowControl.INDIRECT_CALL if instruction.is_call_near_indirect:
            return _indirect_call(instruction, slot, behind)
        case _:
            raise CannotRelocate


def _encoded(instruction: Instruction, slot: int, raw: bytes) -> bytes:
    """The same instruction at the slot; only what counts from the instruction pointer needs other bytes."""
    if not instruction.is_ip_rel_memory_operand:
        return raw
    from iced_x86 import Decoder

    offsets = Decoder(64, raw, ip=instruction.ip)
    constants = offsets.get_constant_offsets(offsets.decode())
    at = constants.displacement_offset
    distance = instruction.ip_rel_memory_address - (slot + len(raw))
    if constants.displacement_size != 4 or not -(1 << 31) <= distance < 1 << 31:
        raise CannotRelocate
    return raw[:at] + struct.pack("<i", distance) + raw[at + 4 :]


def _branch(instruction: Instruction, raw: bytes, slot: int, behind: int) -> bytes:
    """jcc, or one of loop and jrcxz, which can only jump a few bytes: over one jump to another."""
    target = instruction.near_branch_target
    if instruction.is_jcc_short_or_near:
        over = bytes([0x70 | (raw[-2] if instruction.is_jcc_short else raw[-5]) & 0x0F])
    else:
        over = raw[:-1]
    first = slot + len(over) + 1
    away = _jump(first, behind)
    return over + bytes([len(away)]) + away + _jump(first + len(away), target)


def _call(target: int, slot: int, behind: int) -> bytes:
    """push [rip + after the jump]; jmp target; .quad the real return address"""
    code = _jump(slot + 6, target)
    return b"\xff\x35" + struct.pack("<i", len(code)) + code + struct.pack("<Q", behind)


def _indirect_call(instruction: Instruction, slot: int, behind: int) -> bytes:
    """The push has moved the stack pointer by the time its operand is read."""
    from iced_x86 import Code, Encoder, Register

    jump = instruction.copy()
    if jump.code != Code.CALL_RM64 or jump.op0_register == Register.RSP:
        raise CannotRelocate
    jump.code = Code.JMP_RM64
    if Register.RSP in (jump.memory_base, jump.memory_index):
        jump.memory_displacement = jump.memory_displacement + 8 & _MASK
        jump.memory_displ_size = 4 if jump.memory_displ_size != 8 else 8
    encoder = Encoder(64)
    try:
        length = encoder.encode(jump, slot + 6)
    except ValueError:
        raise CannotRelocate from None
    code = encoder.take_buffer()[:length]
    return b"\xff\x35" + struct.pack("<i", len(code)) + code + struct.pack("<Q", behind)
