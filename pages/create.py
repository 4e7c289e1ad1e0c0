"""Create: say what is wanted, give pictures, choose what is left to choose; the work itself runs outside this page."""

import streamlit as st

from opstore.errors import OpstoreError
from opstore.ui import parts, studio
from opstore.ui.state import opened
from opstore.ui.words import _

service = opened().service
form, results = st.columns([5, 4], gap="large")

studio.fill_in()
with form:
    text = st.text_area(
        _("What do you want to make?"),
        key="prompt",
        height=120,
        placeholder=_("The sea at sunset, calm mood"),
        persist_state="session",
    )
    images = studio.images(service)
    kind = studio.workflow(len(images))
    if service.provider() == "local":
        studio.local_engine_note(kind, text)
    models, parameters = studio.choices(service, kind)
    request = studio.request(kind, text, images, models, parameters)
    with st.container(key="generate-bar"):
        studio.estimate(service, request)
        if st.button(_("Generate"), type="primary", width="stretch", shortcut="Ctrl+Enter"):
            try:
                studio.generate(service, request)
            except OpstoreError as error:
                parts.show_error(error)
with results:
    studio.follow(service)
