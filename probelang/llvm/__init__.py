"""Lowering: a laid-out program to a BPF object. The only part of probelang that knows LLVM."""

from probelang.llvm.compile import Compiled, compile_program

__all__ = ["Compiled", "compile_program"]
