"""What is behind a mark of a chart that no search has words for: the Library shows it as a search, by a part of its address.

A search needs no such part: a mark that has one leads to the Library with it. Both are links, and hold after a restart.
"""

from __future__ import annotations

import streamlit as st
from babel.dates import format_date

from opstore.analytics.queries import Analytics
from opstore.index import Count
from opstore.service import Service
from opstore.ui import parts, words
from opstore.ui.opened_app import opened

_KEY = "behind-mark"


def pick(asked: str) -> None:
    """Note which mark of a chart was chosen: a search, or what stands beside one."""
    st.session_state[_KEY] = asked


def follow_mark() -> None:
    """Go where a click leads: to the library, with the search of what was chosen and, where it has one, the mark beside it."""
    asked = st.session_state.pop(_KEY, None)
    if not asked:
        return
    from opstore.analytics.drilldown import asked_by

    query, mark = asked_by(asked)
    st.switch_page(parts.LIBRARY, query_params={"q": query, **({"mark": mark} if mark else {})})


def asked() -> str:
    """Return the mark that the address asks for, nothing where it asks for none that can be read, or the viewer has no charts."""
    text: str = st.query_params.get("mark", "")
    if not text or not opened().service.may(Analytics):
        return ""
    from opstore.analytics.drilldown import mark_of  # pandas: half a second that only whoever comes from a chart pays

    return text if mark_of(text) else ""


def name(mark: str) -> str:
    """Return what a mark is called."""
    from opstore.analytics.content_charts import mark_name
    from opstore.analytics.drilldown import mark_of
    from opstore.language.chart_formatter import ChartFormatter

    found = mark_of(mark)
    return mark_name(found, ChartFormatter(words.language())) if found else mark


def extent(service: Service, query: str, mark: str) -> tuple[Count, str]:
    """Return how many operations a mark counts of what a search finds, and from when to when they were made."""
    from opstore.analytics.usage_tables import span

    found = service.analytics.behind(query, mark)
    ends = [format_date(words.local(end), "medium", locale=words.language()) for end in span(found) or ()]
    return Count(len(found), exact=True), " – ".join(dict.fromkeys(ends))
