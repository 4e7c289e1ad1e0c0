"""`python -m opstore`, and the command `opstore` where it is installed: Ctrl-C at any moment ends it without a traceback."""

import signal

from opstore.cli import main


def run() -> int:
    """Run one command and return its exit code: 130 after Ctrl-C."""
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        return main()
    except KeyboardInterrupt:  # at the very beginning or end
        return 130
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # what is left is the interpreter's own: one more ends that without a word


if __name__ == "__main__":
    raise SystemExit(run())
