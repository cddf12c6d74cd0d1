"""What all functions of one object share: read-only data, records, messages, kfuncs, finished function texts.

    m = Module(program, options); m.literal(b"abc") -> 0; m.constant("btf:task_struct.tgid") -> 0; m.message("...") -> 1
    m.text()  ->  the whole LLVM module, everything in the order of first use, so the same program gives the same bytes

Sections: `.rodata` holds `@constants` (u64 each, filled in by the runtime, hence first) and then `@texts`, the literals, and
`@messages`, the table of soft errors; `.bss` is `@bss`; `.maps` has one symbol per map.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from probelang.artifact.manifest import Constant, MapSpec, Record
from probelang.artifact.object import FunctionInfo, ParameterKind
from probelang.artifact.stacks import STACK_BYTES
from probelang.diag import Diagnostic, InternalError
from probelang.layout.program import Program
from probelang.layout.tokens import token_calls
from probelang.llvm.builder import Builder, Pointer, Value
from probelang.llvm.frame import FrameHeader
from probelang.options import Options
from probelang.source import Span

if TYPE_CHECKING:
    from probelang.layout.callers import Decision
    from probelang.llvm.functions import Linkage

MESSAGE_SIZE = (
    64  # a row of the table of messages: u64 length, u64 whether a number in hex follows, then the text
)
MESSAGE_TEXT = 16
TARGETS = 1 << 16  # processes below -x or -c at a time
CODE_FILES, STACKS = 1 << 13, 1 << 14  # entries
CODE_FILE_BYTES = 32
F_NO_PREALLOC, F_MMAPABLE = 1, 1 << 10
# these stand in the text until the numbers are known
FRAME_SIZE = Value("FRAME_SIZE_BYTES")
MESSAGE_COUNT = Value("MESSAGE_COUNT")

# result and parameters of the kfuncs that we know; `w` an int, `p` a pointer
KFUNCS = {
    "bpf_iter_num_new": ("i32", "ptr, i32, i32"),
    "bpf_iter_num_next": ("ptr", "ptr"),
    "bpf_iter_num_destroy": ("void", "ptr"),
    "bpf_iter_task_vma_new": ("i32", "ptr, ptr, i64"),
    "bpf_iter_task_vma_next": ("ptr", "ptr"),
    "bpf_iter_task_vma_destroy": ("void", "ptr"),
    "bpf_session_is_return": ("i64", "ptr"),
    "bpf_session_cookie": ("ptr", "ptr"),
    "bpf_rcu_read_lock": ("void", ""),
    "bpf_rcu_read_unlock": ("void", ""),
    "bpf_preempt_disable": ("void", ""),
    "bpf_preempt_enable": ("void", ""),
}


def quoted(data: bytes) -> str:
    """An LLVM byte string."""
    return "".join(chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\{b:02X}" for b in data)


class Module:
    """The object in the making. `functions` are finished definitions with what BTF must say of them."""

    def __init__(self, program: Program, options: Options) -> None:
        self.program = program
        self.options = options
        self.capacity = program.text_capacity
        self.header = FrameHeader(program.text_capacity)
        self.texts = bytearray()
        self.text_offsets: dict[bytes, int] = {}
        self.constants: dict[str, int] = {}
        self.messages: dict[tuple[str, bool], int] = {}
        self.records: list[Record] = []
        self.kfuncs: dict[str, None] = {}
        self.functions: list[str] = []
        self.infos: list[FunctionInfo] = []
        self.routines: dict[str, int] = {}
        self.linkages: dict[int, Linkage] = {}  # of compiled clones
        self.routine_top = self.header.routines
        self.frame_end = self.header.routines_end
        self.zeros = 8
        self.callbacks = 0
        self.uses_frames = False
        self.uses_code_files = False
        self.uses_unwind_rows = False
        self.uses_stacks = False
        self.makes_tokens = bool(token_calls(program.source, in_process=True))
        self.walk_state: tuple[int, ...] = ()  # where in a frame the walk of a stack keeps what it knows
        self.sections: dict[str, tuple[str, int]] = {}  # further memory of programs: symbol -> section, bytes
        self.features: dict[str, Span | None] = {}
        self.span: Span | None = None  # of the code that is being written
        self.diagnostics: list[Diagnostic] = []
        self.code_files: list[str] = []
        self.words = dict(program.words)
        # a function may be shared by handlers that do and that do not
        self.sleeps = any(entry.sleepable for probe in program.kernel for entry in probe.entries)

    # ------------------------------------------------------------------------------------- shared data

    def literal(self, data: bytes) -> int:
        """Offset of `data` (a NUL follows) in `@texts`; the same text lies there once."""
        if data not in self.text_offsets:
            self.text_offsets[data] = len(self.texts)
            self.texts += data + b"\0"
        return self.text_offsets[data]

    def table(self, data: bytes, alignment: int = 8) -> int:
        """Offset in `@texts` of any read-only bytes, aligned; for look-up tables."""
        key = b"\0table\0" + data
        if key not in self.text_offsets:
            self.texts += bytes(-len(self.texts) % alignment)
            self.text_offsets[key] = len(self.texts)
            self.texts += data
        return self.text_offsets[key]

    def constant(self, name: str) -> int:
        """Offset in `@constants` of a number that the runtime fills in (names: `manifest.Constant`)."""
        return self.constants.setdefault(name, 8 * len(self.constants))

    def code_file(self, path: str) -> int:
        """The number by which programs know a file whose code they tell apart (`Manifest.code_files`)."""
        if path not in self.code_files:
            self.code_files.append(path)
        return self.code_files.index(path) + 1

    def message(self, text: str, hexadecimal: bool = False) -> int:
        """Number (from 1) of the text of a soft error; `hexadecimal`: its argument is written behind, as 0x.."""
        if len(text.encode()) > MESSAGE_SIZE - MESSAGE_TEXT:
            raise InternalError(f"message too long for its table: {text}")
        return self.messages.setdefault((text, hexadecimal), len(self.messages) + 1)

    def record(self, record: Record) -> int:
        """The number of a ring-buffer record; equal ones share it."""
        if record in self.records:
            return self.records.index(record)
        self.records.append(record)
        return len(self.records) - 1

    def word(self, name: str) -> Pointer:
        """One of the runtime's words in `.bss` (`lost`, `cut`, ...)."""
        return self.bss(self.words[name])

    def data(self, symbol: str, section: str, size_bytes: int) -> Pointer:
        """Memory of programs, zero at first, in a section (`.bss.NAME`) of its own."""
        self.sections[symbol] = (section, size_bytes)
        return Pointer(f"@{symbol}")

    def decision(
        self, kind: Literal["code_in", "within_code"], code_set: int, part: tuple[str, int]
    ) -> Decision:
        """How a question about callers is decided in a probe or function of the script."""
        for decision in self.program.decisions:
            own = ("probe", decision.probe) if decision.function is None else ("function", decision.function)
            if own == part and decision.kind == kind and decision.code_set == code_set:
                return decision
        raise InternalError(f"nothing is decided about {kind} {code_set} in {part}")

    def bss(self, offset: int) -> Pointer:
        return Pointer(f"getelementptr (i8, ptr @bss, i64 {offset})")

    def need(self, feature: str) -> None:
        """The object needs this kernel feature."""
        self.features.setdefault(feature, self.span)

    # -------------------------------------------------------------------------------------- functions

    def add(
        self,
        function: Builder,
        linkage: Literal["static", "global"],
        parameters: tuple[tuple[str, ParameterKind], ...],
    ) -> None:
        self.functions.append(function.text())
        kind = "static" if linkage == "static" else "global"
        self.infos.append(
            FunctionInfo(function.symbol, "static" if kind == "static" else "global", parameters)
        )

    # ------------------------------------------------------------------------------------------- text

    def message_rows(self) -> bytes:
        rows = bytearray(MESSAGE_SIZE)
        for text, hexadecimal in self.messages:
            data = text.encode()
            row = len(data).to_bytes(8, "little") + int(hexadecimal).to_bytes(8, "little") + data
            rows += row.ljust(MESSAGE_SIZE, b"\0")
        return bytes(rows)

    def maps(self) -> tuple[MapSpec, ...]:
        """All maps of the object; only now is it known how large a frame is."""
        targets = MapSpec("targets", "hash", 4, 1, TARGETS)
        frames = (MapSpec("frames", "array", 4, self.frame_size(), 0),) if self.uses_frames else ()
        return (*self.program.maps, *frames, targets, *self.code_maps())

    def code_maps(self) -> tuple[MapSpec, ...]:
        """What is known of files of code, and stacks. The size of `unwind_rows` is the runtime's choice."""
        found: list[MapSpec] = []
        if self.uses_code_files:
            found.append(MapSpec("code_files", "hash", 8, CODE_FILE_BYTES, CODE_FILES, F_NO_PREALLOC))
        if self.uses_unwind_rows:
            found.append(MapSpec("unwind_rows", "array", 4, 0, 1, F_MMAPABLE))
        if self.uses_stacks:
            found.append(MapSpec("stacks", "hash", 8, STACK_BYTES, STACKS, F_NO_PREALLOC))
        return tuple(found)

    def frame_size(self) -> int:
        return (self.frame_end + 63) // 64 * 64

    def manifest_constants(self, start: int) -> tuple[Constant, ...]:
        """`start`: where `@constants` lies in `.rodata`."""
        return tuple(Constant(name, start + offset) for name, offset in self.constants.items())

    def text(self) -> str:
        """The LLVM module."""
        rows = self.message_rows()
        words = max(1, len(self.constants))
        texts = bytes(self.texts) + b"\0"
        lines = [
            'target triple = "bpf"',
            'target datalayout = "e-m:e-p:64:64-i64:64-i128:128-n32:64-S128"',
            f'@constants = constant [{8 * words} x i8] zeroinitializer, section ".rodata", align 8',
            f'@messages = constant [{len(rows)} x i8] c"{quoted(rows)}", section ".rodata", align 8',
            f'@texts = constant [{len(texts)} x i8] c"{quoted(texts)}", section ".rodata", align 8',
            f'@zeros = constant [{self.zeros} x i8] zeroinitializer, section ".rodata", align 8',
            f'@bss = global [{max(8, self.program.bss_size)} x i8] zeroinitializer, section ".bss", align 8',
            '@_license = constant [4 x i8] c"GPL\\00", section "license", align 1',
        ]
        lines += [
            f'@{symbol} = global [{size} x i8] zeroinitializer, section "{section}", align 8'
            for symbol, (section, size) in self.sections.items()
        ]
        lines += [
            f'@{spec.name} = global [32 x i8] zeroinitializer, section ".maps", align 8'
            for spec in self.maps()
        ]
        for name in self.kfuncs:
            result, parameters = KFUNCS[name]
            lines.append(f"declare {result} @{name}({parameters})")
        lines.append("")
        body = "\n".join([*lines, *self.functions, "attributes #0 = { nounwind noinline }", ""])
        counts = {FRAME_SIZE: self.frame_size(), MESSAGE_COUNT: len(self.messages) + 1}
        for name, number in counts.items():
            body = body.replace(name, str(number))
        return body
