"""Names to things: from a script's syntax to its resolved program.

    resolve(program, libraries, options)  ->  ResolveResult(resolved.Program(...), warnings), or CompileError

Library files are pulled in, aliases unfolded, probe points turned into sites of files. `dump` shows the outcome
(`--emit resolved`).
"""

from __future__ import annotations

from probelang.resolve.dump import dump
from probelang.resolve.resolver import ResolveResult, resolve

__all__ = ["ResolveResult", "dump", "resolve"]
