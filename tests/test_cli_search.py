"""`opstore search` as a shell meets it: real processes, exit codes, a mistake pointed at, whatever state the index is in."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from opstore import Store
from opstore.cli import main
from opstore.curation import Curation, Edit
from opstore.index import Index
from opstore.storage.trash import Trash
from tests.fault_programs import NOBODY
from tests.fault_tools import mounted, need_mounts, system
from tests.samples import ID, LATER, PNG, SHORT, plant, tree
from tests.test_cli import EVIL, printable, run

LAST = "20251103143024_abc123df"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """The test's data folder, which OPSTORE_DATA names, with three operations in it."""
    store = Store(tmp_path / "data")
    store.initialize_storage()
    store.save(
        ID,
        {"operationType": "text_to_image", "prompt": "une mer d'été", "cost": {"amount": 0.5, "currency": "USD"}},
        outputs=[PNG],
    )
    store.save(LATER, {"operationType": "image_edit_single", "prompt": "la mer, plus claire", "parents": [ID]}, outputs=[PNG])
    store.save(LAST, {"operationType": "\x1b[31mred", "prompt": EVIL, "success": False, "error": "no"})
    return store


def ids(text: str) -> list[str]:
    return re.findall(r"^([0-9]{14}_[0-9a-f]{6,8}) ", text, re.MULTILINE)


# -- what it finds -------------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_for_people(store: Store) -> None:
    done = run("search", "mer")
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr, ids(done.stdout)) == (0, "", [LATER, ID])
    assert re.fullmatch(rf"{ID}  text_to_image +stored +une mer d'été", lines[1]) and lines[2] == "2 of 2."
    assert run("search", "mer", "-été").returncode == 2, "a word that begins like an option: as one text, or behind --"
    for arguments in (
        ["mer -été"],
        ["--", "mer", "-été"],
        ["type:image_edit_single"],
        [f"parent:{ID}"],
        ['"plus claire"'],
        ["MER", "clair*"],
    ):
        done = run("search", *arguments)
        assert (done.returncode, ids(done.stdout)) == (0, [LATER]), arguments
    nothing = run("search", "nowhere")
    assert (nothing.returncode, nothing.stdout, nothing.stderr) == (0, "0 of 0.\n", "")
    assert ids(run("search").stdout) == [LAST, LATER, ID]


def test_for_programs(store: Store) -> None:
    done = run("search", "mer", "--json", "--order", "oldest")
    expected = [store.get_operation_metadata(name) for name in (ID, LATER)]
    assert json.loads(done.stdout) == {"success": True, "count": 2, "total": {"n": 2, "exact": True}, "operations": expected}
    assert done.returncode == 0 and done.stdout.isascii() and done.stderr == ""
    assert json.loads(run("search", "--json", "nowhere").stdout)["operations"] == []


@pytest.mark.long
def test_orders_and_limits(store: Store) -> None:
    for order, expected in (("newest", [LAST, LATER, ID]), ("oldest", [ID, LATER, LAST]), ("cost", [ID, LAST, LATER])):
        assert ids(run("search", "--order", order).stdout) == expected
    one = run("search", "--limit", "1")
    assert ids(one.stdout) == [LAST] and one.stdout.endswith("1 of 3.\n")
    assert run("search", "--limit", "0").stdout == "0 of 3.\n"
    assert ids(run("search", "--limit", "9" * 30).stdout) == [LAST, LATER, ID]
    for arguments in (["--limit", "-1"], ["--limit", "x"], ["--order"], ["--nope"]):
        done = run("search", *arguments)
        assert done.returncode == 2 and done.stdout == "" and "usage" in done.stderr, arguments
    done = run("search", "--order", "best\x1b[2J")
    assert done.returncode == 2 and "there is no order" in done.stderr and "newest, oldest, rating" in done.stderr
    assert done.stdout == "" and printable(done.stderr)


@pytest.mark.long
def test_a_limit_of_more_than_a_page(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(1_205):
        plant(store, f"20251001{number:06}_abc123de.json", json.dumps({"operationId": f"20251001{number:06}_abc123de"}).encode())
    assert main(["search", "--limit", "1203"]) == 0
    found = capsys.readouterr().out
    assert (
        len(set(ids(found))) == 1_203 and found.endswith("1,203 of 1,208.\n") and ids(found) == sorted(ids(found), reverse=True)
    )


def test_nothing_that_is_stored_reaches_the_terminal_as_a_command(store: Store) -> None:
    done = run("search", "line")
    assert ids(done.stdout) == [LAST] and printable(done.stdout) and len(done.stdout.splitlines()) == 2
    assert json.loads(run("search", "line", "--json").stdout)["operations"][0]["prompt"] == EVIL
    narrow = run("search", "été", env={"PYTHONIOENCODING": "ascii", "LC_ALL": "C"})
    assert narrow.returncode == 0 and narrow.stdout.isascii() and "\\xe9" in narrow.stdout


# -- mistakes ------------------------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("chat (mer", "     ^"),
        ("mer colour:red", "    ^^^^^^^"),
        ("rating:9..x", "       ^^^^"),
        ("tag:", "    ^"),
        ('海と船 "', "       ^"),
        ("e\u0301te\u0301 (", "    ^"),
        ("a\tb\n(", "    ^"),
        ("\x1b[2J(mer", "    ^"),
    ],
)
def test_a_mistake_is_pointed_at(store: Store, query: str, pointer: str) -> None:
    done = run("search", query)
    shown, line, said = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (2, "") and said.startswith("opstore: This search cannot be run: ")
    assert line == pointer and printable(done.stderr) and shown.startswith(query[0] if query[0].isprintable() else "�")
    told = run("search", "--json", query)
    assert told.returncode == 2 and json.loads(told.stdout)["success"] is False and told.stderr == done.stderr


def test_a_folder_that_is_not_there(store: Store, tmp_path: Path) -> None:
    done = run("search", "mer", "--data", str(tmp_path / "nowhere"))
    assert done.returncode == 2 and "there is no folder" in done.stderr and not (tmp_path / "nowhere").exists()


# -- the state of the index ----------------------------------------------------------------------------------------------

HARM: dict[str, Callable[[Store], object]] = {
    "no cache": lambda store: shutil.rmtree(store.cache),
    "no index": lambda store: (store.cache / "index.db").unlink(),
    "empty": lambda store: (store.cache / "index.db").write_bytes(b""),
    "garbage": lambda store: (store.cache / "index.db").write_bytes(os.urandom(8_192)),
    "another file's log": lambda store: (store.cache / "index.db-wal").write_bytes(os.urandom(8_192)),
    "cut short": lambda store: os.truncate(store.cache / "index.db", 5_000),
    "spoilt inside": lambda store: _spoil(store.cache / "index.db"),
}


def _spoil(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4_096:] = b"\xa5" * (len(data) - 4_096)
    path.write_bytes(data)


@pytest.mark.long
@pytest.mark.parametrize("harm", HARM)
def test_whatever_happened_to_the_index_the_answer_is_right(store: Store, harm: str) -> None:
    assert ids(run("search", "mer").stdout) == [LATER, ID]
    HARM[harm](store)
    done = run("search", "mer")
    assert (done.returncode, done.stderr, ids(done.stdout)) == (0, "", [LATER, ID])


def test_an_index_that_is_found_to_be_spoilt_by_the_question_is_filled_before_it_is_answered(store: Store) -> None:
    """What was written last is still in the log, so that only the search itself meets the damage."""
    index = Index(store)
    index.update()
    try:
        _spoil(index.path)
        done = run("search", "mer")
        assert (done.returncode, done.stderr, ids(done.stdout)) == (0, "", [LATER, ID])
    finally:
        index.stop()


def test_what_came_went_and_was_trashed_since(store: Store) -> None:
    assert ids(run("search", "mer").stdout) == [LATER, ID]
    store.save(SHORT, {"prompt": "mer"})
    plant(store, "20251103143029_abc123de.json", b'{"operationId": "20251103143029_abc123de", "prompt": "mer"}')
    Trash(store).put(LATER)
    assert ids(run("search", "mer").stdout) == ["20251103143029_abc123de", ID, SHORT]
    Trash(store).restore(LATER)
    assert set(ids(run("search", "mer").stdout)) == {"20251103143029_abc123de", LATER, ID, SHORT}


def test_what_was_annotated_by_the_app_since(store: Store) -> None:
    assert run("search", "rating:5").stdout == "0 of 0.\n"
    index = Index(store)
    index.start()
    Curation(store, index, Trash(store)).annotate([ID], Edit(rating=5))
    index.stop()
    assert ids(run("search", "rating:5").stdout) == [ID]


def test_an_operation_that_is_damaged_meanwhile_hides_no_other(store: Store) -> None:
    assert ids(run("search", "mer").stdout) == [LATER, ID]
    (store.operations.path / f"{LATER}.json").write_bytes(b"{")  # in place: no name has come or gone
    done = run("search", "mer", "--json")
    assert done.returncode == 0 and [item["operationId"] for item in json.loads(done.stdout)["operations"]] == [ID]


def test_a_disk_that_is_read_only(store: Store, tmp_path: Path) -> None:
    need_mounts(tmp_path)
    with mounted(tmp_path / "disk", "-t", "tmpfs", "tmpfs") as disk:
        shutil.copytree(store.root, disk / "data")
        for indexed in (False, True):
            if indexed:
                assert run("search", "mer", "--data", str(disk / "data")).returncode == 0
            system("mount", "-o", "remount,ro", disk)
            done = run("search", "mer", "--data", str(disk / "data"))
            assert "Traceback" not in done.stderr and done.returncode == 0 and len(ids(done.stdout)) == 2, done
            assert ("cannot be written: the index is made in" in done.stderr) and done.stderr.count("\n") == 1
            system("mount", "-o", "remount,rw", disk)


def test_without_the_right_to_write(store: Store, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to become somebody without rights")
    other = Store(tmp_path / "other")
    other.initialize_storage()
    plant(
        other,
        f"{ID}.json",
        json.dumps({"operationId": ID, "success": False, "error": "a kind that is read from a text"}).encode(),
    )
    for path in (store.root, *store.root.rglob("*")):  # for others to read, as a person may have made it
        path.chmod(0o755 if path.is_dir() else 0o644)
    before = tree(store.root)
    # Everything is loaded before the rights are given up, and the folder is handed over open: what lies above it may be closed.
    code = (
        "import os, sys; from opstore.cli import main;"
        f"assert main(['search', 'mer', '--json', '--data', {str(other.root)!r}]) == 0; print(flush=True);"
        f"os.chdir({str(store.root)!r}); os.setegid({NOBODY}); os.seteuid({NOBODY});"
        "sys.exit(main(['search', 'mer', '--data', '.']))"
    )
    env = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and "Traceback" not in done.stderr and len(ids(done.stdout)) == 2, done
    assert "cannot be written: the index is made in" in done.stderr
    assert tree(store.root) == before


def test_a_reader_that_has_enough(store: Store) -> None:
    command = f"{sys.executable} -m opstore search | head -n 1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and ids(done.stdout) == [LAST] and done.stderr == ""


# -- list, beside an index -----------------------------------------------------------------------------------------------


def test_list_asks_the_index_where_there_is_one_and_says_the_same(
    store: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def listed(*more: str) -> list[object]:
        assert main(["list", "--json", *more]) == 0
        answer: list[object] = json.loads(capsys.readouterr().out)["operations"]
        return answer

    Index(store).update()
    late = "20260101000000_abc123df"
    plant(store, f"{late}.json", json.dumps({"operationId": late, "prompt": "saved since by another"}).encode())
    Trash(store).put(LATER)
    (store.operations.path / f"{ID}.json").write_text("{")
    wanted = store.list_operations()
    assert [sidecar["operationId"] for sidecar in wanted] == [late, LAST]

    def looked_at(*_args: object, **_options: object) -> list[object]:
        raise AssertionError("every name was looked at")

    with monkeypatch.context() as asked:
        asked.setattr(Store, "list_operations", looked_at)
        assert (listed(), listed("--limit", "1"), listed("--limit", "0")) == (wanted, wanted[:1], [])
    monkeypatch.setattr(Index, "catch_up", lambda index: pytest.fail("an index was made of all, to list a few"))
    for leavings in (b"", b"no index at all" * 1000):
        (store.cache / "index.db").write_bytes(leavings)
        assert listed() == wanted
