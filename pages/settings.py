"""Settings: who makes things, with which models, for how much money; a token is only ever said to be there or not."""

import streamlit as st

from opstore.access.roles import LOCAL
from opstore.analytics.queries import Analytics
from opstore.errors import OpstoreError, SettingsChanged
from opstore.providers import registry
from opstore.service import Service
from opstore.shares import Shares
from opstore.storage.operation import OPERATION_TYPES
from opstore.ui import export, parts, share, signin, words
from opstore.ui.opened_app import opened
from opstore.ui.words import _

app = opened()
service = app.service
chosen = service.preferences()
mine = service.may(Service.change_preferences)
if done := st.session_state.pop("settings-saved", None):
    st.toast(done)

if service.person != LOCAL:
    signin.sign_out(service.person, "page", app.settings)
words.choose()
if not mine:
    parts.note(_("These settings are read-only for you. Only the admin role can change them."))
damage = service.settings_damage()
# What this window shows may be older than the file: another tab has saved, or it was damaged, and nobody has seen that yet.
shown, now = st.session_state.get("settings-shown"), (chosen, str(damage or ""))
st.session_state["settings-shown"] = now
if damage:
    parts.show_error(damage)
    parts.note(_("What can still be read is below; saving writes a new file and keeps the damaged one beside it."))
st.subheader(_("Provider"), anchor=False)
parts.tokens(app.settings.environment)
parts.faults(service)
first = registry.elsewhere()[0].title
known = {
    "": _("{provider} if an API token is set, otherwise the local engine").format(provider=first),
    **{name: words.provider_name(name) for name in registry.names()},
}
names = parts.with_absent(known, chosen.provider)
if app.settings.provider:
    parts.note(_("Set by OPSTORE_PROVIDER: {name}").format(name=names[app.settings.provider]))

with st.form("settings", border=False):
    provider = st.selectbox(
        _("Engine"),
        list(names),
        index=list(names).index(chosen.provider),
        format_func=lambda name: names[name],
        disabled=bool(app.settings.provider),
    )
    st.subheader(_("Budget"), anchor=False)
    if service.may(Service.spending):
        parts.spent(service.spending())
    left, right = st.columns(2)
    daily = left.number_input(_("A day (US dollars)"), 0.0, None, chosen.daily_budget, 1.0, placeholder=_("no limit"))
    monthly = right.number_input(_("A month (US dollars)"), 0.0, None, chosen.monthly_budget, 5.0, placeholder=_("no limit"))
    st.caption(_("Paid operations that would exceed a budget are not sent. Models without a known price are not counted."))
    st.subheader(_("Execution"), anchor=False)
    parallel = st.number_input(_("Operations at a time"), 1, 64, chosen.parallel)
    st.subheader(_("Default models"), anchor=False)
    models: dict[str, str] = {}
    for kind in OPERATION_TYPES:
        found = [model for item in registry.elsewhere() for model in service.table.models(item.name, kind)]
        if len(found) < 2 and not chosen.models.get(kind):
            continue
        default = found[0].name if found else ""
        titles = parts.with_absent({model.name: model.title for model in found}, chosen.models.get(kind) or default)
        ids = list(titles)
        index = ids.index(chosen.models.get(kind) or default)
        name = st.selectbox(words.type_name(kind), ids, index=index, format_func=titles.__getitem__)
        if name != default:
            models[kind] = name
    st.subheader(_("Prompt analysis"), anchor=False)
    titles = parts.with_absent({"": _("Rules: offline and free"), **registry.language_models()}, chosen.analyzer)
    analyzer = st.selectbox(
        _("Language model for prompt analysis"),
        list(titles),
        index=list(titles).index(chosen.analyzer),
        format_func=titles.__getitem__,
        disabled=not registry.language_models(app.settings.environment),
        help=_("Asked by a click on Create, for at most half a cent per question. It can also improve the prompt."),
    )
    if parts.submit(_("Save"), type="primary", disabled=not mine, key="settings-save"):
        try:
            if shown != now:
                raise SettingsChanged
            service.change_preferences(
                mend=damage is not None,
                seen=chosen,
                provider=provider,
                daily_budget=daily,
                monthly_budget=monthly,
                parallel=int(parallel),
                models=models,
                analyzer=analyzer,
            )
        except OpstoreError as error:
            parts.show_error(error)
        else:
            st.session_state["settings-saved"] = _("Saved.")
            st.rerun()

if service.may(Shares.all):
    st.subheader(_("Shared links"), anchor=False)
    share.listing(service)

st.subheader(_("Models and prices"), anchor=False)
parts.models(service.table)

if service.may(Analytics.held):
    st.subheader(_("Usage report"), anchor=False)
    export.reports()

if mine:
    st.subheader(_("Data location"), anchor=False)
    st.code(str(app.settings.data.resolve()), language=None)
