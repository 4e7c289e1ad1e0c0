"""The draft of this tab: what was begun comes back after a reload, another page or a restart, and goes once it was asked for."""

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
from opstore.ui.studio import deciding, giving, settings
from opstore.ui.studio.asked import asked
from opstore.ui.studio.deciding import Decision

_TAB = "tab"


@dataclass(slots=True)
class _Known:
    """The tab; marks of the draft that is kept and of the last one that was asked for; the request that was it."""

    tab: str | None = None
    kept: str = ""
    done: str = ""
    asked: str = ""


def _known() -> _Known:
    found: _Known = st.session_state.setdefault("drafting", _Known())
    return found


def take_up(service: Service) -> None:
    """Fill the form with the tab's draft, once the browser has told which tab this is and while nothing stands in the form."""
    tab.ask(key=_TAB)
    known, identity = _known(), tab.known(key=_TAB)
    if identity is None or known.tab == identity.secret:
        return
    known.tab = identity.secret
    files = giving.gathered()
    if st.session_state.get(controls.key_of("prompt")) or files.kept or files.held or files.picked:
        return
    owner = _owner(service)
    found = service.drafts.load(identity.secret, owner) or (
        service.drafts.load(identity.copied, owner) if identity.copied else None
    )
    if found is not None:
        _fill_in(service, found)


def _owner(service: Service) -> str:
    return service.person.identity or service.person.name


def _fill_in(service: Service, draft: Draft) -> None:
    """Set the widgets as the draft has them; whatever in it is not what this page writes is passed over."""
    form, state, files = draft.form, st.session_state, giving.gathered()
    names = form.get("picked")
    picked = [name for name in (names if isinstance(names, list) else ()) if parse_name(name)]
    files.kept[:] = draft.pictures
    files.picked[:] = [name for name in picked if service.store.operations.has(name)][:MAX_INPUTS]
    prompt = _text(form.get("prompt"))
    controls.set_to("prompt", prompt)
    workflow = form.get("workflow")
    if not isinstance(workflow, str) or workflow not in OPERATION_TYPES:
        return
    steps = form.get("steps")
    if isinstance(steps, Mapping):
        deciding.word_steps(StepPrompts(_text(steps.get("edit")), _text(steps.get("video"))))
    if form.get("chosen"):
        state["override"] = workflow
    if isinstance(form.get("variants"), int) and 1 <= form["variants"] <= MAX_VARIANTS:
        controls.set_to("variants", form["variants"])
    models, parameters = (form[key] if isinstance(form.get(key), dict) else {} for key in ("models", "parameters"))
    settings.fill_in(
        service,
        workflow,
        Remix("", prompt, workflow, ("",) * len([*files.kept, *files.picked]), models, parameters, None, ()),
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def keep(service: Service, wanted: SmartRequest, decision: Decision) -> None:
    """Keep what stands in the form now, or forget the draft if nothing does, or what does was just asked for."""
    known, files = _known(), giving.gathered()
    if known.tab is None:
        return
    form: dict[str, Any] = {
        "prompt": decision.written,
        "workflow": wanted.workflow,
        "chosen": "override" in st.session_state,
        "models": dict(wanted.models),
        "parameters": dict(wanted.parameters),
        "variants": wanted.variants,
        "steps": _steps(wanted.steps),
        "picked": list(files.picked),
    }
    pictures = [*files.held, *files.kept]
    mark = _mark(form, pictures)
    if known.asked != (handed := asked().handed[0]):
        known.asked, known.done = handed, mark
    owner, empty = _owner(service), not (form["prompt"].strip() or pictures or files.picked)
    with contextlib.suppress(OpstoreError):  # a full disk: the form itself is still there
        if mark == known.done or empty:
            service.drafts.remove(known.tab, owner)
        elif mark != known.kept:
            service.drafts.save(known.tab, owner, form, pictures)
    known.kept = mark


def _steps(steps: StepPrompts | None) -> dict[str, str] | None:
    return {"edit": steps.edit, "video": steps.video} if steps else None


def _mark(form: Mapping[str, Any], pictures: Sequence[bytes]) -> str:
    found = hashlib.sha256(json.dumps(form, sort_keys=True, default=str).encode("utf-8", "replace"))
    for data in pictures:
        found.update(hashlib.sha256(data).digest())
    return found.hexdigest()
