"""Who may do what: the rule of an act, which stands beside it, and the view through which a person who signed in acts.

A view has what has a rule, and nothing else: an act without one is done by nobody who signed in, not even by an admin.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Self, TypeVar, cast

from opstore.errors import NotAllowed


class Role(StrEnum):
    """What a person may be, several at once; an admin may do everything. `@act(*Role)` is for whoever is anything at all."""

    CREATOR = "creator"
    REVIEWER = "reviewer"
    ANALYST = "analyst"
    ADMIN = "admin"


#: Roles as `roles.toml` has them.
ROLES = tuple(role.value for role in Role)

ADMINS: frozenset[Role] = frozenset({Role.ADMIN})

#: An act as it is named: `Service.create`, `Curation.annotate`; the class of a part for what is in it, such as `Care`.
Act = Callable[..., object]
Method = TypeVar("Method", bound=Act)
Class = TypeVar("Class", bound=type)
Kind = TypeVar("Kind")

#: Who may do an act; and of a part what holds for all in it that has no rule of its own.
_RULES: dict[Act, frozenset[Role]] = {}
#: Classes whose public methods are acts, and whether one rule holds for all of them.
_PARTS: dict[type, bool] = {}


def act(role: Role, *others: Role) -> Callable[[Method], Method]:
    """Say who may do an act besides admins. The function stays what it was, and costs what it did: only a view asks."""

    def ruled(method: Method) -> Method:
        _RULES[_function(method)] = frozenset((Role.ADMIN, role, *others))
        return method

    return ruled


def part(*roles: Role) -> Callable[[Class], Class]:
    """Say of a class that its public methods are acts; those without a rule of their own are for `roles`, and for admins.

    Where no roles are given, each must have its own, or the class cannot be made. Of other attributes, views have those that the
    class declares: parts, and what is for `roles`.
    """

    def parted(kind: Class) -> Class:
        acts = {name: function for name, function in _functions(kind) if name in vars(kind)}
        for function in acts.values():  # `@act` may stand below another decorator: what it says must not be lost
            if (inner := inspect.unwrap(function)) in _RULES:
                _RULES.setdefault(function, _RULES[inner])
        bare = [name for name, function in acts.items() if function not in _RULES]
        if bare and not roles:
            raise TypeError(f"no rule says who may do {', '.join(bare)} of {kind.__name__}")
        _PARTS[kind] = bool(roles) and len(bare) == len(acts)
        if roles:
            _RULES.update(dict.fromkeys([kind, *(acts[name] for name in bare)], frozenset((Role.ADMIN, *roles))))
        return kind

    return parted


def _functions(made: type) -> Iterator[tuple[str, Act]]:
    """Yield the public methods and properties of a class, with the function in which each is done."""
    for name in dir(made):
        function = _function(inspect.getattr_static(made, name))
        if not name.startswith("_") and callable(function) and not isinstance(function, type):
            yield name, function


def _function(member: Any) -> Any:
    if isinstance(member, property):
        return member.fget
    return member.__func__ if isinstance(member, staticmethod | classmethod) else member


@dataclass(frozen=True, slots=True)
class Person:
    """Who acts: `name` is shown, `email` known of some who signed in, and `recorded` what operations keep of who made them.

    `identity` tells two who signed in apart, whatever they are called; it is a hash, and the same at every sign-in.
    `now` says who that is at this moment, and raises where nobody is let in any more: every act asks it, however long ago this
    was made. `roles`, and so what is offered, are those of then.
    """

    name: str
    roles: frozenset[str]
    email: str | None = None
    recorded: str | None = None
    identity: str | None = None
    now: Callable[[], Person] | None = field(default=None, compare=False, repr=False)

    def may(self, act: Act) -> bool:
        """Say whether an act is for the roles that this has; raise LookupError for one without a rule."""
        return not self.roles.isdisjoint(_RULES[act])

    def check(self, act: Act) -> None:
        """Raise NotAllowed unless this person may do an act, at this moment."""
        current = self.now() if self.now else self
        if not current.may(act):
            raise NotAllowed(roles=" / ".join(role for role in Role if role in _RULES[act]))


#: Whoever sits at this machine where no sign-in is set up, and a program with the token: both may do everything.
LOCAL = Person("", ADMINS)
PROGRAM = Person("API", ADMINS)

_acting: ContextVar[Person] = ContextVar("opstore-acting", default=LOCAL)


def acting() -> Person:
    """Return for whom the act is done that runs now; LOCAL if nobody has signed in, and for what runs in the background."""
    return _acting.get()


@contextmanager
def on_behalf(recorded: str | None) -> Iterator[None]:
    """Do in the background what somebody asked for earlier, who is recorded as `recorded`."""
    before = _acting.set(replace(LOCAL, recorded=recorded))
    try:
        yield
    finally:
        _acting.reset(before)


class Authorization:
    """Where acts begin: all of them may be done by whoever sits at this machine, and `acting_as` says what others may."""

    @property
    def person(self) -> Person:
        """Return for whom this is."""
        return LOCAL

    def may(self, act: Act) -> bool:
        """Say whether that person may do an act, such as `Service.create` or `Curation.annotate`."""
        return LOCAL.may(act)

    def acting_as(self, person: Person) -> Self:
        """Return this as `person` may use it, at its parts too: what is not for them raises NotAllowed."""
        return _view(self, person)


class _View:
    """Stands for a part as one person may use it; each part has a subclass, with its acts and nothing else."""

    __slots__ = ("_person", "_target")

    @property
    def person(self) -> Person:
        """Return for whom this is."""
        return _person(self)

    def may(self, act: Act) -> bool:
        """Say whether that person may do an act."""
        return _person(self).may(act)

    def __reduce__(self) -> str:
        raise TypeError("what one person may use stays in this process, and is not copied")


#: Where a view keeps whom it is for and what it stands for: from here on, none of its names leads there.
_PERSON, _TARGET = (vars(_View)[name] for name in _View.__slots__)
for _slot in _View.__slots__:
    delattr(_View, _slot)


def _person(view: _View) -> Person:
    return cast("Person", _PERSON.__get__(view))


def _target(view: _View, act: Act) -> Any:
    """Return what a view stands for, to do an act; raise NotAllowed where it is not for that person."""
    _person(view).check(act)
    return _TARGET.__get__(view)


def _view(target: Kind, person: Person) -> Kind:
    if person == LOCAL:
        return target
    kind: type = type(target)
    made = object.__new__(_class(kind))
    _PERSON.__set__(made, person)
    _TARGET.__set__(made, target)
    return cast("Kind", made)


@functools.cache
def _class(kind: type) -> type[_View]:
    """Return the class of the views of a part: its acts and properties that have a rule, and what it declares."""
    declared = {name for base in kind.__mro__ for name in inspect.get_annotations(base) if not name.startswith("_")}
    members = {name: _declared(kind, name) for name in declared}
    members |= {name: _ruled(kind, name, function) for name, function in _functions(kind) if function in _RULES}
    return type(f"{kind.__name__}View", (_View,), {"__slots__": (), **members})


def _ruled(kind: type, name: str, function: Act) -> Any:
    if isinstance(inspect.getattr_static(kind, name), property):
        return property(lambda view: getattr(_target(view, function), name))

    @functools.wraps(function)
    def do(view: _View, /, *args: Any, **named: Any) -> object:
        """Refuse when it is done, not when it is named: a page may hand it to a button that nobody presses."""
        target = _target(view, function)
        before = _acting.set(_person(view))
        try:
            return getattr(target, name)(*args, **named)
        finally:
            _acting.reset(before)

    return do


def _declared(kind: type, name: str) -> Any:
    own = next((base for base in kind.__mro__ if base in _RULES), None)

    def give(view: _View) -> object:
        value = getattr(_TARGET.__get__(view), name)
        part_kind = next((base for base in type(value).__mro__ if base in _PARTS), None)
        if part_kind is None:
            if own is None:
                raise AttributeError(f"no rule says who may see {name}")
            return getattr(_target(view, own), name)
        if _PARTS[part_kind]:
            _person(view).check(part_kind)
        # What is for admins alone goes as deep as it likes: they may do everything.
        return value if _PARTS[part_kind] and _RULES[part_kind] == ADMINS else _view(value, _person(view))

    return property(give)


__all__ = ["LOCAL", "PROGRAM", "ROLES", "Act", "Authorization", "Person", "Role", "act", "acting", "on_behalf", "part"]
