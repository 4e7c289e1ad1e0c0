"""Replicate's records and answers, whatever is in them: read without an exception, and explained in sentences."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opstore.errors import CreateUncertain, ProviderError
from opstore.errors.failure import KINDS
from opstore.providers.replicate.failures import explain
from opstore.providers.replicate.records import prediction
from opstore.providers.replicate.refusals import Answered, refusal
from tests.examples import some

# -- why a run failed -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("NSFW content detected. Try running it again, or try a different prompt.", "nsfw"),
        (
            "The input or output was flagged as sensitive. Please try again with different inputs. (E005) (uIJ6l3ruRD)",
            "nsfw",
        ),
        ("Prediction interrupted; please retry (code: PA)", "interrupted"),
        ("Director: unexpected error handling prediction (E9828)", "interrupted"),
        ("Service is temporarily unavailable due to high demand. (E003)", "rate limit"),
        ("CUDA out of memory. Tried to allocate 2.00 GiB", "memory"),
        ("Prediction timed out", "timeout"),
        ("cannot identify image file", "invalid input"),
        ("list index out of range", "crash"),
        ("", "crash"),
        (None, "crash"),
        ({"message": "NSFW"}, "nsfw"),
        (["odd"], "crash"),
    ],
)
def test_a_failure_is_a_sentence_that_says_what_to_do(text: Any, kind: str) -> None:
    found, sentence = explain("failed", text)
    assert found == kind and kind in KINDS
    assert sentence and sentence[0].isupper() and sentence.endswith(")")
    if isinstance(text, str) and text:
        assert text in sentence


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
KEYS = ["id", "status", "output", "error", "logs", "metrics", "urls", "created_at", "started_at", "completed_at", "input", "x"]


@settings(max_examples=some(300), deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), JSON))
def test_any_record_is_read(record: dict[str, Any]) -> None:
    found = prediction(record)
    assert found.status in ("starting", "processing", "succeeded", "failed", "canceled", "aborted")
    assert all(isinstance(output, str) for output in found.outputs)
    json.dumps(dict(found.raw))


def test_an_unknown_status_is_still_running() -> None:
    assert not prediction({"id": "a", "status": "queued"}).ended


def test_a_long_log_keeps_its_end() -> None:
    assert prediction({"logs": "x" * 100_000 + " 45%|####"}).logs.endswith("45%|####")
    assert prediction({"logs": "x" * 100_000 + " 45%|####", "status": "processing"}).progress == 0.45


@settings(max_examples=some(200), deadline=None)
@given(st.integers(100, 599), st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()), st.text(max_size=20))
def test_any_answer_becomes_one_of_our_errors(status: int, body: bytes, header: str) -> None:
    for creating in (True, False):
        error = refusal(Answered(status, {"retry-after": header}, body), creating=creating)
        assert isinstance(error, ProviderError)
        assert creating or not isinstance(error, CreateUncertain)
