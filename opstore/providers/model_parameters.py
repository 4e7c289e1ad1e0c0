"""What can be chosen for a model: every value is checked, under opstore's own names, before anything is sent anywhere."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from opstore.errors import InvalidRequest, Said, said, shown

Kind = Literal["choice", "integer", "number", "boolean", "text"]
KINDS: tuple[Kind, ...] = ("choice", "integer", "number", "boolean", "text")

#: Longest text parameter (a negative prompt): the sidecar keeps it, and no model reads more.
MAX_TEXT = 20_000


@dataclass(frozen=True, slots=True)
class Parameter:
    """One thing that can be chosen for a model, under opstore's name and under the provider's.

    `values` turns a choice into the provider's word for it. `frames` marks a clip length in seconds that is sent as a number of
    frames, (fewest, most). `types` are the operation types it holds for, all where empty.
    """

    name: str
    field: str
    kind: Kind
    default: Any = None
    choices: tuple[Any, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    unit: str = ""
    advanced: bool = False
    types: tuple[str, ...] = ()
    values: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    frames: tuple[int, int] | None = None

    def holds_for(self, operation_type: str) -> bool:
        """Say whether the parameter can be chosen for `operation_type`."""
        return not self.types or operation_type in self.types

    @property
    def limits(self) -> Said:
        """Return what may be given, in words."""
        if self.kind == "choice":
            return said("one of {choices}", choices=tuple(map(str, self.choices)))
        if self.kind == "boolean":
            return said("true or false")
        if self.kind == "text":
            return said("a text of at most {count} characters", count=MAX_TEXT)
        word = said("a whole number") if self.kind == "integer" else said("a number")
        unit = f" {self.unit}" if self.unit else ""
        if self.minimum is not None and self.maximum is not None:
            low, high = f"{self.minimum:g}", f"{self.maximum:g}"
            return said("{number} from {minimum} to {maximum}{unit}", number=word, minimum=low, maximum=high, unit=unit)
        if self.minimum is not None:
            return said("{number} of at least {minimum}{unit}", number=word, minimum=f"{self.minimum:g}", unit=unit)
        if self.maximum is not None:
            return said("{number} of at most {maximum}{unit}", number=word, maximum=f"{self.maximum:g}", unit=unit)
        return word

    def check(self, value: Any) -> Any:
        """Return `value` in the parameter's own type; raise InvalidRequest, with the limits, if it cannot be used."""
        converted = _CONVERT[self.kind](self, value)
        if converted is None or not self._within(converted):
            given = shown(str(value))
            reason = said("{parameter} is {value}, but must be {limits}.", parameter=self.name, value=given, limits=self.limits)
            raise InvalidRequest(reason=reason)
        return converted

    def takes(self, value: Any) -> bool:
        """Say whether `value` can be used."""
        try:
            self.check(value)
        except InvalidRequest:
            return False
        return True

    def _within(self, value: Any) -> bool:
        if self.kind not in ("integer", "number"):
            return True
        above = self.minimum is None or value >= self.minimum
        return above and (self.maximum is None or value <= self.maximum)

    def sent(self, value: Any) -> Any:
        """Return the provider's word for a checked `value`."""
        return self.values.get(str(value), value)


def _choice(parameter: Parameter, value: Any) -> Any:
    return next((choice for choice in parameter.choices if _is_meant(choice, value)), None)


def _is_meant(choice: Any, value: Any) -> bool:
    """Say whether a value means a choice: forms carry text, "5" is 5, and so is the 5.0 of a slider; True must not pass for 1."""
    if isinstance(value, bool) != isinstance(choice, bool):
        return False
    number = number_of(choice) if isinstance(choice, int | float) else None
    return str(choice) == str(value) or (number is not None and number == number_of(value))


def _integer(_parameter: Parameter, value: Any) -> int | None:
    number = _number(_parameter, value)
    if number is None or number != int(number):
        return None
    try:
        return int(value)  # not of the number read above, which has 53 bits: a seed may have 64
    except ValueError:
        return int(number)  # "7.0"


def _number(_parameter: Parameter, value: Any) -> float | None:
    return number_of(value)


def number_of(value: object) -> float | None:
    """Return the finite number that a value is, or spells; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _boolean(_parameter: Parameter, value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False, "1": True, "0": False}.get(str(value).lower())


def _text(_parameter: Parameter, value: Any) -> str | None:
    return value if isinstance(value, str) and len(value) <= MAX_TEXT and encodable(value) else None


_CONVERT = {"choice": _choice, "integer": _integer, "number": _number, "boolean": _boolean, "text": _text}


def encodable(text: str) -> bool:
    """Say whether `text` can leave this process: a lone half of a surrogate pair has no UTF-8 form."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Inputs:
    """Where input images go: one `field`, a list where `many`; the last frame of a transition in `last_field`."""

    field: str = ""
    many: bool = False
    maximum: int = 0
    last_field: str = ""

    def place(self, operation_type: str, addresses: Sequence[str]) -> dict[str, Any]:
        """Return the fields that hold `addresses`; raise InvalidRequest if there are more than the model takes."""
        if not addresses:
            return {}
        if operation_type == "image_to_video_transition" and self.last_field:
            first, last = addresses
            return {self.field: first, self.last_field: last}
        if len(addresses) > self.maximum:
            count, limit = len(addresses), self.maximum
            reason = said("too many images: {count} given, and this model takes at most {limit}.", count=count, limit=limit)
            raise InvalidRequest(reason=reason)
        return {self.field: list(addresses) if self.many else addresses[0]}


@dataclass(frozen=True, slots=True)
class Rule:
    """Where parameters have the values `when`, those of `only` are limited to the ones listed."""

    when: Mapping[str, Any]
    only: Mapping[str, tuple[Any, ...]]

    def check(self, values: Mapping[str, Any]) -> None:
        """Raise InvalidRequest if `values` break the rule."""
        if any(values.get(name) != value for name, value in self.when.items()):
            return
        for name, allowed in self.only.items():
            if values.get(name) not in allowed:
                given = tuple(said("{parameter} {value}", parameter=key, value=str(value)) for key, value in self.when.items())
                listed = tuple(map(str, allowed))
                reason = said("with {given}, {parameter} must be one of {choices}.", given=given, parameter=name, choices=listed)
                raise InvalidRequest(reason=reason)
