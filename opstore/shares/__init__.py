"""Share links: what was handed on, until when, and to whom; every look at a link is a look at its record, so an end is at once.

A record in `shares/` is durable before its link is told to anybody. Nothing is served but what `redaction` lets pass, as copies
that `clean` has made. Passwords are kept as scrypt makes them, compared in constant time, and tried slowly.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from opstore.access.roles import Role, act, part
from opstore.clocks.leaps import Leaps
from opstore.errors import (
    DamagedOperation,
    FileMissing,
    InvalidInput,
    OperationBusy,
    OpstoreError,
    PasswordWanted,
    PasswordWrong,
    ShareExpired,
    ShareNotFound,
    ShareRevoked,
    UnsafeFile,
    said,
)
from opstore.media import JPEG, MP4, WEBP, sniff, xmp
from opstore.media.provenance import SOURCES
from opstore.media.renderings import thumbnail
from opstore.media.thumbnails import SIDE, Copies
from opstore.shares import record, redaction
from opstore.shares.clean import cleaned, source_stamp
from opstore.shares.log import Log, Tries, Visits, log_name
from opstore.shares.record import MAX_OPERATIONS, Kind, Password, Scope, Share, Shown, is_share_id
from opstore.shares.signing_keys import KNOWN_SECONDS, Keys
from opstore.storage.files import digest
from opstore.storage.names import check_operation_id
from opstore.storage.store import Store

#: 32 MB and about 0.3 s a try: OWASP's second choice for scrypt, its first would take 128 MB of every try.
COST = (2**15, 8, 3)
MIN_PASSWORD, MAX_PASSWORD = 6, 200
#: Copies made at a time: the largest picture takes 160 MB, and a page asks for many at once.
AT_A_TIME = 2
#: Somebody else's change comes between so often only if something writes without end.
ATTEMPTS = 50


@dataclass(frozen=True, slots=True)
class Listed:
    """A share link in the list of all; `share` is None, and opens nothing, where its record is damaged."""

    id: str
    share: Share | None
    visits: Visits


@part(Role.CREATOR)
class Shares:
    """The share links of one store."""

    def __init__(
        self,
        store: Store,
        *,
        cost: tuple[int, int, int] = COST,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        """Keep records in the data folder's `shares/`; `cost` is scrypt's (n, r, p) of new passwords.

        A link that has ended stays so where the clock is set back: it ends by the latest time that was ever believed.
        """
        self._store = store
        self._folder = store.data.folder("shares")
        self._keys = Keys(store.data.top)
        self._log = Log(self._folder)
        #: Copies by their digital source type: the same bytes may be a photograph here and another operation's result there.
        self._clean = {source: self._copies(source) for source in ("", *SOURCES)}
        self._small = {source: self._small_copies(source) for source in ("", *SOURCES)}
        self._places = threading.BoundedSemaphore(AT_A_TIME)
        self._cost = cost
        self._clock = clock or Leaps(store.data.top).now

    # -- whose they are --------------------------------------------------------------------------------------------------

    def create(self, scope: Scope, *, lasts: timedelta | None = None, password: str | None = None) -> Share:
        """Make a link, durably; raise InvalidInput, or OperationNotFound if there is nothing to show."""
        for operation_id in scope.operations:
            self._store.get_operation_metadata(check_operation_id(operation_id))
        now = self._now()
        if lasts is not None and not timedelta() < lasts <= timedelta(days=36_500):
            raise InvalidInput(reason=said("a link lasts for some time from now on, or without end"))
        share = Share(
            id=secrets.token_hex(8),
            scope=scope,
            created=now,
            expires=now + lasts if lasts else None,
            password=self._password(password) if password else None,
        )
        self._keys.sign(share.id)  # before the record: a link that nobody could make a token for
        self._folder.make()
        self._folder.create(share.id, [{f"{share.id}.json": share.encode()}])
        return share

    def token(self, share: Share) -> str:
        """Return the token of a link: its address is `/s/{token}`."""
        return self._keys.sign(share.id)

    def address(self, share: Share, origin: str) -> str:
        """Return the address of a link where the app answers at `origin`, such as https://share.example.org."""
        return f"{origin}/s/{self.token(share)}"

    def all(self) -> list[Listed]:
        """Return every link, the newest first, those that have ended among them and damaged ones last."""
        ids = [name.removesuffix(".json") for name in self._folder.names() if name.endswith(".json")]
        found = [
            Listed(share_id, self._readable(share_id), self._log.visits(share_id)) for share_id in ids if is_share_id(share_id)
        ]
        oldest = datetime.min.replace(tzinfo=UTC)
        return sorted(found, key=lambda item: (item.share.created if item.share else oldest, item.id), reverse=True)

    def revoke(self, named: str) -> Share:
        """Take a link back, by its id, token or address: from now on it opens nothing. Raise ShareNotFound."""
        share_id = self._named(named)
        for _ in range(ATTEMPTS):
            data = self._read(share_id)
            share = record.revoked(record.decode(data, share_id), self._now())
            try:
                self._folder.replace(share_id, f"{share_id}.json", share.encode(), digest(data))
                return share
            except FileMissing:
                raise ShareNotFound from None
            except OperationBusy:
                continue
        raise OperationBusy(operation_id=share_id)

    def forget(self, named: str) -> None:
        """Remove a link with its record and visits, for good; it opens nothing any more. Raise ShareNotFound."""
        share_id = self._named(named)
        self._read(share_id)
        self._folder.remove(share_id, [f"{share_id}.json", log_name(share_id)])

    def named(self, named: str) -> Listed:
        """Return a link by its id, token or address, one that has ended or is damaged too; raise ShareNotFound."""
        share_id = self._named(named)
        self._read(share_id)
        return Listed(share_id, self._readable(share_id), self._log.visits(share_id))

    @act(Role.ADMIN)
    def rotate(self, *, end_old: bool = False) -> None:
        """Sign links with a new key; `end_old` ends every link made before, whose addresses change with it."""
        self._keys.rotate(end_old=end_old)

    def _named(self, named: str) -> str:
        last = named.strip().rstrip("/").rsplit("/", 1)[-1]
        return last if is_share_id(last) else self._keys.share_of(last)

    # -- whoever has a link ----------------------------------------------------------------------------------------------

    def open(self, token: str, admission: str | None = None) -> Share:
        """Return what a link shows now; `admission` is what `enter` gave. Raise one of the errors below ShareError."""
        share = self._open(token)
        if share.password and not (admission and self._keys.is_admitted(_secret(share), admission)):
            raise PasswordWanted
        return share

    def enter(self, token: str, password: str, caller: str = "", admission: str | None = None) -> str:
        """Try a password and return the admission that it gives; raise PasswordWrong, or TooManyTries where it is too soon.

        `caller` is whoever tries, such as an address; `admission` what `enter` gave that browser earlier, if it did.
        """
        share = self._open(token)
        if share.password is None:
            raise ShareNotFound
        known = bool(admission and self._keys.is_admitted(_secret(share), admission, KNOWN_SECONDS))
        tries = Tries(_mark(share.password, admission or "" if known else caller), known)
        self._log.begin_try(share.id, tries, self._now())
        if not secrets.compare_digest(bytes.fromhex(share.password.digest), _scrypt(password, share.password)):
            raise PasswordWrong
        self._log.note(share.id, f"right {tries.mark}", self._now())
        return self._keys.admit(_secret(share))

    def visited(self, share: Share) -> None:
        """Count a visit."""
        self._log.note(share.id, "visit", self._now())

    def items(self, scope: Scope) -> list[redaction.Item]:
        """Return what a scope shows."""
        return redaction.items(scope, self._store)

    def file(self, scope: Scope, key: str, size: Literal["whole", "small"] = "whole") -> tuple[redaction.Picture, Path]:
        """Return a picture of a scope and the copy of it that may be handed on; raise ShareNotFound for any other."""
        found = redaction.picture(scope, self._store, key)
        path = (self._clean if size == "whole" else self._small)[found.source].path(found.name)
        if path is None:
            raise ShareNotFound
        return found, path

    def data(self, picture: redaction.Picture) -> bytes:
        """Return a picture's stored bytes, for a copy that is made otherwise."""
        return self._store.read_file(picture.name)

    def size(self, items: Sequence[redaction.Item]) -> int:
        """Return how many bytes the stored files behind these items have."""
        return sum(self._store.operations.size(picture.name) for item in items for picture in item.pictures)

    def _open(self, token: str) -> Share:
        share_id = self._keys.share_of(token)
        try:
            share = record.decode(self._read(share_id), share_id)
        except DamagedOperation:
            raise ShareNotFound from None
        if share.revoked:
            raise ShareRevoked
        if share.ended(self._now()):
            raise ShareExpired
        return share

    # -- inside ----------------------------------------------------------------------------------------------------------

    def _now(self) -> datetime:
        """Return the time as a record keeps it, to the millisecond."""
        now = self._clock()
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def _read(self, share_id: str) -> bytes:
        try:
            return self._folder.read(f"{share_id}.json", record.MAX_BYTES)
        except (FileMissing, UnsafeFile):
            raise ShareNotFound from None

    def _readable(self, share_id: str) -> Share | None:
        try:
            return record.decode(self._read(share_id), share_id)
        except OpstoreError:
            return None

    def _copies(self, source: str) -> Copies:
        def copy(data: bytes) -> bytes:
            with self._places:
                return cleaned(data, source_stamp(source))

        return Copies(self._store, "shared", f"clean-3-{source or 'plain'}", copy)

    def _small_copies(self, source: str) -> Copies:
        """Return small pictures of copies: made of a stored file, they would show again what lies under what is transparent."""
        stamp = source_stamp(source)

        def copy(data: bytes) -> bytes:
            with self._places:
                small = thumbnail(data if sniff(data) in (JPEG, MP4) else cleaned(data), SIDE)
            return xmp.written(small, WEBP, stamp.xmp, stamp.source) if stamp else small

        return Copies(self._store, "shared", f"small-4-{source or 'plain'}", copy)

    def _password(self, password: str) -> Password:
        if not isinstance(password, str) or not MIN_PASSWORD <= len(password) <= MAX_PASSWORD or not _is_text(password):
            reason = said("a password has {least} to {most} characters", least=MIN_PASSWORD, most=MAX_PASSWORD)
            raise InvalidInput(reason=reason)
        n, r, p = self._cost
        made = Password(salt=secrets.token_hex(16), digest="", n=n, r=r, p=p)
        return Password(made.salt, _scrypt(password, made).hex(), n, r, p)


def _scrypt(password: str, kept: Password) -> bytes:
    given = password[: MAX_PASSWORD + 1].encode("utf-8", "replace")
    most = 128 * kept.n * kept.r * kept.p + 2**20
    return hashlib.scrypt(given, salt=bytes.fromhex(kept.salt), n=kept.n, r=kept.r, p=kept.p, maxmem=most, dklen=32)


def _mark(password: Password, caller: str) -> str:
    """Return one of 4,096 marks for whoever tries a password: it tells callers apart, and not who they are."""
    return digest(f"{password.salt}:{caller}".encode())[:3]


def _secret(share: Share) -> str:
    """Return what an admission is for: a share with this very password, of which it tells nothing."""
    kept = f"{share.password.salt}{share.password.digest}" if share.password else ""
    return f"{share.id}:{digest(kept.encode())[:32]}"


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def unique(ids: Sequence[str]) -> tuple[str, ...]:
    """Return ids in their order, each once."""
    return tuple(dict.fromkeys(ids))


__all__ = ["MAX_OPERATIONS", "Kind", "Listed", "Scope", "Share", "Shares", "Shown", "Visits", "unique"]
