"""The house rules, read from the source: arrows go down only, heavy packages stay out, modules stay small and explained.

Each rule is a function from a folder to what breaks it. It is run on the project, and on a small bad sample that it must catch.
"""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

#: From the ground up; a room imports from lower floors only. A new room needs a floor here, and a line in docs/architecture.md.
#: Providers stand below the store and the settings: both ask the registry, and a provider sees neither. `__init__` is the front
#: door: what programs import, and the rooms below it never do.
FLOORS: tuple[tuple[str, ...], ...] = tuple(
    tuple(floor.split())
    for floor in """\
errors media.heif clocks launcher browser storage.stored_file
storage.operation storage.job storage.names storage.disk storage.files storage.document storage.watch \
media language.translations access.roles
storage.data_folder storage.saving storage.packs storage.verify media.likeness media.xmp fetch access.people access.signouts \
clocks.leaps launcher.serving language.formats spending.spent
providers language.chart_texts media.renderings
storage.store storage.preferences language.document_texts
index workflows media.thumbnails media.provenance storage.trash comparing
jobs lineage.families analytics smart
spending.budget curation storage.drafts jobs.once lineage.branches comparing.reviews exports report shares
care demo
service
generation cards
app __init__
api cli ui __main__
pages dashboard""".splitlines()
)
LEVEL = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}
#: Rooms whose modules stand on floors of their own; one that has none itself has an entry for each.
SPLIT = {room.partition(".")[0] for room in LEVEL if "." in room}

#: Neighbours on one floor that may be used.
ALLOWED = {
    ("storage.operation", "storage.names"),
    ("storage.job", "storage.operation"),
    ("storage.job", "storage.names"),
    ("storage.files", "storage.disk"),
    ("storage.document", "storage.files"),
    ("storage.watch", "storage.names"),
    ("storage.verify", "storage.packs"),
    ("storage.trash", "media.thumbnails"),
    ("access.signouts", "clocks.leaps"),
    ("spending.spent", "clocks.leaps"),
    ("shares", "exports"),
    ("__init__", "app"),
    ("__main__", "cli"),
}
#: Lower floors that are off limits all the same.
FORBIDDEN = {
    ("analytics", "storage.store"): "analytics take frames, not stores",
    ("providers", "fetch"): "a provider gives addresses: one downloader fetches them",
}

HEAVY = ("streamlit", "pandas", "numpy", "plotly", "PIL", "pi_heif", "av", "replicate", "requests", "httpx")
MAX_LINES = 500
MAX_PAGE_LINES = 120
#: Names that do not say what they hold: enough for a glance, and no longer.
VAGUE = frozenset(("found", "told", "said", "made", "given"))
MAX_VAGUE_LINES = 5
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


@dataclass
class Module:
    """A source file, parsed by the rules that ask for more than its text."""

    path: Path
    root: Path
    text: str

    @functools.cached_property
    def tree(self) -> ast.Module:
        """Its syntax tree."""
        return ast.parse(self.text, str(self.path))

    @property
    def name(self) -> str:
        """Its path below the root, as messages show it."""
        return self.path.relative_to(self.root).as_posix()

    @property
    def room(self) -> str:
        """The room it belongs to: `index` for opstore/index/search.py, `storage.names`, `pages` for pages/create.py."""
        parts = self.path.relative_to(self.root).with_suffix("").parts
        return room(parts[1], "".join(parts[2:3])) if parts[0] == "opstore" else parts[0]


def modules(root: Path, *folders: str) -> Iterator[Module]:
    """Every module in the folders and files named, in order."""
    for folder in folders:
        top = root / folder
        for path in [top] if top.is_file() else sorted(top.rglob("*.py")):
            yield Module(path, root, path.read_text("utf-8"))


def imports(module: Module, *, top_level_only: bool = False) -> Iterator[tuple[int, str]]:
    """Every imported name with its line, whole: `from opstore import names` gives `opstore.storage.names`."""
    package = module.path.relative_to(module.root).parent.parts
    nodes = module.tree.body if top_level_only else list(ast.walk(module.tree))
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = [*package[: len(package) - node.level + 1]] if node.level else []
            start = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{start}.{alias.name}") for alias in node.names)


def room(name: str, inner: str) -> str:
    """The room `name`; the one of its module `inner` where that, or every module there, has a floor of its own."""
    own = f"{name}.{inner}"
    return own if own in LEVEL or (name not in LEVEL and name in SPLIT) else name


def room_of(imported: str, root: Path) -> str | None:
    """The room that an imported name belongs to; None for other people's packages."""
    parts = imported.split(".")
    if parts[0] in ("pages", "dashboard"):
        return parts[0]
    if parts[0] != "opstore":
        return None
    below = parts[1] if len(parts) > 1 else ""
    is_module = (
        below in LEVEL or below in SPLIT or (root / "opstore" / below).is_dir() or (root / "opstore" / f"{below}.py").is_file()
    )
    return room(below, "".join(parts[2:3])) if below and is_module else "__init__"


def upward_imports(root: Path) -> list[str]:
    """Imports that point up or sideways."""
    found = []
    for module in modules(root, "opstore", "pages", "dashboard.py"):
        for line, imported in imports(module):
            target = room_of(imported, root)
            if target is None or target == module.room:
                continue
            fault = arrow_fault(module.room, target)
            if fault:
                found.append(f"{module.name}:{line}: {module.room} imports {target}: {fault}")
    return list(dict.fromkeys(found))


def arrow_fault(room: str, target: str) -> str | None:
    """Why `room` may not import `target`, or None where it may."""
    if (room, target) in FORBIDDEN:
        return FORBIDDEN[room, target]
    unknown = {room, target} - LEVEL.keys()
    if unknown:
        return f"{', '.join(sorted(unknown))} has no floor in FLOORS"
    if LEVEL[target] < LEVEL[room] or (room, target) in ALLOWED:
        return None
    return f"floor {LEVEL[target]} is not below floor {LEVEL[room]}"


def streamlit_below_ui(root: Path) -> list[str]:
    """Modules other than the pages that load streamlit."""
    return [
        f"{module.name}:{line}: imports {imported}"
        for module in modules(root, "opstore")
        if module.room != "ui"
        # The server is started from `serve`, inside a function: `list` must not load it.
        for line, imported in imports(module, top_level_only=module.room in ("cli", "app"))
        if imported.split(".")[0] == "streamlit"
    ]


def pages_that_do_too_much(root: Path) -> list[str]:
    """Pages that are long, or that reach past the service."""
    found = []
    for module in modules(root, "pages"):
        lines = len(module.text.splitlines())
        if lines > MAX_PAGE_LINES:
            found.append(f"{module.name}: {lines} lines, at most {MAX_PAGE_LINES}")
        for line, imported in imports(module):
            if imported.split(".")[0] in ("sqlite3", "replicate"):
                found.append(f"{module.name}:{line}: imports {imported}")
        for call in calls(module):
            if called(call).split(".")[-1] in ("open", "read_bytes", "read_text", "write_bytes", "write_text"):
                found.append(f"{module.name}:{call.lineno}: {called(call)}() touches files")
    return found


def unexplained_or_long(root: Path) -> list[str]:
    """Modules without a docstring, or longer than a person reads."""
    found = []
    for module in modules(root, "opstore", "pages", "dashboard.py", "tests", "bench"):
        if not module.text.startswith('"""'):
            found.append(f"{module.name}: no docstring")
        lines = len(module.text.splitlines())
        if lines > MAX_LINES:
            found.append(f"{module.name}: {lines} lines, at most {MAX_LINES}")
    return found


def dangerous_calls(root: Path) -> list[str]:
    """Ways in which data could become code, or markup."""
    found = []
    for module in modules(root, "opstore", "pages", "dashboard.py", "bench"):
        for line, imported in imports(module):
            if imported.split(".")[0] in ("pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal"):
                found.append(f"{module.name}:{line}: imports {imported}")
        for call in calls(module):
            fault = call_fault(call, module.name)
            if fault:
                found.append(f"{module.name}:{call.lineno}: {fault}")
    return found


def call_fault(call: ast.Call, module: str) -> str | None:
    """Why this call is not allowed, or None."""
    name = called(call)
    if name in ("eval", "exec", "builtins.eval", "builtins.exec", "yaml.load", "yaml.unsafe_load", "yaml.full_load"):
        return f"{name}()"
    if name.split(".")[-1] in ("read_pickle", "to_pickle"):
        return f"{name}()"
    if name == "st.button" and module != "opstore/ui/parts.py" and not any(word.arg == "on_click" for word in call.keywords):
        return "st.button() loses a press that comes with a run that another ends: use parts.button()"
    raw = any(word.arg == "unsafe_allow_html" and not is_constant(word.value, False) for word in call.keywords)
    raw |= name == "st.html" and module != "opstore/ui/markup.py"  # the one way: its argument is typed Markup
    if (raw or name == "Markup") and not all(is_fixed(argument) for argument in call.args):
        return f"{name}() puts data into markup"
    return None


def calls(module: Module) -> Iterator[ast.Call]:
    """Every call in a module."""
    return (node for node in ast.walk(module.tree) if isinstance(node, ast.Call))


def called(call: ast.Call) -> str:
    """The dotted name that is called; its last part where the rest is an expression."""
    parts: list[str] = []
    node: ast.expr = call.func
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        parts.append(node.id)
    return ".".join(reversed(parts))


def is_constant(node: ast.expr, value: object) -> bool:
    """Whether an expression is this very constant."""
    return isinstance(node, ast.Constant) and node.value is value


def is_fixed(node: ast.expr) -> bool:
    """Whether an expression holds no data: a literal, or a CONSTANT of the module."""
    return isinstance(node, ast.Constant) or (isinstance(node, ast.Name) and node.id.isupper())


def vague_names(root: Path) -> list[str]:
    """Local variables that do not say what they hold, and that live for more lines than a glance takes in."""
    faults = []
    for module in modules(root, "opstore", "pages", "dashboard.py", "bench"):
        for function in ast.walk(module.tree):
            for name in sorted(VAGUE & bound(function)) if isinstance(function, FUNCTIONS) else ():
                lines = lines_of(function, name)
                count = max(lines) - min(lines) + 1
                if count > MAX_VAGUE_LINES:
                    faults.append(f"{module.name}:{min(lines)}: {name} lives for {count} lines, at most {MAX_VAGUE_LINES}")
    return faults


def own(function: ast.AST) -> Iterator[ast.AST]:
    """Every node of a function, without what functions inside it hold."""
    waiting = list(ast.iter_child_nodes(function))
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, FUNCTIONS):
            waiting += ast.iter_child_nodes(node)


def variable(node: ast.AST) -> tuple[str, int]:
    """The variable that a node names, and the line; no name where it names none."""
    if isinstance(node, ast.Name):
        return node.id, node.lineno
    if isinstance(node, ast.arg):
        return node.arg, node.lineno
    if isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar):
        return node.name or "", node.lineno
    return "", 0


def bound(function: ast.AST) -> set[str]:
    """The variables of a function itself: its parameters, and what it sets and does not say to be another's."""
    nodes = list(own(function))
    others = {name for node in nodes if isinstance(node, ast.Global | ast.Nonlocal) for name in node.names}
    return {variable(node)[0] for node in nodes if not isinstance(getattr(node, "ctx", None), ast.Load)} - others


def lines_of(function: ast.AST, name: str) -> list[int]:
    """Every line on which a function, or one inside it that has no such variable itself, names this variable."""
    lines = []
    for node in own(function):
        if variable(node)[0] == name:
            lines.append(variable(node)[1])
        elif isinstance(node, FUNCTIONS) and name not in bound(node):
            lines += lines_of(node, name)
    return lines


RULES = (upward_imports, streamlit_below_ui, pages_that_do_too_much, unexplained_or_long, dangerous_calls, vague_names)


@pytest.mark.parametrize("rule", RULES)
def test_the_project_keeps(rule: Callable[[Path], list[str]]) -> None:
    assert not (found := rule(ROOT)), "\n".join(["", *found])


@pytest.mark.parametrize(
    ("rule", "path", "source"),
    [
        (upward_imports, "opstore/storage/names.py", "from opstore.storage.store import Store"),
        (upward_imports, "opstore/storage/names.py", "from opstore.storage import store"),
        (upward_imports, "opstore/storage/novel.py", "from opstore.errors import OpstoreError"),
        (upward_imports, "opstore/jobs/machine.py", "from opstore.jobs.once import Once"),
        (upward_imports, "opstore/storage/names.py", "from .store import Store"),
        (upward_imports, "opstore/storage/names.py", "def f():\n    import opstore.storage.store"),
        (upward_imports, "opstore/index/search.py", "from ..service import create"),
        (upward_imports, "opstore/storage/names.py", "import opstore"),
        (upward_imports, "opstore/jobs.py", "from opstore import Store"),
        (upward_imports, "opstore/storage/names.py", "import opstore.storage.operation"),
        (upward_imports, "opstore/storage/store.py", "from opstore.index import Index"),
        (upward_imports, "opstore/analytics/frame.py", "from opstore.storage.store import Store"),
        (upward_imports, "opstore/providers/local.py", "from opstore.storage.store import Store"),
        (upward_imports, "opstore/novel.py", "from opstore.errors import OpstoreError"),
        (upward_imports, "opstore/ui/parts.py", "import dashboard"),
        (streamlit_below_ui, "opstore/api.py", "import streamlit as st"),
        (streamlit_below_ui, "opstore/cli.py", "from streamlit.web import cli"),
        (streamlit_below_ui, "opstore/media/__init__.py", "def f():\n    import streamlit"),
        (pages_that_do_too_much, "pages/create.py", "x = 1\n" * 121),
        (pages_that_do_too_much, "pages/create.py", "import sqlite3"),
        (pages_that_do_too_much, "pages/create.py", "from replicate import run"),
        (pages_that_do_too_much, "pages/create.py", "open('x')"),
        (pages_that_do_too_much, "pages/create.py", "from pathlib import Path\nPath('x').open()"),
        (unexplained_or_long, "opstore/storage/names.py", "x = 1"),
        (unexplained_or_long, "opstore/storage/names.py", '"""Explained."""\n' + "x = 1\n" * 500),
        (dangerous_calls, "opstore/storage/names.py", "import pickle"),
        (dangerous_calls, "opstore/storage/names.py", "eval('1')"),
        (dangerous_calls, "opstore/storage/names.py", "import yaml\nyaml.load('1')"),
        (dangerous_calls, "opstore/storage/names.py", "import pandas\npandas.read_pickle('x')"),
        (dangerous_calls, "pages/create.py", "st.markdown(f'<b>{prompt}</b>', unsafe_allow_html=True)"),
        (dangerous_calls, "pages/create.py", "st.markdown(prompt, unsafe_allow_html=flag)"),
        (dangerous_calls, "pages/create.py", "st.html('<b>' + prompt)"),
        (dangerous_calls, "pages/create.py", "if st.button('Go', key='go'): go()"),
        (vague_names, "opstore/index/search.py", "def f():\n    found = []\n" + "    g()\n" * 4 + "    return found"),
        (vague_names, "opstore/ui/search_results.py", "def f(given):\n" + "    g()\n" * 4 + "    return lambda: given"),
        (vague_names, "pages/create.py", "def f():\n    told = ''\n    def g():\n        nonlocal told\n\n\n        told += 'x'"),
    ],
)
def test_a_rule_catches(rule: Callable[[Path], list[str]], path: str, source: str, tmp_path: Path) -> None:
    file = tmp_path / path
    file.parent.mkdir(parents=True)
    file.write_text(source, "utf-8")
    assert rule(tmp_path)


def test_the_rules_let_good_code_pass(tmp_path: Path) -> None:
    samples = {
        "opstore/storage/store.py": '"""A store."""\nfrom opstore.fetch import fetch\nfrom .files import write\n',
        "opstore/index/entry.py": '"""An entry."""\nfrom opstore.index import search\nimport sqlite3\n',
        "opstore/index/search.py": '"""Search."""\ndef f():\n    found = 1\n    return found\ndef g(found):\n    return found\n',
        "opstore/cli.py": '"""Commands."""\nimport opstore\ndef serve():\n    from streamlit.web import bootstrap\n',
        "opstore/ui/parts.py": '"""Parts."""\nimport streamlit as st\nCSS = "<style></style>"\nst.html(CSS)\n',
        "pages/create.py": '"""Create."""\nimport streamlit as st\nfrom opstore.ui import parts\nst.markdown("**x**")\n',
    }
    for path, source in samples.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(source, "utf-8")
    assert [found for rule in RULES for found in rule(tmp_path)] == []


def loaded_by(statement: str) -> set[str]:
    """The heavy packages that a fresh interpreter has loaded after `statement`."""
    code = f"{statement}\nimport sys\nprint(*sorted({set(HEAVY)!r} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize("name", ["opstore", "opstore.storage.store", "opstore.cli"])
def test_importing_is_light(name: str) -> None:
    assert loaded_by(f"import {name}") == set()


def test_the_light_import_check_sees_a_heavy_one() -> None:
    assert "requests" in loaded_by("import requests")
