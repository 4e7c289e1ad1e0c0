"""Errors: each is a sentence for a person, a status for HTTP and a code for a shell, and crosses process borders whole."""

from __future__ import annotations

import ast
import copy
import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter
from typing import Any

import pytest

from opstore import errors
from opstore.errors import (
    Canceled,
    DamagedOperation,
    FetchUnavailable,
    InvalidFileName,
    InvalidInput,
    InvalidOperationId,
    OperationNotFound,
    OpstoreError,
    StorageError,
    said,
    shown,
)

ROOT = Path(errors.__file__).parent.parent


def below(kind: type[OpstoreError]) -> Iterator[type[OpstoreError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from below(child)


KINDS = [kind for kind in below(OpstoreError) if kind.__module__.startswith("opstore.")]
SAMPLES: dict[str, Any] = {"count": 11, "index": 3, "limit": 10, "megabytes": "10.5", "seconds": 5}


def fields(kind: type[OpstoreError]) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(kind.template()) if name is not None}


def example(kind: type[OpstoreError]) -> OpstoreError:
    if kind in (InvalidOperationId, InvalidFileName):
        make: Any = kind
        return make("../../x")  # type: ignore[no-any-return] # one of the two
    return kind(**{name: SAMPLES.get(name, f"<{name}>") for name in fields(kind)})


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_each_error_has_a_sentence_that_its_details_fill(kind: type[OpstoreError]) -> None:
    assert "__doc__" in vars(kind), "a sentence of its own"
    error = example(kind)
    assert error.details.keys() == fields(kind)
    text = str(error)
    assert text == kind.template().format(**error.details)
    assert text.isprintable()
    assert "{" not in text
    for value in error.details.values():
        assert str(value) in text
    assert text.endswith((".", "!")) or kind.template().endswith(("{reason}", "{known}")), "a sentence ends"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_each_error_has_a_fitting_status_and_exit_code(kind: type[OpstoreError]) -> None:
    assert kind.status in (400, 401, 402, 403, 404, 405, 408, 409, 410, 412, 413, 415, 422, 429, 500, 502, 503, 507)
    assert kind.exit_code == (2 if issubclass(kind, InvalidInput) else 1)
    assert (kind.status < 500) or not issubclass(kind, InvalidInput), "what was asked cannot be our fault"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_each_error_crosses_process_borders(kind: type[OpstoreError]) -> None:
    error = example(kind)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301 # its own bytes
        assert (type(again), str(again), again.details, again.args) == (kind, str(error), error.details, error.args)
    for twin in (copy.copy(error), copy.deepcopy(error)):
        assert (type(twin), str(twin), twin.details) == (kind, str(error), error.details)


def test_a_reason_that_can_be_translated_stays_so_across_borders() -> None:
    reason = said("the number at {place} is {value}, which JSON does not have; use null", place="x", value="nan")
    error = DamagedOperation(operation_id="20251103143022_abc123de", reason=reason)
    again = pickle.loads(pickle.dumps(error)).details["reason"]  # noqa: S301 # its own bytes
    assert (again, again.template, again.details) == (reason, reason.template, {"place": "x", "value": "nan"})


def test_every_error_of_the_program_stands_in_the_one_tree() -> None:
    kinds = {kind.__name__ for kind in KINDS}
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            bases = {getattr(base, "id", "") for base in node.bases} if isinstance(node, ast.ClassDef) else set()
            assert path.parent.name == "errors" or not bases & kinds, f"{path}: {ast.dump(node)}"


def test_no_two_errors_say_the_same() -> None:
    assert len({kind.template() for kind in KINDS}) == len(KINDS)
    assert len({kind.__name__ for kind in KINDS}) == len(KINDS)


def test_the_tree_at_the_top_of_the_module_is_the_tree() -> None:
    tree = re.search(r"```\n(.*?)```", errors.__doc__ or "", re.DOTALL)
    assert tree
    drawn: dict[str, str] = {}
    path: list[str] = []
    for line in tree[1].splitlines():
        name = re.search(r"[A-Z]\w+", line)
        assert name
        depth = name.start() // 4
        path[depth:] = [name[0]]
        drawn[name[0]] = path[depth - 1] if depth else "Exception"
    assert drawn == {kind.__name__: kind.__base__.__name__ for kind in KINDS if kind.__base__}


def test_braces_and_percent_signs_in_details_are_only_text() -> None:
    assert str(StorageError(reason="{0} {x} %s {")) == "The storage did not do it: {0} {x} %s {. Nothing was half saved."
    assert "{template}" in str(InvalidOperationId("{template}"))
    assert str(Canceled()) == "The operation was canceled."


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x", "'x'"),
        ("é\n\0", "'\\xe9\\n\\x00'"),
        ("\ud800\u202e", "'\\ud800\\u202e'"),
        ("<script>", "'<script>'"),
        (b"x", "a bytes"),
        (None, "a NoneType"),
        (10**5_000, "a int"),
    ],
    ids=["text", "control", "half", "markup", "bytes", "null", "number"],
)
def test_what_was_given_is_shown_escaped(value: object, text: str) -> None:
    assert shown(value) == text


def test_what_was_given_is_shown_short_however_long_it_is() -> None:
    assert len(shown("x" * 10**7)) == 60
    assert shown("x" * 10**7).endswith("x…")
    assert shown("x" * 58) == f"'{'x' * 58}'"
    assert len(shown("\0" * 58)) == 60


def test_the_kinds_that_callers_tell_apart() -> None:
    assert issubclass(errors.FileMissing, OperationNotFound)
    assert issubclass(errors.UnsafeFile, StorageError)
    assert issubclass(FetchUnavailable, errors.FetchError)
    assert not issubclass(DamagedOperation, (OperationNotFound, StorageError, InvalidInput))
    assert not any(issubclass(kind, (ValueError, LookupError, OSError)) for kind in KINDS), "none is caught by accident"
