"""What tests of the Replicate adapter share: a token to look for, short timeouts, requests, and waiting for an end."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from opstore.providers import Prediction, StepRequest
from opstore.providers.models import ModelTable
from opstore.providers.replicate import Replicate
from opstore.providers.replicate.transport import Timeouts

CANARY = "r8_CanaryCanaryCanaryCanaryCanary123456"
QUICK = Timeouts(connect=2, each=1.0, answer=2.0, upload_each=1.0)
VERSION = "c" * 64
TABLE = ModelTable.load(
    f"""
    ["acme/painter:{VERSION}"]
    types = ["text_to_image"]
    parameters.seed = {{ kind = "integer" }}
    ["acme/odd"]
    types = ["text_to_image"]
    parameters.unheard = {{ kind = "integer", default = 1 }}
    """
)


def set_up(token: str = CANARY, url: str = "") -> dict[str, str]:
    """Return the settings of an app that has a token."""
    return {"REPLICATE_API_TOKEN": token, **({"REPLICATE_BASE_URL": url} if url else {})}


def request(
    kind: str = "text_to_image",
    model: str = "qwen/qwen-image",
    inputs: tuple[bytes, ...] = (),
    prompt: str = "a cat on a red roof",
    **parameters: Any,
) -> StepRequest:
    return StepRequest("20251103143022_abc123de", kind, prompt, {"seed": 11} | parameters, inputs, model)


def silent(_share: float, _what: str) -> None:
    pass


def wait(provider: Replicate, found: Prediction) -> list[Prediction]:
    """Return each different state of a prediction until it has ended."""
    seen = [found]
    while not seen[-1].ended:
        time.sleep(0.01)
        now = provider.status(found.id or "")
        if now.status != seen[-1].status:
            seen.append(now)
    return seen


def soon() -> datetime:
    return datetime.now(UTC) - timedelta(seconds=2)
