"""`python -m probelang`, and the command `probelang`."""

import signal
import sys


def main() -> int:
    """The exit status of the command line in sys.argv."""
    # until a session listens for signals itself, ^C ends the process as it ends any other: no KeyboardInterrupt in the middle of
    # an import, and none while the interpreter shuts down
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from probelang.cli.main import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
