"""Programs that say what their own variables are, and the same read from outside: types from debug information, memory from
/proc/PID/mem, and the code that values become run by the evaluator.

    with Sample(folder, "x", SOURCE, ["list->next->id"]) as sample:
        sample.told["list->next->id"]   ->  what the program itself printed
        sample.number("list->next->id") ->  what our code finds
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, cast

from probelang.artifact.code import (
    Binary,
    Block,
    Call,
    Evaluate,
    Expr,
    Handler,
    Local,
    LocalVariable,
    Number,
    Piece,
    Place,
    Print,
    Type,
    type_of,
)
from probelang.artifact.limits import Limits
from probelang.dwarf.ctypes import Struct
from probelang.dwarf.image import Image, read_image
from probelang.dwarf.info import DebugInfo
from probelang.dwarf.scopes import find_global
from probelang.dwarf.types import Types
from probelang.runtime.evaluate.context import MemoryFault, SessionContext
from probelang.runtime.evaluate.evaluator import Evaluator
from probelang.runtime.evaluate.frame import SoftError
from probelang.runtime.memorystore import MemoryStore
from probelang.runtime.output.sink import Sink
from probelang.runtime.services import SessionServices
from probelang.target.build import number
from probelang.target.location import InMemory
from probelang.target.members import member
from probelang.target.values import Object, index, value

_STEP = re.compile(r"(?:->|\.)(\w+)|\[(-?\d+)\]")


class Sections:
    """The debug information in the program itself."""

    alternate = None

    def __init__(self, image: Image) -> None:
        self.image = image
        self.path = image.path

    def section(self, name: str) -> bytes:
        found = self.image.section(name)
        return b"" if found is None else self.image.contents(found)

    def split(self, name: str, folder: str, identity: int) -> None:
        return None


class Hit(SessionContext):
    """Registers and memory that a test gives."""

    def __init__(
        self, memory: dict[int, bytes] | None = None, registers: dict[str, int] | None = None, file: int = -1
    ) -> None:
        super().__init__("test", "test")
        self.memory = memory or {}
        self.registers = registers or {}
        self.file = file

    def register(self, name: bytes, signed: bool) -> int:
        return number(self.registers[name.decode()]).value

    def read_memory(self, address: int, size: int) -> bytes:
        for start, data in self.memory.items():
            if start <= address and address + size <= start + len(data):
                return data[address - start : address - start + size]
        if self.file >= 0:
            try:
                found = os.pread(self.file, size, address)
            except (OSError, OverflowError):
                raise MemoryFault(address) from None
            if len(found) == size:
                return found
        raise MemoryFault(address)


class _Text:
    """A `Sink` that keeps what is printed."""

    def __init__(self) -> None:
        self.data = b""

    def print(self, text: bytes) -> None:
        self.data += text


def evaluate(expr: Expr, hit: Hit, locals_: int = 64, string_size: int = 1024) -> int | str:
    """What the code gives; `error: ...` where it fails."""
    printed = _Text()
    limits = Limits(string_size=string_size)
    places = (Place("x", 1, 1, "->"),)
    services = SessionServices(cast(Sink, printed), 0)
    evaluator = Evaluator((), (), (), places, limits, MemoryStore((), 10), cast(Sink, printed), services)
    kind = "s" if type_of(expr) is Type.STRING else "d"
    body = Block((Evaluate(Print((Piece(kind),), (expr,), 0)),))
    slots = tuple(LocalVariable(f"kept{i}", Type.LONG) for i in range(locals_))
    try:
        evaluator.prepare(Handler(slots, None, None, body, 0))(hit)
    except SoftError as error:
        return f"error: {error.message.decode()}"
    return printed.data.decode() if kind == "s" else int(printed.data)


class Sample:
    """`-no-pie`: addresses in the file are those in the process. The program waits, so that its memory can be read."""

    at = 0

    def __init__(
        self, folder: Path, name: str, source: str, told: Sequence[str], *options: str, compiler: str = "gcc"
    ) -> None:
        suffix = ".cpp" if "++" in compiler else ".c"
        lines = "".join(f'  printf("%lld\\n", (long long)({expression}));\n' for expression in told)
        text = f'#include <stdio.h>\n{source}\nint main(void) {{\n  puts("started");\n{lines}  fflush(stdout); getchar(); return 0; }}\n'
        path = folder / f"{name}{suffix}"
        path.write_text(text)
        program = folder / name
        command = [compiler, "-g", "-no-pie", "-w", *options, "-o", str(program), str(path)]
        subprocess.run(command, check=True)
        image = read_image(str(program))
        self.info = DebugInfo(Sections(image))
        self.types = Types(self.info)
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "started\n"  # it has its own memory by now
        self.told = {expression: int(self.process.stdout.readline()) for expression in told}
        self.hit = Hit(file=os.open(f"/proc/{self.process.pid}/mem", os.O_RDONLY))
        self.kept = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self.hit.file)
        self.process.communicate()

    # ------------------------------------------------------------------------------------------ surroundings

    def entry_object(self, entry: int) -> Object:
        raise AssertionError("no pointers that are nowhere")

    def complete(self, struct: Struct) -> Struct:
        return self.types.complete(struct)

    def static_member(self, name: str) -> Object | None:
        return self.variable(name)

    def keep(self) -> Local:
        self.kept += 1
        return Local(self.kept - 1, Type.LONG)

    def member_location(self, expression: bytes, owner_address: Expr) -> Expr:
        """What compilers write for virtual bases: DW_OP_dup, deref, lit24, minus, deref, plus."""
        stack = [owner_address]
        at = 0
        while at < len(expression):
            match expression[at]:
                case 0x12:
                    stack.append(stack[-1])
                case 0x06:
                    stack.append(Call("user_uint64", (stack.pop(),), Type.LONG, 0))
                case literal if 0x30 <= literal < 0x50:
                    stack.append(Number(literal - 0x30))
                case 0x1C | 0x22 as op:
                    right = stack.pop()
                    stack.append(Binary("-" if op == 0x1C else "+", stack.pop(), right, 0))
                case other:
                    raise AssertionError(f"operation {other:#x}")
            at += 1
        return stack[-1]

    # ----------------------------------------------------------------------------------------------- reading

    def variable(self, name: str) -> Object | None:
        for unit in self.info.units:
            found = find_global(self.types, unit, name)
            if found is not None and (place := found.location(0)):
                assert place[0] == 0x03, "DW_OP_addr"
                return Object(found.type.get(), InMemory(number(int.from_bytes(place[1:9], "little"))))
        return None

    def object(self, path: str) -> Object:
        """`a.b[1]->c`"""
        head = re.match(r"[\w:]+", path)
        assert head is not None
        found = self.variable(head[0])
        assert found is not None, head[0]
        for step in _STEP.finditer(path, head.end()):
            found = member(found, step[1], self) if step[1] else index(found, Number(int(step[2])), self)
        return found

    def number(self, path: str) -> int | str:
        return evaluate(value(self.object(path), self), self.hit)

    def evaluate(self, expr: Expr) -> int | str:
        return evaluate(expr, self.hit)
