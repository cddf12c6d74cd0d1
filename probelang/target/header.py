"""Types from a header, as the machine's own compiler sees them: `@cast(p, "struct stat", "<sys/stat.h>")`.

    header_types(files, "<sys/stat.h>")   ->   the Debug of a library that is made of `#include <sys/stat.h>`

The library lies in a folder of its own that is removed before anything is read: the file stays mapped. A library, and not an object
file, so that nothing is left to relocate in its debug information. Names without a point (`<vector>`) are headers of C++.

Source: gcc(1), "Options for Debugging Your Program" (-fno-eliminate-unused-debug-types; clang knows it too).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from probelang.diag import Diagnostic
from probelang.diag.deferred import variables
from probelang.dwarf.binary import Binary, open_binary
from probelang.dwarf.files import Debug, Files, open_debug
from probelang.dwarf.image import BinaryError
from probelang.target.mistake import TargetMistake

TIMEOUT_S = 60
_HEADER = re.compile(r"<[^<>\"\n\\]+>")
_OPTIONS = (
    "-g", "-gdwarf-5", "-O0", "-w", "-fno-eliminate-unused-debug-types", "-fPIC",
    "-shared", "-nostdlib", "-Wl,--build-id=none",
)  # fmt: skip
_COMPILERS = {"c": ("cc", "gcc", "clang"), "c++": ("g++", "clang++", "c++")}
_ALL_CLASSES = "-femit-class-debug-always"  # g++ alone needs and knows it
_ERROR = re.compile(r"^[^\n]*?(?:fatal )?error: (.*)$", re.MULTILINE)


def header_types(files: Files, header: str) -> Debug:
    """`header`: "<sys/stat.h>"; compiled once for all questions about it. Raises TargetMistake."""
    return files.made(header, lambda: _compile(header))


def _compile(header: str) -> Debug:
    if not _HEADER.fullmatch(header):
        raise TargetMistake(_unusable(header, "a header is written `<name.h>`"))
    language = "c" if "." in header else "c++"
    compiler = next((path for name in _COMPILERS[language] if (path := shutil.which(name))), None)
    if compiler is None:
        raise TargetMistake(variables.NoCompiler(header=header, language=language.upper()))
    try:
        with TemporaryDirectory(prefix="probelang-") as folder:
            binary = _library(compiler, language, header, Path(folder))
            debug = open_debug(binary)
    except (OSError, BinaryError) as error:
        raise TargetMistake(_unusable(header, str(error))) from None
    if debug is None:
        raise TargetMistake(_unusable(header, "the compiler made no debug information"))
    return debug


def _library(compiler: str, language: str, header: str, folder: Path) -> Binary:
    source, library = folder / "header.c", folder / "header.so"
    source.write_text(f"#include {header}\n", errors="surrogateescape")
    options = (*_OPTIONS, _ALL_CLASSES) if compiler.endswith("/g++") else _OPTIONS
    command = [compiler, *options, "-x", language, str(source), "-o", str(library)]
    # its own temporary files go where ours are
    environment = {**os.environ, "LC_ALL": "C", "TMPDIR": str(folder)}
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TargetMistake(_unusable(header, f"`{compiler}` did not end within {TIMEOUT_S} s")) from None
    if done.returncode:
        text = done.stderr.decode("utf-8", "surrogateescape")
        found = _ERROR.search(text)
        reason = found[1] if found else next(iter(text.splitlines()), f"`{compiler}` failed")
        raise TargetMistake(_unusable(header, reason))
    return open_binary(str(library))


def _unusable(header: str, reason: str) -> Diagnostic:
    return variables.HeaderUnusable(header=header, reason=reason)
