"""Every builtin that runs in the kernel has a lowering, and nothing else has."""

from __future__ import annotations

from probelang.builtins.table import ROWS
from probelang.llvm.calls.table import TABLE


def test_every_row_of_the_kernel_half_has_a_lowering() -> None:
    rows = {(row.name, len(row.parameters)) for row in ROWS if row.kernel}
    assert rows == set(TABLE)
