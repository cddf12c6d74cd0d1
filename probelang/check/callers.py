"""Who called: `caller is X`, `caller in X`, `within X`, `caller()` and `caller_addr()`, and where the caller is known at a place.

    probe process("x").function("f") { if (caller is function("g")) n++ }
    ->  if (code_in(user_return_address(u_register("rsp")) - 1, 0)) n++          with code_sets[0] = CodeSet('function("g")', ...)

At a function's entry the return address lies at the stack pointer; elsewhere the frame's description says where (its CFA); in a return
probe the current instruction is what was returned to. What is inlined is not called: whom it was inlined into is known now. Timers,
system calls and places that nothing describes have the stack: its second frame, or address -1 where that is not known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol

from probelang import syntax, typed
from probelang.artifact import code
from probelang.artifact.code import Type
from probelang.artifact.codesets import CodeSet
from probelang.artifact.points import BinaryFile, FunctionPoint, Site
from probelang.check import mistakes
from probelang.check.cells import LONG, STRING, Cell
from probelang.check.infer import Inference
from probelang.check.lower import Lowering
from probelang.check.scope import Body, Targets
from probelang.diag import CompileError
from probelang.resolved import Surroundings
from probelang.source import Span

if TYPE_CHECKING:
    from probelang.dwarf.entry import Entry
    from probelang.dwarf.inlining import Copy

_WORD_BYTES = 8


class CodeFinder(Protocol):
    """What knows files and their functions. Both raise CompileError."""

    def find(self, test: syntax.CodeTest, around: Surroundings) -> CodeSet: ...

    def copies(self, function: Entry) -> dict[int, Copy]:
        """See `probelang.dwarf.inlining.copies_of`."""
        ...

    def surrounds(self, test: syntax.CodeTest, around: Surroundings, copy: Copy) -> bool:
        """Whether a function that a copy was inlined into is meant."""
        ...


Ask = Callable[[CodeFinder], "CodeSet | bool"]


# --------------------------------------------------------------------------------------------------- inference


def infer_test(run: Inference, body: Body, node: syntax.CodeTest) -> Cell:
    if _has_caller(run, body, node.span):
        _found(run, body, node)
    return LONG


def infer_caller(run: Inference, body: Body, node: syntax.Call) -> Cell:
    """`caller()` and `caller_addr()`."""
    _has_caller(run, body, node.span)
    return STRING if node.name == "caller" else LONG


def _has_caller(run: Inference, body: Body, span: Span) -> bool:
    targets = body.targets
    if targets.callers:
        return True
    what = " ".join(span.text.split())
    run.report(mistakes.NoCaller(span=span, what=what, probe=targets.probe, in_process=targets.in_process))
    return False


def _found(run: Inference, body: Body, node: syntax.CodeTest) -> CodeSet | bool | None:
    """The set that is asked about, or the answer where it is known; None after a mistake, which is reported."""
    assert run.codes is not None
    finder, around = run.codes(), body.targets.around
    inlined = _inlined(run, body) if node.subject == "caller" else None
    try:
        if inlined is not None:
            return finder.surrounds(node, around, inlined)
        return finder.find(node, around)
    except CompileError as error:
        for mistake in error.diagnostics:
            run.report(mistake)
        return None


def _inlined(run: Inference, body: Body) -> Copy | None:
    """The inlined copy that the place belongs to, if any."""
    context = body.targets.site
    if context is None or context.is_return:
        return None
    target, place = context.target, context.target.place
    if place.instance is None and place.is_entry:
        return None
    from probelang.dwarf.image import BinaryError
    from probelang.target.mistake import TargetMistake

    assert run.codes is not None
    try:
        function = target.debug.functions.at(place.address)
        if function is None or place.instance == function.offset:
            return None
        offset = target.scope.instance.offset if place.instance is None else place.instance
        return run.codes().copies(function).get(offset)
    except (TargetMistake, BinaryError):  # nothing is known of copies
        return None


# ---------------------------------------------------------------------------------------------------- lowering


def lower_test(low: Lowering, body: Body, node: syntax.CodeTest) -> code.Expr:
    if not body.targets.callers:
        return code.Number(0)
    found = _found(low.run, body, node)
    if found is None or isinstance(found, bool):
        return code.Number(int(found is True))
    number, at = low.code_set(found), low.at(node.span)
    question: code.Expr
    if node.subject == "within":
        low.hooked.setdefault(number, {}).setdefault(body.targets.around.pid, node.span)
        question = code.Call("within_code", (code.Number(number),), Type.LONG, at)
    else:
        address = _before(_return_address(body.targets, at))
        question = code.Call("code_in", (address, code.Number(number)), Type.LONG, at)
    if body.targets.callers != "sample":
        return question
    # a timer finds threads of the kernel too, of which no code can be meant
    return code.Logical("&&", code.Compare("!=", _on_stack(0, at), code.Number(0)), question)


def lower_caller(low: Lowering, body: Body, node: syntax.Call) -> code.Expr:
    """`caller()` and `caller_addr()`. Of what is inlined: the function around it, and where that is now."""
    is_name, at = node.name == "caller", low.at(node.name_span)
    if not body.targets.callers:
        return code.Text(b"") if is_name else code.Number(0)
    inlined = _inlined(low.run, body)
    if inlined is not None:
        from probelang.dwarf.types import own_name
        from probelang.target.build import here

        name = own_name(inlined.around[0])
        return code.Text(name.encode("utf-8", "surrogateescape")) if is_name else here()
    address = _return_address(body.targets, at)
    return code.Call("caller", (_before(address),), Type.STRING, at) if is_name else address


def _before(address: code.Expr) -> code.Expr:
    """The last byte of the call: a function that ends with one returns to the next function."""
    from probelang.target.build import plus

    return plus(address, -1)


def _return_address(targets: Targets, at: int) -> code.Expr:
    from probelang.target.build import here, plus, register, return_address

    if targets.callers == "return" and not targets.begins:
        return here()
    if targets.callers in ("stack", "sample"):
        return _on_stack(1, at)
    if targets.site is None:
        return return_address(register("rsp"), at)
    from probelang.dwarf.image import BinaryError
    from probelang.target.location import Unavailable
    from probelang.target.mistake import TargetMistake

    try:
        return return_address(plus(targets.site.target.frame_address(), -_WORD_BYTES), at)
    except (TargetMistake, BinaryError, Unavailable):
        return _on_stack(1, at)


def _on_stack(frame: int, at: int) -> code.Expr:
    return code.Call("ustack", (code.Number(frame),), Type.LONG, at)


# ---------------------------------------------------------------------------------------------- hooked returns


def _hooked(low: Lowering) -> Iterator[tuple[CodeSet, dict[int | None, Span]]]:
    for number, users in low.hooked.items():
        code_set = low.code_sets[number]
        yield code_set, users
        if code_set.around is not None:
            yield code_set.around, users


def hidden_probes(low: Lowering) -> Iterator[typed.Probe]:
    """For `within`: probes without code on the returns of the functions that are asked about, so that the kernel keeps a note of each call."""
    for code_set, users in _hooked(low):
        files = {file.path: file for file in code_set.files}
        # who asks in one process only has the others left alone
        pids = [None] if None in users else list(users)
        for hook in code_set.hooks:
            file = files[hook.path]
            skip = file.address_of_code - file.offset_of_code
            sites = tuple(
                Site(offset, offset + skip, "", f"within {code_set.text}") for offset in hook.offsets
            )
            for pid in pids:
                span = users[pid] if pid in users else next(iter(users.values()))
                handler = code.Handler((), None, None, code.Block(()), low.at(span))
                point = FunctionPoint(BinaryFile(file.path, file.build_id), sites, True, pid)
                yield typed.Probe(f"within {code_set.text}", point, handler, span)
