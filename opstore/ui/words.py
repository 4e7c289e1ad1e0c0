"""Every word, number and time on screen in the viewer's language; English texts are the keys, `locale/*.po` the translations.

A string that the catalogue lacks is shown in English, never as an error; a test keeps the catalogues complete.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st
from babel.dates import format_datetime, format_timedelta
from babel.numbers import get_decimal_symbol

from opstore.errors import OpstoreError, Said, old_sidecars
from opstore.language import translations
from opstore.language.formats import Formatter
from opstore.language.formats import local as spoken_local
from opstore.language.translations import LANGUAGES, language_of
from opstore.providers import registry

#: The cookie that keeps a language that was chosen, over reloads, tabs and deep links.
COOKIE = "opstore-language"
_DECIMAL = re.compile(r"-?[0-9]+\.[0-9]+")
#: Details that are names (of fields, files, formats, or what to type) or somebody else's words.
LITERAL = ("name", "names", "key", "meant", "better", "quoted")


def language() -> str:
    """Return the viewer's language: the one chosen here, else in an earlier visit, else the browser's."""
    for chosen in (st.session_state.get("language"), st.context.cookies.get(COOKIE)):
        if chosen in LANGUAGES:
            return str(chosen)
    return language_of(st.context.locale or "")


def choose() -> None:
    """Offer the languages; the choice holds for this session at once, and by the cookie for every page that is opened later."""

    def chosen() -> None:
        st.session_state["language"] = st.session_state["language-control"]
        st.session_state["language-choices"] = st.session_state.get("language-choices", 0) + 1

    st.subheader(_("Language"), anchor=False)
    st.segmented_control(
        _("Language"),
        list(LANGUAGES),
        default=language(),
        required=True,
        format_func=LANGUAGES.__getitem__,
        key="language-control",
        on_change=chosen,
        label_visibility="collapsed",
    )


def _(text: str) -> str:
    """Return `text` in the viewer's language."""
    return translations.translated(text, language())


def provider_name(name: str) -> str:
    """Return what people call a provider."""
    return _(registry.title(name))


def pgettext(context: str, text: str) -> str:
    """Return `text` as it is said of `context`, in the viewer's language: French says “all” of ratings as of no type."""
    return translations.catalogue(language()).pgettext(context, text)


def ngettext(one: str, many: str, count: int) -> str:
    """Return the form for `count`, in the viewer's language, with the count filled in as `{count}`."""
    return translations.catalogue(language()).ngettext(one, many, count).format(count=number(count))


def told(error: OpstoreError) -> str:
    """Return what happened in the viewer's language: the error's own sentence, translated and filled in."""
    return _filled(error.template(), error.details)


def stored(text: str) -> str:
    """Return a sentence that was stored (an error, a progress note) in the viewer's language.

    It is said from its parts; where only its English text was stored it is recognised by a text of the catalogue, and what nobody
    here wrote is shown as it is.
    """
    if isinstance(text, Said):
        return _filled(text.template, text.details)
    told = text if text.isspace() else _(old_sidecars.now(text))
    found = old_sidecars.read(text, _templates(language())) if told == text else None
    return told if found is None else _filled(*found)


@functools.cache
def _templates(language: str) -> tuple[str, ...]:
    told = (message.id for message in translations.written(language) or () if isinstance(message.id, str))
    return old_sidecars.telling((*old_sidecars.FORMER, *told))


def _filled(template: str, details: Mapping[str, Any]) -> str:
    return _(old_sidecars.now(template)).format(**{name: _spoken(name, value) for name, value in details.items()})


def _spoken(name: str, value: Any) -> Any:
    """Return a detail as a page says it; its name tells what it is where its value does not."""
    if isinstance(value, tuple):
        return ", ".join(str(_spoken(name, item)) for item in value)
    if isinstance(value, Said):
        return stored(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number(value, 3)
    if not isinstance(value, str) or name in LITERAL:
        return value
    if name == "list":
        return ", ".join(_listed(value))
    if name in ("type", "types"):
        return _("“{name}”").format(name=type_name(value.strip("'")))
    if name == "choices":
        return choice_name(value)
    if name.endswith("parameter"):
        return _("“{name}”").format(name=parameter_name(value))
    return value.replace(".", get_decimal_symbol(language())) if _DECIMAL.fullmatch(value) else stored(value)


def _listed(text: str) -> Iterator[str]:
    """Yield the members of a list that was stored as one text, each as the catalogue has it: a member may hold commas itself."""
    pieces = text.split(", ")[:100]
    while pieces:
        tried = ((count, ", ".join(pieces[:count])) for count in range(min(len(pieces), 14), 1, -1))
        count, member = next(((count, member) for count, member in tried if _(member) != member), (1, pieces[0]))
        del pieces[:count]
        yield _(member)


# -- numbers and times ---------------------------------------------------------------------------------------------------


def spoken() -> Formatter:
    """Return the viewer's language, as everything is told in it."""
    return Formatter(language())


def labelled(name: str, value: str) -> str:
    """Return a name and its value as one text."""
    return spoken().labelled(name, value)


def number(value: float, digits: int = 0) -> str:
    """Return a number with at most `digits` decimals, as the viewer's language writes it."""
    return spoken().number(value, digits)


def decimal(value: float) -> str:
    """Return a parameter's number with all its digits, as the viewer's language writes it."""
    return spoken().decimal(value)


def money(amount: float, currency: str | None = "USD") -> str:
    """Return an amount with its currency, None if nobody says one; small amounts keep the digits that count."""
    return spoken().money(amount, currency)


def seconds(value: float) -> str:
    """Return a length of time short enough for a table."""
    return spoken().seconds(value)


def size(count: float) -> str:
    """Return a number of bytes in the unit that fits."""
    return spoken().size(count)


def zone() -> tzinfo:
    """Return the viewer's time zone, UTC where the browser does not say."""
    try:
        return ZoneInfo(st.context.timezone or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder of zones, such as Europe
        return UTC


def local(moment: datetime) -> datetime:
    """Return a moment in the viewer's zone."""
    return spoken_local(moment, zone())


def exact(moment: datetime) -> str:
    """Return a moment in the viewer's zone, to the second."""
    return format_datetime(local(moment), "medium", locale=language())


def ago(moment: datetime, now: datetime | None = None) -> str:
    """Return how long ago a moment was, in words."""
    return format_timedelta(moment - (now or datetime.now(UTC)), add_direction=True, locale=language())


# -- names of things -----------------------------------------------------------------------------------------------------


def type_name(operation_type: str) -> str:
    """Return what an operation type is called; unknown ones (old or foreign data) keep their stored name."""
    return translations.type_name(operation_type, _)


def status_name(status: str) -> str:
    """Return what a status or a job's state is called."""
    return translations.status_name(status, _)


def parameter_name(name: str) -> str:
    """Return what a parameter is called; one without a name here keeps its own."""
    return translations.parameter_name(name, _)


def choice_name(value: object) -> str:
    """Return what a choice of a parameter is called."""
    return translations.choice_name(value, _)
