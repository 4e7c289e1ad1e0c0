"""Blind reviews: which of two results people like better, kept as files; who made them is not asked before the vote is cast.

A review is `reviews/{id}.json`: what is compared, fixed when it begins. The votes of a person are `reviews/{id}_{voter}.json`,
one file a voter, replaced whole and durably with each vote; one of which not all can be read is kept as `….damaged.json`. A voter
is who signed in, by their identity, or else a name; what was voted under a name counts as before. Pairs with one prompt come
first; the sides are drawn.
"""

from __future__ import annotations

import itertools
import json
import random
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Literal

from opstore.access.roles import Role, act, part
from opstore.errors import FileMissing, InvalidInput, OperationBusy, OperationExists, OperationNotFound, OpstoreError, said
from opstore.index import MAX_PAGE, Index
from opstore.storage.files import digest
from opstore.storage.names import check_operation_id, generate_operation_id, is_operation_id, sidecar_name
from opstore.storage.operation import Operation, timestamp
from opstore.storage.store import Store

#: Operations of one review; more pairs than these give nobody votes on.
MAX_CANDIDATES = 500
MAX_NAME = 60
MAX_BYTES = 8_000_000
#: Pairs of one prompt that are offered at most, and pairs of different prompts altogether.
MAX_OF_PROMPT, MAX_OTHERS = 45, 300
_VOTES = re.compile(r"\A(?P<id>[0-9]{14}_[0-9a-f]{6,8})_(?P<voter>[0-9a-f]{16})\.json\Z")

Choice = Literal["left", "right", "tie", "skip"]
CHOICES: tuple[Choice, ...] = ("left", "right", "tie", "skip")


@dataclass(frozen=True, slots=True)
class Review:
    """What is compared: `ids` of operations with a result, under a `title`; `query` is the search they came from, if one did."""

    id: str
    title: str
    created: str
    ids: tuple[str, ...]
    query: str | None = None


@dataclass(frozen=True, slots=True)
class Vote:
    """One vote: `winner` is one of `left` and `right`, None for a tie; one that was skipped counts for neither.

    `voter` is what its person was called, `person` tells people apart, also two of one name.
    """

    review: str
    voter: str
    left: str
    right: str
    winner: str | None
    skipped: bool
    at: str
    person: str = ""

    @property
    def pair(self) -> frozenset[str]:
        """Return what was compared, whichever side it stood on."""
        return frozenset((self.left, self.right))


@dataclass(frozen=True, slots=True)
class Voter:
    """Who votes: a name, and of who signed in the identity, 16 hex digits; raise InvalidInput for no name."""

    name: str
    identity: str | None = None

    def __post_init__(self) -> None:
        """Bring the name into one spelling."""
        object.__setattr__(self, "name", voter_name(self.name))

    @property
    def key(self) -> str:
        """Return what the person's file is called by: names may hold anything."""
        return self.identity or blake2b(self.name.casefold().encode(), digest_size=8).hexdigest()

    @property
    def keys(self) -> set[str]:
        """Return whose votes are this person's: those under the name alone may be from before they signed in."""
        return {self.key, Voter(self.name).key} if self.identity else {self.key}


@dataclass(frozen=True, slots=True)
class Pair:
    """What is to be voted on next, by operation id."""

    left: str
    right: str


@part()
class Reviews:
    """The reviews of one store."""

    def __init__(self, store: Store, index: Index, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Review operations of `store`, found by `index`."""
        self._store = store
        self._index = index
        self._clock = clock
        self._folder = store.data.folder("reviews")

    # -- reviews ---------------------------------------------------------------------------------------------------------

    @act(Role.REVIEWER)
    def begin(self, title: str, *, ids: Sequence[str] = (), query: str | None = None) -> Review:
        """Begin a review of `ids`, or of the newest results of a search; raise InvalidInput if there are not two of them."""
        name = " ".join(title.split())[:MAX_NAME]
        if query is not None:
            within = f"({query}) status:stored" if query.strip() else "status:stored"
            ids = [row.id for row in self._index.search(within, size=min(MAX_CANDIDATES, MAX_PAGE)).rows if row.output]
        chosen = tuple(dict.fromkeys(item for item in ids if self._shows(item)))[:MAX_CANDIDATES]
        if len(chosen) < 2:
            raise InvalidInput(reason=said("a review needs at least two operations with a result"))
        now = self._clock()
        review = Review(generate_operation_id(now), name or timestamp(now)[:16].replace("T", " "), timestamp(now), chosen, query)
        self._folder.create(review.id, [{sidecar_name(review.id): _encoded(asdict(review))}])
        return review

    def _shows(self, operation_id: str) -> bool:
        operation = self.operation(operation_id)
        return operation is not None and operation.output is not None

    @act(*Role)
    def operation(self, operation_id: str) -> Operation | None:
        """Return an operation, None where it is not there or cannot be read."""
        try:
            return Operation.of(self._store.get_operation_metadata(operation_id))
        except OpstoreError:
            return None

    @act(*Role)
    def get(self, review_id: str) -> Review:
        """Return a review; raise InvalidOperationId or OperationNotFound."""
        check_operation_id(review_id)
        found = _review(self._document(sidecar_name(review_id)))
        if found is None or found.id != review_id:
            raise OperationNotFound(operation_id=review_id)
        return found

    @act(*Role)
    def all(self) -> list[Review]:
        """Return the reviews, the newest first; what is no record of one is passed over."""
        names = sorted((name for name in self._folder.names() if is_operation_id(name.removesuffix(".json"))), reverse=True)
        found = (_review(self._document(name)) for name in names if name.endswith(".json"))
        return [review for review in found if review is not None]

    @act(Role.REVIEWER)
    def remove(self, review_id: str) -> None:
        """Remove a review with all its votes."""
        check_operation_id(review_id)
        with self._folder.locked(f"votes-{review_id}"):  # nobody votes between the look and the end
            mine = [name for name in self._folder.names() if name.startswith(f"{review_id}_")]  # what was damaged, too
            self._folder.remove(review_id, [*mine, sidecar_name(review_id)])

    # -- votes -----------------------------------------------------------------------------------------------------------

    @act(*Role)
    def votes(self, review_id: str | None = None, voter: Voter | None = None) -> list[Vote]:
        """Return votes in the order in which they were cast, skipped ones too: of a review, of a person, or all there are."""
        return self._cast(review_id, {voter.key} if voter else None)

    def _cast(self, review_id: str | None, keys: set[str] | None) -> list[Vote]:
        votes = []
        for name in self._folder.names():
            match = _VOTES.match(name)
            if match and review_id in (None, match["id"]) and (keys is None or match["voter"] in keys):
                votes += _votes(self._document(name), match["id"], match["voter"])
        return sorted(votes, key=lambda vote: (vote.at, vote.voter))

    @act(*Role)
    def rows(self) -> list[dict[str, Any]]:
        """Return every vote that was not skipped as a plain row: review, voter, left, right, winner, at."""
        return [
            {key: value for key, value in asdict(vote).items() if key not in ("skipped", "person")}
            for vote in self.votes()
            if not vote.skipped
        ]

    @act(*Role)
    def version(self) -> int:
        """Return a number that is another as soon as a vote is cast or taken back: a look at the files."""
        found = ((name, known.etag) for name, known in self._folder.entries() if _VOTES.match(name))
        return hash(frozenset(found))

    @act(Role.REVIEWER)
    def vote(self, review_id: str, voter: Voter, pair: Pair, choice: str) -> Vote:
        """Cast a vote, durably; another one on the same pair by the same person takes its place.

        Raise InvalidInput for what is none of the review's pairs, or no choice.
        """
        review = self.get(review_id)
        if choice not in CHOICES or pair.left == pair.right or not {pair.left, pair.right} <= set(review.ids):
            raise InvalidInput(reason=said("this is no pair of the review"))
        winner = {"left": pair.left, "right": pair.right}.get(choice)
        cast = Vote(review_id, voter.name, pair.left, pair.right, winner, choice == "skip", timestamp(self._clock()), voter.key)
        self._change(review_id, voter, lambda votes: [*(vote for vote in votes if vote.pair != cast.pair), cast])
        return cast

    @act(Role.REVIEWER)
    def take_back(self, review_id: str, voter: Voter) -> Vote | None:
        """Take a person's last vote back and return it, None if there is none."""
        gone: list[Vote] = []

        def without_last(votes: list[Vote]) -> list[Vote]:
            gone[:] = votes[-1:]
            return votes[:-1]

        self._change(self.get(review_id).id, voter, without_last)
        return gone[0] if gone else None

    def _change(self, review_id: str, voter: Voter, change: Callable[[list[Vote]], list[Vote]]) -> None:
        name = f"{review_id}_{voter.key}.json"
        with self._folder.locked(f"votes-{review_id}"):
            self.get(review_id)  # else it has been removed meanwhile, and its votes with it
            while True:
                stored = self._read(name)
                known = None if stored is None else _decoded(stored)
                sound = _votes(known, review_id, voter.key)
                votes = change(list(sound))
                record = {"review": review_id, "voter": voter.name, "votes": [_kept(vote) for vote in votes]}
                try:
                    if stored is None:
                        self._folder.create(name, [{name: _encoded(record)}])
                    else:
                        if not _is_whole(known, sound):
                            self._folder.keep(name, f"{name.removesuffix('.json')}.damaged.json")
                        self._folder.replace(name, name, _encoded(record), digest(stored))
                    return
                except (OperationBusy, OperationExists, FileMissing):
                    continue  # another program wrote it meanwhile: on top of that

    # -- what comes next -------------------------------------------------------------------------------------------------

    @act(Role.REVIEWER)
    def upcoming(self, review: Review, voter: Voter, count: int = 2) -> list[Pair]:
        """Return the next pairs that a person has not seen; the order and the sides are drawn once for each person."""
        seen = {vote.pair for vote in self._cast(review.id, voter.keys)}
        operations = [item for item in map(self.operation, review.ids) if item and item.output]
        fresh = (
            pair
            for pair in pairs_of(operations, f"{review.id} {voter.identity or voter.name}")
            if frozenset((pair.left, pair.right)) not in seen
        )
        return list(itertools.islice(fresh, count))

    # -- files -----------------------------------------------------------------------------------------------------------

    def _read(self, name: str) -> bytes | None:
        try:
            return self._folder.read(name, MAX_BYTES)
        except FileMissing:
            return None

    def _document(self, name: str) -> Any:
        try:
            return _decoded(self._folder.read(name, MAX_BYTES))
        except OpstoreError:
            return None


def voter_name(name: str) -> str:
    """Return a person's name in one spelling; raise InvalidInput for none, or one that is too long."""
    clean = " ".join(name.split())
    if not clean or len(clean) > MAX_NAME or not clean.isprintable():
        raise InvalidInput(reason=said("a voter has a name of at most {limit} characters", limit=MAX_NAME))
    return clean


def pairs_of(operations: Sequence[Operation], seed: str) -> list[Pair]:
    """Return the pairs to vote on in an order drawn from `seed`: those of one prompt first, of several models before one.

    Each operation has its turn before any has its second, as far as that goes.
    """
    chance = random.Random(seed)
    groups: dict[str, list[Operation]] = {}
    prompts = {operation.id: " ".join(operation.prompt.split()).casefold() for operation in operations}
    for operation in operations:
        groups.setdefault(prompts[operation.id], []).append(operation)
    same = [pair for group in groups.values() for pair in _some(list(itertools.combinations(group, 2)), MAX_OF_PROMPT, chance)]
    others = [pair for pair in itertools.combinations(operations, 2) if prompts[pair[0].id] != prompts[pair[1].id]]
    drawn = [*_spread(same, chance), *_spread(_some(others, MAX_OTHERS, chance), chance)]
    return [Pair(*((one.id, other.id) if chance.random() < 0.5 else (other.id, one.id))) for one, other in drawn]


_Two = tuple[Operation, Operation]


def _some(pairs: list[_Two], count: int, chance: random.Random) -> list[_Two]:
    return chance.sample(pairs, count) if len(pairs) > count else pairs


def _spread(pairs: Iterable[_Two], chance: random.Random) -> list[_Two]:
    """Order pairs: of two models before one, then those with an operation that had the fewest turns, else as drawn."""
    drawn = sorted(((pair[0].model == pair[1].model, chance.random(), pair) for pair in pairs), key=lambda item: item[:2])
    times: dict[str, int] = {}
    placed = []
    for at, (alike, _, pair) in enumerate(drawn):
        turns = sorted(times.get(item.id, 0) for item in pair)
        for item in pair:
            times[item.id] = times.get(item.id, 0) + 1
        placed.append(((alike, *turns, at), pair))
    return [pair for _, pair in sorted(placed, key=lambda item: item[0])]


# -- records -------------------------------------------------------------------------------------------------------------


def _encoded(record: dict[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False, indent=1).encode() + b"\n"


def _decoded(data: bytes) -> Any:
    try:
        return json.loads(data) if len(data) <= MAX_BYTES else None
    except (ValueError, RecursionError):
        return None


def _kept(vote: Vote) -> dict[str, Any]:
    return {key: value for key, value in asdict(vote).items() if key not in ("review", "voter", "person")}


def _review(record: Any) -> Review | None:
    if not isinstance(record, dict) or not is_operation_id(record.get("id")) or not isinstance(record.get("ids"), list):
        return None
    title, created, query = record.get("title"), record.get("created"), record.get("query")
    return Review(
        id=record["id"],
        title=title[:MAX_NAME] if isinstance(title, str) else "",
        created=created if isinstance(created, str) else "",
        ids=tuple(item for item in record["ids"][:MAX_CANDIDATES] if is_operation_id(item)),
        query=query if isinstance(query, str) else None,
    )


def _votes(record: Any, review_id: str, person: str) -> list[Vote]:
    """Return the sound votes of a voter's record."""
    if not isinstance(record, dict) or not isinstance(record.get("votes"), list) or not isinstance(record.get("voter"), str):
        return []
    votes = []
    for item in record["votes"]:
        left, right = (item.get("left"), item.get("right")) if isinstance(item, dict) else (None, None)
        sound = isinstance(left, str) and isinstance(right, str) and is_operation_id(left) and is_operation_id(right)
        if not sound or item.get("winner") not in (left, right, None):
            continue
        at = item.get("at")
        moment = at if isinstance(at, str) else ""
        skipped = item.get("skipped") is True
        votes.append(Vote(review_id, record["voter"], str(left), str(right), item.get("winner"), skipped, moment, person))
    return votes


def _is_whole(record: Any, votes: list[Vote]) -> bool:
    """Say whether the votes are all that a voter's record holds."""
    return isinstance(record, dict) and isinstance(record.get("votes"), list) and len(record["votes"]) == len(votes)
