"""Curation as reviewers do it, alone and against each other: nothing lost, nothing overwritten unseen, all of it in the files."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from opstore import Store
from opstore.curation import (
    MAX_NOTE,
    MAX_SEARCHES,
    MAX_SEARCHES_BYTES,
    MAX_TAG,
    MAX_TAGS,
    Change,
    Curation,
    Edit,
    annotations_of,
)
from opstore.errors import (
    DamagedOperation,
    InvalidInput,
    InvalidOperationId,
    InvalidQuery,
    OperationBusy,
    OperationNotFound,
    UnsafeFile,
)
from opstore.index import Index
from opstore.storage.trash import Trash
from tests.fault_tools import ROOT
from tests.samples import EDIT, HOSTILE_IDS, ID, LATER, PNG, SHORT, plant, tree

NONE = {"tags": [], "favorite": False, "rating": None, "note": ""}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "data")
    store.initialize_storage()
    store.save_complete_operation(EDIT)
    store.save(LATER, {"operationType": "text_to_image", "prompt": "aube", "parents": [ID]}, outputs=[PNG])
    return store


def curator(store: Store) -> Curation:
    return Curation(store, Index(store), Trash(store))


@pytest.fixture
def curation(store: Store) -> Curation:
    return curator(store)


def stored(store: Store, operation_id: str = ID) -> dict[str, Any]:
    found: dict[str, Any] = store.get_operation_metadata(operation_id)["annotations"]
    return found


# -- one edit ------------------------------------------------------------------------------------------------------------


def test_one_edit_changes_what_it_names_and_nothing_else(store: Store, curation: Curation) -> None:
    before = store.get_operation_metadata(ID)
    steps: list[tuple[Edit, dict[str, Any]]] = [
        (Edit(rating=4), {"rating": 4}),
        (Edit(favorite=True), {"favorite": True}),
        (Edit(add_tags=("Mer", "soir d’été")), {"tags": ["Mer", "soir d’été"]}),
        (Edit(note="à revoir\nbientôt 🦊"), {"note": "à revoir\nbientôt 🦊"}),
        (Edit(add_tags=("MER", "port"), remove_tags=("SOIR D’ÉTÉ",)), {"tags": ["Mer", "port"]}),
        (Edit(rating=0), {"rating": None}),
        (Edit(favorite=False, note=""), {"favorite": False, "note": ""}),
    ]
    expected = dict(NONE)
    for edit, changed in steps:
        assert curation.annotate([ID], edit).done == (ID,)
        expected |= changed
        assert stored(store) == expected
    after = store.get_operation_metadata(ID)
    assert list(after) == list(before) and after == before | {"annotations": expected}
    assert store.verify(deep=True) == []


def test_a_tag_has_one_spelling(store: Store, curation: Curation) -> None:
    curation.annotate([ID], Edit(add_tags=("  bord   de\tmer ", "e\u0301te\u0301")))
    assert stored(store)["tags"] == ["bord de mer", "été"]
    curation.annotate([ID], Edit(add_tags=("BORD DE MER", "ÉTÉ", "straße", "STRASSE")))
    assert stored(store)["tags"] == ["bord de mer", "été", "straße"]
    curation.annotate([ID], Edit(remove_tags=("Bord  de  Mer", "E\u0301TE\u0301", "strasse")))
    assert stored(store)["tags"] == []


def test_an_edit_that_changes_nothing_writes_nothing(store: Store, curation: Curation) -> None:
    curation.annotate([ID], Edit(rating=3, add_tags=("a",)))
    before = tree(store.operations.path, times=True)
    change = curation.annotate([ID], Edit(rating=3, add_tags=("A",), remove_tags=("b",)))
    assert change.done == (ID,) and not change.failed and not change.inverse
    assert curation.undo(change).done == (ID,) and tree(store.operations.path, times=True) == before


WRONG: tuple[Mapping[str, Any], ...] = (
    {"rating": 6}, {"rating": -1}, {"rating": True}, {"rating": 3.0}, {"rating": "3"}, {"rating": 10**30},
    {"rating": float("nan")}, {"rating": []}, {"favorite": 1}, {"favorite": "yes"}, {"note": "x" * (MAX_NOTE + 1)},
    {"note": b"x"}, {"note": "\ud800"},
    {"note": 5}, {"add_tags": ("",)}, {"add_tags": ("  \n ",)}, {"add_tags": ("x" * (MAX_TAG + 1),)}, {"add_tags": ("a\x1b[2J",)},
    {"add_tags": ("a\0",)}, {"add_tags": ("\ud800",)}, {"add_tags": ("a\u202eb",)}, {"add_tags": (None,)}, {"add_tags": (5,)},
    {"add_tags": "mer"}, {"add_tags": None}, {"remove_tags": "mer"}, {"remove_tags": (None,)}, {"remove_tags": 5},
)  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: ascii(wrong)[:40])
def test_an_edit_that_makes_no_sense_changes_nothing(store: Store, curation: Curation, wrong: Mapping[str, Any]) -> None:
    before = tree(store.root, times=True)
    with pytest.raises(InvalidInput):
        curation.annotate([ID, LATER], replace(Edit(add_tags=("good",), favorite=True), **wrong))
    assert tree(store.root, times=True) == before


def test_the_longest_of_everything_fits(store: Store, curation: Curation) -> None:
    assert curation.annotate([ID], Edit(note="\0🦊" * (MAX_NOTE // 2), add_tags=("é" * MAX_TAG,))).done
    assert curation.annotate([ID], Edit(add_tags=tuple(f"t{n}" for n in range(MAX_TAGS - 1)))).done
    (error,) = curation.annotate([ID], Edit(add_tags=("one more",), rating=5)).failed.values()
    assert "at most 100 tags" in str(error) and stored(store)["rating"] is None
    assert curation.annotate([ID], Edit(add_tags=("one more",), remove_tags=("T0",))).done
    assert len(stored(store)["tags"]) == MAX_TAGS


# -- several at once -----------------------------------------------------------------------------------------------------


def test_a_bulk_act_does_what_it_can_and_says_what_it_could_not(store: Store, curation: Curation) -> None:
    plant(store, f"{SHORT}.json", b"{")
    absent = "20251103143029_abc123df"
    change = curation.annotate([ID, SHORT, absent, "../../x", LATER, ID], Edit(rating=5, add_tags=("vu",)))
    assert change.done == (ID, LATER)
    kinds = {name: type(error) for name, error in change.failed.items()}
    assert kinds == {SHORT: DamagedOperation, absent: OperationNotFound, "../../x": InvalidOperationId}
    assert stored(store) == stored(store, LATER) == NONE | {"rating": 5, "tags": ["vu"]}
    assert (store.operations.path / f"{SHORT}.json").read_bytes() == b"{"
    assert curation.undo(change).done == (ID, LATER) and stored(store) == stored(store, LATER) == NONE


def test_hostile_ids_are_each_refused_and_lock_nothing_outside(store: Store, curation: Curation, tmp_path: Path) -> None:
    hostile = [value for value in HOSTILE_IDS if value.__hash__]
    before = tree(tmp_path)
    for change in (
        curation.annotate(hostile, Edit(rating=1)),
        curation.put_in_trash(hostile),
        curation.restore(hostile),
        curation.remove_for_good(hostile),
    ):
        assert change.done == () and {type(error) for error in change.failed.values()} == {InvalidOperationId}
    for value in hostile:
        with pytest.raises(InvalidOperationId):
            curation.used_by([value])
    assert tree(tmp_path) == before


# -- what others stored --------------------------------------------------------------------------------------------------


def foreign(store: Store, annotations: Any, **keys: Any) -> None:
    sidecar = {"operationId": ID, "x-first": 1, "annotations": annotations, "x-last": {"deep": [None]}} | keys
    plant(store, f"{ID}.json", json.dumps(sidecar).encode())


def test_keys_that_nobody_knows_stay_in_place(store: Store, curation: Curation) -> None:
    foreign(store, {"color": "red", "tags": ["a"], "score": 0.5, "rating": 2, "reviewers": ["x"]})
    curation.annotate([ID], Edit(rating=5, note="n"))
    sidecar = store.get_operation_metadata(ID)
    assert list(sidecar) == ["operationId", "x-first", "annotations", "x-last"]
    assert list(sidecar["annotations"])[:5] == ["color", "tags", "score", "rating", "reviewers"]
    assert sidecar["annotations"] == {
        "color": "red", "tags": ["a"], "score": 0.5, "rating": 5, "reviewers": ["x"], "favorite": False, "note": "n",
    }  # fmt: skip


JUNK: tuple[Any, ...] = (
    None, [], "x", 7, True, {}, {"tags": None}, {"tags": "mer"}, {"tags": {"a": 1}}, {"rating": 9}, {"rating": True},
    {"rating": "5"}, {"rating": 4.5}, {"rating": 0}, {"favorite": "yes"}, {"favorite": 1}, {"note": 3}, {"note": None},
    {"tags": [None, 5, ["x"]], "rating": [], "favorite": {}, "note": []},
)  # fmt: skip


@pytest.mark.parametrize("junk", JUNK, ids=repr)
def test_junk_is_made_sound_by_the_first_edit(store: Store, curation: Curation, junk: Any) -> None:
    kept = {"mine": "kept"} if isinstance(junk, dict) else {}
    foreign(store, {**junk, **kept} if isinstance(junk, dict) else junk)
    assert annotations_of(store.get_operation_metadata(ID)) == NONE
    change = curation.annotate([ID], Edit(add_tags=("mer",)))
    assert stored(store) == NONE | {"tags": ["mer"]} | kept
    assert curation.undo(change).done == (ID,) and stored(store) == NONE | kept


def test_a_sidecar_without_annotations_gets_them_last(store: Store, curation: Curation) -> None:
    plant(store, f"{ID}.json", json.dumps({"operationId": ID, "prompt": "old", "own": [1]}).encode())
    assert annotations_of(store.get_operation_metadata(ID)) == NONE
    curation.annotate([ID], Edit(favorite=True))
    assert list(store.get_operation_metadata(ID)) == ["operationId", "prompt", "own", "annotations"]
    assert stored(store) == NONE | {"favorite": True}


def test_more_tags_than_fit_can_only_become_fewer(store: Store, curation: Curation) -> None:
    foreign(store, {"tags": [f"t{n}" for n in range(MAX_TAGS + 20)]})
    assert curation.annotate([ID], Edit(rating=2)).done and curation.annotate([ID], Edit(remove_tags=("t3",))).done
    assert not curation.annotate([ID], Edit(add_tags=("more",))).done
    assert len(stored(store)["tags"]) == MAX_TAGS + 19


# -- undo ----------------------------------------------------------------------------------------------------------------


def test_undo_takes_back_its_own_change_and_leaves_what_others_did_since(store: Store, curation: Curation) -> None:
    curation.annotate([ID], Edit(rating=2, note="first", add_tags=("kept", "Gone")))
    mine = curation.annotate([ID, LATER], Edit(rating=3, favorite=True, note="mine", add_tags=("mine",), remove_tags=("gone",)))
    other = curator(Store(store.root))
    other.annotate([ID], Edit(rating=5, add_tags=("theirs",)))
    other.annotate([LATER], Edit(note="theirs", remove_tags=("mine",)))
    undone = curation.undo(mine)
    assert undone.done == (ID, LATER)
    assert stored(store) == {"tags": ["kept", "theirs", "Gone"], "favorite": False, "rating": 5, "note": "first"}
    assert stored(store, LATER) == NONE | {"note": "theirs"}
    # And the undo can be undone.
    curation.undo(undone)
    assert stored(store) == {"tags": ["kept", "theirs", "mine"], "favorite": True, "rating": 5, "note": "mine"}
    assert stored(store, LATER) == {"tags": [], "favorite": True, "rating": 3, "note": "theirs"}


def test_undo_where_one_operation_is_gone(store: Store, curation: Curation) -> None:
    change = curation.annotate([ID, LATER], Edit(rating=3))
    curation.put_in_trash([LATER])
    undone = curation.undo(change)
    assert undone.done == (ID,) and isinstance(undone.failed[LATER], OperationNotFound) and stored(store) == NONE


def test_undo_of_trash_brings_back_and_of_nothing_does_nothing(store: Store, curation: Curation) -> None:
    before = tree(store.root)
    change = curation.put_in_trash([ID, LATER, SHORT])
    assert change.done == (ID, LATER) and isinstance(change.failed[SHORT], OperationNotFound)
    assert store.list_operations() == [] and {item.operation_id for item in curation.trashed()} == {ID, LATER}
    restored = curation.undo(change)
    assert restored.done == (ID, LATER) and tree(store.root) == before
    assert curation.undo(restored).inverse == curation.undo(Change()).inverse == {} and tree(store.root) == before


# -- against each other --------------------------------------------------------------------------------------------------


def side_by_side(data: Path, program: str, *arguments: tuple[str, ...]) -> list[Any]:
    """Run several of the same program, begun at the same moment, and return what each says at its end."""
    base = [sys.executable, "-B", "-m", "tests.trash_programs", program, str(data)]
    runs = [
        subprocess.Popen([*base, *words], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for words in arguments
    ]
    try:
        for run in runs:
            assert run.stdout and run.stdout.readline() == "ready\n"
        for run in runs:
            assert run.stdin
            run.stdin.write("go\n")
            run.stdin.flush()
        answers = [json.loads(run.communicate(timeout=60)[0]) for run in runs]
    finally:
        for run in runs:
            run.kill()
            run.communicate()
    return answers


@pytest.mark.long
def test_four_processes_and_two_threads_lose_no_tag(store: Store, curation: Curation) -> None:
    failed: list[object] = []

    def work(letter: str) -> None:
        for number in range(8):
            failed.extend(curation.annotate([ID], Edit(add_tags=(f"{letter}{number}",))).failed.values())

    threads = [threading.Thread(target=work, args=(letter,)) for letter in "ef"]
    for thread in threads:
        thread.start()
    said = side_by_side(store.root, "tag", *((letter, "8") for letter in "abcd"))
    for thread in threads:
        thread.join()
    assert said == [[], [], [], []] and failed == []
    assert sorted(stored(store)["tags"]) == sorted(f"{letter}{number}" for letter in "abcdef" for number in range(8))
    assert store.verify(deep=True) == []
    assert not [path.name for path in store.root.iterdir() if path.name.startswith(".")], "no lock stays"


def test_who_writes_without_end_is_not_overwritten(store: Store, curation: Curation, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_: object) -> None:
        raise OperationBusy(operation_id=ID)

    monkeypatch.setattr(store, "rewrite", busy)
    (error,) = curation.annotate([ID], Edit(rating=1)).failed.values()
    assert isinstance(error, OperationBusy)


# -- the index -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def running(store: Store) -> Iterator[tuple[Curation, Index]]:
    index = Index(store)
    index.start()
    index.update()
    yield Curation(store, index, Trash(store)), index
    index.stop()


def found(index: Index, text: str) -> set[str]:
    return {row.id for row in index.search(text).rows}


def test_the_index_shows_every_act_at_once(store: Store, running: tuple[Curation, Index]) -> None:
    curation, index = running
    version = index.version()
    change = curation.annotate([ID, LATER], Edit(rating=4, favorite=True, add_tags=("Bord de mer", 'a "b", c')))
    assert index.version() != version
    for query in ("rating:>=4", "favorite:yes", 'tag:"bord de mer"', 'rating:4 tag:"BORD de mer"'):
        assert found(index, query) == {ID, LATER}, query
    row = index.get(ID)
    assert row and row.rating == 4 and row.favorite and set(row.tags) == {"Bord de mer", 'a "b", c'}
    assert index.facets()["tag"]["Bord de mer"] == 2
    another = Index(Store(store.root))  # as another process has it
    assert found(another, 'tag:"bord de mer"') == {ID, LATER}
    curation.undo(change)
    assert found(index, "favorite:yes") == set() == found(another, "rating:>=1")
    another.stop()
    assert curation.used_by([ID]) == [LATER] and curation.used_by([ID, LATER]) == curation.used_by([LATER]) == []
    curation.put_in_trash([LATER])
    assert found(index, "") == {ID} and curation.used_by([ID]) == []
    curation.restore([LATER])
    assert found(index, "") == {ID, LATER} and curation.used_by([ID]) == [LATER]


def test_annotations_outlive_the_cache(store: Store, running: tuple[Curation, Index]) -> None:
    curation, index = running
    curation.annotate([ID], Edit(rating=5, add_tags=("mer",), note="n"))
    index.stop()
    shutil.rmtree(store.cache)
    again = Index(Store(store.root))
    again.update()
    assert found(again, "tag:mer rating:5") == {ID}
    again.stop()


# -- saved searches ------------------------------------------------------------------------------------------------------


def test_saved_searches_come_back(store: Store, curation: Curation) -> None:
    assert curation.searches() == {}
    curation.remove_search("none")
    assert not (store.root / "searches.json").exists()
    curation.save_search("  Été \t2025 ", 'tag:"bord de mer" rating:>=4')
    curation.save_search("all", "")
    curation.save_search("Aube", "aube or soir")
    curation.save_search("all", "favorite:yes")
    other = curator(Store(store.root))
    expected = {"all": "favorite:yes", "Aube": "aube or soir", "Été 2025": 'tag:"bord de mer" rating:>=4'}
    assert other.searches() == expected and list(other.searches()) == list(expected)
    other.remove_search("E\u0301te\u0301 2025")
    other.remove_search("never there")
    assert curation.searches() == {"all": "favorite:yes", "Aube": "aube or soir"}
    assert store.verify(deep=True) == []


def test_a_note_with_half_a_character_is_refused_for_that(curation: Curation) -> None:
    with pytest.raises(InvalidInput, match="the text at note holds half a character"):
        curation.annotate([ID], Edit(note="a\ud800"))


def test_a_search_that_is_wrong_is_not_saved(store: Store, curation: Curation) -> None:
    with pytest.raises(InvalidQuery) as caught:
        curation.save_search("good", "chat (mer")
    assert caught.value.details["position"] == 5
    for name in ("", "  ", "x" * (MAX_TAG + 1), "a\0", "a\x1b[2J", "\ud800"):
        with pytest.raises(InvalidInput, match="needs a name"):
            curation.save_search(name, "chat")
    with pytest.raises(InvalidInput):
        curation.save_search("half", "chat\ud800")
    assert curation.searches() == {} and not (store.root / "searches.json").exists()


def test_so_many_searches_and_no_more(store: Store, curation: Curation) -> None:
    longest = "海" * 1990
    full = {f"{'語' * 50} {number:03}": longest for number in range(MAX_SEARCHES)}
    (store.root / "searches.json").write_text(json.dumps(full, ensure_ascii=True))
    assert curation.searches() == full, "as many as there may be, of the greatest length, can be read"
    with pytest.raises(InvalidInput, match="200 saved searches"):
        curation.save_search("one more", "chat")
    curation.save_search(f"{'語' * 50} 000", "chat")
    curation.remove_search(f"{'語' * 50} 001")
    curation.save_search("one more", "chat")
    assert len(curation.searches()) == MAX_SEARCHES


@pytest.mark.parametrize(
    "junk", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"[" * 100_000, b"9" * 5_000, b'{"a": 5, "b": null, "c": ["x"]}']
)
def test_a_file_of_searches_that_is_junk_is_none(store: Store, curation: Curation, junk: bytes) -> None:
    (store.root / "searches.json").write_bytes(junk)
    assert curation.searches() == {}
    curation.save_search("mine", "chat")
    assert curation.searches() == {"mine": "chat"}


def test_what_makes_sense_of_a_file_of_searches_is_kept(store: Store, curation: Curation) -> None:
    (store.root / "searches.json").write_text('{"good": "chat", "half\\ud800": "x", "x": "\\udfff", "bad query": "(", "n": 5}')
    assert curation.searches() == {"bad query": "(", "good": "chat"}
    curation.save_search("mine", "chat")
    assert curation.searches() == {"bad query": "(", "good": "chat", "mine": "chat"}


def test_a_file_of_searches_that_cannot_be_ours_is_left_alone(store: Store, curation: Curation, tmp_path: Path) -> None:
    path = store.root / "searches.json"
    path.write_bytes(b" " * (MAX_SEARCHES_BYTES + 1))
    assert curation.searches() == {}
    with pytest.raises(InvalidInput, match="more than saved searches"):
        curation.save_search("mine", "chat")
    assert path.stat().st_size == MAX_SEARCHES_BYTES + 1
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    assert curation.searches() == {}
    with pytest.raises(UnsafeFile):
        curation.save_search("mine", "chat")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.long
def test_two_processes_save_searches_and_none_is_lost(store: Store, curation: Curation) -> None:
    assert side_by_side(store.root, "collect", *((letter, "12") for letter in "ab")) == [[], []]
    assert curation.searches() == {f"{letter}{n}": f"tag:{letter}{n}" for letter in "ab" for n in range(12)}
