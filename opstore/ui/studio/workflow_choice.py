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
from opstore.ui.components.oneof import one_of
from opstore.ui.markup import Markup, show
from opstore.ui.studio import questions
from opstore.ui.studio.input_pictures import Given
from opstore.ui.studio.last_request import last_request
from opstore.ui.studio.proposed_text import proposed_text, wording
from opstore.ui.words import _


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided of the words `written`: the workflow, the analysis behind it, and what each step of a chain is told.

    Without analysis there are too many images.
    """

    written: str
    workflow: str
    analysis: WorkflowAnalysis | None
    steps: StepPrompts | None = None


def decide(generation: Generation, text: str, written: str, pictures: list[Given]) -> Decision:
    """Show the proposal for what is `written` with its reason, and let the person choose among what fits the pictures given."""
    fitting = list(workflows.fitting(len(pictures)))
    if not fitting:
        parts.note(_("That is more images than any operation type takes. Remove some."), bad=True)
        return Decision(written, "image_edit_multiple", None)
    analysis = questions.analysis(generation, written, pictures)
    workflow = _chosen(fitting, analysis.workflow, text) or analysis.workflow
    last_request().proposed = analysis.workflow
    one_of(
        _("Operation type"),
        {name: words.type_name(name) for name in fitting},
        workflow,
        key="workflow",
        on_choice=choose,
        note=_("Suggested from your prompt and the number of images; one click changes it."),
    )
    analysis = analysis.overridden(workflow)
    _reason(analysis, bool(written.strip() or pictures))
    questions.offer_analysis(generation, written, pictures)
    steps = _step_prompts(analysis.steps or rules.steps(written)) if workflow == "edit_then_video" else None
    return Decision(written, workflow, analysis, steps)


def _chosen(fitting: list[str], proposed: str, text: str) -> str | None:
    """Return what the person chose instead of the proposal, if that still holds."""
    state = st.session_state
    if wanted := state.pop("wanted-type", None):
        state["override"] = wanted
        last_request().prompt = None
        if wanted == proposed:
            state.pop("override", None)
    if last_request().prompt not in (None, text.strip()):  # a new wish after a request: the old choice was not made for it
        last_request().prompt = None
        state.pop("override", None)
    if last_request().worded not in (None, text.strip()):  # also where another type was chosen since
        word_steps(None)
    if state.get("override") not in fitting:
        state.pop("override", None)
    chosen: str | None = state.get("override")
    return chosen


def choose(workflow: str) -> None:
    """Take what a person has just chosen: that they did is an event, never read from what a control shows.

    Who chooses what is proposed leaves the choice to the words again; any other choice stays, also while the words agree with it.
    """
    known = last_request()
    known.prompt, known.shown = None, workflow
    if workflow == known.proposed:
        st.session_state.pop("override", None)
    else:
        st.session_state["override"] = workflow


def word_steps(steps: StepPrompts | None) -> None:
    """Let both steps of a chain be worded like this, as if somebody had written it; None: as is proposed."""
    last_request().worded = None
    for name, text in (("edit-prompt", steps and steps.edit), ("video-prompt", steps and steps.video)):
        wording(name).own = text or None


def _reason(analysis: WorkflowAnalysis, begun: bool) -> None:
    """Say why, in one line that is always there: nothing moves while somebody types."""
    line = Markup('<p class="ops-reason">{} <span lang="{}">{}</span></p>')
    share = words.spoken().share(analysis.confidence)
    if not begun:
        show(Markup('<p class="ops-reason">{}</p>').format(_("Suggested from your prompt and your images.")))
    elif analysis.overridden_to:
        name = words.type_name(analysis.workflow)
        told = _("You chose this. Suggested: “{name}” ({share}):").format(name=name, share=share)
        show(line.format(told, analysis.language, analysis.reasoning))
    else:
        show(line.format(_("Suggested ({share}):").format(share=share), analysis.language, analysis.reasoning))
    if analysis.fallback:
        parts.note(words.stored(analysis.fallback))


def _step_prompts(proposed: StepPrompts) -> StepPrompts:
    """Let the person word both steps of a chain; what they have not touched follows the proposal."""
    left, right = st.columns(2)
    with left:
        edit = proposed_text(_("1 · The picture"), proposed.edit, name="edit-prompt", height=80)
    with right:
        video = proposed_text(_("2 · Its motion"), proposed.video, name="video-prompt", height=80)
    return StepPrompts(edit, video)
