"""Roles: a rule beside each act says who may do it, nothing public is without one, and the service itself refuses."""

from __future__ import annotations

import copy
import functools
import inspect
import operator
import pickle
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

import opstore
from opstore.access.people import RoleBook, RoleFile
from opstore.access.roles import LOCAL, ROLES, Act, Person, Role, act, acting, part
from opstore.access.signouts import KEPT, KEPT_AS, NAME, SignOuts
from opstore.analytics.queries import Analytics
from opstore.api import Api, middleware
from opstore.app import App, Settings
from opstore.care import Care
from opstore.comparing.reviews import Reviews
from opstore.curation import Curation, Edit, annotations_of
from opstore.errors import InvalidSetting, NotAllowed, OpstoreError
from opstore.exports import Exports
from opstore.generation import Generation
from opstore.generation.request import SmartRequest
from opstore.index import Index
from opstore.jobs.once import Once, Request
from opstore.lineage.branches import Branches
from opstore.media.thumbnails import Thumbnails
from opstore.service import NewOperation, Service
from opstore.shares import Shares
from opstore.storage.files import Folder
from opstore.storage.packs.library import Library
from opstore.storage.store import Store
from tests.job_programs import until
from tests.samples import ID, PNG

EACH = {role: Person(role.title(), frozenset({role})) for role in ROLES}
NOBODY = Person("Nobody", frozenset())
REQUEST = NewOperation("text_to_image", "a boat")


@pytest.fixture
def app(tmp_path: Path) -> App:
    """An app that does not run, with one operation."""
    app = App(Settings(data=tmp_path / "data"))
    app.store.save(ID, {"operationType": "text_to_image", "prompt": "a boat"}, outputs=[PNG])
    app.index.update()
    return app


def acts(view: object) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield what can be done through a view, at its parts too, by its path; a part that is refused whole is asked for."""
    for name in dir(view):
        if name.startswith("_") or name in ("person", "may"):
            continue
        if not isinstance(inspect.getattr_static(view, name), property):
            yield name, getattr(view, name)
            continue
        try:
            part = getattr(view, name)
        except NotAllowed:
            part = None
        if type(part).__name__.endswith("View"):
            yield from ((f"{name}.{inner}", do) for inner, do in acts(part))
        else:
            yield name, functools.partial(getattr, view, name)


# -- the rules -----------------------------------------------------------------------------------------------------------


def test_a_part_with_an_act_without_a_rule_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="no rule says who may do bare, given, said, stated of Part"):

        @part()
        class Part:
            @act(*Role)
            def ruled(self) -> None: ...

            def bare(self) -> None: ...

            @property
            def given(self) -> None: ...

            @staticmethod
            def said() -> None: ...

            @classmethod
            def stated(cls) -> None: ...


def test_a_rule_holds_whichever_decorator_it_stands_above_or_below() -> None:
    @part(*Role)
    class Part:
        @act(Role.ADMIN)
        @staticmethod
        def above() -> None: ...

        @staticmethod
        @act(Role.ADMIN)
        def below() -> None: ...

        @contextmanager
        @act(Role.ADMIN)
        def inside(self) -> Iterator[None]:
            yield

        def open(self) -> None: ...

    assert EACH["creator"].may(Part.open)
    assert not any(EACH["creator"].may(admin) for admin in (Part.above, Part.below, Part.inside))


def test_everything_public_of_the_service_is_in_its_view(app: App) -> None:
    """What the service and generation are made of are parts, and of parts all public methods are acts."""
    admin = app.acting_as(EACH["admin"])
    for whole, view in ((app.service, admin.service), (app.generation, admin.generation)):
        names = {name for name in dir(whole) if not name.startswith("_")} - {"acting_as"}
        assert names == {name for name in dir(view) if not name.startswith("_")}
        assert all(getattr(view, name) is not None for name in names)
    assert {"create", "curation.annotate", "store.operations.has", "care"} <= {path for path, _do in acts(admin.service)}


def test_what_has_no_rule_is_there_for_nobody_who_signed_in(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    class Newer(Service):
        def novel(self) -> int:
            return 1

    monkeypatch.setattr(Curation, "novel", lambda self: 1, raising=False)
    newer = Newer(**{item.name: getattr(app.service, item.name) for item in fields(Service)})
    mine = newer.acting_as(EACH["admin"])
    assert newer.novel() == 1 and mine.operation(ID)
    for name in ("novel", "curation.novel", "acting_as", "index.makeshift", "index.store", "store.operations.read"):
        with pytest.raises(AttributeError):
            operator.attrgetter(name)(mine)


def test_who_has_no_role_can_do_nothing_through_a_view(app: App) -> None:
    nobody = app.acting_as(NOBODY)
    tried = [*acts(nobody.service), *acts(nobody.generation)]
    assert len(tried) > 150
    for path, do in tried:
        with pytest.raises(NotAllowed):
            pytest.fail(f"{path} gave {do()!r} to somebody without a role")


def test_a_view_gives_no_way_past_it(app: App) -> None:
    mine: Any = app.service.acting_as(EACH["reviewer"])
    for name in ("_jobs", "_preferences", "__dict__", "_target", "_person", "curation._store", "lineage._store", "table._x"):
        with pytest.raises(AttributeError):
            operator.attrgetter(name)(mine)
    for change in ("person", "_person", "_target", "create", "novel"):
        with pytest.raises(AttributeError):
            setattr(mine, change, EACH["admin"])
    for copied in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            copied(mine)
    with pytest.raises(TypeError):
        type(mine)(app.service, LOCAL)
    for inner in (Service.create, mine.create.__wrapped__):  # the function itself, which no view has asked
        with pytest.raises((NotAllowed, AttributeError)):
            inner(mine, REQUEST)
    generation = app.acting_as(EACH["reviewer"]).generation
    with pytest.raises(NotAllowed):
        generation.service.create(REQUEST)


def test_an_act_that_was_kept_stays_the_act_of_whose_view_it_came_from(app: App) -> None:
    mine, others = app.service.acting_as(EACH["reviewer"]), app.service.acting_as(EACH["admin"])
    create: Any = mine.create
    assert create.__self__ is mine, "nothing leads from it to the service itself"
    with pytest.raises(NotAllowed):
        others.once.make(Request("a", "b"), lambda operation_id: create(REQUEST))
    with ThreadPoolExecutor() as threads, pytest.raises(NotAllowed):
        threads.submit(create, REQUEST).result()
    with pytest.raises(NotAllowed):
        type(others).create(mine, REQUEST)
    assert app.service.jobs() == [] and acting() == LOCAL


def test_an_act_without_a_rule_is_a_fault_of_the_program(app: App) -> None:
    for service in (app.service, app.service.acting_as(EACH["admin"])):
        for unknown in (Service._preferred, Service.acting_as, Curation, len):
            with pytest.raises(LookupError):
                service.may(unknown)


#: Answers that say nothing of what is stored.
OPEN = {"/api/openapi.json", "/api/docs"}
FILLED = {"operation_id": ID, "id": ID, "name": f"{ID}_out.png", "subject": f"{ID}_out.png", "format": "csv", "rest": "x"}


@pytest.mark.long
def test_no_http_answer_is_given_past_the_rules(app: App) -> None:
    """Whoever has no role at all is let in here: every answer must still refuse, or it uses more than `guard.acting` gives."""
    served = TestClient(Starlette(routes=Api(lambda: app, lambda request: NOBODY).routes()), raise_server_exceptions=False)
    seen = 0
    for route in Api(lambda: app).routes():
        if not route.path.startswith("/api") or route.path in OPEN:
            continue
        path = re.sub(r"\{(\w+)[^}]*\}", lambda found: FILLED.get(found[1], ID), route.path)
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            status = served.request(method, path).status_code
            assert 400 <= status < 500, f"{method} {path} answers {status} to somebody without a role"
            seen += status == 403
    assert seen >= 8, "they were refused for that, and not all for something else"


def test_an_analyst_gets_the_report_with_its_pictures(app: App) -> None:
    app.index.update()

    def ask(role: str, **asked: str) -> Any:
        served = Starlette(routes=Api(lambda: app, lambda request: EACH[role]).routes())
        return TestClient(served, raise_server_exceptions=False).get("/api/report", params=asked)

    answer = ask("analyst", language="fr")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/html")
    assert '<html lang="fr">' in answer.text and "data:image/jpeg;base64," in answer.text
    assert ask("reviewer").status_code == 403


def test_the_app_answers_at_the_name_where_people_sign_in_and_at_no_other(app: App) -> None:
    def status(name: str, own: str | None) -> int:
        served = Starlette(routes=Api(lambda: app, lambda request: EACH["analyst"]).routes(), middleware=middleware(own=own))
        return TestClient(served, base_url=f"https://{name}", client=("127.0.0.1", 50_000)).get("/api/history").status_code

    assert status("opstore.example.org", "opstore.example.org") == 200
    assert status("opstore.example.org", None) == status("evil.example.org", "opstore.example.org") == 400
    assert status("127.0.0.1:8501", "opstore.example.org") == 200


def test_pages_never_see_the_whole_app() -> None:
    """`running()` gives everything to anybody: only the launcher, and the main script for the settings, may ask for it."""
    root = Path(opstore.__file__).parent
    asking = re.compile(r"import .*\brunning\b|def running\(\) -> App")
    users = {
        path.name for path in (*root.rglob("*.py"), *(root.parent / "pages").glob("*.py")) if asking.search(path.read_text())
    }
    assert users == {"main.py", "opened_app.py"}


# -- who may what --------------------------------------------------------------------------------------------------------

MAY: list[tuple[Act, str, set[str]]] = [
    (Service.create, "service.create", {"creator"}),
    (Generation.execute, "generation.execute", {"creator"}),
    (Generation.batch, "generation.batch", {"creator", "reviewer", "analyst"}),
    (Branches.begin, "service.branches.begin", {"creator"}),
    (Branches.turn, "service.branches.turn", set()),
    (Once, "service.once", {"creator"}),
    (Shares.create, "service.shares.create", {"creator"}),
    (Shares.rotate, "service.shares.rotate", set()),
    (Curation.annotate, "service.curation.annotate", {"creator", "reviewer"}),
    (Curation.put_in_trash, "generation.service.curation.put_in_trash", {"creator", "reviewer"}),
    (Curation.remove_for_good, "service.curation.remove_for_good", set()),
    (Reviews.vote, "service.reviews.vote", {"reviewer"}),
    (Analytics.held, "service.analytics.held", {"analyst"}),
    (Analytics.save, "service.analytics.save", set()),
    (Exports.prepare, "service.exports.prepare", {"creator", "analyst"}),
    (Service.spending, "service.spending", {"creator", "analyst"}),
    (Service.operation, "service.operation", {"creator", "reviewer", "analyst"}),
    (Service.change_preferences, "service.change_preferences", set()),
    (Index.search, "service.index.search", {"creator", "reviewer", "analyst"}),
    (Index.rebuild, "service.index.rebuild", set()),
    (Thumbnails.path, "service.thumbnails.path", {"creator", "reviewer", "analyst"}),
    (Thumbnails.stop, "service.thumbnails.stop", set()),
    (Care, "service.care", set()),
    (Care.back_up, "service.care.back_up", set()),
    (Store.read_file, "service.store.read_file", {"creator", "reviewer", "analyst"}),
    (Store.save, "service.store.save", set()),
    (Library.has, "service.store.operations.has", {"creator", "reviewer", "analyst"}),
    (Library.let_go, "service.store.operations.let_go", set()),
]


@pytest.mark.parametrize(("named", "path", "roles"), MAY, ids=[path for _named, path, _roles in MAY])
def test_a_role_may_what_it_names_and_an_admin_everything(app: App, named: Act, path: str, roles: set[str]) -> None:
    assert {role for role, person in EACH.items() if person.may(named)} == roles | {"admin"}
    assert not NOBODY.may(named) and LOCAL.may(named)
    assert Person("Both", frozenset({"reviewer", "creator"})).may(named) == bool(roles & {"reviewer", "creator"})
    for refused in EACH.keys() - roles - {"admin"}:
        with pytest.raises(NotAllowed):  # before anything else: no argument is looked at
            operator.attrgetter(path)(app.acting_as(EACH[refused]))()


def test_the_service_itself_refuses(app: App) -> None:
    reviewer = app.service.acting_as(EACH["reviewer"])
    with pytest.raises(NotAllowed, match="creator / admin") as raised:
        reviewer.create(REQUEST)
    assert raised.value.status == 403
    analyst = app.acting_as(EACH["analyst"])
    annotate = analyst.service.curation.annotate  # an act that is only named is refused to nobody yet
    for refused in (
        lambda: annotate([ID], Edit(rating=5)),
        lambda: analyst.service.curation.put_in_trash([ID]),
        lambda: analyst.service.change_preferences(parallel=2),
        lambda: analyst.service.care,
        lambda: analyst.service.store.save(ID, {}),
        lambda: analyst.generation.execute(SmartRequest("a boat")),
    ):
        with pytest.raises(NotAllowed):
            refused()
    assert app.service.jobs() == [] and annotations_of(app.service.operation(ID).sidecar)["rating"] is None
    assert app.service.curation.trashed() == []


def test_what_is_allowed_is_done_and_known_by_whom(app: App) -> None:
    reviewer = app.service.acting_as(EACH["reviewer"])
    assert reviewer.curation.annotate([ID], Edit(rating=4)).done == (ID,)
    assert annotations_of(reviewer.operation(ID).sidecar)["rating"] == 4
    assert reviewer.index.search("boat").total.n == 1
    assert reviewer.person == EACH["reviewer"] and reviewer.may(Curation.annotate) and not reviewer.may(Service.create)
    assert acting() == LOCAL, "and afterwards it is nobody's act any more"
    creator = app.acting_as(EACH["creator"])
    made = creator.service.create(REQUEST)
    assert creator.service.job(made) and creator.generation.service.jobs()[0].id == made


@pytest.mark.long
def test_who_asked_for_an_operation_is_recorded_as_far_as_the_book_says(app: App) -> None:
    ada = Person("Ada", frozenset({"creator"}), "ada@example.org", "Ada")
    made = app.service.acting_as(ada).create(REQUEST)
    smart = app.acting_as(ada).generation.execute(SmartRequest("a boat", workflow="text_to_image")).ids[0]
    failed = app.acting_as(ada).generation.execute(SmartRequest("a boat", workflow="image_edit_single")).ids[0]
    silent = app.service.acting_as(replace(ada, recorded=None)).create(REQUEST)
    app.runner.start()
    try:
        until(lambda: app.service.count_jobs() == 0)
    finally:
        app.stop()
    recorded = [app.service.operation(item).sidecar.get("createdBy") for item in (made, smart, failed, silent)]
    assert recorded == ["Ada", "Ada", "Ada", None]


def test_without_sign_in_nothing_stands_between(app: App) -> None:
    assert app.service.acting_as(LOCAL) is app.service
    assert app.acting_as(LOCAL).generation is app.generation
    assert app.service.person is LOCAL and app.service.may(Care)


# -- the book ------------------------------------------------------------------------------------------------------------

BOOK = """
[people]
"Ada@Example.org" = ["admin"]
"*@example.org" = "reviewer"
[groups]
studio = ["creator", "analyst"]
"""


def claims(email: str | None = "ada@example.org", **more: object) -> dict[str, object]:
    return {"email": email, "email_verified": True, "name": "Ada"} | more


def test_roles_come_from_the_address_its_domain_and_groups() -> None:
    book = RoleBook.parse(BOOK)
    assert book.person(claims()) == Person("Ada", frozenset({"admin", "reviewer"}), "ada@example.org", "Ada")
    assert book.person(claims(" BOB@Example.Org", name=None)).roles == {"reviewer"}
    assert book.person(claims(None, groups=["studio", "other", 5])).roles == {"creator", "analyst"}
    assert book.person(claims(None, groups="studio")).roles == {"creator", "analyst"}
    for nobody in (claims("ada@example.org.evil.test"), claims(None), {}, claims("@"), {"email": 7, "email_verified": True}):
        assert not book.person(nobody).roles


def test_a_person_is_known_by_their_provider_and_what_it_calls_them_alone() -> None:
    book, google = RoleBook.parse(BOOK), "https://accounts.google.com"
    one = book.person(claims(iss=google, sub="1"))
    same = book.person(claims("new@example.org", iss=google, sub="1", name="Ada Byron"))
    others = [book.person(claims(iss=iss, sub=sub)) for iss, sub in ((google, "2"), ("https://other.test", "1"), (None, "1"))]
    assert one.identity == same.identity and len(str(one.identity)) == 16 and one.identity not in ("1", None)
    assert len({person.identity for person in (one, *others)}) == 4 and others[2].identity is None
    assert book.person(claims(iss=google, sub="")).identity is None and book.person(claims(iss=google, sub=5)).identity is None


def test_a_sign_in_that_has_ended_is_known_until_its_cookie_has_too(tmp_path: Path) -> None:
    now = [datetime(2026, 11, 25, tzinfo=UTC)]
    ended = SignOuts(Folder(tmp_path), lambda: now[0])
    mine = {"iss": "https://a.test", "sub": "1", "iat": 5, "nonce": "x", "email": "ada@example.org"}
    assert not ended.has(mine)
    ended.note(mine)
    assert ended.has(mine) and ended.has(mine | {"name": "another"}) and not ended.has(mine | {"iat": 6, "nonce": "y"})
    assert not ended.has(mine | {"sub": "2"}) and (tmp_path / NAME).stat().st_mode & 0o077 == 0
    assert "ada" not in (tmp_path / NAME).read_text()
    ended.note({"iss": "https://a.test", "sub": "3"})  # nothing would tell it from the next one of that person
    assert not ended.has({"iss": "https://a.test", "sub": "3"})
    now[0] += KEPT + timedelta(seconds=1)
    ended.note(mine | {"nonce": "z"})
    assert not ended.has(mine) and ended.has(mine | {"nonce": "z"})


@pytest.mark.parametrize("junk", [b"", b"{", b"[" * 9_000, b"[]", b"null", b"\xff", b'{"x": 5}', b'{"x": "some day"}', None])
def test_where_it_is_not_known_which_sign_ins_have_ended_all_have_that_were_there(tmp_path: Path, junk: bytes | None) -> None:
    now = datetime(2026, 11, 25, tzinfo=UTC)
    ended = SignOuts(Folder(tmp_path), lambda: now)
    began = int(now.timestamp())
    mine, other, unsaid = ({"iss": "https://a.test", "sub": sub, "nonce": "x"} for sub in "123")
    ended.note(mine | {"iat": began - 60})
    if junk is None:
        (tmp_path / NAME).rename(tmp_path / "elsewhere")
        (tmp_path / NAME).symlink_to("elsewhere")
    else:
        (tmp_path / NAME).write_bytes(junk)
    for claims_ in (mine | {"iat": began - 60}, other | {"iat": began - 5}, unsaid, unsaid | {"iat": "x"}):
        assert ended.has(claims_)
    assert not ended.has(other | {"iat": began + 1}), "who signs in anew is in"
    ended.note(other | {"iat": began + 1})
    assert ended.has(other | {"iat": began + 1}) and ended.has(mine | {"iat": began - 60})
    assert (tmp_path / KEPT_AS).is_symlink() if junk is None else (tmp_path / KEPT_AS).read_bytes() == junk


@pytest.mark.parametrize("verified", [False, None, "false", "True", 1, "yes"])
def test_an_address_that_is_not_verified_gives_nothing(verified: object) -> None:
    person = RoleBook.parse(BOOK).person(claims(email_verified=verified))
    assert (person.roles, person.email) == (frozenset({"admin", "reviewer"}) if verified == 1 else frozenset(), person.email)


def test_a_provider_that_says_nothing_of_it_can_be_trusted_but_not_one_that_says_no() -> None:
    book = RoleBook.parse(f"{BOOK}[provider]\ntrust_unverified_email = true\n")
    unsaid = claims()
    del unsaid["email_verified"]
    assert book.person(unsaid).roles == {"admin", "reviewer"}
    assert not book.person(claims(email_verified=False)).roles


def test_groups_are_found_where_the_provider_puts_them() -> None:
    book = RoleBook.parse(f'{BOOK}[provider]\ngroups_claim = "realm_access.roles"\n')
    assert book.person(claims(None, realm_access={"roles": ["studio"]})).roles == {"creator", "analyst"}
    assert not book.person(claims(None, realm_access=["studio"])).roles
    dotted = RoleBook.parse(f'{BOOK}[provider]\ngroups_claim = "https://example.org/groups"\n')
    assert dotted.person(claims(None, **{"https://example.org/groups": ["studio"]})).roles == {"creator", "analyst"}


@pytest.mark.parametrize(("record", "kept"), [("name", "Ada"), ("email", "ada@example.org"), ("nothing", None)])
def test_what_is_recorded_of_a_person_is_as_said(record: str, kept: str | None) -> None:
    assert RoleBook.parse(f'{BOOK}[provider]\nrecord = "{record}"\n').person(claims()).recorded == kept


def test_a_name_is_plain_and_short_whatever_the_provider_says() -> None:
    assert RoleBook().person({"name": "A\n\x1b[31m\u202e" + "b" * 500}).name == "A [31m " + "b" * 73
    assert RoleBook().person({"name": 7, "preferred_username": "eve"}).name == "eve"
    assert RoleBook().person({}).name == "?"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("people = 5", "people must be a table"),
        ('[people]\n"a@b.c" = ["boss"]', "a@b.c must have"),
        ('[people]\n"a@b.c" = []', "a@b.c must have"),
        ('[people]\n"a@b.c" = [["admin"]]', "a@b.c must have"),
        ("[people", "no TOML"),
        ("[poeple]\n", "poeple means nothing"),
        ("[provider]\nrecords = 1", "provider.records means nothing"),
        ('[provider]\nrecord = "all"', "cannot be used"),
        ("[provider]\ntrust_unverified_email = 1", "cannot be used"),
    ],
)
def test_a_mistake_in_the_book_is_told_and_lets_nobody_in(text: str, says: str) -> None:
    with pytest.raises(InvalidSetting, match=says):
        RoleBook.parse(text)


def test_the_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    file = RoleFile.of(Folder(tmp_path))
    assert file.load() is None
    (tmp_path / "roles.toml").write_text(BOOK)
    first = file.load()
    assert first and first is file.load(), "and only then"
    (tmp_path / "roles.toml").write_text(BOOK.replace("admin", "analyst"))
    changed = file.load()
    assert changed and changed.person(claims()).roles == {"analyst", "reviewer"}
    (tmp_path / "roles.toml").write_bytes(b"\xff")
    with pytest.raises(InvalidSetting, match="UTF-8"):
        file.load()
    (tmp_path / "roles.toml").unlink()
    (tmp_path / "roles.toml").symlink_to("/etc/passwd")
    with pytest.raises(InvalidSetting):
        file.load()


def test_a_sign_out_that_cannot_be_noted_says_so_and_ends(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    with pytest.raises(OpstoreError):
        SignOuts(Folder(tmp_path)).note({"iss": "https://example.org", "sub": "1", "iat": 1})
