"""`python -m probelang`, and the command `probelang`."""

# the builtin below `signal`: importing that one takes milliseconds in which ^C would still show a traceback
import _signal  # type: ignore[import-not-found]  # pyright: ignore[reportMissingImports] (typeshed leaves it out)
import sys

SIGINT, DEFAULT = 2, 0


def main() -> int:
    """The exit status of the command line in sys.argv."""
    end_on_interrupt()
    from probelang.cli.main import main as run

    return run()


def end_on_interrupt() -> None:
    """Until a session listens for signals itself, ^C ends the process as it ends any other: no KeyboardInterrupt in the
    middle of an import, and none while the interpreter shuts down."""
    if _signal.getsignal(SIGINT) is _signal.default_int_handler:  # pyright: ignore[reportUnknownMemberType] (see above)
        _signal.signal(SIGINT, DEFAULT)  # pyright: ignore[reportUnknownMemberType] (see above)


if __name__ == "__main__":
    sys.exit(main())
