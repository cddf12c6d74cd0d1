"""Names of stacks that are texts of addresses, `0x401136 0x7f0012345678`, of the process that is probed.

AddressNames(symbols).stack_frames(b"0x401136")  ->  StackFrames((Location(0x401136, (Frame("main", "prog"),)),))
"""

from __future__ import annotations

from probelang.runtime.evaluate.services import Symbols
from probelang.runtime.output.stack import stack_addresses
from probelang.runtime.stacks.profile import Frame, Location, StackFrames


class AddressNames:
    """`StackNames` of such texts."""

    def __init__(self, symbols: Symbols) -> None:
        self._symbols = symbols
        self._known: dict[int, Location] = {}

    def stack_frames(self, token: bytes) -> StackFrames:
        return StackFrames(tuple([self._location(address) for address in stack_addresses(token)]))

    def expand(self, text: bytes) -> bytes:
        return text

    def _location(self, address: int) -> Location:
        known = self._known.get(address)
        if known is None:
            name = self._symbols.name(address, None) or b"%#x" % address
            module = self._symbols.module(address, None) or b""
            frame = Frame(name.decode("utf-8", "replace"), module.decode("utf-8", "replace"))
            known = self._known[address] = Location(address, (frame,))
        return known
