"""The demo's blind votes: two people choose between what the engine painted whole and its draft of the same prompt.

Cast once, in a review of their own that anybody may remove; whoever removed it gets no other.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from datetime import datetime

from opstore.comparing.reviews import Pair, Reviews, Voter
from opstore.demo.plan import Planned, Session
from opstore.index import Index
from opstore.storage.names import sidecar_name
from opstore.storage.store import Store

TITLE = "Demo: whole or draft"
VOTERS = (Voter("Ada (demo)"), Voter("Émile (demo)"))
#: Prompts that are voted on: each vote is a durable write.
PROMPTS = 14


def vote(store: Store, story: Sequence[Session], seed: int, end: datetime) -> int:
    """Cast the votes if there is no review yet; return how many."""
    reviews = Reviews(store, Index(store), clock=lambda: end)
    if reviews.all():
        return 0
    pairs = [pair for session in story for pair in _pairs(store, session)][-PROMPTS:]
    ids = [operation_id for pair in pairs for operation_id in (pair.left, pair.right)]
    if len(ids) < 2:
        return 0
    review = reviews.begin(TITLE, ids=ids)
    chance = random.Random(f"{seed} votes")
    for voter, pair in itertools.product(VOTERS, pairs):
        # The whole picture is on the left; people see the sides drawn, which no vote keeps.
        reviews.vote(review.id, voter, pair, chance.choices(("left", "right", "tie"), (70, 20, 10))[0])
    return len(pairs) * len(VOTERS)


def _pairs(store: Store, session: Session) -> list[Pair]:
    """Return what can be compared in a session: results of one batch, of which one is a draft, that are still there."""
    there = [item for item in session if item.batch and not item.error and store.operations.has(sidecar_name(item.id))]
    drafts = [item for item in there if item.draft]
    return [Pair(_whole(there, draft).id, draft.id) for draft in drafts if _whole(there, draft) is not draft]


def _whole(items: Sequence[Planned], draft: Planned) -> Planned:
    """Return the first whole picture of a draft's batch, the draft itself if there is none."""
    return next((item for item in items if item.batch == draft.batch and not item.draft), draft)
