"""The words of `vocabulary.toml`, compiled once: which words are evidence of what, and nothing of what follows from them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

#: What a verb of motion may end in, by language and form.
_FINITE_EN, _ING_EN = "(?:e|es|s)?", "(?:[bglmnprt](?=ing))?ing"
_FINITE_FR = (
    "(?:e|ent|er|ez|es|t|d|dent|it|issent|ir|ire|isse|issant|re|rent|s|ge|geant|geent|lle|llent|tent|tre|vent|ve|eve|event|onne)?"
)
#: Somebody is told to let something move: "make the horses run", "fais courir les chevaux", "let snow fall".
_CAUSED_EN = r"\b(?:make|let|have|makes|having|letting|get|see|watch)\b(?: \w+(?:'s)?){1,5} "
_CAUSED_FR = r"\b(?:fai(?:s|re|t|sons|tes)|qu'on voie)(?:-(?:la|le|les|lui|moi|nous))?(?: [\w']+){0,4}? "
#: Of these "turn this into a video" is no edit.
CONVERT = re.compile(
    r"(?:turn|transform\w*|convert\w*|make|change|mak\w*|fais\w*|fait|passe\w*|use|utilis\w*|take|give|donn\w*|set|mets|mettre|met|"
    r"edit(?:ion)?)(?:-(?:le|la|les|lui|moi))?"
)
#: Where one wish ends and the next begins.
BREAK = re.compile(
    r"(?:[,.;:]?\s*\b(?:and then|then|puis|et ensuite|ensuite|after (?:that|this|which)|afterwards?|followed by|"
    r"suivie?s? d(?:'|e\b)|et apres|apres (?:ca|cela|quoi)|apres|enfin|finally|(?:step|etape|phase) ?[1-9]\b|second(?:ly)?,|"
    r"next,|d'abord|first,|before|avant de)\s*[,:]?\s*)|"
    r"(?:\s*[.;:\n!?,]+\s+|\s*[.;:!?,]+$|\s+(?:and|et|while|pendant que|tandis que|with|avec|as)\s+)"
)


@cache
def _data() -> Mapping[str, Any]:
    return tomllib.loads((files("opstore.smart") / "vocabulary.toml").read_text(encoding="utf-8"))


@cache
def group(name: str) -> re.Pattern[str]:
    """Return the patterns of a group as one: `caused`, `moves` and `moving` are made from the verbs, the others are listed."""
    made = {"caused": _caused, "moves": _moves, "moving": _moving}
    return re.compile(made[name]() if name in made else "|".join(_data()[name]))


@cache
def words(name: str) -> frozenset[str]:
    """Return a set of words: `determiners`, or those of a language."""
    data = _data()
    return frozenset((data["verbs"] if name == "determiners" else data["languages"])[name].split())


def _stems(language: str) -> str:
    return "|".join(sorted(_data()["verbs"][language].split(), key=len, reverse=True))


def _finite(language: str) -> str:
    """Return the forms of a person, and what else moves something in that language."""
    ends = _FINITE_EN if language == "english" else _FINITE_FR
    others: Sequence[str] = _data()["verbs"][f"{language}_finite"]
    return rf"(?:\b(?:{_stems(language)}){ends}\b|\b(?:{'|'.join(others)})\b)"


def _moves() -> str:
    return f"{_finite('english')}|{_finite('french')}"


def _moving() -> str:
    return rf"\b(?:{_stems('english')}){_ING_EN}\b|\b(?:{_stems('french')})e?ant\b|\ben train d"


def _caused() -> str:
    return f"{_CAUSED_EN}{_finite('english')}|{_CAUSED_FR}{_finite('french')}"
