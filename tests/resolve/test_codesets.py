"""Sets of code for predicates about callers: each byte of a program is in one where addr2line, nm and readelf say that it is."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest

from probelang.artifact.codesets import CodeFile, CodeSet
from probelang.diag import CompileError, Diagnostic
from probelang.dwarf.files import Files
from probelang.options import Options
from probelang.parse import parse
from probelang.resolve import hooks
from probelang.resolve.codesets import CodeSets, open_code_sets
from probelang.resolved import Surroundings
from probelang.source import SourceFile
from probelang.syntax import Assign, CodeTest, ExpressionStatement, Probe
from tests.conftest import Compile

SOURCE = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define ALONE __attribute__((noinline, noclone))
volatile long zero;
ALONE long leaf(long n) { return n + zero; }
static inline __attribute__((always_inline)) long small(long n)
{
    long sum = leaf(n);
    sum += leaf(sum);
    return sum;
}
ALONE long outer(long n)
{
    long sum = small(n);
    return small(sum) + leaf(n);
}
ALONE long rare(long n)
{
    if (__builtin_expect(n == 12345678 + zero, 0)) {
        printf("rare %ld\n", n);
        for (long i = 0; i < n; i++) printf("%ld\n", leaf(i));
        abort();
    }
    return leaf(n);
}
static long sized(char *text, long length, long how)
{
    long sum = 0;
    for (long i = 0; i < length; i++) sum += leaf(text[i]) * how;
    return sum;
}
ALONE long again(long n) { return n > 1 ? again(n - 1) * leaf(n) : small(n); }
int main(int argc, char **argv)
{
    long sum = outer(argc) + rare(argc) + again(argc);
    sum += sized(argv[0], strlen(argv[0]), 3);
    sum += sized(argv[argc - 1], strlen(argv[argc - 1]), 3);
    return sum == 1;
}
"""
LEVELS = ("-O0", "-O1", "-O2", "-O3")
FUNCTIONS = ("leaf", "small", "outer", "rare", "sized", "again", "main")
CPP = r"""
#include <stdexcept>
__attribute__((noinline)) long thrower(long n) { if (n > 5) throw std::runtime_error("n"); return n; }
extern "C" __attribute__((noinline)) long around(long n) { try { return thrower(n); } catch (...) { return 0; } }
int main(int argc, char **) { return around(argc) == 9; }
"""


@pytest.fixture(scope="module", params=LEVELS)
def program(request: pytest.FixtureRequest, compile_c: Compile) -> Path:
    return compile_c(SOURCE, request.param, "-g", name=f"codesets{request.param}")


@pytest.fixture(scope="module")
def plain(compile_c: Compile) -> Path:
    return compile_c(SOURCE, "-O2", "-g", name="codesets_plain")


@pytest.fixture(scope="module")
def stripped(plain: Path) -> Path:
    """With symbols and without debug information."""
    made = plain.with_name("codesets_symbols")
    subprocess.run(["strip", "--strip-debug", "-o", str(made), str(plain)], check=True)
    return made


def question(text: str) -> CodeTest:
    (probe,) = parse(SourceFile("x", f"probe begin {{ x = {text} }}"), Options()).program.declarations
    assert isinstance(probe, Probe)
    (statement,) = probe.body.statements
    assert isinstance(statement, ExpressionStatement) and isinstance(statement.value, Assign)
    assert isinstance(statement.value.value, CodeTest)
    return statement.value.value


def find(text: str, path: Path | None = None, options: Options | None = None) -> CodeSet:
    around = Surroundings("p", None if path is None else str(path), None if path is None else str(path))
    return open_code_sets(options or Options(), Files()).find(question(text), around)


def mistake(text: str, path: Path | None = None) -> Diagnostic:
    with pytest.raises(CompileError) as caught:
        find(text, path)
    (only,) = caught.value.diagnostics
    assert only.span is not None
    return only


def output(*words: str | Path, given: str = "") -> str:
    done = subprocess.run([str(w) for w in words], input=given, capture_output=True, text=True, check=True)
    return done.stdout


@cache
def instructions(path: Path) -> tuple[int, ...]:
    """Of .text, by objdump; without those that fill the space behind functions, which addr2line gives to what stands before."""
    listing = output("objdump", "-d", "--no-show-raw-insn", "-j", ".text", path)
    rows = re.findall(r"^ +([0-9a-f]+):\t(.*)$", listing, re.MULTILINE)
    return tuple(int(address, 16) for address, text in rows if not re.search(r"nop|xchg +%ax,%ax", text))


@cache
def chains(path: Path) -> dict[int, tuple[tuple[str, int], ...]]:
    """By address, what addr2line says: the function and line there, then what it was inlined into."""
    addresses = instructions(path)
    text = output("addr2line", "-a", "-f", "-i", "-e", path, given="\n".join(f"{a:#x}" for a in addresses))
    found: dict[int, tuple[tuple[str, int], ...]] = {}
    for part in text.split("0x")[1:]:
        first, *lines = part.splitlines()
        places = (re.search(r":(\d+)", place) for place in lines[1::2])
        numbers = [int(place[1]) if place else 0 for place in places]
        found[int(first, 16)] = tuple(zip(lines[::2], numbers, strict=True))
    return found


def offset(file: CodeFile, address: int) -> int:
    return address - file.address_of_code + file.offset_of_code


def holds(file: CodeFile, address: int) -> bool:
    assert file.ranges is not None
    return any(low <= offset(file, address) < high for low, high in file.ranges)


def apart(ranges: Iterable[tuple[int, int]]) -> bool:
    flat = [end for pair in ranges for end in pair]
    return flat == sorted(set(flat))


# -------------------------------------------------------------------------------------------------- functions


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_has_the_code_that_addr2line_says(program: Path, name: str) -> None:
    (file,) = find(f'caller is function("{name}")', program).files
    known = chains(program)
    wanted = {a for a, chain in known.items() if any(function == name for function, _ in chain)}
    assert {a for a in known if holds(file, a)} == wanted
    assert wanted and file.ranges is not None and apart(file.ranges)


def test_a_pattern_has_the_code_of_all(program: Path) -> None:
    (file,) = find('caller is function("[lsor]*")', program).files
    names = {name for name in FUNCTIONS if name[0] in "lsor"}
    known = chains(program)
    own = {a for a, chain in known.items() if any(function in FUNCTIONS for function, _ in chain)}
    wanted = {a for a in own if names & {function for function, _ in known[a]}}
    assert {a for a in own if holds(file, a)} == wanted


def test_by_symbols_a_function_has_the_bytes_that_nm_says(stripped: Path) -> None:
    (file,) = find('caller is function("rare")', stripped).files
    rows = re.findall(
        r"^(\w+) (\w+) [tT] rare(?:\.cold|\.part\.0)?$", output("nm", "-S", stripped), re.MULTILINE
    )
    pieces = sorted((offset(file, int(a, 16)), offset(file, int(a, 16) + int(size, 16))) for a, size in rows)
    assert file.ranges == tuple(pieces) and len(pieces) == 2


def test_slots_of_the_plt_are_no_function(plain: Path) -> None:
    (file,) = find('caller is function("*")', plain).files
    lines = output("objdump", "-d", "--no-show-raw-insn", "-j", ".plt", plain)
    slots = [int(found, 16) for found in re.findall(r"^ +([0-9a-f]+):", lines, re.MULTILINE)]
    assert slots and not any(holds(file, address) for address in slots)


def test_a_function_of_a_source_file(plain: Path) -> None:
    (file,) = find('caller is function("small@codesets_plain.c")', plain).files
    assert (file,) == find('caller is function("small")', plain).files


def test_the_function_around_an_address(plain: Path) -> None:
    (file,) = find('caller is function("outer")', plain).files
    inside = next(a for a in instructions(plain) if holds(file, a)) + 1
    assert find(f"caller is function({inside})", plain).files == (file,)


# ------------------------------------------------------------------------------------------------------ lines


def line_of(text: str) -> int:
    return next(n for n, line in enumerate(SOURCE.splitlines(), start=1) if text in line)


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("long sum = leaf(n)", "long sum = leaf(n)"),
        ("long sum = small(n)", "return small(sum)"),
        ("volatile long zero", "long sum = small(n)"),
    ],
)
def test_lines_have_the_code_that_addr2line_says(program: Path, first: str, last: str) -> None:
    low, high = line_of(first), line_of(last)
    (file,) = find(f'caller is statement("*@*.c:{low}-{high}")', program).files
    known = {a: chain for a, chain in chains(program).items() if chain[-1][0] in FUNCTIONS}
    # also what was inlined into one of the lines: addr2line tells where
    wanted = {a for a, chain in known.items() if any(low <= line <= high for _, line in chain)}
    assert wanted and {a for a in known if holds(file, a)} == wanted


def test_lines_of_a_function_are_only_those_in_it(program: Path) -> None:
    line = line_of("long sum = leaf(n)")
    (file,) = find(f'caller is function("outer").statement("*@*.c:{line}")', program).files
    known = chains(program)
    wanted = {a for a, c in known.items() if any(number == line for _, number in c) and c[-1][0] == "outer"}
    assert wanted and {a for a in known if holds(file, a)} == wanted


# ------------------------------------------------------------------------------------------------------ files


def test_a_whole_file_is_its_executable_segment(plain: Path) -> None:
    (file,) = find(f'caller in process("{plain}")').files
    rows = re.findall(r"LOAD +0x(\w+) 0x(\w+) \S+ 0x(\w+) \S+ R E", output("readelf", "-lW", plain))
    segments = [tuple(int(number, 16) for number in row) for row in rows]
    assert [(file.offset_of_code, file.address_of_code, file.code_bytes)] == segments
    assert file.ranges is None and file.path == str(plain) and not file.is_fixed
    assert file.build_id in output("readelf", "-n", plain)


def test_a_program_that_is_loaded_where_it_says(compile_c: Compile) -> None:
    fixed = compile_c(SOURCE, "-O1", "-no-pie", name="codesets_fixed")
    (file,) = find(f'caller in process("{fixed}")').files
    assert file.is_fixed


def test_libraries_are_those_of_the_probed_program(plain: Path) -> None:
    (file,) = find('caller in library("libc.so.6")', plain).files
    loaded = re.search(r"libc\.so\.6 => (\S+)", output("ldd", plain))
    assert loaded is not None and Path(loaded[1]).samefile(file.path)
    assert find('caller in library("libc.so*")', plain).files == (file,)
    assert find(f'caller in process("{plain}").library("libc.so.6")').files == (file,)


def test_libraries_that_no_program_is_known_to_load_are_found_as_the_loader_does() -> None:
    (file,) = find('caller in library("libc.so.6")').files
    assert file.ranges is None and Path(file.path).name.startswith("libc")


def test_a_function_of_a_library(plain: Path) -> None:
    (file,) = find('caller is library("libc.so.6").function("qsort_r")', plain).files
    (row,) = set(re.findall(r" (\w+) +(\d+) FUNC .* qsort_r@", output("readelf", "-sW", file.path)))
    start = offset(file, int(row[0], 16))
    assert file.ranges is not None and (start, start + int(row[1])) in file.ranges


# ------------------------------------------------------------------------------------------------------- hooks


def entry(file: CodeFile, path: Path, name: str) -> int:
    (address,) = re.findall(rf"^(\w+) \w {name}$", output("nm", path), re.MULTILINE)
    return offset(file, int(address, 16))


def test_returns_of_functions_are_hooked(plain: Path) -> None:
    found = find('within function("outer")', plain)
    (hook,) = found.hooks
    assert hook.path == str(plain) and hook.offsets == (entry(found.files[0], plain, "outer"),)
    assert not found.unhooked
    assert find('caller is function("outer")', plain).hooks == ()


def test_of_what_is_inlined_the_stack_tells(plain: Path) -> None:
    found = find('within function("small")', plain)
    assert found.unhooked and found.hooks == ()
    assert found.around is not None
    (hook,) = found.around.hooks
    (file,) = found.around.files
    holders = ("again", "outer")
    assert hook.offsets == tuple(sorted(entry(file, plain, name) for name in holders))
    known = chains(plain)
    assert {a for a in known if holds(file, a)} == {a for a, c in known.items() if c[-1][0] in holders}
    both = find('within function("[so]*")', plain)
    assert both.unhooked and entry(both.files[0], plain, "outer") in both.hooks[0].offsets


@pytest.mark.parametrize("code", ['process("P")', 'statement("*@*.c:1-99")', 'function("_start")'])
def test_what_has_no_return_of_its_own_is_not_hooked(plain: Path, code: str) -> None:
    found = find(f"within {code}".replace('"P"', f'"{plain}"'), plain)
    assert found.hooks == () and found.unhooked and found.around is None


def test_functions_through_which_exceptions_may_pass_are_not_hooked(
    compile_c: Compile, tmp_path: Path
) -> None:
    (tmp_path / "throws.cpp").write_text(CPP)
    program = compile_c(tmp_path / "throws.cpp", "-O1", name="codesets_throws")
    assert find('within function("around")', program).hooks == ()
    assert find('within function("around")', program).unhooked


def test_nothing_is_hooked_in_programs_that_switch_stacks(compile_c: Compile) -> None:
    text = SOURCE.replace(
        "int main(",
        "#include <ucontext.h>\nucontext_t a, b; void go(void) { swapcontext(&a, &b); }\nint main(",
    )
    found = find('within function("outer")', compile_c(text, "-O2", name="codesets_switches"))
    assert found.hooks == () and found.unhooked


def test_nor_in_their_libraries(compile_c: Compile, tmp_path: Path) -> None:
    library = compile_c("long work(long n) { return n; }", "-shared", "-fPIC", name="libcodesets.so")
    main = "#include <ucontext.h>\nucontext_t a, b; long work(long);\nint main(void) { return work(swapcontext(&a, &b)); }"
    program = compile_c(
        main, f"-L{library.parent}", "-l:libcodesets.so", f"-Wl,-rpath,{library.parent}", name="codesets_uses"
    )
    assert find(f'within library("{library}").function("work")', program).hooks == ()
    assert find(f'within process("{library}").function("work")').hooks != ()


def test_very_many_functions_are_not_hooked(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "MOST_HOOKS", 1)
    found = find('within function("[om]*")', plain)
    assert found.hooks == () and found.unhooked


def test_a_tracer_hooks_nothing(plain: Path) -> None:
    found = find('within function("outer")', plain, Options(backend="ptrace"))
    assert found.hooks == () and found.unhooked


# ----------------------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("text", "code", "blamed"),
    [
        ('caller is function("outr")', "E0410", 'function("outr")'),
        ('caller is function("no_*")', "E0410", 'function("no_*")'),
        ('within function("small@no.c")', "E0420", 'function("small@no.c")'),
        ('caller is statement("*@*.c:100000")', "E0421", 'statement("*@*.c:100000")'),
        ('caller is statement("main@x.c:b")', "E0424", 'statement("main@x.c:b")'),
        ('caller in library("libnone.so")', "E0409", 'library("libnone.so")'),
        ('caller in process("/no/program")', "E0406", 'process("/no/program")'),
        ('caller is process("/etc/passwd").function("f")', "E0402", 'process("/etc/passwd")'),
        ('caller is library("libc.so.6").function("no_such")', "E0410", 'function("no_such")'),
        ("caller is function(1)", "E0412", "function(1)"),
        ('caller is function("outer").statement("again@*.c:*")', "E0372", 'statement("again@*.c:*")'),
    ],
)
def test_what_means_no_code_is_a_mistake_with_its_place(
    plain: Path, text: str, code: str, blamed: str
) -> None:
    found = mistake(text, plain)
    assert found.span is not None and (found.code, found.span.text) == (code, blamed)


def test_code_without_a_file_needs_a_probed_file() -> None:
    assert mistake('caller is function("f")').code == "E0371"


def test_a_function_that_only_chooses_another_is_warned_about(plain: Path) -> None:
    sets: CodeSets = open_code_sets(Options(), Files())
    around = Surroundings("p", str(plain), str(plain))
    sets.find(question('caller is library("libc.so.6").function("memchr")'), around)
    assert [warning.code for warning in sets.warnings] == ["W0202"]


def test_a_set_is_found_once(plain: Path) -> None:
    sets = open_code_sets(Options(), Files())
    around = Surroundings("p", str(plain), str(plain))
    first = sets.find(question('caller is function("outer")'), around)
    assert sets.find(question('caller is function("outer")'), around) is first
