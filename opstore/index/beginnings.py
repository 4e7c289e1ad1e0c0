"""Long beginnings of words (`phot*`): found through the index of two-letter beginnings and a look at the prompt.

The full-text engine answers `phot*` by merging the lists of all words that begin so, whatever is asked of them: 85 ms for half a
million prompts. Where many prompts with `ph*` have one, the newest 50 are found sooner in the prompts themselves. What a prompt's
words are must be exactly what the engine takes for them: `begins` knows that for Latin text, and asks the engine for other text.
"""

from __future__ import annotations

import re
import sqlite3
import unicodedata
from collections import Counter

from opstore.index.keywords import plain
from opstore.index.prompts import spelt
from opstore.index.terms import parted

#: Letters in the index of beginnings.
SHORT = 2
#: Prompts that are looked at to judge a beginning, and how many of them must have it to be worth it.
_LOOK, _ENOUGH = 400, 40
#: The commonest words that begin so, as a part that is found without a look.
_WORDS = 8

_TOKENS = "tokenize='unicode61 remove_diacritics 2'"
#: Characters that are for certain folded and parted as below: Latin letters and signs (a test asks the engine).
_SURE = (
    "\x01-\xb4\xb6-\u017e\u0180-\u01df\u01e4-\u01ed\u01f0-\u01fb\u0200-\u024f"
    "\u2010-\u2027\u2030-\u205e\u20a0-\u20b5\u2190-\u23e7\u2600-\u26ff"
)
_DOUBT = re.compile(f"[^{_SURE}]")
_ACCENTS = re.compile("[\u0300-\u036f]")
_TOKEN = re.compile(r"[^\W_]+")


def _byte(number: int) -> int:
    """Return a Latin-1 letter in small and without its accent, a space for what is no letter."""
    letter = unicodedata.normalize("NFD", chr(number).lower())[0]
    return ord(letter) if _TOKEN.match(letter) else 32


#: Most prompts are Latin-1, whose letters are bytes: 0.4 us instead of 8.
_BYTES = bytes(map(_byte, range(256)))


def folded(text: str) -> str:
    """Return Latin text, as it is spelt, in small letters without accents."""
    return text.lower() if text.isascii() else _ACCENTS.sub("", unicodedata.normalize("NFD", text.lower()))


def long_beginning(text: str) -> str | None:
    """Return what a word must begin with, folded, where it is one Latin word of more than two letters, else None."""
    if _DOUBT.search(text) or len(text) <= SHORT:
        return None
    found = folded(spelt(text))
    return found if len(found) > SHORT and _TOKEN.fullmatch(found) else None


class Beginnings:
    """What one connection knows of beginnings; its function `begins(text, beginning)` is there in SQL."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Add the function to a connection."""
        self._engine: sqlite3.Connection | None = None
        self._judged: dict[str, tuple[str, ...]] = {}
        connection.create_function("begins", 2, self.begins, deterministic=True)

    def begins(self, text: str, beginning: str) -> bool:
        """Say whether a word of the text begins so; `beginning` is folded."""
        text = spelt(text)
        try:
            return f" {beginning}".encode("latin-1") in (" " + text).encode("latin-1").translate(_BYTES)
        except UnicodeEncodeError:
            text = plain(text)
            if _DOUBT.search(text):
                return self._asked(text, beginning)
            return any(word.startswith(beginning) for word in _TOKEN.findall(folded(text)))

    def common(self, connection: sqlite3.Connection, beginning: str) -> tuple[str, ...]:
        """Return the commonest words that begin so; none where too few do for a look at the prompts to be worth it.

        It is a guess from the newest prompts and kept: nothing but time depends on it.
        """
        commonest = self._judged.get(beginning)
        if commonest is None:
            texts = connection.execute(
                f"SELECT prompt.text FROM (SELECT rowid AS number FROM body WHERE body MATCH ? ORDER BY rowid DESC LIMIT {_LOOK})"
                " CROSS JOIN op ON op.at = number CROSS JOIN prompt ON prompt.id = op.prompt",
                (f'"{beginning[:SHORT]}"*',),
            ).fetchall()
            words: Counter[str] = Counter()
            hits = 0
            for (text,) in texts:
                own = {word for word in _TOKEN.findall(folded(parted(spelt(text)))) if word.startswith(beginning)}
                words.update(own)
                hits += bool(own)
            commonest = tuple(word for word, _ in words.most_common(_WORDS)) if hits >= _ENOUGH else ()
            if len(self._judged) > 500:
                self._judged.clear()
            self._judged[beginning] = commonest
        return commonest

    def _asked(self, text: str, beginning: str) -> bool:
        """Let the engine say it, of this one text."""
        if self._engine is None:
            self._engine = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            self._engine.execute(f"CREATE VIRTUAL TABLE one USING fts5 (text, content='', columnsize=0, {_TOKENS})")
        self._engine.execute("BEGIN")
        try:
            self._engine.execute("INSERT INTO one (rowid, text) VALUES (1, ?)", (text,))
            return self._engine.execute("SELECT 1 FROM one WHERE one MATCH ?", (f'"{beginning}"*',)).fetchone() is not None
        finally:
            self._engine.execute("ROLLBACK")
