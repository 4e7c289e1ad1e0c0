"""Sign-ins that have ended before their cookie has: who signs out in one window is out in every other, a copied cookie too.

`signed-out.json` in the data folder has a hash of each such sign-in and when it ended, for as long as a cookie could live; whose
it was cannot be told from it. Where the file is damaged, whose sign-in has ended is not known: all that were there have ended.
"""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from opstore import clocks
from opstore.clocks.leaps import Leaps
from opstore.errors import FileMissing, OperationBusy, OperationExists, OpstoreError
from opstore.storage.document import Document
from opstore.storage.files import Folder, digest, is_passing
from opstore.storage.operation import parse_time, timestamp

log = logging.getLogger("opstore.access.signouts")

NAME, KEPT_AS = "signed-out.json", "signed-out.damaged.json"
#: Stands in the file for every sign-in up to a time.
_ALL = "all"
MAX_BYTES = 4_000_000
#: A day longer than the cookie of the sign-in lives.
KEPT = timedelta(days=31)
#: So many sign out at one moment.
_ATTEMPTS = 50
#: What tells one sign-in from the next of the same person (OpenID Connect Core, section 2), and whose it is.
_OWN, _WHOSE = ("iat", "nonce", "exp", "sid", "jti"), ("iss", "sub", "aud")


class SignOuts:
    """The ended sign-ins of one data folder."""

    def __init__(self, folder: Folder, clock: Callable[[], datetime] = clocks.now) -> None:
        """Keep them in `folder`, the data folder itself."""
        self._folder = folder
        self._file = Document(folder, NAME, MAX_BYTES, key="signed-out", private=True)
        self._clock = clock

    def note(self, claims: Mapping[str, Any]) -> None:
        """Note durably that the sign-in with these claims has ended; do nothing for one that has nothing of its own.

        Raise what stands in the way where that lasts, for example a file of that name that is none of ours.
        """
        key = _key(claims)
        for attempt in range(_ATTEMPTS if key else 0):
            data = self._read()
            oldest = self._clock() - KEPT
            known = self._known(data)
            if not Leaps(self._folder).standing():  # a clock that leapt tells no cookie's age
                known = {name: at for name, at in known.items() if (parse_time(at) or oldest) > oldest}
            try:
                self._file.write(_encoded({**known, str(key): timestamp(self._clock())}), data)
                return
            except (OperationExists, OperationBusy, FileMissing):
                if attempt == _ATTEMPTS - 1:
                    raise
                # somebody else signed out at this moment: both count

    def state(self) -> object:
        """Return what is the same object as long as no sign-in has ended since."""
        return self._read()

    def has(self, claims: Mapping[str, Any]) -> bool:
        """Say whether the sign-in with these claims has ended."""
        key, known = _key(claims), self._known(self._read())
        if (all_until := parse_time(known.get(_ALL))) is not None:
            began = claims.get("iat")
            if not isinstance(began, int | float) or began <= all_until.timestamp():
                return True
        return key is not None and key in known

    def _known(self, data: bytes | None) -> Mapping[str, str]:
        """Return the ended sign-ins; where the file does not tell them, end all that there are, durably, and keep the file."""
        try:
            return {} if data is None else _decoded(data)
        except ValueError:
            log.warning("%s is damaged: everybody has to sign in again; it is kept as %s", NAME, KEPT_AS)
            known = {_ALL: timestamp(self._clock())}
            self._file.keep(KEPT_AS)
            self._file.overwrite(_encoded(known))
            return known

    def _read(self) -> bytes | None:
        try:
            return self._file.find()
        except OpstoreError as error:
            if is_passing(error):  # a moment without open files must not let anybody in again
                raise
            return b""  # a link, or not ours to read


def _key(claims: Mapping[str, Any]) -> str | None:
    if all(claims.get(name) is None for name in _OWN):
        return None
    return digest(json.dumps([claims.get(name) for name in (*_WHOSE, *_OWN)], default=str).encode())


def _encoded(known: Mapping[str, str]) -> bytes:
    return json.dumps(known, indent=1).encode() + b"\n"


@functools.lru_cache(4)
def _decoded(data: bytes) -> Mapping[str, str]:
    """Return what the file says; raise ValueError where that is not all there was."""
    try:
        times = json.loads(data)
    except RecursionError:
        raise ValueError("nested") from None
    if not isinstance(times, dict) or any(parse_time(at) is None for at in times.values()):
        raise ValueError("no times by sign-in")
    return times
