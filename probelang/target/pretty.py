"""Objects as text: `$x$`, `$x$$`, and what `$$vars` and its sisters list.

    pretty(list, 1, around)              ->  sprintf("{.next=%p, .id=%d, .name=%s, .inner={...}}", ...)
    listing([("a", a), ("b", gone)], 0)  ->  sprintf("a=%#x b=?", a)

One dollar shows the members of a struct or the elements of an array, two also what is inside these. Strings are quoted; a pointer to
a struct is followed where it stands at the top and can be read. As in SystemTap at most 32 values are shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from probelang.artifact.code import (
    Assign,
    Binary,
    Call,
    Choose,
    Compare,
    Expr,
    Format,
    Histogram,
    Local,
    Number,
    Piece,
    Text,
    Type,
)
from probelang.artifact.formats import merge_text
from probelang.dwarf.ctypes import Array, Base, Enum, Member, Pointer, Struct, bare
from probelang.target.location import InMemory, PointerTo, Unavailable
from probelang.target.members import inside, member, member_object
from probelang.target.mistake import TargetMistake
from probelang.target.values import (
    Object,
    Surroundings,
    address,
    dereference,
    follow_references,
    index,
    is_character,
    referred,
    string_like,
    value,
)

MOST_VALUES = 32
_MOST_ITEMS = 256  # values, and structs and arrays without any
_DEEPEST = 16  # damaged files have structs inside themselves
_UNREADABLE = Text(b"??")
_SIGNED = ("signed", "signed char")
# how the strings of other languages begin their names, and where their bytes and their length are
_TEXTS = (
    ("std::__cxx11::basic_string<char", ("_M_dataplus", "_M_p"), ("_M_string_length",)),
    ("&str", ("data_ptr",), ("length",)),
    ("alloc::string::String", ("vec", "buf", "inner", "ptr", "pointer", "pointer"), ("vec", "len")),
    ("string", ("str",), ("len",)),  # of Go
)


def pretty(obj: Object, depth: int, around: Surroundings) -> Expr:
    """A string. `depth` 1: one level, 2: all levels. Raises TargetMistake and Unavailable."""
    obj = follow_references(obj, around)
    plain = bare(obj.type)
    if isinstance(plain, Pointer) and isinstance(referred(plain.target.get()), Struct):
        return _pointed(obj, depth, around)
    if not isinstance(obj.location, InMemory) or _is_cheap(obj.location.address):
        return _formatted(obj, depth, around)
    if not isinstance(plain, Struct | Array):
        return _formatted(obj, depth, around)
    # found once, and not again for every member
    kept = around.keep()
    first = Assign(kept, "=", obj.location.address, Type.LONG, around.at)
    shown = _formatted(Object(obj.type, InMemory(kept)), depth, around)
    return Choose(Binary("|", first, Number(1), around.at), shown, Text(b""), Type.STRING)


def _pointed(obj: Object, depth: int, around: Surroundings) -> Expr:
    """The struct that a pointer points to; the pointer itself where nothing can be read there."""
    target = follow_references(dereference(obj, around), around)
    if isinstance(obj.location, PointerTo) or not isinstance(target.location, InMemory):
        return _formatted(target, depth, around)
    kept = around.keep()
    first = Assign(kept, "=", target.location.address, Type.LONG, around.at)
    byte = Call("user_string_n", (first, Number(1), _UNREADABLE), Type.STRING, around.at)
    shown = _formatted(Object(target.type, InMemory(kept)), depth, around)
    alone = Format((Piece("p"),), (kept,), around.at)
    return Choose(Compare("!=", byte, _UNREADABLE), shown, alone, Type.STRING)


def _formatted(obj: Object, depth: int, around: Surroundings) -> Expr:
    writer = _Writer(around, depth)
    writer.object(obj, 0)
    return writer.finish()


def listing(rows: Iterable[tuple[str, Object | Unavailable]], depth: int, around: Surroundings) -> Expr:
    """A string: "a=0x1 b=?". `depth` 0: numbers; 1 and 2: as `pretty`."""
    writer = _Writer(around, depth)
    for number_, (name, found) in enumerate(rows):
        writer.text(f"{' ' if number_ else ''}{name}=")
        if isinstance(found, Unavailable):
            writer.text("?")
            continue
        writer.row(found)
    return writer.finish()


def _is_cheap(expr: Expr) -> bool:
    """Whether computing it again costs about as much as remembering it."""
    match expr:
        case Number() | Local():
            return True
        case Call(name=name):
            return name in ("u_register", "uaddr")
        case Binary(op="+", left=left, right=right):
            return _is_cheap(left) and _is_cheap(right)
        case _:
            return False


class _Writer:
    """The format, as it grows."""

    def __init__(self, around: Surroundings, depth: int) -> None:
        self.around = around
        self.depth = depth
        self.pieces: list[Piece] = []
        self.arguments: list[Expr] = []
        self.values = 0  # of the object that is being written
        self.items = 0
        self.inside = 0

    def finish(self) -> Expr:
        pieces = merge_text(self.pieces)
        if not self.arguments:
            return Text(b"".join(piece.text for piece in pieces))
        return Format(pieces, tuple(self.arguments), self.around.at)

    def text(self, text: str) -> None:
        self.pieces.append(Piece("text", text.encode("utf-8", "surrogateescape")))

    def argument(self, piece: Piece, expr: Expr) -> None:
        self.pieces.append(piece)
        self.arguments.append(expr)
        self.values += 1

    # ------------------------------------------------------------------------------------------------- listings

    def row(self, obj: Object) -> None:
        """One variable of `$$vars`."""
        self.values = self.items = 0
        pieces, arguments = list(self.pieces), list(self.arguments)
        try:
            if self.depth == 0:
                self.plain(obj)
            else:
                self.nested(pretty(obj, self.depth, self.around))
        except (Unavailable, TargetMistake):
            self.pieces, self.arguments = pieces, arguments
            self.text("?")

    def nested(self, shown: Expr) -> None:
        """Another format, as part of this one."""
        match shown:
            case Format(pieces=pieces, arguments=arguments):
                self.pieces += pieces
                self.arguments += [a for a in arguments if not isinstance(a, Histogram)]
            case Text(value=text):
                self.pieces.append(Piece("text", text))
            case _:
                self.argument(Piece("s"), shown)

    def plain(self, obj: Object) -> None:
        """A number in hexadecimal."""
        obj = follow_references(obj, self.around)
        plain = bare(obj.type)
        if isinstance(plain, Struct):
            self.text("{...}")
        elif isinstance(plain, Array):
            self.text("[...]")
        elif isinstance(plain, Base) and (plain.encoding in ("float", "complex") or plain.size_bytes > 8):
            self.base(obj, plain)
        else:
            self.argument(Piece("x", flag="#"), value(obj, self.around))

    # ------------------------------------------------------------------------------------------------- objects

    def object(self, obj: Object, level: int) -> None:
        """`level`: structs and arrays that it is in, without anonymous ones. Raises TargetMistake and Unavailable."""
        self.items += 1
        self.inside += 1
        try:
            self.dispatch(obj, level)
        finally:
            self.inside -= 1

    def dispatch(self, obj: Object, level: int) -> None:
        obj = follow_references(obj, self.around)
        plain = bare(obj.type)
        match plain:
            case Struct():
                self.struct(obj, plain, level)
            case Array():
                self.array(obj, plain, level)
            case Pointer():
                self.pointer(obj)
            case Enum(signed=signed):
                self.argument(Piece("d" if signed else "u"), value(obj, self.around))
            case Base():
                self.base(obj, plain)
            case _:
                self.text("?")

    def pointer(self, obj: Object) -> None:
        found = value(obj, self.around)
        if string_like(obj.type) == "pointer":
            self.argument(Piece("s"), Call("user_string_quoted", (found,), Type.STRING, self.around.at))
        else:
            self.argument(Piece("p"), found)

    def base(self, obj: Object, plain: Base) -> None:
        around = self.around
        if plain.encoding == "complex":
            self.text("(")
            self.object(index(obj, Number(0), around), 0)
            self.text(", ")
            self.object(index(obj, Number(1), around), 0)
            self.text(")")
        elif plain.encoding == "float":
            text = Call("double_text", (value(obj, around),), Type.STRING, around.at)
            self.argument(Piece("s"), text)
        elif plain.size_bytes == 16 and not obj.bit_size:
            low, high = (value(index(obj, Number(i), around), around) for i in (0, 1))
            self.text("0x")
            self.argument(Piece("x"), high)
            self.argument(Piece("x", flag="0", width=16), low)
        elif is_character(plain) and not obj.bit_size:
            self.text("'")
            self.argument(Piece("c", flag="#"), value(obj, around))
            self.text("'")
        else:
            self.argument(Piece("d" if plain.encoding in _SIGNED else "u"), value(obj, around))

    def hidden(self, level: int) -> bool:
        """Whether what is in a struct or an array at this level is not shown."""
        return self.inside > _DEEPEST or (self.depth < 2 and level > 0)

    def full(self) -> bool:
        return self.values >= MOST_VALUES or self.items >= _MOST_ITEMS

    def characters(self, obj: Object, plain: Struct) -> Expr | None:
        """What is in a string of C++, Rust or Go."""
        for name, start, length in _TEXTS:
            if plain.name.startswith(name):
                try:
                    first, size = (value(self.along(obj, path), self.around) for path in (start, length))
                except (Unavailable, TargetMistake):
                    return None
                return Call("user_string_n_quoted", (first, size), Type.STRING, self.around.at)
        return None

    def along(self, obj: Object, path: tuple[str, ...]) -> Object:
        for name in path:
            obj = member(obj, name, self.around)
        return obj

    def struct(self, obj: Object, plain: Struct, level: int) -> None:
        text = self.characters(obj, plain)
        if text is not None:
            self.argument(Piece("s"), text)
        elif self.hidden(level):
            self.text("{...}")
        else:
            self.braces(obj, plain, level)

    def braces(self, obj: Object, plain: Struct, level: int) -> None:
        self.text("{")
        for number_, (name, found) in enumerate(self.members(obj, plain, level)):
            self.text(", " if number_ else "")
            if self.full():
                self.text("...")
                break
            self.text(f".{name}=" if name else "")
            self.part(found, level + 1 if name else level)
        self.text("}")

    def members(self, obj: Object, plain: Struct, level: int) -> Iterator[tuple[str, Object | None]]:
        """Those of base classes stand beside the others. None: it cannot be read; no name: an anonymous struct or union."""
        for each in plain.members:
            base = inside(each, self.around) if each.inherited else None
            found = self.member(obj, each)
            if base is not None:
                self.items += 1
                if found is not None and level < _DEEPEST and not self.full():
                    yield from self.members(found, base, level + 1)
            elif not (each.name or "").startswith("_vptr"):
                yield each.name or "", found

    def member(self, obj: Object, each: Member) -> Object | None:
        try:
            return member_object(obj, each, self.around)
        except (Unavailable, TargetMistake):
            return None

    def part(self, found: Object | None, level: int) -> None:
        """Something inside; `?` where it cannot be read."""
        pieces, arguments = len(self.pieces), len(self.arguments)
        try:
            if found is not None:
                self.object(found, level)
                return
        except (Unavailable, TargetMistake):
            del self.pieces[pieces:], self.arguments[arguments:]
        self.text("?")

    def array(self, obj: Object, plain: Array, level: int) -> None:
        count = plain.counts[0] if plain.counts else None
        if string_like(obj.type) == "array" and count and isinstance(obj.location, InMemory):
            arguments = (address(obj, self.around), Number(count))
            text = Call("user_string_n_quoted", arguments, Type.STRING, self.around.at)
            self.argument(Piece("s"), text)
            return
        if count is None or self.hidden(level):
            self.text("[...]")
            return
        self.text("[")
        for i in range(count):
            self.text(", " if i else "")
            if self.full():
                self.text("...")
                break
            self.part(self.element(obj, i), level + 1)
        self.text("]")

    def element(self, obj: Object, i: int) -> Object | None:
        try:
            return index(obj, Number(i), self.around)
        except (Unavailable, TargetMistake):
            return None
