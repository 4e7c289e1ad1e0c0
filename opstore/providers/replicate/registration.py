"""What Replicate has registered of itself: its token, its hosts, its habits, and how what it made elsewhere is imported."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from opstore.errors import said
from opstore.providers.registry import History, Registration
from opstore.providers.replicate.failures import SAYS

if TYPE_CHECKING:
    from opstore.providers import Asker, Provider
    from opstore.providers.models import ModelTable

TOKEN, BASE_URL = "REPLICATE_API_TOKEN", "REPLICATE_BASE_URL"


def _open(environment: Mapping[str, str], table: ModelTable) -> Provider:
    from opstore.providers.replicate import Replicate

    return Replicate(environment[TOKEN], environment.get(BASE_URL), table=table)


def _language_models() -> dict[str, str]:
    from opstore.providers.replicate.language_models import LANGUAGE_MODELS

    return {name: model.title for name, model in LANGUAGE_MODELS.items()}


def _asker(provider: Provider, model: str) -> Asker | None:
    from opstore.providers.replicate import Replicate, language_models

    known = language_models.LANGUAGE_MODELS.get(model)
    return language_models.Asker(provider, known) if known and isinstance(provider, Replicate) else None


REGISTRATION = Registration(
    name="replicate",
    title="Replicate",
    open=_open,
    token=TOKEN,
    hosts=("replicate.delivery", "*.replicate.delivery"),
    # It deletes outputs of API predictions one hour after they are made; what its web site made stays for 14 days.
    keeps=timedelta(hours=1),
    says=SAYS,
    standin="tests.replicate_standin",
    history=History(
        days=14,
        told=said(
            "What was made with your Replicate account elsewhere: its web site keeps results for 14 days, its API for an hour."
        ),
        gone=said("Replicate had removed the result before it was imported; it keeps those of its API for an hour."),
    ),
    language_models=_language_models,
    asker=_asker,
)
