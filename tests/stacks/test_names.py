"""Names of code: against addr2line for lines and inlined calls, against nm for symbols."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from probelang.dwarf.binary import open_binary
from probelang.dwarf.codenames import CodeNames, code_names
from probelang.dwarf.symbols import ENTRY, SymbolTable
from probelang.runtime.stacks.codefiles import CodeFiles
from probelang.runtime.stacks.names import FileNames, Names
from probelang.runtime.stacks.perfmaps import PerfMaps
from probelang.runtime.stacks.vdso import read_vdso

Compile = Callable[..., Path]

INLINING_C = """
#include <stdlib.h>
volatile int n;
static inline __attribute__((always_inline)) int inner(int x) {
    n += x;
    if (n > 5)
        n -= 3;
    return n * 3;
}
static inline __attribute__((always_inline)) int middle(int x) {
    int y = inner(x) + 1;
    return y * inner(x + 2);
}
__attribute__((noinline)) int work(int x) {
    if (x > 100)
        abort();
    return middle(x) - inner(x);
}
int main(int argc, char **argv) {
    int sum = 0;
    for (int i = 0; i < argc + 3; i++)
        sum += work(i) + inner(i);
    return sum & 1;
}
"""
INLINING_CPP = """
#include <vector>
#include <string>
namespace shop {
volatile int n;
template <class T> struct Cart {
    std::vector<T> items;
    inline __attribute__((always_inline)) void add(T item) { items.push_back(item); n += items.size(); }
    __attribute__((noinline)) int total() const { int sum = 0; for (const T &i : items) sum += i; return sum + n; }
};
__attribute__((noinline)) int fill(int count) {
    Cart<int> cart;
    for (int i = 0; i < count; i++) cart.add(i);
    return cart.total();
}
}
int main(int argc, char **argv) { return shop::fill(argc + 10) & 1; }
"""


def addr2line(program: Path, addresses: list[int]) -> dict[int, list[tuple[str, str]]]:
    """Function (mangled) and `file:line` of each, innermost first."""
    words = ["addr2line", "-a", "-f", "-i", "-e", str(program)]
    text = "\n".join(f"{a:#x}" for a in addresses)
    out = subprocess.run(words, input=text, capture_output=True, text=True, check=True).stdout
    found: dict[int, list[tuple[str, str]]] = {}
    for block in re.split(r"^(?=0x)", out, flags=re.MULTILINE)[1:]:
        address, *rest = block.splitlines()
        places = [re.sub(r" \(discriminator \d+\)", "", place) for place in rest[1::2]]
        found[int(address, 16)] = list(zip(rest[::2], places, strict=True))
    return found


def text_addresses(program: Path) -> list[int]:
    """Of every instruction of the functions of the program itself."""
    text = subprocess.run(
        ["objdump", "-d", "-j", ".text", str(program)], capture_output=True, text=True, check=True
    )
    return [int(a, 16) for a in re.findall(r"^\s+([0-9a-f]+):\t", text.stdout, re.MULTILINE)]


@pytest.mark.parametrize(
    "flags", [("-O2", "-g"), ("-O0", "-g"), ("-O3", "-gdwarf-4", "-no-pie"), ("-O2", "-g", "-gz")]
)
def test_lines_and_inlined_calls_are_those_of_addr2line(flags: tuple[str, ...], compile_c: Compile) -> None:
    program = compile_c(INLINING_C, *flags, name="inlining" + "".join(flags).replace("-", "_"))
    names = FileNames(CodeFiles((str(program),)).all()[0])
    image = open_binary(str(program)).image
    addresses = text_addresses(program)
    expected = addr2line(program, addresses)
    compared = nested = 0
    for address in addresses:
        offset = image.offset_of(address) or 0
        frames, start = names.frames(offset), names.covering(offset)
        if not frames[0].source or start is None or not start[1]:
            continue  # the start files have no lines; at its first instruction nothing that was inlined has begun
        found = [(f.name, f"{f.source}:{f.line}") for f in frames]
        # a line that is not known is ? there and 0 here
        wanted = [(name, place.replace(":?", ":0")) for name, place in expected[address]]
        assert found == [(name.removesuffix(".cold"), place) for name, place in wanted], hex(address)
        assert [f.inlined for f in frames] == [True] * (len(frames) - 1) + [False]
        compared += 1
        nested += len(frames) > 2
    assert compared > 50
    assert nested > 3 or "-O0" in flags


def test_cpp_names_have_no_parameters(compile_c: Compile, tmp_path: Path) -> None:
    source = tmp_path / "shop.cpp"
    source.write_text(INLINING_CPP)
    program = compile_c(source, "-O1", "-g", name="shop")
    names = FileNames(CodeFiles((str(program),)).all()[0])
    image = open_binary(str(program)).image
    shown: set[str] = set()
    for address in text_addresses(program):
        shown |= {frame.name for frame in names.frames(image.offset_of(address) or 0)}
    assert {"main", "shop::fill", "shop::Cart<int>::total", "shop::Cart<int>::add"} <= shown
    assert not [name for name in shown if name.startswith("_ZN4shop")]


def nm(program: str) -> list[tuple[int, int, str]]:
    """Address, size and name of the functions of the dynamic and the static table."""
    rows: list[tuple[int, int, str]] = []
    for option in ("-D", "-a"):
        words = ["nm", "-S", "--defined-only", option, program]
        text = subprocess.run(words, capture_output=True, text=True, check=False).stdout
        rows += [
            (int(a, 16), int(s, 16), n.split("@")[0])
            for a, s, n in re.findall(r"^([0-9a-f]+) ([0-9a-f]+) [tTwWi] (\S+)$", text, re.MULTILINE)
        ]
    return rows


def test_every_function_of_a_library_is_found_at_its_bytes() -> None:
    path = "/lib/x86_64-linux-gnu/libm.so.6"
    if not os.path.exists(path):
        pytest.skip("no libm")
    names = code_names(open_binary(path))
    starts: dict[int, set[int]] = {}
    for address, size, _ in nm(path):
        for at in (address, address + size // 2, address + size - 1):
            if size:
                starts.setdefault(at, set()).add(address)
    assert len(starts) > 500
    for address, expected in starts.items():
        found = names.at(address)
        # its debug file knows smaller ones inside
        assert found is not None and (found.start in expected or found.start > max(expected)), hex(address)
    (malloc,) = [a for a, _, n in nm("/lib/x86_64-linux-gnu/libc.so.6") if n == "malloc"][:1]
    found = code_names(open_binary("/lib/x86_64-linux-gnu/libc.so.6")).at(malloc)
    assert found is not None and found.name == "malloc"


def table(*rows: tuple[str, int, int, int]) -> SymbolTable:
    """Name, address, size, info."""
    entries, strings = b"", b"\0"
    for name, address, size, info in rows:
        entries += ENTRY.pack(len(strings), info, 0, 1, address, size)
        strings += name.encode() + b"\0"
    return SymbolTable(entries, strings)


LOCAL, GLOBAL, FUNCTION = 0, 16, 2


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (0x0FFF, None),
        (0x1000, "outer"),
        (0x1013, "inner"),  # the nearest that covers it
        (0x1030, "outer"),  # behind the inner one
        (0x1080, None),  # a gap
        (0x2000, "alias"),  # of several names the exported one without underscores
        (0x3005, "bare"),  # no size: up to the next
        (0x4000, None),  # not in code
    ],
)
def test_which_symbol_covers_an_address(address: int, expected: str | None) -> None:
    symbols = table(
        ("outer", 0x1000, 0x40, GLOBAL | FUNCTION),
        ("inner", 0x1010, 0x08, LOCAL | FUNCTION),
        ("__alias", 0x2000, 0x10, GLOBAL | FUNCTION),
        ("alias", 0x2000, 0x10, GLOBAL | FUNCTION),
        ("a", 0x2000, 0x10, LOCAL | FUNCTION),
        ("bare", 0x3000, 0, GLOBAL),
    )
    names = CodeNames([symbols], [(0x1000, 0x1090), (0x2000, 0x3010)])
    found = names.at(address)
    assert (found.name if found else None) == expected


def test_moved_parts_and_slots_are_called_as_people_call_them(compile_c: Compile) -> None:
    names = CodeNames(
        [table(("work.cold", 0x1000, 8, FUNCTION), ("f.constprop.0", 0x1010, 8, FUNCTION))],
        [(0x1000, 0x2000)],
    )
    assert [one.name for one in (names.at(0x1002), names.at(0x1012)) if one] == ["work", "f"]
    program = compile_c(
        '#include <stdio.h>\nint main(int c, char **v) { printf("%d", c); return 0; }', "-O1", name="slots"
    )
    text = subprocess.run(
        ["objdump", "-d", "-j", ".plt", str(program)], capture_output=True, text=True, check=True
    ).stdout
    slot = re.search(r"^([0-9a-f]+) <printf@plt>:", text, re.MULTILINE)
    assert slot is not None
    found = code_names(open_binary(str(program))).at(int(slot[1], 16) + 6)
    assert found is not None and found.name == "printf@plt"


def test_code_without_symbols_is_named_by_file_and_offset(compile_c: Compile) -> None:
    program = compile_c("int main() { return 0; }", "-O1", "-s", name="stripped")
    names = Names(CodeFiles((str(program),)))
    offset = open_binary(str(program)).image.entry
    place = names.location(1 << 48 | offset, 0, False)
    assert [frame.name for frame in place.frames] == [f"stripped+{offset:#x}"]
    assert place.module == str(program)


def test_places_in_a_function_of_a_stripped_file_have_one_name(compile_c: Compile) -> None:
    """The unwind information knows where it begins; so does the file before it was stripped."""
    source = INLINING_C.replace("static inline __attribute__((always_inline))", "__attribute__((noinline))")
    whole = compile_c(source, "-O1", "-fno-pie", "-no-pie", name="whole")
    stripped = whole.with_name("stripped_whole")
    subprocess.run(["strip", "-o", str(stripped), str(whole)], check=True)
    names, image = FileNames(CodeFiles((str(stripped),)).all()[0]), open_binary(str(stripped)).image
    functions = {name: (address, size) for address, size, name in nm(str(whole))}
    for name in ("inner", "middle", "work", "main"):
        address, size = functions[name]
        start = image.offset_of(address) or 0
        shown = {names.frames(start + i)[0].name for i in range(0, size, 3)}
        assert shown == {f"stripped_whole+{start:#x}"}


def test_frames_of_files_that_nobody_knows() -> None:
    names = Names(CodeFiles())
    assert names.location(77 << 48 | 0x10, 0, False).frames[0].name == "0x4d000000000010"
    assert names.symbol(77 << 48 | 0x10, 0) is None
    assert names.location(0x10, 0, True).frames[0].name == "0x10"


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"\x7fELF\2\1\1" + bytes(500), b"text\n" * 100])
def test_a_damaged_file_has_no_names(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "damaged"
    path.write_bytes(content)
    names = Names(CodeFiles((str(path),)))
    assert names.location(1 << 48 | 0x10, 0, True).frames[0].name == "damaged+0xf"


def test_names_hold_nothing_that_terminals_obey(compile_c: Compile) -> None:
    source = (
        "__attribute__((noinline)) int red_31m_name(void) { return 1; } int main() { return red_31m_name(); }"
    )
    program = compile_c(source, "-O1", name="evil")
    program.write_bytes(program.read_bytes().replace(b"red_31m_name", b"red\x1b31m\nname"))
    (address,) = [s.address for s in open_binary(str(program)).symbols() if s.name.startswith(b"red")]
    frame = 1 << 48 | (open_binary(str(program)).image.offset_of(address) or 0)
    names = Names(CodeFiles((str(program),)))
    shown, symbol = names.location(frame, 0, False).frames[0].name, names.symbol(frame, 0)
    assert shown == "red?31m?name" and symbol is not None and symbol.name == shown.encode()


def test_the_vdso_has_names(tmp_path: Path) -> None:
    """Against readelf."""
    if not read_vdso():
        pytest.skip("no vdso")
    path = tmp_path / "vdso"
    path.write_bytes(read_vdso())
    names = Names(CodeFiles())
    words = ["readelf", "--dyn-syms", "-W", str(path)]
    text = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    rows = re.findall(r"^\s*\d+: ([0-9a-f]+)\s+(\d+) FUNC\s+\w+\s+\w+\s+\d+ ([^@\s]+)", text, re.MULTILINE)
    assert rows
    for address, _, _ in rows:
        expected = {name for other, _, name in rows if other == address}
        found = names.symbol(1 << 48 | int(address, 16), 0)
        assert found is not None and found.name.decode() in expected and found.file == b"[vdso]"


def test_addresses_of_this_process() -> None:
    names = Names(CodeFiles())
    address = ctypes.cast(ctypes.CDLL(None).getpid, ctypes.c_void_p).value or 0
    found = names.symbol(address + 3, os.getpid())
    assert found is not None and b"getpid" in found.name
    assert (found.distance, found.file) == (3, b"libc.so.6")


# -------------------------------------------------------------------------------------------------- perf maps


@pytest.fixture
def perf_map() -> Path:
    """Of a process that is not there."""
    path = Path("/tmp/perf-999999999.map")
    path.unlink(missing_ok=True)
    return path


def test_names_of_compiled_code_are_read_as_the_file_grows(perf_map: Path) -> None:
    maps = PerfMaps()
    try:
        assert maps.name(999999999, 0x1000) is None
        perf_map.write_text("1000 20 f one\n0x3000 0x10 three\nnonsense\n1 2\nzz 10 bad\n")
        assert maps.name(999999999, 0x1010) == (b"f one", 0x10)
        assert maps.name(999999999, 0x1020) is None
        assert maps.name(999999999, 0x3000) == (b"three", 0)
        with perf_map.open("a") as f:
            f.write("2000 10 two\n1000 8 f again\n4000 10 \x1b[31mred\n5000 10 unfinis")
        assert maps.name(999999999, 0x200F) == (b"two", 15)
        assert maps.name(999999999, 0x4000) == (b"?[31mred", 0)
        assert maps.name(999999999, 0x1004) == (b"f again", 4)
        assert maps.name(999999999, 0x5000) is None
        with perf_map.open("a") as f:
            f.write("hed\n")
        assert maps.name(999999999, 0x5000) == (b"unfinished", 0)
    finally:
        perf_map.unlink()
    assert maps.name(999999999, 0x200F) == (b"two", 15)  # kept


def test_what_is_no_file_is_no_perf_map(perf_map: Path) -> None:
    os.mkfifo(perf_map)
    try:
        assert PerfMaps().name(999999999, 0x1000) is None
    finally:
        perf_map.unlink()
