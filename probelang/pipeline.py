"""From script to running session: the order of the phases, and nothing else.

    SourceFile -> syntax -> resolved -> typed -> layout -> Artifact (object and manifest) -> Session
                                        typed -> Manifest -> Session       where nothing is to run in the kernel

After each phase `hooks.emit(stage, value)` sees what it made; that is how `--emit` works. A mistake of the user
leaves a phase as CompileError; any other exception is a bug and leaves as InternalError with the phase's name.
Phases are imported when they run: a saved object runs without lark and LLVM.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from probelang.artifact.points import is_process_point
from probelang.diag import CompileError, Diagnostic, InternalError
from probelang.options import Options
from probelang.source import SourceFile

if TYPE_CHECKING:
    from probelang import resolved, syntax, typed
    from probelang.artifact.manifest import Manifest
    from probelang.dwarf.files import Files
    from probelang.resolve.codesets import CodeSets
    from probelang.resolve.listing import Listed

STAGES = ("tokens", "syntax", "resolved", "typed", "layout", "llvm", "asm", "manifest")
KERNEL_STAGES = ("layout", "llvm", "asm")  # those that the ptrace backend does not need


def _ignore_stage(stage: str, value: object) -> None: ...


def _ignore_time(phase: str, seconds: float) -> None: ...


def _ignore_warnings(warnings: Sequence[Diagnostic]) -> None: ...


@dataclass(frozen=True, slots=True)
class Hooks:
    """Who watches a compilation: `emit` after each stage, `timed` after each phase, `warn` with its warnings, `progress` while
    something takes long. `stage`: the one that is asked for with --emit."""

    emit: Callable[[str, object], None] = _ignore_stage
    timed: Callable[[str, float], None] = _ignore_time
    warn: Callable[[Sequence[Diagnostic]], None] = _ignore_warnings
    stage: str | None = None
    progress: Callable[[str, int, int], None] | None = None

    def wants(self, stage: str) -> bool:
        """For what is costly to make and used by no later phase."""
        return self.stage == stage


@dataclass(frozen=True, slots=True)
class Artifact:
    """A compiled script. `code`: the finished BPF ELF object, which carries the manifest too; empty where there is none."""

    code: bytes
    manifest: Manifest


QUIET = Hooks()


@contextmanager
def phase(name: str, source: SourceFile, hooks: Hooks) -> Generator[None]:
    """Names the phase in which a bug shows, and takes the time."""
    started = time.perf_counter()
    try:
        yield
    except (CompileError, Stop, BrokenPipeError):
        raise
    except RecursionError:
        from probelang.diag.invocation import NestedTooDeeply

        raise CompileError([NestedTooDeeply(path=source.name)]) from None
    except Exception as error:
        from probelang.dwarf.image import BinaryError

        if isinstance(
            error, BinaryError
        ):  # a file shows to be damaged where nobody knows a place in the script
            raise CompileError([error.diagnostic]) from None
        raise InternalError(name) from error
    hooks.timed(name, time.perf_counter() - started)


class Stop(Exception):
    """Raised by an `emit` that wants nothing further."""


def parse_source(source: SourceFile, options: Options, hooks: Hooks = QUIET) -> syntax.Program:
    """Tokens, preprocessor and grammar."""
    with phase("parse", source, hooks):
        from probelang.library import LibrarySet
        from probelang.parse import parse, tokenize

        macros = LibrarySet.open(options).macros()
        if hooks.wants("tokens"):
            hooks.emit("tokens", tokenize(source, options, macros))
        parsed = parse(source, options, macros)
        hooks.emit("syntax", parsed.program)
    hooks.warn(parsed.warnings)
    return parsed.program


def resolve_source(
    source: SourceFile, options: Options, hooks: Hooks = QUIET, files: Files | None = None
) -> resolved.Program:
    """Names and probe points."""
    return resolve_program(parse_source(source, options, hooks), options, hooks, files)


def list_places(point: str, options: Options, variables: bool, hooks: Hooks = QUIET) -> tuple[Listed, ...]:
    """The places that a probe point means. `variables`: with what can be read there."""
    files = _open_files(hooks)
    program = resolve_point(point, options, hooks, files)
    with phase("list", SourceFile("<probe point>", point), hooks):
        from probelang.resolve.listing import places

        return tuple(places(program, files, variables))


def _open_files(hooks: Hooks) -> Files:
    """For one compilation. What a script names in `@cast` and `@var` is found as in a probe point."""
    from probelang.dwarf.files import Files

    def locate(name: str) -> str:
        from probelang.resolve.paths import Host, programs

        return programs(name, Host.current(files))[0]

    files = Files(locate, hooks.progress)
    return files


def resolve_point(
    point: str, options: Options, hooks: Hooks = QUIET, files: Files | None = None
) -> resolved.Program:
    """Everything that a probe point means, as probes with empty handlers."""
    with phase("parse", SourceFile("<probe point>", point), hooks):
        from probelang import syntax
        from probelang.parse import parse_probe_point

        points = parse_probe_point(point, options)
        span = points[0].span
        program = syntax.Program(span, (syntax.Probe(span, points, syntax.Block(span, ())),))
    return resolve_program(program, options, hooks, files)


def resolve_program(
    program: syntax.Program, options: Options, hooks: Hooks, files: Files | None = None
) -> resolved.Program:
    """`files`: those opened by this compilation, with their debug information."""
    with phase("resolve", program.span.source, hooks):
        from probelang.library import LibrarySet
        from probelang.resolve import resolve

        found = resolve(program, LibrarySet.open(options), options, files=files)
        hooks.emit("resolved", found.program)
    hooks.warn(found.warnings)
    return found.program


def type_source(source: SourceFile, options: Options, hooks: Hooks = QUIET) -> typed.Program:
    """Names, probe points, types: everything that a script can be wrong in."""
    files = _open_files(hooks)
    program = resolve_source(source, options, hooks, files)
    with phase("check", source, hooks):
        from probelang.check import check

        opened: list[CodeSets] = []

        def codes() -> CodeSets:
            if not opened:
                from probelang.resolve.codesets import open_code_sets

                opened.append(open_code_sets(options, files))
            return opened[0]

        checked = check(program, options, files=files, codes=codes)
        hooks.emit("typed", checked.program)
    hooks.warn((*checked.warnings, *(warning for sets in opened for warning in sets.warnings)))
    return checked.program


def compile_source(source: SourceFile, options: Options, hooks: Hooks = QUIET) -> Artifact:
    """The whole way to a BPF object. Same source, same binaries, same options: same bytes."""
    return _compile(type_source(source, options, hooks), source, options, hooks)


def interpret_source(source: SourceFile, options: Options, hooks: Hooks = QUIET) -> Manifest:
    """The way of the ptrace backend, which needs no object: neither layout nor LLVM take part."""
    return _interpret(type_source(source, options, hooks), source, options, hooks)


def prepare_source(source: SourceFile, options: Options, hooks: Hooks = QUIET) -> Artifact:
    """What a session needs: an object only where programs in the kernel are to run, else no code."""
    checked = type_source(source, options, hooks)
    wants_code = any(hooks.wants(stage) for stage in KERNEL_STAGES)
    has_programs = options.backend == "kernel" and any(is_process_point(p.point) for p in checked.probes)
    if wants_code or has_programs:
        return _compile(checked, source, options, hooks)
    return Artifact(b"", _interpret(checked, source, options, hooks))


def _compile(checked: typed.Program, source: SourceFile, options: Options, hooks: Hooks) -> Artifact:
    with phase("layout", source, hooks):
        from probelang.layout import lay_out

        laid_out = lay_out(checked, options)
        hooks.emit("layout", laid_out)
    with phase("code generation", source, hooks):
        from probelang.llvm import compile_program

        compiled = compile_program(laid_out, options, want_assembly=hooks.wants("asm"))
        hooks.emit("llvm", compiled.ir)
        hooks.emit("asm", compiled.assembly)
        hooks.emit("manifest", compiled.manifest)
    return Artifact(compiled.code, compiled.manifest)


def _interpret(checked: typed.Program, source: SourceFile, options: Options, hooks: Hooks) -> Manifest:
    with phase("interpretation", source, hooks):
        from probelang.interpret import interpret

        manifest = interpret(checked, options.limits)
        hooks.emit("manifest", manifest)
    return manifest


def known_features() -> frozenset[str]:
    """Every optional kernel feature, by the names of --without and `probelang doctor`."""
    from probelang.runtime.features import FEATURES

    return frozenset(FEATURES)


def kernel_features() -> frozenset[str]:
    """What the kernel of this machine has; asked once per boot and user, then cached."""
    from probelang.runtime.features import detect

    return detect()
