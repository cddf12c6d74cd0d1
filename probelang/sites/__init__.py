"""Where a probe may stand: on an instruction boundary, and on an instruction that survives it.

judge(binary, address)          ->  None, or Refusal("its first instruction is `syscall`, ...")
judge_return(binary, function)  ->  None, or Refusal("...")
find_boundary(binary, address)  ->  None, or Refusal("... is the middle of the instruction at ...")
"""

from __future__ import annotations

from probelang.sites.boundary import enclosing_function, find_boundary
from probelang.sites.judge import Refusal, judge, judge_return
from probelang.sites.switching import switches_stacks

__all__ = ["Refusal", "enclosing_function", "find_boundary", "judge", "judge_return", "switches_stacks"]
