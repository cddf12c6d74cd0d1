"""What the options of the command line mean: the script's source and the compiler's `Options`.

-D MAXACTION=5000 -S 64 -G limit=10 x.probe a b
-> SourceFile("x.probe", ...), Options(limits=Limits(actions=5000, string_size=64), overrides=(("limit", "10"),),
   arguments=("a", "b"))
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from dataclasses import replace
from pathlib import Path

from probelang.artifact.limits import Limits
from probelang.cli.arguments import Given, UsageError
from probelang.diag import CompileError
from probelang.options import Backend, Options
from probelang.source import SourceFile, decode_text

STRING_SIZES = (16, 16384)  # smallest and largest -S
COMMAND_LINE = "<command line>"
STANDARD_INPUT = "<standard input>"


def read_script(given: Given) -> tuple[SourceFile, tuple[str, ...]]:
    """The script and its arguments."""
    text = given.last("-e")
    if text is not None:
        return SourceFile(COMMAND_LINE, text), given.words
    if not given.words:
        raise UsageError("which script? give a FILE, `-` for standard input, or -e SCRIPT")
    path, *arguments = given.words
    if path == "-":
        return SourceFile(STANDARD_INPUT, decode_text(sys.stdin.buffer.read())), tuple(arguments)
    return SourceFile(path, decode_text(read_text_file(path))), tuple(arguments)


def read_text_file(path: str) -> bytes:
    from probelang.diag.invocation import NotAScript, UnreadableScript

    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise CompileError(
            [UnreadableScript(path=path, reason=(error.strerror or "unreadable").lower())]
        ) from None
    if b"\0" in data:
        raise CompileError([NotAScript(path=path)])
    return data


def read_options(
    given: Given, arguments: tuple[str, ...], features: frozenset[str], backend: Backend = "kernel"
) -> Options:
    """`features`: what the kernel has, or is taken to have; --without is subtracted here."""
    return Options(
        arguments=arguments,
        overrides=tuple(_assignment("-G", text) for text in given.all("-G")),
        defines=tuple(_assignment("-D", text) for text in given.all("-D")),
        include=tuple(Path(folder) for folder in given.all("-I")),
        command=command_path(given.last("-c")),
        pid=process_number(given.last("-x")),
        limits=_limits(given),
        features=features - frozenset(unwanted_features(given)),
        backend=backend,
        elide=not given.has("-u"),
        skip_bad_variables=given.has("--skip-badvars"),
        guru=given.has("-g"),
        keep_sums=given.last("--weight") == "sum",
    )


def unwanted_features(given: Given) -> tuple[str, ...]:
    """The names given with --without, each known."""
    from probelang.diag import did_you_mean, similar_names
    from probelang.pipeline import known_features

    known = known_features()
    names = tuple(name for text in given.all("--without") for name in text.split(","))
    for name in names:
        if name not in known:
            hint = did_you_mean(similar_names(name, sorted(known))) or f"known: {', '.join(sorted(known))}"
            raise UsageError(f"--without: no feature is called `{name}`, {hint}")
    return names


def _assignment(option: str, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals and option == "-D":
        value = "1"
    elif not equals:
        raise UsageError(f"{option} takes NAME=VALUE, not `{text}`")
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise UsageError(f"{option}: `{name}` is no name")
    return name, value


def _limits(given: Given) -> Limits:
    limits = Limits(suppress_errors=given.has("--suppress-handler-errors"))
    size = given.last("-S")
    if size is not None:
        limits = replace(limits, string_size=number("-S", size, *STRING_SIZES))
    for name, value in (_assignment("-D", text) for text in given.all("-D")):
        option = f"-D {name}"
        match name:
            case "MAXACTION":
                actions = number(option, value, 1, 2**31 - 1)
                limits = replace(limits, actions=actions, user_actions=actions * 10)
            case "MAXNESTING":
                limits = replace(limits, nesting=number(option, value, 1, 100))
            case "MAXSTRINGLEN":
                limits = replace(limits, string_size=number(option, value, *STRING_SIZES))
            case "MAXMAPENTRIES":
                limits = replace(limits, map_entries=number(option, value, 1, 2**24))
            case "MAXERRORS":
                limits = replace(limits, errors=number(option, value, 0, 2**31 - 1))
            case _:
                pass  # other names are SystemTap's own tuning knobs or the script's macros
    return limits


def number(option: str, text: str, least: int, most: int) -> int:
    """An option's value as a number within bounds."""
    try:
        value = int(text, 0)
    except ValueError:
        raise UsageError(f"{option} takes a number, not `{text}`") from None
    if not least <= value <= most:
        raise UsageError(f"{option} takes a number from {least} to {most}, not {value}")
    return value


def command_path(command: str | None) -> str | None:
    """The file that -c runs; None without -c."""
    if command is None:
        return None
    from probelang.diag.invocation import CommandNotFound

    words = command_words(command)
    path = shutil.which(words[0])
    if path is None:
        raise CompileError([CommandNotFound(name=words[0])])
    return os.path.realpath(path)


def command_words(command: str) -> list[str]:
    """-c split as a shell would, without running one."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"-c: {str(error).lower()} in `{command}`") from None
    if not words:
        raise UsageError("-c needs a command")
    return words


def process_number(text: str | None) -> int | None:
    """The value of -x, a process that lives."""
    if text is None:
        return None
    pid = number("-x", text, 1, 2**22)
    if not Path(f"/proc/{pid}").exists():
        from probelang.diag.target import NoSuchProcess

        raise CompileError([NoSuchProcess(pid=pid)])
    return pid
