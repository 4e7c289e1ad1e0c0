"""The seam between a step of an operation and whoever computes it: create → id or ready result; status; cancel; find.

A provider never sees the store: it is handed bytes and gives back bytes or addresses. Whatever it raises is a `ProviderError`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from opstore.providers.prices import Cost

if TYPE_CHECKING:
    from opstore.providers.models import ModelTable

Status = Literal["starting", "processing", "succeeded", "failed", "canceled", "aborted"]

#: Called by a provider that computes in this process: (share done from 0.0 to 1.0, what is being done).
#: It may raise `opstore.errors.Canceled`, which the provider lets through.
Report = Callable[[float, str], None]


#: How much earlier than a request left its prediction is looked for: stamps of several machines differ, and looking further back
#: costs nothing, since predictions that belong to other operations are left out by their ids.
MARGIN = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class StepRequest:
    """One call to a provider: everything it needs and nothing else.

    `operation_type` is a type of one step (never `edit_then_video`, which `workflows` splits). `parameters` carry opstore's own
    names (`aspectRatio`, `outputFormat`, `outputQuality`, `seed`, `duration` in seconds, `framesPerSecond`, `resolution`, …);
    `inputs` are whole files, in order. `chosen_id` is what the provider's `id_for` gave, already written down.
    """

    operation_id: str
    operation_type: str
    prompt: str
    parameters: Mapping[str, Any]
    inputs: tuple[bytes, ...]
    model: str
    chosen_id: str | None = None


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a provider says of one call: its state now, and its outputs once there are any.

    `outputs` holds whole files, or addresses (https or data URIs) that are still to be fetched. `predict_seconds` is the time
    that is billed. `error` is a sentence for a person, `error_kind` the word under which such ends are counted. Times are
    ISO 8601 in UTC as the provider wrote them. `cost` is what the provider itself says that it charges, `expired` that it has
    deleted the outputs, `fetch_by` until when they can be fetched, where it tells. `raw` is its own record, which nothing above
    the seam reads.
    """

    status: Status
    id: str | None = None
    outputs: tuple[bytes | str, ...] = ()
    error: str | None = None
    progress: float | None = None
    logs: str = ""
    predict_seconds: float | None = None
    created_at: str | None = None
    started_at: str | None = None
    completed_at: str | None = None
    web_url: str | None = None
    raw: Mapping[str, Any] = field(default_factory=dict)
    error_kind: str | None = None
    cost: Cost | None = None
    expired: bool = False
    fetch_by: str | None = None

    @property
    def ended(self) -> bool:
        """Say whether nothing more will happen to this prediction."""
        return self.status in ("succeeded", "failed", "canceled", "aborted")


@dataclass(frozen=True, slots=True)
class Past:
    """A prediction in an account's history, and what it was asked: fields by the provider's names, images as addresses.

    `models` are the names by which a table may know its model, the general one first.
    """

    prediction: Prediction
    models: tuple[str, ...]
    input: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Search:
    """The answer to "was this request accepted?": the prediction, or None; `complete` says that None is certain."""

    found: Prediction | None
    complete: bool


class Provider(Protocol):
    """Who computes steps. One that computes in this process gives its result at `create`, and its `find` is certain at once."""

    @property
    def name(self) -> str:
        """Return the name it has in settings, sidecars and the table of models."""

    @property
    def settle_seconds(self) -> float:
        """Return how long after a request has ended its absence from `find` means nothing yet."""

    def id_for(self, request: StepRequest) -> str | None:
        """Return the id that the prediction of `request` shall have, None where the provider gives it.

        It is written before the request leaves, and comes with it as `chosen_id`: a request sent again is then the same one.
        """

    def now(self) -> datetime | None:
        """Return the time by the provider's own clock as its answers have told it, None before the first that did."""

    def create(self, request: StepRequest, report: Report) -> Prediction:
        """Ask for a result; raise CreateUncertain where it is not known whether the request was accepted."""

    def status(self, prediction_id: str) -> Prediction:
        """Return what is known of a prediction now."""

    def cancel(self, prediction_id: str) -> Prediction:
        """Ask to stop a prediction; one that has ended stays as it is."""

    def find(self, request: StepRequest, since: datetime, exclude: Collection[str] = (), ago: float | None = None) -> Search:
        """Look for the prediction of a request that left at `since` and whose answer never came; `exclude` are others' ids.

        `since` is by this machine's wall clock, which may be wrong or set meanwhile; `ago` are the seconds since then by its
        steady clock, None where that was in another boot. A request with a `chosen_id` is looked up by that alone.
        """

    def poll_delay(self, seconds: float) -> float:
        """Return how long to wait before the next `status` of a prediction that has run for `seconds`."""

    def close(self) -> None:
        """Give back connections and the like; called once, at the end."""


@runtime_checkable
class Account(Provider, Protocol):
    """A provider that can tell what its account has made, by us or by others."""

    @property
    def table(self) -> ModelTable:
        """Return the models that are known here."""

    def there(self, since: datetime, ago: float | None = None) -> datetime | None:
        """Return by the provider's clock the moment that this machine's had as `since`, `ago` seconds ago; None if nobody can."""

    def history(self, since: datetime) -> Iterator[Past]:
        """Yield what was made at or after `since`, newest first."""


class Asker(Protocol):
    """Who can be asked: a language model of a provider."""

    @property
    def name(self) -> str:
        """Return the model's name, as records keep it."""

    @property
    def title(self) -> str:
        """Return the model's name as people read it."""

    def cost(self) -> Cost:
        """Return what one question costs at most."""

    def ask(self, instruction: str, question: str, pictures: Sequence[bytes] = ()) -> str:
        """Return the answer's text; raise an OpstoreError if there is none."""
