"""`$arg1` and its like: what a script reads is what the program passed to its mark, by its own words, with both backends."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from probelang.options import Backend
from tests.conftest import Compile, Run

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
WAYS = (
    "gcc -O0",
    "gcc -O2",
    "gcc -O2 -fPIC",
    "gcc -O1 -no-pie -fno-pie",
    "clang -O2",
    "clang -O0",
    "clang -O1 -fPIC",
)
RAX = 0x8877_6655_4433_F281


def run(backend: Backend, script: str, command: str | Path, output: Path) -> tuple[str, str]:
    """What the script and the command said."""
    words = [sys.executable, "-m", "probelang", "run", "--backend", backend, "-o", str(output), "-e", script]
    done = subprocess.run(
        [*words, "-c", str(command)], capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return output.read_text(), done.stdout


def compiled(way: str, folder: Path) -> Path:
    compiler, *flags = way.split()
    if shutil.which(compiler) is None:
        pytest.skip(f"needs {compiler}")
    path = folder / "told"
    subprocess.run([compiler, *flags, "-w", "-o", str(path), str(HERE / "targets" / "told.c")], check=True)
    return path


@pytest.mark.parametrize("way", WAYS)
def test_operands_that_compilers_choose(way: str, backend: Backend, tmp_path: Path) -> None:
    told = compiled(way, tmp_path)
    script = (
        f'probe process("{told}").mark("values") {{ printf("%d %d %d %d\\n", $arg1, $arg2, $arg3, $arg4) }}'
    )
    found, expected = run(backend, script, told, tmp_path / "output")
    rows = [line for line in expected.splitlines() if len(line.split()) == 4]
    assert len(rows) == 3 + 4 + 4 * 3 + 3 + 2
    assert found.splitlines() == rows


def test_what_a_mark_says_of_itself(backend: Backend, tmp_path: Path) -> None:
    told = compiled("gcc -O2", tmp_path)
    script = (
        f'probe process("{told}").provider("t*").mark("last") {{ printf("%s %s %s|%s|%d%d%d\\n", $$name, $$provider, $$parms,'
        " pp(), @defined($arg1), @defined($arg2), @defined($arg3)) }"
    )
    found, said = run(backend, script, told, tmp_path / "output")
    (total,) = re.findall(r"^(-?\d+) -?\d+ -?\d+ -?\d+ -?\d+$", said, re.MULTILINE)
    assert found == (
        f"last told arg1={int(total) & (1 << 64) - 1:#x} arg2=0xfffffffffffffff8|"
        f'process("{told}").provider("told").mark("last")|110\n'
    )


# ------------------------------------------------------------------------------------------- chosen by hand

FORMS: tuple[tuple[str, int], ...] = (
    ("8@%rax", RAX), ("-8@%rax", RAX), ("4@%eax", 0x4433_F281), ("-4@%eax", 0x4433_F281), ("-4@%edx", -2), ("4@%edx", 0xFFFF_FFFE),
    ("2@%ax", 0xF281), ("-2@%ax", 0xF281 - 0x10000), ("1@%al", 0x81), ("-1@%al", 0x81 - 0x100), ("1@%ah", 0xF2), ("-1@%ah", 0xF2 - 0x100),
    ("-1@%dl", -2), ("1@%sil", 3), ("-2@%r8w", -4), ("1@%r8b", 0xFC), ("4@%r8d", 0xFFFF_FFFC), ("8@%r15", 15), ("-4@%ebp", 77),
    ("-4@$-5", -5), ("8@$0x10", 16), ("1@$-1", 255),
    ("8@(%rbx)", 100), ("8@8(%rbx)", 101), ("8@-8(%rbx)", 99), ("-4@16(%rbx)", 102), ("1@24(%rbx)", 103), ("-2@8+8(%rbx)", 102),
    ("8@(%rbx,%rsi,8)", 103), ("8@-16(%rbx,%rsi,8)", 101), ("8@0x8(%rbx, %rsi, 8)", 104), ("8@(%rbx,%r8,8)", 96), ("8@(,%r9,8)", 100),
    ("8@16(,%r9,8)", 102), ("8@forms_row+24(%rip)", 99), ("8@forms_row(,%rsi,8)", 99), ("%rsi", 3), ("%ah", 0xF2),
)  # fmt: skip
REGISTERS = {"rax": RAX, "rdx": -2, "rsi": 3, "r8": -4, "r15": 15, "rbp": 77}


def source() -> str:
    """A mark for every form, at one place: rbx points into a row of numbers that begins with 96."""
    sets = "".join(f'"movabs ${value}, %%{name}\\n"' for name, value in REGISTERS.items())
    notes = "".join(
        f'MARK_NOTE(forms, form{i}, "0", "{text.replace("%", "%%")}")' for i, (text, _) in enumerate(FORMS)
    )
    names = ", ".join(f'"{name}"' for name in ("rax", "rbx", "rdx", "rsi", "r8", "r9", "r15", "memory"))
    return f"""
    #include "{HERE / "targets" / "mark.h"}"
    long forms_row[16] = {{ 96, 97, 98, 99, 100, 101, 102, 103, 104 }};
    __attribute__((noinline)) void forms(void) {{
      __asm__ volatile("push %%rbp\\nlea 32+forms_row(%%rip), %%rbx\\nmov %%rbx, %%r9\\nshr $3, %%r9\\n" {sets} {notes} "pop %%rbp\\n" ::: {names});
    }}
    int main(void) {{ forms(); }}
    """


def test_every_form_of_an_operand(compile_c: Compile, backend: Backend, tmp_path: Path) -> None:
    program = compile_c(source(), "-O1", "-no-pie", "-mno-red-zone", name="forms")
    script = "".join(
        f'probe process("{program}").mark("form{i}") {{ printf("%s %d\\n", $$name, $arg1) }}'
        for i in range(len(FORMS))
    )
    found, _ = run(backend, script, program, tmp_path / "output")
    expected = [(value + (1 << 63)) % (1 << 64) - (1 << 63) for _, value in FORMS]
    assert found.splitlines() == [f"form{i} {value}" for i, value in enumerate(expected)]


FLOATS = """
double rates[3] = { 0.5, -2.5, 1e300 };
float share = 0.125f;
int main(void) {
  __asm__ volatile("movabs $0x4008000000000000, %%rbx\\nmov $0xbfc00000, %%ecx\\n"
                   MARK_NOTE(odd, floats, "0", "8f@%%rbx 4f@%%ecx 8f@rates+8(%%rip) 4f@share(%%rip)") ::: "rbx", "rcx");
}
"""


def test_floating_point_numbers(compile_c: Compile, backend: Backend, tmp_path: Path) -> None:
    program = compile_c(f'#include "{HERE / "targets" / "mark.h"}"\n{FLOATS}', "-O1", name="mark_floats")
    script = f'probe process("{program}").mark("floats") {{ printf("%f %f %f %f\\n", $arg1, $arg2, $arg3, $arg4) }}'
    found, _ = run(backend, script, program, tmp_path / "output")
    assert found == "3.000000 -1.500000 -2.500000 0.125000\n"


def test_marks_of_a_library_of_one_program(compile_c: Compile, backend: Backend, tmp_path: Path) -> None:
    library = compile_c(HERE / "targets" / "lender.c", "-O1", "-shared", "-fPIC", name="liblent.so")
    flags = ("-O1", str(library), f"-Wl,-rpath,{library.parent}")
    borrower, other = (
        compile_c("long lend(long); int main(void) { return lend(3) != 3; }", *flags, name=name)
        for name in ("borrower", "other_borrower")
    )
    script = f"""
    global n
    probe process("{borrower}").library("liblent.so").mark("lent") {{ printf("%d %d\\n", $arg1, $arg2) }}
    probe process("{library}").provider("library").mark("*") {{ n++ }}
    probe end {{ println(n) }}
    """
    found, _ = run(backend, script, f"/bin/sh -c '{borrower}; {other}; :'", tmp_path / "output")
    assert found == "0 0\n1 -1\n2 -2\n6\n"


def test_what_cannot_be_read_is_a_mistake_with_its_reason(compile_c: Compile, probelang: Run) -> None:
    program = compile_c(
        f'#include "{HERE / "targets" / "mark.h"}"\n'
        'int main(void) { MARK_TEXT(odd, vector, "8f@%xmm0 8@nosuch(%rip) -4@$3"); }', name="unreadable"
    )  # fmt: skip
    for argument, reason in (("$arg1", "vector register"), ("$arg2", "nosuch"), ("$arg4", "$arg3")):
        told = probelang(
            "check", "-e", f'probe process("{program}").mark("vector") {{ println({argument}) }}'
        )
        assert told.status == 1
        assert argument in told.stderr and reason in told.stderr
    fine = probelang(
        "check",
        "-e",
        f'probe process("{program}").mark("vector") {{ println($arg3, $$parms, @defined($arg1)) }}',
    )
    assert fine.status == 0, fine.stderr
