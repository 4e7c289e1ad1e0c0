"""The script of a component: one text, in which each module keeps what is its own to itself.

Streamlit gives the text of a component's script an address of its own, from which no other module can be found. So what a module
imports is put before it, each module once, in the order in which a browser would run them; the default export of the last one is
the component. Imports are read as `import { name } from "./other.js";` alone, exports as `export` before what declares one name,
which is no `let`. What is said to readers and to the type checker stays here.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

_HERE = Path(__file__).parent
_COMMENT = re.compile(r"^ *(?:/\*(?:(?!\*/).)*\*/|//[^\n]*)\n", re.MULTILINE | re.DOTALL)
_IMPORT = re.compile(r'^import \{([^}]*)\} from "\./([\w.]+\.js)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:const|(?:async )?function\*?|class) (\w+))", re.MULTILINE)
_OTHER = re.compile(r"^(?:import|export)\b(?! default )", re.MULTILINE)


@functools.cache
def script(name: str) -> str:
    """Return the module `name` of this folder with all that it imports."""
    order: dict[str, str] = {}
    _gather(name, order, ())
    entry = order.pop(name)
    others = [_enclosed(other, text) for other, text in order.items()]
    return "\n".join([*others, _IMPORT.sub(_taken, _EXPORT.sub("", entry))])


def _gather(name: str, order: dict[str, str], importing: tuple[str, ...]) -> None:
    """Add a module's text to `order`, behind those of what it imports."""
    if name in importing:
        raise ValueError(f"{name} imports itself, by {' → '.join(importing)}")
    if name in order:
        return
    text = _COMMENT.sub("", (_HERE / name).read_text("utf-8"))
    if left := _OTHER.search(_EXPORT.sub("", _IMPORT.sub("", text))):
        raise ValueError(f"{name}: {text[left.start() : left.start() + 80]!r} is not read")
    for names, other in _IMPORT.findall(text):
        _gather(other, order, (*importing, name))
        if missing := {wanted.split()[0] for wanted in names.split(",") if wanted.strip()} - set(_given(order[other])):
            raise ValueError(f"{name} imports {', '.join(sorted(missing))}, which {other} does not export")
    order[name] = text


def _given(text: str) -> list[str]:
    return [found[1] for found in _EXPORT.finditer(text)]


def _enclosed(name: str, text: str) -> str:
    inside = _IMPORT.sub(_taken, _EXPORT.sub("", text))
    return f"const {_called(name)} = (() => {{\n{inside}\nreturn {{ {', '.join(_given(text))} }};\n}})();"


def _taken(found: re.Match[str]) -> str:
    return f"const {{{found[1].replace(' as ', ': ')}}} = {_called(found[2])};\n"


def _called(name: str) -> str:
    return "$" + re.sub(r"\W", "_", name)
