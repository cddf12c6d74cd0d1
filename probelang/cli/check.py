"""`probelang check`: says what is wrong with a script; status 0 when nothing is."""

from __future__ import annotations

from probelang.cli.arguments import Given, UsageError
from probelang.cli.backend import compile_backend
from probelang.cli.compiling import watch
from probelang.cli.messages import Messages
from probelang.cli.request import read_options, read_script, unwanted_features
from probelang.pipeline import (
    Stop,
    compile_source,
    interpret_source,
    known_features,
    parse_source,
    type_source,
)

CHECK_STAGES = ("syntax", "types", "all")


def check(given: Given, messages: Messages, stage: str | None = None) -> int:
    """`stage` overrides --stage (run -p N)."""
    stage = stage or given.last("--stage") or "all"
    if stage not in CHECK_STAGES:
        raise UsageError(f"--stage takes `syntax` or `types`, not `{stage}`")
    source, arguments = read_script(given)
    features = known_features() - frozenset(unwanted_features(given))
    options = read_options(given, arguments, features, compile_backend(given))
    hooks = watch(given, messages).hooks()
    try:
        match stage:
            case "syntax":
                parse_source(source, options, hooks)
            case "types":
                type_source(source, options, hooks)
            case _ if options.backend == "ptrace":
                interpret_source(source, options, hooks)
            case _:
                compile_source(source, options, hooks)
    except Stop:
        pass
    return 0
