"""Questions about callers as typed code: where the caller is at each kind of place, and which code is asked about.

What is said of mistakes stands word by word in `callers/NAME.err`, beside its script; `pytest --update-golden` writes them anew.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from probelang import typed
from probelang.artifact.code import Block, Type
from probelang.artifact.points import FunctionPoint
from probelang.check import dump
from probelang.diag import CompileError
from probelang.diag.render import render_text
from probelang.options import Options
from probelang.pipeline import type_source
from probelang.source import SourceFile

FOLDER = Path(__file__).with_name("callers")
SCRIPTS = sorted(FOLDER.glob("*.probe"))
MANY = 400
AT_ENTRY = '(user_return_address(u_register("rsp")) + -1)'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("programs")
    many = "".join(f"long many_{i}(long n) {{ return n + {i}; }}\n" for i in range(MANY))
    (made / "many.c").write_text(f"{many}int main(void) {{ return many_0(0); }}\n")
    for command in (
        ["gcc", "-O1", "-g", FOLDER / "program.c", "-o", "program"],
        ["strip", "--strip-debug", "-o", "stripped", "program"],
        ["gcc", "-O1", "-g", "many.c", "-o", "many"],
    ):
        subprocess.run([str(word) for word in command], check=True, cwd=made)
    return made


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_message(
    path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(CompileError) as caught:
        type_source(SourceFile(path.name, path.read_text()), Options())
    found = render_text(caught.value.diagnostics).replace(f"{folder}/", "/folder/")
    golden = path.with_suffix(".err")
    if request.config.getoption("update_golden"):
        golden.write_text(found)
    assert found == golden.read_text()


@pytest.fixture
def program(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def check(script: str, file: str = "program") -> typed.Program:
    text = script.replace("P.", f'process("./{file}").')
    return type_source(SourceFile("x", text), Options())


def code_of(script: str, file: str = "program") -> str:
    """The typed code that follows `probe`, without places in files."""
    text = dump(check(script, file))
    return text[text.index("\nprobe ") + 1 :] if "\nprobe " in text else text


pytestmark = pytest.mark.usefixtures("program")

# ---------------------------------------------------------------------------------------- where the caller is


def test_at_an_entry_the_return_address_lies_at_the_stack_pointer() -> None:
    assert f"code_in({AT_ENTRY}, 0)" in code_of(
        'probe P.function("leaf") { if (caller is function("outer")) exit() }'
    )


def test_at_a_slot_of_the_plt_too(folder: Path) -> None:
    (folder / "calls.c").write_text(
        "#include <stdlib.h>\nint main(int c, char **v) { return atoi(v[0]) + c; }\n"
    )
    subprocess.run(["gcc", "-O1", "calls.c", "-o", "calls"], check=True, cwd=folder)
    assert f"code_in({AT_ENTRY}, 0)" in code_of(
        'probe P.plt("strtol") { if (caller is function("main")) exit() }', "calls"
    )


def test_in_a_return_probe_it_is_where_the_function_has_returned_to() -> None:
    found = code_of('probe P.function("leaf").return { if (caller is function("outer")) exit() }')
    assert "code_in((uaddr() + -1), 0)" in found


def test_a_condition_of_a_return_probe_asks_at_the_entry() -> None:
    found = dump(check('probe P.function("leaf").return when (caller is function("outer")) { exit() }'))
    assert f"when (code_in({AT_ENTRY}, 0))" in found


def test_within_a_function_its_frame_tells() -> None:
    found = code_of(
        'probe P.statement("outer@program.c:7") { if (caller is function("main")) println(caller_addr()) }'
    )
    assert re.search(r'code_in\(\(user_return_address\(\(u_register\("rsp"\) \+ \d+\)\) \+ -1\), 0\)', found)
    assert re.search(r'"%d\\n", user_return_address\(\(u_register\("rsp"\) \+ \d+\)\)', found)


def test_behind_the_prologue_that_stores_parameters_too(folder: Path) -> None:
    subprocess.run(["gcc", "-O0", "-g", FOLDER / "program.c", "-o", "slow"], check=True, cwd=folder)
    found = code_of('probe P.function("leaf") { if (caller is function("outer")) println($n) }', "slow")
    assert 'code_in((user_return_address((u_register("rbp") + 8)) + -1), 0)' in found


def test_without_a_description_of_the_frame_the_stack_tells(folder: Path) -> None:
    lines = subprocess.run(
        ["objdump", "-d", "stripped"], capture_output=True, text=True, check=True, cwd=folder
    ).stdout
    body = lines[lines.index("<outer>:") :]
    inside = re.findall(r"^ +(\w+):", body, re.MULTILINE)[2]
    found = code_of(f'probe P.statement(0x{inside}) {{ if (caller is function("main")) exit() }}', "stripped")
    assert "code_in((ustack(1) + -1), 0)" in found


@pytest.mark.parametrize("point", ["timer.profile", "P.syscall", "P.syscall.return"])
def test_timers_and_system_calls_have_the_stack(point: str) -> None:
    script = f'probe {point} {{ if (caller is process("./program").function("outer")) println(caller()) }}'
    found = code_of(script)
    assert "code_in((ustack(1) + -1), 0)" in found and "caller((ustack(1) + -1))" in found
    assert ("(ustack(0) != 0) && " in found) == (point == "timer.profile")  # it meets threads of the kernel


def test_what_is_inlined_is_called_by_what_is_around_it() -> None:
    script = """probe P.function("small") { println(caller is function("outer"), caller is function("small"), caller is function("main"),
        caller in process("./program"), caller in library("libc.so.6"), caller is statement("*@program.c:6"),
        caller is statement("outer@program.c:7"), caller()) }"""
    assert '1, 0, 0, 1, 0, 1, 0, "outer")' in code_of(script)


def test_names_and_addresses_of_callers() -> None:
    found = code_of('probe P.function("leaf") { println(caller(), caller_addr(), callers(3)) }')
    address = 'user_return_address(u_register("rsp"))'
    assert f"caller(({address} + -1)), {address}, callers(3))" in found


def test_functions_of_the_script_ask_for_the_place_that_calls_them() -> None:
    script = """function asks() { return caller is function("outer") }
        probe P.function("leaf") { println(asks()) } probe P.function("leaf").return { println(asks()) }"""
    program = check(script)
    codes = [dump(program).split(f"function #{n}")[1].split("\n")[1].strip() for n in range(2)]
    assert sorted(codes) == sorted([f"return code_in({AT_ENTRY}, 0)", "return code_in((uaddr() + -1), 0)"])


def test_a_function_of_the_script_may_take_the_name_of_a_builtin() -> None:
    found = code_of(
        'function caller() { return 5 } probe P.function("leaf") { println(caller()) } probe begin { println(caller()) }'
    )
    assert "caller#0()" in found


# ------------------------------------------------------------------------------------------ which code is asked


def test_equal_questions_are_one_set() -> None:
    program = check("""probe P.function("leaf") { println(caller is function("outer"), caller in function("outer")) }
        probe P.function("outer") { println(caller is function("outer"), caller is function("main")) }""")
    assert [found.text for found in program.code_sets] == ['function("outer")', 'function("main")']


def test_code_without_a_file_is_of_the_probed_file(folder: Path) -> None:
    program = check("""probe P.function("leaf") { println(caller is function("main")) }
        probe process("./many").function("many_1") { println(caller is function("main")) }""")
    paths = [file.path for found in program.code_sets for file in found.files]
    assert paths == [str(folder / "program"), str(folder / "many")]


def test_a_question_is_a_number() -> None:
    program = check('global n probe P.function("leaf") { n += caller is function("outer") }')
    assert program.variables[0].value is Type.LONG


def test_many_entries_stay_one_probe() -> None:
    program = check(
        'global n probe P.function("many_*") { if (caller is function("main")) n[caller()]++ }', "many"
    )
    (probe,) = program.probes
    assert isinstance(probe.point, FunctionPoint) and len(probe.point.sites) == MANY


def test_copies_that_were_inlined_are_told_apart_from_entries() -> None:
    program = check('probe P.function("*[lr]") { println(caller is function("main")) }')
    sites = [
        sorted({s.function for s in p.point.sites})
        for p in program.probes
        if isinstance(p.point, FunctionPoint)
    ]
    assert ["small"] in sites and any("outer" in names for names in sites)
    assert not any({"small", "outer"} <= set(names) for names in sites)


# ------------------------------------------------------------------------------------------------ hooked returns


def test_within_hooks_returns_by_probes_without_code() -> None:
    program = check(
        'global n probe P.function("leaf") { if (within function("outer")) n++ if (within function("outer")) n++ }'
    )
    first, hidden = program.probes
    (hook,) = program.code_sets[0].hooks
    assert isinstance(first.point, FunctionPoint) and isinstance(hidden.point, FunctionPoint)
    assert hidden.point.is_return and tuple(s.offset for s in hidden.point.sites) == hook.offsets
    assert hidden.handler.body == Block(()) and hidden.name == 'within function("outer")'


def test_one_process_alone_is_hooked_where_only_it_asks() -> None:
    program = check('global n probe P.function("leaf") { n += within function("outer") }')
    point = program.probes[1].point
    assert isinstance(point, FunctionPoint) and point.pid is None


def test_what_has_no_returns_to_hook_needs_no_probe() -> None:
    text = 'global n probe P.function("leaf") { n += within statement("outer@program.c:*") }'
    assert len(check(text).probes) == 1


def test_of_what_is_inlined_the_functions_around_it_are_hooked() -> None:
    program = check('global n probe P.function("leaf") { n += within function("small") }')
    _, hidden = program.probes
    (found,) = program.code_sets
    assert found.around is not None and isinstance(hidden.point, FunctionPoint)
    assert [tuple(s.offset for s in hidden.point.sites)] == [hook.offsets for hook in found.around.hooks]


def test_a_tracer_needs_no_hooks() -> None:
    text = 'global n probe process("./program").function("leaf") { n += within function("outer") }'
    assert len(type_source(SourceFile("x", text), Options(backend="ptrace")).probes) == 1


def test_sets_are_shown() -> None:
    text = dump(
        check(
            'probe P.function("leaf") { println(within function("outer"), caller in library("libc.so.6")) }'
        )
    )
    assert re.search(
        r'code #0 function\("outer"\)\n    \S+/program 0x\w+-0x\w+\n    \S+/program returns hooked at 0x\w+\n',
        text,
    )
    assert re.search(r'code #1 library\("libc\.so\.6"\)\n    \S+ all code\n', text)
