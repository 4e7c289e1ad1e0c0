"""`list`, `search`, `show` and `stats` say with an index, and with answers that are kept, what they say without; at once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opstore import Store
from opstore.analytics.queries import Analytics
from opstore.cli import main
from opstore.cli.kept_answers import KeptAnswers
from opstore.comparing.reviews import Reviews, Voter
from opstore.curation import Curation, Edit
from opstore.index import Index
from opstore.storage.trash import Trash
from tests.samples import ID, LATER, PNG, SHORT, plant
from tests.test_cli_search import HARM

#: As a shell has them.
ASKED = (
    *(["list"], ["list", "--limit", "1"], ["search", "mer"], ["search", "type:text_to_image", "--order", "cost"], ["show", ID]),
    *(["stats"], ["stats", "mer"], ["stats", "--since", "2025-11-01"], ["stats", "--until", "2024-01-01"]),
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """The test's data folder, which OPSTORE_DATA names, with three operations in it, of which one cannot be read."""
    store = Store(tmp_path / "data")
    store.initialize_storage()
    cost = {"amount": 0.5, "currency": "USD"}
    store.save(ID, {"operationType": "text_to_image", "prompt": "une mer d'été", "cost": cost}, outputs=[PNG])
    store.save(LATER, {"operationType": "image_edit_single", "prompt": "la mer", "elapsedSeconds": 3.5}, outputs=[PNG])
    store.save(SHORT, {"operationType": "text_to_image", "prompt": "no", "success": False, "error": "no"})
    plant(store, "20251103143029_abc123de.json", b"{")
    return store


@pytest.fixture
def said(store: Store, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """What a command says, in this process: as text, or with --json as data without the moment at which it was asked."""

    def answer(*arguments: str) -> Any:
        assert main([*arguments, "--data", str(store.root)]) == 0, arguments
        text = capsys.readouterr().out
        return {key: value for key, value in json.loads(text).items() if key != "asOf"} if "--json" in arguments else text

    return answer


def as_it_is(said: Callable[..., Any]) -> list[Any]:
    return [said(*arguments, *form) for arguments in ASKED for form in ([], ["--json"])]


def test_what_is_kept_is_what_would_be_found(store: Store, said: Callable[..., Any]) -> None:
    fresh = []
    for arguments in ASKED:
        for form in ([], ["--json"]):
            shutil.rmtree(store.cache, ignore_errors=True)
            fresh.append(said(*arguments, *form))
    assert as_it_is(said) == fresh
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Analytics, "held", lambda *_: pytest.fail("all operations were read"))
        patch.setattr(Store, "list_operations", lambda *_: pytest.fail("every name was looked at"))
        assert as_it_is(said) == fresh


CHANGES: dict[str, Callable[[Store], object]] = {
    "saved by another": lambda store: plant(
        store, "20260101000000_abc123df.json", json.dumps({"operationId": "20260101000000_abc123df", "prompt": "mer"}).encode()
    ),
    "trashed": lambda store: Trash(store).put(LATER),
    "purged": lambda store: _purge(store),
    "removed by hand": lambda store: (store.operations.path / f"{LATER}.json").unlink(),
    "annotated": lambda store: Curation(store, Index(store), Trash(store)).annotate([ID], Edit(rating=5)),
    "voted": lambda store: _vote(store),
    "broken": lambda store: plant(store, "20251103143028_abc123de.json", b"["),
    **HARM,
}


def _purge(store: Store) -> None:
    Trash(store).put(LATER)
    Trash(store).remove(LATER)


def _vote(store: Store) -> None:
    reviews = Reviews(store, Index(store))
    review = reviews.begin("which", ids=[ID, LATER])
    reviews.vote(review.id, Voter("ann"), reviews.upcoming(review, Voter("ann"))[0], "left")


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_has_changed_since_is_noticed(store: Store, said: Callable[..., Any], change: str) -> None:
    before = said("stats", "--json"), said("list")
    CHANGES[change](store)
    now = said("stats", "--json"), said("list")
    shutil.rmtree(store.cache)
    assert now == (said("stats", "--json"), said("list")) and (now == before) is (change in HARM)


@pytest.mark.parametrize("harm", [b"", b"{", b"[]", b"{}", b'{"question": 1, "state": 1, "answer": "no"}', b"[" * 100_000])
def test_a_kept_answer_that_is_none_is_found_anew(store: Store, said: Callable[..., Any], harm: bytes) -> None:
    wanted = said("stats")
    (kept,) = (store.cache / "answers").iterdir()
    kept.write_bytes(harm)
    assert said("stats") == wanted


def test_nothing_of_what_is_removed_for_good_stays_in_answers(store: Store, said: Callable[..., Any]) -> None:
    said("stats")
    assert any(b"une mer" in path.read_bytes() for path in (store.cache / "answers").iterdir())
    Trash(store).put(ID)
    Trash(store).remove(ID)
    assert not list((store.cache / "answers").iterdir())


def test_only_so_many_answers_are_kept(tmp_path: Path) -> None:
    kept = KeptAnswers(tmp_path)
    for number in range(80):
        kept.keep([number], [1], [number])
        os.utime(kept._path([number]), (number, number))
    assert [number for number in range(80) if kept.get([number], [1]) == [number]] == list(range(30, 80))
    assert kept.get([79], [2]) is None and len(list((tmp_path / "answers").iterdir())) == 50


def test_an_answer_that_is_kept_needs_no_table_library(store: Store, said: Callable[..., Any]) -> None:
    wanted = said("stats")
    command = [sys.executable, "-X", "importtime", "-m", "opstore", "stats", "--data", str(store.root)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    loaded = {line.rsplit("|", 1)[1].strip().partition(".")[0] for line in done.stderr.splitlines() if line.count("|") == 2}
    assert done.stdout == wanted and "sqlite3" in loaded
    assert not loaded & {"pandas", "numpy", "pyarrow", "scipy", "PIL", "babel"}
