"""The commands that take care of the storage, as a shell meets them: real processes, what they say, what they leave."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from opstore import Store
from opstore.cli import main
from opstore.errors import StorageError
from opstore.index import Index
from opstore.storage.operation import encode
from opstore.storage.trash import Trash
from tests.care_samples import annotated, made, save
from tests.samples import PNG, plant, tree
from tests.test_cli import ROOT, printable, run


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """The test's data folder, which OPSTORE_DATA names."""
    return made(tmp_path)


def told(*arguments: str, code: int = 0) -> Any:
    """Run a verb with --json and return what it printed."""
    done = run(*arguments, "--json")
    assert done.returncode == code, (done.stdout, done.stderr)
    return json.loads(done.stdout)


# -- trash ---------------------------------------------------------------------------------------------------------------


def test_trash_there_and_back(store: Store) -> None:
    first, second = save(store, 1, prompt="a\x1b[2Jsea"), save(store, 2)
    before = tree(store.operations.path)
    assert run("trash", "list").stdout == "The trash is empty.\n"
    dry = run("trash", "put", first, second, "--dry-run")
    assert (dry.returncode, dry.stdout) == (0, f"{first}\n{second}\n2 would be moved.\n") and tree(
        store.operations.path
    ) == before
    assert run("trash", "put", first, second).stdout == f"{first}\n{second}\n2 moved.\n"
    listed = run("trash", "list")
    assert listed.returncode == 0 and first in listed.stdout and "2 in the trash." in listed.stdout and printable(listed.stdout)
    found = told("trash", "list")
    assert found["count"] == 2 and {item["operation"]["operationId"] for item in found["operations"]} == {first, second}
    absent = "20200101000000_00000000"
    part = told("trash", "restore", first, absent, code=1)
    assert part["operations"] == [first] and part["success"] is False and absent in part["failed"][absent]
    assert told("trash", "restore", second, absent, "--dry-run", code=1)["operations"] == [second]
    assert told("trash", "restore", second)["count"] == 1 and tree(store.operations.path) == before
    assert run("trash", "put", "../../x").returncode == 2


def test_a_dry_run_of_the_trash_says_what_the_real_one_does(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    library, trash = store.operations.path, Trash(store)
    gone, here, damaged, other = (save(store, number) for number in range(1, 5))
    trash.put(gone)
    (library / f"{damaged}.json").write_bytes(b"{")
    trash.put(other)
    (library / f"{other}.json").write_bytes(encode({"operationId": other, "operationType": "unknown", "prompt": "another"}))
    for act, ids in (("put", (gone, damaged, other)), ("restore", (here, damaged, gone, other))):
        found = []
        for how in (["--dry-run"], []):
            code = main(["trash", act, *ids, *how, "--json"])
            told = json.loads(capsys.readouterr().out)
            found.append((code, told["operations"], told["failed"]))
        assert found[0] == found[1] and found[0][1] == list(ids[:-1]) and list(found[0][2]) == [other]
        assert not (library / f"{gone}.json").exists() or act == "restore"


def test_a_dry_run_of_unpacking_is_about_the_month_that_is_named(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    for number, month in enumerate(("2025-03", "2025-04"), 1):
        operation_id = f"{month.replace('-', '')}01120000_0000000{number}"
        store.save(operation_id, {"operationType": "text_to_image", "prompt": "a sea"}, outputs=[PNG])
    assert main(["compress", "--older-than", "0", "--json"]) == 0
    capsys.readouterr()
    for words in (["--unpack", "2025-03", "--dry-run"], ["--list", "--month", "2025-03"], ["--unpack", "2025-03"]):
        assert main(["compress", *words, "--json"]) == 0
        assert [row["month"] for row in json.loads(capsys.readouterr().out)["months"]] == ["2025-03"], words
    assert main(["compress", "--unpack", "nonsense", "--dry-run"]) == 2


def test_what_others_were_made_from_is_said_before_it_goes(store: Store) -> None:
    first = save(store, 1)
    users = [save(store, number, parents=[first]) for number in (3, 2)]
    assert told("trash", "put", first, users[0], "--dry-run")["usedBy"] == users[1:]
    moved = run("trash", "put", first)
    assert moved.stdout == f"{first}\n1 moved.\n"
    assert moved.stderr == f"2 other operations were made from this, with copies of their own: {', '.join(users)}\n"


def test_trash_purge_asks_first(store: Store) -> None:
    operation_id = save(store, 1)
    Trash(store).put(operation_id)
    size = sum(path.stat().st_size for path in (store.root / "trash").iterdir())
    assert told("trash", "purge")["operations"] == []  # it has not been there for 30 days
    dry = told("trash", "purge", "--older-than", "0", "--dry-run")
    assert (dry["operations"], dry["bytes"], dry["dryRun"]) == ([operation_id], size, True)
    refused = run("trash", "purge", "--older-than", "0", stdin=subprocess.DEVNULL)
    assert refused.returncode == 2 and "--yes" in refused.stderr and len(Trash(store).all()) == 1
    assert told("trash", "purge", "--older-than", "0", "--yes")["operations"] == [operation_id] and Trash(store).all() == []


@pytest.mark.parametrize(("answer", "left"), [("n", 1), ("y", 0)])
def test_a_terminal_is_asked(store: Store, answer: str, left: int) -> None:
    Trash(store).put(save(store, 1))
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "opstore", "trash", "purge", "--older-than", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        os.write(ours, f"{answer}\n".encode())
        _out, err = child.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert b"for good? [y/N]" in err and len(Trash(store).all()) == left and child.returncode == left


def test_a_no_is_told_to_programs_too(store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    Trash(store).put(save(store, 1))
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    assert main(["trash", "purge", "--older-than", "0", "--json"]) == 1 and len(Trash(store).all()) == 1
    assert json.loads(capsys.readouterr().out)["success"] is False


@pytest.mark.parametrize(
    "arguments",
    [
        ("trash", "purge", "--older-than", "800000", "--dry-run"),
        ("trash", "purge", "--older-than", "99999999999999999999", "--yes"),
        ("cleanup", "--larger-than", "inf", "--dry-run"),
        ("cleanup", "--larger-than", "nan", "--dry-run"),
        ("cleanup", "--larger-than", "many", "--dry-run"),
        ("import", "", "--dry-run"),
    ],
)
def test_what_no_calendar_and_no_disk_has_is_wrong_usage(
    store: Store, arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["success"] is False


# -- cleanup -------------------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_cleanup_says_what_it_would_do_and_does_it(store: Store) -> None:
    going, favorite = save(store, 1), save(store, 2, annotations=annotated(favorite=True))
    young = save(store, 3, 1)
    before = tree(store.operations.path)
    dry = run("cleanup", "--dry-run")
    assert dry.returncode == 0 and going in dry.stdout and favorite not in dry.stdout and "1 stay: favorite" in dry.stdout
    plan = told("cleanup", "--dry-run")
    assert plan["operations"][0]["operationId"] == going and plan["bytes"] > 0 and plan["kept"] == {"favorite": 1}
    refused = run("cleanup", stdin=subprocess.DEVNULL)
    assert refused.returncode == 2 and "--yes" in refused.stderr and tree(store.operations.path) == before
    assert told("cleanup", "--older-than", "365", "--yes")["count"] == 0
    done = told("cleanup", "--yes")
    assert done == plan | {"dryRun": False}, "told alike, before and after"
    assert {sidecar["operationId"] for sidecar in store.list_operations()} == {favorite, young}
    assert run("trash", "restore", going).returncode == 0 and tree(store.operations.path) == before


def test_cleanup_s_options(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    blue = save(store, 1, prompt="blue", operationType="text_to_video")
    failed = save(store, 2, success=False, error="no", outputs=[])
    for arguments, wanted in (
        (["--query", "blue"], {blue}),
        (["--type", "text_to_video", "--type", "x"], {blue}),
        (["--success", "no"], {failed}),
        (["--larger-than", "1"], set()),
        (["--larger-than", "0.0001"], {blue, failed}),
        (["--older-than", "0"], {blue, failed}),
    ):
        assert main(["cleanup", *arguments, "--dry-run", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert {row["operationId"] for row in found["operations"]} == wanted, arguments
    for arguments in (["--query", "rating:many"], ["--older-than", "999999"]):
        assert main(["cleanup", *arguments, "--yes"]) == 2, arguments
    for arguments in (["--older-than", "-1"], ["--success", "maybe"]):
        assert main(["cleanup", *arguments, "--yes"]) == 2, arguments
    assert len(store.list_operations()) == 2


# -- rebuild -------------------------------------------------------------------------------------------------------------


def test_rebuild(store: Store) -> None:
    save(store, 1)
    plant(store, "20251103143029_abc123df.json", b"{")
    index = Index(store)
    index.path.parent.mkdir(exist_ok=True)
    index.path.write_bytes(b"no database")
    assert told("rebuild") == {"success": True, "count": 1, "exact": True, "problems": 1}
    assert run("rebuild").stdout == "The index holds 1 operations; 1 sidecars cannot be read.\n"
    assert run("search", "number").stdout.endswith("1 of 1.\n")


# -- backup and restore --------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_backup_and_restore_into_a_new_place(store: Store, tmp_path: Path) -> None:
    operation_id, vault = save(store, 1), str(tmp_path / "backups")
    Trash(store).put(save(store, 2))
    assert run("backup", vault, "--list").stdout == "No backups yet.\n"
    taken = told("backup", vault)
    assert taken["operations"] == 2 and taken["files"] == taken["new_files"] + 2  # two operations of the same two pictures
    assert "2 operations, 6 files (0 new" in run("backup", vault).stdout
    assert told("backup", vault, "--list")["snapshots"][1] == taken["snapshot"]
    assert run("backup", vault, "--check").stdout == "Everything is whole.\n"
    fresh = str(tmp_path / "fresh")
    assert run("restore", vault, "--data", fresh, "--dry-run").returncode == 2 and not Path(fresh).exists()
    assert told("restore", vault, "--data", fresh)["files"] == 6
    assert run("verify", "--deep", "--data", fresh).returncode == 0
    assert tree(Path(fresh) / "operations") == tree(store.operations.path)
    store.rewrite(operation_id, lambda sidecar: sidecar.update(prompt="new"))
    conflict = run("restore", vault)
    assert conflict.returncode == 1 and f"operations/{operation_id}.json: what is there differs, and stays" in conflict.stdout
    assert store.get_operation_metadata(operation_id)["prompt"] == "new"


def test_what_is_left_as_it_was_is_no_success(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody who has these run at night would know: a backup that left files out, and a purge that failed, ended with 0."""
    operation_id, other = save(store, 1), save(store, 2)
    (store.root / "shares" / "link.json").symlink_to(tmp_path)
    assert main(["backup", str(tmp_path / "backups"), "--json"]) == 1
    taken = json.loads(capsys.readouterr().out)
    assert taken["success"] is False and list(taken["left_out"]) == ["shares/link.json"] and taken["operations"] == 2
    Trash(store).put(operation_id)
    with monkeypatch.context() as full:
        full.setattr(Trash, "_remove", refused)
        assert main(["trash", "purge", "--older-than", "0", "--yes", "--json"]) == 1
        purged = json.loads(capsys.readouterr().out)
        assert (purged["success"], purged["operations"], purged["left"]) == (False, [], [operation_id])
        full.setattr(Trash, "put", refused)
        assert main(["cleanup", "--older-than", "0", "--yes", "--json"]) == 1
        cleaned = json.loads(capsys.readouterr().out)
        assert (cleaned["success"], cleaned["count"], list(cleaned["left"])) == (False, 0, [other])
        assert main(["cleanup", "--older-than", "0", "--yes"]) == 1 and f"{other} stays" in capsys.readouterr().out
    assert main(["trash", "purge", "--older-than", "0", "--yes"]) == 0 and Trash(store).all() == []


def refused(*_given: object, **_more: object) -> None:
    raise StorageError(reason="the disk is full")


def test_a_restore_that_meets_something_else_is_no_success(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    operation_id, vault = save(store, 1), str(tmp_path / "backups")
    assert main(["backup", vault]) == 0
    store.rewrite(operation_id, lambda sidecar: sidecar.update(prompt="new"))
    capsys.readouterr()
    assert main(["restore", vault, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["success"] is False and list(found["conflicts"]) == [f"operations/{operation_id}.json"]


@pytest.mark.long
def test_backup_finds_damage_and_refuses_what_makes_no_sense(store: Store, tmp_path: Path) -> None:
    save(store, 1)
    vault = tmp_path / "backups"
    told("backup", str(vault))
    (victim, *_) = sorted(path for path in (vault / "objects").iterdir())
    victim.write_bytes(b"x" + victim.read_bytes()[1:])
    assert victim.name in told("backup", str(vault), "--check", code=1)["problems"]
    for arguments in (
        ("backup", str(store.root)),
        ("restore", str(tmp_path / "absent")),
        ("restore", str(vault), "--snapshot", "../x"),
    ):
        assert run(*arguments).returncode == 2, arguments
    assert run("backup", str(vault), "--list", "--check").returncode == 2
