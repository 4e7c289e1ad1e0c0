"""What was drawn or answered is sent: nothing of it is thrown away where another run begins, in Streamlit's own objects."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.app_session import AppSessionState
from streamlit.runtime.forward_msg_queue import ForwardMsgQueue
from streamlit.runtime.scriptrunner_utils.script_requests import RerunData

from opstore.ui import presses
from opstore.ui.streamlit_private import replacing, sending


def queued() -> ForwardMsgQueue:
    """Return what a session is to be told: two elements of its page, and between them an answer."""
    queue = ForwardMsgQueue()
    for number in range(3):
        said = ForwardMsg()
        if number == 1:
            said.file_urls_response.response_id = "one"
        else:
            said.metadata.delta_path.append(number)
            said.delta.new_element.text.body = "drawn"
        queue.enqueue(said)
    return queue


def test_an_answer_outlives_the_page_it_was_asked_in_and_is_sent_once() -> None:
    for fragments in (None, ["another"]):
        queue = queued()
        queue.clear(retain_lifecycle_msgs=True, fragment_ids_this_run=fragments)
        sent = [said.file_urls_response.response_id for said in queue.flush() if said.HasField("file_urls_response")]
        assert sent == ["one"] and queue.is_empty(), fragments
    queue = queued()
    queue.clear()
    assert queue.is_empty()


def test_streamlit_by_itself_loses_answers() -> None:
    """Where this fails Streamlit has mended it, and `sending.begin_anew` can go."""
    replacing.remove()
    try:
        queue = queued()
        queue.clear(retain_lifecycle_msgs=True)
        assert queue.is_empty()
    finally:
        replacing.install(presses.unheard)


class Runner:
    """A thread that runs a page's script: it lives, or has ended and takes no request."""

    def __init__(self, told: list[str], *, lives: bool = False, ended: bool = False) -> None:
        self.told, self.lives, self.ended = told, lives, ended
        self._script_thread = SimpleNamespace(is_alive=lambda: self.lives)

    def request_rerun(self, asked: RerunData) -> bool:
        self.told += [] if self.ended else [f"joined by {asked.query_string}"]
        return not self.ended


@pytest.mark.parametrize("shut", [False, True])
def test_a_request_that_finds_a_run_ended_waits_until_it_has_told_all_and_that_is_taken(shut: bool) -> None:
    """The loop of a busy server takes it late: its drawings and its address were thrown away, whole, where another had begun.

    A run that was stopped (the line broke) takes no request either, and goes on to its end where it has taken a press.
    """
    told: list[str] = []
    line: list[Callable[[], object]] = []  # before the loop
    stopped = Runner(told, lives=True, ended=True)
    session: Any = SimpleNamespace(id="busy", _scriptrunner=stopped, _state=AppSessionState.APP_IS_RUNNING)
    session._call_soon_on_event_loop = line.append
    session._event_loop = SimpleNamespace(call_later=lambda _seconds, act: line.append(act))

    def create(session: Any, asked: RerunData) -> None:
        told.append(f"begun by {asked.query_string}")
        session._scriptrunner = Runner(told)

    begin = sending.begin_after(create)
    for query in ("one", "two"):
        begin(session, RerunData(query_string=query))
        for _turn in range(3):
            line.pop(0)()
    assert told == [], "it is running yet"
    line.append(lambda: told.append("taken" if session._scriptrunner is stopped else "thrown away"))
    stopped.lives = False
    session._state = AppSessionState.SHUTDOWN_REQUESTED if shut else session._state
    while line:
        line.pop(0)()
    assert told == (["taken"] if shut else ["taken", "begun by one", "joined by two"])
    session._scriptrunner = None
    begin(session, RerunData(query_string="three"))
    assert told[-1] == "begun by three" and not line


def test_a_thread_that_cannot_be_had_is_told_as_any_failed_request_is() -> None:
    session: Any = SimpleNamespace(id="full", _scriptrunner=Runner([], ended=True), _state=AppSessionState.APP_IS_RUNNING)
    line: list[Callable[[], object]] = []
    said: list[str] = []
    session._call_soon_on_event_loop, session.handle_backmsg_exception = line.append, lambda error: said.append(str(error))

    def create(_session: Any, _asked: RerunData) -> None:
        raise RuntimeError("can't start new thread")

    sending.begin_after(create)(session, RerunData())
    while line:
        line.pop(0)()
    assert said == ["can't start new thread"]
