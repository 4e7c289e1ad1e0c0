"""Sign-ins that have ended before their cookie has: who signs out in one window is out in every other, a copied cookie too.

`signed-out.json` in the data folder has a hash of each such sign-in and when it ended, for as long as a cookie could live; whose
it was cannot be told from it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from opstore.errors import FileMissing, OperationBusy, OperationExists, OpstoreError
from opstore.files import Folder, digest, is_passing
from opstore.operation import parse_time, timestamp

NAME = "signed-out.json"
MAX_BYTES = 4_000_000
#: A day longer than the cookie of the sign-in lives.
KEPT = timedelta(days=31)
#: So many sign out at one moment.
_ATTEMPTS = 50
#: What tells one sign-in from the next of the same person (OpenID Connect Core, section 2), and whose it is.
_OWN, _WHOSE = ("iat", "nonce", "exp", "sid", "jti"), ("iss", "sub", "aud")


class SignOuts:
    """The ended sign-ins of one data folder."""

    def __init__(self, folder: Folder, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Keep them in `folder`, the data folder itself."""
        self._folder = folder
        self._clock = clock

    def note(self, claims: Mapping[str, Any]) -> None:
        """Note durably that the sign-in with these claims has ended; do nothing for one that has nothing of its own.

        Raise what stands in the way where that lasts, for example a file of that name that is none of ours.
        """
        key = _key(claims)
        for attempt in range(_ATTEMPTS if key else 0):
            data = self._read()
            oldest = self._clock() - KEPT
            known = {name: at for name, at in _decoded(data).items() if (parse_time(at) or oldest) > oldest}
            fresh = json.dumps(known | {str(key): timestamp(self._clock())}, indent=1).encode() + b"\n"
            try:
                self._folder.make()
                if data is None:
                    self._folder.create("signed-out", [{NAME: fresh}], private=True)
                else:
                    self._folder.replace("signed-out", NAME, fresh, digest(data), private=True)
                return
            except (OperationExists, OperationBusy, FileMissing):
                if attempt == _ATTEMPTS - 1:
                    raise
                # somebody else signed out at this moment: both count

    def has(self, claims: Mapping[str, Any]) -> bool:
        """Say whether the sign-in with these claims has ended."""
        key = _key(claims)
        return key is not None and key in _decoded(self._read())

    def _read(self) -> bytes | None:
        try:
            return self._folder.read(NAME, MAX_BYTES)
        except OpstoreError as error:
            if is_passing(error):  # a moment without open files must not let anybody in again
                raise
            return None


def _key(claims: Mapping[str, Any]) -> str | None:
    if all(claims.get(name) is None for name in _OWN):
        return None
    return digest(json.dumps([claims.get(name) for name in (*_WHOSE, *_OWN)], default=str).encode())


def _decoded(data: bytes | None) -> dict[str, str]:
    try:
        found = json.loads(data or b"{}")
    except (ValueError, RecursionError):
        return {}
    return {key: at for key, at in found.items() if isinstance(at, str)} if isinstance(found, dict) else {}
