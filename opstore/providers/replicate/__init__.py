"""Replicate as a provider, on its own client: one create for one request, every outcome told apart, the token shown to nobody.

`create` ends in one of three ways: a Prediction (accepted), CreateUncertain (it may have been accepted and billed: look with
`find` before anything is sent again), or any other error (surely not accepted). Nothing here retries, nothing here sleeps longer
than `pace.MAX_WAIT`: when to ask again is decided by whoever keeps the job.
"""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from opstore import clocks
from opstore.errors import (
    CreateUncertain,
    InvalidInput,
    InvalidRequest,
    InvalidSetting,
    OpstoreError,
    ProviderRefused,
    ProviderUnavailable,
    RateLimited,
    UnsupportedMedia,
    said,
)
from opstore.providers import MARGIN, Past, Prediction, Report, Search, StepRequest
from opstore.providers.models import Model, ModelTable
from opstore.providers.replicate.rate_limits import Polled, RateLimiter, poll_delay
from opstore.providers.replicate.records import past, prediction
from opstore.providers.replicate.search import is_recent, search
from opstore.providers.replicate.server_clock import FarClock

if TYPE_CHECKING:
    import httpx
    from replicate.client import Client

    from opstore.providers.replicate.transport import Guard, Timeouts

__all__ = ["RateLimiter", "Replicate", "poll_delay"]

API = "https://api.replicate.com"
#: Files above this go through the Files API, smaller ones lie in the request itself (Replicate's own advice: 256 kB).
DATA_URI_BYTES = 256_000
#: A run is canceled by Replicate itself this long after its creation; 30 minutes are its own limit too.
DEADLINE_SECONDS = 1800.0
#: A request that did not arrive whole is listed within seconds, or never; of one that may have, see `jobs.patience.LAG`.
SETTLE_SECONDS = 30.0
#: 100 predictions a page: more than anybody makes in the minutes that are searched.
_MAX_PAGES = 50
_ID = re.compile(r"\A[A-Za-z0-9_-]{1,64}\Z")


@dataclass(slots=True)
class _Exchange:
    """One request as the client's hooks see it: whether it was begun, and the answer's bytes."""

    begun: bool = False
    body: bytes | None = None

    def hooks(self) -> dict[str, list[Callable[[Any], None]]]:
        return {"request": [self._request], "response": [self._response]}

    def _request(self, _request: httpx.Request) -> None:
        self.begun = True

    def _response(self, response: httpx.Response) -> None:
        self.body = response.read()


class Replicate:
    """Replicate's API with one account's token; one instance serves any number of threads."""

    name = "replicate"

    def __init__(
        self,
        token: str,
        base_url: str | None = None,
        *,
        table: ModelTable | None = None,
        timeouts: Timeouts | None = None,
        limiter: RateLimiter | None = None,
        transport: httpx.BaseTransport | None = None,
        deadline_seconds: float = DEADLINE_SECONDS,
        settle_seconds: float = SETTLE_SECONDS,
    ) -> None:
        """Take the token; nothing is sent yet. `base_url` is the API's origin, without /v1; `transport` replaces the network."""
        self.settle_seconds = settle_seconds
        self._polled = Polled()
        self._token = _checked_token(token)
        self.base_url = _checked_base_url(base_url or API)
        self.table = table or ModelTable.load()
        self.limiter = limiter or RateLimiter()
        self._deadline = f"{max(5, round(deadline_seconds))}s"
        self._clock = FarClock()
        self._guard = _guard(self.base_url, self._token, timeouts, self.limiter, transport, self._clock)

    def __repr__(self) -> str:
        """Name the account's API, never its token."""
        return f"Replicate({self.base_url!r})"

    def close(self) -> None:
        """Close all connections."""
        self._guard.close()

    # -- the four verbs --------------------------------------------------------------------------------------------------

    def create(self, request: StepRequest, report: Report) -> Prediction:
        """Ask for one run of `request` and return it as accepted; this is what is paid for.

        `report` may raise Canceled until the request is sent, and is not called afterwards.
        """
        model = self._checked(request)
        addresses = [self._address(data, index, report) for index, data in enumerate(request.inputs, 1)]
        arguments = model.arguments(request, addresses)
        report(0.0, said("sending the request"))
        return self.submit(model.name, arguments, self._deadline)

    def submit(self, model: str, arguments: Mapping[str, Any], cancel_after: str) -> Prediction:
        """Ask for one run of any model with these very fields, canceled by Replicate itself after a time such as `30s`."""
        name, _, version = model.partition(":")

        def send(client: Client) -> object:
            if version:
                return client.predictions.create(version=version, input=dict(arguments))
            return client.models.predictions.create(model=name, input=dict(arguments))

        record = self._ask(send, creating=True, headers={"Cancel-After": cancel_after})
        if not isinstance(record, dict) or not isinstance(record.get("id"), str) or not _ID.match(record["id"]):
            raise CreateUncertain(reason=said("Replicate's answer names no prediction"))
        return prediction(record)

    def status(self, prediction_id: str) -> Prediction:
        """Return the prediction as it is now."""
        checked = _checked_id(prediction_id)
        self._polled.note(checked, self.limiter.clock())
        found = self._one(checked, self._ask(lambda client: client.predictions.get(checked)))
        self._polled.note(checked, self.limiter.clock(), found.ended)
        return found

    def poll_delay(self, seconds: float) -> float:
        """Return how long to wait before the next `status` of a prediction that has run for `seconds`."""
        return poll_delay(seconds, self._polled.count(self.limiter.clock()))

    def cancel(self, prediction_id: str) -> Prediction:
        """Ask for the prediction to end; return it as it is now."""
        checked = _checked_id(prediction_id)
        return self._one(checked, self._ask(lambda client: client.predictions.cancel(checked)))

    def id_for(self, request: StepRequest) -> str | None:
        """Return None: Replicate gives the ids, and takes none of ours."""
        return None

    def now(self) -> datetime | None:
        """Return the time by Replicate's own clock, None before its first answer that told it."""
        return self._clock.now()

    def there(self, since: datetime, ago: float | None = None) -> datetime | None:
        """Return by Replicate's clock the moment that this machine's had as `since`, `ago` seconds ago; None if nobody can.

        Without `ago` this machine's clock may have been right then and wrong now, or the other way round: the earlier counts.
        """
        now = self._clock.now()
        if now is None:
            return None
        return min(since, since + (now - clocks.now())) if ago is None else now - timedelta(seconds=ago)

    def find(self, request: StepRequest, since: datetime, exclude: Collection[str] = (), ago: float | None = None) -> Search:
        """Look for the prediction that `request`, sent at or after `since`, may have become.

        A create that is still on its way is not seen yet: absence counts only after the create has surely failed or ended. Nor
        does it where no answer has said what time it is there: this machine's clock may be wrong by any amount.
        """
        model = self._checked(request)
        arguments = model.arguments(request, [""] * len(request.inputs))
        if self._clock.now() is None:
            self._ask(lambda client: client.predictions.list(f"/v1/predictions?created_after={_in_utc(clocks.now())}"))
        moment = self.there(since, ago)
        found = search(self._pages((moment or since) - MARGIN), model, arguments, (moment or since) - MARGIN, exclude)
        return found if moment else replace(found, complete=False)

    def recent(self, since: datetime) -> Iterator[Prediction]:
        """Yield the account's predictions made at or after `since`, newest first."""
        return (past.prediction for past in self.history(since))

    def history(self, since: datetime) -> Iterator[Past]:
        """Yield the account's predictions made at or after `since`, newest first, with what they were asked."""
        for record in self._records(since):
            if not is_recent(record, since):
                return
            yield past(record)

    # -- requests --------------------------------------------------------------------------------------------------------

    def _checked(self, request: StepRequest) -> Model:
        """Return the model of `request`; refuse before anything is uploaded what would be refused after."""
        try:
            model = self.table.get(request.model)
            if model.provider != self.name:
                raise InvalidRequest(reason=said("{model} is not a model of Replicate.", model=model.title))
            if model.takes_seed and request.parameters.get("seed") is None:
                raise InvalidRequest(reason=said("the seed is missing; every run carries one, so that it can be recognised."))
            model.arguments(request, [""] * len(request.inputs))
        except InvalidInput as error:
            raise ProviderRefused(reason=error.sentence, kind="invalid input") from None
        return model

    def _address(self, data: bytes, index: int, report: Report) -> str:
        """Return where Replicate can read an input image: in the request itself, or as a file uploaded first."""
        from opstore.media import sniff
        from opstore.media.likeness import for_model

        try:
            data = for_model(data, index)
        except UnsupportedMedia as error:
            raise ProviderRefused(reason=error.sentence, kind="invalid input") from None
        media = sniff(data)
        kind, extension = (media.name, media.extension) if media else ("application/octet-stream", "bin")
        if len(data) <= DATA_URI_BYTES:
            return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
        report(0.0, said("uploading image {index}", index=index))
        name = f"input-{index}.{extension}"
        record = self._ask(lambda client: client.files.create(io.BytesIO(data), filename=name, content_type=kind))
        urls = record.get("urls") if isinstance(record, dict) else None
        address = urls.get("get") if isinstance(urls, dict) else None
        if not isinstance(address, str):
            raise ProviderUnavailable(
                reason=said("the upload's answer has no address. Try again in a minute."), kind="not understood"
            )
        return address

    def _one(self, prediction_id: str, record: Any) -> Prediction:
        if not isinstance(record, dict) or record.get("id") != prediction_id:
            reason = said("the answer is not the prediction asked for. It will be asked again.")
            raise ProviderUnavailable(reason=reason, kind="not understood")
        return prediction(record)

    def _records(self, since: datetime) -> Iterator[Mapping[str, Any]]:
        """Yield raw predictions, newest first."""
        for page in self._pages(since):
            yield from page

    def _pages(self, since: datetime) -> Iterator[list[Mapping[str, Any]]]:
        """Yield pages of raw predictions, newest first; the server leaves out older ones, if it understands the wish."""
        cursor: Any = f"/v1/predictions?created_after={_in_utc(since)}"
        for _ in range(_MAX_PAGES):
            page = self._page(cursor)
            yield [record for record in page["results"] if isinstance(record, dict)]
            cursor = page.get("next")
            if not isinstance(cursor, str) or not cursor:
                return
        reason = said("the account has more than {count} recent predictions.", count=_MAX_PAGES * 100)
        raise ProviderUnavailable(reason=reason, kind="not understood")

    def _page(self, cursor: str) -> dict[str, Any]:
        page = self._ask(lambda client: client.predictions.list(cursor))
        if not isinstance(page, dict) or not isinstance(page.get("results"), list):
            reason = said("the list of predictions cannot be read. It will be asked again.")
            raise ProviderUnavailable(reason=reason, kind="not understood")
        return page

    # -- one exchange ----------------------------------------------------------------------------------------------------

    def _ask(self, use: Callable[[Client], object], *, creating: bool = False, headers: Mapping[str, str] | None = None) -> Any:
        """Let the client make one request, and return the answer's raw JSON, whatever the client itself made of it."""
        import httpx

        from opstore.providers.replicate.refusals import Answered, refusal

        exchange = _Exchange()
        try:
            use(self._client(exchange, headers))
        except Answered as answer:
            error = refusal(answer, creating=creating)
            if isinstance(error, RateLimited):
                self.limiter.pause("create" if creating else "other", float(error.details["seconds"]))
            raise error from None
        except OpstoreError:
            raise
        except httpx.HTTPError as error:
            raise _network(error, creating, urlsplit(self.base_url).hostname or "") from None
        except Exception:
            # The client's own objects refuse what the API documents (an aborted prediction, an error that is no text), after
            # the answer is there: its bytes are what counts. Without one, a begun create must be taken for possibly accepted.
            if exchange.body is None:
                raise _unread(creating and exchange.begun) from None
        try:
            return json.loads(exchange.body or b"")
        except (ValueError, RecursionError):
            raise _unread(creating) from None

    def _client(self, exchange: _Exchange, headers: Mapping[str, str] | None) -> Client:
        """Return a client for one exchange over the shared connections.

        One each time: it costs 0.03 ms, its headers are then those of one request, and a client raced by several threads at its
        first use builds several pools.
        """
        from replicate.client import Client

        return Client(
            api_token=self._token,
            base_url=self.base_url,
            transport=self._guard,
            headers=dict(headers or {}),
            event_hooks=exchange.hooks(),
        )


def _guard(
    base_url: str,
    token: str,
    timeouts: Timeouts | None,
    limiter: RateLimiter,
    inner: httpx.BaseTransport | None,
    far_clock: FarClock,
) -> Guard:
    import httpx

    from opstore.providers.replicate.transport import Guard, Timeouts

    return Guard(httpx.URL(base_url), token, timeouts or Timeouts(), limiter, inner, far_clock=far_clock)


def _network(error: httpx.HTTPError, creating: bool, host: str) -> OpstoreError:
    """Return the error for a request without an answer; only one that surely never left is not uncertain."""
    import httpx

    unsent = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.LocalProtocolError)
    if isinstance(error, unsent):
        return ProviderUnavailable(reason=said("no connection to {host}. Check the network and try again.", host=host))
    late = isinstance(error, httpx.TimeoutException)
    what = said("no answer came in time") if late else said("the connection broke before the answer")
    if creating:
        # Of a body that did not leave whole a server can hardly make a prediction.
        return CreateUncertain(reason=what, unfinished=isinstance(error, httpx.WriteError | httpx.WriteTimeout))
    reason = said("{reason}. Try again in a minute.", reason=what)
    return ProviderUnavailable(reason=reason, kind="timeout" if late else "network")


def _unread(creating: bool) -> OpstoreError:
    if creating:
        return CreateUncertain(reason=said("Replicate's answer cannot be read"))
    return ProviderUnavailable(reason=said("its answer cannot be read. Try again in a minute."), kind="not understood")


def _in_utc(moment: datetime) -> str:
    """Return a moment as the API takes it."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _checked_token(token: str) -> str:
    """Return the token without surrounding space; one that no header can carry is refused here, where it is not quoted."""
    plain = token.strip() if isinstance(token, str) else ""
    if not plain or not plain.isascii() or not plain.isprintable() or " " in plain:
        reason = said("it is empty or has characters that no token has. Copy it again from replicate.com/account/api-tokens.")
        raise InvalidSetting(name="REPLICATE_API_TOKEN", reason=reason)
    return plain


def _checked_base_url(base_url: str) -> str:
    """Return the API's address; the token travels with every request, so plain http is for this machine only."""
    import httpx

    plain = base_url.strip().rstrip("/")
    try:
        parts, read = urlsplit(plain), httpx.URL(plain)
        host = parts.hostname if parts.port != 0 and read.host and plain.isprintable() and " " not in plain else None
    except (ValueError, httpx.InvalidURL):
        parts, host = urlsplit(""), None
    secure = parts.scheme == "https" or (parts.scheme == "http" and host in ("127.0.0.1", "::1", "localhost"))
    if not host or not secure or parts.username or parts.query or parts.fragment:
        reason = said("it must be an https address, without a user name; leave it empty for {address}", address=API)
        raise InvalidSetting(name="REPLICATE_BASE_URL", reason=reason)
    return plain


def _checked_id(prediction_id: str) -> str:
    if isinstance(prediction_id, str) and _ID.match(prediction_id):
        return prediction_id
    raise ProviderRefused(reason=said("This is not the id of a prediction."), kind="not found")
