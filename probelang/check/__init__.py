"""Names and types: from a resolved program to a typed one.

    check(program, options)  ->  CheckResult(typed.Program(...), warnings), or CompileError

Here it is decided what is a local and what a global, which overloads a call may reach, what type everything has, and what is
left out because nothing uses it. `dump` shows the outcome (`--emit typed`).
"""

from __future__ import annotations

from probelang.check.checker import CheckResult, check
from probelang.check.dump import dump

__all__ = ["CheckResult", "check", "dump"]
