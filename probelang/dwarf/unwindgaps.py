"""Code that is known by itself, whether or not an entry describes it.

    PLT slots                                                              ->  rows by what their instructions push
    where a program starts (`_start` of the dynamic linker and of musl)    ->  nothing called it
    `mov $15, %eax; syscall` (`__restore_rt` of musl)                      ->  a signal handler returns here
    the byte before `__start_context` of glibc                             ->  nothing called it

lld and mold write no entries for slots, and those of GNU ld have expressions with an instruction's place in them.

Sources: x86-64 psABI, sections 3.4.1 and 5.2; LLVM lld (ELF/Arch/X86_64.cpp) and mold (src/arch-x86-64.cc) for their slots; musl,
src/signal/x86_64/restore.s; glibc, sysdeps/unix/sysv/linux/x86_64/__start_context.S.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from probelang.artifact.stacks import ROW_END, ROW_PLT, ROW_RSP, ROW_SIGNAL
from probelang.dwarf.image import Image
from probelang.dwarf.plt import SECTIONS
from probelang.dwarf.unwindcode import Rows, word
from probelang.dwarf.unwindentries import Function, executable

_START_BYTES = 128
_SLOT_BYTES = 16
MOST_BYTES = 4 << 20
"""Of slots."""
_RESTORE = re.compile(rb"\x48\xc7\xc0\x0f\0\0\0\x0f\x05|\xb8\x0f\0\0\0\x0f\x05")
_START_CONTEXT = re.compile(
    rb"\x48\x89\xdc\x48\x8b\x3c\x24\x48\x85\xff"
)  # mov %rbx,%rsp; mov (%rsp),%rdi; test %rdi,%rdi
_CALLED, _PUSHED, _PUSHED_TWO = (word(ROW_RSP, units) for units in (1, 2, 3))
_SLOTS: tuple[tuple[re.Pattern[bytes], Rows], ...] = (
    (re.compile(rb"\xff\x25....\x68", re.DOTALL), [word(ROW_PLT, 1)]),  # jmp *; push
    (re.compile(rb"(\xf3\x0f\x1e\xfa)?\xf2?\xff\x25", re.DOTALL), [_CALLED]),  # (endbr64) jmp *
    (re.compile(rb"\xf3\x0f\x1e\xfa\x41\xbb", re.DOTALL), [_CALLED]),  # endbr64; mov, %r11d: mold
    (re.compile(rb"\xf3\x0f\x1e\xfa\x68", re.DOTALL), [_CALLED, 9 | _PUSHED]),  # endbr64; push
    (re.compile(rb"\xff\x35", re.DOTALL), [_PUSHED, 6 | _PUSHED_TWO]),  # the first slot, to which others jump
)


def slots(image: Image) -> list[Function]:
    """Offsets and rows, as `unwindentries` has them, by offset. Of a section with a slot of another form, none."""
    found: list[Function] = []
    for name in SECTIONS:
        section = image.section(name)
        if section is not None and section.executable and section.size <= MOST_BYTES:
            end = min(section.offset + section.size, len(image.data))
            places = range(section.offset, end, _SLOT_BYTES)
            rows = [_rows_of(image.data[low : low + _SLOT_BYTES]) for low in places]
            if all(rows):
                found += [
                    (low, min(low + _SLOT_BYTES, end), own) for low, own in zip(places, rows, strict=True)
                ]
    return sorted(found)


def _rows_of(slot: bytes) -> Rows:
    for pattern, rows in _SLOTS:
        if pattern.match(slot):
            return rows
    return []


def starts_and_signal_returns(image: Image) -> Iterator[Function]:
    """For where entries say nothing."""
    yield from _start(image)
    yield from _signal_returns(image)
    yield from _starts_of_contexts(image)


def _start(image: Image) -> Iterator[Function]:
    for segment in executable(image):
        if segment.address <= image.entry < segment.address + segment.file_size:
            low = image.entry - segment.address + segment.offset
            yield low, min(low + _START_BYTES, segment.offset + segment.file_size), [word(ROW_END)]


def _signal_returns(image: Image) -> Iterator[Function]:
    """From the byte before on: the address is looked up as that of a call's return."""
    for segment in executable(image):
        end = min(segment.offset + segment.file_size, len(image.data))
        for found in _RESTORE.finditer(image.data, segment.offset, end):
            yield max(found.start() - 1, 0), found.end(), [word(ROW_SIGNAL)]


def _starts_of_contexts(image: Image) -> Iterator[Function]:
    """makecontext(3) lets its function return to the first byte of one that nobody calls, and the byte before is what is looked up. (It
    may lie in another function, which ends there: that has the say.)"""
    for segment in image.segments:
        if segment.executable:
            for found in _START_CONTEXT.finditer(
                image.data, segment.offset, segment.offset + segment.file_size
            ):
                yield max(found.start() - 1, 0), found.start(), [word(ROW_END)]
