"""Who may do what: one table of acts and roles, and the view of the service through which a person acts.

What the table does not name is refused: a new act has an entry of its own before anybody who signed in can do it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

from opstore.errors import NotAllowed

#: What a person may be, several at once; an admin may do everything.
ROLES = ("creator", "reviewer", "analyst", "admin")
CREATOR, REVIEWER, ANALYST, ADMIN = (frozenset({role}) for role in ROLES)
#: Whoever has a role at all may look, and keep searches.
LOOK = frozenset(ROLES)
_MARK = CREATOR | REVIEWER

#: Acts by their path from the service, and who may do them besides admins; the entry of a part holds for all below it that has
#: none of its own. `generation` is what stands over the service.
ACTS: Mapping[str, frozenset[str]] = {
    # making
    **dict.fromkeys(("plan", "estimate", "afford", "models", "table", "provider"), LOOK),
    **dict.fromkeys(("create", "again", "cancel", "once", "drafts"), CREATOR),
    "generation": CREATOR,
    "generation.batch": LOOK,
    "generation.close": ADMIN,
    **dict.fromkeys(("branches.begin", "branches.go_on", "branches.forget"), CREATOR),
    "branches.all": LOOK,
    **dict.fromkeys(("branches.start", "branches.stop", "branches.turn"), ADMIN),
    # looking
    **dict.fromkeys(("job", "jobs", "count_jobs", "operation", "page", "latest", "of_batch", "media", "shown", "expect"), LOOK),
    **dict.fromkeys(("comparisons", "copy_to_save", "lineage", "thumbnails.path"), LOOK),
    **dict.fromkeys(("thumbnails.start", "thumbnails.stop", "thumbnails.expect", "problems", "clock_leap"), ADMIN),
    **dict.fromkeys(("index", "store"), ADMIN),
    **dict.fromkeys(
        ("index.search", "index.count", "index.get", "index.facets", "index.meant", "index.neighbours", "index.progress"), LOOK
    ),
    **dict.fromkeys(("index.version", "index.changes_since", "index.used_as_input", "index.holding", "index.makeshift"), LOOK),
    **dict.fromkeys(("store.read_file", "store.open_file", "store.iterate", "store.media_names"), LOOK),
    **dict.fromkeys(("store.list_operations", "store.get_operation_metadata"), LOOK),
    **dict.fromkeys(("store.operations.has", "store.operations.path", "store.operations.is_empty"), LOOK),
    # saying what one thinks of it
    **dict.fromkeys(("curation.annotate", "curation.undo", "curation.put_in_trash", "curation.restore"), _MARK),
    **dict.fromkeys(("curation.trashed", "curation.used_by"), LOOK),
    **dict.fromkeys(("curation.remove_for_good", "curation.purge"), ADMIN),
    **dict.fromkeys(("curation.searches", "curation.save_search", "curation.remove_search"), LOOK),
    **dict.fromkeys(("reviews.begin", "reviews.remove", "reviews.vote", "reviews.take_back", "reviews.upcoming"), REVIEWER),
    **dict.fromkeys(("reviews.all", "reviews.get", "reviews.operation", "reviews.votes", "reviews.rows"), LOOK),
    # finding out, taking away, handing on
    "analytics": ANALYST,
    "analytics.save": ADMIN,
    **dict.fromkeys(("exports", "spending"), CREATOR | ANALYST),
    "shares": CREATOR,
    "shares.rotate": ADMIN,
    # looking after it
    **dict.fromkeys(("preferences", "settings_damage"), LOOK),
    **dict.fromkeys(("care", "change_preferences"), ADMIN),
}
#: A path that leads to where the paths begin.
_BEGINNING = "generation.service"
#: Paths that lead to acts of their own.
_PARTS = {act.rpartition(".")[0] for act in ACTS} - {""} | {_BEGINNING}

Kind = TypeVar("Kind")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Person:
    """Who acts: `name` is shown, `email` known of some who signed in, and `recorded` what operations keep of who made them.

    `identity` tells two who signed in apart, whatever they are called; it is a hash, and the same at every sign-in.
    """

    name: str
    roles: frozenset[str]
    email: str | None = None
    recorded: str | None = None
    identity: str | None = None

    def may(self, act: str) -> bool:
        """Say whether this person may do an act; raise LookupError for one that no entry covers."""
        return not self.roles.isdisjoint(allowed(act) | ADMIN)

    def check(self, act: str) -> None:
        """Raise NotAllowed unless this person may do an act."""
        if not self.may(act):
            raise NotAllowed(roles=" / ".join(role for role in ROLES if role in allowed(act) | ADMIN))


#: Whoever sits at this machine where no sign-in is set up, and a program with the token: both may do everything.
LOCAL = Person("", ADMIN)
PROGRAM = Person("API", ADMIN)

_acting: ContextVar[Person] = ContextVar("opstore-acting", default=LOCAL)


def acting() -> Person:
    """Return for whom the act is done that runs now; LOCAL where nobody has signed in, and for what runs in the background."""
    return _acting.get()


@contextmanager
def on_behalf(recorded: str | None) -> Iterator[None]:
    """Do in the background what somebody asked for earlier, who is recorded as `recorded`."""
    before = _acting.set(replace(LOCAL, recorded=recorded))
    try:
        yield
    finally:
        _acting.reset(before)


def allowed(act: str) -> frozenset[str]:
    """Return who may do an act, besides admins: its own entry, else that of the part it belongs to."""
    path = act
    while path not in ACTS:
        path = path.rpartition(".")[0]
        if not path:
            raise LookupError(f"no entry in opstore.access.roles.ACTS covers {act!r}")
    return ACTS[path]


def view(target: Kind, person: Person, path: str = "") -> Kind:
    """Return `target`, a part of the service, as `person` may use it; who may do everything gets it as it is."""
    return target if person == LOCAL else cast("Kind", _View(target, person, path))


class _View:
    """Stands for an object: each public attribute is looked up in the table first."""

    __slots__ = ("_path", "_target", "person")

    def __init__(self, target: object, person: Person, path: str) -> None:
        self._target = target
        self._path = path
        self.person = person

    def may(self, act: str) -> bool:
        """Say whether the person may do an act of the service."""
        return self.person.may(act)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        path = f"{self._path}.{name}" if self._path else name
        if path in _PARTS:
            return view(getattr(self._target, name), self.person, "" if path == _BEGINNING else path)
        if callable(getattr(type(self._target), name, None)):
            return _checked(getattr(self._target, name), self.person, path)
        self.person.check(path)
        return getattr(self._target, name)


def _checked(act: Callable[..., Result], person: Person, path: str) -> Callable[..., Result]:
    """Return an act that is refused when it is done, not when it is named: a page may hand it to a button that nobody presses."""

    @functools.wraps(act)
    def do(*args: Any, **named: Any) -> Result:
        person.check(path)
        before = _acting.set(person)
        try:
            return act(*args, **named)
        finally:
            _acting.reset(before)

    return do


__all__ = ["ACTS", "LOCAL", "PROGRAM", "ROLES", "Person", "acting", "allowed", "on_behalf", "view"]
