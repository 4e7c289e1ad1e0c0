"""What the tests of the index have in common: random sidecars of a small vocabulary, planted as others would, and queries."""

from __future__ import annotations

import json
import os
import random
from datetime import UTC, date, datetime
from itertools import count, islice
from pathlib import Path
from typing import Any

from opstore.index import Index, Row
from opstore.index.entry import Entry
from opstore.index.keywords import seed_word
from opstore.index.reader import Reader
from opstore.storage.store import Store

TODAY = date(2025, 11, 3)
WORDS = (
    "海辺の夕日を",
    "夕日beach",
    "chat",
    "Chats",
    "chatte",
    "plage",
    "PLAGE",
    "été",
    "ete",
    "fée",
    "mer",
    "nuit",
    "l'eau",
    "16:9",
    "semi-réaliste",
    "un",
    "or",
)
TYPES = ("text_to_image", "image_edit_single", "unknown", "Text to image")
MODELS = ("qwen/qwen-image", "qwen/qwen-image-edit", "wan", None)
TAGS = ("mer", "Mer", "vacances d'été", 'a "b"', "x,y", "none")
#: Numbers that share one word in the index.
SHARED = tuple(islice((seed for seed in count(32_768) if seed_word(seed) == seed_word(32_768)), 4))
#: Seeds, and what is none.
SEEDS: tuple[Any, ...] = (
    *(0, 7, 42, 32_767, 32_768, 2**31 - 1, 2**63 - 1, 2**63, 2**64 - 1, *SHARED, *SHARED),
    *(7.0, "7", "0042", 1e18, True, "", "x", "7.0", "-7", "٧", -1, 0.5, 2**64, 10**300, None, [7], {"seed": 7}),
)
SIZES: tuple[dict[str, Any], ...] = (
    *({"width": 1024, "height": 768}, {"width": 768, "height": 1024}, {"width": 1024, "height": 1024}),
    *({"width": 10240, "height": 1}, {"width": 0, "height": -1}, {"width": 1024}, {"width": "1024", "height": True}),
)
ERRORS = ("NSFW content detected", "timed out", "429 too many requests", "???")
IDS = (
    "20251103143022_abc123",
    "20251103143022_abc123de",
    "20251103143022_abc123df",
    "20240229000000_00000000",
    "20251101000000_ffffffff",
)
ODD_IDS = (
    "20251399000000_abcdef",
    "00000000000000_00000000",
    "99999999999999_ffffffff",
    "20250230250061_0000000",
    "20191231235959_12345678",
)


def clock() -> datetime:
    """Return the third of November 2025, whatever the day."""
    return datetime(TODAY.year, TODAY.month, TODAY.day, 15, tzinfo=UTC)


def random_sidecar(chance: random.Random, operation_id: str) -> dict[str, Any]:
    """Return a sidecar in which each thing that can be asked for is there, absent, or of a strange kind."""
    failed = chance.random() < 0.3
    maybe: dict[str, Any] = {
        "model": chance.choice(MODELS),
        "provider": chance.choice(("replicate", "local", 5)),
        "elapsedSeconds": chance.choice((0.5, 60, 60.0004, 59.9996, 1e300, -1, "x", 3)),
        "cost": chance.choice(
            ({"amount": 0.1, "currency": "USD"}, {"amount": 0.1000004}, {"amount": 0}, {"amount": 2.5}, "x", None)
        ),
        "batchId": chance.choice(("b 1", IDS[0], "", 7)),
        "parents": chance.choice(([], [IDS[0]], [IDS[1], IDS[0], "x", 3], "x")),
        "workflowAnalysis": chance.choice(
            ({"confidence": 0.7, "overriddenTo": "text_to_image"}, {"analysis": {"confidence": 0.3}, "overriddenTo": None}, None)
        ),
        "annotations": chance.choice(
            (
                {"tags": chance.sample(TAGS, 2), "favorite": True, "rating": chance.randint(0, 6)},
                {"tags": "x", "note": "Pour la couverture, à revoir"},
                {"note": "夕日が好き; couverture", "tags": []},
                {"tags": "x"},
                {"rating": 4},
                None,
            )
        ),
        "parameters": chance.choice(
            ({"confidence": 0.95}, {"confidence": 0.95, "seed": chance.choice(SEEDS)}, {"seed": chance.choice(SEEDS)}, [7])
        ),
        "files": [
            chance.choice((5, {"name": f"{operation_id}_in_1.jpg", "width": 8, "height": 9})),
            {"name": f"{operation_id}_out.webp", "role": "output", **chance.choice(SIZES)},
            {"name": f"{operation_id}_out_2.mp4", "role": "output", **chance.choice(SIZES)},
        ],
        "inputCount": chance.choice((0, 1, 2, 5, -1, True)),
        "inputFiles": [f"{operation_id}_in_1.jpg", f"{operation_id}_in_1.jpg", "other_in_1.jpg"],
        "errorKind": chance.choice(("storage", "storage", "Weird one")),
        "status": chance.choice(("canceled", "unknown", "weird")),
    }
    chosen = {key: value for key, value in maybe.items() if chance.random() < 0.6}
    output = chance.choice((f"{operation_id}_out.webp", f"{operation_id}_out_2.mp4", "foreign.jpg", None))
    return {
        "operationId": operation_id,
        "operationType": chance.choice(TYPES),
        "prompt": " ".join(chance.choices(WORDS, k=chance.randint(0, 6))),
        "error": chance.choice(ERRORS) if failed else None,
        "success": not failed,
        "outputFile": output,
        **chosen,
    }


def plant(store: Store, sidecar: dict[str, Any] | bytes, operation_id: str | None = None) -> str:
    """Write a sidecar as another program would: in place, all at once."""
    data = sidecar if isinstance(sidecar, bytes) else json.dumps(sidecar, ensure_ascii=chr(233) in str(sidecar)).encode()
    operation_id = operation_id or (sidecar["operationId"] if isinstance(sidecar, dict) else "")
    store.operations.path.mkdir(parents=True, exist_ok=True)
    (store.operations.path / f"{operation_id}.json").write_bytes(data)
    return operation_id


def settle(store: Store) -> None:
    """Make every sidecar old enough that its time tells a later change."""
    for number, path in enumerate(sorted(store.operations.path.glob("*.json"))):
        os.utime(path, ns=(10**18 + number, 10**18 + number))


def rows_of(store: Store) -> list[Row]:
    """Return the rows that the folder's sidecars make, read one by one."""
    with Reader(store.operations) as reader:
        names = sorted(path.name[:-5] for path in store.operations.path.glob("*.json"))
        read = (reader.read(name) for name in names)
        return [Row.of(found[0]) for found in read if found and isinstance(found[0], Entry)]


def all_rows(index: Index, text: str = "", order: str = "newest", size: int = 7) -> list[Row]:
    """Return every row that a search finds, page by page."""
    rows: list[Row] = []
    after = None
    while True:
        found = index.search(text, order=order, after=after, size=size)
        rows += found.rows
        after = found.next
        if after is None:
            return rows


class Queries:
    """Random searches over what the random sidecars say."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def text(self, depth: int = 0) -> str:
        """Return a search."""
        chance = self._chance
        parts = [self.part(depth) for _ in range(chance.choice((1, 1, 2, 2, 3)))]
        for place in range(len(parts) - 1, 0, -1):
            if chance.random() < 0.25:
                parts.insert(place, "or")
        return " ".join(parts)

    def part(self, depth: int) -> str:
        """Return one word, phrase, field or group, perhaps negated."""
        chance = self._chance
        sign = "-" if chance.random() < 0.25 else ""
        kind = chance.random()
        if kind < 0.15 and depth < 3:
            return f"{sign}({self.text(depth + 1)})"
        if kind < 0.4:
            word = chance.choice(
                (
                    *WORDS[:-1],
                    "pl*",
                    "chat*",
                    "夕日",
                    "辺の",
                    "夕日*",
                    "海",
                    "日海",
                    "et*",
                    "absent",
                    "l'ea*",
                    '"chat plage"',
                    '"un chat"',
                    '"or"',
                    "🦊x",
                )
            )
            return sign + word
        return sign + self.field()

    def field(self) -> str:
        """Return a field with a value or several."""
        chance = self._chance
        numbers = {
            "rating": ("4", ">=4", "<3", "2..5", ">5"),
            "inputs": ("2", ">0", "0..1"),
            "cost": (">0.1", ">=0.1", "0.1", "<2.5", "0.0", "..1", "0.1000004"),
            "elapsed": (">60", "60.0", "<=60", "<0", "1..59.9999"),
            "confidence": ("<0.7", "<=0.7", "0.7..1", ">0.2"),
            "date": (
                "2025-11",
                "2025-11..today",
                "today",
                "yesterday",
                "7d",
                ">2025-11-01",
                "<2025",
                "2024-02-29",
                "..2019",
                ">=2025-12-31",
            ),
        }
        names = {
            "type": ("text_to_image", "text-to-image", "unknown", "im*"),
            "status": ("stored", '"result missing"', "failed", "canceled", "unknown"),
            "model": ("qwen-image", "qwen/qwen-image", "qwen*", "wan"),
            "provider": ("replicate", "local"),
            "tag": ("mer", '"vacances d\'ete"', '"a  b"', '"x,y"', "vac*", "absent", "*"),
            "favorite": ("yes", "no"),
            "overridden": ("yes", "no"),
            "rated": ("yes", "no"),
            "tagged": ("yes", "no"),
            "seed": (*map(str, SEEDS[:9]), *map(str, SHARED), "*", "007", "5"),
            "size": (
                "1024x768",
                "768X1024",
                "1024×1024",
                '"1024 x 768"',
                "1024*",
                "1024x*",
                "*",
                "landscape",
                "portrait",
                "Square",
            ),
            "note": ("couverture", "couv*", '"la couverture"', "夕日", "*", "absent"),
            "error": ("nsfw", "timeout", "rate-limit", "storage", "other", '"weird one"', "weird*"),
            "id": (IDS[0], IDS[1], "202511", "20251103143022_abc", "2019", f"{IDS[0]}*"),
            "parent": (IDS[0], IDS[2]),
            "batch": ('"b 1"', IDS[0], "*"),
        }
        field, values = chance.choice([*numbers.items(), *names.items()])
        return f"{field}:{','.join(chance.sample(values, min(chance.choice((1, 1, 2)), len(values))))}"


def folder_of(root: Path, count: int, seed: int) -> Store:
    """Return a store with random operations, odd ids among them."""
    chance = random.Random(seed)
    store = Store(root)
    ids = {*IDS, *ODD_IDS}
    while len(ids) < count:
        day = f"{chance.choice((2019, 2024, 2025))}{chance.choice(('01', '11', '12'))}{chance.choice(('01', '03', '31'))}"
        ids.add(f"{day}1430{chance.randrange(3):02}_{chance.getrandbits(32):08x}")
    for operation_id in sorted(ids):
        plant(store, random_sidecar(chance, operation_id))
    return store
