"""The parts of the Library page around its grid: search box, chips, filters, saved searches.

There is one state, the text of the search, and the address of the page holds it: box, chips and filters each read it and change
it, and none remembers anything of its own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from opstore.errors import InvalidQuery, OpstoreError
from opstore.exports import Exports
from opstore.index import ORDERS
from opstore.index.fields import FILTERS, SEARCHES
from opstore.index.search_language import can_ask, chips, corrected, parse, values, with_values
from opstore.index.stacks import STACKS
from opstore.index.terms import Span, days, fold_name, value_of
from opstore.service import Service
from opstore.storage.operation import OPERATION_TYPES, STATUSES
from opstore.ui import controls, drilldown, export, parts, words
from opstore.ui.components.choices import choices
from opstore.ui.markup import Markup, css, show
from opstore.ui.streamlit_private import aiming
from opstore.ui.words import _, pgettext

#: Set where the grid looks by itself for what the page is told next.
LOOKS = "grid-looks"
STYLE = Path(__file__).with_name("library.css")
FIRST_DAY = date(2000, 1, 1)
RATINGS = ("", ">=1", ">=2", ">=3", ">=4", "5")
SPELLINGS: Mapping[str, Callable[[str], str]] = {"type": words.type_name, "status": words.status_name}
#: Choices of a filter for which the grid looks by itself, the most used: all of them at 60 µs would take longer than they save.
MOST_WAYS = 20
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

    def source(self, **other: str) -> str:
        """Return the address where the grid finds what this shows, or a view that is `other` in something."""
        shown = replace(self, **other)  # type: ignore[arg-type] # texts are changed by texts
        asked = {"q": shown.query, "order": shown.order, "group": shown.group, "mark": shown.mark}
        return "/api/search?" + urlencode({name: text for name, text in asked.items() if text or name != "mark"})


# -- the one state -------------------------------------------------------------------------------------------------------


def view() -> View:
    """Read the address, and bring every control into line with it."""
    css(STYLE.read_text("utf-8"))
    _remember()
    text, order = st.query_params.get("q", ""), st.query_params.get("order", ORDERS[0])
    group = st.query_params.get("group", "")
    mark = drilldown.asked()
    group = group if group in STACKS and not mark else ""
    query, mistake = text, None
    try:
        parse(text)
    except InvalidQuery as error:
        query, mistake = st.session_state.get("good-search", ""), error
    st.session_state["good-search"] = query
    current = View(
        text=text,
        query=query,
        order=order if order in ORDERS and not (group or mark) else ORDERS[0],
        group=group,
        trash=st.query_params.get("view") == "trash",
        operation=st.query_params.get("operation"),
        mistake=mistake,
        mark=mark,
    )
    _align(current)
    return current


def entitle(service: Service, current: View) -> None:
    """Name in the browser's tab what is open, else what was searched for."""
    if current.trash:
        parts.entitle(_("Trash"))
        return
    prompt = ""
    if current.operation:
        with contextlib.suppress(OpstoreError):  # said where it would be shown
            prompt = service.operation(current.operation).prompt
    parts.entitle(_("Library"), prompt or current.text)


def _remember() -> None:
    """Whoever comes by a link from another page comes back to the last search, but not to the trash; Back leads to its own."""
    if not _stands() and not st.query_params.to_dict() and not aiming.went_back():
        for name, value in st.session_state.get("last-view", {}).items():
            st.query_params[name] = value
    st.session_state["last-view"] = {
        name: value for name, value in st.query_params.to_dict().items() if name in ("q", "order", "group")
    }


def _align(current: View) -> None:
    state: dict[str, Any] = {"search": current.text, "order": current.order, "group": current.group}
    for name in FILTERS:
        state[f"filter-{name}"] = [_canonical(name, value) for value in values(current.query, name)]
    state["filter-rating"] = next(iter(values(current.query, "rating")), "")
    state["filter-favorite"] = "yes" in values(current.query, "favorite")
    if st.session_state.get("aligned") != (current.text, current.order, current.group) or not _stands():
        st.session_state["aligned"] = (current.text, current.order, current.group)
        for name, value in state.items():
            controls.align(name, value)


def _stands() -> bool:
    """Say whether the page has been drawn since somebody came to it."""
    return controls.key_of("search") in st.session_state


def go(**changes: str | None) -> None:
    """Change the address: `q`, `mark`, `order`, `group`, `view`, `operation`; nothing or None takes a part away."""
    for name, value in changes.items():
        if value:
            st.query_params[name] = value
        else:
            st.query_params.pop(name, None)


def _looked(**changes: str | None) -> None:
    """Change the address to what the grid looks for already."""
    st.session_state[LOOKS] = True
    go(**changes)


def _canonical(field: str, value: str) -> str:
    """Return a value as the filters spell it: `Text to image` is text_to_image."""
    known = {"type": OPERATION_TYPES, "status": STATUSES}.get(field)
    if known is None:
        return value
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


# -- search box, chips, mistakes -----------------------------------------------------------------------------------------


def search_box(service: Service, current: View) -> None:
    """Show the search box, the order, what is shown as one, and the saved searches."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="search-row"):
        st.text_input(
            _("Search"),
            **controls.heard("search", lambda text: _looked(q=text, operation=None)),
            type="search",
            live="400ms",  # the grid looks at once: its pictures are there before the page is run
            label_visibility="collapsed",
            placeholder=_("Search (e.g. castle -night)"),
        )
        st.selectbox(
            _("Order"),
            ORDERS,
            **controls.heard("order", lambda order: go(order=order if order != ORDERS[0] else None)),
            format_func=_order_name,
            label_visibility="collapsed",
            width=185,
            disabled=bool(current.group or current.mark),
        )
        st.selectbox(
            _("Group by"),
            ["", *STACKS],
            **controls.heard("group", lambda group: go(group=group)),
            format_func=_group_name,
            label_visibility="collapsed",
            width=200,
            disabled=bool(current.mark),
        )
        _saved(service)
        if service.may(Exports.prepare):
            export.offer(service, current.query, current.order, mark=current.mark)


def _group_name(group: str) -> str:
    names = {
        "": _("No grouping"),
        "batch": _("By variants"),
        "prompt": _("By prompt"),
        "inputs": _("By input images"),
    }
    return names.get(group, group)


def _order_name(order: str) -> str:
    names = {
        "newest": _("Newest first"),
        "oldest": _("Oldest first"),
        "rating": _("Best rated"),
        "cost": _("Most expensive"),
        "elapsed": _("Slowest"),
        "relevance": _("Most relevant"),
    }
    return names.get(order, order)


def mistake(current: View) -> None:
    """Point at what is wrong with a search; what the last good one found stays."""
    error = current.mistake
    if error is None:
        return
    details = error.details
    at, length = int(details.get("position", 0)), max(1, int(details.get("length", 1)))
    start = max(0, at - 40)
    before, wrong = current.text[start:at], current.text[at : at + length][:60]
    lead = "…" if start else ""
    shown = f"{lead}{before}{wrong or ' '}{current.text[at + len(wrong) : at + 60]}"
    pointer = " " * len(lead + before) + "^" * max(1, len(wrong))
    template = Markup('<div class="ops-note bad" role="alert">{}<pre class="ops-mistake">{}\n{}</pre></div>')
    show(template.format(words.told(error), shown.replace("\n", " "), pointer))
    if (better := corrected(current.text, error)) is not None and choices([(better, "", better)], key="corrected"):
        go(q=better)
        st.rerun()


def chip_row(current: View) -> None:
    """Show every part of the search, and the mark of a chart, each to be taken away."""
    offered = [(label, rest) for label, rest in chips(current.query)]
    if current.mark:
        offered.append((drilldown.name(current.mark), _MARKED))
    if offered and not current.mistake:
        choices(
            [(label, _("Remove {part}").format(part=label), rest) for label, rest in offered],
            key="chips",
            on_choice=lambda rest: _looked(mark=None) if rest == _MARKED else _looked(q=rest),
            source=lambda rest: current.source(**({"mark": ""} if rest == _MARKED else {"query": rest})),
        )


# -- filters -------------------------------------------------------------------------------------------------------------


def filters(current: View, facets: Mapping[str, Mapping[str, int]]) -> None:
    """Show the filters over the names in use; each is a part of the search's text and nothing else."""
    drawn = st.session_state.setdefault("drawn-filters", set())
    for name, label in FILTERS.items():
        options = list(dict.fromkeys([*_named(name, facets), *controls.shown(f"filter-{name}")]))
        if SEARCHES[name].is_rare and not options and name not in drawn:
            continue
        drawn.add(name)  # from now on it stays: a control that is not drawn loses what it shows
        st.multiselect(
            _(label),
            options,
            **controls.heard(f"filter-{name}", partial(_ask, name)),
            format_func=SPELLINGS.get(name, str),
            placeholder=_("all"),
        )
    ratings = list(RATINGS)
    if controls.shown("filter-rating") not in ratings:
        ratings.append(controls.shown("filter-rating"))
    rated = controls.heard("filter-rating", lambda asked: _ask("rating", [asked] if asked else []))
    st.selectbox(_("Rating"), ratings, format_func=_rating_name, **rated)
    span = (FIRST_DAY, _last_day())
    # A key of its own for every span in the text: one of which only the first day is chosen yet is left alone.
    key = f"filter-date-{values(current.query, 'date')}"
    shape: Any = _("YYYY/MM/DD")  # how days are typed: these letters in another order
    drawn = _days(current.query)
    st.date_input(_("Created between"), drawn, *span, key=key, on_change=_dated, args=(key, drawn), format=shape)
    st.toggle(_("Favorites only"), **controls.heard("filter-favorite", lambda only: _ask("favorite", ["yes"] if only else [])))
    if (current.query or current.mark) and parts.button(_("Show everything"), key="show-everything", width="stretch"):
        go(q=None, mark=None)
        st.rerun()


def ways(current: View, facets: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, str]]:
    """Return where each choice of a filter, the order or the stacks leads, by the key of its box and its words."""
    leads: dict[str, dict[str, str]] = {
        "order": {_order_name(order): current.source(order=order) for order in ORDERS},
        "group": {_group_name(group): current.source(group=group, order=ORDERS[0]) for group in ("", *STACKS)},
        "filter-rating": {_rating_name(asked): _leading(current, "rating", asked) for asked in RATINGS},
        "filter-favorite": {"": _leading(current, "favorite", "" if "yes" in values(current.query, "favorite") else "yes")},
    }
    for name in FILTERS:
        chosen = controls.shown(f"filter-{name}")
        spelling = SPELLINGS.get(name, str)
        leads[f"filter-{name}"] = {
            spelling(text): _leading(current, name, *chosen, text)
            for text in islice(_named(name, facets), MOST_WAYS)
            if text not in chosen
        }
    return leads


def _named(field: str, facets: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    """Yield the names in use that a search can ask for, each once as the filters spell it."""
    return iter(dict.fromkeys(_canonical(field, text) for text in facets.get(field, ()) if _askable(field, text)))


_askable = lru_cache(10_000)(can_ask)


def _leading(found: View, field: str, *wanted: str) -> str:
    return found.source(query=with_values(found.query, field, [text for text in wanted if text]))


def _rating_name(asked: str) -> str:
    if not asked:
        return pgettext("ratings", "all")
    bare = asked.removeprefix(">=")
    if bare in ("1", "2", "3", "4", "5"):
        return "★" * int(bare) if bare == asked else _("{stars} or better").format(stars="★" * int(bare))
    return asked


def _ask(field: str, wanted: Sequence[str]) -> None:
    go(q=with_values(st.session_state.get("good-search", ""), field, wanted), operation=None)


def _dated(key: str, drawn: list[Any]) -> None:
    span = st.session_state[key]
    if len(span) == 1 or list(span) == drawn:
        return  # the second day is still to come; or a browser still shows what has gone, and tells what it was drawn with
    _ask("date", [str(span[0]) if span[0] == span[1] else f"{span[0]}..{span[1]}"] if span else [])


# -- saved searches ------------------------------------------------------------------------------------------------------


def _saved(service: Service) -> None:
    with st.popover(_("Saved")):
        searches = service.curation.searches()
        chosen = choices([(name, "", name) for name in searches], key="saved")
        if chosen is not None:
            go(q=searches[chosen], mark=None, view=None)
            st.rerun()
        if not searches:
            st.caption(_("A saved search is a collection that fills itself. To fill one yourself, use a tag."))
        query = st.session_state.get("good-search", "")
        with st.form("save-search", border=False, clear_on_submit=True):
            name = st.text_input(_("Save this search as"), max_chars=60)
            if parts.submit(_("Save"), disabled=not query, key="save-search-now"):
                _save(service, name, query)
        for gone in [name for name, text in searches.items() if text == query]:
            if parts.button(_("Delete “{name}”").format(name=parts.plain(gone)), key=f"forget-{gone}"):
                service.curation.remove_search(gone)
                st.rerun()


def _save(service: Service, name: str, query: str) -> None:
    try:
        service.curation.save_search(name, query)
    except OpstoreError as error:
        parts.show_error(error)
    else:
        st.rerun()
