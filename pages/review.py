"""Blind review: votes on two results at a time, models unknown to the voter, and win rates with how sure they are."""

import streamlit as st

from opstore.errors import OpstoreError
from opstore.ui import parts, review
from opstore.ui.opened_app import opened

service = opened().service
asked = st.query_params.get("id", "")

if not asked:
    review.begin(service)
else:
    try:
        review.vote(service, asked)
    except OpstoreError as error:
        parts.show_error(error)
