"""The request: what it will cost and whether it can run, before it is asked for; one click is one request.

What the form itself can tell beforehand is told and not stored; whatever fails after the click is an operation with its error.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import streamlit as st

from opstore.errors import OpstoreError
from opstore.generation import Axis, Generation, Outcome, SmartRequest
from opstore.providers.models import Cost
from opstore.service import Service
from opstore.spending.budget import rounded_up
from opstore.ui import parts, presses, words
from opstore.ui.studio import input_pictures
from opstore.ui.studio.input_pictures import Given
from opstore.ui.studio.last_request import last_request
from opstore.ui.studio.workflow_choice import Decision
from opstore.ui.words import _, ngettext

#: Both halves of a double click come within this time; a sentence takes longer to be read.
BREATH_SECONDS = 0.7


def price(generation: Generation, wanted: SmartRequest) -> list[list[Cost | None]] | None:
    """Show what the request will probably cost, or what is missing for it to run; before there is a prompt too: nothing jumps.

    Return the costs of each operation's steps, None where the request could not be run.
    """
    try:
        costs = generation.estimate(wanted if wanted.prompt else _with_prompt(wanted))
        generation.service.afford([cost for operation in costs for cost in operation])
    except OpstoreError as error:
        parts.show_error(error)
        return None
    st.caption(" · ".join(_told(generation.service, costs)))
    return costs


def _with_prompt(wanted: SmartRequest) -> SmartRequest:
    return replace(wanted, prompt="…", steps=None)


def _told(service: Service, costs: Sequence[Sequence[Cost | None]]) -> list[str]:
    steps = [cost for operation in costs for cost in operation]
    phrases = [ngettext("{count} variant", "{count} variants", len(costs))] if len(costs) > 1 else []
    if any(cost is None or cost.amount is None for cost in steps):
        return [*phrases, _("Price unknown: the list has no price for this model.")]
    known = [cost for cost in steps if cost]
    total = _sums(known)
    if not total:
        return [*phrases, _("Free: made on this machine.")]
    if len(costs) == 1 and len(steps) == 2:
        first, second = (words.money(cost.amount or 0.0, cost.currency) for cost in known)
        phrases.append(_("picture {first} + motion {second}").format(first=first, second=second))
    return [*phrases, words.spoken().about(total), *_budget(service)]


def _sums(costs: Sequence[Cost]) -> str:
    """Return the sum of costs in words, of each currency its own; nothing where all are free."""
    currencies = dict.fromkeys(cost.currency for cost in costs if cost.amount)
    sums = (sum(cost.amount or 0.0 for cost in costs if cost.currency == currency) for currency in currencies)
    return " + ".join(words.money(amount, currency) for amount, currency in zip(sums, currencies, strict=True))


def _budget(service: Service) -> list[str]:
    limits = service.preferences()
    if limits.daily_budget is None and limits.monthly_budget is None:
        return []
    spent = service.spending()
    phrases = []
    if limits.daily_budget is not None:
        used, limit = words.money(rounded_up(spent.today + spent.bound)), words.money(limits.daily_budget)
        phrases.append(_("today {used} of {limit}").format(used=used, limit=limit))
    if limits.monthly_budget is not None:
        used, limit = words.money(rounded_up(spent.month + spent.bound)), words.money(limits.monthly_budget)
        phrases.append(_("this month {used} of {limit}").format(used=used, limit=limit))
    return phrases


def bar(generation: Generation, wanted: SmartRequest, pictures: Sequence[Given], decision: Decision) -> None:
    """Show what the request costs, why it was not handed over where it was not, and the one button, always last."""
    costs = price(generation, wanted)
    refusal = st.container(key="refusal")
    moment = presses.noted().get("generate", (None, time.monotonic()))[1]  # when it came, not when this run got here
    pressed = parts.button(_("Generate"), key="generate", type="primary", width="stretch", shortcut="Ctrl+Enter")
    if pressed:
        _hand_over(generation, wanted, pictures, decision, costs, moment)
    known = last_request()
    known.shown, known.free = decision.workflow, costs is not None and not _is_paid(costs)
    if known.refusal[0] == _mark(wanted, costs):
        with refusal:
            parts.note(known.refusal[1], bad=known.handed[0] != known.refusal[0])


def drawn() -> None:
    """Count from here how long ago something was handed over or refused: until here nobody has seen it, nor could press again."""
    known, now = last_request(), time.monotonic()
    if known.fresh:
        known.fresh = False
        known.handed, known.refusal = (known.handed[0], now), (*known.refusal[:2], now)


def _mark(wanted: SmartRequest, costs: object) -> str:
    """Return what tells this request, and whether it can be handed over at all, from others."""
    pictures = [hashlib.sha256(image).hexdigest() for image in wanted.images]
    asked_for = replace(wanted, images=(), analysis=None)
    return hashlib.sha256(
        repr((pictures, asked_for, costs is None, input_pictures.refused())).encode("utf-8", "replace")
    ).hexdigest()


def _hand_over(
    generation: Generation, wanted: SmartRequest, pictures: Sequence[Given], decision: Decision, costs: object, now: float
) -> None:
    """Hand over what was asked for at the moment `now`, or remember why not; a double click is one press."""
    known, mark = last_request(), _mark(wanted, costs)
    refused, handed = known.refusal, known.handed
    if refused[0] == mark and now - refused[2] < BREATH_SECONDS:
        return  # the second half of a double click: why not stands there already
    known.fresh = True
    if handed[0] == mark and refused[0] != mark and now - handed[1] < presses.DOUBLE_CLICK_SECONDS:
        known.refusal = (mark, _("This was requested a moment ago. Press once more for another one."), now)
        return
    known.refusal = ("", "", 0.0)
    if why := _why_not(wanted, pictures, decision, costs):
        known.refusal = (mark, why, now)
        return
    try:
        outcome = generation.execute(wanted)
    except OpstoreError as error:
        known.refusal = (mark, words.told(error), now)
        return
    known.prompt = known.worded = wanted.prompt
    known.sheet = outcome.batch_id
    if outcome.error:
        known.refusal = (mark, _what_failed(outcome, outcome.error), now)
    else:
        known.handed = (mark, now)


def _what_failed(outcome: Outcome, error: OpstoreError) -> str:
    """Return why a request was not done, or which part of it was: whoever takes that for nothing pays for it once more."""
    reason = words.told(error)
    if outcome.batch_id is None:
        return reason
    some = ngettext(
        "{count} operation is under way, the others were not requested",
        "{count} operations are under way, the others were not requested",
        len(outcome.ids),
    )
    return words.labelled(some, reason)


def _why_not(wanted: SmartRequest, pictures: Sequence[Given], decision: Decision, costs: object) -> str:
    """Return why a request is not handed over, nothing where it is."""
    if not wanted.prompt:
        return _("Write a prompt first: describe in a few words what you want to see.")
    if decision.analysis is None:
        return _("That is more images than any operation type takes. Remove some.")
    if input_pictures.refused() or not all(item.sound for item in pictures):
        return _("One of the images cannot be used. Remove it first.")
    if input_pictures.forget_lost():
        return _("A picture that you picked is no longer in the library. Press Generate again to go on without it.")
    if costs is None:
        return _("This request cannot run as it stands. The reason is given above.")
    return _news(decision.workflow) if _is_paid(costs) else ""


def _news(workflow: str) -> str:
    """Return what the page has not shown yet of what costs money and nobody chose: its workflow, or that it costs something."""
    known = last_request()
    if known.shown not in (None, workflow):
        name = words.type_name(workflow)
        return _("Your prompt now asks for “{name}”, which is paid. Press Generate again to confirm.").format(name=name)
    # Somebody else has changed the provider, say.
    return _("This was free when it was shown, and is paid now. Press Generate again to confirm.") if known.free else ""


def _is_paid(costs: object) -> bool:
    return isinstance(costs, list) and any(cost is None or cost.amount is None or cost.amount for row in costs for cost in row)


def request(
    text: str,
    pictures: Sequence[Given],
    decision: Decision,
    models: dict[str, str],
    parameters: dict[str, object],
    variants: int,
    axes: Sequence[Axis],
    wording: tuple[str | None, bool, Mapping[str, Any] | None] = (None, False, None),
) -> SmartRequest:
    """Return what the page would ask for now."""
    better, used, cost = wording
    analysis = decision.analysis.paid(cost) if decision.analysis else None
    return SmartRequest(
        prompt=text.strip(),
        images=tuple(item.data for item in pictures),
        workflow=decision.workflow,
        analysis=analysis,
        parameters=parameters,
        models=models,
        parents=tuple(dict.fromkeys(parent for item in pictures for parent in item.parents)),
        steps=decision.steps,
        optimized=better,
        use_optimized=used,
        variants=variants,
        axes=tuple(axes),
    )
