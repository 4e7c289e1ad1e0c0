"""What that provider registers of itself; its models stand in `models.toml` beside it."""

from __future__ import annotations

import re
from datetime import timedelta

from opstore.providers.registry import ModelNames, Registration
from tests import kiln

REGISTRATION = Registration(
    name="kiln",
    title="Kiln",
    open=lambda environment, table: kiln.KILN,
    model_names=ModelNames(re.compile(r"\Akiln-[0-9]{1,3}\Z"), "a name looks like kiln-1"),
    token="KILN_KEY",  # the name of a variable
    hosts=("*.kiln.example",),
    keeps=timedelta(minutes=10),
    standin="tests.kiln",
)
