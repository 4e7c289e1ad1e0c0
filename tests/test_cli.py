"""The command line as a shell meets it: real processes, their output, their exit codes, and what they load."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from opstore import Store
from opstore.cli import look, main
from tests.fault_tools import mounted, need_mounts, nursery, system
from tests.ports import free_port
from tests.samples import ID, LATER, MOMENT, PNG, plant, tree

ROOT = Path(__file__).resolve().parents[1]
EVIL = "a\x1b[2J\x1b]0;title\x07\rb\x08c\u202e\x9b31m\nline two ![](http://evil/x.png) é 海"


def run(*arguments: str, cwd: Path = ROOT, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command: with options of `subprocess.run` by a new interpreter, else by a fork of one that has loaded opstore."""
    command = [sys.executable, "-m", "opstore", *arguments]
    if options:
        env = os.environ | {"PYTHONPATH": str(ROOT)} | options.pop("env", {})
        return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=60, check=False, **options)
    with tempfile.NamedTemporaryFile() as out, tempfile.NamedTemporaryFile() as err:
        words = [json.dumps(arguments), json.dumps(dict(os.environ)), str(cwd), out.name, err.name]
        code, said = nursery(sys.executable, "tests.cli_programs").run(["command", *words])
        printed, complained = (Path(file.name).read_text("utf-8") for file in (out, err))
        return subprocess.CompletedProcess(command, code, printed, complained + said)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """The test's data folder, which OPSTORE_DATA names, with two operations in it."""
    store = Store(tmp_path / "data", clock=lambda: MOMENT)
    store.initialize_storage()
    known = {"operationType": "text_to_image", "prompt": "a sea", "provider": "local", "model": "opstore/local"}
    cost = {"amount": 0.025, "currency": "USD", "basis": "1 image", "estimated": True}
    store.save(ID, known | {"elapsedSeconds": 1.25, "cost": cost, "parameters": {"seed": 5}}, outputs=[PNG])
    store.save(LATER, known | {"prompt": EVIL, "operationType": "\x1b[31mred", "error": "no \x1b[31m"})
    return store


def printable(text: str) -> bool:
    """Say whether a terminal can do nothing with `text` but show it."""
    return all(letter.isprintable() or letter == "\n" for letter in text)


# -- list, show, verify --------------------------------------------------------------------------------------------------


def test_list_for_people(store: Store) -> None:
    before = tree(store.root, times=True)
    done = run("list")
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr, len(lines)) == (0, "", 2)
    assert re.fullmatch(rf"{ID}  text_to_image +stored +a sea", lines[1])
    assert lines[0].startswith(LATER) and "failed" in lines[0] and "line two" in lines[0] and printable(done.stdout)
    assert run("list", "--limit", "1").stdout.splitlines() == lines[:1]
    assert run("list", "--limit", "0").returncode == 0
    assert tree(store.root, times=True) == before


def test_list_for_programs(store: Store) -> None:
    done = run("list", "--json")
    assert json.loads(done.stdout) == {"success": True, "count": 2, "operations": store.list_operations()}
    assert done.stdout.isascii() and printable(done.stdout)


def test_show(store: Store) -> None:
    done = run("show", ID)
    told = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert done.returncode == 0 and told["id"] == ID and told["prompt"] == "a sea" and told["outputs"] == f"{ID}_out.png"
    assert told["cost"] == "about 0.025 USD (1 image)" and told["elapsed"] in ("1.2 s", "1.3 s")
    costs = [
        ({"amount": amount, "currency": "EUR"}, text) for amount, text in ((12345.678, "12345.678 EUR"), (-1, None), (0, "0 EUR"))
    ]
    assert [look._cost(cost) for cost, _text in costs] == [text for _cost, text in costs]
    evil = run("show", LATER)
    assert evil.returncode == 0 and printable(evil.stdout) and "![](http://evil/x.png)" in evil.stdout
    assert json.loads(run("show", LATER, "--json").stdout)["operation"]["prompt"] == EVIL


def test_what_is_not_there_or_damaged(store: Store) -> None:
    for arguments, code, word in (
        (["show", "20251103143029_abc123df"], 1, "There is no operation"),
        (["show", "../../etc/passwd"], 2, "not an operation id"),
        (["show", "x\x1b[31m"], 2, "not an operation id"),
    ):
        done = run(*arguments)
        assert (done.returncode, done.stdout) == (code, "") and word in done.stderr and printable(done.stderr)
        told = run(*arguments, "--json")
        error = json.loads(told.stdout)
        assert told.returncode == code and error["success"] is False and word in error["error"] and word in told.stderr
    plant(store, f"{ID}.json", b"{")
    assert run("show", ID).returncode == 1 and run("list").stdout.count("\n") == 1


def test_verify(store: Store) -> None:
    healthy = run("verify", "--deep")
    assert (healthy.returncode, healthy.stdout) == (0, "No problems.\n")
    assert json.loads(run("verify", "--json").stdout) == {"success": True, "count": 0, "problems": []}
    (store.operations.path / f"{ID}_out.png").write_bytes(PNG[:-1] + b"x")
    plant(store, "20251103143029_abc123df.json", b"{")
    plant(store, ".\x1b[31m.tmp", b"x")
    before = tree(store.root, times=True)
    shallow, deep = run("verify"), run("verify", "--deep")
    assert shallow.returncode == deep.returncode == 1 and printable(deep.stdout)
    assert "unparsable" in shallow.stdout and "changed" not in shallow.stdout and "changed" in deep.stdout
    told = json.loads(run("verify", "--deep", "--json").stdout)
    assert told["success"] is False and told["count"] == len(told["problems"]) == 3
    assert sorted(told["problems"][0]) == ["detail", "folder", "kind", "name", "operation_id"]
    assert tree(store.root, times=True) == before, "it changes nothing"


# -- usage ---------------------------------------------------------------------------------------------------------------


def test_the_data_folder_is_named_by_option_or_environment(store: Store, tmp_path: Path) -> None:
    elsewhere = {"OPSTORE_DATA": str(tmp_path / "elsewhere")}
    assert run("list", "--data", str(store.root), env=elsewhere).stdout.count("\n") == 2
    assert run("list", "--data", "data", cwd=tmp_path, env=elsewhere).stdout.count("\n") == 2
    assert run("list", cwd=tmp_path, env={"OPSTORE_DATA": ""}).stdout.count("\n") == 2, "./data is the default"


@pytest.mark.parametrize("verb", [["list"], ["show", ID], ["verify"]])
def test_a_data_folder_that_is_missing_is_said_and_not_made(tmp_path: Path, verb: list[str]) -> None:
    done = run(*verb, "--data", str(tmp_path / "nowhere"))
    assert (done.returncode, done.stdout) == (2, "") and "there is no folder" in done.stderr and "nowhere" in done.stderr
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("verb", ["list", "verify"])
def test_looking_at_any_folder_makes_nothing_in_it(tmp_path: Path, verb: str) -> None:
    (tmp_path / "holiday").mkdir()
    done = run(verb, "--data", str(tmp_path / "holiday"))
    assert done.returncode == 0 and ("No operations yet" in done.stdout or "No problems" in done.stdout)
    assert list((tmp_path / "holiday").iterdir()) == []


WRONG = [
    [],
    ["lst"],
    ["list", "--limit", "-1"],
    ["list", "--limit", "x"],
    ["show"],
    ["show", ID, ID],
    ["list", "--nope"],
    ["--data"],
]


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_wrong_usage_is_2(store: Store, arguments: list[str]) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "") and "usage: opstore" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("name", "value"), [("OPSTORE_DATA", "s3://bucket"), ("OPSTORE_PROVIDER", "x"), ("PORT", "x"), ("OPSTORE_INDEX", "x://y")]
)
def test_a_setting_that_cannot_be_used_is_2(store: Store, name: str, value: str) -> None:
    for verb in ("list", "serve"):
        done = run(verb, env={name: value})
        assert done.returncode == 2 and name in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("verb", [[], ["serve"], ["list"], ["show"], ["verify"]], ids=" ".join)
def test_every_verb_explains_itself(verb: list[str]) -> None:
    done = run(*verb, "--help")
    assert done.returncode == 0 and done.stderr == "" and "usage: opstore" in done.stdout
    words = ["--data", "--json"] if verb else ["serve", "list", "show", "verify", "--version"]
    assert all(word in done.stdout for word in words)


def test_the_version() -> None:
    assert re.fullmatch(r"opstore [0-9.]+\n", run("--version").stdout)


# -- the shell -----------------------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("option", ["", "--json"])
def test_a_reader_that_has_enough_is_no_error(store: Store, option: str) -> None:
    for number in range(400):  # more than a pipe holds
        store.save(f"2025110315{number:04}_abc123de", {"operationType": "text_to_image", "prompt": "x" * 500})
    line = f"{sys.executable} -m opstore list --limit 1000 {option} | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == "" and done.stdout.splitlines()[-1] == "0" and len(done.stdout.splitlines()) == 2


@pytest.mark.parametrize("verb", ["list", "verify"])
def test_an_output_that_takes_nothing_is_said(store: Store, verb: str) -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "opstore", verb]
        done = subprocess.run(command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "No space left" in done.stderr


def test_a_terminal_of_another_alphabet(store: Store) -> None:
    done = run("show", LATER, env={"PYTHONIOENCODING": "ascii", "LC_ALL": "C"})
    assert done.returncode == 0 and done.stdout.isascii() and "\\xe9" in done.stdout


def test_in_this_process(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", ID, "--data", str(store.root)]) == 0 and ID in capsys.readouterr().out
    assert main(["show", "x"]) == 2


#: All that `list` loads of ours and of others: what is added here is paid by everybody who lists.
LIGHT = {
    "opstore", "opstore.app", "opstore.cli", "opstore.errors", "opstore.fetch", "opstore.media", "opstore.storage.preferences",
    "opstore.storage", "opstore.storage.files", "opstore.storage.names", "opstore.storage.operation", "opstore.storage.store",
    "opstore.storage.trash", "opstore.storage.verify", "opstore.storage.job", "opstore.storage.saving", "opstore.storage.disk",
    "opstore.storage.packs", "opstore.storage.packs.copies", "opstore.storage.packs.library",
    "opstore.errors.root", "opstore.errors.sentence", "opstore.errors.failure", "opstore.errors.of_providers",
    # Short ones of the standard library alone, which media, the trash and what is removed for good ask.
    "opstore.media.heif", "opstore.clocks", "opstore.clocks.leaps", "opstore.giving_way", "opstore.launcher",
    "opstore.launcher.serving", "opstore.spending", "opstore.spending.spent", "opstore.access", "opstore.access.roles",
}  # fmt: skip


def test_list_loads_a_handful_of_modules_and_no_package_of_others(store: Store) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "opstore", "list"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    loaded = {line.rsplit("|", 1)[1].strip() for line in done.stderr.splitlines() if line.count("|") == 2}
    ours = {name for name in loaded if name.partition(".")[0] == "opstore" and not name.startswith("opstore.cli.")}
    assert done.returncode == 0 and "opstore.storage.store" in ours and "json" in loaded, "it was measured at all"
    assert ours - LIGHT == set()
    others = {name.partition(".")[0] for name in loaded} - sys.stdlib_module_names - {"opstore", "sitecustomize"}
    assert {name for name in others if not name.startswith("_")} <= {"imported package", "org"}, "`copy` asks for org.python"
    assert not loaded & {"sqlite3", "asyncio", "email", "http.client", "urllib.request", "ssl", "multiprocessing"}


# -- serve ---------------------------------------------------------------------------------------------------------------


def get(port: int, path: str) -> tuple[int, str, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.headers.get_content_type(), answer.read()


@contextlib.contextmanager
def serving(command: list[str], port: int, **env: str) -> Iterator[subprocess.Popen[str]]:
    """Run a server until the block ends; it answers when the block begins."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            assert process.poll() is None and time.monotonic() < deadline, process.communicate(timeout=5)[0]
            with contextlib.suppress(OSError):
                if get(port, "/_stcore/health")[0] == 200:
                    break
            time.sleep(0.1)
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=10)


@pytest.mark.parametrize("closed", ["stdin", "stdout", "stderr"])
def test_a_stream_that_is_closed_is_said_and_nobody_else_gets_its_number(store: Store, closed: str) -> None:
    number = ("stdin", "stdout", "stderr").index(closed)
    line = f"{sys.executable} -m opstore list --json {number}>&-"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    if closed == "stdout":
        assert (done.returncode, done.stdout, done.stderr) == (1, "", "opstore: standard output is closed\n")
    else:
        assert done.returncode == 0 and json.loads(done.stdout)["success"] and not done.stderr


def test_a_disk_that_is_full_or_read_only_is_said_in_one_line(tmp_path: Path) -> None:
    need_mounts(tmp_path)
    with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "size=1m", "tmpfs") as disk:
        Store(disk / "data").initialize_storage()
        with contextlib.suppress(OSError), (disk / "fill").open("wb", buffering=0) as fill:
            while True:
                fill.write(b"x" * 4096)
        done = run("rebuild", "--data", str(disk / "data"))
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1) and "disk is full" in done.stderr
        assert not list((disk / "data").rglob("index.rebuilt*")), "half an index only fills the disk"
        system("mount", "-o", "remount,ro", disk)
        done = run("serve", "--data", str(disk / "data"))
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1) and "read-only disk" in done.stderr


@pytest.mark.long
@pytest.mark.parametrize("how", ["opstore serve", "streamlit run"])
def test_the_app_serves_its_page_and_its_routes_and_stops_when_told(store: Store, how: str) -> None:
    port = free_port()
    command = [sys.executable, "-m", "opstore", "serve"]
    if how == "streamlit run":
        command = [sys.executable, "-m", "streamlit", "run", "dashboard.py", f"--server.port={port}"]
    with serving(command, port, PORT=str(port)) as process:
        for path in ("/", "/library", "/create"):
            status, kind, body = get(port, path)
            assert (status, kind) == (200, "text/html") and b"<div id=" in body
        assert json.loads(get(port, "/api/health")[2]).items() >= {"success": True, "jobs": 0}.items()
        assert json.loads(get(port, "/api/history")[2])["count"] == 2
        assert get(port, f"/api/files/{ID}_out.png") == (200, "image/png", PNG)
        for path in ("/api", "/api/", "/api/nope", f"/api/files/..%2f{ID}_out.png", "/api/files/%00"):
            status, kind, body = get(port, path)
            assert 400 <= status < 500 and b"<div id=" not in body, path
        signs = list((store.cache / "runners").iterdir())
        assert len(signs) == 1, "the runner runs, once"
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        assert list((store.cache / "runners").iterdir()) == [], "and was stopped in order"
        assert process.stdout and "Traceback" not in process.stdout.read()


@pytest.mark.long
def test_a_port_that_is_taken_is_said(store: Store) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = run("serve", env={"PORT": port})
        assert done.returncode == 1 and port in done.stdout + done.stderr and "Traceback" not in done.stderr
        assert "not available" in done.stdout + done.stderr


STRIKE = """
import importlib.abc, os, signal, sys

class Strike(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["STRIKE"]:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Strike())
if os.environ["STRIKE"] == "the end":
    import atexit
    atexit.register(os.kill, os.getpid(), signal.SIGINT)
"""


@pytest.mark.parametrize("moment", ["opstore.errors", "opstore.cli.share", "opstore.index", "the end"])
def test_ctrl_c_ends_the_command_without_a_traceback(tmp_path: Path, moment: str) -> None:
    """Within the imports, the work, and the interpreter's own end."""
    (tmp_path / "sitecustomize.py").write_text(STRIKE)
    (tmp_path / "data").mkdir()
    environ = os.environ | {"STRIKE": moment, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    command = [sys.executable, "-m", "opstore", "search", "sea", "--data", str(tmp_path / "data")]
    ended = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)
    assert ended.returncode in (130, -signal.SIGINT) and ended.stderr == ""
