"""The codec and the view: what is written is read back equal, what cannot be is refused in words, and nothing stored breaks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from opstore import OPERATION_TYPES, DamagedOperation, InvalidMetadata, Operation
from opstore.errors import InvalidRequest
from opstore.storage.operation import (
    ADDED,
    MAX_DEPTH,
    MAX_SIDECAR_BYTES,
    SPECIFIED,
    checked,
    complete,
    decode,
    encode,
    fallback_extension,
    parse_time,
    plain,
    timestamp,
)
from tests.samples import ID, MOMENT, SHORT, UNSTORABLE, Member, nested, sidecar_file, unstorable

text = st.text(st.characters(exclude_categories=["Cs"]))
scalars = st.none() | st.booleans() | st.integers(-(2**1023), 2**1023) | st.floats(allow_nan=False, allow_infinity=False) | text
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4), max_leaves=20
)
#: Bytes that are nearly JSON: what breaks parsers, in any order.
nearly = st.lists(
    st.sampled_from(
        [b"{", b"}", b"[", b"]", b'"', b":", b",", b"\\ud800", b"NaN", b"1e999", b"-", b"0", b"\xff", b"\xef\xbb\xbf", b"\0"]
    )
    | st.sampled_from([b'"operationId"', f'"{ID}"'.encode(), b"null", b"true", b"\xed\xa0\x80", b"9" * 400, b"[" * 200]),
    max_size=12,
).map(b"".join)


# -- the codec -----------------------------------------------------------------------------------------------------------


@pytest.mark.long
@given(st.dictionaries(text, json_values, max_size=6))
def test_any_json_object_comes_back_equal_and_in_order(value: dict[str, Any]) -> None:
    sidecar = value | {"operationId": ID}
    again = decode(encode(sidecar), ID)
    assert again == sidecar
    assert list(again) == list(sidecar)
    assert encode(again) == encode(sidecar)
    assert _types(again) == _types(sidecar), "true is not 1, 1 is not 1.0"


def _types(value: object) -> object:
    if isinstance(value, dict):
        return {key: _types(item) for key, item in value.items()}
    return [_types(item) for item in value] if isinstance(value, list) else type(value)


@given(st.binary() | nearly)
@example(b"[" * 100_000)
@example(b'{"a":' * 100_000)
@example(b'{"a":[' * 50_000)
@example(b"9" * 100_000)
@example(b"{" + b'"a":1,' * 1_000)
@example(f'{{"operationId":"{ID}"}}'.encode("utf-16"))
def test_any_bytes_are_an_operation_or_damaged(data: bytes) -> None:
    try:
        sidecar = decode(data, ID)
    except DamagedOperation as error:
        assert error.details["operation_id"] == ID
        assert error.details["reason"]
        assert str(error).isprintable()
    else:
        assert sidecar["operationId"] == ID
        assert decode(encode(sidecar), ID) == sidecar
        Operation.of(sidecar)


@pytest.mark.parametrize("kind", UNSTORABLE)
def test_what_json_cannot_hold_is_refused_in_words(kind: str) -> None:
    value, word = unstorable(kind)
    for sidecar in ({"operationId": ID, "x": value}, {"operationId": ID, "parameters": {"list": [0, value]}}):
        with pytest.raises(InvalidMetadata, match=word) as refusal:
            encode(sidecar)
        assert len(str(refusal.value)) < 300
        assert str(refusal.value).isprintable()
        with pytest.raises(InvalidMetadata, match=word):
            encode(checked(ID, sidecar))


def test_a_refusal_names_the_place() -> None:
    with pytest.raises(InvalidMetadata, match=r"parameters\.seeds\[1\]"):
        plain({"parameters": {"seeds": [1, float("nan")]}})
    with pytest.raises(InvalidMetadata, match=r"4\.2 MB fit"):
        encode({"operationId": ID, "prompt": "x" * MAX_SIDECAR_BYTES})


def test_what_goes_round_in_circles_is_refused() -> None:
    circle: list[Any] = []
    circle.append(circle)
    ring: dict[str, Any] = {}
    ring["ring"] = ring
    for value in (circle, ring):
        with pytest.raises(InvalidMetadata, match="nested"):
            encode({"x": value})


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "not complete"),
        (b"{", "not complete"),
        (b"\xff\xfe", "not complete"),
        (b"{'operationId': 1}", "not complete"),
        (b"[]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b'"text"', "not a JSON object"),
        (b"{}", "names another operation"),
        (f'{{"operationId": "{SHORT}"}}'.encode(), "names another operation"),
        (f'{{"operationId": ["{ID}"]}}'.encode(), "names another operation"),
        (f'{{"operationId": "{ID}", "x": NaN}}'.encode(), "nan"),
        (f'{{"operationId": "{ID}", "x": -Infinity}}'.encode(), "inf"),
        (f'{{"operationId": "{ID}", "x": 1e999}}'.encode(), "inf"),
        (f'{{"operationId": "{ID}", "x": "\\ud800"}}'.encode(), "surrogate"),
        (f'{{"operationId": "{ID}", "x": '.encode() + b'"\xed\xa0\x80"}', "surrogate|not complete"),
        (f'{{"operationId": "{ID}", "x": {"9" * 400}}}'.encode(), "digits"),
        (f'{{"operationId": "{ID}", "x": {"9" * 100_000}}}'.encode(), "not complete"),
        (json.dumps({"operationId": ID, "x": nested("deep lists", MAX_DEPTH)}).encode(), "nested"),
        (f'{{"operationId": "{ID}", "x": {"[" * 1_100}{"]" * 1_100}}}'.encode(), "nested"),
        (f'{{"operationId": "{ID}"}}'.encode() + b" " * MAX_SIDECAR_BYTES, "too large"),
    ],
    ids=range(20),
)
def test_a_damaged_sidecar_is_told_in_words(data: bytes, word: str) -> None:
    with pytest.raises(DamagedOperation, match=word):
        decode(data, ID)


def test_a_reader_is_generous_where_nothing_is_lost() -> None:
    sidecar = {"operationId": ID, "prompt": "é 🦊"}
    assert decode(json.dumps(sidecar).encode("utf-8-sig"), ID) == sidecar, "an editor's byte order mark"
    assert decode(json.dumps(sidecar, indent=7).replace("\n", "\r\n").encode(), ID) == sidecar
    assert decode(f'{{"operationId": "x", "a": 1, "operationId": "{ID}"}}'.encode(), ID)["a"] == 1


def test_subclasses_of_plain_types_are_stored_as_what_they_hold() -> None:
    class Number(int):
        def __repr__(self) -> str:
            return "seven"

    sidecar = decode(encode({"operationId": ID, "type": Member.IMAGE, "n": Number(7), "pair": (1, 2), Member.IMAGE: True}), ID)
    assert sidecar == {"operationId": ID, "type": "text_to_image", "n": 7, "pair": [1, 2], "text_to_image": True}


def test_the_specifications_example_is_written_as_it_stands_there() -> None:
    data = sidecar_file("specification.json")
    assert encode(decode(data, SHORT)) == data
    assert tuple(decode(data, SHORT)) == SPECIFIED


# -- writing -------------------------------------------------------------------------------------------------------------

WRONG: Mapping[str, tuple[Any, ...]] = {
    "timestamp": (None, 5, "", "yesterday", "2025-13-01T00:00:00Z", ["2025-11-03T14:30:22Z"], True),
    "operationType": (None, 5, ["text_to_image"], {}, True),
    "prompt": (None, 5, ["a"], {}, False),
    "parameters": (None, [], "x", 5, True),
    "inputCount": (None, "2", 2.0, True, []),
    "inputFiles": (
        *(None, "x", {}, 5, [None], [5], [[]], ["x.jpg"], ["../../x"], ["/etc/passwd"], [f"{ID}.json"], [f"{SHORT}_in_1.jpg"]),
        *([f"{ID}_in_1.jpg\n"], [f"{ID}_in_1.jpg", f"x/{ID}_in_2.jpg"], [f"{ID}_in_1.svg"]),
    ),
    "outputFile": (
        5,
        [],
        {},
        True,
        "",
        "x",
        f"{SHORT}_out.jpg",
        f"{ID}.json",
        "../../etc/passwd",
        f"/{ID}_out.jpg",
        f"{ID}_out.jpg\0",
    ),
    "resultUrl": (5, [], {}, True),
    "workflowAnalysis": ([], "x", 5, False),
    "error": (5, [], {}, False),
    "success": (None, 1, 0, "true", []),
    "duration": ("5", [], {}, True),
    "operationId": (None, 5, "", SHORT, [ID], f"{ID}\n"),
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in WRONG.items() for value in values], ids=str)
def test_specified_keys_of_a_wrong_type_are_refused(key: str, value: Any) -> None:
    with pytest.raises(InvalidMetadata, match=r"must be|not a file name|not the id"):
        checked(ID, {"prompt": "a", key: value})


@pytest.mark.parametrize(
    "metadata", [None, 5, "x", b"{}", [], [("prompt", "x")], {1}, object()], ids=lambda value: type(value).__name__
)
def test_metadata_is_a_mapping(metadata: Any) -> None:
    with pytest.raises(InvalidMetadata, match="mapping"):
        checked(ID, metadata)


def test_a_whole_sidecar_has_every_key_in_order_and_strangers_last() -> None:
    sidecar = complete(
        ID, checked(ID, {"zebra": 1, "prompt": "p", "cost": None, "ape": {"b": 1, "a": 2}, "operationType": "x"}), MOMENT
    )
    assert tuple(sidecar) == (*SPECIFIED, *ADDED, "zebra", "ape")
    assert list(sidecar["ape"]) == ["b", "a"]
    assert (sidecar["timestamp"], sidecar["completedAt"]) == ("2025-11-03T14:30:22.123Z",) * 2
    assert (sidecar["success"], sidecar["status"], sidecar["schema"]) == (True, "stored", "opstore/1")


@pytest.mark.parametrize(
    ("parameters", "duration"),
    [({}, None), ({"duration": 5}, 5), ({"duration": 2.5}, 2.5), ({"duration": "5"}, None), ({"duration": True}, None)],
)
def test_duration_is_the_clip_length_asked_for(parameters: dict[str, Any], duration: object) -> None:
    assert complete(ID, {"parameters": parameters}, MOMENT)["duration"] == duration


def test_an_error_makes_a_failed_operation() -> None:
    sidecar = complete(ID, checked(ID, {"error": "no"}), MOMENT)
    assert (sidecar["success"], sidecar["status"]) == (False, "failed")


# -- times ---------------------------------------------------------------------------------------------------------------


@given(st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.timezones()))
def test_times_are_written_in_utc_with_milliseconds(moment: datetime) -> None:
    written = timestamp(moment)
    assert (len(written), written[-1], written[-5]) == (24, "Z", ".")
    read = parse_time(written)
    assert read is not None
    assert timedelta(0) <= moment - read < timedelta(milliseconds=1)


NO_TIMES: tuple[object, ...] = (
    *("", "now", "1762180222123", "2025-02-30", "\ud800", "２０２５-11-03", "2025-11-03T25:00:00Z"),
    *(None, 5, 1762180222123, [], {}, b"2025-11-03", MOMENT),
)


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("2025-11-03T14:30:22.123Z", MOMENT),
        ("2025-11-03T14:30:22.123", MOMENT),
        ("2025-11-03T15:30:22.123+01:00", MOMENT),
        ("2025-11-03 14:30:22.123000", MOMENT),
        ("2025-11-03", datetime(2025, 11, 3, tzinfo=UTC)),
        ("0001-01-01T00:00:00+12:00", None),
        ("9999-12-31T23:59:59-12:00", None),
        *[(value, None) for value in NO_TIMES],
    ],
    ids=ascii,
)
def test_times_are_read_with_and_without_zone(value: object, moment: datetime | None) -> None:
    assert parse_time(value) == moment


def test_a_time_of_another_zone_is_brought_to_utc() -> None:
    assert timestamp(MOMENT.astimezone(timezone(timedelta(hours=-9)))) == "2025-11-03T14:30:22.123Z"


# -- types ---------------------------------------------------------------------------------------------------------------

EXTENSIONS = {
    "text_to_image": "jpg",
    "image_edit_single": "jpg",
    "image_edit_multiple": "jpg",
    "text_to_video": "mp4",
    "image_to_video_single": "mp4",
    "image_to_video_transition": "mp4",
    "edit_then_video": "jpg",
}


def test_the_extensions_are_the_specifications() -> None:
    assert {name: fallback_extension(name) for name in OPERATION_TYPES} == EXTENSIONS
    assert {fallback_extension(name) for name in ("img_to_img", "unknown", "", "x_video_step_1", "\ud800", "../mp4")} == {"jpg"}


@pytest.mark.parametrize(
    ("name", "fitting"),
    [
        ("text_to_image", range(1)),
        ("image_edit_single", range(1, 2)),
        ("image_edit_multiple", range(2, 6)),
        ("text_to_video", range(1)),
        ("image_to_video_single", range(1, 2)),
        ("image_to_video_transition", range(2, 3)),
        ("edit_then_video", range(1, 6)),
    ],
)
def test_each_type_takes_its_number_of_images(name: str, fitting: range) -> None:
    for count in range(11):
        if count in fitting:
            OPERATION_TYPES[name].check_count(count)
        else:
            with pytest.raises(InvalidRequest, match=f"images for {name}: .*; given: {count}"):
                OPERATION_TYPES[name].check_count(count)


# -- the view ------------------------------------------------------------------------------------------------------------

#: Anything that a mapping can hold, JSON or not.
junk: st.SearchStrategy[Any] = st.recursive(
    scalars
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary(max_size=4)
    | st.sampled_from([ID, f"{ID}_in_1.jpg", 2**1024 - 1, 10**400]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.sampled_from(["name", "role", "amount"]), inner, max_size=3)
    ),
    max_leaves=8,
)
entries = st.lists(
    st.fixed_dictionaries({}, optional={"name": junk, "role": junk | st.just("output"), "sha256": junk}) | junk, max_size=4
)


@given(
    st.fixed_dictionaries(
        {"operationId": st.sampled_from([ID, SHORT])}, optional={key: junk for key in (*SPECIFIED[1:], *ADDED)}
    ),
    entries,
)
def test_the_view_never_fails(sidecar: dict[str, Any], files: list[Any]) -> None:
    view = Operation.of(sidecar | ({"files": files} if files else {}))
    assert view.id == sidecar["operationId"]
    assert view.moment is not None
    assert view.status in ("stored", "failed", "canceled", "aborted", "expired", "unknown", "result missing")
    assert all(
        name.startswith(ID) and "/" not in name for name in (*view.inputs, *view.outputs, *view.intermediates, view.output or ID)
    )
    assert view.succeeded is (view.status == "stored")
    assert isinstance(view.parameters(), Mapping)


@pytest.mark.parametrize("value", [2**1024 - 1, 10**400], ids=["1,024 bits", "401 digits"])
def test_a_number_beyond_all_doubles_is_no_elapsed_time(value: int) -> None:
    assert Operation.of({"operationId": ID, "elapsedSeconds": value}).elapsed_seconds is None


@pytest.mark.parametrize("role", [[], {}, None, 5, ["output"]], ids=str)
def test_a_file_of_an_odd_role_is_passed_over(role: object) -> None:
    assert Operation.of({"operationId": ID, "files": [{"role": role, "name": f"{ID}_out.jpg"}]}).outputs == ()


@pytest.mark.parametrize(
    ("stored", "status"),
    [
        ({"success": True, "outputFile": f"{ID}_out.jpg"}, "stored"),
        ({"success": True, "outputFile": f"{ID}_out.jpg", "error": "x"}, "failed"),
        ({"success": True, "outputFile": None}, "result missing"),
        ({"success": True, "outputFile": "../../x"}, "result missing"),
        ({"success": True, "outputFile": f"{SHORT}_out.jpg"}, "result missing"),
        ({"success": True, "outputFile": None, "files": [{"role": "output", "name": f"{ID}_out.mp4"}]}, "stored"),
        ({"success": False, "outputFile": f"{ID}_out.jpg"}, "failed"),
        ({"success": "true", "outputFile": f"{ID}_out.jpg"}, "failed"),
        ({"success": False, "status": "canceled"}, "canceled"),
        ({"success": False, "status": "stored"}, "failed"),
        ({"success": False, "status": ["canceled"]}, "failed"),
        ({}, "failed"),
    ],
    ids=str,
)
def test_the_status_is_what_is_really_there(stored: dict[str, Any], status: str) -> None:
    assert Operation.of({"operationId": ID, **stored}).status == status


def test_the_view_has_every_fact_once() -> None:
    view = Operation.of(decode(sidecar_file("specification.json"), SHORT))
    assert view.inputs == (f"{SHORT}_in_1.jpg", f"{SHORT}_in_2.jpg")
    assert (view.output, view.moment, view.type, view.status) == (f"{SHORT}_out.jpg", MOMENT, "image_edit_multiple", "stored")
    assert view.parameters()["outputQuality"] == 95
    assert (view.error, view.provider, view.model, view.elapsed_seconds, view.cost, view.parents) == (None,) * 5 + ((),)
    assert Operation.of({"operationId": SHORT}).moment == MOMENT.replace(microsecond=0), "the id's own time, if there is no other"
    assert Operation.of({"operationId": "99999999999999_abc123"}).moment is None
