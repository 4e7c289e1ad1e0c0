"""The analyser that needs no network: what the prompt's words and the number of images say, in well under a millisecond a word.

Two questions are answered as probabilities: is a moving picture wanted, and is a still to be made first? Evidence adds up as
log-odds; the number of images says what follows. So a workflow that the images rule out is never proposed, and the alternatives
are what the same evidence leaves to them.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from opstore.errors import InvalidRequest, Said, said
from opstore.language.translations import told
from opstore.smart import vocabulary
from opstore.smart.analysis import Language, StepPrompts, WorkflowAnalysis, ranked
from opstore.workflows import fitting

#: A prompt says what it wants at its beginning; of more than this nothing is read, so that no prompt takes long.
MAX_READ = 4_000
#: Log-odds: what is taken for granted without evidence, by the number of images (more count as three), and what each kind adds.
VIDEO_PRIOR = (-2.6, -2.2, -2.2, -2.6)
EDIT_PRIOR = -2.4
WEIGHTS = {"video": 5.0, "camera": 5.0, "animate": 5.5, "caused": 5.0, "moves": 4.2, "moving": 3.4, "passage": 5.0, "still": -6.0}
EDIT_WEIGHTS = {"edit": 5.0, "combine": 4.5, "passage": -4.5}


@dataclass(slots=True)
class Clause:
    """A part of a prompt, from `start` to `end`, and the first evidence of each kind in it."""

    start: int
    end: int
    found: dict[str, str] = field(default_factory=dict)

    @property
    def moves(self) -> bool:
        """Say whether it asks for a moving picture."""
        return any(kind in self.found for kind in ("video", "camera", "animate", "caused", "moves", "moving"))

    @property
    def edits(self) -> bool:
        """Say whether it asks for a change of a still."""
        return "edit" in self.found


@dataclass(frozen=True, slots=True)
class Reading:
    """What was found in a prompt."""

    text: str
    language: Language
    clauses: tuple[Clause, ...]
    still: str | None
    unedited: bool

    def first(self, *kinds: str) -> str | None:
        """Return the first words found of these kinds, the first kind first."""
        found = (clause.found[kind] for kind in kinds for clause in self.clauses if kind in clause.found)
        return next(found, None)


def analyze(prompt: str, count: int, spoken: Language | None = None) -> WorkflowAnalysis:
    """Return what `prompt` asks for with `count` images; raise InvalidRequest where no workflow takes so many.

    The reason is told in the `spoken` language, in the prompt's if nobody says one.
    """
    allowed = fitting(count)
    if not allowed:
        raise InvalidRequest(reason=said("no operation type takes {count} images; remove some", count=count))
    reading = read(prompt)
    language = spoken or reading.language
    shares = _probabilities(reading, count)
    (workflow, confidence), *others = ranked(shares)
    return WorkflowAnalysis(
        workflow=workflow,
        confidence=confidence,
        reasoning=told(_reason(reading, workflow, count), language),
        language=language,
        alternatives=tuple((name, share) for name, share in others if share >= 0.01),
        steps=split(reading) if workflow == "edit_then_video" else None,
    )


def steps(prompt: str) -> StepPrompts:
    """Return a proposal of what each step of a chain is told, the whole prompt where it cannot be divided."""
    return split(read(prompt))


# -- reading -------------------------------------------------------------------------------------------------------------


def read(prompt: str) -> Reading:
    """Return the evidence in a prompt."""
    whole = unicodedata.normalize(
        "NFC", prompt
    )  # what was copied from a file's name may have its accents as letters of their own
    text = whole[:MAX_READ]
    folded = _fold(text)
    language = _language(folded, text)
    folded = _without_style(folded, text, language)
    folded, _ = _taken(folded, "decoys")
    folded, asked = _taken(folded, "not_still")
    folded, still = _taken(folded, "not_video")
    folded, unedited = _taken(folded, "not_edit")
    clauses = tuple(_clauses(folded))
    for clause in clauses:
        clause.found = _evidence(folded[clause.start : clause.end], clause.start, text)
    if asked and clauses:
        clauses[0].found.setdefault("video", asked)
    if clauses and (way := _way(folded, any(clause.edits for clause in clauses))):
        clauses[0].found["passage"] = _written(text, 0, way)
    return Reading(whole, language, clauses, still, unedited is not None)


#: What people's keyboards, and programs on their way, write for one of these.
_ALIKE = {
    **dict.fromkeys("’‘ʼ´`′＇", "'"),
    **dict.fromkeys("“”„«»", '"'),
    **dict.fromkeys("‐‑", "-"),
    **dict.fromkeys("œŒ", "e"),  # an o would make "cour", which runs, of "cœur", and "ouvre" of "œuvre"
    "æ": "a",
    "Æ": "a",
    "ß": "s",
}


def _fold(text: str) -> str:
    """Return `text` in lower case, without accents, every character in its place."""
    return "".join(_ALIKE.get(letter) or _plain(letter) for letter in text)


def _plain(letter: str) -> str:
    plain = unicodedata.normalize("NFKD", letter)[0].lower()
    return plain if len(plain) == 1 else letter


def _language(folded: str, text: str) -> Language:
    found = re.findall(r"[a-z]+", folded)
    french, english = (sum(word in vocabulary.words(name) for word in found) for name in ("fr", "en"))
    return "fr" if french + sum(letter in "éèêàâçùûîôœ" for letter in text.lower()) > english else "en"


def _without_style(folded: str, text: str, language: Language) -> str:
    """Blank what only its accent, or its language, tells from an order: "style animé" and the English "anime"."""
    pattern = r"\banim[ée]e?s?\b" if language == "fr" else r"\banime\b"
    for match in re.finditer(pattern, text.lower()):
        before = folded[max(0, match.start() - 6) : match.start()]
        accented = "é" in match[0]
        if language == "en" or (accented and not re.search(r"(?:gif|image|photo) ?$", before)):
            folded = folded[: match.start()] + "·" * len(match[0]) + folded[match.end() :]
    return folded


def _blank(match: re.Match[str]) -> str:
    return "·" * len(match[0])


def _taken(folded: str, group: str) -> tuple[str, str | None]:
    """Return the text with what a group of patterns finds blanked, and the first words found."""
    pattern = vocabulary.group(group)
    match = pattern.search(folded)
    return (pattern.sub(_blank, folded), match[0].strip()) if match else (folded, None)


def _clauses(folded: str) -> Iterator[Clause]:
    start = 0
    for match in vocabulary.BREAK.finditer(folded):
        if folded[start : match.start()].strip(" ·"):
            yield Clause(start, match.start())
        start = match.end()
    if folded[start:].strip(" ·"):
        yield Clause(start, len(folded))


#: What is looked for in every clause.
_KINDS = ("video", "camera", "animate", "caused", "combine", "edit")


def _evidence(clause: str, offset: int, text: str) -> dict[str, str]:
    """Return what a clause is evidence of, with the words that say it as they were written."""
    spans = {kind: _span(kind, clause) for kind in _KINDS}
    if spans["caused"] or _is_conversion(clause, spans["edit"], spans["video"] or spans["animate"]):
        spans["edit"] = None
    if not spans["edit"]:
        spans |= {kind: _verb(kind, clause) for kind in ("moves", "moving")}
    return {kind: _written(text, offset, span) for kind, span in spans.items() if span}


def _written(text: str, offset: int, span: tuple[int, int]) -> str:
    return " ".join(text[offset + span[0] : offset + span[1]].split())


def _span(group: str, clause: str) -> tuple[int, int] | None:
    match = vocabulary.group(group).search(clause)
    return match.span() if match else None


def _way(folded: str, edited: bool) -> tuple[int, int] | None:
    """Return where the whole text names a way from one picture to the other; where something is edited only plain words do."""
    return _span("passage", folded) or (None if edited else _span("passage_loose", folded))


def _is_conversion(clause: str, edit: tuple[int, int] | None, video: tuple[int, int] | None) -> bool:
    """Say whether an edit's verb only asks for the video that follows it: "turn this into a clip"."""
    if edit is None or video is None or edit[0] > video[0]:
        return False
    return vocabulary.CONVERT.fullmatch(clause[slice(*edit)].split(" ")[0]) is not None


def _verb(group: str, clause: str) -> tuple[int, int] | None:
    """Return where a verb of motion stands that is not a noun."""
    for match in vocabulary.group(group).finditer(clause):
        before = re.findall(r"\w+'?", clause[: match.start()])
        if not before or before[-1] not in vocabulary.words("determiners"):
            return match.span()
    return None


# -- from evidence to workflows ------------------------------------------------------------------------------------------


def _probabilities(reading: Reading, count: int) -> Mapping[str, float]:
    kinds = {kind for clause in reading.clauses for kind in clause.found}
    if count == 0:
        kinds -= {
            "moves",
            "moving",
            "caused",
            "passage",
        }  # a still may show what runs; without a picture only a word for video counts
    if count != 2:
        kinds -= {"passage"}
    video = VIDEO_PRIOR[min(count, 3)] + sum(WEIGHTS[kind] for kind in _strongest(kinds))
    if reading.still:
        video += WEIGHTS["still"]
    moving = _share(video)
    first = _share(_still_first(kinds, reading, count))
    if count == 0:
        return {"text_to_image": 1 - moving, "text_to_video": moving}
    if count == 1:
        return {
            "image_edit_single": 1 - moving,
            "image_to_video_single": moving * (1 - first),
            "edit_then_video": moving * first,
        }
    if count == 2:
        return {
            "image_edit_multiple": 1 - moving,
            "image_to_video_transition": moving * (1 - first),
            "edit_then_video": moving * first,
        }
    return {"image_edit_multiple": 1 - moving, "edit_then_video": moving}


def _strongest(kinds: set[str]) -> list[str]:
    """Return the evidence for a moving picture that counts: the two strongest kinds, since kinds say the same again."""
    return sorted((kind for kind in kinds if WEIGHTS.get(kind, 0.0) > 0), key=lambda kind: -WEIGHTS[kind])[:2]


def _still_first(kinds: set[str], reading: Reading, count: int) -> float:
    told = kinds & {"edit", "passage"} or (
        kinds & {"combine"} if count > 1 else set()
    )  # "image 1" names a frame of a passage too
    odds = EDIT_PRIOR + sum(EDIT_WEIGHTS[kind] for kind in told)
    return odds - 5.0 if reading.unedited else odds


def _share(odds: float) -> float:
    return 1 / (1 + math.exp(-odds))


# -- a chain's prompts ---------------------------------------------------------------------------------------------------


def split(reading: Reading) -> StepPrompts:
    """Return the prompts of a chain's two steps: what is said up to the first motion, and the rest."""
    text = reading.text.strip()
    at = next((number for number, clause in enumerate(reading.clauses) if clause.moves and number), None)
    if at is None or not any(clause.edits or not clause.moves for clause in reading.clauses[:at]):
        return StepPrompts(text, text)
    edit = reading.text[reading.clauses[0].start : reading.clauses[at - 1].end].strip(" ,.;:")
    video = reading.text[reading.clauses[at].start :].strip(" ,;:")
    return StepPrompts(edit, video) if edit and video else StepPrompts(text, text)


# -- the reason ----------------------------------------------------------------------------------------------------------

_MEANING = {
    "text_to_image": said("a picture will be made from the text"),
    "image_edit_single": said("the image will be edited"),
    "image_edit_multiple": said("one picture will be made from the images"),
    "text_to_video": said("a video will be made from the text"),
    "image_to_video_single": said("the image will be animated"),
    "image_to_video_transition": said("a video will lead from the first image to the second"),
    "edit_then_video": said("a picture will be made first, then a video of it"),
}
_MOTION = ("animate", "video", "camera", "caused", "moves", "moving")


def _reason(reading: Reading, workflow: str, count: int) -> Said:
    """Return why: the number of images, the words that decided, what will be done."""
    images = said("{count} images", count=count) if count > 1 else said("1 image") if count else said("No image")
    words = [said("“{name}”", name=_short(found)) for found in _deciding(reading, workflow) if found]
    first, *others = words or [said("no motion requested")]
    if others:
        return said(
            "{given}, {first} and {second}: {result}.", given=images, first=first, second=others[0], result=_MEANING[workflow]
        )
    return said("{given}, {first}: {result}.", given=images, first=first, result=_MEANING[workflow])


def _deciding(reading: Reading, workflow: str) -> list[str | None]:
    motion = reading.first(*_MOTION)
    if workflow in ("text_to_video", "image_to_video_single"):
        return [motion]
    if workflow == "image_to_video_transition":
        return [reading.first("passage") or motion]
    if workflow == "edit_then_video":
        return [reading.first("edit", "combine"), motion]
    if workflow == "text_to_image":
        return [reading.still]
    return [reading.first("edit", "combine"), reading.still] if reading.still else [reading.first("edit", "combine")]


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}…"
