"""`python -m opstore` for `tests.fault_nursery`: loaded once, and forked for each command (some 40 ms of computing, not 200)."""

from __future__ import annotations

import json
import os
import random
import sys

from opstore.cli import main


def command(words: str, environment: str, place: str, out: str, err: str) -> None:
    """Run a command with these words and variables, as JSON, in the folder `place`; what it prints goes to two files."""
    os.environ.clear()
    os.environ.update(json.loads(environment))
    os.chdir(place)
    random.seed()
    for path, flags, number in ((os.devnull, os.O_RDONLY, 0), (out, os.O_WRONLY, 1), (err, os.O_WRONLY, 2)):
        opened = os.open(path, flags)
        os.dup2(opened, number)
        os.close(opened)
    sys.argv = ["opstore", *json.loads(words)]
    try:
        code: object = main()
    except SystemExit as end:  # --help and --version
        code = end.code or 0
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)


PROGRAMS = {"command": command}
