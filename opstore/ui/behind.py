"""What is behind a mark of a chart that no search can ask for: a dialog with the newest of its operations, and a way to them.

Everything else leads to the library at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import streamlit as st

from opstore.service import Service
from opstore.ui import parts, words
from opstore.ui.words import _, ngettext

if TYPE_CHECKING:  # pandas: half a second that only whoever looks at charts pays
    from opstore.analytics.behind import Mark
    from opstore.analytics.selection import Selection
    from opstore.analytics.voice import Voice

#: Operations that are shown: as many ids as a search takes.
MOST = 100
_KEY = "behind-mark"


def pick(key: str, counter: str) -> None:
    """Note which mark of a chart was clicked; the chart is another one from now on, so that the next click is one again."""
    chosen: Any = st.session_state.get(key) or {}
    points = chosen.get("selection", {}).get("points", ())
    st.session_state[counter] = st.session_state.get(counter, 0) + 1
    asked = points[0].get("customdata") if points else None
    asked = asked[0] if isinstance(asked, list | tuple) and asked else asked
    if isinstance(asked, str):
        st.session_state[_KEY] = asked


def follow_mark(service: Service, selection: Selection, voice: Voice) -> None:
    """Go where a click leads: to the library with a search, or to a dialog on a mark."""
    asked = st.session_state.pop(_KEY, None)
    if not asked:
        return
    from opstore.analytics.behind import mark_of
    from opstore.analytics.topics import mark_name

    mark = mark_of(asked)
    if mark is None:
        st.switch_page(parts.LIBRARY, query_params={"q": asked})
    title = parts.plain(mark_name(mark, voice))
    st.dialog(title, width="large")(_shown)(service, selection, mark)


def _shown(service: Service, selection: Selection, mark: Mark) -> None:
    from opstore.analytics.behind import behind

    found = behind(selection, mark, words.zone())
    n = len(found)
    if not n:
        parts.note(_("There are no operations here."))
        return
    ids = found.base.frame["operation_id"].take(found.index()[:MOST]).tolist()
    query = f"id:{','.join(ids)}"
    told = [ngettext("{count} operation.", "{count} operations.", n)]
    if n > MOST:
        told.append(_("The newest {count} of them are shown.").format(count=words.number(MOST)))
    parts.small(" ".join(told))
    rows = [
        {
            "picture": parts.thumbnail_address(row.output) if row.output else None,
            "prompt": " ".join(row.prompt.split()),
            "type": words.type_name(row.type),
            "status": words.status_name(row.status),
            "when": words.exact(row.moment),
            "open": "/library?" + urlencode({"operation": row.id}),
        }
        for row in service.index.search(query, size=MOST).rows
    ]
    config = {
        "picture": st.column_config.ImageColumn("", width="small"),
        "prompt": st.column_config.TextColumn(_("Prompt"), width="large"),
        "type": st.column_config.TextColumn(_("Type")),
        "status": st.column_config.TextColumn(_("Status")),
        "when": st.column_config.TextColumn(_("When")),
        "open": st.column_config.LinkColumn("", display_text=_("Open")),
    }
    st.dataframe(rows, column_config=config, hide_index=True, row_height=56, key="behind-table", height=440)
    if parts.button(_("Show them in the Library"), key="behind-library", type="primary"):
        st.switch_page(parts.LIBRARY, query_params={"q": query})
