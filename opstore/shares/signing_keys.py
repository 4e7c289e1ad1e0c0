"""What signs share links: random keys in one file that only this program's user can read, the newest last.

A new key signs from now on; older ones still open the links that they signed, until they are dropped.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import secrets

from itsdangerous import BadSignature, Signer, TimestampSigner

from opstore.errors import FileMissing, InvalidSetting, OperationBusy, OperationExists, ShareNotFound, said
from opstore.shares.record import is_share_id
from opstore.storage.document import Document
from opstore.storage.files import Folder

NAME = "share-keys.json"
MAX_KEYS = 10
_MAX_BYTES = 10_000
#: An id and 256 bits in base64: the last of its 43 letters carries 4 bits, so that only one spelling is a link.
_TOKEN = re.compile(r"\A[0-9a-f]{16}\.[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]\Z")
#: A password given once lets its browser in for this long.
ADMITTED_SECONDS = 12 * 3600
#: For so long it is known that it once gave it, so that nobody else's wrong tries make it wait.
KNOWN_SECONDS = 90 * 24 * 3600


class Keys:
    """The keys of one data folder, shared by every process that uses it."""

    def __init__(self, folder: Folder) -> None:
        """Keep the keys in `folder`, the data folder itself."""
        self._file = Document(folder, NAME, _MAX_BYTES, key="share-keys", private=True)

    def sign(self, share_id: str) -> str:
        """Return the link's token of a share."""
        return self._signer(make=True).sign(share_id).decode()

    def share_of(self, token: object) -> str:
        """Return the share that a token was signed for; raise ShareNotFound for any other text."""
        if isinstance(token, str) and _TOKEN.match(token):
            try:
                found = self._signer().unsign(token).decode()
            except BadSignature:
                raise ShareNotFound from None
            if is_share_id(found):
                return found
        raise ShareNotFound

    def admit(self, secret: str) -> str:
        """Return what a browser keeps to be let in again without a password; `secret` ties it to one share and password."""
        return self._admission().sign(secret).decode()

    def is_admitted(self, secret: str, kept: str, seconds: int = ADMITTED_SECONDS) -> bool:
        """Say whether a browser was let in with this share's present password in the last `seconds`."""
        try:
            return self._admission().unsign(kept, max_age=seconds).decode() == secret
        except (BadSignature, ValueError):
            return False

    def rotate(self, *, end_old: bool = False) -> None:
        """Sign with a new key from now on; links signed before still open, unless `end_old` ends them all."""
        while True:
            stored = self._file.find()
            old = [] if end_old or stored is None else _decoded(stored)
            data = _encoded([*old, _new()][-MAX_KEYS:])
            try:
                self._file.write(data, stored)
                return
            except (OperationExists, OperationBusy, FileMissing):
                continue  # another process rotated at this very moment: once more, on top of that

    def _signer(self, *, make: bool = False) -> Signer:
        return Signer(self._keys(make), salt=b"opstore.share", key_derivation="hmac", digest_method=hashlib.sha256)

    def _admission(self) -> TimestampSigner:
        salt = b"opstore.share.admitted"
        return TimestampSigner(self._keys(make=False), salt=salt, key_derivation="hmac", digest_method=hashlib.sha256)

    def _keys(self, make: bool) -> list[str]:
        stored = self._file.find()
        if stored is None and make:
            with contextlib.suppress(OperationExists):  # another process made them at this very moment
                self._file.write(_encoded([_new()]), None)
            stored = self._file.find()
        if stored is None:
            raise ShareNotFound
        return _decoded(stored)


def _new() -> str:
    return secrets.token_hex(32)


def _encoded(keys: list[str]) -> bytes:
    return json.dumps({"keys": keys}, indent=2).encode() + b"\n"


def _decoded(data: bytes) -> list[str]:
    try:
        keys = json.loads(data)["keys"]
        if keys and all(len(bytes.fromhex(key)) >= 16 for key in keys):
            return list(keys)
    except (ValueError, RecursionError, KeyError, TypeError):
        pass
    reason = said("it is damaged: bring back a copy of it, or delete it, which ends every link")
    raise InvalidSetting(name=NAME, reason=reason)
