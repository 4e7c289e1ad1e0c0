"""Names: what is valid is exactly what can be rebuilt, and nothing else ever becomes a path."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opstore import InvalidFileName, InvalidOperationId
from opstore.storage import names
from tests.samples import HOSTILE_IDS, HOSTILE_NAMES, ID, SHORT, Sly

ids = st.from_regex(re.compile(r"[0-9]{14}_[0-9a-f]{6,8}"), fullmatch=True)
#: Strings close to valid names: pieces of them in any order, and characters that loose patterns let through.
_PIECES = f"{ID} {SHORT} _in _out _1 _2 _0 _01 _9999 _10000 .jpg .mp4 .json .jpeg .svg .. / _ . A f １ é".split()
close = st.lists(st.sampled_from([*_PIECES, " ", "\n", "\0", "\u2028"]), max_size=5).map("".join)

TAKES_AN_ID: tuple[Callable[[Any], object], ...] = (
    names.check_operation_id,
    names.sidecar_name,
    names.time_of,
    lambda value: names.input_name(value, 1, "jpg"),
    lambda value: names.output_name(value, 1, "mp4"),
    lambda value: names.output_name(value, 2, "webp"),
)


def test_a_new_id_is_the_moment_in_utc_and_eight_digits() -> None:
    paris = datetime(2025, 11, 3, 15, 30, 22, tzinfo=timezone(timedelta(hours=1)))
    assert re.fullmatch(r"20251103143022_[0-9a-f]{8}", names.generate_operation_id(paris))
    assert re.fullmatch(r"[0-9]{14}_[0-9a-f]{8}", names.generate_operation_id(datetime(1, 1, 2, tzinfo=UTC)))
    before = datetime.now(UTC).replace(microsecond=0)
    moment = names.time_of(names.generate_operation_id())
    assert moment is not None
    assert before <= moment <= datetime.now(UTC)
    assert len({names.generate_operation_id(paris) for _ in range(1_000)}) == 1_000


@pytest.mark.parametrize("value", [ID, SHORT, "20251103143022_abc123d", "00000000000000_000000", "99999999999999_ffffffff"])
def test_six_to_eight_digits_are_read(value: str) -> None:
    assert names.check_operation_id(value) == value
    assert names.is_operation_id(value)


@pytest.mark.parametrize(
    "value", HOSTILE_IDS, ids=lambda value: ascii(value)[:40] if isinstance(value, str) else type(value).__name__
)
def test_hostile_ids_are_refused_everywhere(value: Any) -> None:
    for function in TAKES_AN_ID:
        with pytest.raises(InvalidOperationId) as refusal:
            function(value)
        assert len(str(refusal.value)) < 300
        assert str(refusal.value).isascii() or "…" in str(refusal.value)
        assert str(refusal.value).isprintable()
    assert not names.is_operation_id(value)


@pytest.mark.parametrize("value", HOSTILE_NAMES, ids=lambda value: type(value).__name__)
def test_hostile_names_are_refused_everywhere(value: Any) -> None:
    assert names.parse_name(value) is None
    assert names.own_name(value, ID) is None
    with pytest.raises(InvalidFileName):
        names.check_name(value)


def test_a_subclass_of_text_is_taken_for_what_it_holds() -> None:
    assert names.check_operation_id(Sly(ID)).__format__("") == ID
    assert names.sidecar_name(Sly(ID)) == f"{ID}.json"
    assert names.input_name(Sly(ID), 1, "jpg") == f"{ID}_in_1.jpg"
    assert str(names.check_name(Sly(f"{ID}_out.jpg"))) == f"{ID}_out.jpg"


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        (f"{ID}.json", ("sidecar", None, "json")),
        (f"{ID}_in.jpg", ("input", None, "jpg")),
        (f"{ID}_in_1.jpg", ("input", 1, "jpg")),
        (f"{ID}_in_9999.webp", ("input", 9999, "webp")),
        (f"{ID}_out.mp4", ("output", None, "mp4")),
        (f"{ID}_out_2.jpeg", ("output", 2, "jpeg")),
    ],
)
def test_a_name_has_parts(name: str, parts: tuple[str, int | None, str]) -> None:
    found = names.check_name(name)
    assert (found.role, found.number, found.extension) == parts
    assert (str(found), found.operation_id) == (name, ID)


@pytest.mark.parametrize(
    ("number", "extension"),
    [(0, "jpg"), (-1, "jpg"), (10_000, "jpg"), (10**5_000, "jpg"), (True, "jpg"), (1.0, "jpg"), ("1", "jpg"), ("1/../2", "jpg")]
    + [(2, extension) for extension in ("", "svg", "JPG", "jpg\n", "../jpg", "json", None, 5, ["jpg"], 10**5_000)],
    ids=lambda value: ascii(value)[:20] if isinstance(value, str) else type(value).__name__,
)
def test_names_are_built_of_good_parts_only(number: Any, extension: Any) -> None:
    for build in (names.input_name, names.output_name):
        if (build, number) != (names.output_name, 1.0):
            with pytest.raises(InvalidFileName):
                build(ID, number, extension)


@given(st.one_of(close, st.text()))
def test_a_name_is_valid_exactly_when_it_can_be_rebuilt(text: str) -> None:
    found = names.parse_name(text)
    if found is not None:
        assert str(found) == text
        build = {"input": names.input_name, "output": names.output_name}.get(found.role)
        rebuilt = names.sidecar_name(found.operation_id) if build is None else build(*_parts(found))
        assert rebuilt == text
        assert "/" not in text
        assert text.isascii()
        assert text.isprintable()


def _parts(name: names.FileName) -> tuple[str, Any, str]:
    return name.operation_id, name.number, name.extension


@given(ids, st.integers(1, 9999), st.sampled_from(names.EXTENSIONS))
def test_what_is_built_is_read_back(operation_id: str, number: int, extension: str) -> None:
    for name in (names.input_name(operation_id, number, extension), names.output_name(operation_id, number, extension)):
        found = names.check_name(name)
        assert (found.operation_id, found.number or 1, found.extension) == (operation_id, number, extension)
        assert names.own_name(name, operation_id) == found
        assert names.own_name(name, f"{operation_id[:15]}{'0' * 6}" if operation_id[15:] != "0" * 6 else ID) is None


@given(ids)
def test_the_moment_of_an_id_is_none_or_its_digits(operation_id: str) -> None:
    moment = names.time_of(operation_id)
    assert moment is None or f"{moment.year:04}{moment:%m%d%H%M%S}" == operation_id[:14]


def test_files_of_one_role_are_ordered_by_number() -> None:
    found = [names.check_name(f"{ID}_in_{number}.jpg") for number in (10, 2, 1, 9)] + [names.check_name(f"{ID}_in.jpg")]
    assert [name.number for name in sorted(found, key=lambda name: name.order)] == [None, 1, 2, 9, 10]
