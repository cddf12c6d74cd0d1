"""Room for slots in a process: a stopped thread is made to call mmap once.

    add_area(thread, machine, address)   an Area near `address` in the thread's space, or None where there can be none

The thread executes a system call instruction that is there already, with its signals blocked, and gets its registers back. A program
that has forbidden itself system calls (seccomp) is not made to do one: its slots go to the end of the last page
of code, behind the last instruction of the file, where nobody executes anything.
"""

from __future__ import annotations

import os
import signal
import struct

from probelang.runtime.mappings import PAGE, Mapping, gap_near, mapping_of, read_mappings
from probelang.runtime.ptrace import calls
from probelang.runtime.ptrace.machine import Machine, Registers
from probelang.runtime.ptrace.memory import Memory
from probelang.runtime.ptrace.space import Area
from probelang.runtime.ptrace.tracee import Thread
from probelang.runtime.signals import EndSignals

AREA_BYTES = 16 * PAGE
_ALL_SIGNALS = (1 << 64) - 1
_SCAN_BYTES = 1 << 20
_LOAD, _EXECUTABLE = 1, 1  # PT_LOAD, PF_X


def add_area(thread: Thread, machine: Machine, address: int) -> Area | None:
    """Raises ProcessLookupError when the thread is killed meanwhile."""
    mappings = read_mappings(thread.tid)  # the leader of a process may have ended before it
    area = None
    if not _has_own_filters(thread.tid):
        area = _mapped_area(thread, machine, mappings, address)
    if area is None:
        area = _padding(thread.process.space.memory, machine, mappings, address)
    if area is not None and all(a.start != area.start for a in thread.process.space.areas):
        thread.process.space.areas.append(area)
        return area
    return None


def _mapped_area(thread: Thread, machine: Machine, mappings: list[Mapping], address: int) -> Area | None:
    instruction = _syscall_instruction(thread.process.space.memory, machine, mappings)
    place = gap_near(mappings, address, AREA_BYTES, machine.near_bytes)
    if instruction is None or place is None:
        return None
    with EndSignals.held():  # half of this must not be
        result = _call_mmap(thread.tid, machine, instruction, place)
    return Area(place, place, place + AREA_BYTES) if result == place else None


def _call_mmap(tid: int, machine: Machine, instruction: int, place: int) -> int:
    before, registers = machine.registers(), machine.registers()
    before.fetch(tid)
    registers.fetch(tid)
    mask = calls.swap_signal_mask(tid, _ALL_SIGNALS)
    machine.prepare_mmap(registers, instruction, place, AREA_BYTES)
    registers.store(tid)
    try:
        return _step(tid, registers)
    finally:
        before.store(tid)
        calls.swap_signal_mask(tid, mask)


def _step(tid: int, registers: Registers) -> int:
    """The system call's result. SIGSTOP cannot be blocked: a stop of the whole process is passed over, and comes
    again afterwards."""
    while True:
        calls.request(calls.PTRACE_SINGLESTEP, tid)
        status = _wait_for(tid)
        if os.WIFSTOPPED(status) and status >> 8 == signal.SIGTRAP:
            registers.fetch(tid)
            return registers.syscall_result()
        if not os.WIFSTOPPED(status):
            raise ProcessLookupError


def _wait_for(tid: int) -> int:
    while True:
        found, status = calls.wait(tid)
        if found == tid:
            return status
        if found == -2:
            raise ProcessLookupError


def _syscall_instruction(memory: Memory, machine: Machine, mappings: list[Mapping]) -> int | None:
    """The address of one, first of all in the vDSO; wherever the bytes are is good."""
    code = [m for m in mappings if m.executable and m.path != "[vsyscall]"]
    for mapping in sorted(code, key=lambda m: m.path != "[vdso]"):
        try:
            found = machine.syscall_instruction(
                memory.peek(mapping.start, min(mapping.end - mapping.start, _SCAN_BYTES))
            )
        except OSError:
            continue
        if found is not None:
            return mapping.start + found
    return None


def _has_own_filters(tid: int) -> bool:
    """Whether system calls are filtered more than ours are: then nobody knows what happens to one that is not the program's."""
    theirs, ours = _filters(tid), _filters(os.getpid())
    return theirs != ours and theirs != (0, 0)


def _filters(tid: int) -> tuple[int, int]:
    """Mode and number of filters. The number is in /proc since Linux 5.9."""
    try:
        with open(f"/proc/{tid}/status", "rb") as f:
            fields = dict(
                line.split(b":", 1) for line in f.read().splitlines() if line.startswith(b"Seccomp")
            )
    except OSError:
        return 0, 0
    return int(fields.get(b"Seccomp", b"0")), int(fields.get(b"Seccomp_filters", b"0"))


def _padding(memory: Memory, machine: Machine, mappings: list[Mapping], address: int) -> Area | None:
    """What is left of the last page of the code around `address`."""
    inside = mapping_of(mappings, address)
    if inside is None or not inside.executable:
        return None
    first = next((m for m in mappings if m.path == inside.path and m.offset == 0), None)
    if first is None:
        return None
    try:
        end = _end_of_code(memory, first.start, inside)
    except (OSError, struct.error):
        return None
    start = (end + 15) // 16 * 16
    if start + machine.slot_bytes > inside.end or start < inside.start:
        return None
    return Area(start, start, inside.end)


def _end_of_code(memory: Memory, header: int, inside: Mapping) -> int:
    """Where the file's contents of the mapping end: p_offset + p_filesz. System V ABI, chapter 5."""
    found: tuple[int, int, int] = struct.unpack("<Q14xHH", memory.peek(header + 32, 26))
    start, size, count = found
    table = memory.peek(header + start, size * count)
    for at in range(0, size * count, size):
        row: tuple[int, int, int, int, int, int] = struct.unpack_from("<IIQQQQ", table, at)
        kind, flags, offset, _, _, length = row
        if kind == _LOAD and flags & _EXECUTABLE and offset // PAGE * PAGE == inside.offset // PAGE * PAGE:
            return inside.start + offset - inside.offset + length
    raise OSError
