"""Whether a file keeps frame pointers throughout.

    push %rbp; mov %rsp,%rbp; ...; call f; ...    every call stands where CFA = rbp + 16  ->  framed
    sub $8,%rsp; call f; add $8,%rsp; ret         here it is rsp + 16                     ->  not framed

Where rows count from rsp (prologues, epilogues, functions that call nothing), the code is decoded: none of it may call.
Source: x86-64 psABI, section 3.2.2, "The Stack Frame".
"""

from __future__ import annotations

import re
from array import array

from probelang.artifact.stacks import ROW_END, ROW_PLT, ROW_RBP, ROW_RSP, ROW_UNKNOWN
from probelang.dwarf.image import Bytes
from probelang.dwarf.unwindcode import FARTHEST, PC_BITS, word
from probelang.dwarf.unwindentries import Function

_FRAMED = word(ROW_RBP, 2, -2) >> PC_BITS
_KIND = 56
_CALL = re.compile(rb"\xe8|\xff[\x10-\x1f\x50-\x5f\x90-\x9f\xd0-\xdf]")
"""What every call has in it: opcode e8, or ff /2 and ff /3."""


def is_framed(data: Bytes, rows: array[int], functions: list[Function]) -> bool:
    """`rows`: all of them, with their pc. Stops at the first that says no."""
    found = False
    for number, row in enumerate(rows):
        kind = row >> _KIND
        if row >> PC_BITS == _FRAMED:
            found = True
        elif kind == ROW_RSP:
            if _calls(data[row & FARTHEST : rows[number + 1] & FARTHEST]):
                return False
        elif kind not in (ROW_UNKNOWN, ROW_PLT, ROW_END):
            return False
    return found and not any(row >> _KIND == ROW_UNKNOWN for _, _, own in functions for row in own)


def _calls(code: bytes) -> bool:
    if not _CALL.search(code):
        return False
    from iced_x86 import Decoder, FlowControl  # only for files that may be framed

    decoder = Decoder(64, code)
    return any(
        i.is_invalid or i.flow_control in (FlowControl.CALL, FlowControl.INDIRECT_CALL) for i in decoder
    )
