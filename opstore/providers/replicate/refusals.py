"""What Replicate's HTTP answers mean, as errors of our own: each says what to do, and none repeats a header or a token.

Three outcomes of a create are kept apart, because they are paid for differently: accepted, surely not accepted, not known.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from opstore.errors import CreateUncertain, ProviderError, ProviderRefused, ProviderUnavailable, RateLimited, Said, said
from opstore.providers.replicate.failures import quoting
from opstore.providers.replicate.rate_limits import MAX_RETRY_AFTER
from opstore.providers.replicate.server_clock import date_of

#: Where a throttled answer does not say for how long.
_USUAL_WAIT = 10.0
_MAX_DETAIL = 400


class Answered(Exception):
    """An answer other than 2xx, on its way from the transport to whoever asked: the client must not see it and sleep."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Keep the answer; nothing of it becomes this exception's own text."""
        super().__init__(f"HTTP {status}")
        self.status, self.headers, self.body = status, headers, body


#: Answers that say themselves what is wrong: the kind of failure, and what to do.
_RULES: Mapping[int, tuple[str, Said]] = {
    401: ("access", said("Replicate does not accept the API token. Set REPLICATE_API_TOKEN to a valid one and restart.")),
    402: (
        "payment",
        said("The Replicate account has no credit left. Add some at replicate.com/account/billing and try again."),
    ),
    403: ("access", said("The API token may not do this at Replicate. Use a token of the account that owns it.")),
    404: (
        "not found",
        said("Replicate does not know this model or prediction. Check its name in models.toml, or take another."),
    ),
    413: ("invalid input", said("The input is too large for Replicate. Use smaller images.")),
}


def refusal(answer: Answered, *, creating: bool, now: datetime | None = None) -> ProviderError:
    """Return the error for `answer`; `creating` says whether it answered a create that may have been accepted all the same."""
    document = _document(answer.body)
    if answer.status == 429:
        return RateLimited(seconds=_wait(answer.headers, document, date_of(answer.headers) or now or datetime.now(UTC)))
    if answer.status >= 500 or answer.status == 408:
        reason = said("Replicate answered with a fault of its own (HTTP {status})", status=str(answer.status))
        if creating:
            return CreateUncertain(reason=reason)
        return ProviderUnavailable(reason=said("{reason}. Try again in a minute.", reason=reason))
    if answer.status == 422:
        return ProviderRefused(reason=_invalid(document), kind="invalid input", fields=[name for name, _ in _fields(document)])
    if answer.status < 400:
        return ProviderUnavailable(reason=said("it redirects elsewhere, which is not followed. Check REPLICATE_BASE_URL."))
    refused = said("Replicate refused the request (HTTP {status}).", status=str(answer.status))
    kind, sentence = _RULES.get(answer.status, ("other", refused))
    return ProviderRefused(reason=_quoting(sentence, document), kind=kind)


def _document(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}  # an HTML page of a proxy: its text tells a person nothing
    return found if isinstance(found, Mapping) else {}


def _quoting(sentence: Said, document: Mapping[str, Any]) -> Said:
    """Return a sentence with what Replicate itself says, where it says anything."""
    detail = document.get("detail")
    return quoting(sentence, _short(detail)) if isinstance(detail, str) and detail.strip() else sentence


def _short(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= _MAX_DETAIL else f"{plain[:_MAX_DETAIL]}…"


def _fields(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    entries = document.get("invalid_fields")
    return [
        (str(entry.get("field", "")).removeprefix("input."), str(entry.get("description", "")))
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, Mapping)
    ]


def _invalid(document: Mapping[str, Any]) -> Said:
    """Return the sentence of a 422: each bad field by name, with what Replicate says of it."""
    listed = "; ".join(f"{_short(name)}: {_short(text)}" if text else _short(name) for name, text in _fields(document))
    if listed:
        return said("Replicate refused these inputs: {quoted}. Change them and try again.", quoted=listed)
    refused = _quoting(said("Replicate refused the input."), document)
    return said("{refused} Check the parameters, and the model's name and version.", refused=refused)


def _wait(headers: Mapping[str, str], document: Mapping[str, Any], now: datetime) -> int:
    """Return how many whole seconds a 429 asks for: from its body, else its header (a number or a date), at most 300."""
    asked = document.get("retry_after")
    if isinstance(asked, bool) or not isinstance(asked, int | float):
        asked = _header_seconds(headers.get("retry-after", ""), now)
    if not math.isfinite(asked) or asked > MAX_RETRY_AFTER:
        asked = MAX_RETRY_AFTER
    return max(1, math.ceil(asked))


def _header_seconds(value: str, now: datetime) -> float:
    if value.strip().isascii() and value.strip().isdigit():
        return float(value.strip()[:9])
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return _USUAL_WAIT
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()
