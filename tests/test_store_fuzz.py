"""Anything at all as arguments: the answer is a result or one of our own errors, and the folder stays healthy."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opstore import OpstoreError, Store
from opstore.storage.operation import ADDED, SPECIFIED, decode, encode
from tests import examples
from tests.examples import some
from tests.samples import GIF, HOSTILE_IDS, ID, JPG, LATER, MP4, PNG, SHORT, WEBP, fixed_store

anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.complex_numbers() | st.decimals()
    | st.sampled_from([object(), print, Store, Path("x"), range(3), memoryview(b"x"), bytearray(b"y"), ...]) | st.dates()
    | st.builds(pow, st.just(10), st.just(5_000)),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text() | st.integers() | st.none() | st.binary(), inner, max_size=3)
    | st.tuples(inner, inner)
    | st.frozensets(st.integers(), max_size=2),
    max_leaves=6,
)  # fmt: skip


def mostly(good: st.SearchStrategy[Any], bad: st.SearchStrategy[Any] = anything) -> st.SearchStrategy[Any]:
    """Return three good values for a bad one: were half of all arguments bad, hardly a call would get past the first check."""
    return st.integers(0, 3).flatmap(lambda dice: good if dice else bad)


media = mostly(
    st.sampled_from([PNG, JPG, WEBP, GIF, MP4, b"no media"]), st.sampled_from([b"", PNG[:20], MP4[:40]]) | st.binary(max_size=40)
)
hostile_ids = st.sampled_from([value for value in HOSTILE_IDS if isinstance(value, str)])
ids = mostly(st.sampled_from([ID, LATER, SHORT]), hostile_ids | anything)
names = st.sampled_from([f"{ID}_in_1.png", f"{ID}_out.jpg", f"{LATER}_out.jpg", "../../x", ""])
urls = st.sampled_from(["", "data:,x", "data:;base64,eA==", "data:;base64,!", "http://[", "https://x.invalid/", "\ud800"])
lists = mostly(st.lists(media, max_size=3), st.lists(media | anything, max_size=3) | anything)
entries = st.dictionaries(st.sampled_from(["name", "role", "sha256", "bytes"]), anything | names, max_size=4)
good: Mapping[str, st.SearchStrategy[Any]] = {
    "operationId": st.sampled_from([ID, LATER]),
    "operationType": st.sampled_from(["text_to_image", "edit_then_video", "x"]),
    "prompt": st.text(),
    "parameters": st.dictionaries(st.text(), st.text() | st.integers(), max_size=2),
    "inputFiles": st.lists(names, max_size=2),
    "outputFile": st.none() | names,
    "resultUrl": st.none() | urls,
    "success": st.booleans(),
    "inputImages": st.lists(media, max_size=3),
    "outputs": media | st.lists(media, max_size=3),
    "files": st.lists(entries, max_size=2),
}
operations = mostly(
    st.fixed_dictionaries({}, optional=good),
    st.fixed_dictionaries({}, optional={key: mostly(value) for key, value in good.items()})
    | st.dictionaries(
        st.sampled_from([*SPECIFIED, *ADDED]) | st.text() | st.integers() | st.binary() | st.none(), anything, max_size=4
    )
    | anything,
)
#: Metadata carry no bytes, but what people mistake for metadata does.
metadata = mostly(
    operations.map(lambda value: {k: v for k, v in value.items() if k in SPECIFIED} if isinstance(value, dict) else value),
    operations,
)
CALLS: Mapping[str, st.SearchStrategy[tuple[Any, ...]]] = {
    "save_input_image": st.tuples(ids, mostly(media), mostly(st.integers(1, 10))),
    "save_output_file": st.tuples(ids, mostly(media), mostly(st.text()), mostly(st.integers(1, 4))),
    "save_operation_metadata": st.tuples(ids, metadata),
    "save_complete_operation": st.tuples(operations),
    "save": st.tuples(ids, metadata, lists, lists, mostly(st.none() | media)),
    "list_operations": st.tuples(mostly(st.integers(0, 2**70))),
    "get_operation_metadata": st.tuples(ids),
    "read_file": st.tuples(mostly(names, ids)),
}


@pytest.mark.parametrize("function", CALLS)
def test_bad_input_gets_one_of_our_own_errors_and_leaves_a_healthy_folder(function: str) -> None:
    accepted = 0

    @settings(max_examples=some(120), deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
    @given(CALLS[function])
    def run(arguments: tuple[Any, ...]) -> None:
        nonlocal accepted
        with TemporaryDirectory() as root:
            store = fixed_store(Path(root))
            named = dict(zip(("inputs", "outputs", "intermediate"), arguments[2:], strict=False)) if function == "save" else {}
            for _ in range(2):
                with contextlib.suppress(OpstoreError):
                    getattr(store, function)(*(arguments[:2] if named else arguments), **named)
                    accepted += 1
            assert {path.name for path in Path(root).iterdir()} <= {"data"}
            assert {problem.kind for problem in store.verify(deep=True)} <= {"orphan", "missing", "foreign name"}
            for sidecar in store.list_operations():
                assert decode(encode(sidecar), sidecar["operationId"]) == sidecar

    run()
    # Of 40 examples it may be two by chance.
    assert not examples.soaking or accepted >= 12 or function in ("get_operation_metadata", "read_file"), (
        "some of it must be good, or nothing was tried"
    )
