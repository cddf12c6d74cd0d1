"""The user half's builtins, which say what the kernel half must give."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

from probelang.artifact.code import Piece
from probelang.artifact.limits import Limits
from probelang.runtime.evaluate.calls import builtins
from probelang.runtime.evaluate.frame import Environment, Run
from probelang.runtime.output.pieces import format_pieces
from probelang.runtime.store import Value


class Reference:
    """`call` runs a builtin; tokenize() remembers over calls."""

    def __init__(self, string_size: int) -> None:
        self.string_size = string_size
        environment = SimpleNamespace(cuts=0, cut_at=-1, limits=Limits(string_size=string_size))
        self.run = cast(Run, SimpleNamespace(environment=environment, tokens=b""))

    def cut(self, text: bytes) -> bytes:
        return Environment.cut(self.run.environment, text)

    def call(self, name: str, *arguments: Value) -> Value:
        result = builtins()[name, len(arguments)](self.run, *arguments)
        assert result is not None
        return self.cut(result) if isinstance(result, bytes) else result

    def format(self, pieces: tuple[Piece, ...], *arguments: Value) -> bytes:
        return self.cut(format_pieces(pieces, arguments).partition(b"\0")[0])
