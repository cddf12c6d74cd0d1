"""The kernel's own pointers to inodes: by them programs tell files apart that stat(2) cannot tell apart.

    with InodeReader(features) as reader:
        reader.mapped(fd)   ->  0xffff8881023f5a40    what `vma->vm_file->f_inode` is where a process has mapped the file
        reader.opened(fd)   ->  0xffff888102a11b08    what `mm->exe_file->f_inode` is of a process that runs it

On overlayfs the two differ: an open file has the inode of the overlay, a mapping that of the layer (fs/overlayfs/file.c, ovl_mmap;
fs/backing-file.c). A pointer stays true as long as the file is held open or mapped. Small programs on the raw tracepoint type, run by
BPF_PROG_TEST_RUN on this very process, follow the pointers. Sources: struct task_struct, files_struct, fdtable, file and vm_area_struct
of the kernel, by its BTF; kernel/bpf/task_iter.c for both ways to a mapping.
"""

from __future__ import annotations

import os
import struct
from contextlib import suppress
from types import TracebackType
from typing import Self

from probelang.runtime import bpf
from probelang.runtime.kernelbtf import UnknownKernelFact, kernel_facts
from probelang.runtime.stacks.held import map_page, unmap_page

_READ_KERNEL, _CURRENT, _CURRENT_BTF, _FIND_VMA = 113, 35, 158, 180  # helpers, include/uapi/linux/bpf.h
_FILE, _INODE = "btf:vm_area_struct.vm_file", "btf:file.f_inode"
_START = "btf:vm_area_struct.vm_start"
_OPENED = ("btf:task_struct.files", "btf:files_struct.fdt", "btf:fdtable.fd")


def _op(code: int, dst: int = 0, src: int = 0, offset: int = 0, immediate: int = 0) -> bytes:
    return struct.pack("<BBhi", code, src << 4 | dst, offset, immediate)


def _move(dst: int, value: int) -> bytes:
    return _op(0xB7, dst, immediate=value)


def _copy(dst: int, src: int) -> bytes:
    return _op(0xBF, dst, src)


def _add(dst: int, value: int) -> bytes:
    return _op(0x07, dst, immediate=value)


def _load(dst: int, src: int, offset: int) -> bytes:
    return _op(0x79, dst, src, offset)


def _call(helper: int) -> bytes:
    return _op(0x85, immediate=helper)


def _kfunc(name: str) -> bytes:
    fact = f"func:{name}"
    return _op(0x85, src=bpf.PSEUDO_KFUNC_CALL, immediate=kernel_facts([fact])[fact])


def _stack(dst: int, offset: int) -> bytes:
    return _copy(dst, 10) + _add(dst, offset)


_EXIT = _move(0, 0) + _op(0x95)


def _wide(dst: int, kind: int, first: int, second: int = 0) -> bytes:
    """A 64-bit immediate: of a map's value, of a function."""
    return _op(0x18, dst, kind, 0, first) + _op(0, immediate=second)


def _follow(offset: int, at: int) -> bytes:
    """The word at fp + `at` becomes the word `offset` bytes behind where it points; r3 is lost."""
    return _load(3, 10, at) + _add(3, offset) + _read(at)


def _read(at: int) -> bytes:
    """fp + `at` = the word where r3 points; 0 where it cannot be read."""
    return _stack(1, at) + _move(2, 8) + _call(_READ_KERNEL)


def _answer(map_fd: int, at: int) -> bytes:
    """The word at fp + `at` goes to user space."""
    return _load(7, 10, at) + _wide(1, bpf.PSEUDO_MAP_VALUE, map_fd) + _op(0x7B, 1, 7) + _EXIT


def _opened_program(map_fd: int) -> int:
    facts = kernel_facts([*_OPENED, _INODE])
    code = _load(6, 1, 0) + _call(_CURRENT) + _op(0x7B, 10, 0, -8)
    for name in _OPENED:
        code += _follow(facts[name], -8)
    # the file with this number in the table
    code += _load(3, 10, -8) + _op(0x67, 6, immediate=3) + _op(0x0F, 3, 6) + _read(-8)
    code += _follow(facts[_INODE], -8) + _answer(map_fd, -8)
    return bpf.load_program("inode_opened", bpf.PROG_RAW_TRACEPOINT, code)


def _mapped_program(map_fd: int, features: frozenset[str]) -> int:
    if "task_vma_iterator" in features:
        return _iterating(map_fd)
    return _finding(map_fd)


def _iterating(map_fd: int) -> int:
    """bpf_iter_task_vma: the first area that ends behind the address."""
    facts = kernel_facts([_FILE, _INODE, _START])
    file = _copy(3, 0) + _add(3, facts[_FILE]) + _read(-16) + _follow(facts[_INODE], -16)
    check = _load(8, 0, facts[_START]) + _op(0x2D, 8, 6, len(file) // 8)  # begins behind it: not this one
    code = _load(6, 1, 0) + _op(0x7A, 10, 0, -16) + _call(_CURRENT_BTF)
    code += _copy(2, 0) + _stack(1, -8) + _copy(3, 6) + _kfunc("bpf_iter_task_vma_new")
    code += _stack(1, -8) + _kfunc("bpf_iter_task_vma_next")
    code += _op(0x15, 0, 0, len(check + file) // 8) + check + file
    code += _stack(1, -8) + _kfunc("bpf_iter_task_vma_destroy")
    return bpf.load_program("inode_mapped", bpf.PROG_RAW_TRACEPOINT, code + _answer(map_fd, -16))


def _finding(map_fd: int) -> int:
    """bpf_find_vma, which gives the area to a callback; callbacks want types."""
    from probelang.artifact.btf import STATIC, BtfWriter

    facts = kernel_facts([_FILE, _INODE])
    tail = _answer(map_fd, -8)
    head = _load(6, 1, 0) + _op(0x7A, 10, 0, -8) + _call(_CURRENT_BTF) + _copy(1, 0) + _copy(2, 6)
    rest = _stack(4, -8) + _move(5, 0) + _call(_FIND_VMA) + tail
    main = head + _wide(3, bpf.PSEUDO_FUNC, len(rest) // 8 + 1) + rest
    each = _copy(6, 3) + _copy(3, 2) + _add(3, facts[_FILE]) + _read(-8)
    each += (
        _load(3, 10, -8) + _add(3, facts[_INODE]) + _copy(1, 6) + _move(2, 8) + _call(_READ_KERNEL) + _EXIT
    )
    btf = BtfWriter()
    number = btf.integer("long", 8, signed=True)
    prototype = btf.prototype([(name, number) for name in ("task", "area", "context")], number)
    types = [btf.function(name, prototype, STATIC) for name in ("inode_mapped", "each")]
    btf_fd = bpf.load_btf(btf.finish())
    try:
        rows = struct.pack("<IIII", 0, types[0], len(main) // 8, types[1])
        kind = bpf.PROG_RAW_TRACEPOINT
        return bpf.load_program("inode_mapped", kind, main + each, btf_fd=btf_fd, functions=rows)
    finally:
        os.close(btf_fd)


class InodeReader:
    """Raises OSError and UnknownKernelFact where it is made, if this kernel has no way."""

    def __init__(self, features: frozenset[str]) -> None:
        self._map = bpf.create_map("inode", bpf.MAP_ARRAY, 4, 8, 1)
        self._programs: list[int] = []
        try:
            self._programs.append(_mapped_program(self._map, features))
            self._programs.append(_opened_program(self._map))
        except (OSError, UnknownKernelFact):
            self.close()
            raise

    def close(self) -> None:
        for fd in (*self._programs, self._map):
            with suppress(OSError):
                os.close(fd)
        self._programs = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def at(self, address: int) -> int:
        """Of the file that this process has mapped at an address; 0 where it has none."""
        return self._ask(self._programs[0], address)

    def mapped(self, fd: int) -> int:
        """Of an open file where it is mapped; 0 where that cannot be done."""
        address = map_page(fd)
        if not address:
            return 0
        try:
            return self.at(address)
        finally:
            unmap_page(address)

    def opened(self, fd: int) -> int:
        """Of an open file itself; 0 of what is none: behind the table of open files the program would read anything."""
        try:
            os.fstat(fd)
        except OSError:
            return 0
        return self._ask(self._programs[1], fd)

    def _ask(self, program: int, argument: int) -> int:
        bpf.update(self._map, bytes(4), bytes(8))
        bpf.test_run(program, struct.pack("<Q", argument))
        return int.from_bytes(bpf.lookup(self._map, bytes(4), 8) or b"", "little")
