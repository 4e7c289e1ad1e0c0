"""What a save costs beyond its writes: `Store.save` of an operation against the same bytes, links and syncs in a plain loop.

All write an input of 500 kB, an output of 1 MB and a sidecar, each to a temporary name, sync each file, link the media, sync the
folder, link the sidecar, sync the folder and remove the temporary names. The loop does that one after the other and nothing
else: no names, no checks, no lock, no hashes, no look into the pictures. What the format asks for beyond it is mainly the hash,
so a third way is the loop with that: where syncs are quick, as on a virtual disk, it is most of the difference. They take
turns within every round, so that whatever else the disk does meets all.
"""

from __future__ import annotations

import hashlib
import os
import random
import struct
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from bench import Table, file_system, milliseconds, percentile
from opstore import Store, generate_operation_id

WARM_UP, ROUNDS = 5, 60
INPUT, OUTPUT = 500_000, 1_000_000
SIDECAR = 1_355  # bytes: what the store writes for this operation


def run() -> Iterable[Table]:
    """Measure on the disk that the checkout lies on: in memory a sync would cost nothing."""
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=Path(__file__).resolve().parents[1]) as place:
        folder = Path(place)
        store = Store(folder / "store")
        store.initialize_storage()
        seconds = measure(store, folder)
        saves, bare, hashed = seconds.values()
        rounds = [one / other for one, other in zip(saves, bare, strict=True)]
        yield Table(
            title=f"an operation of {INPUT / 1e6:g} + {OUTPUT / 1e6:g} MB and a sidecar, {ROUNDS} rounds, {file_system(folder)}",
            columns=("", "median", "p95", "to the loop's median"),
            rows=[
                (name, milliseconds(percentile(row, 0.5)), milliseconds(percentile(row, 0.95)), ratio(row, bare))
                for name, row in seconds.items()
            ],
            notes=(
                f"save to loop {ratio(saves, bare)} (aim: at most 1.20), to the loop with hashes {ratio(saves, hashed)}",
                f"round by round, save to loop: median {percentile(rounds, 0.5):.2f}, p95 {percentile(rounds, 0.95):.2f}",
            ),
        )


def ratio(row: Sequence[float], other: Sequence[float]) -> str:
    """Word how much longer one takes than the other, by their medians."""
    return f"{percentile(row, 0.5) / percentile(other, 0.5):.2f}"


def measure(store: Store, folder: Path) -> dict[str, list[float]]:
    """Return the seconds of each way, round by round; which of them goes first changes from round to round."""
    (folder / "bare").mkdir()
    (folder / "hashed").mkdir()
    seconds: dict[str, list[float]] = {"Store.save": [], "the loop": [], "the loop, and SHA-256 of the media": []}
    for number in range(WARM_UP + ROUNDS):
        turns = list(zip(seconds.values(), ways(store, folder, number), strict=True))
        first = number % len(turns)
        for row, act in turns[first:] + turns[:first]:
            row.append(timed(act))
    return {name: row[WARM_UP:] for name, row in seconds.items()}


def ways(store: Store, folder: Path, number: int) -> tuple[Callable[[], object], ...]:
    """Return the three ways to keep one operation."""
    operation_id = generate_operation_id()
    picture, result = jpeg(INPUT, 2 * number), png(OUTPUT, 2 * number + 1)
    metadata = {"operationType": "image_edit_single", "prompt": "a calm sea at night", "parameters": {"seed": number}}
    media = {f"{operation_id}_in_1.jpg": picture, f"{operation_id}_out.png": result}
    sidecar = {f"{operation_id}.json": b" " * SIDECAR}

    def hashed() -> None:
        for data in media.values():
            hashlib.sha256(data).hexdigest()
        plain(folder / "hashed", media, sidecar)

    return (
        lambda: store.save(operation_id, metadata, inputs=[picture], outputs=[result]),
        lambda: plain(folder / "bare", media, sidecar),
        hashed,
    )


def timed(act: Callable[[], object]) -> float:
    """Return the seconds that it takes."""
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def plain(folder: Path, *stages: Mapping[str, bytes]) -> None:
    """Do the least that keeps files through a power cut: write and sync each, then link and sync the folder, stage by stage."""
    place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    for stage in stages:
        for name, data in stage.items():
            file = os.open(f".{name}.tmp", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=place)
            os.write(file, data)
            os.fsync(file)
            os.close(file)
    for stage in stages:
        for name in stage:
            os.link(f".{name}.tmp", name, src_dir_fd=place, dst_dir_fd=place)
        os.fsync(place)
    for stage in stages:
        for name in stage:
            os.unlink(f".{name}.tmp", dir_fd=place)
    os.close(place)


def jpeg(size: int, seed: int) -> bytes:
    """Return a JPEG file as its header says, of `size` bytes that no disk can shorten: what follows the header is noise."""
    head = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
    frame = b"\xff\xc0" + struct.pack(">HBHHB", 17, 8, 1080, 1920, 3) + b"\x01\x22\x00\x02\x11\x01\x03\x11\x01"
    scan = b"\xff\xda\x00\x0c\x03\x01\x00\x02\x11\x03\x11\x00\x3f\x00"
    noise = random.Random(seed).randbytes(size).replace(b"\xff", b"\xfe")
    return (head + frame + scan + noise)[: size - 2] + b"\xff\xd9"


def png(size: int, seed: int) -> bytes:
    """Return a PNG file of about `size` bytes: noise, stored as it is."""
    width = 640
    height = size // (width * 3 + 1)
    pixels = zlib.compress(random.Random(seed).randbytes((width * 3 + 1) * height), 0)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
