"""Unwind rows of whole files: at every place they say what `frames.frame_at`, which readelf confirms, says for that one."""

from __future__ import annotations

import ctypes
import os
import shutil
import struct
import subprocess
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probelang.artifact.stacks import (
    RBP_LOST,
    RBP_SAME,
    ROW_AT_RBP,
    ROW_AT_RSP,
    ROW_END,
    ROW_PLT,
    ROW_RBP,
    ROW_RSP,
    ROW_SIGNAL,
    ROW_UNKNOWN,
    UNWIND_ROW,
)
from probelang.dwarf import frames as f
from probelang.dwarf import unwind
from probelang.dwarf.binary import Binary, open_binary
from probelang.dwarf.files import Debug, Files
from probelang.dwarf.image import BinaryError, Image, Section, Segment, parse_image, read_image
from probelang.dwarf.plt import find_slots
from probelang.dwarf.unwind import UnwindTable, cached_unwind_table, unwind_table, unwind_table_of_memory
from tests.dwarf.targets import CPP, C, compile_target, nm

Row = tuple[int, int, int]
"""Offset of the CFA in units of 8 bytes, where rbp is saved, kind."""
UNKNOWN: Row = (0, 0, ROW_UNKNOWN)
LIBC = Path("/lib/x86_64-linux-gnu/libc.so.6")
needs_libc = pytest.mark.skipif(not LIBC.exists(), reason="needs glibc where Debian has it")


def rows_of(table: UnwindTable) -> list[tuple[int, Row]]:
    return [(pc, (units, saved, kind)) for pc, units, saved, kind in UNWIND_ROW.iter_unpack(table.rows)]


def at(rows: list[tuple[int, Row]], offset: int) -> Row:
    return rows[bisect_right(rows, offset, key=lambda row: row[0]) - 1][1]


# ------------------------------------------------------------------------------------------ beside frame_at

PLT = {
    11: b"\x77\x08\x80\x00\x3f\x1a\x3b\x2a\x33\x24\x22",
    9: b"\x77\x08\x80\x00\x3f\x1a\x39\x2a\x33\x24\x22",
}


def expected(frame: f.Frame | None, pc: int) -> Row:
    """What a row has to say, from all the rules at `pc`."""
    if frame is None:
        return UNKNOWN
    rule, rsp, rbp = (frame.registers.get(n) for n in (frame.return_register, 7, 6))
    if frame.signal and frame.cfa == f.CfaExpression(b"\x77\xa0\x01\x06"):
        return 0, 0, ROW_SIGNAL
    if frame.return_register == 16 and isinstance(rule, f.Undefined):
        return 0, 0, ROW_END
    if frame.return_register != 16 or rule != f.AtOffset(-8) or rsp is not None:
        return UNKNOWN
    match frame.cfa:
        case f.CfaRegister(6 | 7 as register, offset):
            kind = ROW_RBP if register == 6 else ROW_RSP
        case f.CfaExpression(expression) if expression in PLT.values():
            pushed = next(n for n, e in PLT.items() if e == expression)
            kind, offset = ROW_RSP, 16 if pc % 16 >= pushed else 8
        case f.CfaExpression(bytes(expression)) if expression[:1] == b"\x76" and expression[2:] == b"\x06":
            saved = RBP_SAME if rbp == f.AtExpression(b"\x76\0") else RBP_LOST
            return sleb(expression[1]) // 8, saved, ROW_AT_RBP
        case f.CfaExpression(bytes(expression)) if (
            expression[:1] == b"\x77" and expression[-3:] == b"\x06\x23\x08"
        ):
            digits = expression[1:-3]
            kind, offset = (
                ROW_AT_RSP,
                sleb(digits[0]) if len(digits) == 1 else digits[0] & 0x7F | digits[1] << 7,
            )
        case _:
            return UNKNOWN
    if offset % 8 or not -(1 << 15) <= offset // 8 < 1 << 15:
        return UNKNOWN
    return offset // 8, saved_of(rbp, kind, offset), kind


def saved_of(rule: f.Rule | None, kind: int, cfa: int) -> int:
    match rule:
        case None | f.SameValue():
            return RBP_SAME
        case f.AtOffset(offset) if offset and offset % 8 == 0 and -128 <= offset // 8 < 127:
            return offset // 8
        case f.AtExpression(b"\x76\0") if kind == ROW_RBP and cfa:
            return -cfa // 8
        case f.AtExpression(b"\x76\0") if kind == ROW_RSP and cfa == 8:
            return RBP_SAME  # with nothing but the return address left on the stack it is restored
        case _:
            return RBP_LOST


def sleb(byte: int) -> int:
    return byte - 0x80 if byte & 0x40 else byte


def settled(row: Row, pc: int) -> Row:
    """A row of slots as the one that holds at `pc`."""
    units, saved, kind = row
    return (units + (pc % 16 >= 11), saved, ROW_RSP) if kind == ROW_PLT else row


def compare(path: Path, every: int = 1, debug: Debug | None = None) -> int:
    """Each row at its first and last byte, and what lies between; how many places were."""
    binary = open_binary(str(path))
    rows = rows_of(unwind_table(binary.image))
    count = 0
    for (low, row), (high, _) in list(pairwise(rows))[::every]:
        for offset in {low, (low + high) // 2, high - 1}:
            address = code_address(binary.image, offset)
            if address is not None:
                assert settled(row, offset) == expected(f.frame_at(binary, debug, address), address), hex(
                    offset
                )
                count += 1
    return count


def code_address(image: Image, offset: int) -> int | None:
    for s in image.segments:
        if s.executable and s.offset <= offset < s.offset + s.file_size:
            return offset - s.offset + s.address
    return None


def test_rows_of_programs(tmp_path: Path, pie: Path, cpp: Path) -> None:
    assert compare(pie) > 40
    assert compare(cpp) > 60
    assert compare(compile_target(tmp_path, "fixed", C, "-O2", "-no-pie")) > 40
    assert compare(compile_target(tmp_path, "static", C, "-O2", "-static"), every=23) > 500
    assert compare(compile_target(tmp_path, "o0", CPP, "-O0", "-g", suffix=".cpp")) > 200


def test_rows_of_slots_of_every_kind(tmp_path: Path) -> None:
    for name, flags in {
        "lazy": ["-Wl,-z,lazy"],
        "now": ["-Wl,-z,now"],
        "ibt": ["-fcf-protection=full", "-Wl,-z,ibtplt", "-Wl,-z,lazy"],
    }.items():
        program = compile_target(tmp_path, name, C, "-O2", *flags)
        assert compare(program) > 40
        rows = rows_of(unwind_table(read_image(str(program))))
        slots = find_slots(open_binary(str(program)))
        assert slots and all(at(rows, slot.offset)[2] in (ROW_PLT, ROW_RSP) for slot in slots)


ALIGNED = """
typedef double wide __attribute__((vector_size(32)));
volatile int sink;
__attribute__((noinline)) void touch(wide *w) { sink += (int)(*w)[1]; }
__attribute__((noinline)) int aligned(int a, int b, int c, int d, int e, int f, int g) { wide w = {a, b, c, d}; touch(&w); return (int)w[1] + e + f + g; }
int main(int argc, char **argv) { wide w = {argc, 2, 3, 4}; touch(&w); return aligned(1, 2, 3, 4, 5, 6, argc); }
"""


def test_rows_of_stacks_that_are_aligned_by_hand(tmp_path: Path) -> None:
    program = compile_target(tmp_path, "aligned", ALIGNED, "-O2", "-mavx")
    assert compare(program) > 30
    kinds = {row[2] for _, row in rows_of(unwind_table(read_image(str(program))))}
    assert ROW_AT_RBP in kinds


@needs_libc
def test_rows_of_a_library_with_signal_frames_and_outermost_ones() -> None:
    assert compare(LIBC, every=7) > 8000
    kinds = [row[2] for _, row in rows_of(unwind_table(read_image(str(LIBC))))]
    assert kinds.count(ROW_SIGNAL) == 1
    assert ROW_END in kinds


def test_functions_without_eh_frame_have_the_rows_of_debug_frame(tmp_path: Path) -> None:
    flags = ("-O2", "-g", "-fno-asynchronous-unwind-tables", "-fno-exceptions")
    program = compile_target(tmp_path, "debug_frame", C, *flags)
    whole = unwind_table(read_image(str(program)))
    assert compare(program, debug=Files().debug(str(program))) > 60
    assert at(rows_of(whole), nm(program)["main"])[2] == ROW_RSP
    stripped = tmp_path / "apart"
    debug = tmp_path / "apart.debug"
    subprocess.run(["objcopy", "--only-keep-debug", program, debug], check=True)
    subprocess.run(
        ["objcopy", "--strip-debug", f"--add-gnu-debuglink={debug}", program, stripped], check=True
    )
    assert unwind_table(read_image(str(stripped))) == whole


def test_nothing_is_known_between_functions_and_every_offset_has_a_row(cpp: Path) -> None:
    rows = rows_of(unwind_table(read_image(str(cpp))))
    places = [pc for pc, _ in rows]
    assert places == sorted(set(places))
    assert rows[0] == (0, UNKNOWN) and rows[-1][1] == UNKNOWN
    assert all(a[1] != b[1] for a, b in pairwise(rows))


def test_what_has_no_entries_is_known_by_its_instructions(tmp_path: Path) -> None:
    """Slots, and where the program starts: as entries say it where there are some."""
    whole = compile_target(tmp_path, "whole", C, "-O2", "-Wl,-z,lazy")
    bare = tmp_path / "bare"
    subprocess.run(["objcopy", "-R", ".eh_frame", "-R", ".eh_frame_hdr", whole, bare], check=True)
    rows = rows_of(unwind_table(read_image(str(bare))))
    known = rows_of(unwind_table(read_image(str(whole))))
    image = read_image(str(whole))
    for section in (s for s in image.sections if s.name.startswith(".plt")):
        for offset in range(section.offset, section.offset + section.size):
            assert at(rows, offset) == at(known, offset) != UNKNOWN
    assert at(rows, image.entry) == (0, 0, ROW_END)
    assert at(rows, nm(whole)["main"]) == UNKNOWN


def test_a_signals_return_is_known_without_an_entry(tmp_path: Path) -> None:
    source = """
int main(void) { return 0; }
__asm__(".text\\nnop\\n.globl back\\n.type back, @function\\nback: mov $15, %rax\\nsyscall\\n");
"""
    program = compile_target(tmp_path, "back", source)
    rows = rows_of(unwind_table(read_image(str(program))))
    place = nm(program)["back"]
    assert [at(rows, place + i)[2] for i in (-1, 0, 8)] == [ROW_SIGNAL] * 3
    assert at(rows, place + 9)[2] == ROW_UNKNOWN


def test_where_makecontext_lets_its_function_return_is_the_outermost(tmp_path: Path) -> None:
    """To the first byte of glibc's `__start_context`; the byte before is what is looked up, and may be another function's."""
    source = """
int main(void) { return 0; }
__asm__(".text\\nnop\\nnop\\n.globl start\\n.type start, @function\\nstart: mov %rbx, %rsp\\nmov (%rsp), %rdi\\ntest %rdi, %rdi\\n");
"""
    program = compile_target(tmp_path, "start", source)
    rows = rows_of(unwind_table(read_image(str(program))))
    place = nm(program)["start"]
    assert [at(rows, place + i)[2] for i in (-2, -1, 0)] == [ROW_UNKNOWN, ROW_END, ROW_UNKNOWN]


def test_the_vdso_has_rows() -> None:
    data = vdso()
    rows = rows_of(unwind_table_of_memory(data))
    image = parse_image("[vdso]", data)
    name = next(s for s in open_dynamic_symbols(image) if s[0] == b"__vdso_clock_gettime")
    assert at(rows, name[1]) == (1, RBP_SAME, ROW_RSP)


def vdso() -> bytes:
    with open("/proc/self/maps") as maps:
        line = next((line for line in maps if "[vdso]" in line), None)
    if line is None:
        pytest.skip("no vdso here")
    low, high = (int(part, 16) for part in line.split()[0].split("-"))
    return ctypes.string_at(low, high - low)


def open_dynamic_symbols(image: Image) -> Iterator[tuple[bytes, int]]:
    symbols, strings = image.section(".dynsym"), image.section(".dynstr")
    assert symbols is not None and strings is not None
    text = image.contents(strings)
    for name, _, _, _, value, _ in struct.iter_unpack("<IBBHQQ", image.contents(symbols)):
        yield text[name : text.index(b"\0", name)], value


# ------------------------------------------------------------------------------------------ frame pointers


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_a_file_is_framed_where_every_call_stands_behind_a_frame_pointer(
    tmp_path: Path, compiler: str
) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"needs {compiler}")
    source = tmp_path / "x.c"
    source.write_text(C)
    found: dict[str, bool] = {}
    for flags in ("-O0", "-O2 -fno-omit-frame-pointer", "-O2 -fomit-frame-pointer", "-O2 -pg -mfentry"):
        words = [compiler, *flags.split(), "-fno-pie", "-no-pie", "-o", str(tmp_path / "x"), str(source)]
        subprocess.run(words, check=True, capture_output=True)
        found[flags] = unwind_table(read_image(str(tmp_path / "x"))).framed
    assert list(found.values()) == [True, True, False, False]


def test_one_function_that_calls_without_a_frame_pointer_is_enough(tmp_path: Path) -> None:
    more = '__attribute__((optimize("omit-frame-pointer", "O2"), noinline)) int bare(int x) { return visible(x) + 1; }\n'
    source = C.replace("int main(", more + "int main(").replace("hidden(argc)", "bare(argc)")
    image = read_image(str(compile_target(tmp_path, "one", source, "-O1", "-fno-omit-frame-pointer")))
    assert not unwind_table(image).framed


# ------------------------------------------------------------------------------------------- built in memory

START, SIZE = 0x1000, 0x100
INITIAL = b"\x0c\x07\x08\x90\x01"  # def_cfa rsp+8; rip at cfa-8
BEGIN = (1, RBP_SAME, ROW_RSP)


def entry(identity: int, body: bytes) -> bytes:
    return struct.pack("<II", len(body) + 4, identity) + body


def cie(
    initial: bytes = INITIAL, letters: bytes = b"zR", factors: bytes = b"\x01\x78", register: int = 16
) -> bytes:
    return entry(0, b"\x01" + letters + b"\0" + factors + bytes((register,)) + b"\x01\0" + initial)


def section_of(code: bytes, first: bytes | None = None) -> bytes:
    first = first or cie()
    return first + entry(len(first) + 4, struct.pack("<QQ", START, SIZE) + b"\0" + code)


def image_of(section: bytes) -> Image:
    """A file with an `.eh_frame` and code at `START`."""
    part = Section(".eh_frame", 1, 2, 0x5000, 0x40, len(section), 0, 0, 0)
    segment = Segment(START, START, 0x1000, 0x1000, True)
    data = (b"\0" * 0x40 + section).ljust(0x2000, b"\xcc")
    return Image("/in/memory", data, 3, 0, (part,), (segment,), None, False, ())


def table_of(code: bytes, first: bytes | None = None) -> list[tuple[int, Row]]:
    return rows_of(unwind_table(image_of(section_of(code, first))))


def row(code: bytes, distance: int = 0, first: bytes | None = None) -> Row:
    rows = table_of(code, first)
    return at(rows, START + distance) if rows else UNKNOWN


@pytest.mark.parametrize(
    ("code", "found"),
    [
        (b"", BEGIN),
        (b"\x0e\x20", (4, 0, ROW_RSP)),
        (b"\x0c\x06\x10\x86\x02", (2, -2, ROW_RBP)),
        (b"\x0d\x06", (1, 0, ROW_RBP)),
        (b"\x13\x7d", (3, 0, ROW_RSP)),
        (b"\x12\x06\x7e", (2, 0, ROW_RBP)),
        (b"\x0e\x80\x80\x80\x01", UNKNOWN),  # two megabytes do not fit a row
        (b"\x0e\x0c", UNKNOWN),
        (b"\x0d\x0a", UNKNOWN),  # r10
        (b"\x07\x10", (0, 0, ROW_END)),
        (b"\x08\x10", UNKNOWN),
        (b"\x09\x10\x02", UNKNOWN),  # rip in rdx, as in longjmp
        (b"\x90\x02", UNKNOWN),
        (b"\x08\x07", UNKNOWN),
        (b"\x87\x02", UNKNOWN),
        (b"\x07\x06", (1, RBP_LOST, ROW_RSP)),
        (b"\x09\x06\x03", (1, RBP_LOST, ROW_RSP)),
        (b"\x08\x06", BEGIN),
        (b"\x05\x06\x03", (1, -3, ROW_RSP)),
        (b"\x11\x06\x03", (1, -3, ROW_RSP)),
        (b"\x2f\x06\x03", (1, 3, ROW_RSP)),
        (b"\x86\x00", (1, RBP_LOST, ROW_RSP)),  # at the CFA itself
        (b"\x86\x81\x01", (1, RBP_LOST, ROW_RSP)),  # 129 words away
        (b"\x86\x80\x01", (1, -128, ROW_RSP)),
        (b"\x14\x06\x02", (1, RBP_LOST, ROW_RSP)),
        (b"\x83\x02", BEGIN),  # rbx
        (b"\x2e\x20", BEGIN),
        (b"\x86\x02\xc6", BEGIN),
        (b"\x86\x02\x06\x06", BEGIN),
        (b"\x0f\x03\x76\x78\x06", (-1, RBP_LOST, ROW_AT_RBP)),
        (b"\x0f\x03\x76\x78\x06\x10\x06\x02\x76\x00", (-1, RBP_SAME, ROW_AT_RBP)),
        (b"\x0c\x06\x10\x10\x06\x02\x76\x00", (2, -2, ROW_RBP)),
        (b"\x0f\x06\x77\x98\x01\x06\x23\x08\x86\x07", (19, -7, ROW_AT_RSP)),
        (b"\x0f\x06\x77\x98\x01\x06\x23\x10", UNKNOWN),
        (b"\x0f\x04\x77\xa0\x01\x06", UNKNOWN),  # a signal's frame, were it marked as one
        (b"\x0f\x0b" + PLT[11], (1, 0, ROW_PLT)),
        (b"\x0f\x01\x97", UNKNOWN),
        (b"\x0f\x00", UNKNOWN),
        (b"\x0f\x02\x76\x80", UNKNOWN),
    ],
)
def test_rows_of_instructions(code: bytes, found: Row) -> None:
    assert row(code) == found


def test_a_signals_frame_is_one_by_the_cies_mark() -> None:
    marked = cie(letters=b"zRS")
    assert row(b"\x0f\x04\x77\xa0\x01\x06", first=marked) == (0, 0, ROW_SIGNAL)
    assert row(b"", first=marked) == BEGIN


@pytest.mark.parametrize(
    ("advance", "distance"),
    [
        (b"\x45", 5),
        (b"\x02\x90", 0x90),
        (b"\x03\x90\x00", 0x90),
        (b"\x04\x90\x00\x00\x00", 0x90),
        (b"\x1d\x90\x00\x00\x00\x00\x00\x00\x00", 0x90),
        (b"\x01" + struct.pack("<Q", START + 0x90), 0x90),  # set_loc
    ],
)
def test_a_row_holds_up_to_the_next(advance: bytes, distance: int) -> None:
    assert table_of(b"\x0e\x10" + advance + b"\x0e\x18") == [
        (0, UNKNOWN),
        (START, (2, 0, ROW_RSP)),
        (START + distance, (3, 0, ROW_RSP)),
        (START + SIZE, UNKNOWN),
    ]


def test_a_function_may_begin_where_the_file_does() -> None:
    image = image_of(section_of(b"\x41\x0e\x10"))
    moved = replace(image, segments=(Segment(START, 0, 0x1000, 0x1000, True),))
    assert rows_of(unwind_table(moved)) == [(0, BEGIN), (1, (2, 0, ROW_RSP)), (SIZE, UNKNOWN)]


def test_remembered_states_are_a_stack() -> None:
    code = b"\x0e\x10\x86\x02\x0a\x0e\x18\x0a\x0e\x20\x41\x0b\x41\x0b"
    assert [row(code, i) for i in range(3)] == [(4, -2, ROW_RSP), (3, -2, ROW_RSP), (2, -2, ROW_RSP)]


def test_rows_end_with_their_function() -> None:
    assert table_of(b"\x44\x0e\x10\x03\x00\x01\x0e\x18")[-2:] == [
        (START + 4, (2, 0, ROW_RSP)),
        (START + SIZE, UNKNOWN),
    ]


def two(low: int, size: int, code: bytes) -> list[tuple[int, Row]]:
    """With a second function."""
    first = section_of(b"")
    body = struct.pack("<QQ", low, size) + b"\0" + code
    return rows_of(unwind_table(image_of(first + entry(len(first) + 4, body))))


def test_functions_side_by_side_share_what_is_equal() -> None:
    assert two(START + SIZE, 0x10, b"") == [(0, UNKNOWN), (START, BEGIN), (START + SIZE + 0x10, UNKNOWN)]
    apart = two(START + SIZE + 8, 8, b"")
    assert [r for _, r in apart] == [UNKNOWN, BEGIN, UNKNOWN, BEGIN, UNKNOWN]


def test_of_functions_that_overlap_the_later_start_holds() -> None:
    rows = two(START + 0x20, 0x10, b"\x0e\x10")
    assert [at(rows, START + i) for i in (0x1F, 0x20, 0x2F)] == [BEGIN, (2, 0, ROW_RSP), (2, 0, ROW_RSP)]


@pytest.mark.parametrize("low", [0, 0x10, 0x7000, (1 << 64) - 8])
def test_functions_that_lie_in_no_code_have_no_rows(low: int) -> None:
    assert two(low, 0x10, b"\x0e\x10") == table_of(b"")


INSTRUCTIONS = st.one_of(
    st.sampled_from((6, 7, 16, 3, 10)).flatmap(
        lambda r: st.sampled_from((
            bytes((0x80 | r, 2)), bytes((0x80 | r, 1)), bytes((0xC0 | r,)), bytes((6, r)), bytes((7, r)), bytes((8, r)),
            bytes((9, r, 3)), bytes((5, r, 4)), bytes((0x11, r, 3)), bytes((0x10, r, 2, 0x76, 0)), bytes((0x0D, r)),
            bytes((0x0C, r, 16)), bytes((0x12, r, 0x7E)), bytes((0x14, r, 1)), bytes((0x16, r, 2, 0x77, 8)),
        ))
    ),
    st.sampled_from((
        b"\x0e\x10", b"\x0e\x18", b"\x13\x7c", b"\x0a", b"\x0b", b"\x2e\x08", b"\0", b"\x0f\x03\x76\x78\x06",
        b"\x0f\x06\x77\x98\x01\x06\x23\x08", b"\x0f\x0b" + PLT[11], b"\x40", b"\x41", b"\x44", b"\x02\x10", b"\x5f",
    )),
)  # fmt: skip


@given(st.lists(INSTRUCTIONS, max_size=20))
def test_any_instructions_say_what_the_general_machine_says(instructions: list[bytes]) -> None:
    image = image_of(section_of(b"".join(instructions)))
    binary = Binary(image, "", "library", (), False, False, False)
    rows = rows_of(unwind_table(image))
    places = range(START, START + SIZE, 5)
    try:
        frames = [f.frame_at(binary, None, address) for address in [*places, START + SIZE - 1]]
    except BinaryError:
        assert {at(rows, address) for address in places} == {UNKNOWN}
        return
    for address, frame in zip(places, frames, strict=False):
        assert settled(at(rows, address), address) == expected(frame, address)


# --------------------------------------------------------------------------------------------------- damaged


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_random_instructions_never_fail(initial: bytes, code: bytes) -> None:
    unwind_table(image_of(section_of(code, cie(initial))))


@given(st.binary(max_size=200))
def test_random_sections_have_rows_or_are_named(section: bytes) -> None:
    try:
        unwind_table(image_of(section))
    except BinaryError as error:
        assert ".eh_frame" in str(error)


def test_damaged_instructions_cost_only_their_function() -> None:
    rows = two(START + SIZE, 0x10, b"\x3f")
    assert at(rows, START) == BEGIN
    assert at(rows, START + SIZE) == UNKNOWN


@pytest.mark.parametrize(
    "first",
    [
        cie(factors=b"\x01\x78", register=3),
        cie(letters=b"odd"),
        cie(INITIAL + b"\x41\x0e\x10"),  # advances
        cie(INITIAL + b"\x0b"),
    ],
)
def test_a_damaged_cie_costs_only_its_functions(first: bytes) -> None:
    assert row(b"", first=first) == UNKNOWN


@pytest.mark.parametrize(
    "section", [cie()[:-3], b"\xff\xff\xff\x7f", b"\x01", section_of(b"") + b"\x20\0\0\0\1"]
)
def test_damaged_sections_are_named(section: bytes) -> None:
    with pytest.raises(BinaryError, match=r"\.eh_frame"):
        unwind_table(image_of(section))


def test_many_entries_cannot_make_one_large_cie_be_read_again_and_again() -> None:
    """Entries that point into the middle of another have none."""
    whole = cie(INITIAL + b"\0" * 100_000)
    many = b"".join(
        entry(len(whole) + 24 * i + 4 - 8 * (i % 1000), struct.pack("<QI", START, 1) + b"\0" * 4)
        for i in range(20_000)
    )
    unwind_table(image_of(whole + many))


# ----------------------------------------------------------------------------------------------------- kept


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("probelang.dwarf.unwindcache.KEPT_BYTES", 1)
    return tmp_path / "cache" / "probelang"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files whose rows were made, not read."""
    found: list[str] = []

    def note(image: Image) -> UnwindTable:
        found.append(image.path)
        return unwind_table(image)

    monkeypatch.setattr(unwind, "unwind_table", note)
    return found


def test_rows_are_made_once(pie: Path, cache: Path, made: list[str]) -> None:
    first = cached_unwind_table(str(pie))
    assert cached_unwind_table(str(pie)) == cached_unwind_table(read_image(str(pie))) == first
    assert first == unwind_table(read_image(str(pie)))
    assert made == [str(pie)]


def test_rows_of_another_file_under_the_same_name_are_made_anew(
    tmp_path: Path, cpp: Path, pie: Path, cache: Path, made: list[str]
) -> None:
    program = tmp_path / "program"
    shutil.copy(pie, program)
    cached_unwind_table(str(program))
    program.unlink()
    shutil.copy(cpp, program)
    assert cached_unwind_table(str(program)) == unwind_table(read_image(str(cpp)))
    assert len(made) == 2


@pytest.mark.parametrize("damage", ["cut", "longer", "head", "others"])
def test_kept_rows_that_are_not_whole_or_not_ours_are_not_believed(
    pie: Path, cache: Path, made: list[str], damage: str
) -> None:
    good = cached_unwind_table(str(pie))
    (kept,) = cache.glob("rows-*")
    data = kept.read_bytes()
    match damage:
        case "cut":
            kept.write_bytes(data[:-40])
        case "longer":
            kept.write_bytes(data[:16] + b"\0" * 8 + data[16:])
        case "head":
            kept.write_bytes(b"x" + data[1:])
        case _:
            kept.chmod(0o666)
    assert cached_unwind_table(str(pie)) == good
    assert len(made) == 2


def test_rows_are_made_where_nothing_can_be_kept(pie: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    monkeypatch.setattr("probelang.dwarf.unwindcache.KEPT_BYTES", 1)
    assert cached_unwind_table(str(pie)) == unwind_table(read_image(str(pie)))
    assert not os.path.exists("/proc/nowhere")
