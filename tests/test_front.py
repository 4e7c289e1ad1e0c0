"""The JavaScript of opstore/: what its tools look at."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FRONT = ROOT / "tests" / "front"
#: What has no types yet, as tsconfig.json names it: this list may only shrink.
UNTYPED = {"../../opstore/shares/*.js", "../../opstore/ui/components/*.js"}


# -- the tools -----------------------------------------------------------------------------------------------------------


def test_what_has_no_types_yet_only_shrinks() -> None:
    settings = json.loads((FRONT / "tsconfig.json").read_text("utf-8"))
    assert settings["include"][0] == "../../opstore/**/*.js" and settings["compilerOptions"]["strict"]
    assert set(settings["exclude"]) <= UNTYPED


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
