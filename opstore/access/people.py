"""The people who may sign in: the file that gives roles to addresses and groups, and what a provider's claims come to by it.

Whatever is not said gives nothing: an address counts only where the provider has verified it, and a file with a mistake lets
nobody in.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal, Self

from opstore.access.roles import ROLES, Person
from opstore.errors import FileMissing, InvalidSetting, OpstoreError, said
from opstore.storage.document import Document
from opstore.storage.files import Folder

NAME = "roles.toml"
MAX_BYTES = 1_000_000
_MAX_NAME = 80
Recorded = Literal["name", "email", "nothing"]


@dataclass(frozen=True, slots=True)
class RoleBook:
    """Who has which roles. Keys of `people` are addresses in lower case, or `*@domain` for all of one.

    `groups_claim` says where the provider puts groups, a path with dots; `trust_unverified` takes addresses whose verification it
    does not mention; `record` is what an operation keeps of who made it.
    """

    people: Mapping[str, frozenset[str]] = field(default_factory=dict)
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)
    groups_claim: str = "groups"
    trust_unverified: bool = False
    record: Recorded = "name"

    @classmethod
    def parse(cls, text: str) -> RoleBook:
        """Read the text of a roles.toml; raise InvalidSetting, naming what is wrong, for one that is not wholly understood."""
        try:
            document = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise _wrong(said("it is no TOML: {reason}", reason=_within_sentence(str(error)))) from None
        unknown = document.keys() - {"people", "groups", "provider"}
        if unknown:
            raise _wrong(said("{name} means nothing here", name=min(unknown)))
        provider = _table(document, "provider")
        unknown = provider.keys() - {"groups_claim", "trust_unverified_email", "record"}
        if unknown:
            raise _wrong(said("{name} means nothing here", name=f"provider.{min(unknown)}"))
        claim, trusted = provider.get("groups_claim", "groups"), provider.get("trust_unverified_email", False)
        record = provider.get("record", "name")
        if not isinstance(claim, str) or not isinstance(trusted, bool) or record not in ("name", "email", "nothing"):
            raise _wrong(said("provider holds a value that cannot be used"))
        people = {_address(name): roles for name, roles in _given(document, "people").items()}
        return cls(people, _given(document, "groups"), claim, trusted, record)

    def person(self, claims: Mapping[str, Any]) -> Person:
        """Return who signed in with these claims of a checked identity token; nobody in the book has no roles."""
        email = self._email(claims)
        roles: set[str] = set()
        if email:
            roles |= self.people.get(email, frozenset()) | self.people.get(f"*@{email.rpartition('@')[2]}", frozenset())
        for group in _groups(claims, self.groups_claim):
            roles |= self.groups.get(group, frozenset())
        name = _name(claims) or (email or "").partition("@")[0] or "?"
        kept = {"name": name, "email": email, "nothing": None}[self.record]
        return Person(name, frozenset(roles), email, kept, _identity(claims))

    def _email(self, claims: Mapping[str, Any]) -> str | None:
        email, verified = claims.get("email"), claims.get("email_verified")
        if not isinstance(email, str) or "@" not in email:
            return None
        # Some providers write the word; one that says no is believed, whatever the book says.
        sure = verified in (True, "true") or (verified is None and self.trust_unverified)
        return _address(email) if sure else None


class RoleFile:
    """The file with the book, read again whenever it has changed: who loses a role loses it at once."""

    def __init__(self, file: Document) -> None:
        """Read `file`."""
        self._file = file
        self._known: tuple[bytes, RoleBook] | None = None

    @classmethod
    def of(cls, folder: Folder, path: Path | None = None) -> Self:
        """Read the one in `folder`, the data folder, or at `path`, or where a link there leads to: so files are mounted."""
        return cls(Document.at(path, MAX_BYTES) if path else Document(folder, NAME, MAX_BYTES, links=True))

    def load(self) -> RoleBook | None:
        """Return the book, None if there is no file; raise InvalidSetting for one with a mistake."""
        try:
            data = self._file.read()
        except FileMissing:
            return None
        except OpstoreError as error:
            raise _wrong(error.details.get("reason", error.sentence)) from None
        known = self._known
        if known is None or known[0] != data:
            try:
                known = self._known = (data, RoleBook.parse(data.decode("utf-8")))
            except UnicodeDecodeError:
                raise _wrong(said("it is not UTF-8")) from None
        return known[1]


def _wrong(reason: str) -> InvalidSetting:
    return InvalidSetting(name=NAME, reason=reason)


def _within_sentence(text: str) -> str:
    return text[:1].lower() + text[1:]


def _table(found: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = found.get(name, {})
    if not isinstance(table, Mapping):
        raise _wrong(said("{name} must be a table", name=name))
    return table


def _given(found: Mapping[str, Any], name: str) -> dict[str, frozenset[str]]:
    roles_of: dict[str, frozenset[str]] = {}
    for who, roles in _table(found, name).items():
        listed = [roles] if isinstance(roles, str) else roles
        if not isinstance(listed, list) or not listed or not all(role in ROLES for role in listed):
            raise _wrong(said("{who} must have one or more of {roles}", who=who, roles=ROLES))
        roles_of[who] = frozenset(listed)
    return roles_of


def _groups(claims: Mapping[str, Any], path: str) -> list[str]:
    """Return the groups at a path of the claims; a claim whose own name has dots, as an address, is found too."""
    claim: Any = claims.get(path)
    if claim is None:
        claim = claims
        for step in path.split("."):
            claim = claim.get(step) if isinstance(claim, Mapping) else None
    listed = [claim] if isinstance(claim, str) else claim
    return [group for group in listed if isinstance(group, str)] if isinstance(listed, list) else []


def _identity(claims: Mapping[str, Any]) -> str | None:
    """Return what stands for a person at their provider: only `iss` and `sub` together are theirs alone and stay the same.

    (OpenID Connect Core, section 5.7.) A plain hash: who reads the folder must not learn the account, but `sub` is no address
    that could be guessed, and a secret of its own, once lost, would part people from their votes.
    """
    issuer, subject = claims.get("iss"), claims.get("sub")
    if not isinstance(issuer, str) or not isinstance(subject, str) or not subject:
        return None
    return blake2b(f"{issuer}\n{subject}".encode(errors="replace"), digest_size=8, person=b"opstore-person").hexdigest()


def _address(text: str) -> str:
    return text.strip().lower()


def _name(claims: Mapping[str, Any]) -> str:
    for claim in ("name", "preferred_username"):
        text = claims.get(claim)
        if isinstance(text, str):
            shown = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())[:_MAX_NAME]
            if shown:
                return shown
    return ""
