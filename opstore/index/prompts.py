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
    for folded, written in zip(*_parted(prompt)[1:], strict=True):
        if folded not in words:
            words[folded] = written
    return words.items()


def prompt_key(prompt: str) -> int:
    """Return a number that prompts share which are the same but for case, accents, width, spaces and punctuation."""
    is_plain, words, _ = _parted(prompt)
    if not is_plain:
        words = _TOKEN.findall(fold_word(unicodedata.normalize("NFKC", prompt)))
    data = (" ".join(words) or prompt.strip()).encode("utf-8", "replace")
    return int.from_bytes(blake2b(data, digest_size=8).digest(), signed=True)


#: Texts that are the same however they are normalized, and of whose letters each is one when it is folded.
_PLAIN = re.compile("[\x00-\x7fÀ-ÅÇ-Þà-åç-ÿ«»]*")
_LETTERS = [chr(code) for code in range(256)]
#: What becomes of each: a letter as it is compared, or as it is written; a space for what parts words.
_FOLDED, _WRITTEN = (
    "".join(change(letter) if _PLAIN.fullmatch(letter) and _TOKEN.fullmatch(letter) else " " for letter in _LETTERS).encode(
        "latin-1"
    )
    for change in (fold_word, str.lower)
)


@functools.lru_cache(maxsize=64)  # key and words are asked for one after the other
def _parted(prompt: str) -> tuple[bool, list[str], list[str]]:
    """Return whether a prompt is plain, and its words in their order, as they are compared and as they are written."""
    if _PLAIN.fullmatch(prompt):  # a table of 256 letters is three times as fast as a pattern
        letters = prompt.encode("latin-1")
        folded = letters.translate(_FOLDED).decode("latin-1").split()
        return True, folded, letters.translate(_WRITTEN).decode("latin-1").split()
    # İ in small letters would be an i and a dot above it, which parts words.
    written = _TOKEN.findall(unicodedata.normalize("NFC", prompt).replace("İ", "i").lower())
    return False, [fold_word(word) for word in written], written
