"""Marks as sites of probe points: names and wildcards, what is shown, where semaphores lie, what is said when there is none."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from probelang.diag import Diagnostic, marks
from probelang.dwarf.binary import open_binary
from probelang.dwarf.image import BinaryError
from probelang.options import Backend
from probelang.resolve.functions import FileTarget, Sites
from probelang.resolve.marks import mark_sites, note_name
from probelang.source import SourceFile, Span
from tests.conftest import Compile
from tests.dwarf.targets import nm

HEADER = Path(__file__).parents[1] / "exec" / "targets" / "mark.h"
SOURCE = f"""
#include "{HEADER}"
SEMAPHORE(shop, query__start);
__attribute__((noinline)) static void sell(int i) {{
  if (ENABLED(shop, query__start)) MARK2_WITH(shop, query__start, i, (char)i);
}}
int main(int argc, char **argv) {{
  for (int i = 0; i < argc; i++) {{
    sell(i);
    MARK1(shop, query__done, i);
    MARK1(depot, query__done, (long)i);
  }}
  MARK1(shop, query__done, 7);
  MARK0(shop, query_single);
}}
"""
SPAN = Span(SourceFile("x.probe", "probe x {}"), 6, 7)


@pytest.fixture(scope="module")
def shop(compile_c: Compile) -> Path:
    return compile_c(SOURCE, "-O2", name="resolved_shop")


def find(path: Path, mark: str, provider: str | None = None, backend: Backend = "kernel") -> Sites:
    file = FileTarget(open_binary(str(path)), 'process("shop")', backend=backend)
    return mark_sites(file, provider, mark, SPAN)


def mistake(path: Path, mark: str, provider: str | None = None) -> Diagnostic:
    with pytest.raises(BinaryError) as caught:
        find(path, mark, provider)
    return caught.value.diagnostic


def shown(sites: Sites) -> set[tuple[str, str]]:
    """Provider and name of what was found."""
    return {(d.mark.provider, d.mark.name) for d in sites.details if d.mark is not None}


@pytest.mark.parametrize(
    ("provider", "mark", "expected"),
    [
        (None, "query__start", {("shop", "query__start")}),
        (None, "query-start", {("shop", "query__start")}),
        (None, "query__done", {("shop", "query__done"), ("depot", "query__done")}),
        ("shop", "query-done", {("shop", "query__done")}),
        ("d*", "*", {("depot", "query__done")}),
        ("*", "query-*", {("shop", "query__start"), ("shop", "query__done"), ("depot", "query__done")}),
        (
            None,
            "query[_a-z]*e",
            {("shop", "query_single"), ("shop", "query__done"), ("depot", "query__done")},
        ),
        (None, "query_s*", {("shop", "query_single")}),
        (None, "*start", {("shop", "query__start")}),
    ],
)
def test_names_and_wildcards(
    shop: Path, provider: str | None, mark: str, expected: set[tuple[str, str]]
) -> None:
    assert shown(find(shop, mark, provider)) == expected


def test_a_hyphen_stands_for_two_underscores() -> None:
    assert note_name("a-b--c") == "a__b____c"
    assert note_name("a_b[a-z]-*[!-]") == "a_b[a-z]__*[!-]"


def test_every_place_of_a_mark_is_a_site(shop: Path) -> None:
    found = find(shop, "query__done", "shop")
    assert len(found.sites) == len(found.details) == 2
    assert len({site.address for site in found.sites}) == 2
    assert {d.mark.arguments for d in found.details if d.mark} >= {("-4@$7",)}
    assert not any(d.is_entry for d in found.details)
    assert found.warnings == ()


def test_a_site_is_its_instruction_in_the_file(shop: Path) -> None:
    data = shop.read_bytes()
    for site in find(shop, "*").sites:
        assert data[site.offset] == 0x90


def test_the_function_around_it(shop: Path) -> None:
    assert {site.function for site in find(shop, "query__start").sites} == {"sell"}
    assert {site.function for site in find(shop, "query__done").sites} == {"main"}


def test_a_stripped_file_does_not_name_functions_falsely(shop: Path, tmp_path: Path) -> None:
    stripped = tmp_path / "stripped"
    subprocess.run(["strip", "-s", "-o", str(stripped), str(shop)], check=True)
    assert {site.function for site in find(stripped, "*").sites} == {""}


def test_points_are_shown_as_they_are_written(shop: Path) -> None:
    assert {s.point for s in find(shop, "query-*t").sites} == {'process("shop").mark("query__start")'}
    assert {s.point for s in find(shop, "*done", "d?pot").sites} == {
        'process("shop").provider("depot").mark("query__done")'
    }


def test_semaphores_are_found_in_the_file(shop: Path) -> None:
    (site,) = {s.semaphore: s for s in find(shop, "query__start").sites}.values()
    image = open_binary(str(shop)).image
    assert image.address_of(site.semaphore) == nm(shop)["shop_query__start_semaphore"]
    assert {s.semaphore for s in find(shop, "query__done").sites} == {0}


def test_a_semaphore_that_only_memory_has_is_warned_of(compile_c: Compile) -> None:
    """Zeros behind the last page of the file's data; nearer ones are mapped from the file."""
    near, far = (
        compile_c(
            f"""
            #include "{HEADER}"
            __attribute__((visibility("hidden"), aligned({alignment}))) volatile unsigned short shop_sold_semaphore;
            int full = 1;
            int main(int argc, char **argv) {{ if (shop_sold_semaphore) MARK2_WITH(shop, sold, argc, 0); }}
            """,
            "-O1", name=name,
        )
        for name, alignment in (("near_semaphore", 2), ("far_semaphore", 65536))
    )  # fmt: skip
    place = nm(near)["shop_sold_semaphore"]
    segment = next(
        s for s in open_binary(str(near)).image.segments if s.address <= place < s.address + s.memory_size
    )
    assert place >= segment.address + segment.file_size  # beyond what the file has
    assert find(near, "sold").warnings == ()
    assert {s.semaphore for s in find(near, "sold").sites} == {place - segment.address + segment.offset}
    (warning,) = find(far, "sold").warnings
    assert isinstance(warning, marks.UnreachableSemaphore) and warning.names == ("sold",)
    assert {s.semaphore for s in find(far, "sold").sites} == {0}


def test_an_unknown_mark_names_similar_ones(shop: Path) -> None:
    found = mistake(shop, "query-strat")
    assert isinstance(found, marks.NoSuchMark)
    assert found.similar[0] == "query__start"
    assert "query__start" in found.help()


def test_an_unknown_provider_names_similar_ones(shop: Path) -> None:
    found = mistake(shop, "query__done", "shopp")
    assert isinstance(found, marks.NoSuchMark)
    assert found.similar == ("shop",)
    assert "`shopp`" in found.title()
    assert "`shop`, `depot`" in mistake(shop, "*", "zzz*").help()


def test_a_file_without_marks_says_so(compile_c: Compile) -> None:
    path = compile_c("int main(void) { return 0; }", name="markless_too")
    assert isinstance(mistake(path, "*"), marks.NoMarks)


def test_places_that_the_kernel_cannot_probe(shop: Path, tmp_path: Path) -> None:
    data = bytearray(shop.read_bytes())
    for site in find(shop, "query__start").sites:
        data[site.offset] = 0xF0  # a lock prefix
    path = tmp_path / "unsafe"
    path.write_bytes(bytes(data))
    found = mistake(path, "query-start")
    assert isinstance(found, marks.UnsafeMark) and found.reason
    rest = find(path, "*")
    assert ("shop", "query__start") not in shown(rest)
    (warning,) = rest.warnings
    assert isinstance(warning, marks.SkippedMarks)
    assert [example for _, _, example in warning.reasons] == ["query__start"]
    assert shown(find(path, "query__start", backend="ptrace")) == {("shop", "query__start")}
