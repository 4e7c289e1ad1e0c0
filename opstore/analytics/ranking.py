"""From votes on pairs to win rates: how likely something wins against another of its kind, with an interval that says how sure.

Strengths by Bradley-Terry (choix), so that who met strong rivals is not punished for it; intervals by bootstrap over the votes,
or Wilson's where that is wider: of three votes that all agree, every sample is the same.
Pure: plain rows in, plain rows out.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from numpy import ndarray

#: Samples of the bootstrap: the ends of a 95 % interval move by about 1 % between two runs of as many.
SAMPLES = 400
#: Pulls strengths towards each other, as half a vote each way would: who won one vote of one is not certain to win.
_ALPHA = 0.1
#: Names compared at most: the rest is too rare to say anything about.
MAX_NAMES = 30
_T = TypeVar("_T", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Standing:
    """How one name did. `rate` is its chance against an average other, from 0 to 1, `low` to `high` its 95 % interval.

    `votes` are those in which it met another name; of them it won `wins` and tied `ties`.
    """

    name: Any
    rate: float
    low: float
    high: float
    votes: int
    wins: int
    ties: int


def win_rates(votes: Sequence[Mapping[str, Any]], name_of: Callable[[str], _T | None], *, seed: int = 1) -> list[Standing]:
    """Return how the names that `name_of` gives to operation ids did against each other, by the low end of their intervals.

    So who is known to be good comes before who won the only two votes there were.
    `votes` are rows with `left`, `right` and `winner` (None: a tie). Votes between two of one name say nothing and are left out,
    as are those of operations without a name.
    """
    met = [(name_of(vote["left"]), name_of(vote["right"]), vote["winner"], vote) for vote in votes]
    rows = [(one, other, None if winner is None else name_of(winner)) for one, other, winner, _ in met if one != other]
    known = [row for row in rows if row[0] is not None and row[1] is not None]
    counts: dict[Any, int] = {}
    for one, other, _ in known:
        for name in (one, other):
            counts[name] = counts.get(name, 0) + 1
    names = sorted(counts, key=lambda name: (-counts[name], str(name)))[:MAX_NAMES]
    known = [row for row in known if row[0] in names and row[1] in names]
    if not known:
        return []
    rates, low, high = _rates(known, names, seed)
    standings = []
    for at, name in enumerate(names):
        mine = [winner for one, other, winner in known if name in (one, other)]
        wins, ties = sum(winner == name for winner in mine), sum(winner is None for winner in mine)
        if mine:
            standings.append(Standing(name, float(rates[at]), float(low[at]), float(high[at]), len(mine), wins, ties))
    return sorted(standings, key=lambda standing: (-standing.low, -standing.rate, str(standing.name)))


def _rates(rows: Sequence[tuple[Any, Any, Any]], names: Sequence[Any], seed: int) -> tuple[ndarray, ndarray, ndarray]:
    import numpy as np

    from opstore.analytics.usage_tables import wilson

    places = {name: at for at, name in enumerate(names)}
    size = len(names)
    # Each vote as the cells of a matrix "row beats column" that it adds to: a tie is half a win each way.
    cells = np.zeros((len(rows), 2), int)
    shares = np.zeros((len(rows), 2))
    for at, (one, other, winner) in enumerate(rows):
        cells[at] = places[one] * size + places[other], places[other] * size + places[one]
        shares[at] = (0.5, 0.5) if winner is None else (float(winner == one), float(winner == other))
    chance = np.random.default_rng(seed)
    all_rates: list[ndarray] = []
    start: ndarray | None = None
    for sample in range(SAMPLES + 1):
        drawn = np.arange(len(rows)) if sample == 0 else chance.integers(0, len(rows), len(rows))
        matrix = np.bincount(cells[drawn].ravel(), weights=shares[drawn].ravel(), minlength=size * size).reshape(size, size)
        rates, strengths = _against_others(matrix, start)
        start = strengths if start is None else start
        all_rates.append(rates)
    low, high = np.quantile(all_rates[1:], (0.025, 0.975), axis=0)
    won = np.bincount(cells[:, 0] // size, weights=shares[:, 0], minlength=size)
    won += np.bincount(cells[:, 1] // size, weights=shares[:, 1], minlength=size)
    least, most = wilson(won, np.bincount(cells.ravel() // size, minlength=size))
    return all_rates[0], np.minimum(np.minimum(low, least), all_rates[0]), np.maximum(np.maximum(high, most), all_rates[0])


def _against_others(matrix: ndarray, start: ndarray | None) -> tuple[ndarray, ndarray]:
    """Return for each name the mean chance to win against each of the others, and its strength; `start` is near to those."""
    import choix
    import numpy as np

    found = choix.ilsr_pairwise_dense(matrix, alpha=_ALPHA, initial_params=start, tol=1e-8 if start is None else 1e-3)
    strengths: ndarray = np.clip(found, -30, 30)
    chances = 1 / (1 + np.exp(strengths[None, :] - strengths[:, None]))
    np.fill_diagonal(chances, 0)
    mean: ndarray = chances.sum(axis=1) / max(1, len(matrix) - 1)
    return mean, strengths
