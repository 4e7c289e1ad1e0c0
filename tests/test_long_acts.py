"""The acts of care in the background: one at a time, told to the end, whoever is killed and however full the disk is."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from opstore.care.long_acts import Act, Acts
from opstore.care.progress import Report
from opstore.errors import InvalidInput, StorageError
from tests.samples import PNG
from tests.test_storage_page import until


def test_one_act_at_a_time_whoever_asks(tmp_path: Path) -> None:
    acts, others = Acts(tmp_path / "acts"), Acts(tmp_path / "acts")
    go = threading.Event()

    def work(report: Report) -> dict[str, Any]:
        report(3, 10, "half")
        assert go.wait(30)
        return {"n": 1}

    thread = acts.start("first", work)
    act: Act = until(lambda: (found := others.running()) and found.note and found)
    assert (act.kind, act.done, act.total, act.note, act.state) == ("first", 3, 10, "half", "running")
    with pytest.raises(InvalidInput):
        others.start("second", lambda report: {})
    go.set()
    thread.join()
    ended = others.last("first")
    assert ended is not None and (ended.state, ended.result) == ("done", {"n": 1}) and others.running() is None
    others.start("second", lambda report: {}).join()


def test_an_act_that_fails_says_so_and_lets_the_next_begin(tmp_path: Path) -> None:
    acts = Acts(tmp_path / "acts")

    def full(report: Report) -> dict[str, Any]:
        raise StorageError(reason="the disk is full")

    def wrong(report: Report) -> dict[str, Any]:
        raise ZeroDivisionError

    for work, word in ((full, "the disk is full"), (wrong, "unexpectedly")):
        acts.start("act", work).join()
        act = acts.last("act")
        assert act is not None and act.state == "failed" and act.error is not None and word in act.error


def test_an_act_whose_process_was_killed_is_interrupted_and_holds_nobody_up(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from opstore.care.long_acts import Acts\n"
        "Acts(Path(sys.argv[1])).start('act', lambda report: time.sleep(60)); print('on', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "acts")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stdout.readline() == b"on\n"
        acts = Acts(tmp_path / "acts")
        running = acts.running()
        assert running is not None and running.kind == "act"
        child.kill()
    act = acts.last("act")
    assert act is not None and act.state == "interrupted" and acts.running() is None
    acts.start("act", lambda report: {"n": len(PNG)}).join()
    done = acts.last("act")
    assert done is not None and done.state == "done"


def test_a_disk_that_is_full_for_a_while_holds_up_no_later_act(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    acts, written = Acts(tmp_path / "acts"), Acts._write

    def full(self: Acts, act: Act) -> None:
        raise StorageError(reason="the disk is full")

    with monkeypatch.context() as now, pytest.raises(StorageError):
        now.setattr(Acts, "_write", full)
        acts.start("empty", lambda report: {})

    def frees_room(report: Report) -> dict[str, Any]:
        with monkeypatch.context() as now:
            now.setattr(Acts, "_write", full)
            report(1, 2, "removing")
        return {"count": 2}

    acts.start("empty", frees_room).join()
    act = acts.last("empty")
    assert act is not None and (act.state, act.result) == ("done", {"count": 2}) and Acts._write is written
