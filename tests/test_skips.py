"""The rule of .ci/run: green means that every test ran that a machine with everything installed can run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import skips

ROOT = Path(__file__).resolve().parents[1]
TESTS = """
import pytest

def test_that_runs(): pass

@pytest.mark.parametrize("number", range({count}))
def test_that_does_not(number): pytest.skip({reasons!r}[number])
"""
WANTING = ["strace is not installed", "could not import 'av': No module named 'av'"]
OF_THE_MACHINE = ["needs root, to mount a disk of its own", "only Linux tells of changes"]


@pytest.mark.long
@pytest.mark.parametrize(("reasons", "processes", "code"), [([*WANTING, *OF_THE_MACHINE], 1, 1), (OF_THE_MACHINE, 0, 0)])
def test_a_run_under_ci_fails_where_a_test_was_skipped_for_want_of_what_can_be_installed(
    tmp_path: Path, reasons: list[str], processes: int, code: int
) -> None:
    (tmp_path / "test_some.py").write_text(TESTS.format(count=len(reasons), reasons=reasons))
    line = [sys.executable, "-m", "pytest", "-q", "-p", "tests.skips", "-n", str(processes), "--rootdir", str(tmp_path)]
    outside = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment = outside | {"PYTHONPATH": str(ROOT), skips.CI: "1"}
    done = subprocess.run(
        [*line, str(tmp_path)], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert f"1 passed, {len(reasons)} skipped" in done.stdout
    named = re.findall(r"fails under .ci/run: test_some.py::test_that_does_not\[\d\]: (.*)", done.stdout)
    assert named == (WANTING if code else [])


def test_elsewhere_a_program_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skips, "_skipped", {"tests/test_faults.py::test_x": "strace is not installed"})
    monkeypatch.delenv(skips.CI, raising=False)
    assert skips._wrong() == {}
    monkeypatch.setenv(skips.CI, "1")
    assert skips._wrong() == skips._skipped


@pytest.mark.parametrize(("check", "test"), [(0, 0), (2, 0), (0, 2)])
def test_ci_ends_with_the_summary_and_fails_where_anything_did(tmp_path: Path, check: int, test: int) -> None:
    summary = "2 failed, 6000 passed, 3 skipped in 300.01s (0:05:00)"
    made = f'#!/bin/sh\necho "$1 $OPSTORE_CI"; [ "$1" = check ] && exit {check}; echo "= {summary} ="; echo later; exit {test}\n'
    script, programs = tmp_path / ".ci" / "run", tmp_path / "bin"
    script.parent.mkdir()
    programs.mkdir()
    shutil.copy(ROOT / ".ci" / "run", script)
    for name in re.findall(r"^    \[([a-z0-9-]+)\]=", script.read_text(), re.MULTILINE):  # nothing is installed for this test
        (programs / name).write_text(made)
        (programs / name).chmod(0o755)
    environment = {"PATH": f"{programs}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", script], env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == (check or test), done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == ["check 1", "test 1"], "the tests run even where the checks fail"
    assert lines[-1] == f"= {summary} ="
