"""The package as who installs it meets it: the wheel, installed into an environment of its own, used in an empty folder.

Built and installed without network; what opstore needs of others comes from the environment of the tests.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import Server, Windows
from tests.test_cli import STRIKE

pytest_plugins = ("tests.browser_fixtures",)

ROOT = Path(__file__).resolve().parents[1]
LAUNCHER = "opstore/launcher"
TITLES = {
    "/": "Create",
    **{f"/{name}": name.capitalize() for name in ("library", "compare", "analytics", "storage", "settings")},
    "/lineage": "Family",
    "/review": "Blind review",
}


def run(*command: str | Path, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a program and return what came of it; where modules are looked for is the environment's own."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | env
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as `pip install .` builds it."""
    folder = tmp_path_factory.mktemp("wheel")
    built = run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    assert built.returncode == 0, built.stderr
    (found,) = folder.iterdir()
    return found


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of an environment that the wheel is installed in."""
    folder = tmp_path_factory.mktemp("environment")
    uv = (sys.executable, "-m", "uv", "--offline", "--no-cache")
    made = run(*uv, "venv", "--python", sys.executable, folder, "--clear", cwd=folder)
    assert made.returncode == 0, made.stderr
    installed = run(
        *uv, "pip", "install", "--no-deps", "--compile-bytecode", "--python", folder / "bin/python", wheel, cwd=folder
    )
    assert installed.returncode == 0, installed.stderr
    paths = {sysconfig.get_path(kind) for kind in ("purelib", "platlib")}
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "others.pth").write_text("\n".join(sorted(paths)))
    return folder / "bin"


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A folder with nothing in it, far from the checkout."""
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


def test_the_wheel_holds_the_package_the_launcher_and_nothing_else(wheel: Path) -> None:
    top = [ROOT / "dashboard.py", ROOT / ".streamlit/config.toml", *(ROOT / "pages").glob("*.py")]
    wanted = {f"{LAUNCHER}/{path.relative_to(ROOT)}": path for path in top}
    code = (path for path in (ROOT / "opstore").rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    wanted |= {str(path.relative_to(ROOT)): path for path in code}
    with zipfile.ZipFile(wheel) as archive:
        held = {name: archive.read(name) for name in archive.namelist() if ".dist-info/" not in name}
    assert held.keys() == wanted.keys() and len(wanted) > 300
    assert not [name for name, data in held.items() if data != wanted[name].read_bytes()]
    assert {"opstore/py.typed", f"{LAUNCHER}/dashboard.py", f"{LAUNCHER}/pages/create.py"} <= held.keys()


_LIBRARY = """
import importlib.metadata, sys
import opstore, opstore.launcher

loaded = {"streamlit", "pandas", "numpy", "plotly", "PIL", "replicate"} & sys.modules.keys()
assert not loaded and opstore.__version__ == importlib.metadata.version("opstore")
assert opstore.launcher.INSTALLED and "site-packages" in opstore.__file__
assert all(getattr(opstore, name) for name in opstore.__all__)
operation_id = opstore.generate_operation_id()
store = opstore.open_store()
store.save_operation_metadata(operation_id, {"operationType": "text_to_image", "prompt": "a boat"})
assert [found["prompt"] for found in store.list_operations()] == ["a boat"]
assert opstore.analytics.load_frame("data").operation_id.tolist() == [operation_id]
"""


@pytest.mark.long
def test_it_is_imported_from_any_folder(programs: Path, empty: Path) -> None:
    used = run(programs / "python", "-c", _LIBRARY, cwd=empty, OPSTORE_DATA="data")
    assert used.returncode == 0, used.stderr
    assert [path.name for path in empty.iterdir()] == ["data"]


_TYPED = """
import opstore
reveal_type(opstore.Store("data").list_operations(limit=1))
opstore.Store(1.5)
"""


@pytest.mark.long
def test_a_type_checker_sees_its_types(programs: Path, empty: Path) -> None:
    (empty / "mine.py").write_text(_TYPED)
    checker = (sys.executable, "-m", "mypy", "--follow-imports=silent", "--python-executable", programs / "python")
    told = run(*checker, "--cache-dir", os.devnull, "mine.py", cwd=empty).stdout
    assert (
        'Revealed type is "list[dict[str, Any]]"' in told.replace("builtins.", "")
        and 'mine.py:4: error: Argument 1 to "Store"' in told
    )


def test_the_command_and_the_module_are_one(programs: Path, empty: Path) -> None:
    command, module = (programs / "opstore",), (programs / "python", "-m", "opstore")
    for arguments, code in ((["--help"], 0), (["--version"], 0), (["list"], 2), (["nothing"], 2)):
        one, other = (run(*how, *arguments, cwd=empty, OPSTORE_DATA="data") for how in (command, module))
        assert (one.returncode, one.stdout, one.stderr) == (other.returncode, other.stdout, other.stderr)
        assert one.returncode == code and (one.stdout or one.stderr)
    assert not list(empty.iterdir())


@pytest.mark.parametrize("moment", ["opstore.errors", "opstore.index"])
def test_ctrl_c_ends_the_command_without_a_traceback(programs: Path, empty: Path, moment: str) -> None:
    (empty / "sitecustomize.py").write_text(STRIKE)
    struck = {**os.environ, "STRIKE": moment, "PYTHONPATH": str(empty)}
    command = [str(programs / "opstore"), "search", "sea", "--data", str(empty)]
    ended = subprocess.run(command, env=struck, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode in (130, -signal.SIGINT) and ended.stderr == ""


def test_a_shell_completes_the_command_that_is_installed(programs: Path, empty: Path) -> None:
    script = """eval "$(opstore completion bash)"; COMP_TYPE=9; COMP_LINE="opstore sea"; COMP_POINT=11
        _python_argcomplete opstore; echo $(type -t opstore) "${COMPREPLY[*]}" """
    told = run("bash", "-c", script, cwd=empty, PATH=f"{programs}:{os.environ['PATH']}")
    assert told.stdout.split() == ["file", "search"], told.stderr


class Installed(Server):
    """`opstore serve` of an environment, begun in a folder of its own."""

    def __init__(self, programs: Path, folder: Path) -> None:
        """Serve `folder/data` by the command in `programs`."""
        super().__init__(folder / "data", forked=False, PYTHONPATH="")
        self.command, self.cwd = [str(programs / "opstore"), "serve"], folder
        self.start_seconds *= 4  # what an environment has just got is read from the disk for the first time


@pytest.fixture
def installed(programs: Path, empty: Path) -> Iterator[Installed]:
    """The app from the wheel; it answers."""
    # What lies where a person starts it is not the app's: a module of this name would end it, were it found.
    (empty / "dataclasses.py").write_text("raise SystemExit('not mine')")
    served = Installed(programs, empty)
    served.start()
    yield served
    served.stop()


@pytest.mark.long
def test_the_app_shows_every_page_from_the_wheel(installed: Installed, windows: Windows) -> None:
    assert installed.read("/").startswith(b"<!") and installed.read("/app/static/InterVariable.woff2").startswith(b"wOF2")
    assert b"plotly" in installed.read("/scripts/plotly.js")[:400].lower()
    with windows.visit(installed) as visitor:
        for path, title in TITLES.items():
            page = visitor.open(path)
            page.wait_for_function("title => document.title == `${title} · opstore`", arg=title)
        visitor.open()
        assert visitor.page.evaluate("getComputedStyle(document.body).fontFamily").startswith("Inter")
        visitor.ask("A calm sea at dawn")
        installed.stored("A calm sea at dawn")
    assert "Traceback" not in installed.log()
