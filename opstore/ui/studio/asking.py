"""The request: what it will cost and whether it can run, before it is asked for; one click is one request.

What the form itself can tell beforehand is told and not stored; whatever fails after the click is an operation with its error.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import streamlit as st

from opstore.budget import rounded_up
from opstore.errors import OpstoreError
from opstore.generation import Axis, Generation, SmartRequest
from opstore.providers.models import Cost
from opstore.service import Service
from opstore.ui import parts, words
from opstore.ui.studio import giving
from opstore.ui.studio.asked import asked
from opstore.ui.studio.deciding import Decision
from opstore.ui.studio.giving import Given
from opstore.ui.words import _, ngettext

#: A second click within this time on the same request is a double click, not a second wish: each could be paid.
DOUBLE_CLICK_SECONDS = 2.0


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
    told = [ngettext("{count} variant", "{count} variants", len(costs))] if len(costs) > 1 else []
    if any(cost is None or cost.amount is None for cost in steps):
        return [*told, _("Price unknown: the list has no price for this model.")]
    total = sum(cost.amount or 0.0 for cost in steps if cost)
    if not total:
        return [*told, _("Free: made on this machine.")]
    if len(costs) == 1 and len(steps) == 2:
        first, second = (words.money((cost.amount if cost else None) or 0.0) for cost in steps)
        told.append(_("picture {first} + motion {second}").format(first=first, second=second))
    return [*told, _("about {amount} (estimate)").format(amount=words.money(total)), *_budget(service)]


def _budget(service: Service) -> list[str]:
    limits = service.preferences()
    if limits.daily_budget is None and limits.monthly_budget is None:
        return []
    spent = service.spending()
    told = []
    if limits.daily_budget is not None:
        used, limit = words.money(rounded_up(spent.today + spent.bound)), words.money(limits.daily_budget)
        told.append(_("today {used} of {limit}").format(used=used, limit=limit))
    if limits.monthly_budget is not None:
        used, limit = words.money(rounded_up(spent.month + spent.bound)), words.money(limits.monthly_budget)
        told.append(_("this month {used} of {limit}").format(used=used, limit=limit))
    return told


def generate(generation: Generation, wanted: SmartRequest, given: Sequence[Given], decision: Decision, costs: object) -> None:
    """Hand the request over; a double click is one request."""
    mark = (hash((wanted.workflow, wanted.prompt, wanted.images, repr(wanted.parameters), wanted.variants)), time.monotonic())
    last = st.session_state.get("last-request")
    if last and last[0] == mark[0] and mark[1] - last[1] < DOUBLE_CLICK_SECONDS:
        return
    st.session_state["last-request"] = mark
    if not wanted.prompt:
        parts.note(_("Write a prompt first: say in a few words what you want to see."), bad=True)
        return
    if giving.refused() or costs is None or decision.analysis is None or not all(item.sound for item in given):
        return  # said above, where it is wrong
    if _is_news(decision, costs):
        parts.note(
            _("Your words now ask for “{name}”, which costs something. Press Generate again if that is what you want.").format(
                name=words.type_name(decision.workflow)
            )
        )
        return
    known = asked()
    outcome = generation.execute(wanted)
    known.prompt, known.sheet = wanted.prompt, outcome.batch_id
    if outcome.error:
        parts.show_error(outcome.error)


def _is_news(decision: Decision, costs: object) -> bool:
    """Say whether money would be spent on a workflow that was not yet on the screen: typed and sent within one breath."""
    shown, st.session_state["shown-workflow"] = st.session_state.get("shown-workflow"), decision.workflow
    paid = isinstance(costs, list) and any(cost is None or cost.amount is None or cost.amount for row in costs for cost in row)
    return paid and shown is not None and shown != decision.workflow


def seen(decision: Decision) -> None:
    """Remember what is on the screen now; called when the page has been drawn."""
    st.session_state["shown-workflow"] = decision.workflow


def request(
    text: str,
    given: Sequence[Given],
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
        images=tuple(item.data for item in given),
        workflow=decision.workflow,
        analysis=analysis,
        parameters=parameters,
        models=models,
        parents=tuple(dict.fromkeys(parent for item in given for parent in item.parents)),
        steps=decision.steps,
        optimized=better,
        use_optimized=used,
        variants=variants,
        axes=tuple(axes),
    )
