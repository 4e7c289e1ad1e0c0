"""The small files beside the operations: which of them cannot be read, and what is forgotten where one is set aside.

Each is judged by the reader of its own room, and nothing is changed here. Files that mend themselves when they are next read
(the clock's, that of the sign-ins that ended) are not among them; settings are never set aside: without them there is no
limit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from opstore import curation
from opstore.errors import FileMissing, OpstoreError, Said, UnsafeFile, said
from opstore.shares import signing_keys
from opstore.spending import spent
from opstore.storage.files import Folder, is_passing
from opstore.storage.preferences import PreferenceFile
from opstore.storage.verify import Problem


@dataclass(frozen=True, slots=True)
class SideFile:
    """A file of the data folder itself: under which key it is written, whether bytes can be read as it, what goes with it."""

    key: str
    most_bytes: int
    is_readable: Callable[[bytes], bool]
    wrong: Said
    forgotten: Said


SIDE_FILES: Mapping[str, SideFile] = MappingProxyType(
    {
        spent.NAME: SideFile(
            "spent",
            spent.MAX_BYTES,
            spent.is_readable,
            said("what was paid cannot be read; until it is repaired, nothing is sent that a budget limits"),
            said("budgets forget what questions, and operations that were removed for good, have cost this month"),
        ),
        curation.SEARCHES: SideFile(
            "searches",
            curation.MAX_SEARCHES_BYTES,
            curation.is_readable,
            said("the saved searches cannot be read"),
            said("the saved searches are forgotten"),
        ),
        signing_keys.NAME: SideFile(
            "share-keys",
            signing_keys.MAX_BYTES,
            signing_keys.is_readable,
            said("what signs shared links cannot be read, so that none opens"),
            said("all shared links have ended, unless a copy of the file is brought back"),
        ),
    }
)


def problems(folder: Folder) -> list[Problem]:
    """Return what is wrong with the small files of a data folder, its settings among them."""
    found = (_problem(folder, name) for name in SIDE_FILES)
    return [*(problem for problem in found if problem), *PreferenceFile(folder).problems()]


def forgotten(problem: Problem) -> str:
    """Return in a sentence what goes with the file of a problem where it is set aside; empty for any other file."""
    return SIDE_FILES[problem.name].forgotten if problem.folder == "root" and problem.name in SIDE_FILES else ""


def set_aside(folder: Folder, name: str, quarantine: Folder) -> str | None:
    """Move a small file that cannot be read to `quarantine`; return its name there, None where it can be read by now."""
    with folder.locked(SIDE_FILES[name].key):
        return folder.set_aside(name, quarantine, name) if _problem(folder, name) else None


def _problem(folder: Folder, name: str) -> Problem | None:
    side = SIDE_FILES[name]
    try:
        data = folder.read(name, side.most_bytes)
    except FileMissing:
        return None
    except UnsafeFile:
        return Problem("unsafe", name, None, said("not a plain file"), "root")
    except OpstoreError as error:
        if is_passing(error):
            raise
        return Problem("unparsable", name, None, error.sentence, "root")
    if len(data) <= side.most_bytes and side.is_readable(data):
        return None
    return Problem("unparsable", name, None, side.wrong, "root")
