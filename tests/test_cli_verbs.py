"""Every verb through its real process: one JSON object with `--json`; what removes can be tried first; completion."""

from __future__ import annotations

import argparse
import json
import os
import pty
import select
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from opstore import Store
from opstore.cli import _parser, main
from opstore.index import Index
from tests.samples import ID, LATER, MOMENT, PNG
from tests.test_cli import ROOT, run

#: In this order: each leaves what the next ones need.
JOURNEY: list[tuple[list[str], int, set[str]]] = [
    (["list"], 0, {"count", "operations"}),
    (["search", "sea"], 0, {"count", "total", "operations"}),
    (["show", ID], 0, {"operation"}),
    (["verify", "--deep"], 0, {"count", "problems"}),
    (["stats"], 0, {"headline", "operationsByType"}),
    (["export", "--output", "OUT/all.csv"], 0, {"file", "format", "bytes", "operations", "leftOut"}),
    (["cleanup", "--older-than", "0", "--dry-run"], 0, {"dryRun", "count", "bytes", "kept", "operations"}),
    (["trash", "put", ID], 0, {"dryRun", "count", "operations", "failed"}),
    (["trash", "list"], 0, {"count", "operations"}),
    (["trash", "purge", "--older-than", "0", "--dry-run"], 0, {"dryRun", "count", "bytes", "operations"}),
    (["trash", "restore", ID], 0, {"dryRun", "count", "operations", "failed"}),
    (["rebuild"], 0, {"count", "exact", "problems"}),
    (["repair"], 0, {"dryRun", "count", "remedies"}),
    (["compress", "--older-than", "0", "--dry-run"], 0, {"dryRun", "count", "saved", "months", "left"}),
    (["compress", "--month", "2025-11"], 0, {"dryRun", "count", "saved", "months", "left"}),
    (["backup", "OUT/backup"], 0, {"snapshot", "operations"}),
    (["restore", "OUT/backup", "--dry-run"], 0, {"dryRun", "count", "snapshot"}),
    (["import", "OUT/pictures", "--dry-run"], 0, {"dryRun", "count", "operations"}),
    (["share", "create", ID], 0, {"share"}),
    (["share", "list"], 0, {"count", "shares"}),
    (["share", "rotate", "--end-old", "--dry-run"], 0, {"dryRun", "count", "shares"}),
    (["compress", "--unpack"], 0, {"dryRun", "count", "saved", "months", "left"}),
    (["completion", "bash"], 0, {"shell", "script"}),
    # what goes wrong
    (["show", "20251103143029_abc123df"], 1, {"error"}),
    (["show", "x"], 2, {"error"}),
    (["search", "rating:many"], 2, {"error"}),
    (["list", "--limit", "x"], 2, {"error"}),
    (["nope"], 2, {"error"}),
    (["cleanup", "--older-than", "0"], 2, {"error"}),
    (["export", "--output", "OUT/all.csv"], 2, {"error"}),
]


#: Steps that are a process of their own here; the other verbs are in the other tests of the command line.
PROCESSES = {"rebuild", "repair", "import", "cleanup", "compress", "backup", "nope"}


@pytest.mark.long
def test_every_verb_tells_programs_one_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The whole journey with `--json` on one data folder."""

    def step(*words: str) -> tuple[int, str, str]:
        if words[0] in PROCESSES:
            done = run(*words, cwd=tmp_path)
            return done.returncode, done.stdout, done.stderr
        code = main(words)
        told = capsys.readouterr()
        return code, told.out, told.err

    store = Store(tmp_path / "data", clock=lambda: MOMENT)
    store.initialize_storage()
    store.save(ID, {"operationType": "text_to_image", "prompt": "a sea"}, outputs=[PNG])
    store.save(LATER, {"operationType": "text_to_image", "prompt": "no", "success": False, "error": "no"})
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "one.png").write_bytes(PNG)
    for arguments, code, keys in JOURNEY:
        words = [argument.replace("OUT", str(tmp_path)) for argument in arguments]
        ended, said, for_people = step(*words, "--json", "--data", str(store.root))
        assert ended == code and "Traceback" not in for_people, (arguments, for_people)
        told = json.loads(said)
        assert isinstance(told, dict) and told["success"] is (code == 0) and keys <= told.keys(), arguments
        if code:
            assert told["error"] and for_people, "a person reads standard error"


def leaves(
    parser: argparse.ArgumentParser, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    """Yield every command with its parser."""
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    for action in below:
        for name, child in action.choices.items():
            yield from leaves(child, (*path, name))
    if not below:
        yield path, parser


def options(parser: argparse.ArgumentParser) -> set[str]:
    return {name for action in parser._actions for name in action.option_strings}


#: Acts that take something away, or write over much at once.
REMOVING = [
    "cleanup",
    "trash put",
    "trash purge",
    "trash restore",
    "restore",
    "repair",
    "import",
    "share forget",
    "share revoke",
    "share rotate",
]


def test_every_command_has_json_and_what_removes_can_be_tried_first() -> None:
    found = {" ".join(path): options(parser) for path, parser in leaves(_parser())}
    assert len(found) > 20 and set(REMOVING) <= found.keys()
    assert [name for name, taken in found.items() if not taken >= {"--json", "--data", "--help"}] == []
    assert [name for name in REMOVING if "--dry-run" not in found[name]] == []


def test_a_dry_run_of_links_ends_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(tmp_path / "data", clock=lambda: MOMENT)
    store.initialize_storage()
    store.save(ID, {"operationType": "text_to_image", "prompt": "a sea"}, outputs=[PNG])
    where = ["--data", str(store.root)]
    assert main(["share", "create", ID, *where]) == 0
    link = capsys.readouterr().out.strip()
    before = {path: path.read_bytes() for path in (store.root / "shares").iterdir()}
    for act in (["forget", link], ["revoke", link], ["rotate", "--end-old"]):
        assert main(["share", *act, "--dry-run", *where]) == 0 and "1 would" in capsys.readouterr().out
    assert main(["share", "forget", "x", "--dry-run", *where]) == 1
    assert {path: path.read_bytes() for path in (store.root / "shares").iterdir()} == before
    assert main(["share", "forget", link, *where]) == 0 and not (store.root / "shares").joinpath("x").exists()


# -- completion ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = Store(tmp_path_factory.mktemp("complete") / "data", clock=lambda: MOMENT)
    store.initialize_storage()
    for operation_id, tag in ((ID, "beach"), (LATER, "bad; rm -rf '$(x)`y`")):
        annotations = {"tags": [tag], "favorite": False, "rating": None, "note": ""}
        store.save(operation_id, {"operationType": "text_to_image", "prompt": "x", "annotations": annotations})
    index = Index(store)
    index.catch_up()
    index.stop()
    return store.root


LINES = [
    ("opstore sea", {"search"}),
    ("opstore list --js", {"--json"}),
    ("opstore completion ", {"bash", "zsh", "fish"}),
    ("opstore show 2025", {ID, LATER}),
    (f"opstore show {LATER[:14]}", {LATER}),
    ("opstore search rati", {"rating:"}),
    ("opstore search tag:", {"beach"}),
    ("opstore show ../../etc/pa", set()),
]


@pytest.mark.long
def test_bash_completes_verbs_options_ids_and_searches(library: Path, tmp_path: Path) -> None:
    """One shell, from another folder, as a person has set it up; each line as if Tab were pressed at its end."""
    asked = [
        f'COMP_LINE={json.dumps(line)} COMP_POINT={len(line)} _python_argcomplete opstore; echo "${{COMPREPLY[*]:-}}"'
        for line, _ in LINES
    ]
    setup = f"eval \"$({sys.executable} -m opstore completion bash)\"; cd {tmp_path}; COMP_TYPE=9; IFS=$'\\n'"
    script = "\n".join([setup, *(f"COMPREPLY=(); {line} | tr '\\n' ' '; echo" for line in asked), "opstore --version"])
    env = os.environ | {"OPSTORE_DATA": str(library), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", "-c", script], cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False)
    *told, version = done.stdout.splitlines()
    assert version.startswith("opstore ") and done.stderr == "", done.stderr
    assert {line: set(found.split()) for (line, _), found in zip(LINES, told, strict=True)} == dict(LINES)


@pytest.mark.long
def test_fish_completes_the_same(program: Callable[[str], str], library: Path, tmp_path: Path) -> None:
    asked = "\n".join(f"complete -C {shlex.quote(line)} | cut -f1 | string join ' '; echo" for line, _ in LINES)
    script = f"{sys.executable} -m opstore completion fish | source; cd {tmp_path}\n{asked}\nopstore --version"
    env = os.environ | {"OPSTORE_DATA": str(library), "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    line = [program("fish"), "--no-config", "-c", script]
    done = subprocess.run(line, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False)
    *told, version = [found for found in done.stdout.splitlines() if found]
    assert version.startswith("opstore ") and done.stderr == "", done.stderr
    # Bash breaks a word at its colon; fish replaces all of it.
    whole = [{"tag:beach"} if wanted == {"beach"} else wanted for _, wanted in LINES if wanted]
    assert [set(found.split()) for found in told] == whole


#: What a person has typed, and the line after Tab: zsh shows candidates only in a terminal, so that is what it gets.
TYPED = [
    ("opstore sea", "opstore search"),
    ("opstore list --js", "opstore list --json"),
    (f"opstore show {LATER[:14]}", f"opstore show {LATER}"),
    ("opstore search rati", "opstore search rating:"),
    ("opstore search tag:", "opstore search tag:beach"),
    ("opstore show ../../etc/pa", "opstore show ../../etc/pa"),
]


@pytest.mark.long
def test_zsh_completes_in_a_terminal(program: Callable[[str], str], library: Path, tmp_path: Path) -> None:
    terminal, end = pty.openpty()
    env = os.environ | {"OPSTORE_DATA": str(library), "PYTHONPATH": str(ROOT), "TERM": "dumb", "ZDOTDIR": str(tmp_path)}
    shell = subprocess.Popen(
        [program("zsh"), "-f", "-i"], cwd=ROOT, env=env, stdin=end, stdout=end, stderr=end, start_new_session=True
    )
    os.close(end)
    seen = ""

    def until(words: str) -> str:
        nonlocal seen
        while words not in seen:
            assert select.select([terminal], [], [], 60)[0], f"{words!r} did not come: {seen}"
            seen += os.read(terminal, 65_536).decode(errors="replace")
        before, _, seen = seen.partition(words)
        return before

    try:
        # No words of a setting may look like its outcome: the terminal says back what is typed.
        os.write(terminal, f"eval \"$({sys.executable} -m opstore completion zsh)\"; cd {tmp_path}; PS1='re''ady'\n".encode())
        until("ready")
        for typed, wanted in TYPED:
            os.write(terminal, f"{typed}\t\x01print -r -- '<\x05>'\n".encode())  # the line as it is then, printed
            until("<")
            until("\n<")
            assert until(">").strip() == wanted
            until("ready")
        os.write(terminal, b"opstore --version\n")
        until("\nopstore ")
    finally:
        os.killpg(shell.pid, signal.SIGKILL)
        shell.wait()
        os.close(terminal)


def test_there_is_a_script_for_three_shells(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "tcsh"]) == 2 and "fish" in capsys.readouterr().err


def test_completing_loads_nothing_else_and_makes_nothing(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    env = os.environ | {
        "_ARGCOMPLETE": "1",
        "COMP_LINE": "opstore show 2",
        "COMP_POINT": "14",
        "OPSTORE_DATA": str(tmp_path / "data"),
    }
    command = ["bash", "-c", f"{sys.executable} -m opstore 8>&1 9>&2"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "") and list((tmp_path / "data").iterdir()) == []
