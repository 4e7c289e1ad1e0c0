"""What each model takes and what it costs, as data: only what a model's own schema names ever reaches its provider.

A person speaks opstore's names (`aspectRatio`, `duration` in seconds); a `Model` checks them, turns them into the provider's
fields, and counts the money. What ships stands in each provider's own `models.toml`; a `models.toml` in the data folder adds
models and mends prices (`docs/models.md`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from opstore.access.roles import Role, part
from opstore.errors import InvalidRequest, said, shown
from opstore.providers import Prediction, StepRequest, registry
from opstore.providers.model_parameters import Inputs, Parameter, Rule, encodable, number_of
from opstore.providers.prices import Cost, Price, Variant
from opstore.storage.operation import OPERATION_TYPES
from opstore.storage.verify import Problem

__all__ = ["Cost", "Inputs", "Model", "ModelTable", "Parameter", "Price", "Rule", "Variant"]


@dataclass(frozen=True, slots=True)
class Model:
    """A model: what it makes, what it takes, what it costs. `name` is the provider's own (`owner/name` or `owner/name:version`).

    `fixed` holds, for each operation type, fields that are always sent with a given value.
    """

    name: str
    title: str
    provider: str
    types: tuple[str, ...]
    output: Literal["image", "video", "both"]
    parameters: tuple[Parameter, ...] = ()
    inputs: Inputs = field(default_factory=Inputs)
    price: Price | None = None
    note: str = ""
    default_for: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    fixed: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    prompt_field: str = "prompt"

    @property
    def takes_seed(self) -> bool:
        """Say whether runs of the model can be repeated, and recognised, by a seed."""
        return self.seed_field is not None

    @property
    def seed_field(self) -> str | None:
        """Return the provider's name of the seed, or None if there is none."""
        return next((p.field for p in self.parameters if p.name == "seed"), None)

    def parameters_for(self, operation_type: str) -> tuple[Parameter, ...]:
        """Return what can be chosen for `operation_type`, in the order to be shown."""
        return tuple(p for p in self.parameters if p.holds_for(operation_type))

    def validate(self, operation_type: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return those of `parameters` that the model takes, checked and converted; nothing is filled in.

        What the model does not take is left out, and so is what is None. Raises InvalidRequest naming the first bad one.
        """
        if operation_type not in self.types:
            made = {"model": self.title, "type": operation_type, "types": self.types}
            raise InvalidRequest(reason=said("{model} does not support {type}. Supported types: {types}.", **made))
        chosen = {
            p.name: p.check(parameters[p.name]) for p in self.parameters_for(operation_type) if parameters.get(p.name) is not None
        }
        complete = self._defaults(operation_type) | chosen
        for rule in self.rules:
            rule.check(complete)
        for parameter in self.parameters_for(operation_type):
            if parameter.frames and parameter.name in complete:
                self._frames(parameter, complete)
        return chosen

    def _defaults(self, operation_type: str) -> dict[str, Any]:
        return {p.name: p.default for p in self.parameters_for(operation_type) if p.default is not None}

    def _frames(self, parameter: Parameter, values: Mapping[str, Any]) -> int:
        """Return the number of frames for a length in seconds; raise InvalidRequest where the model cannot make that many."""
        fewest, most = parameter.frames or (1, 1)
        seconds, rate = number_of(values[parameter.name]) or 0.0, number_of(values.get("framesPerSecond")) or 16.0
        if not 0 < seconds * rate < math.inf:
            limits = {
                "minimum": f"{fewest / abs(rate):g}",
                "maximum": f"{most / abs(rate):g}",
                "unit": f" {parameter.unit or 's'}",
            }
            allowed = said("{number} from {minimum} to {maximum}{unit}", number=said("a number"), **limits)
            given = {"parameter": parameter.name, "value": shown(str(values[parameter.name])), "limits": allowed}
            raise InvalidRequest(reason=said("{parameter} is {value}, but must be {limits}.", **given))
        wanted = round(seconds * rate)
        # One frame more or less is rounding: 5 s at 16 a second are 80 frames, and 81 is the fewest that wan makes.
        if not fewest - 1 <= wanted <= most + 1:
            slow, fast = math.ceil(fewest / seconds), math.floor(most / seconds)
            raise InvalidRequest(
                reason=said(
                    "{seconds} s at {rate} frames a second are {wanted} frames, and this model makes {fewest} to {most}. "
                    "Choose {rate_parameter} from {slow} to {fast}, or another {parameter}.",
                    seconds=f"{seconds:g}",
                    rate=f"{rate:g}",
                    wanted=wanted,
                    fewest=fewest,
                    most=most,
                    rate_parameter="framesPerSecond",
                    slow=slow,
                    fast=fast,
                    parameter=parameter.name,
                )
            )
        return min(max(wanted, fewest), most)

    def fields(self, operation_type: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the provider's fields for `parameters`, defaults filled in, without prompt and inputs."""
        values = self._defaults(operation_type) | self.validate(operation_type, parameters)
        sent: dict[str, Any] = {}
        for parameter in self.parameters_for(operation_type):
            if parameter.name in values:
                value = values[parameter.name]
                sent[parameter.field] = self._frames(parameter, values) if parameter.frames else parameter.sent(value)
        return sent | dict(self.fixed.get(operation_type, {}))

    def arguments(self, request: StepRequest, input_addresses: Sequence[str]) -> dict[str, Any]:
        """Return the provider's input document for `request`; unknown names are never in it.

        Defaults are sent too, so that a run says all it was made with, and a provider's change of a default changes nothing.
        """
        if not request.prompt.strip():
            raise InvalidRequest(reason=said("the prompt is empty. Say in a few words what you want to see."))
        if not encodable(request.prompt):
            raise InvalidRequest(reason=said("the prompt has a broken character (half of a surrogate pair). Type it again."))
        OPERATION_TYPES[request.operation_type].check_count(len(input_addresses))
        sent = self.fields(request.operation_type, request.parameters)
        return {self.prompt_field: request.prompt} | sent | self.inputs.place(request.operation_type, input_addresses)

    # -- money -----------------------------------------------------------------------------------------------------------

    def estimate(self, operation_type: str, parameters: Mapping[str, Any], outputs: int = 1) -> Cost | None:
        """Return what a request for `outputs` results will cost by the list, or None where that is not known."""
        if self.price is None or self.price.per == "second_of_compute":
            return None
        unit = self.price.unit_amount(operation_type, self.fields(operation_type, parameters))
        if unit is None:
            return None
        count = float(outputs)
        if self.price.per == "second_of_video":
            seconds = self._seconds(operation_type, parameters)
            if seconds is None:
                return None
            count *= seconds
        return self.price.times(unit, count)

    def _seconds(self, operation_type: str, parameters: Mapping[str, Any]) -> float | None:
        values = self._defaults(operation_type) | self.validate(operation_type, parameters)
        seconds = number_of(values.get("duration"))  # "auto", or -1 for it, is no length
        return seconds if seconds is not None and seconds > 0 else None

    def cost(self, operation_type: str, parameters: Mapping[str, Any], prediction: Prediction) -> Cost | None:
        """Return what a run that has ended cost by the list, or None where that is not known.

        A Cost without an amount says why it is not known whether the run was billed.
        """
        if self.price is None or not prediction.ended:
            return None
        if self.price.exact:
            return self.price.times(0.0, 1)
        if prediction.status == "aborted":
            return Cost(0.0, self.price.currency, "aborted before it started, so not billed", True)
        unit = self.price.unit_amount(operation_type, self.fields(operation_type, parameters))
        if unit is None:
            return None
        if self.price.per == "second_of_compute":
            return self._by_compute(self.price, unit, prediction)
        if prediction.status == "failed":
            return self.price.times(unit, 0, "failed, and without a result nothing is counted: ")
        if prediction.status == "canceled":
            return self.price.unknown("canceled: the provider may have billed what had run by then")
        return self._by_output(self.price, unit, operation_type, parameters, prediction)

    def _by_compute(self, price: Price, unit: float, prediction: Prediction) -> Cost:
        if prediction.predict_seconds is None:
            return price.unknown(f"{prediction.status}: the provider did not say how long it ran")
        prefix = "" if prediction.status == "succeeded" else f"{prediction.status}, billed for the time it ran: "
        return price.times(unit, round(prediction.predict_seconds, 3), prefix)

    def _by_output(
        self, price: Price, unit: float, operation_type: str, parameters: Mapping[str, Any], prediction: Prediction
    ) -> Cost | None:
        if not prediction.outputs:
            return price.unknown("it succeeded without a result: whether it was billed is not known")
        if price.per == "run":
            return price.times(unit, 1)
        if price.per == "image":
            return price.times(unit, len(prediction.outputs))
        seconds = self._seconds(operation_type, parameters)
        return None if seconds is None else price.times(unit, seconds * len(prediction.outputs))


@part(*Role)
@dataclass(frozen=True, slots=True)
class ModelTable:
    """All models that can be used, by name; `problems` says in sentences what of the user's own file was left out, and why."""

    by_name: Mapping[str, Model]
    problems: tuple[str, ...] = ()

    @classmethod
    def load(cls, user_text: str | None = None) -> ModelTable:
        """Return the table that ships, with a user's own `models.toml` laid over it; a bad entry is a problem, never an error."""
        from opstore.providers.model_file import read

        by_name, problems = read(user_text or "", registry.models_that_ship())
        return cls(by_name, tuple(problems))

    def listed(self) -> list[Problem]:
        """Return its problems as those of the data folder, in which the user's file stands."""
        return [Problem("unusable", "models.toml", None, problem, "root") for problem in self.problems]

    def get(self, name: str) -> Model:
        """Return the model called `name`; raise InvalidRequest if there is none."""
        model = self.by_name.get(name) if isinstance(name, str) else None
        if model is None:
            reason = said("there is no model {model}. Choose one of the list, or add it to models.toml.", model=shown(name))
            raise InvalidRequest(reason=reason)
        return model

    def models(self, provider: str, operation_type: str) -> list[Model]:
        """Return the models of `provider` for `operation_type`, the default first, then in the order of the table."""
        found = [m for m in self.by_name.values() if m.provider == provider and operation_type in m.types]
        return sorted(found, key=lambda model: operation_type not in model.default_for)

    def default(self, provider: str, operation_type: str) -> Model:
        """Return the model that is used if none was chosen; raise InvalidRequest if the provider has none for the type."""
        found = self.models(provider, operation_type)
        if not found:
            provider, wanted = shown(provider), shown(operation_type)
            raise InvalidRequest(reason=said("{provider} has no model for {type}.", provider=provider, type=wanted))
        return found[0]
