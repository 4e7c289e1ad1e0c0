"""Every page as each role sees it: nothing breaks, nothing that is refused is offered, and the door stands before all of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from opstore.access.roles import Person
from opstore.app import App, Settings
from opstore.care import Care
from opstore.errors import NoRole, OpstoreError, SignInBroken, SignInWanted
from opstore.ui import signin
from opstore.ui.opened_app import opened, running
from opstore.ui.streamlit_private import signed_in
from tests.samples import ID, LATER, PNG
from tests.test_pages import MAIN, PATIENCE, sound

PAGES = {
    "library": {},
    "library of one": {"operation": ID},
    "library in the trash": {"view": "trash"},
    "compare": {},
    "compare two": {"ids": f"{ID},{LATER}"},
    "lineage": {"id": LATER},
    "review": {},
    "review under way": {"id": ""},
    "settings": {},
}
MORE = {"creator": ("create",), "reviewer": (), "analyst": ("analytics",), "admin": ("create", "analytics", "storage")}
#: What a role must not be offered, by the label of the control.
REFUSED = {
    "creator": {"Start", "Remove for good", "Clean-up"},
    "reviewer": {"Run again", "Use these settings", "Edit this", "Share", "Export", "Make a link"},
    "analyst": {"Run again", "Use these settings", "Share", "Move to trash", "Start", "Make a link"},
    "admin": set[str](),
}


@pytest.fixture
def app() -> Iterator[App]:
    app = running()
    app.store.save(ID, {"operationType": "text_to_image", "prompt": "a boat"}, outputs=[PNG])
    later: dict[str, Any] = {"operationType": "image_edit_single", "prompt": "a red boat", "parents": [ID]}
    app.store.save(LATER, later, inputs=[PNG], outputs=[PNG])
    app.index.update()
    yield app
    app.stop()


@pytest.mark.long
@pytest.mark.parametrize("role", MORE)
def test_each_role_sees_every_page_that_it_has_without_a_refusal(app: App, monkeypatch: pytest.MonkeyPatch, role: str) -> None:
    review = app.service.reviews.begin("Boats", ids=[ID, LATER]).id
    monkeypatch.setattr(signin, "person", lambda settings: Person("Kim", frozenset({role})))
    for name, asked in (*PAGES.items(), *((page, {}) for page in MORE[role])):
        at = AppTest.from_file(MAIN, default_timeout=PATIENCE)
        at.run()
        for key, value in asked.items():
            at.query_params[key] = value or review
        at.switch_page(f"../../pages/{name.split()[0]}.py").run()
        sound(at)
        told = "\n".join(element.proto.body for element in at.get("html"))
        assert "Your role does not allow" not in told, f"{role} on {name}"
        labels = {button.label for button in at.button if not button.disabled} | {
            item.proto.popover.label for item in at.get("popover")
        }
        assert not labels & REFUSED[role], f"{role} on {name}"
        assert "Sign out" in labels and "Kim" in told


def test_a_role_has_no_pages_beside_its_own(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signin, "person", lambda settings: Person("Kim", frozenset({"reviewer"})))
    at = AppTest.from_file(MAIN, default_timeout=PATIENCE)
    at.run()
    assert not at.text_area, "Create is not where a reviewer begins"


@pytest.mark.parametrize("error", [SignInWanted(), NoRole(name="eve@example.org"), SignInBroken(reason="no roles")])
def test_whoever_is_not_let_in_sees_the_door_and_nothing_behind_it(
    app: App, monkeypatch: pytest.MonkeyPatch, error: OpstoreError
) -> None:
    def refuse(settings: Settings) -> Person:
        raise error

    monkeypatch.setattr(signin, "person", refuse)
    monkeypatch.setattr(signed_in, "settings", lambda: {"client_id": "x", "google": {"client_id": "y"}})
    at = AppTest.from_file(MAIN, default_timeout=PATIENCE)
    at.run()
    sound(at)
    labels = [button.label for button in at.button]
    wanted = {SignInWanted: ["Sign in", "Sign in with Google"], NoRole: ["Sign in as somebody else"], SignInBroken: []}
    assert labels == wanted[type(error)]
    assert not at.text_input and not at.text_area and not at.selectbox
    with pytest.raises(type(error)):
        opened()


# -- half of it set up ---------------------------------------------------------------------------------------------------

GOOD = {"client_id": "x", "cookie_secret": "c" * 32, "redirect_uri": "https://opstore.example.org/oauth2callback"}
ROLES = '[people]\n"ada@example.org" = "admin"\n'


@pytest.mark.parametrize(
    ("auth", "book", "says"),
    [
        ({}, ROLES, "secrets.toml"),
        (GOOD, None, "no roles.toml"),
        (GOOD, "[people", "no TOML"),
        (GOOD | {"cookie_secret": "short"}, ROLES, "cookie_secret"),
        ({"client_id": "x"}, ROLES, "cookie_secret"),
        ({key: value for key, value in GOOD.items() if key != "redirect_uri"}, ROLES, "redirect_uri"),
    ],
)
def test_what_is_set_up_by_half_lets_nobody_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, auth: dict[str, str], book: str | None, says: str
) -> None:
    monkeypatch.setattr(signed_in, "settings", lambda: auth)
    monkeypatch.setattr(signed_in, "origin", lambda: auth.get("redirect_uri"))
    if book is not None:
        (tmp_path / "roles.toml").write_text(book)
    with pytest.raises(SignInBroken, match=says):
        signin.person(Settings(data=tmp_path))
    (tmp_path / "elsewhere.toml").write_text(book or ROLES)
    if auth == GOOD and book is None:
        with pytest.raises(SignInWanted):
            signin.person(Settings(data=tmp_path, roles=tmp_path / "elsewhere.toml"))
    with pytest.raises(SignInBroken):
        signin.person(Settings(data=tmp_path, roles=tmp_path / "gone.toml"))


def test_without_either_file_there_is_no_sign_in(tmp_path: Path) -> None:
    assert signin.person(Settings(data=tmp_path)).may(Care)
