"""The host program: atomic operations on shared variables that the user half asks for.

    words of .bss: mailbox_op 1, mailbox_variable 3, mailbox_key, mailbox_old 5, mailbox_new 6  ->  mailbox_result 0, 1 or -7

The user half writes the request and runs the program with BPF_PROG_TEST_RUN; it works with the same instructions as the
handlers, so that neither half loses what the other does.
"""

from __future__ import annotations

from collections.abc import Callable

from probelang.artifact.code import Type
from probelang.artifact.manifest import BssStorage, MapStorage
from probelang.llvm import aggregates, arrays, sharedtext
from probelang.llvm.builder import Label, Pointer, Value
from probelang.llvm.emitter import Emitter
from probelang.llvm.helper_ids import MAP_UPDATE
from probelang.llvm.module import Module

SYMBOL, SECTION = "host", "raw_tp/host"
COMPARE_EXCHANGE, ACCUMULATE, COMPARE_EXCHANGE_STRING = 1, 2, 3
LOST_RACE, TOO_MANY = 1, -7


def compile_host(module: Module) -> None:
    """One branch for each variable that both halves change."""
    e = Emitter(module, "handler", SYMBOL, (("ctx", Pointer),), section=SECTION)
    e.error_labels.append(Label("finish"))
    finish = Label("finish")
    wanted = e.load(module.word("mailbox_variable"))
    e.store(module.word("mailbox_result"), LOST_RACE)
    for variable in module.program.written:
        with e.when(e.compare("eq", wanted, variable)):
            serve(e, variable)
            e.branch(finish)
    e.start(finish)
    e.ret(0)
    module.add(e, "global", (("ctx", "context"),))


def serve(e: Emitter, variable: int) -> None:
    kind = e.module.program.source.variables[variable].value
    if kind is Type.LONG:
        at_value(e, variable, lambda place: exchange(e, place))
    elif kind is Type.STATS:
        at_value(e, variable, lambda place: accumulate(e, variable, place))
    else:
        write_text(e, variable)


def answer(e: Emitter, result: Value | int) -> None:
    e.store(e.module.word("mailbox_result"), result)


def at_value(e: Emitter, variable: int, use: Callable[[Pointer], None]) -> None:
    """Runs `use` with the place of the scalar, or of the element, which is made when it is missing."""
    storage = e.module.program.storages[variable]
    if isinstance(storage, BssStorage):
        use(e.module.bss(storage.offset))
        return
    assert isinstance(storage, MapStorage)
    key = e.module.word("mailbox_key")
    missing, full, behind = e.fresh("missing"), e.fresh("full"), e.fresh("behind")
    scalar = not storage.key  # the only element of an array
    with arrays.live_map(e, storage, missing) as live:
        pointer = e.helper_pointer(1, live, e.zeros(8) if scalar else key)
        if scalar:
            found = e.fresh("found")
            e.branch_if(e.is_null(pointer), full, found)
            e.start(found)
        else:
            pointer = arrays.insert_missing(e, storage, live, key, pointer, full)
        use(pointer)
    e.branch(behind)
    e.start_aside(full)
    if storage.swap:
        e.release_rcu()
    answer(e, TOO_MANY)
    e.branch(behind)
    if storage.swap:
        e.start_aside(missing)
        e.release_rcu()
        e.branch(behind)
    e.start(behind)


def exchange(e: Emitter, place: Pointer) -> None:
    old, new = e.load(e.module.word("mailbox_old")), e.load(e.module.word("mailbox_new"))
    seen = e.compare_exchange(place, old, new)
    answer(e, e.widen(e.compare("ne", seen, old)))


def accumulate(e: Emitter, variable: int, place: Pointer) -> None:
    layout = aggregates.layout_of(e, variable)
    aggregates.add(e, place, layout, e.load(e.module.word("mailbox_new")))
    answer(e, 0)


def write_text(e: Emitter, variable: int) -> None:
    """A scalar when its sequence word still is `mailbox_old`; an element always."""
    storage = e.module.program.storages[variable]
    text = e.module.word("mailbox_text")
    word = sharedtext.sequence_pointer(e, variable)
    if isinstance(storage, BssStorage):
        target = e.offset(word, 8)

        def write() -> Value:
            sharedtext.put_text(e, target, text)
            return Value("1")

        done = sharedtext.write_exclusive(e, word, e.load(e.module.word("mailbox_old")), write)
        answer(e, e.bits_xor(done, 1))
        return
    assert isinstance(storage, MapStorage)

    def update() -> Value:
        with arrays.within_live_map(e, storage) as live:
            code = e.helper(MAP_UPDATE, live, e.module.word("mailbox_key"), text, arrays.BPF_ANY)
            answer(e, code)
        return Value("1")

    sharedtext.write_exclusive(e, word, Value(str(sharedtext.ANY_SEQUENCE)), update)
