"""The least that a probe at entry and return costs: a program that returns at once, set on a function while a command runs.

python -m bench.emptysession PROGRAM FUNCTION WORDS...      sets it on FUNCTION of PROGRAM and runs PROGRAM WORDS...
"""

from __future__ import annotations

import os
import subprocess
import sys

from probelang.dwarf.binary import open_binary
from probelang.runtime import bpf
from probelang.runtime.attach import attach_sites

RETURN_0 = bytes.fromhex("b700000000000000 9500000000000000".replace(" ", ""))


def main() -> int:
    path, function, *words = sys.argv[1:]
    binary = open_binary(path)
    symbol = binary.symbols_named(function.encode())[0]
    offset = binary.image.offset_of(symbol.address)
    assert offset is not None
    program = bpf.load_program(
        "empty", bpf.PROG_KPROBE, RETURN_0, expected_attach_type=bpf.ATTACH_UPROBE_SESSION
    )
    attachment = attach_sites(program, path, (offset,), (0,), is_return=True, session=True)
    try:
        return subprocess.run([path, *words], check=False).returncode
    finally:
        attachment.close()
        os.close(program)


if __name__ == "__main__":
    sys.exit(main())
