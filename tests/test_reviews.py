"""Blind reviews: votes that last and count once, pairs that give nothing away, and win rates that are as sure as they say."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from opstore.analytics.ranking import win_rates
from opstore.app import App, Settings
from opstore.comparing.reviews import CHOICES, Pair, Review, Reviews, Voter, pairs_of
from opstore.errors import InvalidInput, InvalidOperationId, OperationNotFound
from opstore.storage.operation import Operation
from opstore.ui.review import naming
from tests.samples import WEBP


def name_of(number: int) -> str:
    return f"202510011200{number:02}_{number:08x}"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    found = App(Settings(data=tmp_path / "data", provider="local"))
    for number in range(8):
        sidecar = {"operationType": "text_to_image", "prompt": f"prompt {number // 4}", "model": f"m/{number % 4}"}
        found.store.save(name_of(number), sidecar, outputs=[WEBP])
    found.store.save(name_of(9), {"operationType": "text_to_image", "prompt": "prompt 0", "success": False, "error": "no"})
    found.index.catch_up()
    yield found
    found.stop()


def begun(app: App) -> tuple[Reviews, Review]:
    return app.service.reviews, app.service.reviews.begin("  which\n one ", ids=[name_of(number) for number in range(10)])


# -- votes ---------------------------------------------------------------------------------------------------------------


def test_a_review_holds_what_has_a_result_and_lasts(app: App) -> None:
    reviews, review = begun(app)
    assert review.title == "which one" and len(review.ids) == 8
    assert Reviews(app.store, app.index).all() == [review] and reviews.get(review.id) == review
    searched = reviews.begin("", query='"prompt 1" or model:nothing')
    assert set(searched.ids) == {name_of(number) for number in range(4, 8)} and searched.title
    for ids in ([], [name_of(1)], [name_of(1), name_of(1), name_of(9), "../x"]):
        with pytest.raises(InvalidInput):
            reviews.begin("x", ids=ids)
    reviews.remove(searched.id)
    with pytest.raises(OperationNotFound):
        reviews.get(searched.id)
    with pytest.raises(InvalidOperationId):
        reviews.get("../../etc")


def test_every_vote_counts_once_is_on_disk_at_once_and_can_be_taken_back(app: App) -> None:
    reviews, review = begun(app)
    seen = []
    for choice in CHOICES:
        (pair,) = reviews.upcoming(review, Voter("Ann"), 1)
        seen.append({pair.left, pair.right})
        reviews.vote(review.id, Voter("Ann"), pair, choice)
        reviews.vote(review.id, Voter("  ann "), pair, choice)  # the same person, the same pair: it arrived twice
    assert len(seen) == len(CHOICES) and all(one != other for at, one in enumerate(seen) for other in seen[:at])
    votes = Reviews(app.store, app.index).votes(review.id, Voter("ANN"))
    assert [(vote.winner == vote.left, vote.winner == vote.right, vote.skipped) for vote in votes] == [
        (True, False, False), (False, True, False), (False, False, False), (False, False, True)
    ]  # fmt: skip
    assert [row["winner"] for row in reviews.rows()] == [vote.winner for vote in votes if not vote.skipped]
    assert set(reviews.rows()[0]) == {"review", "voter", "left", "right", "winner", "at"}
    last = reviews.take_back(review.id, Voter("Ann"))
    assert last == votes[-1] and len(reviews.votes(review.id)) == 3
    assert reviews.upcoming(review, Voter("Ann"), 1)[0] in (Pair(last.left, last.right), Pair(last.right, last.left))
    assert reviews.take_back(review.id, Voter("Bob")) is None
    assert reviews.votes(voter=Voter("Bob")) == []
    for pair, choice in ((Pair(name_of(1), name_of(9)), "left"), (Pair(name_of(1), name_of(1)), "tie"), (Pair(*seen[0]), "both")):
        with pytest.raises(InvalidInput):
            reviews.vote(review.id, Voter("Ann"), pair, choice)
    for name in ("", "x" * 61, "a\x00b"):
        with pytest.raises(InvalidInput):
            Voter(name)


def test_two_people_of_one_name_are_two_and_old_votes_under_the_name_count(app: App) -> None:
    reviews, review = begun(app)
    before = reviews.upcoming(review, Voter("Kim Lee"), 1)[0]
    reviews.vote(review.id, Voter("Kim Lee"), before, "left")  # from before people signed in here
    one, other = (Voter("Kim Lee", f"{number:016x}") for number in (1, 2))
    for voter in (one, other):
        (pair,) = reviews.upcoming(review, voter, 1)
        assert {pair.left, pair.right} != {before.left, before.right}, "nobody is asked twice"
        reviews.vote(review.id, voter, pair, "tie")
    assert [len(reviews.votes(review.id, voter)) for voter in (one, other, Voter("kim lee"))] == [1, 1, 1]
    votes = reviews.votes(review.id)
    assert len(votes) == 3 and len({vote.person for vote in votes}) == 3 and {vote.voter for vote in votes} == {"Kim Lee"}
    assert reviews.take_back(review.id, one) and reviews.votes(review.id, one) == [] and len(reviews.votes(review.id)) == 2
    assert "Kim" not in "".join(path.name for path in (app.store.root / "reviews").iterdir())
    reviews.remove(review.id)
    assert list((app.store.root / "reviews").glob("*.json")) == []


def test_people_vote_at_the_same_time_and_no_vote_is_lost(app: App) -> None:
    reviews, review = begun(app)
    pairs = pairs_of([operation for item in review.ids if (operation := reviews.operation(item))], "x")[:12]

    def work(voter: str, mine: list[Pair]) -> None:
        own = Reviews(app.store, app.index)
        for pair in mine:
            own.vote(review.id, Voter(voter), pair, "left")

    threads = [threading.Thread(target=work, args=(voter, pairs[at::2])) for voter in ("Ann", "Bob") for at in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(reviews.votes(review.id, Voter("Ann"))) == len(reviews.votes(review.id, Voter("Bob"))) == 12


def test_odd_files_among_the_reviews_are_passed_over(app: App) -> None:
    reviews, review = begun(app)
    reviews.vote(review.id, Voter("Ann"), reviews.upcoming(review, Voter("Ann"), 1)[0], "left")
    folder = app.store.root / "reviews"
    for name, data in (
        (f"{name_of(1)}.json", b"{"), (f"{name_of(2)}.json", b'{"id": "x", "ids": []}'), ("note.txt", b"x"),
        (f"{review.id}_0123456789abcdef.json", b'{"voter": "x", "votes": [1, {"left": 2}, {"left": "../x", "right": "y"}]}'),
        (f"{review.id}_fedcba9876543210.json", b"[]"), (f"{name_of(3)}.json", b"[" * 5000),
    ):  # fmt: skip
        (folder / name).write_bytes(data)
    assert reviews.all() == [review] and len(reviews.votes()) == 1


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"voter": "Ann", "votes": [{"of a later version": 1}]}'])
def test_votes_that_cannot_be_read_are_kept_when_the_next_one_is_cast(app: App, data: bytes) -> None:
    reviews, review = begun(app)
    folder, ann = app.store.root / "reviews", Voter("Ann")
    (folder / f"{review.id}_{ann.key}.json").write_bytes(data)
    for pair in reviews.upcoming(review, ann, 2):
        reviews.vote(review.id, ann, pair, "left")
    assert len(reviews.votes(review.id)) == 2
    assert [path.read_bytes() for path in folder.glob("*.damaged*")] == [data], "once, not with every vote"
    reviews.remove(review.id)
    assert [path.name for path in folder.iterdir() if not path.name.startswith(".")] == []


# -- pairs ---------------------------------------------------------------------------------------------------------------


def made(number: int, prompt: str, model: str) -> Operation:
    return Operation.of({"operationId": name_of(number), "prompt": prompt, "model": model, "success": True})


def test_pairs_of_one_prompt_and_of_different_models_come_first_and_sides_are_shuffled() -> None:
    operations = [made(at, f" Prompt  {at % 3}" if at % 2 else f"prompt {at % 3}", f"m/{at % 4}") for at in range(24)]
    by_id = {item.id: item for item in operations}
    for seed in ("a", "b"):
        found = pairs_of(operations, seed)
        assert found == pairs_of(operations, seed) and len({frozenset((p.left, p.right)) for p in found}) == len(found)
        same = [" ".join(by_id[p.left].prompt.split()).lower() == " ".join(by_id[p.right].prompt.split()).lower() for p in found]
        count = sum(same)
        assert count == 3 * 28 and all(same[:count]) and not any(same[count:])
        first = [by_id[p.left].model != by_id[p.right].model for p in found[:20]]
        assert all(first)
        left = sum(p.left < p.right for p in found) / len(found)
        assert 0.35 < left < 0.65, "which one stands left must not tell which is newer"
    assert pairs_of(operations, "a") != pairs_of(operations, "b")
    assert {item for pair in pairs_of(operations, "a")[:24] for item in (pair.left, pair.right)} == set(by_id), (
        "each has its turn"
    )


# -- win rates -----------------------------------------------------------------------------------------------------------


def rows(*votes: tuple[str, str, str | None]) -> list[dict[str, Any]]:
    return [{"left": left, "right": right, "winner": winner} for left, right, winner in votes]


def test_what_a_search_takes_for_one_has_one_name_in_the_results() -> None:
    texts = (("A red boat!", "lab/Flux", 95), ("a  red boat", "lab/flux", 95.0), ("a blue boat", "lab/other", True))
    operations = {
        name_of(at): Operation.of(
            {"operationId": name_of(at), "prompt": prompt, "model": model, "parameters": {"outputQuality": quality}}
        )
        for at, (prompt, model, quality) in enumerate(texts)
    }
    for by in ("model", "prompt", "outputQuality"):
        name = naming(operations, by)
        first, second, third = map(name, operations)
        assert first == second != third, by


def test_rates_find_the_order_that_votes_were_drawn_from() -> None:
    strengths, chance = {"a": 1.5, "b": 0.5, "c": -0.5, "d": -1.5}, random.Random(3)
    votes = []
    for _ in range(600):
        one, other = chance.sample(sorted(strengths), 2)
        votes.append((one, other, one if chance.random() < expit(strengths[one] - strengths[other]) else other))
    found = win_rates(rows(*votes), lambda name: name)
    assert [item.name for item in found] == ["a", "b", "c", "d"]
    for item in found:
        others = [value for name, value in strengths.items() if name != item.name]
        truth = sum(expit(strengths[item.name] - other) for other in others) / 3
        assert item.low <= truth <= item.high and item.high - item.low < 0.25, item
    assert sum(item.votes for item in found) == 1200 and sum(item.wins for item in found) == 600


def test_few_votes_are_never_sure() -> None:
    found = {item.name: item for item in win_rates(rows(("a", "b", "a")), lambda name: name)}
    assert found["a"].rate > found["b"].rate and found["a"].low < 0.5 < found["a"].high and found["b"].high > 0.5
    tie = win_rates(rows(("a", "b", None)), lambda name: name)
    assert [round(item.rate, 6) for item in tie] == [0.5, 0.5] and tie[0].ties == 1


def test_who_won_the_only_two_votes_does_not_stand_above_who_won_most_of_sixty() -> None:
    votes = [("known", "weak", "known")] * 45 + [("known", "weak", "weak")] * 15 + [("new", "weak", "new")] * 2
    found = win_rates(rows(*votes), lambda name: name)
    assert [item.name for item in found] == ["known", "new", "weak"] and found[1].rate > found[0].rate


def test_who_won_against_strong_rivals_stands_above_who_won_against_weak_ones() -> None:
    strong = [("best", "good", "best")] * 20 + [("good", "weak", "good")] * 20
    votes = [*strong, *([("x", "good", "x"), ("x", "good", "good")] * 10), *([("y", "weak", "y"), ("y", "weak", "weak")] * 10)]
    found = {item.name: item for item in win_rates(rows(*votes), lambda name: name)}
    assert found["x"].wins == found["y"].wins and found["x"].rate > found["y"].rate + 0.2


@pytest.mark.long
@settings(max_examples=12, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd"), st.sampled_from(["left", "right", None])), max_size=12)
)
def test_any_votes_give_rates_within_their_intervals(drawn: list[tuple[str, str, str | None]]) -> None:
    votes = [(one, other, {"left": one, "right": other}.get(str(winner))) for one, other, winner in drawn]
    found = win_rates(rows(*votes), lambda name: None if name == "d" else name)
    assert {item.name for item in found} == {
        n for one, other, _ in votes if one != other and "d" not in (one, other) for n in (one, other)
    }
    assert all(0 <= item.low <= item.rate <= item.high <= 1 for item in found)
