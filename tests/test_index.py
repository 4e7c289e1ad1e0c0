"""The index finds what the sidecars say: row for row, search for search, page for page, and whatever happens to its file."""

from __future__ import annotations

import atexit
import functools
import itertools
import json
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opstore.errors import CreateUncertain, DamagedOperation, InvalidQuery, InvalidRequest
from opstore.errors.failure import KINDS
from opstore.index import ORDERS, Count, Index, Row
from opstore.index.entry import Entry, entry_of, sidecar_of
from opstore.index.known_ids import Known
from opstore.index.order import WIDTH, id_of, moment_of, second_of, short_key, spread, wanted
from opstore.providers.old_failures import error_kind
from opstore.storage.names import time_of
from opstore.storage.operation import Operation, decode, encode, seed_of
from opstore.storage.store import Store
from tests.examples import some
from tests.index_samples import IDS, TODAY, Queries, all_rows, clock, folder_of, plant, random_sidecar, rows_of, settle
from tests.search_oracle import matching, ordered
from tests.test_index_language import TEXTS

SEEDS = (1, 2, 3)
ID = "20251103143022_abc123de"


@pytest.fixture(scope="module", params=SEEDS)
def library(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Index, list[Row]]:
    """An index over random operations, and their rows."""
    store = folder_of(tmp_path_factory.mktemp("library"), 150, request.param)
    index = Index(store, clock=clock)
    index.update()
    return index, rows_of(store)


# -- a sidecar becomes a row ---------------------------------------------------------------------------------------------


def test_a_row_says_what_the_operation_says() -> None:
    chance = random.Random(7)
    for _ in range(500):
        sidecar = random_sidecar(chance, ID)
        view, entry = Operation.of(sidecar), entry_of(sidecar, ID)
        assert (entry.type, entry.status, entry.prompt, entry.output) == (view.type, view.status, view.prompt, view.output)
        assert (entry.provider, entry.model) == (view.provider, view.model)
        assert entry.seed == seed_of(sidecar)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
KEYS = st.sampled_from(
    ["prompt", "operationType", "files", "cost", "annotations", "parents", "batchId", "error", "inputFiles", "outputFile", "x"]
)


@given(st.dictionaries(KEYS, JSON_VALUES, max_size=6), st.booleans())
def test_the_fast_decoder_judges_as_the_careful_one(values: dict[str, Any], is_ascii: bool) -> None:
    data = json.dumps({"operationId": ID, **values}, ensure_ascii=is_ascii).encode("utf-8", "surrogatepass")
    try:
        careful: Any = decode(data, ID)
    except DamagedOperation as error:
        with pytest.raises(DamagedOperation) as caught:
            sidecar_of(data, ID)
        assert caught.value.details == error.details
        return
    sidecar = sidecar_of(data, ID)
    assert sidecar == careful
    assert isinstance(entry_of(sidecar, ID), Entry)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b'{"operationId": "20251103143022_abc123de", "x": 1e999}',
        b'{"operationId": "20251103143022_abc123de", "x": NaN}',
        b'{"operationId": "20251103143022_abc123de", "x": "\\ud800"}',
        b'{"operationId": "20251103143022_abc123de", "x": ' + b"[" * 120 + b"]" * 120 + b"}",
        b'{"operationId": "20251103143022_abc123de", "x": ' + b"9" * 400 + b"}",
        b'{"operationId": "20251103143022_abc123de"}' + b" " * 5_000_000,
        b'{"operationId": "20251103143022_ffffffff"}',
        '{"operationId": "20251103143022_abc123de"}'.encode("utf-16"),
        b'\xef\xbb\xbf{"operationId": "20251103143022_abc123de"}',
    ],
)
def test_the_fast_decoder_refuses_what_the_careful_one_refuses(data: bytes) -> None:
    assert outcome(sidecar_of, data) == outcome(decode, data)


def outcome(decoder: Any, data: bytes) -> object:
    """Return the text of what a decoder makes of bytes, numbers of different types told apart, or why it refuses."""
    try:
        return repr(decoder(data, ID))
    except DamagedOperation as error:
        return error.details["reason"]


@given(st.data())
def test_whatever_is_broken_in_a_sidecar_the_fast_decoder_judges_as_the_careful_one(data: st.DataObject) -> None:
    whole = encode(random_sidecar(random.Random(data.draw(st.integers(0, 20))), ID))
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, min(start + 3, len(whole))))
    pieces = b'~\xff~\xc3~\xed\xa0\x80~\x00~\n~\\~"~\\ud83d~\\u00e9~e999~NaN~-~0~,~]~}'.split(b"~")
    broken = whole[:start] + data.draw(st.sampled_from(pieces)) + whole[end:]
    assert outcome(sidecar_of, broken) == outcome(decode, broken)


@pytest.mark.parametrize(
    ("text", "status", "kind"),
    [
        ("NSFW content detected", "failed", "nsfw"),
        ("The model's safety filter refused this prompt", "failed", "nsfw"),
        ("Prediction timed out after 300s", "failed", "timeout"),
        ("The result did not arrive within 60 seconds.", "failed", "timeout"),
        ("Request was throttled. status 429", "failed", "rate limit"),
        ("402 Payment Required: insufficient credit", "failed", "payment"),
        ("connect ECONNREFUSED 127.0.0.1:443", "failed", "network"),
        ("The result could not be downloaded: gone away", "failed", "network"),
        ("Input validation failed", "failed", "invalid input"),
        ("CUDA out of memory", "failed", "memory"),
        ("Prediction interrupted; please retry (code: PA)", "failed", "interrupted"),
        ("ENOSPC: no space left on device", "failed", "storage"),
        ("Unexpected token < in JSON at position 0", "failed", "not understood"),
        ("Prediction was canceled by the user", "failed", "canceled"),
        ("401 Unauthorized: no valid token", "failed", "access"),
        ("404 model version not found", "failed", "not found"),
        ("connect ENOTFOUND api.example.com", "failed", "network"),
        ("list index out of range", "failed", "crash"),
        ("RuntimeError: expected scalar type Half", "failed", "crash"),
        (str(CreateUncertain(reason="the connection broke")), "unknown", "uncertain"),
        ("anything", "canceled", "canceled"),
        ("anything", "expired", "expired"),
        ("anything", "aborted", "aborted"),
        ("qqq", "failed", "other"),
        (None, "failed", "other"),
        (None, "stored", None),
        ("", "result missing", None),
    ],
)
def test_an_error_has_a_kind(text: str | None, status: str, kind: str | None) -> None:
    assert error_kind(text, status) == kind
    assert kind is None or kind in KINDS


# -- order ---------------------------------------------------------------------------------------------------------------

DIGITS = st.from_regex(r"\A(0000|0001|2019|2024|2025|9999)([0-9]{2}|0[12]|12)([0-9]{2}|3[01]|00)[0-9]{6}_[0-9a-f]{6,8}\Z")


@given(DIGITS, DIGITS)
def test_numbers_are_in_the_order_of_ids(one: str, other: str) -> None:
    assert (one < other) <= (second_of(one) <= second_of(other))
    assert (time_of(one) or moment_of(one)) == moment_of(one)
    assert id_of(wanted(one), short_key(one, wanted(one))) == one
    assert one[:14] != other[:14] or (one < other) <= (wanted(one) <= wanted(other))


@given(
    st.lists(st.from_regex(r"\A20251103143022_[0-9a-f]{8}\Z"), min_size=1, max_size=WIDTH * 3 // 4, unique=True),
    st.sampled_from([WIDTH, 2 * WIDTH]),
)
def test_ids_of_one_second_are_spread(ids: list[str], size: int) -> None:
    start = wanted(ids[0]) // WIDTH * WIDTH
    numbers = spread(sorted(ids), start, size)
    assert numbers == sorted(set(numbers)) and start <= numbers[0] and numbers[-1] < start + size


@pytest.mark.long
@pytest.mark.parametrize("shuffle", [False, True])
def test_a_second_may_have_more_operations_than_numbers(tmp_path: Path, shuffle: bool) -> None:
    store, chance = Store(tmp_path), random.Random(5)
    crowd = [f"20251103143022_{number:08x}" for number in range(300)]
    around = [f"202511031430{second:02}_{chance.getrandbits(32):08x}" for second in range(18, 27) for _ in range(3)]
    ids = sorted({*crowd, *around})
    order = chance.sample(ids, len(ids)) if shuffle else ids
    index = Index(store, clock=clock)
    for part in (order[:200], order[200:]):
        for operation_id in part:
            plant(store, {"operationId": operation_id, "prompt": "chat", "success": True})
            index.refresh(operation_id) if shuffle else None
        index.update()
    assert [row.id for row in all_rows(index, "chat", size=50)] == ids[::-1]
    assert [row.id for row in all_rows(index, "id:20251103143022", "oldest", 50)] == [
        i for i in ids if i[:14] == "20251103143022"
    ]
    assert [row.id for row in all_rows(index, f"id:{ids[40]}")] == [ids[40]]
    for gone in ids[::2]:
        (tmp_path / "operations" / f"{gone}.json").unlink()
    index.update()
    assert [row.id for row in all_rows(index, "chat", size=50)] == ids[1::2][::-1]


@pytest.mark.long
@given(st.lists(DIGITS, unique=True, max_size=30), st.lists(DIGITS, unique=True, max_size=10))
def test_what_was_known_is_taken_once_or_left(ids: list[str], others: list[str]) -> None:
    known = Known((name, number) for number, name in enumerate(sorted(ids)))
    taken = list(dict.fromkeys(name for name in [*ids[::2], *others] if name not in ids or name in ids[::2]))
    for name in taken:
        assert known.take(name) == (sorted(ids).index(name) if name in ids else None)
    assert sorted(known.left()) == sorted(set(ids) - set(taken)) and len(known) == len(set(ids) - set(taken))


# -- searching -----------------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_every_search_finds_what_a_look_at_every_row_finds(library: tuple[Index, list[Row]]) -> None:
    index, rows = library
    assert all_rows(index, size=40) == ordered(rows, "newest")
    queries = Queries(random.Random(11))
    counts = []
    for _ in range(700):
        text = queries.text()
        wanted_rows = matching(text, ordered(rows, "newest"), TODAY)
        assert [row.id for row in index.search(text, size=1000).rows] == [row.id for row in wanted_rows], text
        assert index.count(text) == Count(len(wanted_rows), True), text
        counts.append(len(wanted_rows))
    assert sum(0 < count < len(rows) for count in counts) > 300  # most say something


@pytest.mark.long
@pytest.mark.parametrize("order", ["newest", "oldest", "rating", "cost", "elapsed"])
def test_every_order_is_paged_as_sorted(library: tuple[Index, list[Row]], order: str) -> None:
    index, rows = library
    for text in ("", "chat", "-status:failed", "cost:>=0 or mer", "tag:mer", "absent", "rating:>=4 date:2025"):
        expected = [row.id for row in ordered(matching(text, rows, TODAY), order)]
        assert [row.id for row in all_rows(index, text, order)] == expected, text
        between = list(zip([None, *expected], expected, [*expected[1:], None], strict=False))
        for before, this, after in between[:3] + between[3:-3:4] + between[-3:]:
            assert index.neighbours(this, text, order) == (before, after)
    assert index.neighbours("20010101000000_00000000") == (None, None)


@given(TEXTS)
@settings(deadline=None, max_examples=some(300))
def test_any_text_is_answered_or_refused(text: str) -> None:
    index = any_index()
    try:
        rows = index.search(text, order="relevance").rows
    except InvalidQuery:
        return
    assert len(rows) <= index.count(text).n
    assert {row.id for row in rows} == {row.id for row in index.search(text).rows}


@functools.cache
def any_index() -> Index:
    store = folder_of(Path(tempfile.mkdtemp(prefix="opstore-test-")), 40, 1)
    index = Index(store, clock=clock)
    index.update()
    atexit.register(shutil.rmtree, store.root)
    return index


@pytest.mark.parametrize("sign", ["", "-"])
def test_the_longest_searches_are_answered(library: tuple[Index, list[Row]], sign: str) -> None:
    index, rows = library
    assert index.count(" ".join(f"{sign}absent{n}" for n in range(100))).n == (len(rows) if sign else 0)
    assert index.count(" or ".join(f"{sign}absent{n}" for n in range(100))).n == (len(rows) if sign else 0)
    assert index.count(" ".join(f"{sign}(cost:{n} or chat)" for n in range(50))).n <= len(rows)
    nested = "-(a " * 14 + "chat" + ")" * 14
    assert index.count(nested).n <= len(rows)


def test_relevance_puts_prompts_that_begin_so_first(tmp_path: Path) -> None:
    store = Store(tmp_path)
    prompts = [
        "un chat sur la plage",
        "plage et chat",
        "chat plage au soir",
        "un chat plage",
        "la mer",
        "chat un deux trois quatre cinq six sept plage",
    ]
    for number, prompt in enumerate(prompts):
        plant(store, {"operationId": f"2025110314302{number}_abc123de", "prompt": prompt, "success": True})
    index = Index(store, clock=clock)
    index.update()
    best = ["chat plage au soir", "un chat plage", "plage et chat", "un chat sur la plage", prompts[-1]]
    assert [row.prompt for row in all_rows(index, "chat plage", "relevance", size=2)] == best
    assert [row.prompt for row in all_rows(index, "chat -mer", "relevance", size=2)][:2] == [prompts[-1], "chat plage au soir"]
    assert len(all_rows(index, "", "relevance")) == 6


@pytest.mark.long
@pytest.mark.parametrize("order", ORDERS)
def test_pages_neither_repeat_nor_lose_while_operations_come_and_go(tmp_path: Path, order: str) -> None:
    store = folder_of(tmp_path, 60, 9)
    index = Index(store, clock=clock)
    index.update()
    chance = random.Random(1)
    before = {row.id for row in all_rows(index, "-absent", order, 50)}
    seen: list[str] = []
    after, gone = None, set[str]()
    for step in itertools.count():
        page = index.search("-absent", order=order, after=after, size=5)
        seen += [row.id for row in page.rows]
        after = page.next
        if after is None:
            break
        index.refresh(plant(store, random_sidecar(chance, f"2024120112{step:02}00_abc123de")))
        last = page.rows[-1].id  # the very row that the cursor names
        (store.operations.path / f"{last}.json").unlink()
        index.refresh(last)
        gone.add(last)
    assert len(seen) == len(set(seen))
    assert before <= set(seen)
    assert len(gone) > 5


def test_a_cursor_that_is_none_and_an_unknown_order_are_refused(library: tuple[Index, list[Row]]) -> None:
    for cursor in ("x", "1~2~3", "~~", "9" * 30 + "~1~" + ID, "1~2~" + ID + "~4"):
        if cursor.startswith("9"):
            library[0].search(after=cursor.replace("~1~", f"~{'9' * 40}~"), order="cost")  # far beyond, and no error
            continue
        with pytest.raises(InvalidRequest):
            library[0].search(after=cursor)
    with pytest.raises(InvalidRequest):
        library[0].search(order="random")


def test_what_else_can_be_asked(library: tuple[Index, list[Row]]) -> None:
    index, rows = library
    facets = index.facets()
    for field, attribute in (("type", "type"), ("status", "status"), ("model", "model"), ("provider", "provider")):
        values = [getattr(row, attribute) for row in rows if getattr(row, attribute)]
        assert facets[field] == {value: values.count(value) for value in set(values)}
    tags = [tag for row in rows for tag in row.tags]
    assert facets["tag"] == {tag: tags.count(tag) for tag in set(tags)}
    assert index.used_as_input(IDS[0]) == [row.id for row in ordered(rows, "newest") if IDS[0] in row.parents]
    assert index.get(rows[3].id) == rows[3] and index.get("20010101000000_00000000") is None
    assert index.progress().ready and index.progress().done == index.progress().total == len(rows)


def test_nobody_can_write_a_field_into_a_prompt(tmp_path: Path) -> None:
    store, index = Store(tmp_path), Index(Store(tmp_path))
    for number in range(8):
        plant(
            store,
            {
                "operationId": f"2025110314302{number}_abc123de",
                "prompt": "".join(f"\ue000{n} " for n in range(30)) + "chat\0mer \U000f0007 \U000f8000x",
            },
        )
    index.update()
    assert index.count("rating:>=1").n == index.count("seed:7").n == index.count("seed:*").n == 0
    assert index.count("chat").n == index.count("mer").n == 8
    assert index.count("\ue0001").n == 0 or index.count("\ue0001") == index.count("1")
    assert index.get("20251103143021_abc123de").prompt.count("chat\0mer")  # type: ignore[union-attr] # it is there


def test_totals_are_exact_to_ten_thousand(monkeypatch: pytest.MonkeyPatch, library: tuple[Index, list[Row]]) -> None:
    index, rows = library
    assert str(index.count("")) == f"{len(rows):,}"
    monkeypatch.setattr("opstore.index.pages.EXACT", 100)
    monkeypatch.setattr("opstore.index.EXACT", 100)
    fresh = Index(index.store, clock=clock)
    assert str(fresh.count("")) == "100+"


# -- problems, and the file ----------------------------------------------------------------------------------------------


def test_a_broken_sidecar_is_a_problem_and_no_result(tmp_path: Path) -> None:
    store = Store(tmp_path)
    plant(store, {"operationId": IDS[3], "prompt": "chat", "success": True})
    plant(store, b"{", IDS[0])
    plant(store, {"operationId": IDS[0]}, IDS[1])
    plant(store, json.dumps({"operationId": IDS[2], "x": 1}).encode()[:-1] + b', "y": "\\ud800"}', IDS[2])
    (store.operations.path / f"{IDS[4]}.json").symlink_to(tmp_path / "elsewhere")
    (store.operations.path / "20250101000000_00000000.json").mkdir()
    index = Index(store)
    index.update()
    assert [row.id for row in all_rows(index)] == [IDS[3]]
    assert index.problems() == [problem for problem in store.verify() if problem.kind != "missing"]
    plant(store, {"operationId": IDS[0], "prompt": "chat", "success": True})
    index.update()
    assert {row.id for row in all_rows(index)} == {IDS[0], IDS[3]}
    assert [problem.operation_id for problem in index.problems()] == ["20250101000000_00000000", IDS[4], IDS[1], IDS[2]]


def damages(path: Path) -> dict[str, Any]:
    """Ways to spoil an index's file."""
    size = path.stat().st_size

    def changed(statement: str) -> None:
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute(statement)
        connection.close()

    def another_database() -> None:
        path.unlink()
        changed("CREATE TABLE x (y)")

    return {
        "deleted": path.unlink,
        "empty": lambda: path.write_bytes(b""),
        "garbage": lambda: path.write_bytes(b"garbage" * 1000),
        "truncated": lambda: path.write_bytes(path.read_bytes()[: size // 2]),
        "overwritten": lambda: path.write_bytes(path.read_bytes()[:4096] + b"\xa5" * (size - 4096)),
        "version": lambda: changed("PRAGMA user_version = 999"),
        "another database": another_database,
        "nonsense": lambda: changed("UPDATE op SET type = 4096"),
    }


@pytest.mark.long
@pytest.mark.parametrize("is_open", [False, True], ids=["closed", "open"])
@pytest.mark.parametrize(
    "damage", ["deleted", "empty", "garbage", "truncated", "overwritten", "version", "another database", "nonsense"]
)
def test_a_damaged_file_is_replaced(tmp_path: Path, damage: str, is_open: bool) -> None:
    store = folder_of(tmp_path, 60, 4)
    settle(store)
    index = Index(store, clock=clock)
    index.update()
    expected = all_rows(index)
    if not is_open:
        index.stop()
    damages(index.path)[damage]()
    if not is_open:
        index = Index(store, clock=clock)
    for text in ("", "chat", "tag:mer", "cost:>0"):
        index.search(text)  # fewer rows perhaps, but no error
    index.facets(), index.problems(), index.progress()
    index.update()
    if damage == "version" and is_open:  # a connection that is open goes on with what it knows to be good
        return
    assert all_rows(index) == expected


def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path: Path) -> None:
    store = folder_of(tmp_path, 40, 4)
    settle(store)
    before = Index(store, clock=clock)
    before.update()
    expected = all_rows(before)
    before.stop()
    shutil.rmtree(store.cache)
    store.cache.write_text("not a folder")
    index = Index(store, clock=clock)
    assert index.makeshift and not index.path.is_relative_to(tmp_path)
    assert index.update() == len(expected) == len(all_rows(index)) and all_rows(index) == expected
    plant(store, random_sidecar(random.Random(1), "20260101000000_abc123de"))
    index.refresh("20260101000000_abc123de")
    index.rebuild()
    assert index.count().n == len(expected) + 1 and store.cache.read_text() == "not a folder"
    folder = index.path.parent
    index.stop()
    index.makeshift.cleanup()
    assert not folder.exists()
    assert Index(Store(tmp_path / "new")).makeshift is None and not (tmp_path / "new").exists()


def test_a_rebuild_answers_meanwhile_and_ends_the_same(tmp_path: Path) -> None:
    store = folder_of(tmp_path, 60, 6)
    index, other = Index(store, clock=clock), Index(store, clock=clock)
    index.update()
    expected, inode = all_rows(other), index.path.stat().st_ino
    index.rebuild()
    assert index.path.stat().st_ino != inode
    assert all_rows(index) == all_rows(other) == expected
    assert sorted(path.name for path in store.cache.iterdir() if not path.name.startswith("index.db")) == []


def test_an_index_is_read_by_a_fresh_process(tmp_path: Path) -> None:
    store = folder_of(tmp_path, 30, 6)
    Index(store).update()
    code = """
import sys
from opstore.storage.store import Store
from opstore.index import Index
print(Index(Store(sys.argv[1])).search("chat").total)
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=60, check=True)
    assert int(done.stdout) == Index(store).count("chat").n > 0
