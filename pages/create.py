"""Create: say what is wanted, give pictures, choose what is left to choose; the work itself runs outside this page."""

import streamlit as st

from opstore.ui import controls
from opstore.ui.components import bring
from opstore.ui.opened_app import opened
from opstore.ui.studio import acting, asking, deciding, drafting, giving, local, questions, results, settings, varying
from opstore.ui.words import _

app = opened()
service, generation = app.service, app.generation
form, made = st.columns([5, 4], gap="large")

acting.fill_in(service)
drafting.take_up(service)
with form:
    text = st.text_area(
        _("What do you want to make?"),
        key=controls.key_of("prompt"),
        height=120,
        placeholder=_("The sea at sunset, calm mood"),
        persist_state="session",
    )
    bring.into_view(controls.key_of("prompt"), key="bring")
    given = giving.images(service)
    decision = deciding.decide(generation, text, drafting.written(service, text), given)
    if service.provider() == "local":
        local.note(decision.workflow, decision.written)
    chosen = settings.choices(service, decision.workflow, len(given))
    variants, axes = varying.vary(service, decision.workflow, len(given), chosen)
    wording = questions.wording(generation, text, decision.workflow)
    request = asking.request(text, given, decision, chosen.models, chosen.parameters, variants, axes, wording)
    with st.container(key="generate-bar"):
        asking.bar(generation, request, given, decision)
        drafting.keep(service, request, decision)
with made:
    results.follow(generation)
asking.drawn()
