"""The standard library against what the machine's own C and Python libraries say."""

from __future__ import annotations

import errno
import ipaddress
import re
import socket
import struct
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluate.scripts import run_script
from tests.evaluate.test_builtins import HitContext


def value_of(*expressions: str) -> list[str]:
    """What each expression prints; they hold no newline."""
    prints = " ".join(f"println({expression})" for expression in expressions)
    return run_script(f"probe begin {{ {prints} }}", standard=True).text.splitlines()


class TestCalendar:
    @settings(max_examples=30, deadline=None)
    @given(st.lists(st.integers(-62135596800, 253402300799), min_size=20, max_size=20))
    def test_ctime_is_that_of_c(self, times: list[int]) -> None:
        expected = [re.sub(r" 0*(\d+)$", r" \1", time.asctime(time.gmtime(seconds))) for seconds in times]
        assert value_of(*(f"ctime({seconds})" for seconds in times)) == expected

    def test_ends_of_the_calendar(self) -> None:
        assert value_of(
            "ctime(-62135596801)", "ctime(253402300800)", "ctime(1 << 63)", "ctime(~(1 << 63))"
        ) == [
            "a time before the year 1",
            "a time after the year 9999",
            "a time before the year 1",
            "a time after the year 9999",
        ]

    @pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"])
    def test_local_time(self, zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        try:
            now = int(time.time())
            local = time.localtime(now)
            assert value_of(f"tz_ctime({now})") == [f"{time.asctime(local)} {local.tm_zone}"]
            assert value_of("tz_gmtoff()", "tz_name()") == [str(-local.tm_gmtoff), local.tm_zone]
        finally:
            monkeypatch.undo()
            time.tzset()

    def test_without_argument_it_is_now(self) -> None:
        year = time.gmtime().tm_year
        assert all(int(text.split()[4]) in (year, year + 1) for text in value_of("ctime()", "tz_ctime()"))


class TestErrors:
    def test_every_number_has_its_name(self) -> None:
        same = {"EWOULDBLOCK": "EAGAIN", "EDEADLOCK": "EDEADLK", "ENOTSUP": "EOPNOTSUPP"}
        names = value_of(*(f"errno_str({number})" for number in errno.errorcode))
        assert names == [same.get(name, name) for name in errno.errorcode.values()]

    def test_negative_and_unknown_numbers(self) -> None:
        assert value_of("errno_str(-2)", "errno_str(4000)", "errno_str(0)") == ["ENOENT", "4000", "0"]

    def test_return_values(self) -> None:
        assert value_of("return_str(1, 5)", "return_str(1, -2)", "return_str(2, 255)", "return_str(1, -5000)") == [
            "5", "-2 (ENOENT)", "0xff", "-5000",
        ]  # fmt: skip


class TestIndentation:
    SCRIPT = """probe begin {
        print(thread_indent(1) . "|"); print(thread_indent(1) . "|"); print(thread_indent(0) . "|")
        print(thread_indent(-1) . "|"); print(thread_indent(-1) . "|"); print(thread_indent(1) . "|")
        println(thread_indent_depth(1), thread_indent_depth(-1), thread_indent_depth(-5), thread_indent_depth(1))
    }"""

    def test_each_level_is_one_space(self) -> None:
        text = run_script(self.SCRIPT, standard=True).text
        *levels, depths = text.split("|")
        assert [re.fullmatch(r" *\d+ [^ ]+\(\d+\):( *)", level) is not None for level in levels] == [True] * 6
        assert [len(level.split(":")[1]) for level in levels] == [0, 1, 1, 1, 0, 0]
        assert depths == "2101\n"

    def test_time_counts_from_the_outermost_call(self) -> None:
        text = run_script(self.SCRIPT, standard=True).text
        times = [int(level.split()[0]) for level in text.split("|")[:-1]]
        assert times[0] == times[5] == 0
        assert times[:5] == sorted(times[:5])

    def test_returns_without_entries_leave_nothing(self) -> None:
        text = run_script(
            'probe begin { print(thread_indent(-1) . "|" . thread_indent(-1) . "|" . thread_indent(1) . "|") }',
            standard=True,
        ).text
        assert [level.split(":")[1] for level in text.split("|")[:-1]] == ["", "", ""]

    def test_one_depth_for_all(self) -> None:
        assert re.fullmatch(
            r" *\d+:\| *\d+: \| *\d+: \|110\n",
            run_script(
                'probe begin { print(indent(1) . "|" . indent(1) . "|" . indent(-1) . "|"); '
                "println(indent_depth(0), indent_depth(0), indent_depth(-7)) }",
                standard=True,
            ).text,
        )


class TestNetwork:
    @settings(max_examples=20, deadline=None)
    @given(st.integers(0, 2**64 - 1))
    def test_byte_order(self, number: int) -> None:
        short, long = number & 0xFFFF, number & 0xFFFFFFFF
        swapped = int.from_bytes(
            struct.pack("<q", int.from_bytes(number.to_bytes(8, "little"), "big", signed=True)),
            "little",
            signed=True,
        )
        assert value_of(
            f"ntohs({short})", f"htonl({long})", f"ntohll({number})", f"htonll(ntohll({number})) == {number}"
        ) == [
            str(socket.ntohs(short)),
            str(socket.htonl(long)),
            str(swapped),
            "1",
        ]

    def test_addresses(self) -> None:
        assert value_of("ip_ntop(0x0100007f)", "format_ipaddr(0xffffffff, 2)", "format_ipaddr(1, 3)") == [
            "127.0.0.1", "255.255.255.255", "",
        ]  # fmt: skip

    def test_addresses_of_sixteen_bytes(self) -> None:
        text = run_script(
            "probe begin { print(format_ipaddr(0x1000, 10)) }", standard=True, context=HitContext()
        ).text
        assert ipaddress.ip_address(text) == ipaddress.ip_address(HitContext.MEMORY[:16])


def test_strings() -> None:
    assert value_of(
        'strpos("hello", "l")', 'strpos("hello", "z")', 'strpos("hello", "")', 'strpos("", "x")'
    ) == ["2", "-1", "0", "-1"]
    assert value_of('isdigit("7a")', 'isdigit("a7")', 'isdigit("")') == ["1", "0", "0"]


@pytest.mark.parametrize(
    ("bytes_", "text"),
    [
        (0, "0"),
        (1023, "1023"),
        (1024, "1.00K"),
        (1536, "1.50K"),
        (5 << 20, "5.00M"),
        (3 << 29, "1.50G"),
        (7 << 40, "7.00T"),
    ],
)
def test_sizes(bytes_: int, text: str) -> None:
    assert value_of(f"bytes_to_string({bytes_})") == [text]


def test_spans_of_time() -> None:
    assert value_of(
        "cputime_to_usecs(5000)", "cputime_to_msecs(7000000)", "msecs_to_string(62003)", "usecs_to_string(62000003)", "nsecs_to_string(3)"
    ) == ["5", "7", "1m02.003s", "1m02.000003s", "0m00.000000003s"]  # fmt: skip


def test_terminal() -> None:
    script = """probe begin {
        ansi_clear_screen() ansi_set_color(31) ansi_set_color(31, 42) ansi_set_color2(31, 42) ansi_set_color3(31, 42, 1)
        ansi_reset_color() ansi_new_line() ansi_cursor_move(3, 7) ansi_cursor_hide() ansi_cursor_show()
        ansi_cursor_save() ansi_cursor_restore()
    }"""
    assert run_script(script, standard=True).text == (
        "\033[1;1H\033[J\033[31m\033[42;31m\033[42;31m\033[1;42;31m\033[0;0m\n\033[7;3H\033[?25l\033[?25h\033[s\033[u"
    )


def test_stopwatches_count_only_while_they_run() -> None:
    script = """probe begin {
        println(read_stopwatch_ns("w"))
        start_stopwatch("w"); for (i = 0; i < 100; i++) ; stop_stopwatch("w")
        once = read_stopwatch_ns("w"); again = read_stopwatch_ns("w")
        println(once > 0, once == again, read_stopwatch_us("w") == once / 1000)
        start_stopwatch("w"); println(read_stopwatch_ns("w") > once)
        delete_stopwatch("w"); println(read_stopwatch_ns("w"))
    }"""
    assert run_script(script, standard=True).text == "0\n111\n1\n0\n"


def test_assertions() -> None:
    script = 'probe begin { assert(1) assert(1, "fine") try { assert(0) } catch (m) { println(m) } assert(0, "broken") }'
    outcome = run_script(script, standard=True)
    assert outcome.text == "assertion failed\n"
    assert outcome.errors[0].startswith("broken near")


def test_reads_that_warn() -> None:
    script = """probe begin {
        println(user_string_warn(0x1000), user_string_warn(7), user_string2_warn(7, "-"), user_string_n_warn(0x1000, 2))
        println(user_string_n2_warn(7, 2, "?"), user_int_warn(7), user_uint8_warn(0x1006))
    }"""
    outcome = run_script(script, standard=True, context=HitContext())
    assert outcome.text == "hello<unknown>-he\n?0255\n"
    assert outcome.warnings == [b"user read fault at 0x7"] * 4


def test_other_names() -> None:
    script = 'probe begin { asmlinkage() fastcall() regparm(3) println(addr(), HZ(), ktime_get_ns() > 0, cpuid() >= 0) print_usyms("0x401000") print_regs() }'
    outcome = run_script(script, standard=True, context=HitContext())
    assert outcome.text.startswith(
        "025011\n 0x401000 : main+0x0 [prog]\nRIP: 00000000ffffffff RSP: 00000000ffffffff EFLAGS:"
    )
