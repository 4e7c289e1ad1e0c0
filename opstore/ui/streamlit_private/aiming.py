"""What a request runs: the part of the page that it asks for where that still stands, at the address that the page has.

A request for a part of a page (a fragment, a dialog) that has gone, or stands elsewhere now, Streamlit drops with all that was
pressed or written in it. Here the whole page is run with it, also where a timer asked before it was taken up. A timer of a page
that was left is not followed: the bar that all pages have is one part to Streamlit, which ran it as the old page, and cleared the
new one.

A field that is left by a press on another page tells what stands in it after that press, as the page that was left: Streamlit
went back to that page, without what stood in it. Here whoever has gone to a page stays there (`_follow`).

Every request brings the address that the browser has, and Streamlit takes it for the page's: what was sent before the browser
knew of a page's own change of it (Next, in an open operation) takes that change back. Here it does not.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.pages_manager import PagesManager
from streamlit.runtime.scriptrunner.script_runner import ScriptRunner
from streamlit.runtime.scriptrunner_utils.script_requests import RerunData
from streamlit.runtime.scriptrunner_utils.script_run_context import get_script_run_ctx
from streamlit.runtime.state.query_params import QueryParams


def ask_for_part(original: Callable[..., Any]) -> Callable[..., Any]:
    """Ask for a run of the whole page where a person asks for a part of it that has gone; a timer of one is not answered."""

    def ask(session: AppSession, client_state: ClientState | None) -> None:
        timer = client_state and client_state.is_auto_rerun and client_state.fragment_id
        if client_state and timer and _of_another_page(session._pages_manager, client_state.page_script_hash):
            return
        if client_state:
            asked = ClientState()
            asked.CopyFrom(client_state)
            if (gone := _follow(session, client_state)) is not None:
                if asked.is_auto_rerun:
                    return
                asked.page_script_hash, asked.query_string, asked.fragment_id = gone.page, gone.address, ""
            asked.query_string = _address(session, asked)
            if not session.has_fragment(asked.fragment_id) and not asked.is_auto_rerun:
                asked.fragment_id = ""
            client_state = asked
        original(session, client_state)

    return ask


@dataclass(slots=True)
class _Gone:
    """The page that a browser has gone to and its address, the controls whose values came with that request and those that came
    since, and of each page that it may not know it has left the controls that only that page has."""

    page: str = ""
    address: str = ""
    everywhere: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)
    left: dict[str, set[str]] = field(default_factory=dict)


#: Of each session, by its name; the latest ones.
_gone: dict[str, _Gone] = {}
_MOST_GONE = 1_000


def _follow(session: AppSession, asked: ClientState) -> _Gone | None:
    """Follow a browser from page to page; return where it has gone if this request is one that the page it left sends late.

    Who goes to another page sends the values of controls that all pages have, and of no others: so a request for a page that was
    left, with values of its own or by a timer, goes nowhere. The first of the new page shows that the browser has left the old
    one; it may be the one with which it tells of that page at all, where the server has led it there.
    """
    known = _gone.pop(session.id, None) or _Gone()
    _gone[session.id] = known
    if len(_gone) > _MOST_GONE:
        del _gone[next(iter(_gone))]
    page, brought = asked.page_script_hash, {widget.id for widget in asked.widget_states.widgets}
    if page == known.page:
        if brought - known.everywhere:
            known.left.clear()
        known.seen |= brought
    elif not asked.is_history_navigation and page in known.left and (asked.is_auto_rerun or brought & known.left[page]):
        return known
    elif page:
        if brought - known.seen:
            known.left.clear()
        else:
            known.left[known.page] = known.seen - brought
            known.left.pop(page, None)
        known.page, known.address, known.everywhere, known.seen = page, asked.query_string, brought, set(brought)
    return None


@dataclass(slots=True)
class _Address:
    """The address that a page has given itself, and those before it that its browser may still have."""

    now: str
    left: set[str]


#: Of each session, by its name; the latest ones. Two threads ask: the page's script, and who takes its requests.
_addresses: dict[str, _Address] = {}
_MOST_ADDRESSES = 10_000
_address_guard = threading.Lock()


def change_address(original: Callable[..., Any]) -> Callable[..., Any]:
    """Tell the browser of a page's own change of its address, and remember what it had before."""

    def send(parameters: QueryParams) -> None:
        context = get_script_run_ctx()
        before = context.query_string if context else ""
        original(parameters)
        if context and context.query_string != before:
            with _address_guard:
                known = _addresses.pop(context.session_id, None)
                left = {*(known.left if known else ()), before} - {context.query_string}
                _addresses[context.session_id] = _Address(context.query_string, left)
                if len(_addresses) > _MOST_ADDRESSES:
                    del _addresses[next(iter(_addresses))]

    return send


def went_back() -> bool:
    """Say whether this run shows an address to which a person went in the window's history: it is meant as it is."""
    context = get_script_run_ctx()
    return bool(context and context.is_history_navigation)


def _address(session: AppSession, asked: ClientState) -> str:
    """Return the address of a request: the page's own where the browser did not know of it yet when it asked."""
    address = asked.query_string
    elsewhere = asked.is_history_navigation or _of_another_page(session._pages_manager, asked.page_script_hash)
    with _address_guard:
        known = _addresses.get(session.id)
        if known and address in known.left and not elsewhere:
            return known.now
        if known:
            known.left.clear()  # the browser knows, or has gone elsewhere by itself
    return address


def _of_another_page(pages: PagesManager, asked: str) -> bool:
    """Say whether a page has been left meanwhile: a timer of what all pages have would clear the one that is shown now."""
    return bool(asked and pages.current_page_script_hash) and asked != pages.current_page_script_hash


def run_part(original: Callable[..., Any]) -> Callable[..., Any]:
    """Run the parts of a page that are asked for, or all of it where one has gone while the request waited."""

    def run(runner: ScriptRunner, rerun_data: RerunData) -> None:
        gone = not all(map(runner._fragment_storage.contains, rerun_data.fragment_id_queue))
        timer = rerun_data.is_auto_rerun
        if rerun_data.fragment_id_queue and timer and _of_another_page(runner._pages_manager, rerun_data.page_script_hash):
            return
        if gone and not timer:
            rerun_data = replace(rerun_data, fragment_id_queue=[], is_fragment_scoped_rerun=False, is_auto_rerun=False)
        original(runner, rerun_data)

    return run
