"""The code that the kernel maps into every process: an ELF file that lies in memory only, the same in all of them.

    read_vdso()  ->  b"\\x7fELF..."

Source: vdso(7).
"""

from __future__ import annotations

import os
from functools import cache

from probelang.runtime.mappings import read_mappings


@cache
def read_vdso() -> bytes:
    """Empty where there is none."""
    mapping = next((m for m in read_mappings(os.getpid()) if m.path == "[vdso]"), None)
    if mapping is None:
        return b""
    try:
        with open("/proc/self/mem", "rb", buffering=0) as memory:
            memory.seek(mapping.start)
            return memory.read(mapping.end - mapping.start)
    except OSError:
        return b""
