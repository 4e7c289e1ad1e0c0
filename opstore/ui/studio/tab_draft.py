"""The draft of this tab: what was begun comes back after a reload, another page or a restart, however soon one leaves.

It goes once it was asked for, or once the form was emptied while somebody looked at it; never because it was drawn empty.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from opstore.errors import OpstoreError
from opstore.generation import MAX_VARIANTS, Remix, SmartRequest
from opstore.service import Service
from opstore.smart.analysis import StepPrompts
from opstore.storage.drafts import Draft
from opstore.storage.names import parse_name
from opstore.storage.operation import OPERATION_TYPES
from opstore.storage.store import MAX_INPUTS
from opstore.ui import controls
from opstore.ui.components import tab
from opstore.ui.components.draft import draft, kept_name
from opstore.ui.studio import input_pictures, settings, variations, workflow_choice
from opstore.ui.studio.last_request import last_request
from opstore.ui.studio.workflow_choice import Decision

_TAB = "tab"


@dataclass(slots=True)
class _Known:
    """The tab; marks of the draft that is kept and of the last one that was asked for; the request that was it.

    `heard`: the turn of what the tab told last; `finished`, `written`: the prompt as the page was told, and as it stood in the
    browser; `last`: as it was left for another page; `begun`: something has stood in the form since the page was opened.
    """

    tab: str | None = None
    kept: str = ""
    done: str = ""
    asked: str = ""
    heard: object = None
    finished: str = ""
    written: str = ""
    last: str = ""
    begun: bool = False


def _known() -> _Known:
    found: _Known = st.session_state.setdefault("drafting", _Known())
    return found


def take_up(service: Service) -> None:
    """Fill the form with the tab's draft, once the browser has told which tab this is and while nothing stands in the form."""
    tab.ask(kept_name(service.person, "prompt"), key=_TAB)
    known, this_tab = _known(), tab.known(key=_TAB)
    if this_tab is None:
        return
    files, prompt = input_pictures.gathered(), _prompt()
    fresh = known.tab != this_tab.secret and not (prompt or files.kept or files.held or files.picked)
    known.tab = this_tab.secret
    if fresh:
        owner = _owner(service)
        found = service.drafts.load(this_tab.secret, owner) or (
            service.drafts.load(this_tab.copied, owner) if this_tab.copied else None
        )
        if found is not None:
            _fill_in(service, found)
    if known.heard != this_tab.turn:
        known.heard = this_tab.turn
        # The last words, which only the browser has; not over a prompt that came from elsewhere since.
        if this_tab.left and (fresh or prompt in (this_tab.left[0], known.last)):
            known.begun = True
            controls.offer("prompt", this_tab.left[1])


def written(service: Service, finished: str) -> str:
    """Return what stands in the prompt, of which `finished` is what the page has been told."""
    taken = tab.known(key=_TAB) is not None
    return draft(finished, of=controls.key_of("prompt"), key="draft", kept=kept_name(service.person, "prompt"), taken=taken)


def leave() -> None:
    """Let the prompt be what stood in the browser: another page is shown, and nobody else tells it to this one."""
    known = _known()
    known.begun = False
    if known.written != known.finished and _prompt() == known.finished:
        controls.set_to("prompt", known.written)
    known.finished = known.last = known.written


def _prompt() -> str:
    return _text(st.session_state.get(controls.key_of("prompt")))


def _owner(service: Service) -> str:
    return service.person.identity or service.person.name


def _fill_in(service: Service, draft: Draft) -> None:
    """Set the widgets as the draft has them; whatever in it is not what this page writes is passed over."""
    form, state, files = draft.form, st.session_state, input_pictures.gathered()
    names = form.get("picked")
    picked = [name for name in (names if isinstance(names, list) else ()) if parse_name(name)]
    files.kept[:] = draft.pictures
    files.picked[:] = [name for name in picked if service.store.operations.has(name)][:MAX_INPUTS]
    prompt = _text(form.get("prompt"))
    controls.offer("prompt", prompt)
    workflow = form.get("workflow")
    if not isinstance(workflow, str) or workflow not in OPERATION_TYPES:
        return
    steps = form.get("steps")
    if isinstance(steps, Mapping):
        workflow_choice.word_steps(StepPrompts(_text(steps.get("edit")), _text(steps.get("video"))))
    if form.get("chosen"):
        state["override"] = workflow
    if isinstance(form.get("variants"), int) and 1 <= form["variants"] <= MAX_VARIANTS:
        controls.set_to("variants", form["variants"])
    models, parameters = (form[key] if isinstance(form.get(key), dict) else {} for key in ("models", "parameters"))
    images = ("",) * len([*files.kept, *files.picked])
    offered = settings.fill_in(service, workflow, Remix("", prompt, workflow, images, models, parameters, None, ()))
    variations.fill_in(service, workflow, len(images), offered, form.get("axes"))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def keep(service: Service, wanted: SmartRequest, decision: Decision) -> None:
    """Keep what stands in the form now; forget the draft if that was just asked for, or was taken out of the form."""
    known, files = _known(), input_pictures.gathered()
    known.finished, known.written = _prompt(), decision.written
    if known.tab is None:
        return
    form: dict[str, Any] = {
        "prompt": decision.written,
        "workflow": wanted.workflow,
        "chosen": "override" in st.session_state,
        "models": dict(wanted.models),
        "parameters": dict(wanted.parameters),
        "variants": wanted.variants,
        "axes": [{"name": axis.name, "values": list(axis.values)} for axis in wanted.axes],
        "steps": _steps(wanted.steps),
        "picked": list(files.picked),
    }
    pictures = [*files.held, *files.kept]
    mark = _mark(form, pictures)
    if known.asked != (handed := last_request().handed[0]):
        known.asked, known.done = handed, mark
    owner, empty = _owner(service), not (form["prompt"].strip() or pictures or files.picked)
    with contextlib.suppress(OpstoreError):  # a full disk: the form itself is still there
        if mark == known.done or (empty and known.begun):
            service.drafts.remove(known.tab, owner)
        elif mark != known.kept and not empty:
            service.drafts.save(known.tab, owner, form, pictures)
    known.kept, known.begun = mark, not empty


def _steps(steps: StepPrompts | None) -> dict[str, str] | None:
    return {"edit": steps.edit, "video": steps.video} if steps else None


def _mark(form: Mapping[str, Any], pictures: Sequence[bytes]) -> str:
    found = hashlib.sha256(json.dumps(form, sort_keys=True, default=str).encode("utf-8", "replace"))
    for data in pictures:
        found.update(hashlib.sha256(data).digest())
    return found.hexdigest()
