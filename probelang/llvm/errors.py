"""Soft errors at run time: catching one, and what happens to one that nobody catches.

    try { x = 1 / 0 } catch (msg) { ... }    ->  error state: place 3, message "division by 0"; branch to the catch block

The error on its way is three words (place + 1, number of the message, its argument); only error() and the like make text
at once. Text is made where it is wanted: by `catch (msg)`, or for the record `error` at the end of a handler.
"""

from __future__ import annotations

from probelang.artifact.manifest import STATE_STOPPING, Record
from probelang.llvm.builder import Label, Pointer, Value
from probelang.llvm.emitter import Emitter
from probelang.llvm.helper_ids import CPU, RINGBUF_OUTPUT
from probelang.llvm.module import MESSAGE_COUNT, MESSAGE_SIZE, MESSAGE_TEXT
from probelang.llvm.values import Buffer, Cell, StrVal

ABORT = -1  # "message" of abort(): ends everything up to the handler and is no error
MAXACTION = "MAXACTION exceeded"
MAXNESTING = "MAXNESTING exceeded"
EXHAUSTED = "all functions exhausted"
RECORD_TEXT = 24  # header, place, length


def fail_hard(e: Emitter, code: int, at: int) -> None:
    """An error that no `catch` gets: it passes them on its way to the end of the handler."""
    place, message, argument = e.error_state()
    e.set(place, at + 1)
    e.set(message, code)
    e.set(argument, 0)
    e.branch(e.error_labels[-1])


def pass_on_hard(e: Emitter) -> None:
    """At the head of a catch block."""
    code = e.get(e.error_state()[1])
    hard = e.either(e.compare("eq", code, ABORT), e.compare("eq", code, e.module.message(MAXACTION)))
    behind = e.fresh("soft")
    e.branch_if(hard, e.error_labels[-1], behind)
    e.start(behind)


def caught_text(e: Emitter) -> StrVal:
    """The message of the error that was caught."""
    target = Buffer(e.module.header.error_text)
    e.routine("make_error_text", (), lambda r, _: make_text(r, target))
    return e.text_of(target)


def make_text(r: Emitter, target: Buffer) -> None:
    """In a routine: the text of the error's message, unless text it is already."""
    header = r.module.header
    number = r.load(r.at(header.error_code))
    with r.when(r.compare("ne", number, 0)):
        row = message_row(r, number)
        length = r.bits_and(r.load(row), MESSAGE_SIZE - 1)
        r.copy(r.data(target), length, r.offset(row, MESSAGE_TEXT))
        end = r.cell(length)
        with r.when(r.truth(r.load(r.offset(row, 8)))):
            write_hex(r, r.data(target), r.load(r.at(header.error_argument)), end)
        # an error text is never longer than a string may be
        r.set_length(target, shortest(r, r.get(end), r.string_size - 1))
        r.store(r.at(header.error_code), 0)
    r.ret(0)


def shortest(e: Emitter, value: Value, limit: int) -> Value:
    cell = e.cell(value)
    with e.when(e.compare("ugt", value, limit)):
        e.set(cell, limit)
    return e.get(cell)


def message_row(r: Emitter, number: Value) -> Pointer:
    """The row of a message; row 0 for a number that is none."""
    cell = r.cell(0)
    checked = r.opaque(number)
    with r.when(r.compare("ult", checked, MESSAGE_COUNT)):
        r.set(cell, checked)
    row = r.opaque(r.get(cell))
    fine, wrong = r.fresh("row"), r.fresh("norow")
    r.branch_if(r.compare("ult", row, MESSAGE_COUNT), fine, wrong)
    r.start(wrong)
    r.close_iterators(0)
    r.ret(0)
    r.start(fine)
    return r.offset(Pointer("@messages"), r.shift_left(row, 6))


def write_hex(r: Emitter, text: Pointer, value: Value, end: Cell) -> None:
    """Writes `0x...` behind the `end` bytes at `text` (room for 128) and moves the end."""
    for letter in b"0x":
        r.store(r.offset(text, r.bits_and(r.get(end), MESSAGE_SIZE - 1)), letter, bits=8)
        r.set(end, r.add(r.get(end), 1))
    with r.loop(16, plain_turns=16) as loop:
        # everything comes from the turn's number, which the verifier does not know, so one turn is like another
        shift = r.bits_and(r.sub(60, r.shift_left(loop.index, 2)), 63)
        rest = r.shift_right(value, shift)
        shown = r.either(r.truth(rest), r.compare("eq", shift, 0))
        with r.when(shown):
            digit = r.bits_and(rest, 15)
            above_nine = r.shift_right(r.add(digit, 6), 4)
            letter_code = r.add(r.add(digit, ord("0")), r.mul(above_nine, ord("a") - ord("0") - 10))
            place = r.bits_and(r.get(end), 127)
            r.store(r.offset(text, place), letter_code, bits=8)
            r.set(end, r.bits_and(r.add(place, 1), 127))


# ------------------------------------------------------------------------------------------------- uncaught


def report(e: Emitter) -> None:
    """At the end of a handler that has failed: the record, the count, and the end of the session when that was too much."""
    code = e.get(e.error_state()[1])
    behind, failed = e.fresh("aborted"), e.fresh("failed")
    e.branch_if(e.compare("eq", code, ABORT), behind, failed)
    e.start(failed)
    if e.simple:
        place, _, argument = e.error_state()
        define_simple_report(e)
        at = e.sub(e.get(place), 1)
        e.assign(f"call i64 @report_error(i64 {at}, i64 {code}, i64 {e.get(argument)})")
    else:
        e.routine("report_frame_error", (), build_frame_report)
    e.start(behind)


def count_error(r: Emitter) -> None:
    limits = r.module.options.limits
    old = r.atomic_fetch("add", r.module.word("errors"), 1)
    if not limits.suppress_errors:
        with r.when(r.compare("uge", old, limits.errors)):
            r.store(r.module.word("state"), STATE_STOPPING)


def build_frame_report(r: Emitter, _: list[Value]) -> None:
    """The record `error`, composed in the frame."""
    header = r.module.header
    target = Buffer(header.error_text)
    r.routine("make_error_text", (), lambda inner, _: make_text(inner, target))
    count_error(r)
    base = r.reserve(RECORD_TEXT + 2 * r.capacity)
    write_heading(r, r.at(base), r.sub(r.load(r.at(header.error_at)), 1))
    length = r.length(target)
    r.store(r.at(base + 16), length)
    r.copy(r.at(base + RECORD_TEXT), length, r.data(target))
    output(r, r.at(base), r.add(length, RECORD_TEXT))
    r.ret(0)


def write_heading(r: Emitter, place: Pointer, at: Value) -> None:
    number = r.module.record(Record("error", ("long", "string")))
    r.store(place, r.bits_or(r.shift_left(r.helper(CPU), 32), number))
    r.store(r.offset(place, 8), at)


def output(r: Emitter, place: Pointer, size: Value) -> None:
    code = r.helper(RINGBUF_OUTPUT, r.map("events"), place, size, 0)
    with r.when(r.truth(code)):
        r.count("lost")


def define_simple_report(e: Emitter) -> None:
    """A global function for handlers without a frame: the record on its own stack."""
    module = e.module
    if "report_error" in module.routines:
        return
    module.routines["report_error"] = len(module.routines)
    r = Emitter(module, "simple", "report_error", (("at", Value), ("code", Value), ("argument", Value)))
    r.error_labels.append(Label("body"))
    count_error(r)
    place = r.alloca(RECORD_TEXT + 2 * MESSAGE_SIZE)
    write_heading(r, place, Value("%at"))
    row = message_row(r, Value("%code"))
    for i in range(0, 2 * MESSAGE_SIZE, 8):
        r.store(r.offset(place, RECORD_TEXT + i), 0)
    text = r.offset(place, RECORD_TEXT)
    r.copy(text, MESSAGE_SIZE - MESSAGE_TEXT, r.offset(row, MESSAGE_TEXT))
    end = r.cell(r.bits_and(r.load(row), MESSAGE_SIZE - 1))
    with r.when(r.truth(r.load(r.offset(row, 8)))):
        write_hex(r, text, Value("%argument"), end)
    length = r.bits_and(r.get(end), 127)
    r.store(r.offset(place, 16), length)
    output(r, place, r.add(length, RECORD_TEXT))
    r.ret(0)
    module.add(r, "global", (("at", "long"), ("code", "long"), ("argument", "long")))
