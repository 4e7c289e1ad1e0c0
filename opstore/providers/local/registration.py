"""What the local engine has registered of itself: nothing to set, nothing to pay, everything computed in this process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from opstore.errors import said
from opstore.providers.registry import Registration

if TYPE_CHECKING:
    from opstore.providers import Provider
    from opstore.providers.models import ModelTable


def _open(environment: Mapping[str, str], table: ModelTable) -> Provider:
    from opstore.providers.local import LocalEngine

    return LocalEngine()


REGISTRATION = Registration(name="local", title=said("Local engine"), open=_open, free=True, in_process=True)
