"""BPF objects written by hand, as LLVM text: tests of the runtime do not need the compiler.

One object for most tests: the uprobe program `hit` counts its hits in a scalar, by thread in an array that timers may take
over, and sends a record for each; `targets_fork` and `targets_exit` follow processes; `host` is the mailbox.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

from __future__ import annotations

from functools import cache

from llvmlite import binding as llvm

from probelang.artifact import code
from probelang.artifact.code import Handler, LocalVariable, Piece, Place, Type, Variable
from probelang.artifact.limits import Limits
from probelang.artifact.manifest import (
    VERSION,
    BssStorage,
    Constant,
    KeyField,
    Manifest,
    MapSpec,
    MapStorage,
    ProbeSpec,
    ProgramSpec,
    Record,
)
from probelang.artifact.object import FunctionInfo, finish_object
from probelang.artifact.points import BinaryFile, FunctionPoint, LifecyclePoint, Site, TimerPoint

STATE, LOST, SKIPPED, ERRORS, CUT, HITS, LOSSES_ONLY = 0, 8, 16, 24, 32, 64, 72
MAIL_OP, MAIL_VARIABLE, MAIL_KEY, MAIL_OLD, MAIL_NEW, MAIL_RESULT = 80, 88, 96, 104, 112, 120
BSS_SIZE = 192

PREAMBLE = f"""
target triple = "bpf"
@bss = global [{BSS_SIZE} x i8] zeroinitializer, section ".bss", align 8
@rodata = global [64 x i8] zeroinitializer, section ".rodata", align 8
@_license = global [4 x i8] c"GPL\\00", section "license"
@by_thread = global [32 x i8] zeroinitializer, section ".maps", align 8
@targets = global [32 x i8] zeroinitializer, section ".maps", align 8
@events = global [32 x i8] zeroinitializer, section ".maps", align 8
"""

HIT = f"""
define i64 @hit(ptr %ctx) section "uprobe/hit" {{
  %key = alloca i64, align 8
  %zero = alloca i64, align 8
  %index = alloca i32, align 4
  %record = alloca [3 x i64], align 8
  %state = load volatile i64, ptr getelementptr (i8, ptr @bss, i64 {STATE})
  %running = icmp eq i64 %state, 1
  br i1 %running, label %restricted, label %out
restricted:
  %pidtgid = call i64 inttoptr (i64 14 to ptr)()
  %restrict = load volatile i64, ptr getelementptr (i8, ptr @rodata, i64 0)
  %any = icmp eq i64 %restrict, 0
  br i1 %any, label %count, label %look
look:
  %tgid64 = lshr i64 %pidtgid, 32
  %tgid = trunc i64 %tgid64 to i32
  store i32 %tgid, ptr %index
  %target = call ptr inttoptr (i64 1 to ptr)(ptr @targets, ptr %index)
  %no = icmp eq ptr %target, null
  br i1 %no, label %out, label %count
count:
  %hits = getelementptr i8, ptr @bss, i64 {HITS}
  %n = atomicrmw add ptr %hits, i64 1 seq_cst
  %cookie = call i64 inttoptr (i64 174 to ptr)(ptr %ctx)
  store i64 0, ptr %record
  %r1 = getelementptr i64, ptr %record, i64 1
  store i64 %n, ptr %r1
  %r2 = getelementptr i64, ptr %record, i64 2
  store i64 %cookie, ptr %r2
  %sent = call i64 inttoptr (i64 130 to ptr)(ptr @events, ptr %record, i64 24, i64 0)
  %failed = icmp ne i64 %sent, 0
  br i1 %failed, label %lose, label %thread
lose:
  %lost = getelementptr i8, ptr @bss, i64 {LOST}
  %l = atomicrmw add ptr %lost, i64 1 seq_cst
  br label %thread
thread:
  %tid = and i64 %pidtgid, 4294967295
  store i64 %tid, ptr %key
  store i32 0, ptr %index
  %inner = call ptr inttoptr (i64 1 to ptr)(ptr @by_thread, ptr %index)
  %none = icmp eq ptr %inner, null
  br i1 %none, label %out, label %find
find:
  %first = call ptr inttoptr (i64 1 to ptr)(ptr %inner, ptr %key)
  %missing = icmp eq ptr %first, null
  br i1 %missing, label %insert, label %add
insert:
  store i64 0, ptr %zero
  %done = call i64 inttoptr (i64 2 to ptr)(ptr %inner, ptr %key, ptr %zero, i64 1)
  %second = call ptr inttoptr (i64 1 to ptr)(ptr %inner, ptr %key)
  %still = icmp eq ptr %second, null
  br i1 %still, label %out, label %add
add:
  %slot = phi ptr [ %first, %find ], [ %second, %insert ]
  %old = atomicrmw add ptr %slot, i64 1 seq_cst
  br label %out
out:
  ret i64 0
}}
"""

FOLLOW = """
define i64 @targets_fork(ptr %ctx) section "raw_tp/sched_process_fork" {
  %parent = alloca i32, align 4
  %child = alloca i32, align 4
  %one = alloca i8, align 1
  %offset = load volatile i64, ptr getelementptr (i8, ptr @rodata, i64 8)
  %task = load volatile i64, ptr %ctx, align 8
  %from = add i64 %task, %offset
  %a = call i64 inttoptr (i64 113 to ptr)(ptr %parent, i64 4, i64 %from)
  %known = call ptr inttoptr (i64 1 to ptr)(ptr @targets, ptr %parent)
  %no = icmp eq ptr %known, null
  br i1 %no, label %out, label %follow
follow:
  %second = getelementptr i64, ptr %ctx, i64 1
  %new = load volatile i64, ptr %second, align 8
  %at = add i64 %new, %offset
  %b = call i64 inttoptr (i64 113 to ptr)(ptr %child, i64 4, i64 %at)
  store i8 1, ptr %one
  %c = call i64 inttoptr (i64 2 to ptr)(ptr @targets, ptr %child, ptr %one, i64 0)
  br label %out
out:
  ret i64 0
}
"""

HOST = f"""
define i64 @host(ptr %ctx) section "raw_tp" {{
  %old = load volatile i64, ptr getelementptr (i8, ptr @bss, i64 {MAIL_OLD})
  %new = load volatile i64, ptr getelementptr (i8, ptr @bss, i64 {MAIL_NEW})
  %hits = getelementptr i8, ptr @bss, i64 {HITS}
  %pair = cmpxchg ptr %hits, i64 %old, i64 %new seq_cst seq_cst
  %was = extractvalue {{ i64, i1 }} %pair, 0
  %same = icmp eq i64 %was, %old
  %result = select i1 %same, i64 0, i64 1
  store volatile i64 %result, ptr getelementptr (i8, ptr @bss, i64 {MAIL_RESULT})
  ret i64 0
}}
"""

PLACES = (Place("test.probe", 1, 7, "n"),)
N, BY_THREAD = 0, 1
INNER = MapSpec("inner", "hash", 8, 8, 1024)
MAPS = (
    MapSpec("by_thread", "array_of_maps", 4, 4, 1, template=INNER),
    MapSpec("targets", "hash", 4, 1, 4096),
    MapSpec("events", "ringbuf", 0, 0, 0),
)
PROGRAMS = (
    ProgramSpec("hit", "uprobe/hit", "uprobe"),
    ProgramSpec(
        "targets_fork", "raw_tp/sched_process_fork", "raw_tracepoint", tracepoint="sched_process_fork"
    ),
    ProgramSpec("host", "raw_tp", "host"),
)
WORDS = (
    ("state", STATE), ("lost", LOST), ("skipped", SKIPPED), ("errors", ERRORS), ("cut", CUT),
    ("mailbox_op", MAIL_OP), ("mailbox_variable", MAIL_VARIABLE), ("mailbox_key", MAIL_KEY),
    ("mailbox_old", MAIL_OLD), ("mailbox_new", MAIL_NEW), ("mailbox_result", MAIL_RESULT),
)  # fmt: skip
VARIABLES = (Variable("n", None, Type.LONG), Variable("by_thread", (Type.LONG,), Type.LONG))
STORAGES = (
    BssStorage(HITS, 8),
    MapStorage("by_thread", (KeyField(0, 8, Type.LONG),), 8, 8, swap=True),
)
RECORDS = (
    Record(
        "print", ("long", "long"), pieces=(Piece("d"), Piece("text", b" "), Piece("d"), Piece("text", b"\n"))
    ),
)


@cache
def compile_ir(text: str) -> bytes:
    """An object as LLVM writes it."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    module = llvm.parse_assembly(text)
    machine = llvm.Target.from_triple("bpf").create_target_machine(cpu="v3", opt=2)
    return bytes(machine.emit_object(module))


def handler(*body: code.Stmt, locals: tuple[LocalVariable, ...] = ()) -> Handler:
    return Handler(locals, None, None, code.Block(body), 0)


def show(*pieces: tuple[str, code.Expr]) -> code.Stmt:
    """Prints each value behind its text, and a newline."""
    parts: list[Piece] = []
    for text, _ in pieces:
        parts += [Piece("text", text.encode()), Piece("d")]
    arguments = tuple(value for _, value in pieces)
    return code.Evaluate(code.Print((*parts, Piece("text", b"\n")), arguments, 0))


SHOW_N = show(("n=", code.Scalar(N, Type.LONG)))
EXIT = code.Evaluate(code.Call("exit", (), Type.VOID, 0))


def lifecycle(kind: str, *body: code.Stmt, priority: int = 0) -> ProbeSpec:
    assert kind in ("begin", "end", "error")
    return ProbeSpec(kind, LifecyclePoint(kind, priority), handler=handler(*body))


def timer(milliseconds: int, *body: code.Stmt, locals: tuple[LocalVariable, ...] = ()) -> ProbeSpec:
    return ProbeSpec("timer", TimerPoint(milliseconds * 1_000_000), handler=handler(*body, locals=locals))


def function(path: str, *offsets: int, is_return: bool = False) -> ProbeSpec:
    sites = tuple(Site(o, o, "f", "process.function") for o in offsets)
    return ProbeSpec("hits", FunctionPoint(BinaryFile(path), sites, is_return), programs=("hit",))


def manifest(*probes: ProbeSpec, limits: Limits | None = None, records: bool = False) -> Manifest:
    """Without `records` the ring buffer fills up unread (nothing says what a record means)."""
    return Manifest(
        version=VERSION,
        probelang="test",
        limits=limits or Limits(),
        variables=VARIABLES,
        storages=STORAGES,
        functions=(),
        probes=probes,
        automata=(),
        places=PLACES,
        maps=MAPS,
        programs=PROGRAMS,
        records=RECORDS if records else (),
        constants=(Constant("run:target", 0), Constant("btf:task_struct.tgid", 8)),
        words=WORDS,
        needs_targets=True,
    )


def object_for(value: Manifest) -> bytes:
    functions = [FunctionInfo(p.symbol, "global", (("ctx", "context"),)) for p in PROGRAMS]
    return finish_object(compile_ir(PREAMBLE + HIT + FOLLOW + HOST), value, functions, (), 8)
