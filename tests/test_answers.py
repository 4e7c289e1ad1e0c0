"""What a browser has asked of a session is answered, whatever runs begin meanwhile; and what Streamlit by itself makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.forward_msg_queue import ForwardMsgQueue
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from opstore.ui import presses, streamlit_private
from tests.browser import Server

PATIENCE = 30.0
ASKED = 60


@contextmanager
def session(server: Server) -> Iterator[tuple[ClientConnection, str]]:
    """Open Create as a browser does; give the connection and the name of the session, once the page has been drawn."""
    address, origin = f"ws://127.0.0.1:{server.port}/_stcore/stream", Origin(server.address)
    with connect(address, origin=origin, subprotocols=[Subprotocol("streamlit")], max_size=None) as line:
        name = ""
        run_anew(line)
        while (said := heard(line)).WhichOneof("type") != "script_finished":
            name = name or said.new_session.initialize.session_id
        yield line, name


def run_anew(line: ClientConnection) -> None:
    """Ask for a run of the page, as a component does that tells something."""
    asked = BackMsg()
    asked.rerun_script.query_string = ""
    line.send(asked.SerializeToString())


def heard(line: ClientConnection) -> ForwardMsg:
    """Return what the server says next."""
    said, found = line.recv(timeout=PATIENCE), ForwardMsg()
    assert isinstance(said, bytes)
    found.ParseFromString(said)
    return found


def test_whoever_gives_a_file_while_the_page_is_run_anew_is_told_where_it_goes(tmp_path: Path) -> None:
    server = Server(tmp_path / "data")
    server.start()
    try:
        with session(server) as (line, name):
            waiting = {f"file {number}" for number in range(ASKED)}
            for request in sorted(waiting):
                asked = BackMsg()
                asked.file_urls_request.request_id, asked.file_urls_request.session_id = request, name
                asked.file_urls_request.file_names.append("cat.jpg")
                line.send(asked.SerializeToString())
                run_anew(line)
            try:
                while waiting:
                    said = heard(line)
                    if said.WhichOneof("type") == "file_urls_response":
                        assert len(said.file_urls_response.file_urls) == 1
                        waiting.discard(said.file_urls_response.response_id)
            except TimeoutError:
                pytest.fail(f"{len(waiting)} of {ASKED} files were never told where to go")
    finally:
        server.stop()


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
    """Where this fails Streamlit has mended it, and `_begin_anew` in `streamlit_private` can go."""
    streamlit_private.remove()
    try:
        queue = queued()
        queue.clear(retain_lifecycle_msgs=True)
        assert queue.is_empty()
    finally:
        streamlit_private.install(presses.unheard)
