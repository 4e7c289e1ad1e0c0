"""What the project's own files promise: complete locks, a private and readable configuration, data kept out of git."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions, requires
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.conftest import Sampled, pytest_configure_node

ROOT = Path(__file__).resolve().parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
CONFIG: dict[str, Any] = tomllib.loads((ROOT / ".streamlit/config.toml").read_text("utf-8"))
LOCKS = ("requirements.txt", "tests/requirements.txt")


def pins(lock: str) -> dict[str, str]:
    """Return package → version of a lock; every line that is not a comment, a hash or a marked pin fails."""
    found = {}
    entries = re.sub(r" \\\n\s+", " ", (ROOT / lock).read_text("utf-8")).splitlines()
    for entry in entries:
        if entry.strip() and not entry.lstrip().startswith("#"):
            match = re.fullmatch(r"([a-z0-9-]+)==([^ ;]+)( ; [^\\]+?)?((?: --hash=sha256:[0-9a-f]{64})+)", entry)
            assert match, f"{lock}: not a pin with hashes: {entry[:80]}"
            found[match[1]] = match[2]
    return found


def named(requirements: list[str]) -> set[str]:
    """Return the package names of a list of requirements."""
    return {re.split(r"[^A-Za-z0-9-]", requirement)[0].lower() for requirement in requirements}


def test_the_locks_hold_every_direct_dependency() -> None:
    assert named(PROJECT["project"]["dependencies"]) <= pins(LOCKS[0]).keys()
    assert named(PROJECT["dependency-groups"]["dev"]) <= pins(LOCKS[1]).keys()


def imported(*patterns: str) -> set[str]:
    """The packages that files import, or look into without an import, wherever in a file; our own and Python's left out."""
    found = set()
    for path in (path for pattern in patterns for path in ROOT.glob(pattern)):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found |= {name.name.partition(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("find_spec"):
                found |= {str(name.value) for name in node.args if isinstance(name, ast.Constant)}
    return found - sys.stdlib_module_names - {"opstore", "tests", "bench"}


def packages(*patterns: str) -> dict[str, set[str]]:
    """What files import, each with the names of the packages that it may come from."""
    providers = packages_distributions()
    return {module: {name.lower().replace("_", "-") for name in providers.get(module, ())} for module in imported(*patterns)}


@pytest.mark.long
@pytest.mark.parametrize("patterns", [("opstore/**/*.py", "pages/*.py", "*.py"), ("tests/**/*.py", "bench/*.py")])
def test_what_is_imported_is_declared_and_not_only_there_by_chance(patterns: tuple[str, ...]) -> None:
    declared = named(PROJECT["project"]["dependencies"])
    declared |= named(PROJECT["dependency-groups"]["dev"]) if "tests/**/*.py" in patterns else set()
    found = packages(*patterns)
    assert found and not {module for module, names in found.items() if not names & declared}


#: A dependency as pyproject.toml has it, and the first word of its comment.
ENTRY = re.compile(r'^    "([a-z0-9-]+)[^"]*",\s+# ([a-z0-9/_-]+): ', re.MULTILINE)
PLACES = dict(ENTRY.findall((ROOT / "pyproject.toml").read_text("utf-8").partition("[dependency-groups]")[0]))


@pytest.mark.long
@pytest.mark.parametrize("package", sorted(named(PROJECT["project"]["dependencies"])))
def test_a_dependency_is_imported_where_its_comment_says(package: str) -> None:
    place = PLACES[package]
    if place in PLACES:  # another package's, which we ask for the part that needs it
        assert package in named([wanted.lower() for wanted in requires(place) or ()])
    else:
        assert package in set().union(*packages(f"opstore/{place}.py", f"opstore/{place}/**/*.py").values())


#: What tests and measurements use in another way than by an import.
TOOLS = {"hatchling", "httpx2", "mypy", "pandas-stubs", "pytest-xdist", "ruff", "scikit-learn", "types-requests", "uv"}


def test_every_other_dependency_of_the_tests_is_imported_by_one() -> None:
    used = set().union(*packages("tests/**/*.py", "bench/*.py").values())
    assert named(PROJECT["dependency-groups"]["dev"]) - used == TOOLS


def test_the_locks_agree_with_each_other() -> None:
    run, dev = pins(LOCKS[0]), pins(LOCKS[1])
    assert {name: version for name, version in dev.items() if run.get(name, version) != version} == {}


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_host(lock: str) -> None:
    text = (ROOT / lock).read_text("utf-8")
    assert not re.search(r"://|--(?:extra-)?index|--find-links|--trusted-host", text)


def test_the_configuration_keeps_to_this_machine_and_says_nothing_of_its_inside() -> None:
    wanted = {
        "server.address": "127.0.0.1",
        "server.headless": True,
        "server.maxUploadSize": 10,
        "server.enableStaticServing": True,
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": False,
        "client.showErrorDetails": "none",
        "client.toolbarMode": "viewer",
        "runner.postScriptGC": False,
    }
    read = {key: CONFIG[key.split(".")[0]][key.split(".")[1]] for key in wanted}
    assert read == wanted
    assert "://" not in (ROOT / ".streamlit/config.toml").read_text("utf-8"), "no theme, font or picture comes from elsewhere"


def test_streamlit_knows_every_setting() -> None:
    from streamlit import config

    known = config.get_config_options().keys()
    given = {f"{section}.{key}" for section, values in CONFIG.items() if section != "theme" for key in values}
    given |= {f"theme.{key}" for key, value in CONFIG["theme"].items() if not isinstance(value, dict)}
    given |= {f"theme.{mode}.{key}" for mode in ("light", "dark") for key in CONFIG["theme"][mode]}
    assert given <= known


def test_the_typeface_lies_where_it_is_served_from() -> None:
    static = ROOT / "opstore/ui/static"
    (face,) = CONFIG["theme"]["fontFaces"]
    font = (static / face["url"].removeprefix("app/static/")).read_bytes()
    assert font[:4] == b"wOF2"
    assert len(font) <= 400_000
    assert "SIL OPEN FONT LICENSE" in (static / "Inter-LICENSE.txt").read_text("utf-8")
    assert CONFIG["theme"]["font"].split(",")[0] == face["family"]


def luminance(colour: str) -> float:
    """Return the relative luminance of #RRGGBB (WCAG 2.2)."""
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours (WCAG 2.2), from 1 to 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_computed_as_wcag_does() -> None:
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert contrast("#767676", "#FFFFFF") == pytest.approx(4.54, abs=0.005)
    assert contrast("#E4572E", "#FFFFFF") < 4.5, "the accent itself cannot carry white words, which is why buttons are deeper"


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("ground", ["backgroundColor", "secondaryBackgroundColor"])
@pytest.mark.parametrize("ink", ["textColor", "linkColor", "codeTextColor", "redColor", "blueColor", "yellowColor", "grayColor"])
def test_words_are_readable_on_every_ground(mode: str, ground: str, ink: str) -> None:
    theme = CONFIG["theme"][mode]
    assert contrast(theme[ink], theme[ground]) >= 4.5


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_the_main_button_is_readable_and_seen(mode: str) -> None:
    theme = CONFIG["theme"][mode]
    assert contrast(theme["primaryColor"], "#FFFFFF") >= 4.5, "Streamlit writes white on primary buttons"
    assert contrast(theme["primaryColor"], theme["backgroundColor"]) >= 3, "a control against its ground (WCAG 1.4.11)"


def test_the_dark_theme_has_no_tint_that_covers_area() -> None:
    dark = CONFIG["theme"]["dark"]
    for key in (
        "backgroundColor",
        "secondaryBackgroundColor",
        "borderColor",
        "codeBackgroundColor",
        "dataframeHeaderBackgroundColor",
    ):
        red, green, blue = dark[key][1:3], dark[key][3:5], dark[key][5:7]
        assert red == green == blue, key


def test_every_target_explains_itself() -> None:
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True)
    listed = {line.split()[1] for line in done.stdout.splitlines() if line.startswith("make ")}
    assert listed == {"help", "run", "test", "soak", "check", "bench", "lock", "clean"}


def test_what_people_make_stays_out_of_git(program: Any, tmp_path: Path) -> None:
    git = program("git")
    subprocess.run([git, "init", "-q", tmp_path], check=True, timeout=30)
    (tmp_path / ".gitignore").write_text((ROOT / ".gitignore").read_text("utf-8"), "utf-8")
    for name in (
        "data/operations/20251103143022_abc123de.json",
        "data/cache/index.sqlite",
        "data/.gitkeep",
        "opstore/data/keep.py",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    shown = subprocess.run(
        [git, "status", "--porcelain", "-uall"], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=30
    ).stdout
    assert {line[3:] for line in shown.splitlines()} == {".gitignore", "data/.gitkeep", "opstore/data/keep.py"}


def test_a_sample_keeps_order_and_ends_reaches_everywhere_and_comes_again() -> None:
    def chosen(seed: int, whole: bool = False) -> list[int]:
        return Sampled(seed, "a test", whole)(range(100), 10)

    samples = [chosen(seed) for seed in range(200)]
    assert all(len(set(found)) == 10 and found == sorted(found) and (found[0], found[-1]) == (0, 99) for found in samples)
    assert {number for found in samples for number in found} == set(range(100)) and chosen(7) == chosen(7)
    assert chosen(7, whole=True) == [*range(100)] and Sampled(7, "a test", False)(range(3), 10) == [0, 1, 2]


def test_processes_of_one_run_share_its_seed(request: pytest.FixtureRequest) -> None:
    told = request.config
    node = SimpleNamespace(config=told, workerinput={})
    pytest_configure_node(node)
    assert node.workerinput == {"chosen": {"seed": told.option.seed, "long": told.option.long}}
    assert getattr(told, "workerinput", node.workerinput)["chosen"] == node.workerinput["chosen"]


@pytest.mark.parametrize("address", [("192.0.2.1", 80), ("2001:db8::1", 80)])
def test_tests_reach_no_other_machine(address: tuple[str, int]) -> None:
    import socket

    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family) as tried, pytest.raises(pytest.fail.Exception, match="this machine only"):
        tried.connect(address)
    with pytest.raises(pytest.fail.Exception, match="this machine only"):
        socket.getaddrinfo("example.com", 443)
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("nowhere.invalid", 443)
    assert socket.getaddrinfo("localhost", 80)


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "rocket", "china", "flower"])
def test_the_photographs_are_real_files(photo: Any, name: str) -> None:
    assert photo(name, "jpg", size=(64, 48))[:3] == b"\xff\xd8\xff"
    assert photo(name, "png", size=(64, 48))[:4] == b"\x89PNG"


def test_what_a_component_ends_is_really_gone() -> None:
    """Streamlit also calls the end of a run that another has overtaken, while the component stands."""
    components = {
        path.name: path.read_text("utf-8").partition("\nexport default ")[2]
        for path in (ROOT / "opstore" / "ui" / "components").glob("*.js")
    }
    ends = [(name, end[:80]) for name, text in components.items() for end in text.split("return () => ")[1:]]
    assert ends and not [(name, text) for name, text in ends if "parentElement.isConnected" not in text]
