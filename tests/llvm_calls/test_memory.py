"""Reads of the process's memory: numbers of every width, strings up to their NUL, pages that are not resident, faults."""

from __future__ import annotations

import pytest

from tests.llvm_calls.conftest import Run

pytestmark = pytest.mark.kernel

WORK = 'probe process("{target}").function("work")'
AT = 'probe process("{target}").function("at")'


def test_numbers_have_their_width_and_sign(run: Run) -> None:
    found = run(
        WORK
        + """ { p = pointer_arg(6)
        printf("%d %d %d %d\\n", user_char(p), user_uint8(p), user_int8(p + 1), user_uint8(p + 1))
        printf("%d %d %d %d\\n", user_short(p + 2), user_ushort(p + 2), user_int16(p + 4), user_uint16(p + 4))
        printf("%d %d %d %d\\n", user_int(p + 8), user_uint(p + 8), user_int32(p + 12), user_uint32(p + 12))
        printf("%d %d %d %d\\n", user_long(p + 16), user_ulong(p + 16), user_int64(p + 24), user_uint64(p + 24)) }"""
    )
    assert found.lines[:4] == [
        "-1 255 -56 200",
        f"-2 {2**16 - 2} {60000 - 2**16} 60000",
        f"-3 {2**32 - 3} {4000000000 - 2**32} 4000000000",
        "-4 -4 -5 -5",
    ]


def test_strings_end_at_their_nul_or_after_n_bytes(run: Run) -> None:
    found = run(
        WORK
        + """ { p = pointer_arg(1) n = -1
        println(user_string(p), "|", user_string_n(p, 5), "|", user_string_n(p, 0), "|", user_string_n(p, n), "|", user_string_n(p, 99))
        println(user_string_quoted(p), user_string_n_quoted(p, 3), user_string_quoted(0), user_string_quoted(17))
        println(user_string2(17, "none"), user_string(17, "none"), user_string_n2(17, 3, "none"), user_string_n2(p, 3, "none"))
        }"""
    )
    assert found.lines[:3] == [
        "hello world|hello|||hello world",
        '"hello world""hel"NULL0x11',
        "nonenonenonehel",
    ]


def test_a_long_string_is_cut_and_counted(run: Run) -> None:
    found = run(AT + " { if (int_arg(2) == 5) println(user_string(pointer_arg(1))) }", "-S", "16")
    assert found.lines[0] == "a" * 12 + "..."
    assert "cut short" in found.errors


def test_memory_that_is_not_resident_is_read(run: Run) -> None:
    found = run(AT + ' { if (int_arg(2) < 3) printf("%d %s\\n", int_arg(2), user_string(pointer_arg(1))) }')
    assert found.lines[:2] == ["1 across the page", "2 tight"]


def test_a_function_reads_it_too(run: Run) -> None:
    found = run(
        "function read(p, n) { if (n > 0) return read(p, n - 1) return user_string(p) }\n"
        + AT
        + " { if (int_arg(2) == 1) println(read(pointer_arg(1), 2)) }"
    )
    assert found.lines[0] == "across the page"


def test_a_fault_is_a_soft_error_with_the_address(run: Run) -> None:
    found = run(
        AT
        + """ { if (int_arg(2) == 3 || int_arg(2) == 4)
        try { println(user_string(pointer_arg(1))) } catch (m) { printf("%s %d\\n", m, m == sprintf("user read fault at %#x", pointer_arg(1))) } }"""
    )
    assert [line.split()[-1] for line in found.lines[:2]] == ["1", "1"]
    assert found.lines[1] == "user read fault at 0x0 1"


def test_memory_dumps(run: Run) -> None:
    found = run(
        WORK
        + ' { p = pointer_arg(1) println(sprintf("%.5m|%.2M|%8.2m|%M", p, p, p, p)) printf("%.5m|%.2M\\n", p, p) }'
    )
    assert found.lines[:2] == ["hello|6865|      he|68", "hello|6865"]
