"""What packing a month saves and costs: sidecars, photographs, inputs that are used again; and what reading packed files costs.

The yardstick of space is what the plain files take of the disk, of reading the same read of plain files in the same run.
"""

from __future__ import annotations

import importlib.util
import io
import json
import random
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from bench import Table, corpus, file_system
from bench.care import timed
from opstore import Store
from opstore.care.compression import Compressed, Compression

SIDECARS = 3_000
PHOTOS = 16
READ = 1_000
#: Photographs that lie inside installed packages.
_PACKAGES = {"skimage": ("data/rocket.jpg", "data/retina.jpg", "data/hubble_deep_field.jpg")}


def run() -> Iterable[Table]:
    """Measure on the disk that the checkout lies on."""
    kinds: dict[str, Callable[[Store], None]] = {
        f"{SIDECARS:,} sidecars of a month": sidecars,
        f"{PHOTOS} photographs as JPEG": photographs,
        f"{PHOTOS} photographs as WebP": lambda store: pictures(store, "WEBP"),
        f"{PHOTOS} photographs as PNG": lambda store: pictures(store, "PNG"),
        "one input of eight operations": shared,
    }
    rows: list[list[str]] = []
    reads: list[list[str]] = []
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=Path(__file__).resolve().parents[1]) as place:
        for number, (name, fill) in enumerate(kinds.items()):
            store = Store(Path(place) / str(number) / "data")
            store.initialize_storage()
            fill(store)
            rows.append(measured(name, store, reads))
        notes = [file_system(Path(place)), "A file takes whole blocks of 4 KiB of the disk; every byte was compared."]
    yield Table(
        "packing: what it saves", ("what", "bytes", "on the disk", "packed", "saved", "estimated", "ms an op"), rows, notes
    )
    yield Table(
        "packing: what reading costs", ("what", "loose", "packed", "ratio"), reads, [f"a read of each of at most {READ:,} files"]
    )


def measured(name: str, store: Store, reads: list[list[str]]) -> list[str]:
    """Pack a store, unpack it again, and lay out what came of it."""
    names = sorted(store.operations.names())
    kinds = {"sidecars": ".json"} if "sidecars" in name else {"JPEGs": ".jpg"} if name.endswith("JPEG") else {}
    wanted = {kind: [one for one in names if one.endswith(ending)][:READ] for kind, ending in kinds.items()}
    before = {one: store.operations.read(one) for one in names}
    loose = {kind: timed(partial(read, store, some)) for kind, some in wanted.items()}
    compression = Compression(store, clock=lambda: datetime(2030, 1, 1, tzinfo=UTC))
    planned = compression.plan()
    done: list[Compressed] = []
    seconds = timed(lambda: done.append(compression.apply()))
    for kind, some in wanted.items():
        packed = timed(partial(read, store, some))
        each = [f"{took / len(some) * 1e6:,.0f} µs" for took in (loose[kind], packed)]
        reads.append([kind, *each, f"{packed / loose[kind]:.1f}"])
    compression.unpack()
    if {one: store.operations.read(one) for one in names} != before:
        raise RuntimeError("what came back is not what was packed")
    taken, after = (sum(getattr(month, which) for month in done[0].months) for which in ("before", "after"))
    return [
        name,
        f"{sum(map(len, before.values())) / 1e6:.1f} MB",
        f"{taken / 1e6:.1f} MB",
        f"{after / 1e6:.1f} MB",
        f"{1 - after / taken:.0%}",
        f"{planned.saved / taken:.0%}",
        f"{seconds / done[0].operations * 1e3:.1f}",
    ]


def read(store: Store, names: Sequence[str]) -> None:
    """Read files, one after the other."""
    for name in names:
        store.operations.read(name)


def sidecars(store: Store) -> None:
    """Write sidecars of one month, without media."""
    for number, sidecar in enumerate(corpus.operations(SIDECARS)):
        moved = f"202506{1 + number % 28:02}{sidecar['operationId'][8:]}"
        text = json.dumps(sidecar, ensure_ascii=False, indent=2).replace(sidecar["operationId"], moved)
        (store.operations.path / f"{moved}.json").write_text(text)


def photographs(store: Store) -> None:
    """Write parts of real photographs, as JPEGs of the usual quality."""
    pictures(store, "JPEG")


def pictures(store: Store, kind: str) -> None:
    """Write parts of real photographs, each the output of an operation."""
    for number, data in enumerate(_parts(PHOTOS, kind)):
        store.save(f"20250601000000_{number:08x}", {"prompt": f"part {number}"}, outputs=[data])


def shared(store: Store) -> None:
    """Write operations that share their input, as the variants of one picture do."""
    parts = list(_parts(PHOTOS, "JPEG"))
    for number in range(PHOTOS):
        inputs = [parts[number // 8]]
        store.save(f"20250601000000_{number:08x}", {"prompt": f"variant {number}"}, inputs=inputs, outputs=[parts[number]])


def _parts(count: int, kind: str) -> Iterator[bytes]:
    from PIL import Image

    chance = random.Random(6)
    images = []
    for package, names in _PACKAGES.items():
        spec = importlib.util.find_spec(package)
        folder = Path(spec.origin).parent if spec and spec.origin else Path()
        images += [Image.open(folder / name).convert("RGB") for name in names]
    options = {"JPEG": {"quality": 90}, "WEBP": {"quality": 90}, "PNG": {}}[kind]
    for number in range(count):
        image = images[number % len(images)]
        side = min(image.size) * 3 // 4
        left, top = (chance.randrange(0, size - side + 1) for size in image.size)
        file = io.BytesIO()
        image.crop((left, top, left + side, top + side)).resize((768, 768)).save(file, kind, **options)
        yield file.getvalue()
