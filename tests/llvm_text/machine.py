"""Runs string routines in the kernel: one program calls whichever routine a word of its frame names, with arguments that the
test has put there.

    with Machine({"find": FIND}) as machine:
        machine.call("find", b"hello", b"l", 0)  ->  2
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from probelang import typed
from probelang.artifact.limits import Limits
from probelang.artifact.manifest import VERSION, Manifest, ProgramSpec
from probelang.artifact.object import finish_object
from probelang.layout.place import text_capacity
from probelang.layout.program import Program
from probelang.llvm import helper_ids
from probelang.llvm.builder import Operand, Pointer, Value
from probelang.llvm.compile import constants_offset
from probelang.llvm.emitter import Emitter
from probelang.llvm.machine import assemble
from probelang.llvm.module import Module
from probelang.options import Options
from probelang.regex import compile_pattern
from probelang.runtime import bpf
from probelang.runtime.load import load_object


@dataclass(frozen=True, slots=True)
class Inline:
    """Code of a handler instead of a routine: gives the result."""

    write: Callable[[Emitter, list[Value]], Operand]


Build = Inline | Callable[[Emitter, list[Value]], None]
Routine = tuple[Sequence[str], Build]
BUFFERS = 5
ERROR = -77  # result where the code has raised a soft error
F_MMAPABLE = 1 << 10


def empty_program(string_size: int, patterns: Sequence[bytes]) -> Program:
    """A program without probes, for modules that hold only routines."""
    automata = tuple(compile_pattern(pattern) for pattern in patterns)
    source = typed.Program((), (), (), automata, (), ())
    words = tuple(
        (name, 8 * i) for i, name in enumerate(("state", "lost", "skipped", "errors", "cut", "cut_at"))
    )
    return Program(source, (), (), (), (), (), (), words, 64, (), None, text_capacity(string_size))


class Machine:
    """See the module. Strings among the arguments go into buffers 0, 1, ... of the frame, whose offsets the routine gets."""

    def __init__(
        self, routines: Mapping[str, Routine], string_size: int = 256, patterns: Sequence[bytes] = ()
    ) -> None:
        self.names = list(routines)
        self.string_size = string_size
        self.module = Module(
            empty_program(string_size, patterns), Options(limits=Limits(string_size=string_size))
        )
        base = self.module.frame_end
        self.arguments = base
        self.buffers = [base + 128 + i * self.module.header.buffer_size for i in range(BUFFERS)]
        self.module.frame_end = base + 128 + BUFFERS * self.module.header.buffer_size
        self.module.uses_frames = True
        self._write(routines)
        frame_size = self.module.frame_size()
        maps = tuple(
            replace(spec, max_entries=1, flags=F_MMAPABLE) if spec.name == "frames" else spec
            for spec in self.module.maps()
        )
        code, _, _ = assemble(self.module.text())
        constants = self.module.manifest_constants(constants_offset(code))
        manifest = Manifest(
            VERSION, "0", self.module.options.limits, (), (), (), (), (), (), maps,
            (ProgramSpec("main", "raw_tp/main", "host"),), (), constants, self.module.program.words,
        )  # fmt: skip
        data = finish_object(code, manifest, self.module.infos, list(self.module.kfuncs), frame_size)
        self.loaded = load_object(data, features=frozenset())
        size = -(-frame_size // mmap.PAGESIZE) * mmap.PAGESIZE
        self.memory = mmap.mmap(self.loaded.maps["frames"].fd, size)

    def _write(self, routines: Mapping[str, Routine]) -> None:
        e = Emitter(self.module, "handler", "main", (("ctx", Pointer),), section="raw_tp/main")
        key = e.alloca(8)
        e.store(key, 0)
        frame = e.helper_pointer(helper_ids.MAP_LOOKUP, e.map("frames"), key)
        with e.when(e.is_null(frame)):
            e.ret(0)
        e.frame = frame
        e.top = e.high = self.module.frame_end
        failed = e.fresh("failed")
        e.error_labels.append(failed)
        chosen = e.load(e.at(self.arguments))
        for number, (name, (parameters, build)) in enumerate(routines.items()):
            with e.when(e.compare("eq", chosen, number)):
                with e.temporaries():
                    values = [e.load(e.at(self.arguments + 16 + 8 * i)) for i in range(len(parameters))]
                    if isinstance(build, Inline):
                        result = build.write(e, values)
                    else:
                        result = e.routine(name, parameters, build, *values)
                    e.store(e.at(self.arguments + 8), result)
                e.ret(0)
        e.ret(0)
        e.start_aside(failed)
        e.store(e.at(self.arguments + 8), ERROR)
        e.ret(0)
        self.module.frame_end = e.high
        self.module.add(e, "global", (("ctx", "context"),))

    def close(self) -> None:
        self.memory.close()
        self.loaded.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def call(self, name: str, *arguments: int | bytes) -> int:
        """The routine's result as a signed number."""
        words = [self.names.index(name), 0]
        used = 0
        for argument in arguments:
            if isinstance(argument, bytes):
                self.set_buffer(used, argument)
                words.append(self.buffers[used])
                used += 1
            else:
                words.append(argument & (1 << 64) - 1)
        self.memory[self.arguments : self.arguments + 8 * len(words)] = struct.pack(f"<{len(words)}Q", *words)
        bpf.test_run(self.loaded.programs["main"])
        result: int = struct.unpack_from("<q", self.memory, self.arguments + 8)[0]
        return result

    def set_buffer(self, number: int, content: bytes) -> None:
        at = self.buffers[number]
        # what lies behind a string is garbage, as in a real frame
        self.memory[at + 8 : at + self.module.header.buffer_size] = b"\xa5" * (
            self.module.header.buffer_size - 8
        )
        self.memory[at : at + 8 + len(content)] = struct.pack("<Q", len(content)) + content

    def buffer(self, number: int) -> bytes:
        at = self.buffers[number]
        (length,) = struct.unpack_from("<Q", self.memory, at)
        return bytes(self.memory[at + 8 : at + 8 + length])
