"""Random concurrent histories of a store, with kills: whatever happened, one order of the acknowledged steps explains it.

The machinery is `tests/histories.py`. A minute of the suite's is enough for hundreds of steps; `make soak` goes on for an hour.
"""

from __future__ import annotations

import math
import shutil
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Sampled
from tests.histories import Step, is_explained, run, still_wrong
from tests.test_faults import desk as desk

#: Seconds of one history: long enough for hundreds of steps, short enough to be read where it is wrong.
ROUND = 10.0


def test_every_history_is_explained_by_one_order_of_its_steps(
    desk: Path, budget_seconds: Callable[..., float], sampled: Sampled
) -> None:
    end = time.monotonic() + budget_seconds(12)
    counts: Counter[str] = Counter()
    operations = kills = rounds = 0
    while (rest := end - time.monotonic()) > 1 or not rounds:
        seed = str(sampled.random.getrandbits(64))
        folder = desk / "history"
        history, killed = run(folder, seed, max(1.0, min(ROUND, rest - 2)))
        rounds, kills, operations, counts = rounds + 1, kills + killed, operations + len(history.steps), counts + history.counts
        wrong = [*history.unexplained(), *still_wrong(folder)]
        assert not wrong, f"round {rounds} (seed {seed}): {len(wrong)} faults\n" + "\n".join(wrong[:3])
        shutil.rmtree(folder)
    print(f"{rounds} histories, {sum(counts.values())} steps on {operations} operations, {kills} processes killed")
    print("  " + ", ".join(f"{count} {words}" for words, count in sorted(counts.items())))
    assert kills and {words.split(" done")[0] for words in counts if "done" in words} >= {"compress", "save", "note", "put"}


def step(kind: str, begin: float, end: float = math.inf, value: object = None) -> Step:
    return Step(kind, begin, end, value)


@pytest.mark.parametrize(
    ("steps", "explained"),
    [
        ([step("save", 0, 1), step("put", 2, 3), step("is", 4, 5, ("trash", ""))], True),
        ([step("save", 0, 1), step("put", 2, 3), step("is", 4, 5, ("library", ""))], False),  # what was trashed is back
        ([step("save", 0, 1), step("put", 2, 5), step("is", 4, 6, ("library", ""))], True),  # seen before it went
        ([step("save", 0, 1), step("put", 2), step("is", 4, 5, ("library", ""))], True),  # cut short, and not done
        ([step("save", 0, 1), step("put", 2), step("hidden", 4, 5), step("is", 6, 7, ("library", ""))], False),  # done, undone
        ([step("save", 0, 1), step("note", 2, 3, "a"), step("is", 4, 5, ("library", ""))], False),  # a note that is lost
        ([step("save", 0, 1), step("note", 2, 5, "a"), step("note", 3, 4, "b"), step("shown", 6, 7, "a")], True),
        ([step("save", 0, 1), step("note", 2, 3, "a"), step("note", 4, 5, "b"), step("shown", 6, 7, "a")], False),
        ([step("save", 0, 1), step("put", 2, 3), step("remove", 4, 5), step("is", 6, 7, None)], True),
        ([step("save", 0, 1), step("put", 2, 3), step("remove", 4, 5), step("there", 6, 7)], False),  # removed for good, and back
        (
            [step("save", 0, 1), step("put", 2, 3), step("remove", 4, 5), step("come", 6, 7, ("trash", "")), step("there", 8, 9)],
            True,
        ),
        ([step("come", 0, value=("library", "n")), step("shown", 5, 6, "n"), step("come", 7, 8, ("library", "n"))], False),
        ([step("hidden", 0, 1), step("shown", 2, 3, "")], False),  # out of nothing
        ([step("save", 0, 1), step("put", 2, 3), step("put", 4, 9), step("restore", 5, 6), step("away", 7, 8)], False),
        ([step("save", 0, 1), step("put", 2, 3), step("put", 4, 9), step("restore", 5, 6), step("hidden", 7, 8)], True),
    ],
)
def test_the_checker_tells_right_histories_from_wrong_ones(steps: list[Step], explained: bool) -> None:
    assert is_explained(steps) is explained and is_explained(steps[::-1]) is explained
