"""Every builtin that runs in the kernel has a lowering, and nothing else has."""

from __future__ import annotations

from probelang.builtins.table import ROWS
from probelang.check.registers import REGISTERS
from probelang.llvm.calls.arguments import REGISTER_NAMES, SEGMENT_BASES
from probelang.llvm.calls.table import TABLE


def test_every_row_of_the_kernel_half_has_a_lowering() -> None:
    rows = {(row.name, len(row.parameters)) for row in ROWS if row.kernel and not row.rewritten}
    assert rows == set(TABLE)


def test_every_register_that_the_checker_accepts_has_a_place() -> None:
    assert {*REGISTER_NAMES, *(name.decode() for name in SEGMENT_BASES)} >= REGISTERS
