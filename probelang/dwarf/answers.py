"""Answers to look-ups in one file's debug information, kept on disk: the second script about the same function does not search again.

    answers = Answers(path)
    answers.get("units", b"list_insert")            ->  None
    answers.put("units", b"list_insert", [0x1c0])
    answers.get("units", b"list_insert")            ->  (0x1c0,)      now, and in other runs

A line for each, appended in one write: several runs may do that at once. Whoever asks looks whether the answer can be true.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress

from probelang.dwarf.cache import ANSWERS, cache_path, file_key, open_own, touch
from probelang.dwarf.image import Image

FORMAT = 1
_LARGE_BYTES = 1 << 20
_LONGEST_LINE = 4096  # what others do not write into (a page)
_MOST_BYTES = 1 << 20


class Answers:
    """`path`: None where they are only remembered."""

    def __init__(self, path: str | None = None) -> None:
        self._path = path
        self._known: dict[tuple[str, str], tuple[int, ...]] | None = None if path else {}

    def get(self, kind: str, name: bytes) -> tuple[int, ...] | None:
        """`kind`: what was asked, one word."""
        return self._all().get((kind, name.hex()))

    def put(self, kind: str, name: bytes, numbers: Sequence[int]) -> None:
        self._all()[kind, name.hex()] = tuple(numbers)
        line = " ".join((kind, name.hex() or "-", str(len(numbers)), *map(str, numbers))) + "\n"
        if self._path is not None and len(line) <= _LONGEST_LINE:
            _append(self._path, line.encode())

    def _all(self) -> dict[tuple[str, str], tuple[int, ...]]:
        if self._known is None:
            self._known = {} if self._path is None else _read(self._path)
        return self._known


def is_large(image: Image) -> bool:
    """So that a look-up is worth a file: the debug information, compressed or not."""
    return any(s.name in (".debug_info", ".zdebug_info") and s.size >= _LARGE_BYTES for s in image.sections)


def answers_of(image: Image) -> Answers:
    """About a file with debug information."""
    key = file_key(image)
    return Answers(None if key is None else cache_path(ANSWERS, f"{FORMAT}-{key}"))


def _read(path: str) -> dict[tuple[str, str], tuple[int, ...]]:
    descriptor = open_own(path)
    if descriptor is None:
        return {}
    known: dict[tuple[str, str], tuple[int, ...]] = {}
    with open(descriptor, encoding="ascii", errors="replace") as file:
        touch(descriptor)
        text = file.read(2 * _MOST_BYTES)
    for line in text.splitlines():
        words = line.split(" ")
        with suppress(ValueError, IndexError):
            kind, name, count, *rest = words
            numbers = tuple(map(int, rest))
            if len(numbers) == int(count):  # a line may be torn
                known[kind, "" if name == "-" else name] = numbers
    return known


def _append(path: str, line: bytes) -> None:
    with suppress(OSError):
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    descriptor = open_own(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    if descriptor is None:
        return
    try:
        if os.fstat(descriptor).st_size > _MOST_BYTES:
            os.unlink(path)  # the next one begins anew
        else:
            os.write(descriptor, line)
    except OSError:
        pass
    finally:
        os.close(descriptor)
