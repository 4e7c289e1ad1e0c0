"""What somebody may do is asked at the moment of the act: what a page, a request or a stream has from before gives nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from opstore.access.roles import ROLES, Person
from opstore.api import Api
from opstore.app import App
from opstore.ui.opened_app import running
from tests.samples import ID, PNG


@pytest.fixture
def app() -> Iterator[App]:
    app = running()
    app.store.save(ID, {"operationType": "text_to_image", "prompt": "a boat"}, outputs=[PNG])
    app.index.update()
    yield app
    app.stop()


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
