"""What a search that finds nothing was perhaps meant to be: names in use that are spelt nearly so, `AND` and `NOT` of others.

Pure. It only ever proposes: nobody's search is changed unasked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from opstore.index.fields import SEARCHES
from opstore.index.search_language import parse
from opstore.index.terms import And, Field, Node, Not, Or, Query, Span, Text, Word, matches, nearest, render

#: Fields whose names are people's own: what is not in use finds nothing, and is no mistake.
OPEN = [name for name, search in SEARCHES.items() if search.values == "name" and search.is_facet and not search.names]


def meant(text: str, known: Mapping[str, Iterable[str]]) -> str | None:
    """Return the search that `text` was perhaps meant to be, None if nothing comes to mind; `known` has the names in use.

    Raise InvalidQuery for a text that is no search.
    """
    query = parse(text)
    if query.root is None:
        return None
    names = {field: tuple(found) for field, found in known.items() if field in OPEN}
    root = _read(query.root, names)
    return render(Query(root)) if root is not None and root != query.root else None


def _read(node: Node, names: Mapping[str, tuple[str, ...]]) -> Node | None:
    """Return what a node was meant to be, None for a word that was meant as no word."""
    if isinstance(node, And | Or):
        return _together(node, names)
    if isinstance(node, Not):
        inner = _read(node.node, names)
        return None if inner is None else Not(inner)
    if isinstance(node, Field) and node.name in names:
        return replace(node, values=tuple(dict.fromkeys(_named(node.name, value, names[node.name]) for value in node.values)))
    return None if node == Word("AND") else node


def _together(node: And | Or, names: Mapping[str, tuple[str, ...]]) -> Node | None:
    parts: list[Node] = []
    denied = False
    for part in node.nodes:
        if isinstance(node, And) and part == Word("NOT"):
            denied = True
            continue
        read = _read(part, names)
        if read is not None:
            parts.append(Not(read) if denied and not isinstance(read, Not) else read)
        denied = False
    kind = And if isinstance(node, And) else Or
    return kind(tuple(parts)) if len(parts) > 1 else parts[0] if parts else None


def _named(field: str, value: Text | Span, names: tuple[str, ...]) -> Text | Span:
    """Return the name in use that is nearest to one that is not."""
    if not isinstance(value, Text) or any(matches(field, value, name) for name in names):
        return value
    found = nearest(value.text, names)
    return value if found is None else Text(found)
