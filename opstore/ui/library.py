"""The parts of the Library page around its grid: search box, chips, filters, saved searches, trash.

There is one state, the text of the search, and the address of the page holds it: box, chips and filters each read it and change
it, and none remembers anything of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import streamlit as st
from babel.dates import format_date

from opstore.errors import InvalidQuery, OpstoreError
from opstore.index import ORDERS, Count
from opstore.index.language import chips, parse, values, with_values
from opstore.index.stacks import STACKS
from opstore.index.terms import Span, days, fold_name, value_of
from opstore.operation import OPERATION_TYPES, Operation
from opstore.service import Service
from opstore.trash import KEPT
from opstore.ui import acts, behind, export, parts, words
from opstore.ui.away import leave
from opstore.ui.components.choices import choices
from opstore.ui.components.grid import grid
from opstore.ui.markup import Markup, css, show
from opstore.ui.state import opened
from opstore.ui.studio import naming
from opstore.ui.words import _

GRID = "library"
STYLE = Path(__file__).with_name("library.css")
#: Filters that are a choice of names.
NAMES = ("type", "status", "model", "provider", "tag")
#: Trashed operations that are shown; the rest comes when these are gone.
TRASH_SHOWN = 2_000
FIRST_DAY = date(2000, 1, 1)
#: No search reads so.
_MARKED = "mark:"


@dataclass(frozen=True, slots=True)
class View:
    """What the address asks for: `text` as it is written, `query` the last one that could be read; `mark` is of a chart."""

    text: str
    query: str
    order: str
    group: str
    trash: bool
    operation: str | None
    mistake: InvalidQuery | None = None
    mark: str = ""


# -- the one state -------------------------------------------------------------------------------------------------------


def view() -> View:
    """Read the address, and bring every control into line with it."""
    css(STYLE.read_text("utf-8"))
    _remember()
    text, order = st.query_params.get("q", ""), st.query_params.get("order", ORDERS[0])
    group = st.query_params.get("group", "")
    mark = behind.asked()
    group = group if group in STACKS and not mark else ""
    query, mistake = text, None
    try:
        parse(text)
    except InvalidQuery as error:
        query, mistake = st.session_state.get("good-search", ""), error
    st.session_state["good-search"] = query
    found = View(
        text=text,
        query=query,
        order=order if order in ORDERS and not (group or mark) else ORDERS[0],
        group=group,
        trash=st.query_params.get("view") == "trash",
        operation=st.query_params.get("operation"),
        mistake=mistake,
        mark=mark,
    )
    _align(found)
    return found


def _remember() -> None:
    """Whoever comes back from another page without a search in the address comes back to the last one, but not to the trash."""
    if "search" not in st.session_state and not st.query_params.to_dict():
        for name, value in st.session_state.get("last-view", {}).items():
            st.query_params[name] = value
    st.session_state["last-view"] = {
        name: value for name, value in st.query_params.to_dict().items() if name in ("q", "order", "group")
    }


def _align(found: View) -> None:
    state: dict[str, Any] = {"search": found.text, "order": found.order, "group": found.group}
    for name in NAMES:
        state[f"filter-{name}"] = [_canonical(name, value) for value in values(found.query, name)]
    state["filter-rating"] = next(iter(values(found.query, "rating")), "")
    state["filter-favorite"] = "yes" in values(found.query, "favorite")
    if st.session_state.get("aligned") != (found.text, found.order, found.group) or "search" not in st.session_state:
        st.session_state["aligned"] = (found.text, found.order, found.group)
        for key, value in state.items():
            if st.session_state.get(key) != value:
                st.session_state[key] = value


def go(**changes: str | None) -> None:
    """Change the address: `q`, `mark`, `order`, `group`, `view`, `operation`; nothing or None takes a part away."""
    for name, value in changes.items():
        if value:
            st.query_params[name] = value
        else:
            st.query_params.pop(name, None)


def _canonical(field: str, value: str) -> str:
    """Return a value as the filters spell it: `Text to image` is text_to_image."""
    known = {"type": OPERATION_TYPES, "status": STATUSES}.get(field, ())
    return next((name for name in known if fold_name(field, name) == fold_name(field, value)), value)


def _days(query: str) -> list[Any]:
    """Return the first and last day that a search asks for, nothing where it asks for none or for several spans."""
    found = values(query, "date")
    span = value_of("date", found[0]) if len(found) == 1 else None
    if not isinstance(span, Span):
        return []
    today = datetime.now(UTC).date()
    low, end = days(span, today)
    last = end - timedelta(1) if end else today
    first = min(max(low or FIRST_DAY, FIRST_DAY), _last_day())
    return [first, max(min(last, _last_day()), first)]


def _last_day() -> date:
    return datetime.now(UTC).date() + timedelta(366)


STATUSES = ("stored", "failed", "canceled", "aborted", "expired", "unknown", "result missing")


# -- search box, chips, mistakes -----------------------------------------------------------------------------------------


def search_box(service: Service, found: View) -> None:
    """Show the search box, the order, what is shown as one, and the saved searches."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="search-row"):
        st.text_input(
            _("Search"),
            key="search",
            type="search",
            live="150ms",
            label_visibility="collapsed",
            placeholder=_("Search the library: castle -night type:text_to_video rating:>=4"),
            on_change=lambda: go(q=st.session_state["search"], operation=None),
        )
        st.selectbox(
            _("Order"),
            ORDERS,
            key="order",
            format_func=_order_name,
            label_visibility="collapsed",
            width=185,
            disabled=bool(found.group or found.mark),
            on_change=lambda: go(order=st.session_state["order"] if st.session_state["order"] != ORDERS[0] else None),
        )
        st.selectbox(
            _("Together"),
            ["", *STACKS],
            key="group",
            format_func=_group_name,
            label_visibility="collapsed",
            width=200,
            disabled=bool(found.mark),
            on_change=lambda: go(group=st.session_state["group"]),
        )
        _saved(service)
        if service.may("exports.prepare"):
            export.offer(service, found.query, found.order, mark=found.mark)


def _group_name(group: str) -> str:
    names = {
        "": _("Each by itself"),
        "batch": _("Variants together"),
        "prompt": _("Same prompt together"),
        "inputs": _("Same images together"),
    }
    return names.get(group, group)


def _order_name(order: str) -> str:
    names = {
        "newest": _("Newest first"),
        "oldest": _("Oldest first"),
        "rating": _("Best rated"),
        "cost": _("Dearest"),
        "elapsed": _("Slowest"),
        "relevance": _("Most relevant"),
    }
    return names.get(order, order)


def mistake(found: View) -> None:
    """Point at what is wrong with a search; what the last good one found stays."""
    error = found.mistake
    if error is None:
        return
    details = error.details
    at, length = int(details.get("position", 0)), max(1, int(details.get("length", 1)))
    start = max(0, at - 40)
    before, wrong = found.text[start:at], found.text[at : at + length][:60]
    lead = "…" if start else ""
    shown = f"{lead}{before}{wrong or ' '}{found.text[at + len(wrong) : at + 60]}"
    pointer = " " * len(lead + before) + "^" * max(1, len(wrong))
    template = Markup('<div class="ops-note bad" role="alert">{}<pre class="ops-mistake">{}\n{}</pre></div>')
    show(template.format(words.told(error), shown.replace("\n", " "), pointer))


def chip_row(found: View) -> None:
    """Show every part of the search, and the mark of a chart, each to be taken away."""
    offered = [(label, rest) for label, rest in chips(found.query)]
    if found.mark:
        offered.append((behind.name(found.mark), _MARKED))
    if offered and not found.mistake:
        choices(
            [(label, _("Take away {part}").format(part=label), rest) for label, rest in offered],
            key="chips",
            on_choice=lambda rest: go(mark=None) if rest == _MARKED else go(q=rest),
            source=lambda rest: _source(found, **({"mark": ""} if rest == _MARKED else {"query": rest})),
        )


# -- filters -------------------------------------------------------------------------------------------------------------


def filters(service: Service, found: View) -> None:
    """Show the filters; each is a part of the search's text and nothing else."""
    facets = service.index.facets()
    labels = {
        "type": _("Type"),
        "status": _("Status"),
        "model": _("Model"),
        "provider": _("Provider"),
        "tag": _("Tag or collection"),
    }
    spellings: Mapping[str, Any] = {"type": words.type_name, "status": words.status_name}
    for name in NAMES:
        options = list(
            dict.fromkeys([*map(lambda text: _canonical(name, text), facets.get(name, ())), *st.session_state[f"filter-{name}"]])
        )
        st.multiselect(
            labels[name],
            options,
            key=f"filter-{name}",
            format_func=spellings.get(name, str),
            placeholder=_("all"),
            on_change=_chosen,
            args=(name,),
        )
    ratings = ["", ">=1", ">=2", ">=3", ">=4", "5"]
    if st.session_state["filter-rating"] not in ratings:
        ratings.append(st.session_state["filter-rating"])
    st.selectbox(_("Rating"), ratings, key="filter-rating", format_func=_rating_name, on_change=_rated)
    span = (FIRST_DAY, _last_day())
    # A key of its own for every span in the text: one of which only the first day is chosen yet is left alone.
    key = f"filter-date-{values(found.query, 'date')}"
    st.date_input(_("Made between"), _days(found.query), *span, key=key, on_change=_dated, args=(key,))
    st.toggle(_("Favorites only"), key="filter-favorite", on_change=_favored)
    if (found.query or found.mark) and parts.button(_("Show everything"), key="show-everything", width="stretch"):
        go(q=None, mark=None)
        st.rerun()


def _rating_name(asked: str) -> str:
    if not asked:
        return _("all")
    bare = asked.removeprefix(">=")
    if bare in ("1", "2", "3", "4", "5"):
        return "★" * int(bare) if bare == asked else _("{stars} or better").format(stars="★" * int(bare))
    return asked


def _ask(field: str, wanted: Sequence[str]) -> None:
    go(q=with_values(st.session_state.get("good-search", ""), field, wanted), operation=None)


def _chosen(field: str) -> None:
    _ask(field, st.session_state[f"filter-{field}"])


def _rated() -> None:
    _ask("rating", [text for text in [st.session_state["filter-rating"]] if text])


def _favored() -> None:
    _ask("favorite", ["yes"] if st.session_state["filter-favorite"] else [])


def _dated(key: str) -> None:
    span = st.session_state[key]
    if len(span) == 1:
        return  # the second day is still to come
    _ask("date", [str(span[0]) if span[0] == span[1] else f"{span[0]}..{span[1]}"] if span else [])


# -- saved searches ------------------------------------------------------------------------------------------------------


def _saved(service: Service) -> None:
    with st.popover(_("Saved")):
        found = service.curation.searches()
        chosen = choices([(name, "", name) for name in found], key="saved")
        if chosen is not None:
            go(q=found[chosen], mark=None, view=None)
            st.rerun()
        if not found:
            st.caption(_("A saved search is a collection that fills itself. For one that you fill, give a tag."))
        query = st.session_state.get("good-search", "")
        with st.form("save-search", border=False, clear_on_submit=True):
            name = st.text_input(_("Save this search as"), max_chars=60)
            if st.form_submit_button(_("Save"), disabled=not query):
                _save(service, name, query)
        for gone in [name for name, text in found.items() if text == query]:
            if parts.button(_("Forget the saved search that is shown"), key=f"forget-{gone}"):
                service.curation.remove_search(gone)
                st.rerun()


def _save(service: Service, name: str, query: str) -> None:
    try:
        service.curation.save_search(name, query)
    except OpstoreError as error:
        parts.show_error(error)
    else:
        st.rerun()


# -- the grid ------------------------------------------------------------------------------------------------------------


def results(service: Service, found: View) -> str | None:
    """Show what the search finds; return the id of the operation that was just opened."""
    total, span = behind.extent(service, found.query, found.mark) if found.mark else _extent(service, found.query)
    if not total.n:
        _nothing(service)
    session = acts.acts()
    _toast(session)
    opened, unstacked, away = grid(
        key=GRID,
        words={**acts.spoken(service), "notes": _notes(found)},
        on_act=lambda: acts.take(service, GRID),
        source=_source(found),
        total={"n": total.n, "exact": total.exact},
        span=span,
        open=found.operation,
        tags=list(service.index.facets().get("tag", ()))[:500],
        outcome=session.outcome(),
        trash=False,
    )
    if unstacked:
        _unstack(service, found, unstacked)
    if away:
        leave(service, *away, found.query, found.order)
    return opened


def _source(found: View, **other: str) -> str:
    """Return the address where the grid finds what a view shows, or one that is `other` in something."""
    shown = replace(found, **other)  # type: ignore[arg-type] # texts are changed by texts
    asked = {"q": shown.query, "order": shown.order, "group": shown.group, "mark": shown.mark}
    return "/api/search?" + urlencode({name: text for name, text in asked.items() if text or name != "mark"})


def _notes(found: View) -> dict[str, str]:
    """Return what stands under each variant where one batch is shown: a stack that was opened is a contact sheet."""
    batches = values(found.query, "batch")
    return naming.captions(opened().generation.batch(batches[0])) if len(batches) == 1 else {}


def _unstack(service: Service, found: View, operation_id: str) -> None:
    """Search for what stands behind a stack."""
    row = service.index.get(operation_id)
    query = found.query
    if row and found.group == "batch" and row.batch_id:
        query = with_values(query, "batch", [row.batch_id])
    elif row and found.group == "inputs":
        query = with_values(query, "images", [row.id])
    elif row and found.group == "prompt":
        phrase = " ".join(row.prompt.replace('"', " ").split())[:200]
        query = f'{query} "{phrase}"'.strip() if _readable(f'"{phrase}"') else query
    go(q=query, group=None)
    st.rerun()


def _toast(session: acts.Acts) -> None:
    """Say once what was done elsewhere, and why something was not done."""
    if done := st.session_state.pop("done", None):
        st.toast(done)
    if session.last and st.session_state.get("told") != session.last.id:
        st.session_state["told"] = session.last.id
        if failures := session.failures():
            st.toast(parts.plain(failures))


def _extent(service: Service, query: str) -> tuple[Count, str]:
    """Return how many operations are found, and from when to when they were made."""
    ends = [service.index.search(query, order=order, size=1).rows for order in ("oldest", "newest")]
    told = [format_date(rows[0].moment.astimezone(words.zone()), "medium", locale=words.language()) for rows in ends if rows]
    return service.index.count(query), " – ".join(dict.fromkeys(told))


def _nothing(service: Service) -> None:
    newest = service.index.search(size=1).rows
    if not newest:
        if service.store.operations.is_empty() or service.index.progress().ready:
            if service.may("create"):
                parts.note(_("The library is empty. Make the first one."))
                st.page_link(parts.CREATE, label=_("Create"))
            else:
                parts.note(_("The library is empty."))
        return
    parts.note(_("Nothing matches. Searches that find something:"))
    first = newest[0]
    word = next((word for word in first.prompt.split() if len(word) > 3 and word.isalpha()), "")
    examples = [word, f"type:{first.type}", f"date:{first.moment:%Y-%m}"]
    chosen = choices([(text, "", text) for text in examples if _readable(text)], key="examples")
    if chosen:
        go(q=chosen, mark=None)
        st.rerun()


def _readable(text: str) -> bool:
    try:
        return bool(parse(text).root)
    except InvalidQuery:
        return False


# -- trash ---------------------------------------------------------------------------------------------------------------


def trash(service: Service) -> None:
    """Show what is in the trash, to be restored or removed for good."""
    found = service.curation.trashed()
    kept = words.number(KEPT.days)
    if not found:
        parts.note(_("The trash is empty. What you move here stays for {days} days.").format(days=kept))
    else:
        st.caption(_("What is here can be restored; after {days} days it is removed for good.").format(days=kept))
    session = acts.acts()
    _toast(session)
    grid(
        key="trash",
        words=acts.spoken(service),
        on_act=lambda: acts.take(service, "trash"),
        rows=[_trashed(item.operation_id, item.trashed_at, item.sidecar) for item in found[:TRASH_SHOWN]],
        total={"n": len(found), "exact": True},
        tags=[],
        outcome=session.outcome(),
        trash=True,
    )


def _trashed(operation_id: str, moment: datetime, sidecar: Mapping[str, Any] | None) -> dict[str, Any]:
    operation = Operation.of(sidecar or {"operationId": operation_id})
    shown = operation.output or next(iter(operation.inputs), None)
    leaves = format_date((moment + KEPT).astimezone(words.zone()), "medium", locale=words.language())
    return {
        "id": operation_id,
        "type": operation.type,
        "status": operation.status,
        "prompt": operation.prompt[:160],
        "model": operation.model,
        "output": None,
        "thumbnail": parts.thumbnail_address(shown) if shown else None,
        "video": False,
        "rating": None,
        "favorite": False,
        "tags": [],
        "stack": 1,
        "note": _("until {day}").format(day=leaves),
    }
