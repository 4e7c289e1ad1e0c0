"""What every test gets: a folder of its own, no settings from outside, no network but this machine; and real photographs.

What is long asks for `budget_seconds` or `sampled`: short in the suite and by the seed that is printed, long and whole under
`make soak`, which runs just the tests that ask for one of them. A test that is dear itself is marked `long`: of `LONG_ONES` that
follow each other the suite runs one, by the same seed; `make soak`, and whoever names files or tests, runs all.
"""

from __future__ import annotations

import functools
import importlib.util
import io
import ipaddress
import itertools
import os
import random
import secrets
import shutil
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, is_hypothesis_test, settings

from tests import examples, skips

#: The files whose tests wait longest begin first, so that no process is left with one at the end.
LONG = ("browser", "faults", "sweep", "machine", "fuzz", "histories")

#: The suite runs one in so many of the tests marked `long`.
LONG_ONES = 10

#: Under which name the processes of a run in parallel are told it.
_CHOSEN = "chosen"

T = TypeVar("T")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the options of long runs, and the seed of short ones."""
    group = parser.getgroup("opstore")
    group.addoption("--soak", type=float, metavar="MINUTES", help="let random runs last so long, and run sweeps whole")
    group.addoption(
        "--long", choices=("some", "all"), help="run all tests that are dear, or some by the seed (default: some of a whole run)"
    )
    group.addoption("--seed", type=int, help="what random runs and samples of sweeps begin with (default: another every time)")


def pytest_configure(config: pytest.Config) -> None:
    """Choose the seed once: the processes of a run in parallel are told what the first has chosen. Watch what is skipped."""
    config.pluginmanager.register(skips)
    config.addinivalue_line(
        "markers", "soak: what `make soak` runs long and whole (given to all that ask for a budget, a sample, examples)"
    )
    config.addinivalue_line("markers", f"long: dear to run; the suite runs one in {LONG_ONES}, by its seed, `make soak` all")
    vars(config.option).update(getattr(config, "workerinput", {}).get(_CHOSEN, {}))
    if config.option.seed is None:
        config.option.seed = secrets.randbelow(10**6)
    if config.option.long is None:
        named = config.args_source is pytest.Config.ArgsSource.ARGS
        config.option.long = "all" if named or config.option.soak else "some"
    examples.soaking = bool(config.option.soak)
    # How long an example takes says how busy the machine is, and nothing of the code.
    settings.register_profile(
        "opstore", max_examples=examples.some(100), deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("opstore")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a process of a run in parallel what was chosen: the command line alone is passed on."""
    chosen = node.config.option
    node.workerinput[_CHOSEN] = {"seed": chosen.seed, "long": chosen.long}


def pytest_report_header(config: pytest.Config) -> str:
    """Say how to repeat the run."""
    some = f", one in {LONG_ONES} of the dear tests by it" if config.option.long == "some" else ""
    long = f", soaking for {config.option.soak:g} minutes" if config.option.soak else ""
    return f"seed: {config.option.seed} (again with --seed {config.option.seed}){some}{long}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what is longer under `make soak`, put first what is long anyhow, and leave out most of what is dear."""
    for item in items:
        asks = {"budget_seconds", "sampled"}.intersection(getattr(item, "fixturenames", ()))
        if asks or is_hypothesis_test(getattr(item, "obj", None)) or item.get_closest_marker("long"):
            item.add_marker("soak")
    if config.option.long == "some":
        _leave_out(config, items)
    items.sort(key=lambda item: not any(word in item.path.name for word in LONG))


def _leave_out(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of tests marked `long`, keep one of each `LONG_ONES` that follow each other."""
    chance = random.Random(f"{config.option.seed} long")
    dear = [item for item in items if item.get_closest_marker("long")]
    kept = {chance.choice(dear[start : start + LONG_ONES]) for start in range(0, len(dear), LONG_ONES)}
    left_out = [item for item in dear if item not in kept]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in set(left_out)]


class Sampled:
    """`sampled(cases, 40)`: 40 of them in their order, one at random of each of as many equal stretches; all under `make soak`.

    The first and the last are always among them. `whole` says that none is left out: ask only then for what all together show.
    """

    def __init__(self, seed: int, test: str, whole: bool) -> None:
        """Choose by the run's seed and the test's name: the same test of the same seed meets the same cases."""
        self.whole = whole
        self.random = random.Random(f"{seed} {test}")
        self._seed = seed

    def __call__(self, cases: Sequence[T], most: int) -> list[T]:
        """Return at most `most` of `cases`, at least two."""
        if self.whole or len(cases) <= most:
            return list(cases)
        inner = max(most - 2, 0)
        bounds = [1 + round(number * (len(cases) - 2) / max(inner, 1)) for number in range(inner + 1)]
        chosen = [0, *(self.random.randrange(*stretch) for stretch in itertools.pairwise(bounds)), len(cases) - 1]
        print(f"{len(chosen)} of {len(cases)} cases by --seed {self._seed}; all by `make soak`")
        return [cases[number] for number in chosen]


@pytest.fixture
def sampled(request: pytest.FixtureRequest) -> Sampled:
    """Choose among many cases; `sampled.random` is the test's own source of chance."""
    options = request.config.option
    return Sampled(options.seed, request.node.nodeid, bool(options.soak))


@pytest.fixture
def budget_seconds(request: pytest.FixtureRequest) -> Callable[..., float]:
    """`budget_seconds(12)`: for how long a random run may go on: 12 s in the suite, under `make soak` a share of its minutes.

    `budget_seconds(12, share=0.25)` is 15 minutes of 60.
    """
    minutes = request.config.option.soak
    return lambda suite, share=1.0: minutes * 60 * share if minutes else suite


@pytest.fixture(scope="session", autouse=True)
def _sealed() -> Iterator[None]:
    """No setting of the person who runs the tests, and no other machine, before the first fixture of any scope."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            ours = name.startswith(("OPSTORE_", "REPLICATE_", "STREAMLIT_")) and name != skips.CI
            if ours or name == "PORT" or name.lower().endswith("_proxy"):
                patch.delenv(name)
        # Programs are started some hundred times: compiled once, and not at each start (0.4 s).
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        _close_the_network(patch)
        _look_for_packages_once(patch)
        yield


def _look_for_packages_once(patch: pytest.MonkeyPatch) -> None:
    """A page that is tried looks through every installed package for components, each time: 0.4 s of the 0.6 s that one took."""
    from streamlit.components.v2 import manifest_scanner

    patch.setattr(manifest_scanner, "scan_component_manifests", functools.cache(manifest_scanner.scan_component_manifests))


@pytest.fixture(autouse=True)
def _isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each test has its own data folder, and leaves the main module as it was.

    A page that is tried without a browser puts a module of its own in its place, and processes that are spawned later run that.
    """
    monkeypatch.setenv("OPSTORE_DATA", str(tmp_path / "data"))
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])


def _close_the_network(patch: pytest.MonkeyPatch) -> None:
    def connecting(original: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(self: socket.socket, address: Any) -> Any:
            if self.family in (socket.AF_INET, socket.AF_INET6):
                _refuse_outside(address[0])
            return original(self, address)

        return guarded

    def resolving(original: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(host: Any, *args: Any, **options: Any) -> Any:
            name = host.decode() if isinstance(host, bytes) else host
            if name and not _is_address(name):  # spelling out an address asks nobody
                _refuse_outside(name)
            return original(host, *args, **options)

        return guarded

    patch.setattr(socket.socket, "connect", connecting(socket.socket.connect))
    patch.setattr(socket.socket, "connect_ex", connecting(socket.socket.connect_ex))
    patch.setattr(socket, "getaddrinfo", resolving(socket.getaddrinfo))
    patch.setattr(socket, "gethostbyname", resolving(socket.gethostbyname))


def _is_address(host: str) -> bool:
    try:
        return bool(ipaddress.ip_address(host.partition("%")[0]))
    except ValueError:
        return False


def _refuse_outside(host: str) -> None:
    name = host.lower().rstrip(".")
    if name in ("", "localhost") or name.endswith(".localhost"):
        return
    if name.endswith(".invalid"):  # reserved for names that never resolve (RFC 6761): what a resolver would say, unasked
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    if not _is_address(name) or not ipaddress.ip_address(name.partition("%")[0]).is_loopback:
        # Not an OSError: the code under test would take that for an ordinary failure, and the test would pass.
        pytest.fail(f"this test reached for {host}: tests talk to this machine only (127.0.0.1, ::1, localhost)")


@pytest.fixture(scope="session")
def photo() -> Callable[..., bytes]:
    """`photo("astronaut", "png", size=(640, 480))`: a real photograph as a file's bytes.

    Names: astronaut, chelsea (a cat), coffee, rocket; china, flower.
    """
    # Found without importing the packages: scipy and sklearn cost 2 s.
    folders = {"skimage": "data", "sklearn": "datasets/images"}

    def load(name: str = "astronaut", kind: str = "jpg", size: tuple[int, int] | None = None) -> bytes:
        from PIL import Image

        for package, folder in folders.items():
            spec = importlib.util.find_spec(package)
            assert spec and spec.origin, f"{package} is not installed: run `make test`"
            for path in (Path(spec.origin).parent / folder).glob(f"{name}.*"):
                with Image.open(path) as image:
                    picture = image.convert("RGB")
                if size:
                    picture = picture.resize(size)
                buffer = io.BytesIO()
                picture.save(buffer, "JPEG" if kind == "jpg" else kind.upper())
                return buffer.getvalue()
        raise AssertionError(f"no photograph is called {name!r}")

    return load


@pytest.fixture(scope="session")
def program() -> Callable[..., str]:
    """`program("strace")`: the path of a program, of the first of several that is there.

    Without one the test is skipped, which fails the run where CI should have installed it (`tests.skips`).
    """

    def find(*names: str) -> str:
        folders = f"{os.environ['PATH']}:/usr/sbin:/sbin"
        path = next(filter(None, (shutil.which(name, path=folders) for name in names)), None)
        return path or pytest.skip(f"{names[-1]} is not installed")

    return find
