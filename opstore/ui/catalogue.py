"""What there is to translate, read from the code itself, so that no catalogue can fall behind unnoticed.

`python -m opstore.ui.catalogue` brings every `locale/*.po` up to date: new texts are added without a translation, texts that are
gone are dropped, what was translated stays. The same code gives the same file: no date, no line numbers.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_file
from babel.messages.pofile import read_po, write_po

from opstore.errors import OpstoreError
from opstore.language.translations import LOCALES

ROOT = Path(__file__).resolve().parent.parent.parent
#: `said` marks sentences of the parts that know nothing of a language: reasons in errors, stored errors, progress notes.
KEYWORDS = {"_": None, "ngettext": (1, 2), "pgettext": ((1, "c"), 2), "said": None}

_HEADER = r"""msgid ""
msgstr ""
"Project-Id-Version: opstore\n"
"Language: {language}\n"
"Plural-Forms: {plural_forms}\n"
"MIME-Version: 1.0\n"
"Content-Type: text/plain; charset=utf-8\n"
"Content-Transfer-Encoding: 8bit\n"

"""


def sources() -> list[Path]:
    """Return the files that hold texts that people see, in a fixed order."""
    return sorted([*(ROOT / "opstore").rglob("*.py"), *(ROOT / "pages").glob("*.py"), ROOT / "dashboard.py"])


@functools.cache
def messages() -> Catalog:
    """Return every text of the interface: those in the code, and the sentence of every error; read once, for it takes seconds."""
    catalogue = Catalog(fuzzy=False)
    for path in sources():
        for _line, text, comments, context in extract_from_file("python", str(path), keywords=KEYWORDS):
            catalogue.add(text, locations=[(str(path.relative_to(ROOT)), 0)], auto_comments=comments, context=context)
    for kind in _kinds(OpstoreError):
        catalogue.add(kind.template(), locations=[("opstore/errors", 0)])
    return catalogue


def _kinds(root: type[OpstoreError]) -> Iterator[type[OpstoreError]]:
    if root.__module__.startswith("opstore."):  # a test may have one of its own
        yield root
    for kind in root.__subclasses__():
        yield from _kinds(kind)


def updated(path: Path) -> bytes:
    """Return the catalogue at `path` as it is when up to date."""
    with path.open("rb") as file:
        catalogue = read_po(file, locale=path.stem)
    catalogue.update(messages(), no_fuzzy_matching=True)
    catalogue.obsolete.clear()
    body = io.BytesIO()
    write_po(body, catalogue, width=120, no_location=True, omit_header=True, sort_output=True, ignore_obsolete=True)
    header = _HEADER.format(language=path.stem, plural_forms=catalogue.plural_forms)
    return header.encode() + body.getvalue().strip() + b"\n"


if __name__ == "__main__":
    for locale in sorted(LOCALES.glob("*.po")):
        locale.write_bytes(updated(locale))
