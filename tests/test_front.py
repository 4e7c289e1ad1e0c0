"""The JavaScript of opstore/: its own unit tests, how modules become one script, and what its tools look at."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from opstore import browser
from opstore.ui import components

ROOT = Path(__file__).resolve().parents[1]
FRONT = ROOT / "tests" / "front"


def node(program: Callable[..., str], *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run node in the folder of the tests, and return what came of it."""
    command = [program("node"), *arguments]
    return subprocess.run(command, cwd=FRONT, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("name", sorted(path.name for path in FRONT.glob("*.test.js")))
def test_units(program: Callable[..., str], name: str) -> None:
    done = node(program, "--import", "./modules.js", name)
    assert done.returncode == 0, done.stdout + done.stderr


# -- modules become one script -------------------------------------------------------------------------------------------


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., str]:
    """`written(entry=…, other=…)`: the script of the first of these modules."""

    def write(**texts: str) -> str:
        for name, text in texts.items():
            (tmp_path / f"{name}.js").write_text(text)
        return browser.script.__wrapped__(tmp_path / f"{next(iter(texts))}.js")

    return write


ENTRY = """/* What it is. */

import { high, say } from "./words.js";
import { twice } from "./numbers.js";

const own = "entry";

/** @param {string} name */
export default function (name) {
  // A line for readers.
  return [own, say(name), twice(high), /^import /m.test("import x")];
}
"""
WORDS = """
import { twice } from "./numbers.js";
const own = "words";
export const high = 3;
export const say = name => own + twice(name);
"""
NUMBERS = """
globalThis.runs = (globalThis.runs ?? 0) + 1;
const own = 2;
export function twice(given) {
  return given.repeat?.(own) ?? given * own;
}
"""


def test_each_module_runs_once_and_keeps_what_is_its_own(
    program: Callable[..., str], tmp_path: Path, written: Callable[..., str]
) -> None:
    script = tmp_path / "joined.mjs"
    script.write_text(written(entry=ENTRY, words=WORDS, numbers=NUMBERS))
    asks = f'import it from "{script.as_uri()}"; console.log(JSON.stringify([it("ab"), globalThis.runs]))'
    done = node(program, "--input-type=module", "--eval", asks)
    assert json.loads(done.stdout) == [["entry", "wordsabab", 6, True], 1], done.stderr


def test_what_is_for_readers_stays_behind(written: Callable[..., str]) -> None:
    text = written(entry=ENTRY, words=WORDS, numbers=NUMBERS)
    assert "What it is" not in text and "@param" not in text and "for readers" not in text


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        ({"entry": 'import { low } from "./words.js";\n', "words": WORDS, "numbers": NUMBERS}, "entry.js imports low, which"),
        ({"entry": 'import { a } from "./other.js";\n', "other": 'import { b } from "./entry.js";\n'}, "entry.js imports itself"),
        ({"entry": 'import * as words from "./words.js";\n'}, "is not read"),
        ({"entry": 'import { a } from "elsewhere";\n'}, "is not read"),
        ({"entry": "export let count = 0;\n"}, "is not read"),
        ({"entry": "const a = 1;\nexport { a };\n"}, "is not read"),
    ],
)
def test_what_would_not_be_joined_as_a_browser_would_is_refused(
    written: Callable[..., str], texts: dict[str, str], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        written(**texts)


def test_every_component_of_ours_can_be_read_as_a_module(program: Callable[..., str], tmp_path: Path) -> None:
    """Streamlit would say of one that cannot be only in the browser."""
    entries = [
        path.name for path in Path(components.__file__).parent.glob("*.js") if "\nexport default " in path.read_text("utf-8")
    ]
    for name in entries:
        (tmp_path / name).with_suffix(".mjs").write_text(components.script(name))
    assert len(entries) > 15
    asks = "for (const name of process.argv.slice(1)) if (typeof (await import(name)).default !== 'function') throw name"
    page = (FRONT / "page.js").as_uri()
    scripts = [(tmp_path / name).with_suffix(".mjs").as_uri() for name in entries]
    done = node(program, "--input-type=module", "--import", page, "--eval", asks, *scripts)
    assert done.returncode == 0, done.stderr


# -- the tools -----------------------------------------------------------------------------------------------------------


def test_all_of_it_has_types() -> None:
    settings = json.loads((FRONT / "tsconfig.json").read_text("utf-8"))
    assert settings["include"][0] == "../../opstore/**/*.js" and settings["compilerOptions"]["strict"]
    assert settings["exclude"] == []


def test_no_script_stands_in_python_where_no_tool_sees_it() -> None:
    found = [path.name for path in (ROOT / "opstore").rglob("*.py") if "export default" in path.read_text("utf-8")]
    assert not found


def test_nothing_is_kept_from_the_type_checker_without_a_word() -> None:
    for path in (ROOT / "opstore").rglob("*.js"):
        text = path.read_text("utf-8")
        for escape in ("@ts-ignore", "@ts-nocheck", "{any}", "{*}", "<any>"):
            assert escape not in text, f"{path.name}: {escape}"


@pytest.mark.parametrize(("ci", "status"), [("", 0), ("1", 1)])
def test_without_node_the_checks_say_so_and_fail_where_it_should_have_been_installed(
    tmp_path: Path, ci: str, status: int
) -> None:
    for name in ("cksum", "dirname", "tr"):
        (tmp_path / name).symlink_to(shutil.which(name) or name)
    environment = {"PATH": str(tmp_path), "OPSTORE_CI": ci}
    done = subprocess.run(
        ["/bin/sh", ROOT / ".ci" / "front.sh"], env=environment, capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout) == (status, "check: front end: SKIPPED, node is not installed\n"), done.stderr


def test_the_checks_need_no_network_once_they_have_their_tools(program: Callable[..., str], tmp_path: Path) -> None:
    if not list(FRONT.glob("node_modules/.done-*")):
        pytest.skip("the front end's tools are not installed: run `make check`")
    program("npm")
    environment = {**os.environ, "npm_config_registry": "http://127.0.0.1:9/", "npm_config_cache": str(tmp_path)}
    done = subprocess.run([ROOT / ".ci" / "front.sh"], env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
