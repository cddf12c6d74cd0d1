"""Whether a file keeps frame pointers throughout."""

from __future__ import annotations

from array import array

from probelang.dwarf.image import Bytes
from probelang.dwarf.unwindentries import Function


def is_framed(data: Bytes, rows: array[int], functions: list[Function]) -> bool:
    return False
