"""`python -m opstore`: the command line; Ctrl-C at any moment ends it with 130 and without a traceback."""

import signal

from opstore.cli import main

if __name__ == "__main__":
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        code = main()
    except KeyboardInterrupt:  # at the very beginning or end
        code = 130
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # what is left is the interpreter's own: one more ends that without a word
    raise SystemExit(code)
