"""Create: say what is wanted, give pictures, choose what is left to choose; the work itself runs outside this page."""

import streamlit as st

from opstore.ui import controls
from opstore.ui.components import bring
from opstore.ui.opened_app import opened
from opstore.ui.studio import (
    input_pictures,
    local_engine,
    questions,
    request_form,
    results,
    reuse,
    settings,
    tab_draft,
    variations,
    workflow_choice,
)
from opstore.ui.words import _

app = opened()
service, generation = app.service, app.generation
form, made = st.columns([5, 4], gap="large")

reuse.fill_in(service)
tab_draft.take_up(service)
with form:
    text = st.text_area(
        _("What do you want to make?"),
        key=controls.key_of("prompt"),
        height=120,
        placeholder=_("The sea at sunset, calm mood"),
        persist_state="session",
    )
    bring.into_view(controls.key_of("prompt"), key="bring")
    given = input_pictures.images(service)
    decision = workflow_choice.decide(generation, text, tab_draft.written(service, text), given)
    if service.provider() == "local":
        local_engine.note(decision.workflow, decision.written)
    chosen = settings.choices(service, decision.workflow, len(given))
    variants, axes = variations.vary(service, decision.workflow, len(given), chosen)
    wording = questions.wording(generation, text, decision.workflow)
    request = request_form.request(text, given, decision, chosen.models, chosen.parameters, variants, axes, wording)
    with st.container(key="generate-bar"):
        request_form.bar(generation, request, given, decision)
        tab_draft.keep(service, request, decision)
with made:
    results.follow(generation)
request_form.drawn()
