"""What may change the probed program, and what is said of the rest: the program is that of `variables/`."""

from __future__ import annotations

from pathlib import Path

import pytest

from probelang.diag import CompileError, Diagnostic
from probelang.options import Backend, Options
from probelang.pipeline import compile_source, type_source
from probelang.source import SourceFile
from tests.conftest import Compile

SOURCE = r"""
struct part { int id; long long wide[2]; };
union both { int n; float f; };
struct item { int id; struct part part; union both both; int list[3]; long double ld; double d; struct item *next; };
struct item first;
static const int limit = 3;
int (*callback)(int);
__attribute__((noinline)) int work(struct item *it, int n) { __asm__ volatile("" ::: "memory"); return it->id + n; }
__attribute__((noinline)) void nothing(int n) { __asm__ volatile("" ::: "memory"); }
int main(void) { nothing(limit); return work(&first, 2); }
"""


@pytest.fixture(scope="module")
def program(compile_c: Compile) -> Path:
    return compile_c(SOURCE, "-g", "-O2", name="changed")


def mistakes(
    program: Path, script: str, guru: bool = True, features: str = "", backend: Backend = "kernel"
) -> list[Diagnostic]:
    text = script.replace("PROGRAM", f'process("{program}")')
    options = Options(guru=guru, backend=backend, features=frozenset(features.split()))
    try:
        (compile_source if features else type_source)(SourceFile("test.probe", text), options)
    except CompileError as error:
        return list(error.diagnostics)
    return []


def test_nothing_is_changed_without_g_and_that_is_said_once(program: Path) -> None:
    script = """probe PROGRAM.function("work") {
      $it->id = 1; $n++; @var("first")->id += 2; it = $it; it->next[0]->id = 3; it->list[1] = 4; set_register("rax", 5)
    }"""
    (only,) = mistakes(program, script, guru=False)
    assert (only.code, only.help()) == ("E0330", "`-g` on the command line allows it")
    assert only.span is not None and only.span.text == "$it->id"
    assert mistakes(program, script) == []


@pytest.mark.parametrize("call", ['set_register("rax", 5)', "set_returnval(1)", "set_user_int8(uaddr(), 1)"])
def test_functions_that_change_the_program_need_g_too(program: Path, call: str) -> None:
    script = f'probe PROGRAM.function("work").return {{ {call} }}'
    assert [d.code for d in mistakes(program, script, guru=False)] == ["E0330"]
    assert mistakes(program, script) == []


@pytest.mark.parametrize(
    ("statement", "code", "words"),
    [
        ("$it->part = 1", "E0359", "it is a struct; its members can be"),
        ("$it->both = 1", "E0359", "it is a union; its members can be"),
        ("$it->list = 1", "E0359", "it is an array; its elements can be"),
        ("$it->ld = 1", "E0359", "floating point numbers of 16 bytes (`long double`) cannot be written"),
        ('@cast($it, "struct item") = 1', "E0359", "it has no place of its own here, only a value"),
        ("$it->d += 1", "E0356", "`$it->d` is a floating point number"),
        ("$it->d++", "E0356", "`$it->d` is a floating point number"),
        ('$it->id = "x"', "E0301", "expected long but found string"),
        ('$it->id .= "x"', "E0301", "expected string but found long"),
        ("$it->idd = 1", "E0342", "has no member `idd`"),
        ("$nn = 1", "E0340", "$nn"),
        ("$$vars = 1", "E0309", "cannot assign to `$$vars`"),
        ("$it$ = 1", "E0309", "cannot assign to an expression"),
        ("@uregister(5) = 1", "E0309", "cannot assign to `@uregister`"),
        ('@enum("X") = 1', "E0309", "cannot assign to `@enum`"),
        ("$n <<< 1", "E0308", "`<<<` needs an aggregate"),
        ('set_register("rsp", 1)', "E0332", "`rsp` cannot be set"),
        ('set_register("edi", 1)', "E0332", "`edi` cannot be set"),
        ('set_register("rxx", 1)', "E0332", "unknown register `rxx`"),
    ],
)  # fmt: skip
def test_what_cannot_be_changed_says_why(program: Path, statement: str, code: str, words: str) -> None:
    (only,) = mistakes(program, f'probe PROGRAM.function("work") {{ {statement} }}')
    assert only.code == code and words in only.title()


def test_parameters_in_a_return_probe_are_what_they_were(program: Path) -> None:
    for target in ("$n", "@entry($n)"):
        (only,) = mistakes(program, f'probe PROGRAM.function("work").return {{ {target} = 1 }}')
        assert only.code == "E0359" and "what it was when the function was entered" in only.title()
    good = "$return = $it->id; $it->id = 1; $first->part->id--; @entry($it)->id = 2"
    assert mistakes(program, f'probe PROGRAM.function("work").return {{ {good} }}') == []


def test_a_function_without_result_has_none_to_change(program: Path) -> None:
    assert [
        d.code for d in mistakes(program, 'probe PROGRAM.function("nothing").return { $return = 1 }')
    ] == ["E0346"]


def test_there_is_nothing_to_change_where_nothing_was_hit(program: Path) -> None:
    for statement in ("$n = 1", "set_returnval(1)", 'set_register("rax", 1)', "set_user_int64(1, 2)"):
        assert [d.code for d in mistakes(program, f"probe begin {{ {statement} }}")] == ["E0329"]


def test_bad_variables_that_are_skipped_are_not_changed(program: Path) -> None:
    text = f'probe process("{program}").function("work") {{ $zork = 3; $it->zork++; println($zork) }}'
    type_source(SourceFile("test.probe", text), Options(guru=True, skip_bad_variables=True))


OLD = "ring_buffer uprobe_multi cookie sleepable iterators for_each atomics raw_tracepoints rcu_kfuncs"


@pytest.mark.parametrize(
    ("statement", "feature"),
    [("$it->id = 1", "write_user"), ("$n = 1", "write_registers"), ("set_returnval(1)", "write_registers")],
)
def test_a_kernel_that_does_not_change_programs_is_named_with_the_way_out(
    program: Path, statement: str, feature: str
) -> None:
    script = f'probe PROGRAM.function("work") {{ {statement} }}'
    (only,) = mistakes(program, script, features=OLD)
    assert only.code == "E0507" and f"`{feature}`" in only.title() and "--backend ptrace" in only.help()
    assert only.span is not None and only.span.text in statement
    assert mistakes(program, script, features=f"{OLD} {feature}") == []


def test_registers_are_out_of_reach_for_code_that_the_kernel_calls(program: Path) -> None:
    script = 'global a probe PROGRAM.function("work") { foreach (k in a) $n = k; a[1] = 1 }'
    (only,) = mistakes(program, script, features=f"{OLD} write_registers")
    assert only.code == "E0508" and "--backend ptrace" in only.help()
    assert mistakes(program, script, backend="ptrace") == []
