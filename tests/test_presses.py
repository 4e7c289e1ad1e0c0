"""Presses: noted before the script, taken once, whatever overtakes them; and what Streamlit by itself makes of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from streamlit.runtime.scriptrunner import RerunData
from streamlit.runtime.scriptrunner_utils.script_requests import ScriptRequests
from streamlit.runtime.state import SafeSessionState
from streamlit.testing.v1 import AppTest

from opstore.ui import presses
from opstore.ui.streamlit_private import replacing
from tests.told import press_late

PATIENCE = 30.0


def page() -> None:
    """A page as ours are: it draws, asks Streamlit for much, gets to its button, and acts with more words to Streamlit."""
    import streamlit as st

    from opstore.ui import parts, presses

    st.session_state.setdefault("made", [])
    st.session_state.setdefault("runs", []).append(1)
    st.text("above")
    st.text_input("words", key="words")
    if parts.button("Make", key="make"):
        st.session_state["before"] = st.session_state.get("before", 0) + 1
        st.text("making")
        st.session_state["made"].append(st.session_state["words"])
        st.toast("made")
    with st.form("form"):
        st.text_input("name", key="name")
        if parts.submit("Save", key="save"):
            st.session_state["made"].append(st.session_state["name"])
    if parts.button("Leave", key="leave"):
        st.session_state["made"].append(st.session_state["words"])
        leave: Any = st.rerun  # for the type checker nothing can follow it
        leave()
        st.session_state["made"].append("after")
    if parts.button("Closed", key="closed", disabled=st.session_state.get("busy", True)):
        st.session_state["made"].append("closed")
    if not st.session_state.get("busy", True) and parts.button("Gone", key="gone"):
        st.session_state["made"].append("gone")
    st.text("below")
    if presses.over():
        parts.too_late()


def bare() -> None:
    """A button as Streamlit has them, with a callback."""
    import streamlit as st

    st.session_state.setdefault("made", [])
    st.text_input("words", key="words")
    st.button("Make", key="make", on_click=lambda: st.session_state["made"].append(st.session_state["words"]))


@contextmanager
def overtaken(at_word: int) -> Iterator[list[int]]:
    """Let a newer request, which knows nothing of the press, arrive just before the script's word `at_word` to Streamlit."""
    words: list[int] = []
    original, apply = ScriptRequests.on_scriptrunner_yield, SafeSessionState.on_script_will_rerun

    def look(requests: ScriptRequests) -> Any:
        if len(words) == at_word:
            requests.request_rerun(RerunData())
        words.append(1)
        return original(requests)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ScriptRequests, "on_scriptrunner_yield", look)
        yield words
    assert SafeSessionState.on_script_will_rerun is apply


def opened(script: Callable[[], None]) -> AppTest:
    return AppTest.from_function(script, default_timeout=PATIENCE).run()


def pressed(at: AppTest, key: str, at_word: int) -> tuple[list[str], int]:
    """Press a button while a newer request arrives at a word; return what was made, and how many words there were."""
    made: list[str] = at.session_state["made"]
    made.clear()
    for box in at.text_input:
        box.set_value(f"sea {at_word}")
    with overtaken(at_word) as words:
        at.button(key=key).click().run()
    assert not at.exception
    return list(made), len(words)


@pytest.mark.parametrize("key", ["make", "save", "leave"])
def test_a_press_that_is_overtaken_at_any_word_is_done_exactly_once(key: str) -> None:
    at, at_word, words = opened(page), 0, 1
    while at_word < words:
        made, words = pressed(at, key, at_word)
        assert made == [f"sea {at_word}"], f"overtaken at word {at_word} of {words}"
        at_word += 1
    assert at_word > 5


def test_streamlit_by_itself_loses_presses_that_are_overtaken() -> None:
    """Where this fails Streamlit has mended it: `streamlit_private/hearing.py` can go."""
    replacing.remove()
    try:
        assert pressed(opened(bare), "make", 0)[0] == []
    finally:
        replacing.install(presses.unheard)
    assert pressed(opened(bare), "make", 0)[0] == ["sea 0"]


def test_another_streamlit_than_the_known_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    replacing.remove()
    try:
        monkeypatch.setattr(SafeSessionState, "on_script_will_rerun", lambda self, states: None)
        for _time in range(2):
            with pytest.raises(RuntimeError, match="on_script_will_rerun"):
                replacing.install(presses.unheard)
    finally:
        monkeypatch.undo()
        replacing.install(presses.unheard)


def test_a_press_outlives_the_run_that_it_came_with_and_counts_once() -> None:
    at = opened(page)
    at.button(key="make").click().run()
    assert len(at.session_state["made"]) == 1
    assert len(at.run().session_state["made"]) == 1
    noted = at.session_state["presses"]
    noted["make"] = (True, time.monotonic() - presses.PRESS_SECONDS - 1)
    assert len(at.run().session_state["made"]) == 1, "who pressed long ago has gone on to something else"
    noted["closed"] = (True, time.monotonic())
    at.run()
    assert len(at.session_state["made"]) == 1 and "no longer available" in at.toast[0].value
    noted["gone"] = (True, time.monotonic())
    at.run()
    assert not noted, "what is no longer on the page waits for nothing"


@pytest.mark.parametrize("key", ["closed", "gone"])
def test_a_press_that_comes_when_its_button_is_no_longer_on_offer_is_told_so(key: str) -> None:
    """Streamlit drops such a press before any callback."""
    at = opened(page)
    at.session_state["busy"] = False
    name = at.run().button(key=key).id  # the browser shows it yet
    at.session_state["busy"] = True
    press_late(at.run(), name)
    assert at.session_state["made"] == [] and "no longer available" in at.toast[0].value
    at.run()
    assert not at.toast, "it is said once"


def test_the_second_half_of_a_double_click_on_what_has_gone_is_nothing_to_speak_of() -> None:
    at = opened(page)
    at.session_state["busy"] = False
    gone = at.run().button(key="gone")
    gone.click().run()
    at.session_state["busy"] = True
    press_late(at.run(), gone.id)
    assert at.session_state["made"] == ["gone"] and not at.toast
