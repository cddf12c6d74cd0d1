"""Sections of an ELF file as `Section`s: as they lie there, or decompressed.

    open_section(image, ".debug_info", budget)  ->  Section(".debug_info", size=91_234)

What is large goes to a file, not into memory: to one that is kept (see `inflated.py`), or without a name. A file's claims about sizes are not believed: nothing is made that the
compressed bytes cannot hold, and no more than the budget.
Sources: ELF gABI, "Section Compression" (Elf64_Chdr); `.zdebug_` of older GNU tools: "ZLIB", the size in eight bytes, big-endian.
"""

from __future__ import annotations

import mmap
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterator

from probelang.dwarf import zstd
from probelang.dwarf.image import SHT_NOBITS, Image, corrupt
from probelang.dwarf.image import Section as Header
from probelang.dwarf.inflated import keep, kept_path, open_kept
from probelang.dwarf.section import Section

SHF_COMPRESSED = 0x800
MAXIMUM_BYTES = 1 << 30
"""That all sections of a file may have, decompressed."""
_ZLIB, _ZSTD = 1, 2
_CHDR = struct.Struct("<IIQQ")
_OLD = struct.Struct(">4sQ")
_MOST_RATIO = {_ZLIB: 1040, _ZSTD: 1 << 17}  # of deflate, by its construction; of zstd, a block of one byte
_IN_MEMORY_BYTES = 8 << 20
_PIECE_BYTES = 1 << 20
_MOST_JOINED_BYTES = 128 << 20

Decompress = Callable[[Iterator[bytes], int], Iterator[bytes]]
"""Pieces, and the size of the result, which need not be true -> pieces. Raises `zstd.Damaged`."""


class Budget:
    """What the sections of a file may still take."""

    def __init__(self, size_bytes: int = MAXIMUM_BYTES) -> None:
        self.left_bytes = size_bytes


def open_section(image: Image, name: str, budget: Budget) -> Section | None:
    """By name; `.debug_info` is also found as `.zdebug_info`. Object files may have several of a name, which come joined. None where
    there is none, or none with data. Raises BinaryError."""
    found = [h for h in image.sections_named(name) if h.type != SHT_NOBITS]
    sections = [_plain_or_compressed(image, header, budget) for header in found]
    if not sections and name.startswith(".debug"):
        old = [h for h in image.sections_named(f".z{name[1:]}") if h.type != SHT_NOBITS]
        sections = [_old(image, header, budget) for header in old]
    if len(sections) > 1:
        if sum(s.size for s in sections) > _MOST_JOINED_BYTES:
            raise corrupt(
                image.path, f"section `{name}`", f"is in {len(sections)} parts, which are too large"
            )
        return Section(image.path, name, b"".join(s.take(0, s.size) for s in sections))
    return sections[0] if sections else None


def _raw(image: Image, header: Header) -> Section:
    if header.offset + header.size > len(image.data):
        raise corrupt(image.path, f"section `{header.name}`", "lies beyond the end of the file")
    return Section(image.path, header.name, image.data, header.offset, header.size)


def _plain_or_compressed(image: Image, header: Header, budget: Budget) -> Section:
    raw = _raw(image, header)
    if not header.flags & SHF_COMPRESSED:
        return raw
    if raw.size < _CHDR.size:
        raise raw.damaged(_CHDR.size)
    kind, _, size, _ = _CHDR.unpack(raw.take(0, _CHDR.size))
    packed = raw.part(_CHDR.size, raw.size - _CHDR.size)
    if kind == _ZLIB:
        return _decompressed(
            packed, size, kind, _inflate, budget, kept_path(image, header.name, header.offset, size)
        )
    if kind != _ZSTD:
        raise corrupt(image.path, f"section `{header.name}`", f"has an unknown compression (number {kind})")
    if not zstd.available():
        reason = "is compressed by zstd, and there is no libzstd.so.1 to read it"
        raise corrupt(image.path, f"section `{header.name}`", reason)
    return _decompressed(
        packed, size, kind, zstd.decompress, budget, kept_path(image, header.name, header.offset, size)
    )


def _old(image: Image, header: Header, budget: Budget) -> Section:
    raw = _raw(image, header)
    magic, size = _OLD.unpack(raw.take(0, _OLD.size))
    if magic != b"ZLIB":
        raise corrupt(image.path, f"section `{header.name}`", "does not begin with ZLIB")
    packed = raw.part(_OLD.size, raw.size - _OLD.size)
    return _decompressed(
        packed, size, _ZLIB, _inflate, budget, kept_path(image, header.name, header.offset, size)
    )


def _decompressed(
    packed: Section, size: int, kind: int, decompress: Decompress, budget: Budget, kept: str | None
) -> Section:
    """`kept`: where it lies or will lie, None where it is not kept."""
    part = f"section `{packed.name}`"
    if size > packed.size * _MOST_RATIO[kind]:
        raise corrupt(packed.path, part, f"claims {size} bytes, which {packed.size} bytes cannot hold")
    if size > budget.left_bytes:
        raise corrupt(packed.path, part, f"is too large: {size} bytes; decompress the file with objcopy")
    budget.left_bytes -= size
    whole: bytes | mmap.mmap | None = None
    try:
        if kept is not None:
            whole = open_kept(kept, size) or keep(kept, decompress(_pieces(packed), size), size)
        if whole is None:
            pieces = decompress(_pieces(packed), size)
            whole = _collect(pieces, size) if size <= _IN_MEMORY_BYTES else _spill(pieces, size)
    except zstd.Damaged as error:
        raise corrupt(packed.path, part, f"cannot be decompressed: {error}") from None
    except OSError as error:
        reason = f"cannot be decompressed to a temporary file: {(error.strerror or 'no reason').lower()}"
        raise corrupt(packed.path, part, reason) from None
    if len(whole) != size:
        raise corrupt(packed.path, part, f"claims {size} bytes and has {len(whole)}")
    return Section(packed.path, packed.name, whole)


def _pieces(packed: Section) -> Iterator[bytes]:
    for start in range(0, packed.size, _PIECE_BYTES):
        yield packed.take(start, min(_PIECE_BYTES, packed.size - start))


def _collect(pieces: Iterator[bytes], size: int) -> bytes:
    whole = bytearray()
    for piece in pieces:
        whole += piece
        if len(whole) > size:
            raise zstd.Damaged("there is more than the section claims")
    return bytes(whole)


def _spill(pieces: Iterator[bytes], size: int) -> bytes | mmap.mmap:
    with tempfile.TemporaryFile() as file:
        written = 0
        for piece in pieces:
            file.write(piece)
            written += len(piece)
            if written > size:
                raise zstd.Damaged("there is more than the section claims")
        file.flush()
        if not written:
            return b""
        return mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ, flags=mmap.MAP_SHARED)


def _inflate(pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    """A section may hold several streams, one behind the other (as linkers that work in parallel write it)."""
    stream = zlib.decompressobj()
    left = size
    try:
        for piece in pieces:
            data = piece
            while data and left > 0:
                if stream.eof:
                    stream = zlib.decompressobj()
                out = stream.decompress(data, _PIECE_BYTES)
                left -= len(out)
                yield out
                data = stream.unused_data if stream.eof else stream.unconsumed_tail
        while (
            not stream.eof and left > 0 and (out := stream.decompress(stream.unconsumed_tail, _PIECE_BYTES))
        ):
            left -= len(out)
            yield out
    except zlib.error as error:
        raise zstd.Damaged(str(error)) from None
