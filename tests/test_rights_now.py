"""What somebody may do is asked at the moment of the act: what a page, a request or a stream has from before gives nothing."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import streamlit as st
from starlette.applications import Starlette
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

import opstore
from opstore import clocks
from opstore.access.roles import ROLES, Person
from opstore.access.signouts import SignOuts
from opstore.api import Api, events
from opstore.app import Acting, App
from opstore.curation import Edit, annotations_of
from opstore.errors import NoRole, NotAllowed, SignInBroken, SignInWanted, StorageError
from opstore.jobs import JobFolder
from opstore.service import NewOperation
from opstore.shares import Scope
from opstore.storage import document
from opstore.storage.document import Document
from opstore.storage.files import Folder
from opstore.ui import signin, words
from opstore.ui.opened_app import opened, running
from opstore.ui.streamlit_private import signed_in
from tests import loops
from tests.samples import ID, PNG
from tests.test_api_act import Listener
from tests.test_pages import MAIN, PATIENCE, sound

CLAIMS = {"is_logged_in": True, "aud": "x", "iss": "https://a.test", "sub": "1", "iat": 1, "name": "Rob", "email": "rob@a.test"}
AUTH = {"client_id": "x", "cookie_secret": "c" * 32, "redirect_uri": "https://opstore.example.org/oauth2callback"}
BOOK = '[people]\n"rob@a.test" = ["creator", "reviewer"]\n'
LESS = BOOK.replace('"creator", "reviewer"', '"analyst"')


@pytest.fixture
def app() -> Iterator[App]:
    app = running()
    app.store.save(ID, {"operationType": "text_to_image", "prompt": "a boat"}, outputs=[PNG])
    app.index.update()
    yield app
    app.stop()


@pytest.fixture
def book(app: App, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let Rob sign in, as a creator and reviewer; return the file that says so."""
    monkeypatch.setattr(signed_in, "settings", lambda: AUTH)
    monkeypatch.setattr(signed_in, "origin", lambda: "https://opstore.example.org")
    monkeypatch.setattr(st, "user", SimpleNamespace(to_dict=lambda: {**CLAIMS, "email_verified": True}))
    path = app.settings.data / "roles.toml"
    path.write_text(BOOK)
    return path


def done(page: Acting) -> list[Callable[[], object]]:
    """Return what a page that was drawn earlier can be asked to do: rate, make, hand on, and a part's act that it has kept."""
    annotate = page.service.curation.annotate
    return [
        lambda: annotate([ID], Edit(rating=5)),
        lambda: page.service.curation.put_in_trash([ID]),
        lambda: page.service.create(NewOperation("text_to_image", "a boat")),
        lambda: page.service.shares.create(Scope("operation", (ID,))),
    ]


@pytest.mark.parametrize(
    ("text", "refusal"),
    [(LESS, NotAllowed), ('[people]\n"ada@a.test" = "admin"\n', NoRole), ("nonsense", SignInBroken), (None, SignInBroken)],
    ids=["another role", "no role", "damaged", "gone"],
)
def test_no_act_is_done_with_the_rights_that_a_page_was_drawn_with(
    app: App, book: Path, text: str | None, refusal: type[Exception]
) -> None:
    page = opened()
    acts = done(page)
    book.unlink() if text is None else book.write_text(text)
    for act in acts:
        with pytest.raises(refusal):
            act()
    refused: list[BaseException] = []

    def grid() -> None:
        try:
            acts[0]()
        except Exception as error:
            refused.append(error)

    worker = threading.Thread(target=grid)  # where the grid's acts are done: Streamlit knows of nobody there
    worker.start()
    worker.join()
    assert [type(error) for error in refused] == [refusal]
    assert annotations_of(app.service.operation(ID).sidecar)["rating"] is None
    assert app.service.jobs() == [] and app.service.shares.all() == [] and app.service.curation.trashed() == []


def test_a_role_that_is_given_counts_at_once_too(app: App, book: Path) -> None:
    page = opened()
    book.write_text(LESS)
    with pytest.raises(NotAllowed):
        page.service.curation.annotate([ID], Edit(rating=4))
    book.write_text(BOOK)
    assert page.service.curation.annotate([ID], Edit(rating=4)).done == (ID,)


def test_no_act_is_done_in_a_window_whose_sign_in_has_ended(app: App, book: Path) -> None:
    page = opened()
    SignOuts(Folder(app.settings.data)).note({**CLAIMS, "email_verified": True})
    for act in done(page):
        with pytest.raises(SignInWanted):
            act()


def test_a_file_of_roles_may_be_a_link_and_whatever_it_leads_to_counts(app: App, book: Path, tmp_path: Path) -> None:
    """Where files are mounted, a change of them is another target of a link."""
    for name, text in (("before", BOOK), ("after", LESS)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "roles.toml").write_text(text)
    now = tmp_path / "now"
    now.symlink_to("before")
    book.unlink()
    book.symlink_to(now / "roles.toml")
    page = opened()
    assert page.service.curation.annotate([ID], Edit(rating=4)).done == (ID,)
    (tmp_path / "next").symlink_to("after")
    (tmp_path / "next").replace(now)
    with pytest.raises(NotAllowed):
        page.service.curation.annotate([ID], Edit(rating=5))


# -- what it costs -------------------------------------------------------------------------------------------------------


def test_an_act_looks_at_the_file_once_and_reads_it_only_where_it_changed(
    app: App, book: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document, "SETTLED_SECONDS", 0.0)
    page = opened()
    page.service.operation(ID)
    looked: list[str] = []
    opens: list[str] = []
    stat, read = os.stat, Folder.read

    def look(path: Any, **more: Any) -> os.stat_result:
        looked.append(os.path.basename(str(path)))
        return stat(path, **more)

    def opening(self: Folder, name: str, limit: int | None = None) -> bytes:
        opens.append(name)
        return read(self, name, limit)

    monkeypatch.setattr(os, "stat", look)
    monkeypatch.setattr(Folder, "read", opening)
    for _ in range(5):
        page.service.latest(1)
    assert looked.count("roles.toml") == 5 and "roles.toml" not in opens


def test_a_file_that_changes_twice_within_a_tick_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a file system with a coarse clock the second change leaves length, inode and times as they were."""
    now = [100.0]
    monkeypatch.setattr(clocks, "steady", lambda: now[0])
    folder = Folder(tmp_path)
    file = Document(folder, "roles.toml", 100)
    monkeypatch.setattr(file, "_stamp", lambda: (1, 2, 3))
    for text in (b"one", b"two"):
        (tmp_path / "roles.toml").write_bytes(text)
        assert file.read() == text
        now[0] += 1.0
    now[0] += 2.0
    assert file.read() == b"two"
    (tmp_path / "roles.toml").write_bytes(b"six")
    assert file.read() == b"two", "known, long after its stamp was first seen"
    monkeypatch.setattr(file, "_stamp", lambda: (1, 2, 4))
    assert file.read() == b"six"


# -- /api ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ROLES)
def test_rights_come_before_everything_else_at_every_route_that_changes_something(app: App, role: str) -> None:
    """Nothing of these requests is right but their address: whoever may not is told that, and nothing of a form."""
    person = Person("Kim", frozenset({role}))
    client = TestClient(Starlette(routes=Api(lambda: app, lambda request: person).routes()), raise_server_exceptions=False)
    calls = [call for call in Api.calls(lambda: app.acting_as(person)) if call.method != "GET"]
    assert len(calls) >= 6
    for call in calls:
        assert call.act is not None
        path = call.path.replace("{operation_id}", "20200101000000_00000000")
        answer = client.request(call.method, f"{path}?nonsense=1", content=b"rubbish")
        expected = 403 if not person.may(call.act) else answer.status_code
        assert answer.status_code == expected and answer.status_code >= 400, f"{call.method} {call.path} for {role}"
        assert ("Your role" in answer.json()["error"]) == (not person.may(call.act))


def test_an_edit_without_a_picture_is_refused_to_a_reviewer_for_the_role(app: App) -> None:
    reviewer = Person("Kim", frozenset({"reviewer"}))
    client = TestClient(Starlette(routes=Api(lambda: app, lambda request: reviewer).routes()))
    assert client.post("/api/edit/image", data={"prompt": "x"}).status_code == 403


def changing(roles: list[str]) -> Callable[[Any], Person]:
    """Return who sends a request: somebody whose roles are those in the list at the moment of each act."""

    def now() -> Person:
        return Person("Kim", frozenset(roles))

    return lambda request: replace(now(), now=now)


def test_a_role_that_is_taken_while_the_request_arrives_is_gone_when_it_would_be_done(app: App) -> None:
    roles = ["reviewer"]

    def slow() -> Iterator[bytes]:
        yield b'{"rating": '
        roles[:] = ["analyst"]
        yield b"5}"

    client = TestClient(Starlette(routes=Api(lambda: app, changing(roles)).routes()))
    headers = {"Content-Type": "application/json"}
    assert client.request("PATCH", f"/api/history/{ID}", content=slow(), headers=headers).status_code == 403
    assert annotations_of(app.service.operation(ID).sidecar)["rating"] is None


def test_a_stream_of_events_ends_with_the_right_to_hear_them(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "LOOK_SECONDS", 0.05)
    roles, others = ["analyst"], ["analyst"]
    calls = iter((changing(roles), changing(others)))
    routes = Starlette(routes=Api(lambda: app, lambda request: next(calls)(request)).routes())

    async def listen() -> None:
        mine, theirs = Listener(routes), Listener(routes)
        await mine.until("jobs")
        await theirs.until("jobs")
        roles.clear()
        await asyncio.wait_for(mine.task, 10)
        made = await asyncio.to_thread(app.service.create, NewOperation("text_to_image", "a secret"))
        assert (await theirs.until("job"))[2]["operationId"] == made, "others hear on"
        assert not [name for _, name, _ in mine.events if name == "job"]
        await theirs.hang_up()

    loops.run(listen())


def test_a_folder_that_cannot_be_read_for_a_moment_ends_a_stream_without_a_fault(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who comes back is told what happened meanwhile; the log has no traceback of it."""
    monkeypatch.setattr(events, "LOOK_SECONDS", 0.05)
    routes = Starlette(routes=Api(lambda: app, changing(["analyst"])).routes())

    def failing(self: JobFolder) -> list[str]:
        raise StorageError(reason="too many open files")

    async def listen() -> None:
        mine = Listener(routes)
        await mine.until("jobs")
        with monkeypatch.context() as now:
            now.setattr(JobFolder, "ids", failing)
            await asyncio.wait_for(mine.task, 10)
        made = await asyncio.to_thread(app.service.create, NewOperation("text_to_image", "a boat"))
        again = Listener(routes, mine.events[-1][0])
        assert (await again.until("job"))[2]["operationId"] == made
        await again.hang_up()

    loops.run(listen())


# -- on the page ---------------------------------------------------------------------------------------------------------


def test_behind_a_door_that_was_pressed_nothing_is_run(app: App, book: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that has taken a press goes on to its end: `st.stop()` did not stop it, and the page's own lines met nobody."""
    monkeypatch.setattr(st, "user", SimpleNamespace(to_dict=dict))
    asked: list[object] = []
    monkeypatch.setattr(st, "login", asked.append)
    at = AppTest.from_file(MAIN, default_timeout=PATIENCE)
    at.run()
    [button] = at.button
    button.click().run()
    assert asked == [None]
    sound(at)
    assert [item.label for item in at.button] == [button.label]


def test_the_door_leaves_no_part_of_the_page_before_it_alive(app: App, book: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that ran on drew where the page had places and the door has none: `Bad delta path index` in the browser."""
    kept: list[object] = []
    clear = "streamlit.runtime.fragment.MemoryFragmentStorage.clear"
    monkeypatch.setattr(clear, lambda self, new_fragment_ids=None: kept.append(new_fragment_ids))
    at = AppTest.from_file(MAIN, default_timeout=PATIENCE)
    at.run()
    [parts] = kept
    assert parts, "a page has parts that run by themselves"
    book.write_text(BOOK.replace("rob", "ada"))
    at.run()
    sound(at)
    assert [item.label for item in at.button] == ["Sign in as somebody else"]
    assert len(kept) == 2 and not kept[1], "told to keep none"


def test_no_page_relies_on_a_stop() -> None:
    """A run that has taken a press goes on over `st.stop()`, and one that stops leaves the parts of the page before it alive."""
    root = Path(opstore.__file__).parent
    pages = [*root.rglob("*.py"), *(root.parent / "pages").glob("*.py")]
    assert len(pages) > 100 and not [path.name for path in pages if "st.stop(" in path.read_text("utf-8")]


def test_who_loses_a_role_is_told_when_the_page_is_drawn_anew(app: App, book: Path) -> None:
    at = AppTest.from_file(MAIN, default_timeout=PATIENCE)
    at.run()
    [generate] = [item for item in at.button if item.key == "generate"]
    at.text_area[0].set_value("a boat at the shore")
    book.write_text(LESS)
    generate.click().run()
    sound(at)
    told = [item.value for item in at.toast]
    assert any("Your roles have changed" in text for text in told), told
    assert any("Nothing was done" in text for text in told), told
    assert app.service.jobs() == [] and not at.text_area
    at.run()
    assert not at.toast, "once"


def test_why_nobody_is_let_in_is_said_in_one_language(app: App, book: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "language", lambda: "fr")
    book.write_text("nonsense")
    with pytest.raises(SignInBroken) as raised:
        signin.person(app.settings)
    told = words.told(raised.value)
    assert "roles.toml est inutilisable : ce n’est pas du TOML" in told.replace("\xa0", " ").replace("\u202f", " "), told
    assert "Expected" not in told and "it is no TOML" not in told and "The setting" not in str(raised.value)
    book.unlink()
    book.mkdir()
    with pytest.raises(SignInBroken) as raised:
        signin.person(app.settings)
    told = words.told(raised.value)
    assert "is not a plain file" not in told and "storage" not in told, told
