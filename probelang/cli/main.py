"""The command `probelang`: finds the subcommand, turns every failure into a message and an exit status.

    probelang x.probe 5           as   probelang run x.probe 5
    probelang -e 'probe ...'      as   probelang run -e ...

No exception gets out of here: a mistake of the user is a diagnostic, everything else is a bug of ours and says so in one
line (PROBELANG_DEBUG=1 shows the traceback).
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Sequence

from probelang.cli.arguments import Given, UsageError, help_text, parse_command
from probelang.diag import CompileError

DEEPEST_SCRIPT = 20_000  # frames of the compiler; Python's own limit of 1000 is reached by a sum of 300 terms

EXIT_USAGE = 2
EXIT_MACHINE = 3
EXIT_INTERNAL = 70  # EX_SOFTWARE
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141
UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line and returns its exit status."""
    sys.setrecursionlimit(DEEPEST_SCRIPT)
    open_closed_streams()
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        status = run_words(words)
        sys.stdout.flush()
        return status
    except UsageError as error:
        return say(f"probelang: {error}\ntry `probelang --help`\n", EXIT_USAGE)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except Exception as error:  # noqa: BLE001 (no traceback may get out)
        return explain(error)


def explain(error: Exception) -> int:
    """Where the output could not be written that is no bug, in whatever phase it was."""
    from probelang.diag import InternalError

    cause = error.__cause__ if isinstance(error, InternalError) else error
    if isinstance(cause, BrokenPipeError):
        drop_output()
        return EXIT_BROKEN_PIPE
    if isinstance(cause, OSError) and cause.errno in UNWRITABLE:
        drop_output()
        return say(f"probelang: cannot write the output: {str(cause.strerror).lower()}\n", EXIT_MACHINE)
    return report_bug(error)


def open_closed_streams() -> None:
    """Gives standard streams that were closed (`>&-`) something to be: otherwise the next file that is opened, perhaps a
    map, would take their number. Writing to a closed standard output stays an error, as it is for every command."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            fd = os.open(os.devnull, os.O_WRONLY if number == 2 else os.O_RDONLY)
            if fd != number:
                os.dup2(fd, number)
                os.close(fd)
            os.set_inheritable(number, True)
            setattr(sys, name, os.fdopen(number, mode, closefd=False))


def drop_output() -> None:
    """Whatever is still buffered has nowhere to go; without this Python complains at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(message: str, status: int) -> int:
    """A last message, and the exit status even where it cannot be said."""
    try:
        sys.stderr.write(message)
        sys.stderr.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    return status


def run_words(words: list[str]) -> int:
    from probelang.cli.commands import COMMANDS, overview

    if not words or words[0] in ("--help", "-h", "help"):
        sys.stdout.write(overview())
        return 0 if words else EXIT_USAGE
    if words[0] in ("--version", "-V"):
        from probelang import __version__

        sys.stdout.write(f"probelang {__version__}\n")
        return 0
    command = COMMANDS.get(words[0])
    given = parse_command(command, words[1:]) if command else parse_command(COMMANDS["run"], words)
    if given.has("--help"):
        sys.stdout.write(help_text(given.command))
        return 0
    return run_command(given)


def run_command(given: Given) -> int:
    from probelang.cli.messages import Messages, exit_status

    form = given.last("--format") or "text"
    if form not in ("text", "json"):
        raise UsageError(f"--format is text or json, not `{form}`")
    to_stdout = given.command.name == "check" and form == "json"
    messages = Messages(form == "json", not given.has("-w"), sys.stdout if to_stdout else None)
    try:
        match given.command.name:
            case "run":
                from probelang.cli.run import run

                return run(given, messages)
            case "check":
                from probelang.cli.check import check

                return check(given, messages)
            case "build":
                from probelang.cli.build import build

                return build(given, messages)
            case "list":
                from probelang.cli.listing import list_points

                return list_points(given, messages)
            case _:
                from probelang.cli.doctor import doctor

                return doctor(given)
    except CompileError as error:
        with contextlib.suppress(OSError):  # nobody can be told
            messages.show(error.diagnostics)
        return exit_status(error.diagnostics)


def report_bug(error: Exception) -> int:
    """One line that says where the bug is."""
    import traceback

    from probelang.diag import InternalError

    cause = error.__cause__ if isinstance(error, InternalError) and error.__cause__ else error
    frames = traceback.extract_tb(cause.__traceback__) or traceback.extract_tb(error.__traceback__)
    where = f"{os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else "?"
    phase = f" in {error}" if isinstance(error, InternalError) and error.__cause__ else ""
    what = f"{type(cause).__name__}: {cause}".splitlines()[0]
    trace = "PROBELANG_DEBUG=1 shows where it comes from\n"
    if os.environ.get("PROBELANG_DEBUG"):
        trace = "".join(traceback.format_exception(error))
    return say(f"probelang: internal error at {where}{phase}, please report ({what})\n{trace}", EXIT_INTERNAL)


if __name__ == "__main__":
    sys.exit(main())
