"""Debug information of a named file, or the mistake of having none."""

from __future__ import annotations

from probelang.diag import Diagnostic
from probelang.dwarf.binary import Binary
from probelang.dwarf.files import Debug, Files
from probelang.dwarf.image import BinaryError
from probelang.target.mistake import TargetMistake


def debug_of(files: Files, path: str) -> Debug:
    """Raises TargetMistake."""
    try:
        debug = files.debug(path)
        if debug is None:
            raise TargetMistake(no_debug_info(files.binary(path)))
    except BinaryError as error:
        raise TargetMistake(error.diagnostic) from None
    return debug


def no_debug_info(binary: Binary) -> Diagnostic:
    from probelang.diag.target import NoDebugInfo
    from probelang.dwarf.debugfile import debug_advice

    return NoDebugInfo(path=binary.path, build_id=binary.build_id, advice=debug_advice(binary))
