"""Points about source code: what they resolve to, beside what readelf, nm and objdump say of the same program."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from probelang.artifact.points import FunctionPoint, Site
from probelang.diag import Diagnostic, places, target
from probelang.resolved import SiteDetail
from tests.conftest import Compile
from tests.dwarf.targets import nm
from tests.resolve.conftest import Mistakes, Resolve

SOURCES = Path(__file__).parent.parent / "exec" / "targets"
C, CPP = SOURCES / "places.c", SOURCES / "places.cpp"
LEVELS = [
    "-O0 -gdwarf-4",
    "-O0 -gdwarf-5",
    "-O1 -gdwarf-5",
    "-O2 -gdwarf-4",
    "-O2 -gdwarf-5",
    "-O3 -gdwarf-5",
]
CPP_FLAGS = "-O2"


def line_of(mark: str, source: Path = C) -> int:
    """The line with the comment `// @mark`."""
    lines = source.read_text().splitlines()
    return next(n for n, text in enumerate(lines, start=1) if text.endswith(f"// @{mark}"))


@pytest.fixture(scope="module", params=LEVELS)
def program(request: pytest.FixtureRequest, compile_c: Compile) -> Path:
    flags = str(request.param)
    return compile_c(C, *flags.split(), name=f"places{flags.replace(' ', '')}")


@pytest.fixture(scope="module")
def plain(compile_c: Compile) -> Path:
    """Not optimised."""
    return compile_c(C, "-O0", "-g", name="places_plain")


@pytest.fixture(scope="module")
def fast(compile_c: Compile) -> Path:
    return compile_c(C, "-O2", "-g", name="places_fast")


@pytest.fixture(scope="module")
def cpp(compile_c: Compile) -> Path:
    return compile_c(CPP, CPP_FLAGS, "-g", name="places_cpp")


def found(resolved: Resolve, path: Path, point: str) -> list[tuple[Site, SiteDetail]]:
    rows: list[tuple[Site, SiteDetail]] = []
    for probe in resolved(f'probe process("{path}").{point} {{ }}').program.probes:
        assert isinstance(probe.point, FunctionPoint)
        rows += zip(probe.point.sites, probe.details, strict=True)
    return rows


def mistake(mistakes: Mistakes, path: Path, point: str) -> Diagnostic:
    (only,) = mistakes(f'probe process("{path}").{point} {{ }}')
    assert only.span is not None
    return only


def lines_at(path: Path, address: int) -> set[int]:
    """Lines of which an instruction begins there, by readelf."""
    words = ["readelf", "--debug-dump=decodedline", str(path)]
    shown = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    return {
        int(line)
        for line, at in re.findall(r"^places\.cp?p?p? +(\d+) +0x([0-9a-f]+)", shown, re.MULTILINE)
        if int(at, 16) == address
    }


def starts(path: Path, function: str) -> set[int]:
    """Where the instructions of a function begin, by objdump."""
    words = ["objdump", "-d", "--no-show-raw-insn", f"--disassemble={function}", str(path)]
    shown = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    return {int(address, 16) for address in re.findall(r"^ +([0-9a-f]+):\t", shown, re.MULTILINE)}


# ------------------------------------------------------------------------------------------------------ functions


def test_an_ordinary_function_is_the_symbol(resolved: Resolve, program: Path) -> None:
    for point in (
        'function("other")',
        'function("other@places.c")',
        f'function("other@{C}")',
        'function("oth*@pla*.c")',
    ):
        ((site, detail),) = found(resolved, program, point)
        assert (site.address, site.function) == (nm(program)["other"], "other")
        assert detail == SiteDetail()
        line = next(n for n, text in enumerate(C.read_text().splitlines(), 1) if "long other(" in text)
        assert site.point == f'process("{program}").function("other@{C}:{line}")'


def test_inlined_copies_are_entries_too(resolved: Resolve, program: Path) -> None:
    rows = found(resolved, program, 'function("inl")')
    assert len(rows) >= 2
    inside = starts(program, "main") | starts(program, "other")
    for site, detail in rows:
        assert site.function == "inl" and detail.instance is not None and detail.is_entry
        assert site.address in inside


def test_suffixes_choose_between_functions_and_copies(
    resolved: Resolve, mistakes: Mistakes, plain: Path
) -> None:
    assert len(found(resolved, plain, 'function("inl").inline')) == 2
    assert [s.function for s, _ in found(resolved, plain, 'function("*@places.c").call')] == [
        "work", "helper", "other", "main",
    ]  # fmt: skip
    assert {s.function for s, _ in found(resolved, plain, 'function("*@places.c").inline')} == {
        "inl",
        "nested",
    }
    assert {s.function for s, _ in found(resolved, plain, 'function("*@places.c").exported')} == {
        "work",
        "other",
        "main",
    }
    assert [s.function for s, _ in found(resolved, plain, 'function("work").return')] == ["work"]
    for point in (
        'function("inl").call',
        'function("inl").return',
        'function("work").inline',
        'function("helper@places.c").exported',
    ):
        assert isinstance(mistake(mistakes, plain, point), target.NoSuchFunction)


def test_a_function_by_a_line_in_it(resolved: Resolve, mistakes: Mistakes, plain: Path) -> None:
    for mark, function in (("work", "work"), ("loop", "other"), ("inl", "inl"), ("again", "main")):
        assert {s.function for s, _ in found(resolved, plain, f'function("*@places.c:{line_of(mark)}")')} == {
            function
        }
    assert {s.function for s, _ in found(resolved, plain, 'function("*@places.c:+2")')} >= {
        "work",
        "inl",
        "other",
    }
    assert [s.function for s, _ in found(resolved, plain, 'function("other@places.c:+3")')] == ["other"]
    outside = mistake(mistakes, plain, f'function("other@places.c:{line_of("again")}")')
    assert isinstance(outside, places.UnknownLine) and outside.function == "other"


def test_functions_without_symbols_are_found_by_their_debug_information(
    resolved: Resolve, plain: Path, tmp_path: Path
) -> None:
    bare, full = tmp_path / "bare", tmp_path / "bare.debug"
    subprocess.run(["objcopy", "--only-keep-debug", str(plain), str(full)], check=True)
    subprocess.run(["strip", "--strip-all", "-o", str(bare), str(plain)], check=True)
    subprocess.run(["objcopy", f"--add-gnu-debuglink={full}", str(bare)], check=True)
    subprocess.run(["objcopy", "--strip-symbol=helper", str(full)], check=True)
    ((site, _),) = found(resolved, bare, 'function("helper")')
    assert site.address == nm(plain)["helper"]


def test_cpp(resolved: Resolve, cpp: Path) -> None:
    for pattern in (
        "shop::Cart::add",
        "add",
        "shop::Cart::ad*",
        "add@places.cpp",
        "shop::Cart::add@places.cpp",
    ):
        assert {s.function for s, _ in found(resolved, cpp, f'function("{pattern}")')} == {"shop::Cart::add"}
    assert {s.function.partition("<")[0] for s, _ in found(resolved, cpp, 'function("shop::twice")')} == {
        "shop::twice"
    }
    assert all(d.instance for _, d in found(resolved, cpp, 'function("shop::twice")'))


# ----------------------------------------------------------------------------------------------------- statements


@pytest.mark.parametrize("mark", ["work", "nested", "inl", "loop", "again"])
def test_a_line_is_where_readelf_sees_it(resolved: Resolve, program: Path, mark: str) -> None:
    line = line_of(mark)
    rows = found(resolved, program, f'statement("*@places.c:{line}")')
    inside = starts(program, "main") | starts(program, "other") | starts(program, "work")
    for site, detail in rows:
        assert site.address in inside
        assert line in lines_at(program, site.address)
        assert site.point == f'process("{program}").statement("{site.function}@{C}:{line}")'
        assert detail.is_entry == (site.address == nm(program).get(site.function))


def test_the_function_of_a_statement_is_the_one_that_it_stands_in(resolved: Resolve, program: Path) -> None:
    owners = {"work": "work", "nested": "nested", "inl": "inl", "loop": "other", "again": "main"}
    for mark, function in owners.items():
        rows = found(resolved, program, f'statement("*@places.c:{line_of(mark)}")')
        assert {site.function for site, _ in rows} == {function}
        named = found(resolved, program, f'statement("{function}@places.c:{line_of(mark)}")')
        assert [s.address for s, _ in named] == [s.address for s, _ in rows]
    assert len(found(resolved, program, f'statement("inl@places.c:{line_of("inl")}")')) >= 2  # each copy


def test_lines_by_number_range_offset_and_all(resolved: Resolve, plain: Path) -> None:
    def lines(point: str) -> set[int]:
        return {int(s.point.rpartition(":")[2].rstrip('")')) for s, _ in found(resolved, plain, point)}

    first, loop = line_of("work"), line_of("loop")
    declared = next(n for n, text in enumerate(C.read_text().splitlines(), 1) if "long other(" in text)
    assert lines(f'statement("*@places.c:{first},{loop}")') == {first, loop}
    assert lines(f'statement("*@places.c:{loop}-{loop + 2}")') == {loop, loop + 1, loop + 2}
    assert lines(f'statement("other@places.c:+{loop - declared}")') == {loop}
    every = lines('statement("other@places.c:*")')
    assert {loop, loop + 1, loop + 2} <= every and min(every) in (declared, declared + 1)
    assert first not in every
    assert every < lines('statement("*@places.c:*")')
    ((entry, detail),) = found(resolved, plain, 'statement("other@places.c")')
    assert entry.address == nm(plain)["other"] and detail.is_entry


def test_a_line_without_code(resolved: Resolve, mistakes: Mistakes, plain: Path) -> None:
    blank = next(
        n for n, text in enumerate(C.read_text().splitlines(), 1) if n > line_of("work") and not text
    )
    before = blank - 1
    wrong = mistake(mistakes, plain, f'statement("*@places.c:{blank}")')
    assert isinstance(wrong, places.UnknownLine)
    assert wrong.nearest[0] == before and blank < wrong.nearest[1]
    rows = found(resolved, plain, f'statement("*@places.c:{blank}").nearest')
    assert all(before in lines_at(plain, s.address) for s, _ in rows)
    assert isinstance(mistake(mistakes, plain, 'statement("other@places.c:1")'), places.UnknownLine)


def test_a_statement_by_address(resolved: Resolve, mistakes: Mistakes, plain: Path) -> None:
    addresses = sorted(starts(plain, "other"))
    ((site, detail),) = found(resolved, plain, f"statement({addresses[3]})")
    assert (site.address, site.function, detail.is_entry) == (addresses[3], "other", False)
    middle = next(a for a in range(addresses[0], addresses[-1]) if a not in addresses)
    assert isinstance(mistake(mistakes, plain, f"statement({middle})"), target.UnsafeSite)


# ---------------------------------------------------------------------------------------------- labels and callees


def test_labels(resolved: Resolve, mistakes: Mistakes, program: Path) -> None:
    for point in ('function("main").label("again")', 'function("m*@places.c").label("*")'):
        ((site, detail),) = found(resolved, program, point)
        assert site.address in starts(program, "main")
        assert site.function == "main" and not detail.is_entry
        assert site.point.endswith('.label("again")')
    wrong = mistake(mistakes, program, 'function("main").label("agian")')
    assert isinstance(wrong, places.NoSuchLabel) and wrong.similar == ("again",)
    assert wrong.span is not None and wrong.span.text == 'label("agian")'


def returns(path: Path, caller: str, callee: str) -> set[int]:
    """Where calls return to, by objdump."""
    words = ["objdump", "-d", "--no-show-raw-insn", f"--disassemble={caller}", str(path)]
    shown = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    rows = re.findall(r"^ +([0-9a-f]+):\t(.*)$", shown, re.MULTILINE)
    return {
        int(rows[i + 1][0], 16)
        for i, (_, text) in enumerate(rows[:-1])
        if re.search(rf"call .*<{callee}>", text)
    }


def test_a_callee_counts_only_from_its_caller(resolved: Resolve, program: Path) -> None:
    for caller in ("other", "main", "helper"):
        expected = returns(program, caller, "work")
        assert expected
        for suffix in ("", ".call", ".return"):
            ((site, detail),) = found(resolved, program, f'function("{caller}").callee("work"){suffix}')
            assert site.address == nm(program)["work"] and site.function == "work"
            assert [set(way.returns) for way in detail.callers] == [expected] and not detail.callers[0].outer
            assert detail.is_entry


def test_inlined_callees_need_no_caller(resolved: Resolve, mistakes: Mistakes, program: Path) -> None:
    rows = found(resolved, program, 'function("other").callee("inl")')
    assert rows and all(detail.instance is not None and not detail.callers for _, detail in rows)
    assert {s.address for s, _ in rows} < {s.address for s, _ in found(resolved, program, 'function("inl")')}
    assert isinstance(
        mistake(mistakes, program, 'function("other").callee("inl").return'), places.NoSuchCallee
    )


def test_callees_of_callees(resolved: Resolve, mistakes: Mistakes, program: Path) -> None:
    def names(point: str) -> set[str]:
        return {s.function for s, _ in found(resolved, program, point)}

    assert names('function("main").callees') == {"work", "other", "helper", "inl", "nested"}
    assert names('function("helper").callees') == {"work"}
    assert names('function("main").callee("h*@places.c")') == {"helper"}
    assert isinstance(
        mistake(mistakes, program, 'function("main").callee("helper@other.c")'), places.NoSuchCallee
    )
    ((_, first),) = found(resolved, program, 'function("main").callee("work")')
    deep = [d for s, d in found(resolved, program, 'function("main").callees(2)') if s.function == "work"]
    ways = {len(way.outer): set(way.returns) for d in deep for way in d.callers}
    assert ways == {
        0: set(first.callers[0].returns),
        1: returns(program, "other", "work") | returns(program, "helper", "work"),
    }
    wrong = mistake(mistakes, program, 'function("helper").callee("wrok")')
    assert isinstance(wrong, places.NoSuchCallee) and wrong.similar == ("work",)


# ------------------------------------------------------------------------------------------------------- mistakes


def test_source_files_that_are_not_there(mistakes: Mistakes, plain: Path) -> None:
    for point in (
        'function("*@place.c")',
        'statement("*@place.c:3")',
        'function("main@place.c")',
        'statement("main@place.c:3")',
    ):
        wrong = mistake(mistakes, plain, point)
        assert isinstance(wrong, places.UnknownSource) and wrong.similar == ("places.c",)
    for point in ('function("mian@places.c")', 'statement("mian@places.c:3")'):
        assert isinstance(mistake(mistakes, plain, point), target.NoSuchFunction)


@pytest.mark.parametrize(
    "place", ["f@", "@x.c", "f@x.c:", "f@x.c:a", "f@x.c:1-", "f@x.c:+", "f@x.c:-3", "f@x.c:1,,2"]
)
def test_what_is_no_place(mistakes: Mistakes, plain: Path, place: str) -> None:
    for kind in ("function", "statement"):
        assert isinstance(mistake(mistakes, plain, f'{kind}("{place}")'), places.BadPlace)


def test_a_pattern_leaves_out_what_cannot_be_probed_and_counts_it(
    resolved: Resolve, compile_c: Compile
) -> None:
    source = """
    long f(long n) {
        __asm__ volatile("syscall" : : : "rax", "rcx", "r11", "memory");
        return n;
    }
    int main(void) { return f(39) == 0; }
    """
    path = compile_c(source, "-O2", "-g", name="syscalls")
    result = resolved(f'probe process("{path}").statement("*@syscalls.c:*") {{ }}')
    (warning,) = result.warnings
    assert isinstance(warning, target.SkippedSites)
    (probe,) = result.program.probes
    assert isinstance(probe.point, FunctionPoint) and len(probe.point.sites) >= 2
    with pytest.raises(Exception, match="syscall"):
        resolved(f'probe process("{path}").statement("f@syscalls.c:3") {{ }}')
