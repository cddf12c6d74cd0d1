"""Unwind rows: as readelf has them for programs and libraries, and each instruction of a table built in memory."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probelang.dwarf import frames as f
from probelang.dwarf.binary import Binary, open_binary
from probelang.dwarf.files import Debug, Files
from probelang.dwarf.image import BinaryError, Image, Section, Segment
from probelang.dwarf.info import DebugInfo
from probelang.dwarf.scopes import Functions
from probelang.dwarf.types import Types
from tests.dwarf.targets import CPP, C, compile_target

# ---------------------------------------------------------------------------------------------- beside readelf

NAMES = ("rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", *(f"r{i}" for i in range(8, 16)), "ra")
HEAD = re.compile(
    r"^[0-9a-f]+ [0-9a-f]+ [0-9a-f]+ (CIE|FDE)(?: cie=([0-9a-f]+) pc=([0-9a-f]+)\.\.([0-9a-f]+))?"
)


@dataclass
class Table:
    """Of an entry, as readelf prints it: `rows` of address and cells."""

    low: int = 0
    high: int = 0
    columns: list[str] = field(default_factory=list[str])
    rows: list[tuple[int, list[str]]] = field(default_factory=list[tuple[int, list[str]]])


def readelf_tables(path: Path) -> Iterator[Table]:
    command = ["readelf", "--debug-dump=frames-interp", str(path)]
    # its status is 1 after a mere warning
    text = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    cies: dict[str, Table] = {}
    table = cie = Table()
    for line in text.splitlines():
        if head := HEAD.match(line):
            if table.high:
                yield (
                    table
                    if table.rows
                    else Table(table.low, table.high, cie.columns, [(table.low, cie.rows[0][1])])
                )
            table = Table()
            if head[1] == "CIE":
                cies[line.split()[0]] = table
            else:
                cie = cies[head[2].zfill(8)]
                table.low, table.high = int(head[3], 16), int(head[4], 16)
        elif line.startswith("Contents of"):
            cies = {}
        elif line.startswith("   LOC"):
            table.columns = line.split()[1:]
        elif re.match(r"[0-9a-f]{16} ", line):
            address, *cells = re.sub(r" \(\w+\)", "", line).split()
            table.rows.append((int(address, 16), cells))
    if table.high:
        yield (
            table if table.rows else Table(table.low, table.high, cie.columns, [(table.low, cie.rows[0][1])])
        )


def cell(rule: f.Rule | f.Cfa | None) -> str:
    """As readelf writes it."""
    match rule:
        case None | f.Undefined():
            return "u"
        case f.SameValue():
            return "s"
        case f.AtOffset(offset):
            return f"c{offset:+d}"
        case f.ValueOffset(offset):
            return f"v{offset:+d}"
        case f.InRegister(register):
            return f"r{register}"
        case f.AtExpression() | f.CfaExpression():
            return "exp"
        case f.ValueExpression():
            return "vexp"
        case f.CfaRegister(register, offset):
            return f"{NAMES[register]}{offset:+d}"


def compare(path: Path, debug: Debug | None = None, every: int = 1) -> int:
    """Each row at its first, middle and last address; how many were."""
    binary = open_binary(str(path))
    count = 0
    for table in list(readelf_tables(path))[::every]:
        rows = dict(table.rows)  # of several for one address the last holds
        ends = [*list(rows)[1:], table.high]
        for (low, cells), high in zip(rows.items(), ends, strict=True):
            for address in {low, (low + high) // 2, high - 1} if low and high > low else ():
                frame = f.frame_at(binary, debug, address)
                assert frame is not None, hex(address)
                found = [cell(frame.cfa)]
                found += [cell(frame.registers.get(NAMES.index(name))) for name in table.columns[1:]]
                assert found == cells, hex(address)
                assert frame.low <= address < frame.high <= table.high
                count += 1
    return count


needs_readelf = pytest.mark.skipif(shutil.which("readelf") is None, reason="needs readelf")


@needs_readelf
def test_rows_of_programs(tmp_path: Path, pie: Path, cpp: Path) -> None:
    assert compare(pie) > 40
    assert compare(cpp) > 50
    assert compare(compile_target(tmp_path, "o0", CPP, "-O0", "-g", suffix=".cpp")) > 200


@needs_readelf
def test_rows_of_a_library_with_signal_frames_and_expressions() -> None:
    libc = Path("/lib/x86_64-linux-gnu/libc.so.6")
    if not libc.exists():
        pytest.skip("needs glibc where Debian has it")
    assert compare(libc, every=7) > 5000


@needs_readelf
def test_debug_frame_where_there_is_no_eh_frame(tmp_path: Path) -> None:
    flags = ("-O2", "-g", "-fno-asynchronous-unwind-tables", "-fno-exceptions")
    program = compile_target(tmp_path, "debug_frame", C, *flags)
    debug = Files().debug(str(program))
    main = next(s for s in open_binary(str(program)).symbols() if s.name == b"main")
    assert compare(program, debug) > 40
    assert f.frame_at(open_binary(str(program)), None, main.address) is None
    assert f.frame_at(open_binary(str(program)), debug, main.address) is not None


@needs_readelf
def test_eh_frame_without_its_sorted_table(tmp_path: Path) -> None:
    program = compile_target(tmp_path, "unsorted", C, "-O2", "-g", "-Wl,--no-eh-frame-hdr")
    assert compare(program) > 40
    assert compare(program, Files().debug(str(program))) > 40


def test_only_a_signal_handlers_return_is_a_signal_frame(tmp_path: Path) -> None:
    source = """
int main(void) { return 0; }
__asm__(".text\\n.globl back\\n.type back, @function\\nback:\\n.cfi_startproc\\n.cfi_signal_frame\\nnop\\nret\\n.cfi_endproc\\n");
"""
    binary = open_binary(str(compile_target(tmp_path, "signal", source)))
    places = {s.name: s.address for s in binary.symbols()}
    found = {name: f.frame_at(binary, None, places[name]) for name in (b"main", b"back")}
    assert [frame and frame.signal for frame in found.values()] == [False, True]


# ------------------------------------------------------------------------------------------- built in memory

NOWHERE = 0x1000
INITIAL = b"\x0c\x07\x08\x90\x01"  # def_cfa rsp+8; rip at cfa-8
AT_START = {16: f.AtOffset(-8)}


class Sections:
    """A file of debug information with one section."""

    alternate = None
    path = "/in/memory"

    def __init__(self, data: bytes) -> None:
        self.data = data

    def section(self, name: str) -> bytes:
        return self.data if name == ".debug_frame" else b""

    def split(self, name: str, folder: str, identity: int) -> None:
        return None


def cie(
    initial: bytes, version: int = 3, augmentation: bytes = b"", is_64: bool = False, eh: bool = False
) -> bytes:
    body = bytes((version,)) + augmentation + b"\0"
    body += b"\x08\0" if version == 4 else b""
    body += b"\x01\x78\x10"  # code factor 1, data factor -8, return address in column 16
    return entry(None if not eh else 0, body + initial, is_64)


def entry(identity: int | None, body: bytes, is_64: bool = False) -> bytes:
    if is_64:
        body = ((1 << 64) - 1 if identity is None else identity).to_bytes(8, "little") + body
        return b"\xff\xff\xff\xff" + len(body).to_bytes(8, "little") + body
    body = ((1 << 32) - 1 if identity is None else identity).to_bytes(4, "little") + body
    return len(body).to_bytes(4, "little") + body


def empty_binary(
    data: bytes = b"", sections: tuple[Section, ...] = (), segments: tuple[Segment, ...] = ()
) -> Binary:
    image = Image("/in/memory", data, 3, 0, sections, segments, None, False, ())
    return Binary(image, "", "library", (), False, False, False)


def in_memory(section: bytes) -> Debug:
    info = DebugInfo(Sections(section))
    return Debug(empty_binary(), info, Types(info), Functions(info))


def row(
    code: bytes, address: int, version: int = 3, is_64: bool = False, initial: bytes = INITIAL
) -> f.Frame | None:
    """What instructions for 0x1000 to 0x1100 say at an address."""
    first = cie(initial, version, is_64=is_64)
    debug = in_memory(first + entry(0, struct.pack("<QQ", NOWHERE, 0x100) + code, is_64))
    return f.frame_at(debug.binary, debug, address)


def cfa(code: bytes, address: int = NOWHERE) -> f.Cfa:
    frame = row(code, address)
    assert frame is not None
    return frame.cfa


def rules(code: bytes, address: int = NOWHERE) -> dict[int, f.Rule]:
    frame = row(code, address)
    assert frame is not None
    return dict(frame.registers)


@pytest.mark.parametrize("version", [1, 3, 4])
@pytest.mark.parametrize("is_64", [False, True])
def test_without_instructions_the_cies_row_holds_all_over(version: int, is_64: bool) -> None:
    frame = row(b"", NOWHERE + 0xFF, version, is_64)
    assert frame == f.Frame(NOWHERE, NOWHERE + 0x100, f.CfaRegister(7, 8), AT_START, 16, False)
    assert row(b"", NOWHERE - 1, version, is_64) is None
    assert row(b"", NOWHERE + 0x100, version, is_64) is None


@pytest.mark.parametrize(
    ("code", "found"),
    [
        (b"\x0c\x06\x10", f.CfaRegister(6, 16)),
        (b"\x12\x06\x7e", f.CfaRegister(6, 16)),  # def_cfa_sf: -2 * -8
        (b"\x0d\x06", f.CfaRegister(6, 8)),
        (b"\x0e\x80\x01", f.CfaRegister(7, 128)),
        (b"\x13\x7d", f.CfaRegister(7, 24)),
        (b"\x0f\x02\x76\x78", f.CfaExpression(b"\x76\x78")),
        (b"\x0f\x02\x76\x78\x0c\x06\x10", f.CfaRegister(6, 16)),
        (b"\0\0", f.CfaRegister(7, 8)),
        (b"\x2e\x20", f.CfaRegister(7, 8)),
    ],
)
def test_instructions_that_define_the_frame_address(code: bytes, found: f.Cfa) -> None:
    assert cfa(code) == found
    assert rules(code) == AT_START


@pytest.mark.parametrize(
    ("code", "found"),
    [
        (b"\x86\x02", f.AtOffset(-16)),  # offset
        (b"\x05\x06\x02", f.AtOffset(-16)),  # offset_extended
        (b"\x11\x06\x7e", f.AtOffset(16)),
        (b"\x14\x06\x02", f.ValueOffset(-16)),
        (b"\x15\x06\x7e", f.ValueOffset(16)),
        (b"\x2f\x06\x02", f.AtOffset(16)),  # GNU_negative_offset_extended
        (b"\x07\x06", f.Undefined()),
        (b"\x08\x06", f.SameValue()),
        (b"\x09\x06\x0c", f.InRegister(12)),
        (b"\x10\x06\x01\x30", f.AtExpression(b"\x30")),
        (b"\x16\x06\x02\x77\x08", f.ValueExpression(b"\x77\x08")),
    ],
)
def test_instructions_that_say_where_a_register_is(code: bytes, found: f.Rule) -> None:
    assert rules(code) == {**AT_START, 6: found}


@pytest.mark.parametrize(
    ("advance", "delta"),
    [
        (b"\x45", 5),
        (b"\x02\x90", 0x90),
        (b"\x03\x90\x00", 0x90),
        (b"\x04\x90\x00\x00\x00", 0x90),
        (b"\x1d\x90\x00\x00\x00\x00\x00\x00\x00", 0x90),
        (b"\x01" + struct.pack("<Q", NOWHERE + 0x90), 0x90),  # set_loc
    ],
)
def test_a_row_holds_up_to_the_next(advance: bytes, delta: int) -> None:
    code = b"\x0e\x10" + advance + b"\x0e\x18"
    before, behind = row(code, NOWHERE + delta - 1), row(code, NOWHERE + delta)
    assert before is not None and behind is not None
    assert (before.low, before.high, before.cfa) == (NOWHERE, NOWHERE + delta, f.CfaRegister(7, 16))
    assert (behind.low, behind.high, behind.cfa) == (NOWHERE + delta, NOWHERE + 0x100, f.CfaRegister(7, 24))


def test_restored_rules_are_those_of_the_cie() -> None:
    assert rules(b"\x90\x03\xd0") == AT_START
    assert rules(b"\x10\x10\x01\x30\x06\x10") == AT_START  # restore_extended
    assert rules(b"\x86\x02\xc6") == AT_START  # the CIE has no rule for rbp


def test_remembered_states_are_a_stack_and_have_the_frame_address_with_them() -> None:
    code = b"\x0e\x10\x86\x02\x0a\x0e\x18\x83\x03\x0a\x0e\x20\x41\x0b\x41\x0b"
    assert cfa(code, NOWHERE) == f.CfaRegister(7, 32)
    assert rules(code, NOWHERE + 1) == {**AT_START, 6: f.AtOffset(-16), 3: f.AtOffset(-24)}
    assert cfa(code, NOWHERE + 1) == f.CfaRegister(7, 24)
    assert rules(code, NOWHERE + 2) == {**AT_START, 6: f.AtOffset(-16)}
    assert cfa(code, NOWHERE + 2) == f.CfaRegister(7, 16)


def eh_frame(section: bytes, address: int = 0x5000) -> Binary:
    """A file with an .eh_frame and nothing else."""
    part = Section(".eh_frame", 1, 2, address, 0x40, len(section), 0, 0, 0)
    return empty_binary(b"\0" * 0x40 + section, (part,))


@pytest.mark.parametrize(
    ("encoding", "low", "size"),
    [
        (0x00, struct.pack("<Q", NOWHERE), struct.pack("<Q", 0x100)),
        (0x02, struct.pack("<H", NOWHERE), struct.pack("<H", 0x100)),
        (0x03, struct.pack("<I", NOWHERE), struct.pack("<I", 0x100)),
        (0x04, struct.pack("<Q", NOWHERE), struct.pack("<Q", 0x100)),
        (0x01, b"\x80\x20", b"\x80\x02"),  # udata
        (0x09, b"\x80\x20", b"\x80\x02"),
        (0x0B, struct.pack("<i", NOWHERE), struct.pack("<i", 0x100)),
        (0x1B, None, struct.pack("<i", 0x100)),
        (0x1C, None, struct.pack("<q", 0x100)),
        (0x1A, None, struct.pack("<h", 0x100)),
    ],
)
@pytest.mark.parametrize("letters", [b"zR", b"zPLR", b"zRS"])
def test_encodings_of_pointers(encoding: int, low: bytes | None, size: bytes, letters: bytes) -> None:
    values = {"P": b"\x9b\0\0\0\0", "L": b"\x1b", "R": bytes((encoding,)), "S": b""}
    augmentation = b"".join(values[chr(letter)] for letter in letters[1:])
    first = cie(bytes((len(augmentation),)) + augmentation + INITIAL, 1, letters, eh=True)
    here = 0x5000 + len(first) + 8
    low = low or struct.pack("<q", NOWHERE - here)[: len(size)]
    data = b"\x04\0\0\0\0" if b"P" in letters else b"\0"
    section = first + entry(len(first) + 4, low + size + data + b"\x0e\x10") + b"\0\0\0\0"
    binary = eh_frame(section)
    expected = f.Frame(NOWHERE, NOWHERE + 0x100, f.CfaRegister(7, 16), AT_START, 16, b"S" in letters)
    assert f.frame_at(binary, None, NOWHERE + 1) == expected
    assert f.frame_at(binary, None, NOWHERE + 0x100) is None


# --------------------------------------------------------------------------------------------------- damaged


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (b"\x3f\x06", "unknown call frame instruction 0x3f"),
        (b"\x0b", "was not remembered"),
        (b"\x0a" * 1000, "too many states"),
        (b"\x0f\x02\x76", "cut short"),
        (b"\x04\x01", "cut short"),
        (b"\x07\xff\xff\xff\x7f", "rule for register"),
        (b"\x0f\x01\x30\x0e\x08", "not a register and an offset"),
    ],
)
def test_damaged_instructions_name_the_section(code: bytes, reason: str) -> None:
    with pytest.raises(BinaryError, match=reason) as caught:
        row(code, NOWHERE)
    assert "/in/memory" in str(caught.value)
    assert ".debug_frame" in str(caught.value)


def test_what_comes_behind_the_row_is_not_read() -> None:
    assert cfa(b"\x0e\x10\x41\x3f") == f.CfaRegister(7, 16)


@pytest.mark.parametrize(
    ("section", "reason"),
    [
        (entry(0x10, b"\0" * 16), "refers to no CIE"),
        (cie(INITIAL)[:-3], "has an entry of"),
        (b"\xff\xff\xff\x7f", "has an entry of"),
        (b"\x01", "cut short"),
        (cie(INITIAL, 9) + entry(0, b"\0" * 16), "of version 9"),
        (cie(INITIAL, 3, b"odd") + entry(0, b"\0" * 16), "unknown augmentation"),
        (cie(b"\0") + entry(0, struct.pack("<QQ", NOWHERE, 1)), "defines no frame address"),
    ],
)
def test_damaged_sections_are_named(section: bytes, reason: str) -> None:
    debug = in_memory(section)
    with pytest.raises(BinaryError, match=reason):
        f.frame_at(debug.binary, debug, NOWHERE)


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_random_instructions_give_a_row_or_name_the_section(initial: bytes, code: bytes) -> None:
    try:
        frame = row(code, NOWHERE + 3, initial=INITIAL + initial)
    except BinaryError:
        return
    assert frame is None or frame.low <= NOWHERE + 3 < frame.high
