"""Which workflow: what the analysis proposes and why, as one types, and what the person chooses instead with one click.

`override` in the session is the person's choice; it holds until the next request, or until the images rule it out.
"""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from opstore import workflows
from opstore.generation import Generation
from opstore.smart import rules
from opstore.smart.analysis import StepPrompts, WorkflowAnalysis
from opstore.ui import parts, words
from opstore.ui.components.draft import draft
from opstore.ui.markup import Markup, show
from opstore.ui.studio import questions
from opstore.ui.studio.asked import asked
from opstore.ui.studio.giving import Given
from opstore.ui.words import _


@dataclass(frozen=True, slots=True)
class Decision:
    """The workflow that counts, the analysis behind it, and what each step of a chain is told; no analysis: too many images."""

    workflow: str
    analysis: WorkflowAnalysis | None
    steps: StepPrompts | None = None


def decide(generation: Generation, text: str, given: list[Given]) -> Decision:
    """Show the proposal with its reason, and let the person choose among the workflows that fit the pictures given."""
    written = draft(text, of="prompt", key="draft")
    fitting = list(workflows.fitting(len(given)))
    if not fitting:
        parts.note(_("That is more images than any workflow takes. Remove some."), bad=True)
        return Decision("image_edit_multiple", None)
    analysis = questions.analysis(generation, written, given)
    chosen = _chosen(fitting, analysis.workflow, text)
    key = f"type-{len(given)}"
    st.session_state[key] = chosen or analysis.workflow
    st.session_state["proposed"] = analysis.workflow
    workflow = st.segmented_control(
        _("Workflow"),
        fitting,
        required=True,
        format_func=words.type_name,
        key=key,
        on_change=_choose,
        args=(key,),
        help=_("Proposed from your words and the number of images; one click changes it."),
    )
    workflow = workflow or analysis.workflow
    analysis = analysis.overridden(workflow)
    _reason(analysis, bool(written.strip() or given))
    questions.offer_analysis(generation, written, given)
    return Decision(
        workflow, analysis, _step_prompts(analysis.steps or rules.steps(written)) if workflow == "edit_then_video" else None
    )


def _chosen(fitting: list[str], proposed: str, text: str) -> str | None:
    """Return what the person chose instead of the proposal, if that still holds."""
    state = st.session_state
    if wanted := state.pop("wanted-type", None):
        state["override"] = wanted
        asked().prompt = None
    if asked().prompt not in (None, text.strip()):  # a new wish after a request: the old choice was not made for it
        asked().prompt = None
        for key in ("override", "edit-prompt", "video-prompt"):
            state.pop(key, None)
    if state.get("override") not in fitting or state["override"] == proposed:
        state.pop("override", None)
    chosen: str | None = state.get("override")
    return chosen


def _choose(key: str) -> None:
    state = st.session_state
    asked().prompt = None
    if state[key] == state.get("proposed"):
        state.pop("override", None)
    else:
        state["override"] = state[key]


def _reason(analysis: WorkflowAnalysis, begun: bool) -> None:
    """Say why, in one line that is always there: nothing moves while somebody types."""
    line = Markup('<p class="ops-reason">{} <span lang="{}">{}</span></p>')
    share = f"{words.number(analysis.confidence * 100)} %"
    if not begun:
        show(Markup('<p class="ops-reason">{}</p>').format(_("Proposed from your words and your images.")))
    elif analysis.overridden_to:
        name = words.type_name(analysis.workflow)
        told = _("Your choice. Proposed was “{name}” ({share}):").format(name=name, share=share)
        show(line.format(told, analysis.language, analysis.reasoning))
    else:
        show(line.format(_("Proposed ({share}):").format(share=share), analysis.language, analysis.reasoning))
    if analysis.fallback:
        parts.note(words.stored(analysis.fallback))


def _step_prompts(proposed: StepPrompts) -> StepPrompts:
    """Let the person word both steps of a chain; what they have not touched follows the proposal."""
    state = st.session_state
    for key, words_now, before in (
        ("edit-prompt", proposed.edit, state.get("steps-before", StepPrompts("", "")).edit),
        ("video-prompt", proposed.video, state.get("steps-before", StepPrompts("", "")).video),
    ):
        if key not in state or state[key] == before or not state[key].strip():
            state[key] = words_now
    state["steps-before"] = proposed
    left, right = st.columns(2)
    edit = left.text_area(_("1 · The picture"), key="edit-prompt", height=80, persist_state="session")
    video = right.text_area(_("2 · Its motion"), key="video-prompt", height=80, persist_state="session")
    return StepPrompts(edit or "", video or "")
