"""The local engine: every operation type made in this process with Pillow, numpy and PyAV, without any AI model.

Same request, same bytes. What goes wrong is a failed prediction with a sentence for the person, never a library's exception.
This module loads nothing at all before it is asked: whoever only lists what there is imports it too.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from datetime import UTC, datetime

from opstore import clocks
from opstore.errors import ProviderError, ProviderRefused, Said, said
from opstore.providers import Prediction, Report, Search, StepRequest

__all__ = ["LocalEngine", "capabilities", "understood", "unheard"]


def capabilities(operation_type: str | None = None) -> list[Said]:
    """Return what the local engine can do, in words, for one operation type or for all."""
    from opstore.providers.local.abilities import abilities

    return abilities(operation_type)


def understood(prompt: str) -> list[Said]:
    """Return in words, in the prompt's order, the edits that `prompt` asks for; empty where it names none."""
    from opstore.providers.local.abilities import describe
    from opstore.providers.local.prompt_edits import parse

    return [describe(edit) for edit in parse(prompt)]


def unheard(prompt: str) -> list[str]:
    """Return the words of a prompt that ask for things nobody here can paint; what a picture is composed of are the others."""
    from opstore.providers.local import scene_words

    return scene_words.unheard(prompt)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class LocalEngine:
    """The provider that computes at once: a prediction is ended when `create` returns, and has no id."""

    name = "local"
    title = "Local engine: classical image processing, no AI model"
    settle_seconds = 0.0

    def create(self, request: StepRequest, report: Report) -> Prediction:
        """Make what is asked; `report` hears of every edit and frame, and may raise `Canceled`, which goes through."""
        created, start = _now(), time.perf_counter()
        outputs, refused, log = _attempt(request, report)
        return Prediction(
            status="failed" if refused else "succeeded",
            outputs=outputs,
            error=refused.sentence if refused else None,
            error_kind=refused.failure if refused else None,
            progress=None if refused else 1.0,
            logs=log,
            predict_seconds=round(time.perf_counter() - start, 3),
            created_at=created,
            started_at=created,
            completed_at=_now(),
        )

    def status(self, prediction_id: str) -> Prediction:
        """Refuse: a local step has no life after `create`."""
        raise ProviderRefused(
            reason=said("A step of the local engine has ended when it is created; there is nothing to ask for.")
        )

    def cancel(self, prediction_id: str) -> Prediction:
        """Refuse: a local step is stopped by its report, not by an id."""
        raise ProviderRefused(reason=said("A step of the local engine has ended when it is created; there is nothing to cancel."))

    def id_for(self, request: StepRequest) -> str | None:
        """Return None: a local step has no id."""
        return None

    def now(self) -> datetime:
        """Return the time by this machine's clock."""
        return clocks.now()

    def find(self, request: StepRequest, since: datetime, exclude: Collection[str] = (), ago: float | None = None) -> Search:
        """Say that nothing is there, for certain: what this process was computing died with it and costs nothing to repeat."""
        return Search(None, complete=True)

    def close(self) -> None:
        """Do nothing: nothing is held between two steps."""

    def poll_delay(self, seconds: float) -> float:
        """Return any delay: there is never anything to wait for."""
        return 1.0


def _attempt(request: StepRequest, report: Report) -> tuple[tuple[bytes, ...], ProviderRefused | None, str]:
    """Return outputs, why there are none, and log; only `ProviderError`s other than a refusal (`Canceled`) go through."""
    from opstore.providers.local.steps import make  # Pillow, numpy and PyAV: half a second that listing must not pay.

    try:
        result = make(request, report)
    except ProviderRefused as refused:
        return (), refused, ""
    except (ProviderError, KeyboardInterrupt):
        raise
    except MemoryError:
        return (
            (),
            _refused(said("There is not enough memory to make this. Ask for a smaller size or a shorter video."), "memory"),
            "",
        )
    except (ArithmeticError, LookupError, OSError, RuntimeError, TypeError, ValueError) as error:
        # What Pillow, numpy and PyAV raise on data that they cannot handle.
        quoted = f"{type(error).__name__}: {error}"[:200]
        reason = said("The local engine could not make this ({quoted}). Try a smaller picture or another format.", quoted=quoted)
        return (), _refused(reason, "crash"), ""
    return (result.data,), None, result.log


def _refused(reason: Said, kind: str) -> ProviderRefused:
    from opstore.providers.local.phrases import refusal

    return refusal(reason, kind)
