"""Stored data has no path but in `storage`: the rest names a folder and a file, so that the same code may run over a bucket.

Two rules are read from the source. No module takes or makes a path of stored data; `LEFT` says which still do, how often and why,
and only shrinks. No module asks the system about files but those that `WHOSE` names, with whose files they are.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.test_imports import Module, called, modules

ROOT = Path(__file__).resolve().parents[1]

#: The modules that are the folder: everybody else asks them.
STORAGE = tuple(
    f"opstore/storage/{name}" for name in ("disk.py", "files.py", "document.py", "data_folder.py", "watch.py", "packs/")
)
#: What variables and attributes are called that hold a place of stored data.
PLACES = frozenset(
    prefix + word
    for prefix in ("", "_")
    for words in (("store", "operations", "library", "trash", "folder", "source", "target"), ("loose", "pending", "packs", "top"))
    for word in (*words, "place", "data")
)
#: What gives a path of such a place.
PATHS = frozenset(("path", "root", "place", "file_path"))

#: Where such a path is taken all the same, how often, and why. It only shrinks: there were 135 in 39 modules.
LEFT: dict[str, tuple[int, str]] = {
    "opstore/storage/store.py": (3, "programs get a path of what they saved (`Store.save_*`), and name a data folder by one"),
    "opstore/care/sources.py": (2, "somebody else's folder, which is imported"),
    "opstore/care/vault.py": (4, "a folder of backups"),
    "opstore/care/remote.py": (3, "a folder in the cache, from which rclone copies"),
    "opstore/exports/work.py": (2, "locks of a folder in the cache"),
    "opstore/index/__init__.py": (1, "a lock beside the index"),
    "opstore/index/sqlite.py": (1, "a lock beside the index"),
    "opstore/launcher/serving.py": (1, "makes the cache"),
}

#: Whose files a module asks the system about: what is stored is none of them.
WHOSE = {
    "opstore/" + name: whose
    for whose, names in {
        "the package's own": """\
            analytics/documented.py browser/__init__.py language/translations.py launcher/__init__.py providers/registry.py
            report/page.py shares/page.py smart/vocabulary.py ui/analytics.py ui/catalogue.py ui/compare.py
            ui/components/__init__.py ui/library.py ui/parts.py ui/scripts.py ui/streamlit_private/preload.py
            ui/streamlit_private/styles.py""",
        "the cache's": """\
            analytics/snapshot.py care/hashes.py care/long_acts.py care/other_folders.py care/survey.py cli/completion.py
            cli/look.py cli/serve.py comparing/kept_comparisons.py exports/archive.py exports/work.py index/__init__.py
            index/follow.py index/sqlite.py jobs/liveness.py jobs/pending_folder.py launcher/serving.py media/thumbnails.py
            ui/storage.py""",
        "what a person names or is given": """\
            care/remote.py care/sources.py care/vault.py cli/backup.py cli/common.py exports/__init__.py shares/bundle.py""",
        "the machine's": "cli/__init__.py clocks/__init__.py clocks/leaps.py",
        "a temporary one": "exports/excel.py providers/local/video.py shares/clean.py",
    }.items()
    for name in names.split()
}


def terminal(node: ast.expr) -> str:
    """The last name of an expression, of a call what is called; empty where there is none."""
    while isinstance(node, ast.Call):
        node = node.func
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def is_path(node: ast.AST) -> bool:
    """Whether an expression is, or makes, a path of stored data."""
    if isinstance(node, ast.Attribute):
        return node.attr in PATHS and terminal(node.value) in PLACES and node.value is not node
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        return terminal(node.left) in ("data", "_data")
    return isinstance(node, ast.Call) and terminal(node.func) == "Folder"


def is_file_act(node: ast.AST) -> bool:
    """Whether a call asks the system about a file."""
    if not isinstance(node, ast.Call):
        return False
    if isinstance(node.func, ast.Attribute) and terminal(node.func.value) in PLACES:
        return False  # a folder that is asked
    name = called(node)
    first, last = name.split(".")[0], name.split(".")[-1]
    if first == "os":
        return last in OS_ACTS
    if first in ("shutil", "tempfile"):
        return last not in ("which", "get_terminal_size")
    if name == "open" or last in PATH_ACTS:
        return True
    return last in ("stat", "open") and isinstance(node.func, ast.Attribute) and is_of_a_path(node)


def is_of_a_path(call: ast.Call) -> bool:
    """Whether `stat` or `open` is asked of a path: of a folder it is given a name."""
    words = [argument.value for argument in call.args if isinstance(argument, ast.Constant)]
    return called(call).endswith(".stat") if not call.args else bool(words) and str(words[0]).strip("rwaxb+") == ""


OS_ACTS = frozenset(
    [
        "open",
        "stat",
        "lstat",
        "listdir",
        "scandir",
        "walk",
        "replace",
        "rename",
        "unlink",
        "remove",
        "link",
        "mkdir",
        "makedirs",
        "rmdir",
        "utime",
        "fsync",
        "truncate",
    ]
) | frozenset(("access", "exists", "lexists", "isdir", "isfile", "getsize", "getmtime", "realpath"))
PATH_ACTS = frozenset(
    [
        "lstat",
        "unlink",
        "mkdir",
        "rmdir",
        "iterdir",
        "glob",
        "rglob",
        "is_file",
        "is_dir",
        "exists",
        "read_bytes",
        "write_bytes",
        "read_text",
        "write_text",
        "touch",
    ]
) | frozenset(("symlink_to", "hardlink_to", "disk_usage"))


def outside(root: Path) -> Iterator[Module]:
    """Every module but those that are the folder."""
    return (module for module in modules(root, "opstore", "pages", "dashboard.py") if not module.name.startswith(STORAGE))


def taken(root: Path) -> dict[str, int]:
    """How many paths of stored data each module takes or makes."""
    counts = Counter({module.name: sum(map(is_path, ast.walk(module.tree))) for module in outside(root)})
    return {name: count for name, count in counts.items() if count}


def asking(root: Path) -> set[str]:
    """The modules that ask the system about files."""
    return {module.name for module in outside(root) if any(map(is_file_act, ast.walk(module.tree)))}


def more_than_left(root: Path) -> list[str]:
    """Modules that take more paths of stored data than they have left to lose, and those that have lost some."""
    found, left = taken(root), {name: count for name, (count, _) in LEFT.items()}
    names = sorted(found.keys() | (left.keys() if root == ROOT else ()))
    return [
        f"{name}: {found.get(name, 0)} paths of stored data, {left.get(name, 0)} in LEFT"
        for name in names
        if found.get(name, 0) != left.get(name, 0)
    ]


def unnamed(root: Path) -> list[str]:
    """Modules that ask the system about files and say not whose, and those that ask no more."""
    return sorted(asking(root) ^ (WHOSE.keys() if root == ROOT else set()))


@pytest.mark.parametrize("rule", [more_than_left, unnamed])
def test_the_project_keeps(rule: Callable[[Path], list[str]]) -> None:
    assert not (found := rule(ROOT)), "\n".join(["", *found])


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        (more_than_left, "def f(store):\n    return store.root"),
        (more_than_left, "def f(self):\n    return self._store.operations.path"),
        (more_than_left, "def f(trash):\n    return Folder(trash)"),
        (more_than_left, "def f(settings):\n    return settings.data / 'trash'"),
        (unnamed, "import os\ndef f(name):\n    return os.stat(name)"),
        (unnamed, "def f(path):\n    return path.stat().st_size"),
        (unnamed, "def f(path):\n    with path.open('rb') as file:\n        return file.read()"),
        (unnamed, "def f(path):\n    return path.read_bytes()"),
    ],
)
def test_a_rule_catches(rule: Callable[[Path], list[str]], source: str, tmp_path: Path) -> None:
    file = tmp_path / "opstore" / "novel.py"
    file.parent.mkdir()
    file.write_text(source, "utf-8")
    assert rule(tmp_path)
    file.rename(file.with_name("storage"))
    (tmp_path / "opstore" / "storage").rename(tmp_path / "files.py")
    (tmp_path / "opstore" / "storage").mkdir()
    (tmp_path / "files.py").rename(tmp_path / "opstore" / "storage" / "files.py")
    assert not rule(tmp_path)


def test_the_rules_let_names_pass(tmp_path: Path) -> None:
    file = tmp_path / "opstore" / "novel.py"
    file.parent.mkdir()
    file.write_text("def f(store, name):\n    return store.operations.stat(name), store.operations.open(name)", "utf-8")
    assert more_than_left(tmp_path) == unnamed(tmp_path) == []
