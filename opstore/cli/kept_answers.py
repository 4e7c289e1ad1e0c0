"""Answers of commands that take seconds to find, kept in `cache/answers/` as long as what they were found from is the same.

An answer is given again only where the whole `state` that it was kept with equals the present one; a file that is missing,
damaged, or cannot be written costs the time of finding it, nothing else.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from pathlib import Path
from typing import Any

from opstore.storage.files import digest

#: Answers that are kept at most; the oldest goes.
_KEPT = 50
#: An answer that is larger than this was not written here.
_LARGEST = 16 * 1024 * 1024


class KeptAnswers:
    """The answers that are kept in one cache folder."""

    def __init__(self, cache: Path) -> None:
        """Keep them below `cache`."""
        self._folder = cache / "answers"

    def get(self, question: list[Any], state: list[Any]) -> Any:
        """Return the answer to a question in this state, both of plain JSON; None where it is not kept."""
        try:
            with self._path(question).open("rb") as file:
                kept = json.loads(file.read(_LARGEST))
        except (OSError, ValueError, RecursionError):
            return None
        known = isinstance(kept, dict) and kept.get("question") == question and kept.get("state") == state
        return kept.get("answer") if known else None

    def keep(self, question: list[Any], state: list[Any], answer: Any) -> None:
        """Keep an answer in the place of the last one to the same question."""
        path = self._path(question)
        temp = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            self._make_room()
            try:
                temp.write_text(json.dumps({"question": question, "state": state, "answer": answer}), "utf-8")
                os.replace(temp, path)
            finally:
                temp.unlink(missing_ok=True)

    def _make_room(self) -> None:
        ages = sorted((entry.stat().st_mtime_ns, entry.path) for entry in os.scandir(self._folder))
        for _, path in ages[: max(0, len(ages) - _KEPT + 1)]:
            os.unlink(path)

    def _path(self, question: list[Any]) -> Path:
        return self._folder / f"{digest(json.dumps(question).encode())[:32]}.json"
