"""Finds texts in a page's source that people would see in English whatever their language: not wrapped in `_`, or not at all.

It looks at what Streamlit's calls and our own parts show, and at every literal that reads like words.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

#: Calls whose first argument is shown: Streamlit's, and our own parts'.
_SHOWING = re.findall(
    r"\w+",
    "caption text write markdown title header subheader button form_submit_button download_button link_button popover "
    "expander dialog toggle checkbox radio pills selectbox multiselect segmented_control slider select_slider text_input "
    "text_area number_input date_input time_input file_uploader camera_input chat_input color_picker metric tabs toast info "
    "warning error success spinner status progress html note facts badge feedback menu_button",
)
_SHOWN_KEYWORDS = {
    "label",
    "help",
    "placeholder",
    "caption",
    "title",
    "text",
    "alt",
    "body",
    "page_title",
    "badge",
    "header",
    "delta",
}
#: Shown as they are in every language.
_ALLOWED = {
    "opstore": "the program's name",
    "Replicate": "a provider's name",
    "English": "a language's name for itself",
    "Français": "a language's name for itself",
    "Ctrl+Enter": "a key",
    "sha256": "the name of a checksum",
    "USD": "a currency's code",
    "UTC": "a time zone's code",
    "GET": "a method of HTTP",
    "HEAD": "a method of HTTP",
    "result missing": "a status as it is stored",
    "foreign name": "a kind of problem, as `verify` names it",
}
_TRANSLATED = {"_", "ngettext", "pgettext", "said", "ngettext_"}
#: Module constants that hold no words: forms and programs for the browser, a file's header.
_NOT_WORDS = {"__all__", "STYLE", "_HTML", "_CSS", "_JS", "_HEADER"}


def unwrapped(source: str) -> list[str]:
    """Return the texts in `source` that people would see in English whatever their language."""
    found: list[str] = []
    for node in _code(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            shown = node.args[:1] if name in _SHOWING else node.args[2:4] if name == "media" else []
            shown = [*shown, *(word.value for word in node.keywords if word.arg in _SHOWN_KEYWORDS)]
            found += [text for argument in shown for text in _literals(argument) if re.search(r"[^\W\d_]{2}", text)]
        found += [text for text in _own_literals(node) if re.search(r"[^\W\d_]{2,}[,:;]? [^\W\d_]{2,}|^[A-Z][^\W\d_]{2,}", text)]
    return sorted({text for text in found if text not in _ALLOWED})


def _code(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk over `tree` without docstrings, annotations, what is translated, and what no person reads."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
            continue
        if isinstance(child, ast.Call) and getattr(child.func, "id", getattr(child.func, "attr", "")) in _TRANSLATED:
            continue
        if isinstance(child, ast.Assign) and {getattr(target, "id", "") for target in child.targets} <= _NOT_WORDS:
            continue
        if isinstance(child, ast.Raise | ast.Assert | ast.arg | ast.Import | ast.ImportFrom):
            continue
        if isinstance(node := child, ast.JoinedStr):
            yield node  # whole; of its parts only the fields are looked at
            for part in node.values:
                yield from _code(part) if isinstance(part, ast.FormattedValue) else ()
            continue
        yield child
        yield from _code(child)


def _own_literals(node: ast.AST) -> list[str]:
    return [_bare(node)] if isinstance(node, ast.JoinedStr) or is_text(node) else []


def is_text(node: ast.AST) -> bool:
    """Say whether a node is a plain text literal."""
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _bare(node: ast.AST) -> str:
    """Return the words of a literal or an f-string: its fields as a mark, without HTML; none of a rule of CSS."""
    if isinstance(node, ast.Constant):
        text = str(node.value)
    else:
        parts = node.values if isinstance(node, ast.JoinedStr) else []
        text = "".join(str(part.value) if isinstance(part, ast.Constant) else "·" for part in parts)
    if re.search(r"\{[^{}]*[:;·][^{}]*\}", text):
        return ""
    heard = " ".join(re.findall(r'\b(?:aria-label|alt|title|placeholder)="([^"]*)"', text))  # what a tag says to people
    text = re.sub(r'[\w-]+="[^"]*"', "", text)
    if "<" in text or ">" in text:
        text = re.sub(r"<[^>]*>?|[^<]*>$", "", text)
    return f"{text} {heard}".strip(" ·")


def _literals(node: ast.AST) -> Iterator[str]:
    """Yield the literals that an expression may come to, without those that a call translates."""
    if is_text(node) or isinstance(node, ast.JoinedStr):
        yield _bare(node)
    elif isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute):  # "…".format(…), ", ".join(…)
            yield from _literals(node.func.value)
    elif isinstance(node, ast.IfExp):
        yield from [*_literals(node.body), *_literals(node.orelse)]
    elif isinstance(node, ast.BinOp | ast.BoolOp | ast.List | ast.Tuple | ast.Set | ast.Dict | ast.NamedExpr):
        for child in ast.iter_child_nodes(node):
            yield from _literals(child)
