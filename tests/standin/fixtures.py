"""The stand-in of Replicate, and the provider that talks to it through the unmodified client, for one test each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from opstore.providers.replicate import Replicate
from tests.replicate_standin import StandIn
from tests.standin.client import CANARY, QUICK, TABLE


@pytest.fixture
def standin() -> Iterator[StandIn]:
    with StandIn(token=CANARY, start=0.05, run=0.05) as running:
        yield running


@pytest.fixture
def replicate(standin: StandIn) -> Iterator[Replicate]:
    provider = Replicate(standin.token, standin.url, table=TABLE, timeouts=QUICK)
    yield provider
    provider.close()
