"""What the tests of care run as child processes, to be killed: each does one act over a data folder and says `ACK`.

`python -S -E -B -m tests.care_programs PROGRAM DATA [ARGUMENT …]`, from the project's folder; nothing but the standard library is
loaded.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import opstore
from opstore.care import Rule
from tests.care_samples import care_of
from tests.fault_programs import _say


def cleanup(data: str) -> None:
    """Move everything old to the trash."""
    care = care_of(opstore.Store(data))
    care.cleanup.apply(care.cleanup.plan(Rule()))
    _say("ACK cleanup")


PROGRAMS: dict[str, Callable[..., None]] = {program.__name__: program for program in (cleanup,)}

if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](*sys.argv[2:])
