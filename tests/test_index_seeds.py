"""Seeds and sizes: how they are read from a sidecar, however it writes them, and found by the search, exactly."""

from __future__ import annotations

from pathlib import Path

import pytest

from opstore.index import Index
from opstore.index.entry import entry_of
from opstore.index.keywords import seed_word
from opstore.storage.operation import pixels_of, seed_of
from opstore.storage.store import Store
from tests.index_samples import SHARED, all_rows, clock, plant

ID = "20251103143022_abc123de"


@pytest.mark.parametrize(
    ("written", "seed"),
    [
        *((0, 0), (7, 7), (2**64 - 1, 2**64 - 1), (7.0, 7), (1e19, 10**19), ("7", 7), ("0042", 42), (str(2**64 - 1), 2**64 - 1)),
        *((value, None) for value in (-1, -7.0, 0.5, 2**64, 10**300, 1e300, float("nan"), float("inf"), True, False, None)),
        *((value, None) for value in ("", "x", "-7", "7.0", " 7", "7\n", "٧", "½", str(2**64), "9" * 400, [7], {"seed": 7})),
    ],
)
def test_a_seed_is_a_whole_number_however_it_is_written(written: object, seed: int | None) -> None:
    sidecar = {"operationId": ID, "parameters": {"seed": written}}
    assert seed_of(sidecar) == entry_of(sidecar, ID).seed == seed and type(seed_of(sidecar)) is type(seed)


def test_a_size_is_the_main_outputs() -> None:
    files = [
        {"name": f"{ID}_in_1.jpg", "role": "input", "width": 8, "height": 9},
        {"name": f"{ID}_out_2.webp", "role": "output", "width": 640, "height": 480},
        {"name": f"{ID}_out.webp", "role": "output", "width": 1024, "height": 768},
    ]
    sidecar = {"operationId": ID, "files": files, "outputFile": f"{ID}_out.webp"}
    assert entry_of(sidecar, ID).size == "1024x768" and pixels_of(sidecar, f"{ID}_in_1.jpg") == (8, 9)
    assert entry_of(sidecar | {"outputFile": None}, ID).size == "640x480"
    for odd in (None, 0, -1, True, "1024", 1024.0, 2**60):
        assert entry_of(sidecar | {"files": [files[2] | {"height": odd}]}, ID).size is None


def test_seeds_that_share_a_word_are_told_apart(tmp_path: Path) -> None:
    assert len({seed_word(seed) for seed in SHARED}) == 1 and len({seed_word(seed) for seed in range(32_768)}) == 32_768
    index = Index(Store(tmp_path), clock=clock)
    seeds = [*SHARED[:3] * 3, 7, 2**64 - 1, None]
    for number, seed in enumerate(seeds):
        parameters = {} if seed is None else {"seed": seed}
        plant(index.store, {"operationId": f"202511031430{number:02}_abc123de", "prompt": "mer", "parameters": parameters})
    index.update()

    def found(text: str) -> list[int | None]:
        return [row.seed for row in all_rows(index, text, "oldest")]

    first, second, _, absent = SHARED
    assert found(f"seed:{first}") == [first] * 3 and found(f"seed:{absent}") == []
    assert found(f"mer seed:{first},{second}") == [first, second] * 3
    assert found(f"mer -seed:{first}") == found(f"-seed:{first}") == [seed for seed in seeds if seed != first]
    assert found("seed:7,18446744073709551615") == [7, 2**64 - 1]
    assert found("-seed:*") == [None] and found("seed:*") == seeds[:-1]


def test_an_image_that_is_stored_is_found_by_its_size(tmp_path: Path) -> None:
    index = Index(Store(tmp_path), clock=clock)
    sizes = [(1024, 768), (768, 1024), (512, 512), (10240, 512)]
    for number, (width, height) in enumerate(sizes):
        name = f"2025110314300{number}_abc123de"
        file = {"name": f"{name}_out.png", "role": "output", "width": width, "height": height}
        plant(index.store, {"operationId": name, "outputFile": f"{name}_out.png", "files": [file], "success": True})
    index.update()
    for text, wanted in {
        "size:1024x768": [0],
        "size:1024×768": [0],
        "size:1024*": [0, 3],
        "size:1024x*": [0],
        "size:landscape": [0, 3],
        "size:portrait,square": [1, 2],
        "-size:portrait": [0, 2, 3],
        "size:*": [0, 1, 2, 3],
        "size:640x480": [],
    }.items():
        assert [row.id[13] for row in all_rows(index, text, "oldest")] == [str(number) for number in wanted], text
