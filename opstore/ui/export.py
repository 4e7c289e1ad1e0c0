"""Exports on the pages: links that the browser saves by itself, streamed over HTTP; no page holds a file in memory."""

from __future__ import annotations

from urllib.parse import urlencode

import streamlit as st

from opstore.index.search_language import values, with_values
from opstore.service import Service
from opstore.ui import drilldown, words
from opstore.ui.markup import Markup, show
from opstore.ui.words import _, ngettext


def links(asked: str) -> list[list[str]]:
    """Return address, name and a description for each thing that can be exported; `asked` says of which operations."""
    offered = (
        ("xlsx", _("Excel"), _("a table with filters")),
        ("xlsx&thumbnails=1", _("Excel, pictures"), _("with small pictures, up to 2,000")),
        ("csv", _("CSV"), _("the same table as text")),
        ("csv-excel", _("CSV for Excel"), _("the same, marked as UTF-8")),
        ("csv-excel-fr", _("CSV, French"), _("for Excel in French")),
        ("jsonl", _("JSON Lines"), _("all metadata, as stored")),
        ("parquet", _("Parquet"), _("for pandas, DuckDB and the like")),
        ("zip", _("Zip"), _("pictures and videos with their metadata")),
    )
    return [[f"/api/export?format={name}&{asked}", title, what] for name, title, what in offered]


def reports(query: str = "") -> None:
    """Offer reports of what a search finds: of the days it asks for, else of the last week, month, year, or of everything."""
    periods = {"7d": _("The last 7 days"), "30d": _("The last 30 days"), "365d": _("The last 365 days"), "": _("Everything")}
    offered = periods if not values(query, "date") else {values(query, "date")[0]: _("The dates of the search")}
    spoken = {"language": words.language(), "zone": str(words.zone())}
    found = []
    for span, title in offered.items():
        asked = urlencode({"q": with_values(query, "date", [span] if span else []), **spoken})
        found.append([f"/api/report?{asked}", title, _("one HTML file, to look at, send or print")])
    _show(found)


def offer(service: Service, query: str, order: str = "newest", *, mark: str = "", report: bool = False) -> None:
    """Offer what a search finds as files, of it only what a `mark` of a chart counts, and with `report` as a report."""
    with st.popover(_("Export")):
        total = drilldown.extent(service, query, mark)[0] if mark else service.index.count(query)
        if not total.n:
            st.caption(_("There is nothing to export."))
            return
        told = ngettext("{count} operation as", "{count} operations as", total.n)
        st.caption(told if total.exact else _("More than {count} operations as").format(count=words.number(total.n)))
        _show(links(urlencode({"q": query, "order": order, **({"mark": mark} if mark else {})})))
        if report:
            st.caption(_("Usage report"))
            reports(query)


def _show(offered: list[list[str]]) -> None:
    item = Markup('<a href="{}" download><strong>{}</strong><span>{}</span></a>')
    show(Markup('<nav class="ops-formats">{}</nav>').format(Markup("").join(item.format(*link) for link in offered)))
