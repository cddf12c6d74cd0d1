"""Small programs with debug information, and ways to damage them. Everything follows from a seed.

base = bases(folder)["gcc-5"]
mutate(base, random.Random(7))  ->  [Edit(offset=0x1f40, data=b"\\xff\\xff\\xff\\x7f"), ...]
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from probelang.dwarf import constants as c
from probelang.dwarf import forms
from probelang.dwarf.entry import Entry, Unit
from probelang.dwarf.image import BinaryError, Image, read_image
from probelang.dwarf.image import Section as Header
from probelang.dwarf.info import DebugInfo, Section

SOURCE = """
struct node { struct node *next; int id; union { int u; float f; }; int bits : 3; long numbers_of_node[4]; };
typedef struct node node_t;
enum color { red, green = 5 };
#ifdef __cplusplus
namespace shop {
template <typename T> struct Base { T held; virtual ~Base() {} virtual int get() { return held; } };
struct Cart : virtual Base<int>, Base<unsigned> { static int made; int total; int get() { return total; } };
int Cart::made;
}
#define LINK extern "C"
void operator delete(void *, unsigned long) {}
#else
#define LINK
#endif
static int counter_of_calls;
static __thread int own_of_thread;
#define MARK(a, b) __asm__ volatile("990: nop\\n.pushsection .note.stapsdt,\\"?\\",\\"note\\"\\n.balign 4\\n.4byte 992f-991f, 994f-993f, 3\\n" \\
  "991: .asciz \\"stapsdt\\"\\n992: .balign 4\\n993: .8byte 990b\\n.8byte _.stapsdt.base\\n.8byte 0\\n.asciz \\"shop\\"\\n.asciz \\"sale\\"\\n" \\
  ".asciz \\"-4@%%edi 8@-16(%%rbp,%%rax,8)\\"\\n994: .balign 4\\n.popsection\\n" \\
  ".ifndef _.stapsdt.base\\n.pushsection .stapsdt.base,\\"aG\\",\\"progbits\\",.stapsdt.base,comdat\\n.weak _.stapsdt.base\\n.hidden _.stapsdt.base\\n" \\
  "_.stapsdt.base: .space 1\\n.size _.stapsdt.base, 1\\n.popsection\\n.endif\\n" :: "r"(a), "r"(b))
LINK __attribute__((noinline)) int total(node_t *n, enum color c) {
    int sum = c;
    for (; n; n = n->next) { int here = n->id * 3; sum += here + n->numbers_of_node[sum & 3]; if (sum > 99) goto out; }
out:
    MARK(sum, n);
    return sum;
}
static inline int twice(int x) { int y = x + x; own_of_thread += y; return y; }
LINK __attribute__((noinline)) double half(double x, char *text, int size) { char copy[size]; copy[0] = *text; own_of_thread = copy[0]; return x / 2; }
LINK int main(int argc, char **argv) {
    node_t b = {0, argc, {7}, 1, {1}}, a = {&b, 2, {8}, -1, {2}};
    counter_of_calls++;
    int seen = total(&a, green) + twice(argc) + half(argc, argv[0], 9);
#ifdef __cplusplus
    shop::Cart cart; cart.total = seen; shop::Cart::made++; shop::Base<int> *base = &cart; seen += base->get();
#endif
    return seen;
}
LINK void _start(void) { main(1, (char **)0); __builtin_trap(); }
"""
_FLAGS = ("-nostdlib", "-nostartfiles", "-fno-exceptions", "-fno-rtti", "-Wl,--build-id", "-Wl,-z,noseparate-code", "-Wno-all", "-w",
          "-fno-stack-protector", "-ffreestanding", "-Wl,--unresolved-symbols=ignore-all")  # fmt: skip
RECIPES: dict[str, tuple[str, ...]] = {
    "gcc-2": ("gcc", "-gdwarf-2", "-O1"),
    "gcc-4": ("gcc", "-gdwarf-4", "-O2"),
    "gcc-5": ("gcc", "-gdwarf-5", "-O2"),
    "gcc-5-O0": ("gcc", "-gdwarf-5", "-O0"),
    "gcc-5-exec": ("gcc", "-gdwarf-5", "-O1", "-no-pie", "-fno-pie"),
    "g++-4-types": ("g++", "-gdwarf-4", "-O1", "-fdebug-types-section"),
    "g++-5": ("g++", "-gdwarf-5", "-O2"),
    "gcc-64": ("gcc", "-gdwarf-5", "-gdwarf64", "-O1"),
    "gcc-zlib": ("gcc", "-g", "-O1", "-gz"),
    "gcc-4-dwp": ("gcc", "-gdwarf-4", "-gsplit-dwarf", "-O1"),
    "gcc-5-split": ("gcc", "-gdwarf-5", "-gsplit-dwarf", "-O1"),
    "g++-5-dwz": ("g++", "-gdwarf-5", "-O1"),
    "clang-4": ("clang", "-gdwarf-4", "-O2"),
    "clang-5": ("clang", "-gdwarf-5", "-O2"),
}
_BESIDE = {"gcc-4-dwp": ".dwp", "gcc-5-split": ".dwo", "g++-5-dwz": ".common"}
"""Endings of a second file, which is damaged in place of the program or together with it."""


@dataclass(frozen=True)
class Base:
    """`files`: what the program is made of: its own bytes under "", others under their endings."""

    name: str
    files: dict[str, bytes]


@dataclass(frozen=True)
class Edit:
    """Bytes to be written in the file with this ending; None: the file ends at `offset`."""

    ending: str
    offset: int
    data: bytes | None


def build_bases(folder: Path, names: list[str] | None = None) -> dict[str, Base]:
    """Those whose tools are here."""
    found: dict[str, Base] = {}
    for name in names or list(RECIPES):
        if shutil.which(RECIPES[name][0]) is not None and (base := _build(name, folder)) is not None:
            found[name] = base
    return found


def _build(name: str, folder: Path) -> Base | None:
    compiler, *flags = RECIPES[name]
    place = folder / name
    place.mkdir(parents=True, exist_ok=True)
    suffix = ".cpp" if compiler == "g++" else ".c"
    (place / f"t{suffix}").write_text(SOURCE)
    ending = _BESIDE.get(name, "")
    try:
        _run(place, compiler, *flags, *_FLAGS, f"t{suffix}", "-o", "program")
        if ending == ".dwp":
            _run(place, "dwp", "-e", "program", "-o", "program.dwp")
        elif ending == ".common":
            shutil.copy(place / "program", place / "second")
            _run(place, "dwz", "-m", "program.common", "program", "second")
        elif ending == ".dwo":
            next(place.glob("*.dwo")).rename(place / "program.dwo")
    except (subprocess.SubprocessError, OSError, StopIteration):
        return None
    files = {e: (place / f"program{e}").read_bytes() for e in {"", ending}}
    return Base(name, files)


def _run(place: Path, *command: str) -> None:
    subprocess.run(command, cwd=place, check=True, capture_output=True, timeout=60)


def split_name(base: Base) -> str:
    """What the split file has to be called: its program looks for it beside itself."""
    return "program-t.dwo" if ".dwo" in base.files else ""


def write(base: Base, edits: list[Edit], folder: Path) -> Path:
    """The damaged program, and what belongs to it, in an empty folder."""
    for ending, data in base.files.items():
        changed = bytearray(data)
        for edit in edits:
            if edit.ending != ending:
                continue
            if edit.data is None:
                del changed[edit.offset :]
            elif edit.offset < len(changed):
                changed[edit.offset : edit.offset + len(edit.data)] = edit.data
        name = split_name(base) if ending == ".dwo" else f"program{ending}"
        (folder / name).write_bytes(changed)
    return folder / "program"


# ------------------------------------------------------------------------------------------------------- damage


class _Target:
    """A file that is to be damaged, and what is known of it."""

    def __init__(self, ending: str, data: bytes, random: Random) -> None:
        self.ending = ending
        self.data = data
        self.random = random
        self.image = _image(data)
        self.sections = [
            s for s in self.image.sections
            if s.size and s.type != 8 and s.name.startswith((".debug", ".zdebug", ".eh_frame", ".note", ".gnu_debug", ".symtab"))
        ]  # fmt: skip
        self.entries = _entries(self.image) if ending in ("", ".common") else []

    def edit(self, offset: int, data: bytes) -> Edit:
        return Edit(self.ending, offset, data)


def _image(data: bytes) -> Image:
    from probelang.dwarf.image import parse_image

    return parse_image("base", data, objects=True)


class _Bytes:
    """`probelang.dwarf.info.Source` over the plain sections of an image."""

    path = "base"
    alternate = None

    def __init__(self, image: Image) -> None:
        self.image = image

    def section(self, name: str) -> bytes | Section:
        found = self.image.section(name)
        return b"" if found is None or found.flags & 0x800 else self.image.contents(found)

    def split(self, name: str, folder: str, identity: int) -> None:
        return None


@dataclass(frozen=True)
class Value:
    """Where a value of an attribute stands in the file."""

    offset: int
    size: int
    attribute: int
    form: int
    entry: int
    unit_size: int


def _entries(image: Image) -> list[Value]:
    header = image.section(".debug_info")
    if header is None or header.flags & 0x800:
        return []
    found: list[Value] = []
    try:
        for unit in DebugInfo(_Bytes(image)).units:
            for entry in (unit.root, *unit.root.descendants()):
                found += _values(header, unit, entry)
    except BinaryError:
        pass
    return found


def _values(header: Header, unit: Unit, entry: Entry) -> list[Value]:
    shape = entry._shape  # pyright: ignore[reportPrivateUsage]
    position = entry._start  # pyright: ignore[reportPrivateUsage]
    found: list[Value] = []
    for attribute, form, _ in shape.attributes:
        end = forms.skip(form, unit.data, position, unit)
        start = header.offset + unit.offset + position
        found.append(Value(start, end - position, attribute, form, entry.position, unit.size_bytes))
        position = end
    return found


def mutate(base: Base, random: Random) -> list[Edit]:
    """One to twelve changes."""
    endings = list(base.files)
    edits: list[Edit] = []
    targets: dict[str, _Target] = {}
    for _ in range(random.choice((1, 1, 1, 2, 3, 5, 12))):
        ending = random.choice(endings)
        target = targets.get(ending) or targets.setdefault(
            ending, _Target(ending, base.files[ending], random)
        )
        edits += random.choices(_WAYS, _WEIGHTS)[0](target)
    return edits


def _place(target: _Target) -> tuple[int, int]:
    """A section: its offset and size; now and then the whole file."""
    if not target.sections or target.random.random() < 0.03:
        return 0, len(target.data)
    weights = [8 if s.name in _FAVOURED else 2 for s in target.sections]
    section = target.random.choices(target.sections, weights)[0]
    return section.offset, section.size


_FAVOURED = frozenset(
    (".debug_info", ".debug_abbrev", ".debug_line", ".eh_frame", ".debug_loclists", ".debug_rnglists", ".debug_loc", ".debug_ranges",
     ".debug_info.dwo", ".debug_abbrev.dwo", ".debug_cu_index")
)  # fmt: skip


def _flip(target: _Target) -> list[Edit]:
    start, size = _place(target)
    at = start + target.random.randrange(size)
    return [target.edit(at, bytes((target.data[at] ^ 1 << target.random.randrange(8),)))]


def _byte(target: _Target) -> list[Edit]:
    start, size = _place(target)
    at = start + target.random.randrange(size)
    return [
        target.edit(
            at, bytes((target.random.choice((0, 1, 2, 0x7F, 0x80, 0xFF, target.random.randrange(256))),))
        )
    ]


def _number(target: _Target) -> list[Edit]:
    start, size = _place(target)
    width = target.random.choice((1, 2, 4, 4, 8))
    value = target.random.choice(
        (0, 1, (1 << 8 * width) - 1, 1 << (8 * width - 1), (1 << (8 * width - 1)) - 1, size, size - 1, 0xFFFFFFF0,
         target.random.randrange(size), len(target.data))
    )  # fmt: skip
    at = start + target.random.randrange(max(size - width, 1))
    return [target.edit(at, (value & (1 << 8 * width) - 1).to_bytes(width, "little"))]


def _fill(target: _Target) -> list[Edit]:
    start, size = _place(target)
    at = target.random.randrange(size)
    length = min(target.random.choice((4, 16, 64, 400, 4000)), size - at)
    kind = target.random.choice((0x00, 0x80, 0xFF, 0x01, None))
    data = target.random.randbytes(length) if kind is None else bytes((kind,)) * length
    return [target.edit(start + at, data)]


def _copy(target: _Target) -> list[Edit]:
    """Some of a section over another place of it, or of another."""
    (start, size), (there, more) = _place(target), _place(target)
    length = min(target.random.choice((2, 8, 40, 300)), size, more)
    source = there + target.random.randrange(more - length + 1)
    return [
        target.edit(start + target.random.randrange(size - length + 1), target.data[source : source + length])
    ]


def _cut(target: _Target) -> list[Edit]:
    """A section's header: its size, offset, type, flags, link; or the end of the file."""
    image = target.image
    if target.random.random() < 0.2:
        return [Edit(target.ending, target.random.randrange(len(target.data)), None)]
    table = struct.unpack_from("<Q", target.data, 0x28)[0]
    index = target.random.randrange(len(image.sections))
    section = image.sections[index]
    field, width = target.random.choice(
        ((0x20, 8), (0x20, 8), (0x18, 8), (4, 4), (8, 8), (0x10, 8), (0x28, 4), (0x38, 8))
    )
    value = target.random.choice(
        (0, 1, section.size // 2, max(section.size - 1, 0), section.size + 1, 2 * section.size, len(target.data), (1 << 8 * width) - 1,
         1 << 62, section.offset, target.random.randrange(max(section.size, 1)), 0x800, 8)
    )  # fmt: skip
    return [target.edit(table + 64 * index + field, (value & (1 << 8 * width) - 1).to_bytes(width, "little"))]


def _header(target: _Target) -> list[Edit]:
    """The ELF header and the program header."""
    at = target.random.randrange(16, min(64 + 56 * 10, len(target.data)))
    return [target.edit(at, bytes((target.random.choice((0, 1, 0xFF, target.random.randrange(256))),)))]


def _reference(target: _Target) -> list[Edit]:
    """A reference that leads to itself, back, or anywhere."""
    chosen = [v for v in target.entries if v.form in _REFERENCES and v.size]
    if not chosen:
        return _number(target)
    edits: list[Edit] = []
    for _ in range(target.random.choice((1, 1, 2, 6))):
        value = target.random.choice(chosen)
        other = target.random.choice(target.entries)
        to = target.random.choice(
            (value.entry, other.entry, value.entry + 1, 0, value.unit_size, value.unit_size - 1)
        )
        edits.append(target.edit(value.offset, to.to_bytes(8, "little")[: value.size]))
    return edits


_REFERENCES = forms.UNIT_REFERENCES | {c.FORM_ref_addr, c.FORM_GNU_ref_alt, c.FORM_ref_sup4}


def _value(target: _Target) -> list[Edit]:
    """A value that is too large, too small, or another's."""
    chosen = [v for v in target.entries if v.size]
    if not chosen:
        return _number(target)
    value = target.random.choice(chosen)
    alike = [v for v in chosen if v.size >= value.size]
    other = target.random.choice(alike)
    data = target.random.choice(
        (b"\xff" * value.size, bytes(value.size), b"\x80" * value.size, target.data[other.offset : other.offset + value.size],
         target.random.randbytes(value.size), b"\x7f" + b"\xff" * (value.size - 1))
    )  # fmt: skip
    return [target.edit(value.offset, data)]


def _shape(target: _Target) -> list[Edit]:
    """Another tag, attribute or form in .debug_abbrev."""
    section = next((s for s in target.sections if s.name.startswith(".debug_abbrev")), None)
    if section is None or section.flags & 0x800:
        return _number(target)
    at = section.offset + target.random.randrange(section.size)
    kind = target.random.choice((_TAGS, _ATTRIBUTES, _FORMS))
    return [target.edit(at, bytes((target.random.choice(kind),)))]


_TAGS = [v for n, v in vars(c).items() if n.startswith("TAG_") and v < 0x80]
_ATTRIBUTES = [v for n, v in vars(c).items() if n.startswith("AT_") and v < 0x80]
_FORMS = [v for n, v in vars(c).items() if n.startswith("FORM_") and v < 0x80]

_WAYS: tuple[Callable[[_Target], list[Edit]], ...] = (
    _flip, _byte, _number, _fill, _copy, _cut, _header, _reference, _value, _shape,
)  # fmt: skip
_WEIGHTS = (4, 4, 6, 3, 3, 2, 1, 6, 6, 5)


def pack(base: Base, edits: list[Edit], folder: Path) -> dict[str, bytes]:
    """The files of a case, by their names."""
    write(base, edits, folder)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def is_readable(path: Path) -> bool:
    try:
        read_image(str(path))
    except BinaryError:
        return False
    return True
