"""Running a regular expression's automaton over a string.

    s =~ "^ab+$"   ->  a routine of its own for each expression, its table in read-only memory

One look-up a byte: `state = table[state][byte]`. A row of flags says what each state means: 1 has matched, 2 matches if the
string ends here.
"""

from __future__ import annotations

from probelang.artifact.code import Automaton
from probelang.llvm.builder import Value
from probelang.llvm.emitter import Emitter
from probelang.llvm.text.buffers import byte, length_of, limit, text_at
from probelang.llvm.text.compose import buffer_offset
from probelang.llvm.values import StrVal

MATCHED, MATCHED_AT_END = 1, 2


def matches(e: Emitter, text: StrVal, automaton: int, at: int) -> Value:
    """1 when the expression is found in the text, else 0."""
    machine = e.module.program.source.automata[automaton]

    def build(routine: Emitter, parameters: list[Value]) -> None:
        run(routine, parameters, machine)

    return e.routine(f"text_match_{automaton}", ("text",), build, buffer_offset(e, text))


def run(e: Emitter, parameters: list[Value], machine: Automaton) -> None:
    flags = state_flags(machine)
    if flags[0] & MATCHED:
        e.ret(1)
        return
    text = text_at(e, parameters[0])
    entry_bytes = 1 if machine.states <= 256 else 2
    rows = b"".join(entry.to_bytes(entry_bytes, "little") for entry in machine.table)
    table, meanings = e.read_only(e.module.table(rows)), e.read_only(e.module.table(flags))
    state = e.cell(0)
    size = e.cell(length_of(e, text))
    result = e.cell(0)
    with e.loop(e.get(size)) as loop:
        row = e.shift_left(e.get(state), 8)
        entry = limit(e, e.bits_or(row, byte(e, text, loop.index)), machine.states * 256 - 1)
        e.set(state, e.load(e.offset(table, e.mul(entry, entry_bytes)), bits=8 * entry_bytes))
        meaning = e.load(e.offset(meanings, limit(e, e.get(state), machine.states - 1)), bits=8)
        with e.when(e.truth(e.bits_and(meaning, MATCHED))):
            e.set(result, 1)
            e.stop(loop)
    with e.when(e.compare("eq", e.get(result), 0)):
        meaning = e.load(e.offset(meanings, limit(e, e.get(state), machine.states - 1)), bits=8)
        e.set(result, e.widen(e.truth(meaning)))
    e.ret(e.get(result))


def state_flags(machine: Automaton) -> bytes:
    flags = bytearray(machine.states)
    for state in machine.accepting:
        flags[state] |= MATCHED
    for state in machine.accepting_end:
        flags[state] |= MATCHED_AT_END
    return bytes(flags)
