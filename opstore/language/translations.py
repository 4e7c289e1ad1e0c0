"""The program's texts in another language, and what its types, statuses, parameters and choices are called; knows no page.

English texts are the keys, `locale/*.po` the translations; a text that a catalogue lacks stays English. Whoever speaks passes
`_`, which says a text in the listener's language: the pages that of a session, a shared page that of its visitor.
"""

from __future__ import annotations

import functools
import gettext as gnu
import io
from collections.abc import Callable
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from opstore.errors import Said

LOCALES = Path(__file__).parent / "locale"
#: Languages of the interface, by the name each has for itself.
LANGUAGES = {"en": "English", "fr": "Français"}

Say = Callable[[str], str]


@functools.cache
def written(language: str) -> Catalog | None:
    """Return the catalogue of a language as it is written, None if there is none."""
    path = LOCALES / f"{language}.po"
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return read_po(file, locale=language)


@functools.cache
def catalogue(language: str) -> gnu.NullTranslations:
    """Return the translations into `language`, read from its .po file: nothing has to be compiled before a start."""
    found = written(language)
    if found is None:
        return gnu.NullTranslations()
    compiled = io.BytesIO()
    write_mo(compiled, found)
    return gnu.GNUTranslations(io.BytesIO(compiled.getvalue()))


def translated(text: str, language: str) -> str:
    """Return `text` in a language."""
    return catalogue(language).gettext(text) if text else ""  # gettext's translation of nothing is the catalogue's header


def told(text: Said, language: str) -> str:
    """Return a sentence in a language, from its parts."""
    details = {name: told(value, language) if isinstance(value, Said) else value for name, value in text.details.items()}
    return translated(text.template, language).format(**details)


def language_of(wanted: str) -> str:
    """Return the language that an Accept-Language header, or a locale's name, asks for first of those there are."""
    for part in wanted.replace("_", "-").lower().split(",")[:20]:
        name = part.partition(";")[0].strip().partition("-")[0]
        if name in LANGUAGES:
            return name
    return "en"


# -- names of things -----------------------------------------------------------------------------------------------------


def type_name(operation_type: str, _: Say) -> str:
    """Return what an operation type is called; unknown ones (old or foreign data) keep their stored name."""
    names = {
        "text_to_image": _("Image from text"),
        "image_edit_single": _("Edit an image"),
        "image_edit_multiple": _("Combine images"),
        "text_to_video": _("Video from text"),
        "image_to_video_single": _("Animate an image"),
        "image_to_video_transition": _("Transition between images"),
        "edit_then_video": _("Edit, then animate"),
        "unknown": _("Unknown type"),
    }
    return names.get(operation_type, operation_type)


def status_name(status: str, _: Say) -> str:
    """Return what a status or a job's state is called."""
    names = {
        "stored": _("done"),
        "failed": _("failed"),
        "canceled": _("canceled"),
        "aborted": _("given up"),
        "expired": _("expired"),
        "unknown": _("outcome unknown"),
        "result missing": _("result missing"),
        "queued": _("queued"),
        "creating": _("being sent"),
        "running": _("running"),
        "fetching": _("downloading the result"),
    }
    return names.get(status, status)


def error_kind_name(kind: str, _: Say) -> str:
    """Return what a cause of failure is called; ones that others stored keep their name."""
    names = {
        "nsfw": _("Refused by the safety filter"),
        "payment": _("Payment or budget"),
        "rate limit": _("Too many requests"),
        "access": _("Access refused"),
        "needs a model": _("Beyond the local engine"),
        "memory": _("Out of memory"),
        "uncertain": _("Outcome not known"),
        "interrupted": _("Interrupted"),
        "expired": _("Expired"),
        "storage": _("Disk or folder"),
        "timeout": _("Took too long"),
        "network": _("Network"),
        "invalid input": _("Input not usable"),
        "not found": _("Not found"),
        "not understood": _("Answer not understood"),
        "crash": _("The model failed"),
        "canceled": _("Canceled"),
        "aborted": _("Given up"),
        "other": _("Other"),
    }
    return names.get(kind, kind)


def parameter_name(name: str, _: Say) -> str:
    """Return what a parameter is called; one without a name here keeps its own."""
    names = {
        "aspectRatio": _("Aspect ratio"),
        "outputFormat": _("Format"),
        "outputQuality": _("Quality"),
        "resolution": _("Resolution"),
        "duration": _("Duration"),
        "framesPerSecond": _("Frames per second"),
        "seed": _("Seed"),
        "negativePrompt": _("Negative prompt"),
        "quality": _("Detail"),
        "imageSize": _("Image size"),
        "background": _("Background"),
        "inputFidelity": _("Closeness to the images"),
        "moderation": _("Moderation"),
        "safetyTolerance": _("Safety tolerance"),
        "guidance": _("Guidance (CFG)"),
        "sampleShift": _("Sample shift"),
        "steps": _("Sampling steps"),
        "enhancePrompt": _("Enhance the prompt"),
        "optimizePrompt": _("Optimize the prompt"),
        "googleSearch": _("With Google search"),
        "imageSearch": _("With image search"),
        "interpolate": _("Smoother motion"),
        "goFast": _("Faster, slightly coarser"),
        "disableSafetyChecker": _("Without safety check"),
        "generateAudio": _("With sound"),
        "prompt": _("Prompt"),
        "originalPrompt": _("Original prompt"),
        "optimizedPrompt": _("Improved prompt"),
        "useOptimizedPrompt": _("Improved prompt used"),
        "optimized": _("Improved prompt used"),
        "editPrompt": _("Prompt of the picture"),
        "videoPrompt": _("Prompt of the motion"),
        "imageCount": _("Number of images"),
        "model": _("Model asked for"),
        "workflowName": _("Operation type"),
        "workflowId": _("Operation type (id)"),
        "confidence": _("Confidence"),
    }
    return names.get(name, name)


def choice_name(value: object, _: Say) -> str:
    """Return what a choice of a parameter is called."""
    names = {
        "match_input_image": _("as the image"),
        "adaptive": _("as the image"),
        "auto": _("automatic"),
        "low": _("low"),
        "medium": _("medium"),
        "high": _("high"),
        "opaque": _("opaque"),
        "transparent": _("transparent"),
        "optimize_for_quality": _("for quality"),
        "optimize_for_speed": _("for speed"),
    }
    return names.get(str(value), str(value))
