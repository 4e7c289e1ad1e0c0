"""Stacks: what belongs together is shown once, by the newest that the search finds, over all pages and under any filter."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opstore.errors import InvalidRequest
from opstore.index import STACKS, Index
from opstore.storage.store import Store
from tests.examples import some
from tests.index_samples import plant

PICTURES = (b"first picture", b"second picture")


def fill(store: Store, operations: list[tuple[str, str | None, int | None, bool]]) -> list[dict[str, Any]]:
    """Write sidecars (prompt, batch, picture, success), one a second; return them, newest first."""
    for second, (prompt, batch, picture, success) in enumerate(operations):
        name = f"202601010{second // 3600:01d}{second // 60 % 60:02d}{second % 60:02d}_{second:08x}"
        files = [] if picture is None else [{"role": "input", "sha256": sha256(PICTURES[picture]).hexdigest()}]
        error, output = (None, f"{name}_out.jpg") if success else ("no", None)
        plant(
            store,
            {"operationId": name, "prompt": prompt, "batchId": batch, "success": success, "error": error, "operationType": "x"}
            | {"outputFile": output, "files": files},
        )
    return store.list_operations(10_000)


def expected(sidecars: list[dict[str, Any]], by: str, wanted: Callable[[dict[str, Any]], bool]) -> list[tuple[str, int]]:
    """Return ids and sizes of the stacks, from the sidecars themselves."""
    keys: dict[str, Callable[[dict[str, Any]], object]] = {
        "batch": lambda s: s["batchId"],
        "prompt": lambda s: s["prompt"].strip() or None,
        "inputs": lambda s: tuple(f["sha256"] for f in s["files"] if f["role"] == "input") or None,
    }
    key = keys[by]
    seen: set[object] = set()
    found: list[tuple[str, int]] = []
    for sidecar in filter(wanted, sidecars):
        value = key(sidecar)
        if value is None or value not in seen:
            seen.add(value)
            found.append((sidecar["operationId"], 1 if value is None else sum(key(other) == value for other in sidecars)))
    return found


def pages(index: Index, text: str, by: str, size: int) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    after = None
    for _ in range(1_000):
        page = index.search(text, size=size, stack=by, after=after)
        found += [(row.id, page.stacks[row.id]) for row in page.rows]
        after = page.next
        if after is None:
            return found
    raise AssertionError("the pages do not end")


OPERATION = st.tuples(
    st.sampled_from(("a red cat", "a blue dog", "")),
    st.sampled_from((None, "one", "two")),
    st.sampled_from((None, 0, 1)),
    st.booleans(),
)


@settings(max_examples=some(25), deadline=None)
@given(operations=st.lists(OPERATION, max_size=14), size=st.integers(1, 5))
def test_stacks_are_what_the_sidecars_say(
    tmp_path_factory: pytest.TempPathFactory, operations: list[tuple[str, str | None, int | None, bool]], size: int
) -> None:
    store = Store(tmp_path_factory.mktemp("stacks"))
    store.initialize_storage()
    sidecars = fill(store, operations)
    index = Index(store)
    index.update()
    for by in STACKS:
        assert pages(index, "", by, size) == expected(sidecars, by, lambda s: True)
        assert pages(index, "status:failed", by, size) == expected(sidecars, by, lambda s: not s["success"])
        assert pages(index, "cat", by, size) == expected(sidecars, by, lambda s: "cat" in s["prompt"])
    index.stop()


def test_a_library_of_nothing_but_twins_is_one_stack(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.initialize_storage()
    fill(store, [("the same again", None, None, True)] * 450)
    index = Index(store)
    index.update()
    assert [size for _, size in pages(index, "", "prompt", 50)] == [450]
    assert index.search("", stack="prompt").total.n == 450
    index.stop()


def test_an_unknown_stack_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.initialize_storage()
    with pytest.raises(InvalidRequest, match="batch, prompt, inputs"):
        Index(store).search("", stack="colour")


def test_the_same_images_are_found_by_any_operation_that_has_them(tmp_path: Path) -> None:
    store = Store(tmp_path)
    sidecars = fill(store, [(f"p{n % 2}", None, (None, 0, 1, 0)[n % 4], n % 3 > 0) for n in range(16)])
    index = Index(store)
    index.update()
    first, second, bare = (
        [s["operationId"] for s in sidecars if [f["sha256"] for f in s["files"] if f["role"] == "input"] == wanted]
        for wanted in ([sha256(PICTURES[0]).hexdigest()], [sha256(PICTURES[1]).hexdigest()], [])
    )
    for asked in first:
        assert [row.id for row in index.search(f"images:{asked}").rows] == first
    assert [row.id for row in index.search(f"-images:{first[0]}").rows] == sorted([*second, *bare], reverse=True)
    assert [row.id for row in index.search(f"images:{first[0]},{second[0]} p0").rows] == [
        s["operationId"] for s in sidecars if s["operationId"] in (*first, *second) and s["prompt"] == "p0"
    ]
    assert index.count(f"images:{bare[0]}").n == index.count("images:20010101000000_00000000").n == 0
    assert index.count(f"-images:{bare[0]}").n == 16
