"""What killed processes leave is swept at the next start, and nothing of a process that lives, however old it looks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from opstore import Store
from opstore.app import App, Settings
from opstore.care.leftovers import sweep
from tests.samples import ID, JPG, SHORT

ROOT = Path(__file__).resolve().parents[1]
#: Begins a save, a change of the settings and an export, and stops in the midst of each.
WRITER = r"""
import sys, threading, time
from pathlib import Path
from opstore import Store
from opstore.storage import disk
from opstore.exports.work import Work
from opstore.storage.files import Folder

store = Store(Path(sys.argv[1]))
store.initialize_storage()
ready = threading.Barrier(4)

def stop(*_):
    ready.wait()
    time.sleep(300)

def export():
    with Work(store, iter(())).folder() as place:
        (place / "part").write_bytes(b"x")
        stop()

disk.sync = stop
for work in (
    lambda: store.save_input_image(sys.argv[2], b"\xff\xd8\xff\xe0" + bytes(64), 1),
    lambda: Folder(store.root).create("settings", [{"settings.json": b"{}"}]),
    export,
):
    threading.Thread(target=work, daemon=True).start()
ready.wait()
print("ready", flush=True)
time.sleep(300)
"""


def left(store: Store) -> list[str]:
    found = [path for place in (store.root, store.operations.path, store.cache / "exports") for path in place.glob("*")]
    return sorted(path.name for path in found if path.name.startswith((".", "tmp")))


@pytest.mark.long
@pytest.mark.parametrize("dies", [True, False])
def test_leftovers_go_where_their_owner_is_dead_and_nowhere_else(tmp_path: Path, dies: bool) -> None:
    store = Store(tmp_path / "data")
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(store.root), ID], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout
        try:
            assert writer.stdout.readline() == "ready\n"
            names = left(store)
            assert len(names) == 5, names
            for place in (store.root, store.operations.path, store.cache / "exports"):
                for path in place.glob("*"):
                    os.utime(path, (0, 0))  # as old as can be: that says nothing
            store.save_input_image(SHORT, JPG, 1)
            if dies:
                os.kill(writer.pid, signal.SIGKILL)
                writer.wait()
            else:
                assert sweep(store) == 0 and left(store) == names
                return
        finally:
            writer.kill()
    app = App(Settings(data=store.root))
    app.start()
    try:
        deadline = time.monotonic() + 30
        while left(store) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert [name for name in left(store) if not name.endswith(".lock")] == []
    finally:
        app.stop()
    assert left(store) == [] and store.operations.has(f"{SHORT}_in_1.jpg")
