"""Reading strings and bytes of the process that was hit.

    user_string(address)  ->  bpf_probe_read_user_str, and in a sleepable program, where that faults, page by page with
                              bpf_copy_from_user, which brings in what is not resident

A string is read up to its NUL and not further: what follows it may not be mapped.
"""

from __future__ import annotations

from probelang.llvm.builder import Operand, Pointer, Value
from probelang.llvm.emitter import Emitter
from probelang.llvm.frame import TEXT_HEADER
from probelang.llvm.helper_ids import COPY_FROM_USER, PROBE_READ_USER
from probelang.llvm.text.buffers import Text, append, byte, length_of, limit, set_byte, set_length, text_at
from probelang.llvm.text.compose import cut_if_long
from probelang.llvm.values import Buffer, Cell, StrVal

PROBE_READ_USER_STR = 114
PAGE_BYTES = 4096  # of no architecture smaller: a multiple only reads in smaller steps
FAULT = "user read fault at "


def read_user_string(e: Emitter, buffer: Buffer, address: Value, most: Operand, failed: Cell) -> None:
    """Fills `buffer` with at most `most` (0 to string_size) bytes of a C string; `failed` becomes 1 where it cannot be read."""
    size = limit(e, e.add(limit(e, most, e.string_size), 1), e.string_size + 1)
    got = e.helper(PROBE_READ_USER_STR, e.data(buffer), size, address)

    def done() -> None:
        e.set_length(buffer, limit(e, e.sub(got, 1), e.string_size))

    def fault() -> None:
        if e.sleepable and e.lacks("iterators"):
            e.module.need("sleepable")
            bring_in(e, address)
            again = e.cell(e.helper(PROBE_READ_USER_STR, e.data(buffer), size, address))
            e.set(failed, e.widen(e.compare("slt", e.get(again), 1)))
            kept = e.select(e.compare("sgt", e.get(again), 0), e.sub(e.get(again), 1), 0)
            e.set_length(buffer, limit(e, kept, e.string_size))
        elif e.sleepable:
            e.module.need("sleepable")
            code = e.routine(
                "user_string_faulting", ("text", "address", "most"), copy_string, buffer.offset, address, most
            )
            e.set(failed, code)
        else:
            e.set_length(buffer, 0)
            e.set(failed, 1)

    e.choose(e.compare("sgt", got, 0), done, fault)


def bring_in(e: Emitter, address: Value) -> None:
    """Touches the page of `address` and the next one, which a string of usual size does not leave. That needs no loop."""
    next_page = e.add(e.bits_and(address, -PAGE_BYTES), PAGE_BYTES)
    with e.stack_word() as word:
        e.helper(COPY_FROM_USER, word, 1, address)
        e.helper(COPY_FROM_USER, word, 1, next_page)


def finish_read(e: Emitter, buffer: Buffer) -> StrVal:
    """The string that was read, marked where it was too long."""
    cut_if_long(e, buffer)
    return e.text_of(buffer)


def copy_string(e: Emitter, parameters: list[Value]) -> None:
    """(target, address, most) -> 1 on a fault. Reads up to the end of a page, then the next one."""
    target = text_at(e, parameters[0])
    address, left = e.cell(parameters[1]), e.cell(limit(e, parameters[2], e.string_size))
    ended, failed = e.cell(0), e.cell(0)
    piece = e.buffer()
    source = Text(e.at(piece.offset), e.at(piece.offset + TEXT_HEADER))
    set_length(e, target, 0)
    with e.loop(e.string_size // PAGE_BYTES + 2) as pages:
        e.stop_if(pages, e.compare("eq", e.get(left), 0))
        in_page = e.sub(PAGE_BYTES, e.bits_and(e.get(address), PAGE_BYTES - 1))
        size = e.cell(
            limit(e, e.select(e.compare("ult", in_page, e.get(left)), in_page, e.get(left)), e.string_size)
        )
        got = e.helper(COPY_FROM_USER, source.data, limit(e, e.get(size), e.string_size), e.get(address))
        with e.when(e.truth(got)):
            e.set(failed, 1)
            e.stop(pages)
        length = e.cell(e.get(size))
        with e.loop(e.get(size)) as bytes_, e.when(e.compare("eq", byte(e, source, bytes_.index), 0)):
            e.set(length, bytes_.index)
            e.set(ended, 1)
            e.stop(bytes_)
        append(e, target, source.data, e.get(length))
        e.stop_if(pages, e.truth(e.get(ended)))
        e.set(address, e.add(e.get(address), e.get(size)))
        e.set(left, e.sub(e.get(left), e.get(size)))
    e.ret(e.get(failed))


def read_user_bytes(e: Emitter, target: Pointer, address: Value, size: Operand, at: int) -> None:
    """Exactly `size` bytes, or the soft error `user read fault`. Sizes are limited by the caller."""
    got = e.cell(e.helper(PROBE_READ_USER, target, size, address))
    if e.sleepable:
        e.module.need("sleepable")
        with e.when(e.truth(e.get(got))):
            e.set(got, e.helper(COPY_FROM_USER, target, size, address))
    e.fail_if(e.truth(e.get(got)), FAULT, at, address)


def command_line(e: Emitter, mm: Value) -> StrVal:
    """The words of a process's command line, separated by spaces; empty where it has no memory (any more)."""
    buffer = e.buffer()
    e.set_length(buffer, 0)
    memory, start, size = e.cell(mm), e.cell(0), e.cell(0)
    with e.when(e.truth(e.get(memory))):
        e.set(start, member(e, e.get(memory), "mm_struct.arg_start"))
        e.set(size, e.sub(member(e, e.get(memory), "mm_struct.arg_end"), e.get(start)))
        count = limit(e, e.get(size), e.string_size)
        got = e.cell(e.helper(PROBE_READ_USER, e.data(buffer), count, e.get(start)))
        if e.sleepable:
            e.module.need("sleepable")
            with e.when(e.truth(e.get(got))):
                count = limit(e, e.get(size), e.string_size)
                e.set(got, e.helper(COPY_FROM_USER, e.data(buffer), count, e.get(start)))
        with e.when(e.compare("eq", e.get(got), 0)):
            e.set_length(buffer, limit(e, e.get(size), e.string_size))
            e.routine("command_line", ("text",), separate_words, buffer.offset)
    return finish_read(e, buffer)


def member(e: Emitter, structure: Value, name: str) -> Value:
    return e.kernel_word(e.add(structure, e.constant(f"btf:{name}")))


def separate_words(e: Emitter, parameters: list[Value]) -> None:
    """(text): NUL bytes become spaces, those at the end go, unless more text follows that did not fit."""
    text = text_at(e, parameters[0])
    size, end = e.cell(length_of(e, text)), e.cell(0)
    with e.loop(e.get(size)) as loop:
        nul = e.compare("eq", byte(e, text, loop.index), 0)

        def space() -> None:
            set_byte(e, text, loop.index, ord(" "))

        def character() -> None:
            e.set(end, e.add(loop.index, 1))

        e.choose(nul, space, character)
    with e.when(e.compare("ult", e.get(size), e.string_size)):
        set_length(e, text, e.get(end))
    e.ret(0)
