"""The part of gdb's Python interface that is used, with types. It exists only inside gdb.

Source: the manual of gdb, "Python API".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Protocol, cast


class Field(Protocol):
    name: str | None
    type: Type | None
    is_base_class: bool
    artificial: bool


class Type(Protocol):
    code: int
    sizeof: int
    is_signed: bool
    name: str | None

    def strip_typedefs(self) -> Type: ...
    def fields(self) -> Sequence[Field]: ...
    def range(self) -> tuple[int, int]: ...
    def target(self) -> Type: ...
    def unqualified(self) -> Type: ...


class Value(Protocol):
    type: Type
    is_optimized_out: bool

    def __int__(self) -> int: ...
    def __float__(self) -> float: ...
    def __getitem__(self, key: Field | int | str) -> Value: ...
    def cast(self, type: Type) -> Value: ...
    def dereference(self) -> Value: ...
    def referenced_value(self) -> Value: ...
    def format_string(self, **options: object) -> str: ...
    def fetch_lazy(self) -> None: ...


class SymbolTable(Protocol):
    filename: str
    objfile: ObjectFile


class Symbol(Protocol):
    name: str
    is_variable: bool
    is_argument: bool
    addr_class: int
    line: int
    type: Type
    symtab: SymbolTable


class Block(Protocol):
    function: Symbol | None
    superblock: Block | None
    global_block: Block
    static_block: Block

    def __iter__(self) -> Iterator[Symbol]: ...


class Frame(Protocol):
    def older(self) -> Frame | None: ...
    def type(self) -> int: ...
    def pc(self) -> int: ...
    def block(self) -> Block: ...
    def function(self) -> Symbol | None: ...
    def read_var(self, symbol: Symbol, block: Block | None = None) -> Value: ...
    def read_register(self, name: str) -> Value: ...


class ObjectFile(Protocol):
    filename: str


class Architecture(Protocol):
    def disassemble(self, start: int, end: int) -> list[dict[str, int]]: ...


class Inferior(Protocol):
    pid: int

    def read_memory(self, address: int, length: int) -> memoryview: ...
    def write_memory(self, address: int, data: bytes) -> None: ...
    def architecture(self) -> Architecture: ...


class Debugger(Protocol):
    INLINE_FRAME: int
    NORMAL_FRAME: int
    SYMBOL_LOC_CONST: int
    TYPE_CODE_INT: int
    TYPE_CODE_CHAR: int
    TYPE_CODE_BOOL: int
    TYPE_CODE_ENUM: int
    TYPE_CODE_PTR: int
    TYPE_CODE_REF: int
    TYPE_CODE_RVALUE_REF: int
    TYPE_CODE_FLT: int
    TYPE_CODE_COMPLEX: int
    TYPE_CODE_STRUCT: int
    TYPE_CODE_UNION: int
    TYPE_CODE_ARRAY: int
    TYPE_CODE_MEMBERPTR: int
    TYPE_CODE_METHODPTR: int
    error: type[Exception]

    def execute(self, command: str, from_tty: bool = False, to_string: bool = False) -> str: ...
    def selected_inferior(self) -> Inferior: ...
    def newest_frame(self) -> Frame: ...
    def lookup_symbol(self, name: str, block: Block) -> tuple[Symbol | None, bool]: ...


def connect() -> Debugger:
    return cast(Debugger, import_module("gdb"))
