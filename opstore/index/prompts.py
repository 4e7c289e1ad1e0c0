"""The words of a prompt, as searches and charts compare them: what is found is what is counted; pure."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable
from hashlib import blake2b

#: What is kept of a prompt, for the tile and for words; the sidecar has all of it.
MAX_PROMPT = 10_000
_AS_TWO = str.maketrans({"œ": "oe", "Œ": "OE", "æ": "ae", "Æ": "AE", "ß": "ss"})
_TWO = re.compile("[œŒæÆß]")
_TOKEN = re.compile(r"[^\W_]+")
#: Accents on Latin letters: on others they make another letter, for the search too (が, й).
_MARKS = re.compile(r"(?<=[a-z])[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]+")


def spelt(text: str) -> str:
    """Return `text` with the letters that are two written as two: `coeur` finds “cœur”, and the other way round."""
    return text if text.isascii() or not _TWO.search(text) else text.translate(_AS_TWO)


def fold_word(text: str) -> str:
    """Return `text` as the search compares words: small letters, Latin ones without accents, œ as oe."""
    if text.isascii():
        return text.lower()
    plain = _MARKS.sub("", unicodedata.normalize("NFD", spelt(text).lower()))
    return unicodedata.normalize("NFC", plain).replace("ς", "σ")


def words_of(prompt: str) -> Iterable[tuple[str, str]]:
    """Return each word of a prompt once, as it is compared and as it is written (small letters)."""
    words: dict[str, str] = {}
    for word in _tokens(prompt):
        words.setdefault(_folded(word), word)
    return words.items()


def prompt_key(prompt: str) -> int:
    """Return a number that prompts share which are the same but for case, accents, width, spaces and punctuation."""
    if _PLAIN.fullmatch(prompt):
        folded = " ".join(map(_folded, _tokens(prompt)))
    else:
        folded = " ".join(_TOKEN.findall(fold_word(unicodedata.normalize("NFKC", prompt))))
    data = (folded or prompt.strip()).encode("utf-8", "replace")
    return int.from_bytes(blake2b(data, digest_size=8).digest(), signed=True)


#: Texts whose every letter is one word character however it is normalized: they can be parted first and folded word by word.
_PLAIN = re.compile("[\x00-\x7fÀ-ÖØ-öø-ÿŒœ‘’“”«»…—–]*")
#: Of a million prompts nearly all words are among the commonest few thousand.
_folded = functools.lru_cache(maxsize=30_000)(fold_word)


@functools.lru_cache(maxsize=64)  # key and words are asked for one after the other
def _tokens(prompt: str) -> list[str]:
    # İ in small letters would be an i and a dot above it, which parts words.
    return _TOKEN.findall(unicodedata.normalize("NFC", prompt).replace("İ", "i").lower())
