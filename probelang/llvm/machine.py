"""LLVM itself: text in, BPF object out. The only module that knows llvmlite.

    machine = Machine(); machine.assemble(ir) -> (ELF bytes, assembly text)

Few passes, function by function: registers instead of stack slots, folding, dead code. Nothing that unrolls, vectorises
or moves code between functions: the verifier has to recognise what was written.
"""

# llvmlite has no type information; nothing of it leaves this module
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

from __future__ import annotations

from functools import cache

import llvmlite.binding as llvm

CPU = "v3"


@cache
def _target() -> llvm.Target:
    # LLVM ends the whole process when a function needs more stack than BPF has; we find that out ourselves (`stack_bytes`)
    llvm.set_option("probelang", "-bpf-stack-size=1000000")
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    return llvm.Target.from_triple("bpf")


def assemble(ir: str, want_assembly: bool = False) -> tuple[bytes, str, str]:
    """The object, its assembly (empty unless wanted) and the optimised module."""
    machine = _target().create_target_machine(cpu=CPU, opt=2)
    module = llvm.parse_assembly(ir)
    module.verify()
    optimise(module, machine)
    assembly = machine.emit_assembly(module) if want_assembly else ""
    return machine.emit_object(module), assembly, str(module) if want_assembly else ""


def optimise(module: llvm.ModuleRef, machine: llvm.TargetMachine) -> None:
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=1))
    passes = llvm.create_new_function_pass_manager()
    passes.add_sroa_pass()
    passes.add_instruction_combine_pass()
    passes.add_simplify_cfg_pass()
    passes.add_dead_code_elimination_pass()
    for function in module.functions:
        if not function.is_declaration:
            passes.run(function, builder)
