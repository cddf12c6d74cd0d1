"""A typed program as its manifest, for a runtime that runs every handler itself: no layout, no code, no LLVM.

    interpret(program, limits)  ->  Manifest(probes=(ProbeSpec(name, point, handler=...), ...), programs=(), maps=(), ...)

The manifest of an object is this one, and what is true of its programs (`probelang.llvm.compile`).
"""

from __future__ import annotations

from probelang import __version__, typed
from probelang.artifact.limits import Limits
from probelang.artifact.manifest import VERSION, Manifest, ProbeSpec, UserStorage


def interpret(program: typed.Program, limits: Limits) -> Manifest:
    """Every variable lives in user space, and nothing in a kernel."""
    return Manifest(
        version=VERSION,
        probelang=__version__,
        limits=limits,
        variables=program.variables,
        storages=tuple(UserStorage() for _ in program.variables),
        functions=program.functions,
        probes=tuple(
            ProbeSpec(p.name, p.point, (), p.handler, p.handler.at, p.before) for p in program.probes
        ),
        automata=program.automata,
        places=program.places,
        maps=(),
        programs=(),
        records=(),
        constants=(),
        words=(),
        code_sets=program.code_sets,
    )
