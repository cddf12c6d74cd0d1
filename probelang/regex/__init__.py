"""Regular expressions of `=~`: POSIX extended syntax in, a deterministic automaton over bytes out.

compile_pattern(b"^ab*c$")  ->  Automaton(states=5, table=..., accepting=(), accepting_end=(3,))
"""

from __future__ import annotations

from probelang.regex.automaton import STATE_LIMIT, TooManyStates, compile_pattern
from probelang.regex.pattern import PatternError

__all__ = ["STATE_LIMIT", "PatternError", "TooManyStates", "compile_pattern"]
