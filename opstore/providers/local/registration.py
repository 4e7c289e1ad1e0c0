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


#: What it says, in both its languages, where it cannot make something.
_SAYS = {
    "needs a model": (r"(?:no|needs an) AI model|(?:pas de|demande un) modèle d.IA|know the operation type|le type d.opération"),
    "memory": r"not enough memory|mémoire ne suffit pas",
    "invalid input": (
        r"this needs \d+ image|il faut \d+ image|it is damaged or not|est illisible|million pixels|millions de pixels"
        r"|too small to be cropped|petite pour ce recadrage|(?:prompt|demande) (?:is empty|est vide|speaks of|parle de)"
        r"|parameter \w+ cannot|paramètre \w+ ne peut|is empty\. Choose|images were given|MB are accepted"
    ),
    "crash": r"could not make this|pas pu faire cela|could not make it",
}

REGISTRATION = Registration(name="local", title=said("Local engine"), open=_open, free=True, in_process=True, says=_SAYS)
