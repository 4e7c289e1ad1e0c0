"""The wiring: settings from the environment, refused by name where they cannot be used, and an app that starts and stops."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import streamlit
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

import opstore
from opstore.app import App, Settings, open_store
from opstore.errors import InvalidSetting, OpstoreError
from opstore.service import NewOperation
from opstore.ui import scripts
from opstore.ui.streamlit_private.preload import LEAST, NEEDED, Early

STREAMLIT = Path(streamlit.__file__).parent / "static"
TOKEN = "r8_" + "x" * 37


def test_the_defaults_are_the_documented_ones() -> None:
    settings = Settings.from_env({})
    assert (settings.data, settings.provider, settings.port) == (Path("data"), "", 8501)
    assert settings.environment == {} and settings.api_token is None
    assert settings == Settings.from_env({"OPSTORE_DATA": "", "OPSTORE_INDEX": "", "PORT": "", "REPLICATE_API_TOKEN": ""})


def test_every_variable_is_read() -> None:
    settings = Settings.from_env(
        {
            "OPSTORE_DATA": "/srv/data",
            "OPSTORE_PROVIDER": " Local ",
            "PORT": "8600",
            "REPLICATE_API_TOKEN": TOKEN,
            "REPLICATE_BASE_URL": "http://127.0.0.1:9000",
            "OPSTORE_API_TOKEN": "secret",
            "OPSTORE_DELIVERY_HOSTS": "http://127.0.0.1:9000",
        }
    )
    assert (settings.data, settings.provider, settings.port) == (Path("/srv/data"), "local", 8600)
    assert settings.environment["REPLICATE_API_TOKEN"] == TOKEN
    assert settings.environment["REPLICATE_BASE_URL"] == "http://127.0.0.1:9000"
    assert settings.api_token == "secret"
    assert settings.policy != Settings.from_env({}).policy
    assert Settings.from_env({"OPSTORE_DATA": "/srv/data"}, data="here").data == Path("here")
    assert TOKEN not in repr(settings) and "secret" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("PORT", value) for value in ("0", "65536", "-1", "80.5", "http", "８５０１", " 80", "9" * 5_000)),
        *(("OPSTORE_PROVIDER", value) for value in ("openai", "local,replicate")),
        *(("OPSTORE_DATA", value) for value in ("s3://bucket/prefix", "file:///srv")),
        ("OPSTORE_INDEX", "postgresql://localhost/opstore"),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(InvalidSetting, match=name) as raised:
        Settings.from_env({name: value})
    assert raised.value.exit_code == 2


def test_a_store_from_the_environment(tmp_path: Path) -> None:
    store = opstore.open_store()
    assert store.root == tmp_path / "data"
    assert sorted(path.name for path in store.root.iterdir()) == [
        "branches",
        "cache",
        "operations",
        "pending",
        "reviews",
        "shares",
        "trash",
    ]
    assert open_store().list_operations() == []


def test_a_folder_that_cannot_be_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(OpstoreError):
        App(Settings(data=tmp_path / "data"))


def test_the_end_waits_for_no_part_that_takes_long_and_tells_all_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, free = App(Settings(data=tmp_path / "data")), threading.Event()
    app.start()
    monkeypatch.setattr(app.service.branches, "stop", free.wait)
    app.stop(0.5)
    following = [thread for thread in threading.enumerate() if thread.name == "opstore-index"]
    for thread in following:
        thread.join(30)
    assert not any(thread.is_alive() for thread in following), "who comes later has been told too"
    free.set()


def test_a_process_that_is_about_to_end_does_whatever_holds_it() -> None:
    begin = "import threading; from opstore.api import end_soon; end_soon(0.1)"
    held = "threading.Thread(target=threading.Event().wait).start()"
    assert subprocess.run([sys.executable, "-c", f"{begin}; {held}"], timeout=60).returncode == 0


@pytest.mark.long
def test_nothing_runs_before_start_nor_after_stop(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    app = App(Settings(data=tmp_path / "data"))
    operation_id = app.service.create(NewOperation("text_to_image", "stars"))
    time.sleep(0.2)
    assert set(threading.enumerate()) == before and app.service.job(operation_id)
    app.start()
    deadline = time.monotonic() + 30
    while app.service.job(operation_id):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    app.stop()
    app.stop()  # twice is once
    while ours := [thread.name for thread in set(threading.enumerate()) - before if thread.name.startswith("opstore")]:
        assert time.monotonic() < deadline, ours
        time.sleep(0.02)
    assert app.store.operations.has(f"{operation_id}.json")
    assert list((app.store.cache / "runners").iterdir()) == [], "no sign of life stays behind"


MODEL = """
["me/mine"]
title = "Mine"
provider = "local"
types = ["text_to_image"]
"""


@pytest.mark.parametrize("content", [MODEL.encode(), b"[[[", b"\xff\xfe", b"x = 1\n" * 200_000, b""])
def test_the_user_s_own_models_never_stop_the_app(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "models.toml").write_bytes(content)
    service = App(Settings(data=tmp_path / "data")).service
    assert service.plan(NewOperation("text_to_image", "x"))[0].model.name == "opstore/local"
    assert ("me/mine" in service.table.by_name) == (content == MODEL.encode())
    assert bool(service.table.problems) == (content not in (MODEL.encode(), b""))


def test_without_a_token_only_the_local_engine_is_set_up(tmp_path: Path) -> None:
    def makers(**options: Any) -> set[str]:
        return set(App(Settings(data=tmp_path / "data", **options)).runner._around.providers)

    assert makers() == {"local"} and makers(environment={"REPLICATE_API_TOKEN": TOKEN}) == {"local", "replicate"}


@pytest.mark.parametrize("path", NEEDED)
def test_a_page_names_the_large_scripts_that_it_will_need_and_each_is_there(path: str) -> None:
    page = Route("/{name}", lambda request: PlainTextResponse("page"))
    client = TestClient(Starlette(routes=[*scripts.routes(), page], middleware=[Middleware(Early)]))
    head = client.get(path).headers["link"]
    named = re.findall("</(static/js/[^>]+)>; rel=modulepreload", head)
    assert len(named) == len(set(named)) > 5 and all((STREAMLIT / path).stat().st_size >= LEAST for path in named)
    begun = (STREAMLIT / "index.html").read_text("utf-8")
    assert not [name for name in named if name in begun], "every page begins with it"
    assert "link" not in client.get("/compare").headers
    ours = re.findall("<(/scripts/[^>]+)>;rel=preload", head)
    assert [client.get(address).headers["cache-control"] for address in ours] == (
        ["public, max-age=31536000, immutable"] if path == "/analytics" else []
    )


def test_plotly_s_script_is_the_package_s_own_packed_or_not() -> None:
    client = TestClient(Starlette(routes=scripts.routes()))
    packed, whole = client.get(scripts.PLOTLY), client.get(scripts.PLOTLY, headers={"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip" and len(scripts.packed()) < len(whole.content) / 3
    assert packed.content == whole.content and b"window.Plotly = Plotly" in whole.content


@pytest.mark.long
def test_what_the_first_page_needs_is_loaded_while_the_server_starts() -> None:
    wanted = "{'pandas', 'PIL.PngImagePlugin', 'opstore.ui.search_results'}"
    program = f"import sys; from opstore.ui.warm_up import warm; warm().join(60); print(sorted({wanted} - {{*sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n", done.stderr
