"""`probelang run`: compiles a script, or takes a saved object, and runs it to its end."""

from __future__ import annotations

from pathlib import Path

from probelang.cli.arguments import Given, UsageError
from probelang.cli.compiling import watch
from probelang.cli.messages import Messages
from probelang.cli.request import command_words, read_options, read_script, unwanted_features
from probelang.pipeline import Artifact, Stop, compile_source, kernel_features

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
    features = kernel_features()
    try:
        artifact = find_artifact(given, messages, features)
    except Stop:
        return 0
    return start_session(given, messages, artifact, features)


def find_artifact(given: Given, messages: Messages, features: frozenset[str]) -> Artifact:
    if not given.has("-e") and given.words and is_object(given.words[0]):
        return load_artifact(given.words[0])
    source, arguments = read_script(given)
    return compile_source(source, read_options(given, arguments, features), watch(given, messages).hooks())


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
