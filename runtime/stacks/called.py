"""What a script makes of stacks and functions: which builtins its code calls that give tokens.

makes_tokens(manifest)      ->  True of `probe P { seen[ubacktrace()]++ }`
"""

from __future__ import annotations

from probelang.artifact.code import Call
from probelang.artifact.manifest import Manifest
from probelang.artifact.stackkeys import STACK_CALLS
from probelang.artifact.walk import walk

NAME_CALLS = frozenset(("caller", "usymname", "usymdata", "umodname", "usymfile", "usymline", "usymfileline"))
"""Builtins of the kernel half whose value stands for what is at a place; of those in STACK_CALLS it stands for a stack."""


def makes_tokens(manifest: Manifest) -> bool:
    """Whether strings of the script may hold what stands for stacks or functions."""
    return bool(_called(manifest) & (STACK_CALLS | NAME_CALLS))


def names_functions(manifest: Manifest) -> bool:
    """Whether they may hold what stands for functions."""
    return bool(_called(manifest) & NAME_CALLS)


def _called(manifest: Manifest) -> frozenset[str]:
    """Names of the builtins that the script calls."""
    handlers = tuple(part for probe in manifest.probes for part in (probe.before, probe.handler))
    return frozenset(node.name for node in walk((handlers, manifest.functions)) if isinstance(node, Call))
