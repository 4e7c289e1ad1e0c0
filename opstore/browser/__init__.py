"""The script of a component or of a page that stands alone: one text, in which each module keeps what is its own to itself.

Streamlit gives the text of a component's script an address of its own, from which no other module can be found, and a page that
is handed on has its script within it. So what a module imports is put before it, each module once, in the order in which a
browser would run them; the default export of the last one is the component. Imports are read as `import { name } from
"./other.js";` alone (or `"../room/other.js"`), exports as `export` before what declares one name, which is no `let`. What is
said to readers and to the type checker stays here.
"""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path

#: The sheet of the line between two pictures (divider.js).
DIVIDER = Path(__file__).with_name("divider.css")
_COMMENT = re.compile(r"^ *(?:/\*(?:(?!\*/).)*\*/|//[^\n]*)\n", re.MULTILINE | re.DOTALL)
_IMPORT = re.compile(r'^import \{([^}]*)\} from "(\.\.?/[\w./]+\.js)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:const|(?:async )?function\*?|class) (\w+))", re.MULTILINE)
_OTHER = re.compile(r"^(?:import|export)\b(?! default )", re.MULTILINE)


@functools.cache
def script(path: Path) -> str:
    """Return the module at `path` with all that it imports."""
    order: dict[Path, str] = {}
    _gather(path, order, ())
    called = {module: f"$module{number}" for number, module in enumerate(order)}
    others = [_enclosed(module, text, called) for module, text in list(order.items())[:-1]]
    return "\n".join([*others, _inside(path, order[path], called)])


def _gather(path: Path, order: dict[Path, str], importing: tuple[str, ...]) -> None:
    """Add a module's text to `order`, behind those of what it imports."""
    name = path.name
    if name in importing:
        raise ValueError(f"{name} imports itself, by {' → '.join(importing)}")
    if path in order:
        return
    text = _COMMENT.sub("", path.read_text("utf-8"))
    if left := _OTHER.search(_EXPORT.sub("", _IMPORT.sub("", text))):
        raise ValueError(f"{name}: {text[left.start() : left.start() + 80]!r} is not read")
    for names, address in _IMPORT.findall(text):
        other = _found(path, address)
        _gather(other, order, (*importing, name))
        if missing := {wanted.split()[0] for wanted in names.split(",") if wanted.strip()} - set(_given(order[other])):
            raise ValueError(f"{name} imports {', '.join(sorted(missing))}, which {other.name} does not export")
    order[path] = text


def _found(path: Path, address: str) -> Path:
    return Path(os.path.normpath(path.parent / address))


def _given(text: str) -> list[str]:
    return [found[1] for found in _EXPORT.finditer(text)]


def _enclosed(path: Path, text: str, called: dict[Path, str]) -> str:
    inside = _inside(path, text, called)
    return f"const {called[path]} = (() => {{\n{inside}\nreturn {{ {', '.join(_given(text))} }};\n}})();"


def _inside(path: Path, text: str, called: dict[Path, str]) -> str:
    def taken(found: re.Match[str]) -> str:
        return f"const {{{found[1].replace(' as ', ': ')}}} = {called[_found(path, found[2])]};\n"

    return _IMPORT.sub(taken, _EXPORT.sub("", text))
