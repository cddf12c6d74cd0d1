"""Regular expressions match in the kernel as Python's do (in what both have)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probelang.llvm.calls.lowering import Result
from probelang.llvm.emitter import Emitter
from probelang.llvm.text.regex import matches
from probelang.llvm.values import StrVal
from tests.llvm_text.builtins import Bench, routine
from tests.llvm_text.machine import Routine

PATTERNS = (
    b"a", b"", b"^$", b"^a", b"b$", b"^ab*c$", b"[a-c]+x", b"(a|b),", b"a.c", b"x{2,3}y", b"[^ab]", b"(ab|ba)*c", b"^(a|b)(a|b)(a|b)$",
    b"(a|b)*a(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)x",
)  # fmt: skip


def machines(places: Callable[[], list[int]]) -> dict[str, Routine]:
    def matching(number: int) -> Callable[[Emitter, list[Result]], Result]:
        def make(e: Emitter, operands: list[Result]) -> Result:
            (subject,) = operands
            assert isinstance(subject, StrVal)
            return matches(e, subject, number, 0)

        return make

    return {str(i): routine(places, ("string",), matching(i)) for i in range(len(PATTERNS))}


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with Bench(machines, 64, PATTERNS) as made:
        yield made


@settings(max_examples=400, deadline=None)
@given(st.text("abcxy, ", max_size=40).map(str.encode))
def test_a_match_is_found_where_python_finds_one(bench: Bench, subject: bytes) -> None:
    found = [bench.call(str(i), subject) for i in range(len(PATTERNS))]
    assert found == [int(re.search(pattern, subject) is not None) for pattern in PATTERNS]
