"""Layout to object: every clone, every probe, the host program, then LLVM, then the manifest.

    compile_program(layout, options)  ->  Compiled(code=ELF, manifest, ir, assembly)

Pure and deterministic: same program and options, same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from probelang.artifact.elf import read_elf
from probelang.artifact.manifest import Manifest, ProgramKind, ProgramSpec
from probelang.artifact.object import finish_object
from probelang.artifact.stacks import NAME_TOKEN_BYTES
from probelang.diag import CompileError
from probelang.diag.kernel import ChangeRefused, KernelTooOld, StringsTooShort
from probelang.interpret import interpret
from probelang.layout.program import EntryKind, Program
from probelang.llvm import follow, functions, handlers, host, machine
from probelang.llvm.module import Module
from probelang.llvm.needs import kernel_needs
from probelang.options import Options

KINDS: dict[EntryKind, ProgramKind] = {
    "uprobe": "uprobe", "profile": "perf_event", "alive": "iter_task", "exec": "raw_tracepoint",
    "fork": "raw_tracepoint", "exit": "raw_tracepoint", "syscall": "raw_tracepoint",
}  # fmt: skip
# what code may need of the kernel for its own sake: what for, and the first kernel that has it
NEEDED = {
    "iterators": ("a loop, or work on the characters of a string,", "6.4"),
    "for_each": ("foreach", "5.13"),
    "task_vma_iterator": ("finding out whose code an address is", "5.17 (or, so that it never fails, 6.7)"),
    "task_pt_regs": ("a register read at a system call or sample", "5.15"),
}
SHORTEST_STRINGS = 32  # that hold tokens
CHANGES = {
    "write_user": (
        "memory",
        "Linux 4.8 and newer have it for root, unless it is locked down (as with Secure Boot) or hardened",
    ),
    "write_registers": ("registers", "Linux 6.18 and newer have it, unless hardened"),
}


@dataclass(frozen=True, slots=True)
class Compiled:
    """`code`: the finished object, which carries the manifest. `ir`: the module as written; `assembly`: of BPF."""

    code: bytes
    manifest: Manifest
    ir: str
    assembly: str


def compile_program(program: Program, options: Options, want_assembly: bool = False) -> Compiled:
    """Raises CompileError for what the kernel half cannot have."""
    module = Module(program, options)
    if program.kernel:
        write_code(module)
    check(module)
    ir = module.text()
    code, assembly, _ = machine.assemble(ir, want_assembly)
    manifest = make_manifest(module, constants_offset(code))
    needs = kernel_needs(read_elf(code), manifest) | set(manifest.features)
    manifest = replace(manifest, features=tuple(sorted(needs)))
    finished = finish_object(code, manifest, module.infos, list(module.kfuncs), module.frame_size())
    return Compiled(finished, manifest, ir, assembly)


def write_code(module: Module) -> None:
    program = module.program
    for number, clone in enumerate(program.clones):
        if not clone.inline:
            module.span = program.source.spans[program.source.functions[clone.function].at]
            functions.compile_clone(module, number)
    for probe in program.kernel:
        source = program.source.probes[probe.index]
        module.span = program.source.spans[source.handler.at]
        handlers.compile_probe(module, probe)
    if program.mailbox is not None:
        host.compile_host(module)
    follow.compile_follow(module)


def check(module: Module) -> None:
    """What lowering has found out, and what this kernel lacks."""
    found = list(module.diagnostics)
    known = module.options.features
    for feature, span in module.features.items():
        if known and feature in NEEDED and feature not in known:
            what, kernel = NEEDED[feature]
            found.append(KernelTooOld(span=span, feature=feature, kernel=kernel, what=what))
        elif known and feature in CHANGES and feature not in known:
            what, where = CHANGES[feature]
            found.append(ChangeRefused(span=span, feature=feature, what=what, where=where))
    if module.makes_tokens and module.options.limits.string_size <= NAME_TOKEN_BYTES:
        found.append(StringsTooShort(span=module.span, least=SHORTEST_STRINGS))
    if found:
        raise CompileError(found)


def constants_offset(code: bytes) -> int:
    """Where the constants begin in `.rodata`; LLVM may have put something of its own before them."""
    return next(s.value for s in read_elf(code).symbols if s.name == "constants")


def make_manifest(module: Module, constants: int) -> Manifest:
    program, source = module.program, module.program.source
    kernel = {p.index: tuple(e.symbol for e in p.entries) for p in program.kernel}
    programs = [
        ProgramSpec(e.symbol, e.section, KINDS[e.kind], e.sleepable, e.tracepoint, e.session)
        for p in program.kernel
        for e in p.entries
    ]
    if program.kernel and program.mailbox is not None:
        programs.append(ProgramSpec(host.SYMBOL, host.SECTION, "host"))
    if program.kernel:
        programs += follow.PROGRAMS
    plain = interpret(source, module.options.limits)
    return replace(
        plain,
        storages=program.storages,
        probes=tuple(replace(p, programs=kernel.get(i, ())) for i, p in enumerate(plain.probes)),
        maps=module.maps(),
        programs=tuple(programs),
        records=tuple(module.records),
        constants=module.manifest_constants(constants),
        words=program.words,
        features=tuple(sorted(module.features)),
        needs_targets=bool(program.kernel),
        code_files=tuple(module.code_files),
    )
