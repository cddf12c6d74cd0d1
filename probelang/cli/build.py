"""`probelang build`: a script as one BPF object, which carries all that `probelang run` needs."""

from __future__ import annotations

from pathlib import Path

from probelang.cli.arguments import Given, UsageError
from probelang.cli.backend import compile_backend
from probelang.cli.compiling import watch
from probelang.cli.messages import Messages
from probelang.cli.request import read_options, read_script
from probelang.diag import CompileError
from probelang.pipeline import Stop, compile_source, known_features

SUFFIX = ".bpf.o"


def build(given: Given, messages: Messages) -> int:
    if compile_backend(given) == "ptrace":
        raise UsageError(
            "build: an object is for the kernel backend; `probelang run --backend ptrace OBJECT` runs it with ptrace, too"
        )
    source, arguments = read_script(given)
    options = read_options(given, arguments, known_features())
    try:
        artifact = compile_source(source, options, watch(given, messages).hooks())
    except Stop:
        return 0
    write_object(output_path(given), artifact.code)
    return 0


def output_path(given: Given) -> Path:
    """-o, or the script's name with `.bpf.o` in the current directory."""
    output = given.last("-o")
    if output is not None:
        return Path(output)
    if given.has("-e") or given.words[0] == "-":
        raise UsageError("build: a script without a name needs -o FILE")
    return Path(Path(given.words[0]).stem + SUFFIX)


def write_object(path: Path, data: bytes) -> None:
    from probelang.diag.invocation import UnwritableFile

    try:
        path.write_bytes(data)
    except OSError as error:
        reason = (error.strerror or "failed").lower()
        raise CompileError([UnwritableFile(path=str(path), reason=reason)]) from None
