"""A provider that nothing here knows: it takes ids of ours, says what it charges, and until when a result can be fetched."""

from __future__ import annotations

import base64
import secrets
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from datetime import datetime

from opstore import clocks
from opstore.errors import CreateUncertain, ProviderRefused
from opstore.providers import Prediction, Report, Search, StepRequest
from opstore.providers.prices import Cost
from opstore.storage.operation import timestamp
from tests.standin.samples import sample

COST = Cost(0.5, "USD", "charged by Kiln", False)


@dataclass
class Kiln:
    """The provider, and the far side of it: what it has accepted, by id, however often that was asked for."""

    heard: Callable[[StepRequest], None] = lambda request: None
    #: What becomes of the next request: `before` or `after` it was accepted the connection breaks.
    breaks: str = ""
    result: Prediction = field(
        default_factory=lambda: Prediction(
            "succeeded", outputs=(f"data:image/png;base64,{base64.b64encode(sample('png')).decode()}",), cost=COST
        )
    )
    asked: Counter[str] = field(default_factory=Counter)
    accepted: list[str] = field(default_factory=list)
    name = "kiln"
    settle_seconds = 0.05

    def id_for(self, request: StepRequest) -> str:
        return f"kiln-{secrets.token_hex(4)}"

    def now(self) -> datetime:
        return clocks.now()

    def create(self, request: StepRequest, report: Report) -> Prediction:
        wanted, breaks, self.breaks = str(request.chosen_id), self.breaks, ""
        self.heard(request)
        self.asked[wanted] += 1
        if breaks == "before":
            raise CreateUncertain(reason="the connection broke", unfinished=True)
        if wanted not in self.accepted:
            self.accepted.append(wanted)
        if breaks:
            raise CreateUncertain(reason="the connection broke", kind="network")
        return Prediction("starting", wanted, created_at=timestamp(clocks.now()))

    def status(self, prediction_id: str) -> Prediction:
        if prediction_id not in self.accepted:
            raise ProviderRefused(reason="it is not known", kind="not found")
        return replace(self.result, id=prediction_id)

    def cancel(self, prediction_id: str) -> Prediction:
        return self.status(prediction_id)

    def find(self, request: StepRequest, since: datetime, exclude: Collection[str] = (), ago: float | None = None) -> Search:
        wanted = str(request.chosen_id)
        return Search(self.status(wanted) if wanted in self.accepted else None, complete=True)

    def poll_delay(self, seconds: float) -> float:
        return 0.01

    def close(self) -> None:
        pass


#: The one that the registration opens.
KILN = Kiln()
