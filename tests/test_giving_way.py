"""Work that nobody waits for gives way to whoever is answered: each kind of it goes on in small bites, which are counted."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket

from opstore import Store, giving_way
from opstore.api import Answering
from opstore.app import App, Settings
from opstore.care import Care, Rule
from opstore.care.leftovers import sweep
from opstore.care.long_acts import Acts
from opstore.curation import Curation
from opstore.giving_way import FILES, NAMES, UPKEEP, Pace, Traffic, Work, at, in_bites, in_order, pause
from opstore.index import Index, folder_diff
from opstore.index.folder_diff import Difference
from opstore.index.follow import Follower
from opstore.index.sqlite import Database
from opstore.media import renderings
from opstore.media.thumbnails import Thumbnails
from opstore.storage.files import Folder
from opstore.storage.trash import KEPT, Trash
from tests.care_samples import care_of, made, save
from tests.index_samples import plant
from tests.samples import PNG


class Waits(Traffic):
    """What is asked how long to wait, and does not."""

    def __init__(self) -> None:
        """Begin at noon."""
        self.now = 0.0
        super().__init__(lambda: self.now)
        self.waits: list[tuple[float, float]] = []

    def wait(self, still: float, longest: float) -> None:
        self.waits.append((still, longest))


@pytest.fixture
def traffic(monkeypatch: pytest.MonkeyPatch) -> Traffic:
    """The traffic of this test alone."""
    fresh, shared = Traffic(), giving_way.traffic
    for name, module in list(sys.modules.items()):
        if name.startswith("opstore") and getattr(module, "traffic", None) is shared:
            monkeypatch.setattr(module, "traffic", fresh)
    return fresh


class Bites:
    """Counts, between the pauses of whoever works, what `did` says of the work."""

    def __init__(self) -> None:
        """Have seen none."""
        self.paces: set[Pace] = set()
        self.sizes: list[int] = []
        self._done = 0

    def begin(self) -> None:
        self.sizes, self._done = [], 0

    def did(self) -> None:
        self._done += 1

    def work(self, pace: Pace, _: Traffic) -> Bites:
        self.paces.add(pace)
        return self

    def pause(self) -> None:
        self.sizes.append(self._done)
        self._done = 0

    @property
    def largest(self) -> int:
        return max([*self.sizes, self._done])

    def counting(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*given: Any, **named: Any) -> Any:
            self.did()
            return function(*given, **named)

        return counted


@pytest.fixture
def bites(monkeypatch: pytest.MonkeyPatch) -> Bites:
    """The bites of whatever works at a pace now."""
    seen = Bites()
    monkeypatch.setattr(giving_way, "Work", seen.work)
    return seen


# -- who is answered -----------------------------------------------------------------------------------------------------


def waiting_in(traffic: Traffic) -> bool:
    return bool(traffic._turn._waiters)  # type: ignore[attr-defined]


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.002)


def test_the_next_bite_begins_when_the_last_of_the_answers_has_ended() -> None:
    traffic, done = Traffic(), threading.Event()

    def work() -> None:
        traffic.wait(0.0, 60.0)
        done.set()

    worker = threading.Thread(target=work)
    with traffic.answering():
        with traffic.answering():
            worker.start()
            until(lambda: waiting_in(traffic))
        assert not done.is_set() and not traffic.is_still(0.0)
    assert done.wait(20)
    traffic.wait(0.0, 60.0)


def test_it_begins_only_when_nobody_has_asked_for_a_while() -> None:
    now = [100.0]
    traffic = Traffic(lambda: now[0])
    assert traffic.is_still(1e9), "nobody has ever asked"
    traffic.asked()
    assert not traffic.is_still(5.0) and traffic.is_still(0.0)
    now[0] += 4.9
    with traffic.answering():
        assert not traffic.is_still(0.0)
        now[0] += 60.0
    assert not traffic.is_still(5.0), "counted from the end of an answer"
    now[0] += 5.0
    assert traffic.is_still(5.0)


def test_however_many_ask_it_goes_on_after_the_longest_wait() -> None:
    traffic = Traffic()
    with traffic.answering():
        traffic.wait(5.0, 0.01)
    traffic.wait(60.0, 0.01)


def test_every_pace_keeps_its_share_of_the_time() -> None:
    traffic = Waits()
    work = Work(Pace(still=2.0, share=0.25), traffic)
    for spent in (0.0, 1.0, 8.0):
        traffic.now += spent
        work.pause()
    assert traffic.waits == [(2.0, 0.1), (2.0, 3.0), (2.0, 24.0)]


def test_a_request_never_waits_for_itself(traffic: Traffic) -> None:
    with traffic.answering():
        pause()  # a person's own purge, say
        assert list(in_bites(range(5), 2)) == [0, 1, 2, 3, 4]
        assert not traffic._asked > 0


@given(st.lists(st.text(max_size=12) | st.from_regex(r"\A2025110[1-3][0-9]{2}\Z")), st.booleans())
def test_names_are_in_order(names: list[str], backwards: bool) -> None:
    assert list(in_order(names, backwards=backwards)) == sorted(names, reverse=backwards)


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="of Linux")
def test_a_process_that_is_idle_computes_only_where_nobody_else_would() -> None:
    program = "import os; from opstore.giving_way import be_idle; be_idle(); print(os.sched_getscheduler(0) == os.SCHED_IDLE)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "True\n"


def test_a_request_counts_until_the_last_byte_of_its_answer_and_a_stream_of_events_until_it_begins(traffic: Traffic) -> None:
    seen: dict[str, bool] = {}

    def parts(name: str) -> Iterator[bytes]:
        seen[name] = traffic.is_still(0.0)
        yield b"x"

    async def lines(socket: WebSocket) -> None:
        await socket.accept()
        seen["before"] = traffic.is_still(60.0)
        await socket.receive_text()
        seen["after"], seen["now"] = traffic.is_still(60.0), traffic.is_still(0.0)
        await socket.close()

    routes = [
        Route("/file", lambda request: StreamingResponse(parts("file"))),
        Route("/events", lambda request: StreamingResponse(parts("events"), media_type="text/event-stream")),
        Route("/wrong", lambda request: 1 / 0),
        Route("/", lambda request: PlainTextResponse("")),
        WebSocketRoute("/lines", lines),
    ]
    app = Answering(Starlette(routes=routes))
    with TestClient(app, raise_server_exceptions=False) as client:
        with client.websocket_connect("/lines") as socket:
            traffic._asked = float("-inf")
            socket.send_text("a")
        for path in ("/file", "/events", "/wrong", "/"):
            client.get(path)
            assert traffic.is_still(0.0) and not traffic.is_still(60.0)
    assert seen == {"before": False, "after": False, "now": True, "file": False, "events": True}


# -- each kind of work ---------------------------------------------------------------------------------------------------


def test_the_trash_is_purged_one_by_one(tmp_path: Path, bites: Bites, monkeypatch: pytest.MonkeyPatch) -> None:
    store = made(tmp_path)
    trash = Trash(store)
    for number in range(7):
        trash.put(save(store, number))
    monkeypatch.setattr(Trash, "_remove", bites.counting(Trash._remove))
    with at(UPKEEP):
        assert len(trash.purge(KEPT * 0)) == 7
    assert bites.largest == 1 and len(bites.sizes) >= 7 and bites.paces == {UPKEEP}


def test_a_look_at_the_whole_folder_and_a_cleanup_go_in_bites(
    tmp_path: Path, bites: Bites, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = made(tmp_path)
    for number in range(3 * FILES):
        save(store, number, outputs=[])
    care = care_of(store)
    monkeypatch.setattr(Store, "get_operation_metadata", bites.counting(Store.get_operation_metadata))
    with at(UPKEEP):
        plan = care.cleanup.plan(Rule(0))
        assert len(plan.leaving) == 3 * FILES and 0 < bites.largest <= FILES
        monkeypatch.setattr(Trash, "put", bites.counting(Trash.put))
        bites.begin()
        assert len(care.cleanup.apply(plan).moved) == 3 * FILES
    assert bites.largest <= 2, "one is read once more, and moved"


def test_verify_backup_and_restore_go_in_bites(tmp_path: Path, bites: Bites, monkeypatch: pytest.MonkeyPatch) -> None:
    store = made(tmp_path / "data")
    for number in range(3 * FILES):
        save(store, number)
    care = care_of(store)
    monkeypatch.setattr(Folder, "read", bites.counting(Folder.read))
    with at(UPKEEP):
        assert not store.verify()
        assert 0 < bites.largest <= FILES
        bites.begin()
        care.back_up(str(tmp_path / "vault"))
    assert 0 < bites.largest <= 10, "the files of one operation, and the settings"


def test_leftovers_are_looked_for_in_bites(tmp_path: Path, bites: Bites, monkeypatch: pytest.MonkeyPatch) -> None:
    store = made(tmp_path)
    monkeypatch.setattr(Folder, "names", lambda self: [f"{number}.json" for number in range(3 * NAMES)])
    with at(UPKEEP):
        sweep(store)
    assert len(bites.sizes) >= 6 * 3


def test_an_act_of_the_storage_page_pauses_wherever_it_says_how_far_it_is(tmp_path: Path, bites: Bites) -> None:
    def work(report: Callable[[int, int | None, str], None]) -> dict[str, Any]:
        for number in range(5):
            bites.did()
            report(number, 5, "")
        return {}

    Acts(tmp_path).start("look", work).join(20)
    assert bites.sizes == [1] * 5 and bites.paces == {giving_way.ASKED_FOR}


def test_pictures_are_made_ahead_one_by_one(tmp_path: Path, bites: Bites, monkeypatch: pytest.MonkeyPatch) -> None:
    store, done = made(tmp_path), threading.Event()
    for number in range(4):
        store.save(
            f"2025110314302{number}_abc123de", {}, inputs=[PNG + b"\0" * number, PNG + b"\1" * (number + 1)], outputs=[PNG]
        )

    def make(data: bytes, side: int) -> bytes:
        bites.did()
        if data == PNG + b"\1" * 4:
            done.set()
        return data

    monkeypatch.setattr(renderings, "thumbnail", make)
    small = Thumbnails(store)
    small.start()
    try:
        small.expect([f"2025110314302{number}_abc123de" for number in range(4)])
        assert done.wait(20)
    finally:
        small.stop()
    assert bites.largest == 1 and bites.paces == {giving_way.EARLY}


def test_nothing_is_made_ahead_while_anybody_is_answered(
    tmp_path: Path, traffic: Traffic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not only who asks for a picture: whoever asks for anything."""
    monkeypatch.setattr(giving_way, "_LEAST", 60.0)
    store, made_ahead = made(tmp_path), threading.Event()
    store.save("20251103143022_abc123de", {}, outputs=[PNG])

    def make(data: bytes, side: int) -> bytes:
        made_ahead.set()
        return data

    monkeypatch.setattr(renderings, "thumbnail", make)
    small = Thumbnails(store)
    small.start()
    try:
        with traffic.answering():
            small.expect(["20251103143022_abc123de"])
            until(lambda: waiting_in(traffic))
            assert not made_ahead.is_set()
        assert made_ahead.wait(20)
    finally:
        small.stop()


def test_all_stamps_are_looked_at_when_nobody_asks_or_has_ceased_to_for_long(
    tmp_path: Path, traffic: Traffic, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = made(tmp_path)
    plant(store, {"operationId": "20251103143022_abc123de", "prompt": "p"})
    index = Index(store)
    index.update()
    follower, looks = index._follower, list[bool]()
    look = follower._difference

    def noted(stamps: bool) -> Difference:
        looks.append(stamps)
        return look(stamps)

    monkeypatch.setattr(follower, "_difference", noted)
    follower._stamps_at = 0.0
    with traffic.answering():
        for _ in range(3):
            follower._turn()
        assert True not in looks
        monkeypatch.setattr("opstore.index.follow._LONGEST", -1.0)
        follower._turn()
        assert looks.count(True) == 1
        monkeypatch.undo()
    index.stop()


def test_the_look_at_all_stamps_has_a_process_that_is_idle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, idle, nice = made(tmp_path), list[bool](), list[int]()
    index = Index(store)
    index.update()
    monkeypatch.setattr(folder_diff, "be_idle", lambda: idle.append(True))
    monkeypatch.setattr(os, "nice", nice.append)
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=SimpleNamespace(write=lambda data: None)))
    folder_diff.main(str(store.operations.path), str(index.path), "names")
    assert (idle, nice) == ([], [5])
    folder_diff.main(str(store.operations.path), str(index.path), "stamps")
    assert (idle, nice) == ([True], [5])


def test_the_housekeeping_begins_when_nobody_has_asked_for_a_while(
    tmp_path: Path, traffic: Traffic, bites: Bites, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, done, order = [0], threading.Event(), list[str]()

    def is_still(seconds: float) -> bool:
        asked[0] += 1
        return asked[0] > 3

    def step(name: str) -> Callable[..., None]:
        def act(*_: Any) -> None:
            assert asked[0] > 3
            pause()
            order.append(name)
            if name == "retain":
                done.set()

        return act

    monkeypatch.setattr(traffic, "is_still", is_still)
    monkeypatch.setattr(App, "_sweep", step("sweep"))
    monkeypatch.setattr(Curation, "purge", step("purge"))
    monkeypatch.setattr(Care, "retain", step("retain"))
    app = App(Settings(data=tmp_path))
    keeper = threading.Thread(target=app._keep_house, daemon=True)
    keeper.start()
    assert done.wait(20)
    app.stop()
    assert order == ["sweep", "purge", "retain"] and bites.paces == {UPKEEP} and len(bites.sizes) == 3


def test_who_starts_the_app_is_on_the_way_to_it(tmp_path: Path, traffic: Traffic) -> None:
    app = App(Settings(data=tmp_path))
    assert traffic.is_still(60.0)
    app.start()
    app.stop()
    assert not traffic.is_still(60.0)


def test_the_index_pauses_wherever_it_took_a_breath(tmp_path: Path, bites: Bites) -> None:
    store = made(tmp_path)
    store.operations.make()
    follower = Follower(Database(tmp_path / "index.db"), store.operations)
    with at(giving_way.FOLLOWING):
        follower._breathe()
    assert bites.sizes == [0]
