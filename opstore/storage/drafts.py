"""What somebody has begun to ask for and not yet sent: text, choices and pictures of one tab.

Nothing depends on a draft: each may be deleted at any time, and one that is damaged is none. A tab is known by a secret of its
own, and a draft of one person is not found by another, whatever tab they share. Age is counted in days on which something was
drafted, never by the clock alone: a clock that leaps ahead ages every draft by one day.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from opstore import clocks
from opstore.access.roles import Role, part
from opstore.errors import FileMissing, InvalidInput, OpstoreError, said
from opstore.storage.files import digest
from opstore.storage.saving import MAX_INPUT_BYTES, MAX_INPUTS
from opstore.storage.store import Store

#: Drafts kept, bytes of all of them, and days of use after which one that nobody touched goes.
MAX_DRAFTS, MAX_BYTES, MAX_DAYS = 200, 500 * 1024 * 1024, 14
#: A text of 100,000 letters, four bytes each, fits.
_MAX_RECORD = 500_000
_SCHEMA = "opstore-draft/1"
_DAYS = "days.json"
_TAB = re.compile(r"\A[0-9a-f]{32}\Z")
_FILE = re.compile(r"\A(?P<key>[0-9a-f]{32})(?:\.json|_(?P<content>[0-9a-f]{64})\.bin)\Z")
#: Another date counts as another day of use at most this often, however often the clock is set.
_DAY_SECONDS = 20 * 3600.0


@dataclass(frozen=True, slots=True)
class Draft:
    """What was begun: `form` as the page wrote it, the bytes of its pictures in order."""

    form: Mapping[str, Any]
    pictures: tuple[bytes, ...]


@part(Role.CREATOR)
class Drafts:
    """The drafts of one data folder."""

    def __init__(self, store: Store, clock: Callable[[], datetime] = clocks.now) -> None:
        """Keep drafts in the data folder's `drafts/`, which only this program's user may look into."""
        self._folder = store.data.folder("drafts")
        self._clock = clock
        self._counted: float | None = None
        self._swept = -1

    def save(self, tab: str, owner: str, form: Mapping[str, Any], pictures: Sequence[bytes]) -> None:
        """Put a draft in the place of the tab's last one; pictures that no request could take are left out.

        Raise InvalidInput for what is no tab, or a form that is too long.
        """
        key = _key(tab, owner)
        kept = {digest(data): data for data in pictures[:MAX_INPUTS] if 0 < len(data) <= MAX_INPUT_BYTES}
        order = [name for name in map(digest, pictures[:MAX_INPUTS]) if name in kept]
        self._folder.make()
        with self._folder.locked(f"draft-{key}"):
            day, known = self._day(), {content for _, content in self._pictures(key)}
            fresh = not (kept.keys() <= known and self._folder.has(f"{key}.json"))
            record = {"schema": _SCHEMA, "day": day, "form": dict(form), "pictures": order}
            data = json.dumps(record, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
            if len(data) > _MAX_RECORD:
                raise InvalidInput(reason=said("the draft is too long to be kept"))
            for content, picture in kept.items():
                self._folder.create(key, [{f"{key}_{content}.bin": picture}])
            self._folder.replace(key, f"{key}.json", data, None)
            gone = [f"{key}_{content}.bin" for content in known - kept.keys()]
            if gone:
                self._folder.remove(key, gone)
        if fresh or day != self._swept:  # not at every pause in typing
            self._sweep(key, day)

    def load(self, tab: str, owner: str) -> Draft | None:
        """Return the tab's draft, None if there is none that can be read; a picture that is gone or damaged is left out."""
        key = _key(tab, owner)
        try:
            record = json.loads(self._folder.read(f"{key}.json", _MAX_RECORD))
            form, order = record["form"], record["pictures"]
            if record["schema"] != _SCHEMA or not isinstance(form, dict) or not isinstance(order, list):
                return None
        except (OpstoreError, ValueError, TypeError, KeyError, RecursionError):
            return None
        found = (self._picture(key, content) for content in order[:MAX_INPUTS] if isinstance(content, str))
        return Draft(form, tuple(data for data in found if data is not None))

    def remove(self, tab: str, owner: str) -> None:
        """Forget the tab's draft, its pictures first named by nothing; do nothing if there is none."""
        self._forget(_key(tab, owner))

    # -- inside ----------------------------------------------------------------------------------------------------------

    def _picture(self, key: str, content: str) -> bytes | None:
        name = f"{key}_{content}.bin"
        if not _FILE.match(name):
            return None
        try:
            data = self._folder.read(name, MAX_INPUT_BYTES)
        except OpstoreError:
            return None
        return data if digest(data) == content else None

    def _pictures(self, key: str) -> Iterator[tuple[str, str]]:
        for name in self._folder.names():
            found = _FILE.match(name)
            if found and found["key"] == key and found["content"]:
                yield name, found["content"]

    def _forget(self, key: str) -> None:
        if not self._folder.exists():
            return
        with self._folder.locked(f"draft-{key}"):
            self._folder.remove(key, [f"{key}.json"])
            self._folder.remove(key, [name for name, _ in self._pictures(key)])

    def _day(self) -> int:
        """Return the number of this day of use, counted on where its date is another than the last one's."""
        today = self._clock().astimezone(UTC).date().isoformat()
        number, last = 0, ""
        with contextlib.suppress(FileMissing, ValueError, TypeError, KeyError):
            known = json.loads(self._folder.read(_DAYS, 1000))
            number, last = int(known["day"]), str(known["date"])
        rested = self._counted is None or time.monotonic() - self._counted > _DAY_SECONDS
        if today == last or not rested:
            return number
        self._counted = time.monotonic()
        self._folder.replace("days", _DAYS, json.dumps({"day": number + 1, "date": today}).encode() + b"\n", None)
        return number + 1

    def _sweep(self, new: str, today: int) -> None:
        """Let drafts go that are too old, then the longest untouched if there are too many or they are too large."""
        sizes: dict[str, int] = defaultdict(int)
        touched: dict[str, float] = {}
        for name, known in self._folder.entries():
            if found := _FILE.match(name):
                sizes[found["key"]] += known.size
                if not found["content"]:
                    touched[found["key"]] = known.modified / 1e9
        self._swept = today
        stamps = {key: self._folder.stamp(f"{key}.json") for key in sizes}
        days = {key: self._day_of(key) if key in touched else None for key in sizes}
        old = {key for key, day in days.items() if day is not None and today - day > MAX_DAYS}
        left = sorted(sizes.keys() - old - {new}, key=lambda key: (days[key] or 0, touched.get(key, 0.0)), reverse=True)
        total = sizes[new]
        for place, key in enumerate(left, 2):
            total += sizes[key]
            if place > MAX_DRAFTS or total > MAX_BYTES:
                old.add(key)
        for key in old:
            with contextlib.suppress(OpstoreError), self._folder.locked(f"draft-{key}"):
                if self._folder.stamp(f"{key}.json") == stamps[key]:  # else whoever began it is back
                    self._forget(key)

    def _day_of(self, key: str) -> int | None:
        """Return the day of use on which a draft was last touched; one that cannot be read was never."""
        try:
            return int(json.loads(self._folder.read(f"{key}.json", _MAX_RECORD))["day"])
        except FileMissing:
            return None
        except (OpstoreError, ValueError, TypeError, KeyError, RecursionError):
            return 0


def _key(tab: str, owner: str) -> str:
    if not isinstance(tab, str) or not _TAB.match(tab):
        raise InvalidInput(reason=said("this is not a tab"))
    return digest(f"{tab}\0{owner}".encode("utf-8", "replace"))[:32]
