"""`probelang run`: compiles a script, or takes a saved object, and runs it to its end."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from probelang.cli.arguments import Given, UsageError
from probelang.cli.backend import asked_backend, check_session, session_backend
from probelang.cli.compiling import watch
from probelang.cli.messages import Messages
from probelang.cli.profiles import asked_profile, weighs_sums
from probelang.cli.request import (
    command_path,
    command_words,
    number,
    process_number,
    read_options,
    read_script,
    unwanted_features,
)
from probelang.options import Backend
from probelang.pipeline import Artifact, Stop, kernel_features, prepare_source

if TYPE_CHECKING:
    from probelang.runtime.runoptions import RunOptions
    from probelang.runtime.stacks.profiling import ProfileRequest

BUFFER_MEGABYTES = (1, 1024)

PASSES = {"1": "syntax", "2": "types", "3": "all", "4": "all"}


def run(given: Given, messages: Messages) -> int:
    """The session's exit status."""
    listing = given.last("-L") or given.last("-l")
    if listing is not None:
        from probelang.cli.listing import list_points

        return list_points(given, messages, listing)
    last_pass = given.last("-p")
    if last_pass in PASSES:
        from probelang.cli.check import check

        return check(given, messages, PASSES[last_pass])
    if last_pass not in (None, "5"):
        raise UsageError(f"-p takes a number from 1 to 5, not `{last_pass}`")
    weighs_sums(given)
    features = frozenset[str]() if asked_backend(given) == "ptrace" else kernel_features()
    choice = session_backend(given, features)
    try:
        artifact = find_artifact(given, messages, features, choice.backend)
    except Stop:
        return 0
    command = command_path(given.last("-c"))
    profile = asked_profile(given, artifact.manifest)
    backend = check_session(artifact.manifest, given, choice, command, messages)
    return start_session(given, messages, artifact, features, backend, profile)


def find_artifact(given: Given, messages: Messages, features: frozenset[str], backend: Backend) -> Artifact:
    if not given.has("-e") and given.words and is_object(given.words[0]):
        return load_artifact(given.words[0])
    source, arguments = read_script(given)
    options = read_options(given, arguments, features, backend)
    return prepare_source(source, options, watch(given, messages).hooks())


def is_object(path: str) -> bool:
    """An ELF file, whatever its name."""
    try:
        with Path(path).open("rb") as file:
            return file.read(4) == b"\x7fELF"
    except OSError:
        return False


def load_artifact(path: str) -> Artifact:
    """A saved object; CompileError when it was not made by `probelang build`."""
    from probelang.artifact import elf
    from probelang.artifact.object import read_object
    from probelang.diag import CompileError
    from probelang.diag.invocation import NotAnObject

    code = Path(path).read_bytes()
    try:
        return Artifact(code, read_object(code)[1])
    except elf.NotAnObject as error:
        raise CompileError([NotAnObject(path=path, reason=str(error))]) from None


def start_session(
    given: Given,
    messages: Messages,
    artifact: Artifact,
    features: frozenset[str],
    backend: Backend,
    profile: ProfileRequest | None = None,
) -> int:
    from probelang.runtime.output.sink import JsonSink, TextSink
    from probelang.runtime.session import run as run_session

    options = run_options(given, features - frozenset(unwanted_features(given)), backend)
    options = replace(options, profile=profile)
    if backend == "ptrace" and artifact.manifest.has_process_probes:
        from probelang.runtime.ptrace.supervise import supervise

        supervise()
    with contextlib.ExitStack() as stack:
        path = given.last("-o")
        stream = open_output(path, stack)
        if path is not None:
            options = replace(options, next_file=file_switch(path, stream))
        sink = JsonSink(stream) if messages.json else TextSink(stream, sys.stderr.buffer)
        return run_session(artifact.manifest, artifact.code, options, sink)


def run_options(given: Given, features: frozenset[str], backend: Backend) -> RunOptions:
    from probelang.runtime.load import DEFAULT_RING_BYTES
    from probelang.runtime.runoptions import RunOptions

    command, megabytes = given.last("-c"), given.last("-s")
    return RunOptions(
        features=features,
        pid=process_number(given.last("-x")),
        command=None if command is None else tuple(command_words(command)),
        duration_s=duration_s(given.last("-T")),
        ring_bytes=DEFAULT_RING_BYTES if megabytes is None else ring_bytes(megabytes),
        pass_status=given.has("--pass-status"),
        backend=backend,
    )


def duration_s(text: str | None) -> float | None:
    """The value of -T; fractions are allowed."""
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < 1e9:
        raise UsageError(f"-T takes a number of seconds, not `{text}`")
    return seconds


def ring_bytes(megabytes: str) -> int:
    """The next power of two, as the kernel wants it."""
    count = number("-s", megabytes, *BUFFER_MEGABYTES)
    return 1 << ((count << 20) - 1).bit_length()


def open_output(path: str | None, stack: contextlib.ExitStack) -> BinaryIO:
    from probelang.diag import CompileError
    from probelang.diag.invocation import UnwritableFile

    if path is None:
        return sys.stdout.buffer
    try:
        file = io.BufferedWriter(io.FileIO(path, "w"))
    except OSError as error:
        raise CompileError([UnwritableFile(path=path, reason=str(error.strerror).lower())]) from None
    stack.callback(close_output, path, file)
    return file


def file_switch(path: str, file: BinaryIO) -> Callable[[], None]:
    """What goes on in a new file: the old one becomes PATH.1, then PATH.2 and so on, the oldest with the lowest number."""
    numbers = itertools.count(1)

    def switch() -> None:
        file.flush()
        try:
            os.rename(path, f"{path}.{next(numbers)}")
            fresh = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        except OSError:
            return  # a device, or a folder that takes no more files: what is open goes on
        os.dup2(fresh, file.fileno(), inheritable=False)
        os.close(fresh)

    return switch


def close_output(path: str, file: BinaryIO) -> None:
    """The last bytes may not fit any more."""
    from probelang.diag import CompileError
    from probelang.diag.invocation import UnwritableFile

    try:
        file.close()
    except OSError as error:
        raise CompileError([UnwritableFile(path=path, reason=str(error.strerror).lower())]) from None
