"""A manifest without an object says the same of a script as that of its object."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from probelang.artifact.manifest import Manifest, UserStorage
from probelang.artifact.object import read_object
from probelang.options import Options
from probelang.pipeline import compile_source, interpret_source, prepare_source
from probelang.source import SourceFile

ROOT = Path(__file__).parent.parent.parent
PROGRAM = sys.executable
SCRIPT = SourceFile(
    "x.probe",
    """
global calls, longest, places
probe process.begin { calls[execname()]++; places <<< strlen(execname()) }
probe process.syscall { if ($syscall > longest) longest = $syscall }
probe timer.s(1) { foreach (name in calls-) printf("%s %d\\n", name, calls[name]) }
probe end { println(longest, @count(places)) }
""",
)


def interpreted(script: SourceFile = SCRIPT) -> Manifest:
    return interpret_source(script, Options(command=PROGRAM, backend="ptrace"))


def test_what_the_script_means_is_the_same_as_in_an_object() -> None:
    plain = interpreted()
    compiled = read_object(compile_source(SCRIPT, Options(command=PROGRAM)).code)[1]
    for name in ("version", "limits", "variables", "functions", "automata", "places"):
        assert getattr(plain, name) == getattr(compiled, name)
    assert [(p.name, p.point, p.at) for p in plain.probes] == [
        (p.name, p.point, p.at) for p in compiled.probes
    ]


def test_every_probe_has_its_handler_in_both() -> None:
    compiled = read_object(compile_source(SCRIPT, Options(command=PROGRAM)).code)[1]
    handlers = [probe.handler for probe in compiled.probes]
    assert len(handlers) == 4 and None not in handlers
    assert [probe.handler for probe in interpreted().probes] == handlers


def test_nothing_of_it_is_for_a_kernel() -> None:
    plain = interpreted()
    assert plain.storages == (UserStorage(),) * 3
    assert (plain.maps, plain.programs, plain.records, plain.constants, plain.words) == ((), (), (), (), ())
    assert not any(probe.programs for probe in plain.probes)


def test_a_session_gets_an_object_only_where_programs_are_to_run() -> None:
    timers = SourceFile("y.probe", "probe begin { println(1) } probe timer.s(1) { exit() }")
    assert prepare_source(SCRIPT, Options(command=PROGRAM)).code
    assert not prepare_source(SCRIPT, Options(command=PROGRAM, backend="ptrace")).code
    assert not prepare_source(timers, Options()).code


def test_no_llvm_is_needed() -> None:
    code = (
        "import sys; sys.modules['llvmlite'] = None\n"
        "from tests.interpret.test_interpret import interpreted\n"
        "print(len(interpreted().probes), 'probelang.layout' in sys.modules, 'probelang.llvm' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "4 False False\n"
