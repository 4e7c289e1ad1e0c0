"""Sign-in as people meet it: a real provider, a real browser; each role sees and may what it should, and the door holds."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from itsdangerous import URLSafeTimedSerializer
from joserfc import jwt
from joserfc.jwk import OctKey
from playwright.sync_api import expect

from opstore.app import App, Settings
from tests.browser import PATIENCE, Server, Visitor, Windows
from tests.job_programs import until
from tests.oidc_provider import CLIENT, SECRET, Fault, Provider
from tests.samples import ID

pytest_plugins = ("tests.browser_fixtures",)
pytestmark = pytest.mark.long

TOKEN = "for-programs-only"
COOKIE_SECRET = "c" * 64
PEOPLE = {
    "Ada": {"name": "Ada Admin", "email": "ada@example.org", "email_verified": True},
    "Cleo": {"name": "Cleo <b>Creator</b>", "email": "cleo@example.org", "email_verified": True},
    "Rob": {"name": "Rob Reviewer", "email": "rob@elsewhere.test", "email_verified": True, "groups": ["critics"]},
    "Ana": {"name": "Ana Analyst", "email": "ana@example.org", "email_verified": True},
    "Eve": {"name": "Eve", "email": "ada@example.org", "email_verified": False},
}
ROLES = """
[people]
"ada@example.org" = ["admin"]
"cleo@example.org" = ["creator"]
"ana@example.org" = ["analyst"]
[groups]
critics = ["reviewer"]
"""


class Guarded(Server):
    """A server that people sign in at; the test itself holds the token for programs."""

    def __init__(self, data: Path, provider: Provider) -> None:
        home = data.parent / "home"
        super().__init__(data, HOME=str(home), OPSTORE_API_TOKEN=TOKEN, AUTHLIB_INSECURE_TRANSPORT="1")
        provider.redirect_uri = f"{self.address}/oauth2callback"
        (home / ".streamlit").mkdir(parents=True)
        auth = {
            "redirect_uri": provider.redirect_uri,
            "cookie_secret": COOKIE_SECRET,
            "client_id": CLIENT,
            "client_secret": SECRET,
            "server_metadata_url": provider.discovery,
        }
        lines = (f"{name} = {json.dumps(value)}\n" for name, value in auth.items())
        (home / ".streamlit" / "secrets.toml").write_text(f"[auth]\n{''.join(lines)}")

    def read(self, path: str) -> bytes:
        """Return the bytes at `path`, as a program with the token gets them."""
        return self.call("GET", path, Authorization=f"Bearer {TOKEN}")[1]

    def call(self, method: str, path: str, **headers: str) -> tuple[int, bytes]:
        """Return status and bytes of one request with just these headers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider(PEOPLE).serving() as provider:
        yield provider


@pytest.fixture(scope="module")
def served(
    windows: Windows, provider: Provider, photo: Callable[..., bytes], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Guarded]:
    server = Guarded(tmp_path_factory.mktemp("signin") / "data", provider)
    store = App(Settings(data=server.data)).store
    store.save(ID, {"operationType": "text_to_image", "prompt": "a cat at the door"}, outputs=[photo("chelsea", size=(200, 150))])
    (server.data / "roles.toml").write_text(ROLES)
    server.start()
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def sound(provider: Provider) -> None:
    provider.fault = ""


def sign_in(visitor: Visitor, who: str) -> None:
    """Go to the door, through the provider's page, and back."""
    page = visitor.page
    page.goto(visitor.address)
    page.get_by_role("button", name="Sign in", exact=True).click(timeout=PATIENCE)
    page.get_by_role("link", name=who).click(timeout=PATIENCE)


@contextmanager
def signed_in(windows: Windows, served: Guarded, who: str, **more: Any) -> Iterator[Visitor]:
    with windows.visit(served, **more) as visitor:
        visitor.page.add_init_script(TIMERS)
        sign_in(visitor, who)
        expect(visitor.page.get_by_role("button", name="Sign out")).to_be_visible(timeout=PATIENCE)
        visitor.settle()
        yield visitor
        visitor.page.context.clear_cookies()


def pages(visitor: Visitor) -> list[str]:
    """Return the names of the pages that the navigation offers."""
    found = visitor.page.locator('[data-testid="stTopNavLink"]')
    expect(found.first).to_be_visible(timeout=PATIENCE)
    return found.all_inner_texts()


def cookie(visitor: Visitor) -> str:
    """Return what a program could send that has taken the browser's cookies."""
    return "; ".join(f"{item['name']}={item['value']}" for item in visitor.page.context.cookies())


def test_nothing_is_shown_or_answered_before_sign_in(windows: Windows, served: Guarded, tmp_path: Path) -> None:
    with windows.visit(served) as visitor:
        for path in ("/", f"/library?operation={ID}", "/storage"):
            visitor.page.goto(served.address + path)
            expect(visitor.page.get_by_role("button", name="Sign in", exact=True)).to_be_visible(timeout=PATIENCE)
            assert (
                "cat" not in visitor.page.inner_text("body") and not visitor.page.locator('[data-testid="stTopNavLink"]').count()
            )
        visitor.page.screenshot(path=tmp_path / "door.png")
    closed = (
        f"/api/files/{ID}_out.jpg",
        f"/api/thumbnails/{ID}",
        "/api/history",
        "/api/search",
        "/api/health",
        "/api/export?format=csv",
    )
    for path in (*closed, "/media/x.png", "/_stcore/metrics"):
        status, body = served.call("GET", path)
        assert (status, json.loads(body)) == (401, {"success": False, "error": "Sign in first."}), path
    assert served.call("PUT", "/_stcore/upload_file/x/y")[0] == 401
    assert served.call("GET", "/s/nothing")[0] == 404, "links answer for themselves"
    assert served.call("GET", "/_stcore/health")[0] == 200, "what a service manager asks"
    assert served.get("/api/history")["count"] == 1, "a program with the token"


def test_an_admin_sees_every_page(windows: Windows, served: Guarded) -> None:
    with signed_in(windows, served, "Ada") as visitor:
        assert pages(visitor) == ["Create", "Library", "Compare", "Analytics", "Storage", "Settings"]
        expect(visitor.page.locator(".ops-person")).to_have_text("Ada Admin")


def test_a_reviewer_may_review_and_no_more(windows: Windows, served: Guarded) -> None:
    with signed_in(windows, served, "Rob") as visitor:
        page = visitor.page
        page.wait_for_url("**/library*")
        assert pages(visitor) == ["Library", "Compare", "Settings"]
        page.goto(f"{served.address}/storage")
        visitor.settle()
        expect(page.locator('[data-testid="stException"]')).to_have_count(0)
        assert page.get_by_text("Clean-up", exact=True).count() == 0
        visitor.open(f"/library?operation={ID}")
        drawer = visitor.dialog
        expect(drawer.locator(".ops-prompt")).to_have_text("a cat at the door", timeout=PATIENCE)
        visitor.pictures_loaded()
        for refused in ("Run again", "Use these settings", "Edit this", "Share"):
            expect(drawer.get_by_role("button", name=refused)).to_have_count(0)
        with page.expect_download(timeout=PATIENCE) as saved:
            drawer.get_by_role("link", name="Download").click()
        assert (
            saved.value.path().read_bytes() == served.call("GET", f"/api/files/{ID}_out.jpg?download", Cookie=cookie(visitor))[1]
        )
        drawer.locator('[data-testid="stFeedback"] button').nth(3).click()
        until_rated(served, 4)
        held = {"Cookie": cookie(visitor)}
        assert served.call("GET", f"/api/files/{ID}_out.jpg", **held)[0] == 200
        assert served.call("GET", "/api/history", **held)[0] == 200
        status, body = served.call("GET", "/api/export?format=csv", **held)
        assert status == 403 and "creator / analyst / admin" in json.loads(body)["error"]
        assert served.call("GET", "/api/report", **held)[0] == 403
        status, body = served.call("POST", "/api/history", **held)
        assert status == 403 and "Another site" in json.loads(body)["error"], "a form on another site is no click here"
        assert served.call("POST", "/api/history", **held, Origin="http://127.0.0.1:1")[0] == 403
        assert served.call("POST", "/api/history", **held, Origin=served.address)[0] == 405


def until_rated(served: Guarded, stars: int) -> None:
    until(lambda: (served.get(f"/api/history/{ID}")["operation"].get("annotations") or {}).get("rating") == stars)


def test_what_a_creator_makes_says_who_asked_for_it(windows: Windows, served: Guarded, photo: Callable[..., bytes]) -> None:
    with signed_in(windows, served, "Cleo") as visitor:
        assert pages(visitor) == ["Create", "Library", "Compare", "Settings"]
        expect(visitor.page.locator(".ops-person")).to_have_text("Cleo <b>Creator</b>")  # as text, whatever it is
        visitor.upload(("cat.jpg", photo("chelsea", size=(200, 150))))
        visitor.ask("sepia")
        made = served.stored("sepia")
        assert made["createdBy"] == "Cleo <b>Creator</b>" and made["inputCount"] == 1
        visitor.open(f"/library?operation={made['operationId']}")
        expect(visitor.dialog.get_by_text("Cleo <b>Creator</b>").first).to_be_visible(timeout=PATIENCE)


def test_who_loses_a_role_or_signs_out_is_out(windows: Windows, served: Guarded, provider: Provider) -> None:
    with signed_in(windows, served, "Ana") as visitor:
        assert pages(visitor) == ["Library", "Compare", "Analytics", "Settings"]
        held = {"Cookie": cookie(visitor)}
        assert served.call("GET", "/api/history", **held)[0] == 200
        stream = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
        stream.request("GET", "/api/events", headers=held)
        events = stream.getresponse()
        assert events.status == 200 and events.readline()
        try:
            (served.data / "roles.toml").write_text(ROLES.replace('"ana@', '"ina@'))
            events.read()  # to its end, where it waited for what happens
            stream.close()
            assert served.call("GET", "/api/history", **held)[0] == 403
            visitor.page.goto(served.address)
            expect(visitor.page.get_by_text("has no role here")).to_be_visible(timeout=PATIENCE)
            (served.data / "roles.toml").write_text(ROLES + "nonsense")
            assert served.call("GET", "/api/history", **held)[0] == 503
        finally:
            (served.data / "roles.toml").write_text(ROLES)
        visitor.open("/library")
        held = {"Cookie": cookie(visitor)}
        other = visitor.page.context.new_page()
        other.goto(f"{served.address}/library")
        expect(other.get_by_role("button", name="Sign out")).to_be_visible(timeout=PATIENCE)
        before = provider.signed_out
        visitor.page.get_by_role("button", name="Sign out").click()
        expect(visitor.page.get_by_role("button", name="Sign in", exact=True)).to_be_visible(timeout=PATIENCE)
        assert provider.signed_out == before + 1, "at the provider too"
        assert not [item for item in visitor.page.context.cookies() if item["name"].startswith("_streamlit_user")]
        assert served.call("GET", "/api/history", Cookie=cookie(visitor))[0] == 401
        # Another window of that browser ends by itself, untouched, and a cookie that somebody has copied lets nobody in.
        expect(other.get_by_role("button", name="Sign in", exact=True)).to_be_visible(timeout=PATIENCE)
        assert served.call("GET", "/api/history", **held)[0] == 401
        other.close()


def test_somebody_unknown_sees_that_and_nothing_else(windows: Windows, served: Guarded, tmp_path: Path) -> None:
    """Eve gives Ada's address, which her provider has not verified."""
    with windows.visit(served) as visitor:
        sign_in(visitor, "Eve")
        expect(visitor.page.get_by_text("has no role here")).to_be_visible(timeout=PATIENCE)
        assert "cat" not in visitor.page.inner_text("body") and not visitor.page.locator('[data-testid="stTopNavLink"]').count()
        assert served.call("GET", "/api/history", Cookie=cookie(visitor))[0] == 403
        visitor.page.get_by_role("button", name="Sign in as somebody else").click()
        expect(visitor.page.get_by_role("button", name="Sign in", exact=True)).to_be_visible(timeout=PATIENCE)
        visitor.page.context.clear_cookies()


def made(origin: str, secret: str = COOKIE_SECRET, age: int = 0, aud: str | None = CLIENT, is_logged_in: object = True) -> str:
    """Return the cookie of somebody who knows, or not, the secret that it is signed with."""
    who = {"is_logged_in": is_logged_in, "provider": "default", "aud": aud, "origin": origin, **PEOPLE["Ada"]}
    moment = int(time.time()) - age
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("itsdangerous.timed.TimestampSigner.get_timestamp", lambda self: moment)
        return f"_streamlit_user={URLSafeTimedSerializer(secret, salt='_streamlit_user').dumps(json.dumps(who))}"


def test_only_a_cookie_that_is_wholly_right_counts(served: Guarded) -> None:
    here = served.address
    right = made(here)
    assert served.call("GET", "/api/history", Cookie=right)[0] == 200, "so each of the others fails for its own reason"
    for cookie in (
        made(here, secret="d" * 64),
        made(here, age=40 * 86_400),
        made(""),
        made(here.replace("127.0.0.1", "localhost")),
        made(here, aud="another program"),
        made(here, aud=None),
        made(here, is_logged_in=False),
        made(here, is_logged_in="yes"),
        right.replace(".", "", 1),
        right.replace("_streamlit_user=", "_streamlit_user_tokens="),
        "_streamlit_user=\xe9",
    ):
        assert served.call("GET", "/api/history", Cookie=cookie)[0] == 401, cookie
    assert served.call("GET", "/api/history", Authorization="Bearer wrong")[0] == 401
    assert served.call("GET", "/api/history", Cookie=right, Host="evil.example.org")[0] == 400


def test_a_sound_token_lets_in_on_the_way_on_which_the_others_fail(served: Guarded, provider: Provider) -> None:
    assert status_after(served, provider, "") == 200


@pytest.mark.parametrize("fault", ["nonce", "expired", "issuer", "key", "unsigned", "audience"])
def test_a_token_with_a_fault_lets_nobody_in(served: Guarded, provider: Provider, fault: Fault) -> None:
    """The checks are Authlib's, but for the audience, which is ours; each must be switched on."""
    assert status_after(served, provider, fault) == 401


def status_after(served: Guarded, provider: Provider, fault: Fault) -> int:
    """Sign in as a browser does, without one: follow every redirect with the cookies; return what /api says then."""
    provider.fault = fault
    with httpx.Client(follow_redirects=True, base_url=served.address) as browser:
        page = browser.get(f"/auth/login?provider={provider_token()}")
        browser.get(page.url.copy_merge_params({"who": "Ada"}))
        return browser.get("/api/history").status_code


def provider_token() -> str:
    """Return what `st.login` puts into the address that it leads to."""
    return jwt.encode({"alg": "HS256"}, {"provider": "default", "exp": int(time.time()) + 60}, OctKey.import_key(COOKIE_SECRET))


# -- a role that is taken away while its page is open ----------------------------------------------------------------------

#: Nothing but another role: what the page was drawn with is not there any more.
EXPELLED = ROLES.replace('"cleo@', '"nobody@').replace("critics", "nobody")
LOWERED = ROLES.replace('"creator"', '"analyst"').replace('critics = ["reviewer"]', 'critics = ["analyst"]')


#: Lets a page be told to leave its timers out: parts of it look by themselves, every few seconds, at the rights of who reads it.
TIMERS = """if (!window.opstoreTimers) {
  window.opstoreTimers = setInterval;
  window.setInterval = (act, every, ...rest) =>
    opstoreTimers(() => (every < 1000 || !window.opstoreStill) && act(), every, ...rest);
}"""


#: Leaves them out, and waits until the page has rested for a second: what was written is told after a pause of 0.4 s.
STILL = """() => new Promise(done => {
  window.opstoreStill = true;
  let rested = 0;
  const look = setInterval(() => {
    rested = document.querySelector('[data-test-script-state="notRunning"]') ? rested + 1 : 0;
    if (rested < 5) return;
    clearInterval(look);
    done();
  }, 200);
})"""


def still(visitor: Visitor) -> None:
    """Let nothing run by itself any more: what is pressed next is the first that the page hears of a role that has gone."""
    visitor.settle()
    visitor.page.evaluate(STILL)
    visitor.settle()


@contextmanager
def book(served: Guarded, text: str) -> Iterator[None]:
    (served.data / "roles.toml").write_text(text)
    try:
        yield
    finally:
        (served.data / "roles.toml").write_text(ROLES)


@pytest.fixture
def rated(served: Guarded) -> int:
    """Return the rating that must stay."""
    held = served.get(f"/api/history/{ID}")["operation"].get("annotations") or {}
    return int(held.get("rating") or 0)


def rating(served: Guarded) -> int:
    return int((served.get(f"/api/history/{ID}")["operation"].get("annotations") or {}).get("rating") or 0)


@pytest.mark.parametrize("control", ["stars", "favorite", "key"])
def test_the_first_act_in_the_drawer_after_the_role_has_gone_is_refused(
    windows: Windows, served: Guarded, rated: int, control: str
) -> None:
    with signed_in(windows, served, "Rob") as visitor:
        visitor.open(f"/library?operation={ID}")
        drawer = visitor.dialog
        expect(drawer.locator('[data-testid="stFeedback"] button')).to_have_count(5, timeout=PATIENCE)
        still(visitor)
        with book(served, EXPELLED):
            if control == "stars":
                drawer.locator('[data-testid="stFeedback"] button').nth(0 if rated != 1 else 1).click()
            elif control == "favorite":
                drawer.get_by_text("Favorite", exact=True).click()
            else:
                visitor.page.keyboard.press("5" if rated != 5 else "4")
            expect(visitor.page.get_by_text("has no role here")).to_be_visible(timeout=PATIENCE)
            visitor.settle()
            assert rating(served) == rated
            annotations = served.get(f"/api/history/{ID}")["operation"].get("annotations") or {}
            assert not annotations.get("favorite")
        assert not [text for text in visitor.wrong if "delta path" in text], "the part that was asked for has gone with its page"
        assert "NoneType" not in served.log(), served.log()


def test_the_first_act_in_the_grid_after_the_role_has_gone_is_refused_in_words(
    windows: Windows, served: Guarded, rated: int
) -> None:
    with signed_in(windows, served, "Rob") as visitor:
        visitor.open("/library")
        tile = visitor.page.locator(f'[data-id="{ID}"]').first
        expect(tile).to_be_visible(timeout=PATIENCE)
        tile.click(modifiers=["Control"])
        still(visitor)
        with book(served, LOWERED):
            visitor.page.keyboard.press("Delete")
            expect(visitor.page.get_by_text("Your role does not allow this").first).to_be_visible(timeout=PATIENCE)
            assert served.get(f"/api/history/{ID}")["success"] and rating(served) == rated


def test_a_creator_that_was_makes_no_link_and_nothing_else_and_is_told(windows: Windows, served: Guarded) -> None:
    shares = served.data / "shares"
    with signed_in(windows, served, "Cleo") as visitor:
        visitor.open(f"/library?operation={ID}")
        visitor.dialog.get_by_role("button", name="Share").click()
        make = visitor.page.get_by_role("button", name="Make a link")
        expect(make).to_be_visible(timeout=PATIENCE)
        still(visitor)
        with book(served, LOWERED):
            make.click()
            expect(visitor.page.get_by_text("Your roles have changed")).to_be_visible(timeout=PATIENCE)
            expect(visitor.page.get_by_text("Nothing was done")).to_be_visible(timeout=PATIENCE)
            assert not list(shares.glob("*.json"))
        visitor.open("/")
        visitor.page.get_by_label("What do you want to make?").fill("a lighthouse nobody asked for")
        still(visitor)
        with book(served, LOWERED):
            visitor.page.get_by_role("button", name="Generate").click()
            expect(visitor.page.get_by_text("Your roles have changed")).to_be_visible(timeout=PATIENCE)
            expect(visitor.page.get_by_text("Nothing was done")).to_be_visible(timeout=PATIENCE)
            assert not served.get("/api/jobs")["jobs"] and served.get("/api/search?q=nobody")["total"]["n"] == 0
