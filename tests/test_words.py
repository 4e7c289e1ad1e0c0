"""Every word of the interface, in every language: complete catalogues, nothing shown past them, and what becomes of numbers."""

from __future__ import annotations

import ast
import inspect
import json
import pickle
import re
import string
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from babel.messages.catalog import Message
from babel.messages.pofile import read_po

from opstore import errors
from opstore.errors import (
    FetchUnavailable,
    InputTooLarge,
    InvalidRequest,
    OpstoreError,
    ProviderRefused,
    Said,
    old_sidecars,
    said,
)
from opstore.errors.sentence import said_again
from opstore.jobs import finalization
from opstore.language import translations
from opstore.language.chart_formatter import ChartFormatter
from opstore.language.formats import Formatter
from opstore.providers.models import ModelTable
from opstore.storage.operation import OPERATION_TYPES
from opstore.storage.verify import Problem
from opstore.ui import catalogue, words
from opstore.workflows import operation_type
from tests.shown_words import is_text, unwrapped

ROOT = Path(__file__).resolve().parents[1]
LOCALES = sorted(translations.LOCALES.glob("*.po"))
KINDS = [kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, OpstoreError)]
THIN, HARD = "\u202f", "\u00a0"


def browser(locale: str | None, chosen: str | None = None, zone: str | None = None, kept: str | None = None) -> SimpleNamespace:
    """Stand in for Streamlit: a session of a browser that asks for `locale`, in which a language was chosen or not."""
    context = SimpleNamespace(locale=locale, timezone=zone, cookies={} if kept is None else {words.COOKIE: kept})
    return SimpleNamespace(context=context, session_state={} if chosen is None else {"language": chosen})


@pytest.fixture
def speak(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """`speak("fr")`: from here on the viewer has chosen French, and sits in Paris."""
    return lambda language: monkeypatch.setattr(words, "st", browser("en-US", language, "Europe/Paris"))


# -- the catalogues ------------------------------------------------------------------------------------------------------


def messages(path: Path) -> list[Message]:
    with path.open("rb") as file:
        return [message for message in read_po(file, locale=path.stem) if message.id]


def forms(text: str | tuple[str, ...] | list[str] | None) -> list[str]:
    return [text] if isinstance(text, str) else list(text or ())


def fields(text: str) -> set[str]:
    return {field for _literal, field, _spec, _conversion in string.Formatter().parse(text) if field is not None}


def test_every_language_has_a_catalogue_but_the_one_the_program_is_written_in() -> None:
    assert {path.stem for path in LOCALES} == set(translations.LANGUAGES) - {"en"}


@pytest.mark.parametrize("path", LOCALES, ids=lambda path: path.stem)
def test_a_catalogue_is_complete_and_nothing_in_it_is_out_of_use(path: Path) -> None:
    wanted = {(message.context or "", *forms(message.id)) for message in catalogue.messages() if message.id}
    found = {(message.context or "", *forms(message.id)): message for message in messages(path)}
    assert len(wanted) > 200, "the extraction has lost most of the texts"
    assert (sorted(wanted - found.keys()), sorted(found.keys() - wanted)) == ([], [])
    bad = [message.id for message in found.values() if message.fuzzy or not all(map(str.strip, forms(message.string)))]
    assert bad == []
    assert b"\n#~" not in path.read_bytes()


@pytest.mark.parametrize("path", LOCALES, ids=lambda path: path.stem)
def test_a_translation_has_the_fields_of_its_text(path: Path) -> None:
    for message in messages(path):
        wanted = set[str]().union(*map(fields, forms(message.id)))
        assert all(fields(form) == wanted for form in forms(message.string)), message.id


@pytest.mark.parametrize("path", LOCALES, ids=lambda path: path.stem)
def test_bringing_a_catalogue_up_to_date_changes_nothing(path: Path) -> None:
    assert catalogue.updated(path) == path.read_bytes(), "run `python -m opstore.ui.catalogue`"


def test_a_catalogue_names_nobody_and_no_day() -> None:
    for path in LOCALES:
        head = path.read_text("utf-8").split("\n\n")[0]
        assert not re.search(r"@|-Date|ADDRESS|YEAR|FULL NAME", head)
        assert f"Language: {path.stem}\\n" in head


def test_what_is_extracted_covers_pages_reasons_stored_errors_and_error_sentences() -> None:
    found = {message.id if isinstance(message.id, str) else message.id[0] for message in catalogue.messages()}
    assert {
        "What do you want to make?",  # a page
        "{count} under way",  # a plural
        "there is no prompt; say what you want to see",  # a reason
        "the disk is full; free some space and try again",  # a reason in a table
        "The provider says success and gave no result.",  # stored
        "fetching result {number} of {count}",  # a progress note
        "This request cannot be run: {reason}",  # an error's docstring
    } <= found


# -- nothing is shown past them ------------------------------------------------------------------------------------------

PAGES = sorted([*(ROOT / "opstore/ui").rglob("*.py"), *(ROOT / "pages").glob("*.py"), ROOT / "opstore/shares/page.py"])


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_no_page_shows_a_text_that_is_not_translated(path: Path) -> None:
    assert unwrapped(path.read_text("utf-8")) == []


def test_the_finder_finds() -> None:
    bad = {
        'st.button("Go")': "Go",
        'left.number_input("pieces", 1)': "pieces",
        'st.caption(f"made in {place}")': "made in",
        'st.toggle(_("On"), help="or off")': "or off",
        'parts.note("none" if empty else _("some"))': "none",
        'st.html(f"<b class=\\"x\\">{title} is gone</b>")': "is gone",
        'st.html(f"<img src={source} alt=\\"A picture\\">")': "A picture",
        'parts.facts({"size": words.size(n)})': "size",
        'Tile(id="1", badge="new")': "new",
        'label = "Show it all"': "Show it all",
        'rows["Price"] = 3': "Price",
        'st.caption("about {n}".format(n=n))': "about {n}",
        'st.write("so " + more)': "so",
    }
    for source, text in bad.items():
        assert unwrapped(source) == [text], source
    good = [
        '"""What this is about."""',
        'st.button(_("Go"), key="go-there", type="primary")',
        'st.button("✕", help=_("Cancel"))',
        'st.html(f"<p class=\\"ops-prompt wide\\">{escape(text)}</p>")',
        'parts.facts({_("Size"): words.size(n)})',
        'st.caption(_("about {n}").format(n=n))',
        'st.html(f"<style>.stApp p {{ color: {colour}; }}</style>")',
        'STYLE = "<style> .a { margin: 0 auto; } </style>"',
        'raise AssertionError("the last unit takes every size")',
        'st.session_state["wanted-type"] = kind',
        'set_page_config(page_title="opstore")',
    ]
    assert {source: unwrapped(source) for source in good if unwrapped(source)} == {}


#: Where reasons may be plain texts.
_WORDED_ELSEWHERE = {
    "opstore/providers/local/": "the local engine answers in the prompt's language, from its own table of phrases",
}


def calls(name: str) -> Iterator[tuple[Path, ast.Call]]:
    for path in sorted((ROOT / "opstore").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and (not name or getattr(node.func, "id", "") == name):
                yield path, node


def test_a_sentence_for_later_is_a_literal_whose_fields_are_given() -> None:
    found = list(calls("said"))
    assert len(found) > 100
    for path, call in found:
        where = f"{path.relative_to(ROOT)}:{call.lineno}"
        template = call.args[0]
        assert len(call.args) == 1 and isinstance(template, ast.Constant) and isinstance(template.value, str), where
        given = {word.arg for word in call.keywords}
        if None not in given:  # **details
            assert given == fields(template.value), where


def test_no_error_has_a_reason_that_cannot_be_translated() -> None:
    plain = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for path, call in calls("")
        for word in call.keywords
        if word.arg == "reason" and (is_text(word.value) or isinstance(word.value, ast.JoinedStr | ast.BinOp))
    ]
    assert [where for where in plain if not where.startswith(tuple(_WORDED_ELSEWHERE))] == []


# -- which language ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("locale", "chosen", "language"),
    [
        ("fr-FR", None, "fr"),
        ("fr", None, "fr"),
        ("FR-ca", None, "fr"),
        ("en-GB", None, "en"),
        ("de", None, "en"),
        ("frr", None, "en"),
        (None, None, "en"),
        ("", None, "en"),
        ("fr-FR", "en", "en"),
        ("de-DE", "fr", "fr"),
        ("fr-FR", "xx", "fr"),
    ],
)
def test_the_language_is_the_one_chosen_else_the_browsers_else_english(
    monkeypatch: pytest.MonkeyPatch, locale: str | None, chosen: str | None, language: str
) -> None:
    monkeypatch.setattr(words, "st", browser(locale, chosen))
    assert words.language() == language
    assert words._("Generate") == {"en": "Generate", "fr": "Générer"}[language]


def test_what_the_catalogue_lacks_is_shown_in_english(speak: Callable[[str], None]) -> None:
    speak("fr")
    assert words._("never written anywhere") == "never written anywhere"
    assert words._("") == "", "gettext answers an empty text with the catalogue's header"


# -- numbers, money, sizes, times ----------------------------------------------------------------------------------------


def test_numbers_are_written_as_in_the_viewers_language(speak: Callable[[str], None]) -> None:
    speak("en")
    assert (words.number(1234567), words.number(1234.56, 1), words.number(0)) == ("1,234,567", "1,234.6", "0")
    assert (words.money(0.035), words.money(0), words.money(12.5), words.money(3, "EUR")) == (
        "$0.035",
        "$0.00",
        "$12.50",
        "€3.00",
    )
    assert [words.size(n) for n in (0, 1, 999, 1000, 1_500_000, 3_210_000_000)] == [
        *(f"0{HARD}bytes", f"1{HARD}byte", f"999{HARD}bytes", f"1{HARD}kB", f"1.5{HARD}MB", f"3.2{HARD}GB"),
    ]
    assert [words.seconds(n) for n in (0, 1.26, 12.6, 75)] == ["0 s", "1.3 s", "13 s", "1 min 15 s"]
    speak("fr")
    assert (words.number(1234567), words.number(1234.56, 1)) == (f"1{THIN}234{THIN}567", f"1{THIN}234,6")
    assert (words.money(0.035), words.money(12.5)) == (f"0,035{HARD}$US", f"12,50{HARD}$US")
    sizes = [f"0{HARD}octet", f"1{HARD}octet", f"999{HARD}octets", f"1,5{HARD}Mo"]
    assert [words.size(n) for n in (0, 1, 999, 1_500_000)] == sizes
    assert [words.seconds(n) for n in (1.26, 75)] == [f"1,3{HARD}s", f"1{HARD}min 15{HARD}s"]


def test_a_parameter_s_number_keeps_its_digits() -> None:
    english, french = Formatter("en"), Formatter("fr")
    written = {
        0.0001: "0.0001",
        3.5: "3.5",
        3.5004: "3.5004",
        2048.0: "2,048",
        1e-12: "1e-12",
        1e300: "1e+300",
        0.1 + 0.2: str(0.1 + 0.2),
    }
    assert {value: english.decimal(value) for value in written} == written
    assert (french.decimal(0.00015), french.decimal(7.5)) == ("0,00015", "7,5")
    assert ChartFormatter("en").parameter("strength", "0.0001").endswith("0.0001")


def test_numbers_at_their_edges_are_written_as_people_write_them() -> None:
    english, french = Formatter("en"), Formatter("fr")
    assert [english.money(0.5, name) for name in ("USD", "CHF", "CAD", "credits", " ", None)] == [
        *("$0.50", f"CHF{HARD}0.50", "CA$0.50", f"credits{HARD}0.50", "0.5", "0.5"),
    ]
    assert (english.money(0.00012, None), french.money(0.00012, None)) == ("0.00012", "0,00012")
    assert [english.size(n) for n in (999_949, 999_950, 999_999_999)] == [f"999.9{HARD}kB", f"1{HARD}MB", f"1{HARD}GB"]
    assert (english.number(-0.2), english.number(-0.04, 1), french.number(-1.5, 1)) == ("0", "0", "-1,5")


@pytest.mark.parametrize(
    ("chosen", "kept", "told"), [(None, "fr", "fr"), ("en", "fr", "en"), (None, "xx", "en"), (None, "", "en")]
)
def test_a_language_chosen_in_an_earlier_visit_counts_until_another_is(
    monkeypatch: pytest.MonkeyPatch, chosen: str | None, kept: str, told: str
) -> None:
    monkeypatch.setattr(words, "st", browser("en-US", chosen, kept=kept))
    assert words.language() == told


def test_times_are_in_the_viewers_words_and_zone(speak: Callable[[str], None]) -> None:
    moment = datetime(2025, 11, 3, 14, 30, 22, tzinfo=UTC)
    speak("en")
    assert words.exact(moment) == f"Nov 3, 2025, 3:30:22{THIN}PM"
    assert words.ago(moment, moment + timedelta(minutes=3)) == "3 minutes ago"
    speak("fr")
    assert words.exact(moment) == "3 nov. 2025, 15:30:22"
    assert words.ago(moment, moment + timedelta(minutes=3)) == "il y a 3 minutes"


@pytest.mark.parametrize("zone", [None, "", "Not/AZone", "../etc/passwd", "Europe"])
def test_a_browser_that_names_no_real_zone_gets_utc(monkeypatch: pytest.MonkeyPatch, zone: str | None) -> None:
    monkeypatch.setattr(words, "st", browser("en", zone=zone))
    assert words.zone().utcoffset(datetime(2025, 7, 1)) == timedelta(0)


def test_plurals_follow_the_language(speak: Callable[[str], None]) -> None:
    speak("en")
    assert words.ngettext("{count} under way", "{count} under way", 2000) == "2,000 under way"
    assert words.ngettext("{count} picture", "{count} pictures", 0) == "0 pictures"
    speak("fr")
    assert words.ngettext("{count} under way", "{count} under way", 2000) == f"2{THIN}000 en cours"
    french: Any = translations.catalogue("fr")
    assert [french.plural(count) for count in (0, 1, 2)] == [0, 0, 1], "in French none is singular"


# -- errors --------------------------------------------------------------------------------------------------------------


def sample(kind: type[OpstoreError]) -> OpstoreError:
    """Return an error of `kind`, every field filled with a word that no catalogue has."""
    return kind(**{field: f"q{field}q" for field in fields(kind.template())})


def test_the_tree_is_whole() -> None:
    assert len(KINDS) > 25 and OpstoreError in KINDS


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_is_told_in_both_languages(speak: Callable[[str], None], kind: type[OpstoreError]) -> None:
    error = sample(kind)
    speak("en")
    assert words.told(error) == str(error)
    speak("fr")
    told = words.told(error)
    assert (told == str(error)) == (kind.template() == "{reason}"), "said in English"
    assert "{" not in told and all(str(value) in told for value in error.details.values())


def test_a_reason_is_told_in_the_viewers_language_with_what_it_names(speak: Callable[[str], None]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        OPERATION_TYPES["image_edit_multiple"].check_count(1)
    assert str(caught.value) == "This request cannot be run: number of images for image_edit_multiple: 2 to 5; given: 1"
    speak("en")
    assert words.told(caught.value) == "This request cannot be run: number of images for “Combine images”: 2 to 5; given: 1"
    speak("fr")
    assert words.told(caught.value) == (
        f"Impossible de lancer l’opération{HARD}: nombre d’images pour «{HARD}Combiner des images{HARD}»{HARD}: "
        f"2 à 5{THIN}; vous en donnez 1"
    )


def test_a_list_of_types_or_choices_is_told_by_their_names(speak: Callable[[str], None]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        operation_type("dance")
    assert str(caught.value).endswith("use one of " + ", ".join(OPERATION_TYPES))
    speak("fr")
    assert words.told(caught.value).endswith(f"«{HARD}Animer une image{HARD}», «{HARD}Transition entre deux images{HARD}», "
                                             f"«{HARD}Modifier, puis animer{HARD}»")  # fmt: skip
    model = ModelTable.load().default("local", "image_edit_single")
    with pytest.raises(InvalidRequest) as caught:
        model.validate("image_edit_single", {"aspectRatio": "7:1"})
    assert f"«{HARD}Format d’image (ratio){HARD}» vaut '7:1', mais doit être l’une des valeurs comme l’image, 1:1" in words.told(
        caught.value
    )
    with pytest.raises(InvalidRequest) as caught:
        model.validate("image_edit_single", {"outputQuality": 500})
    assert words.told(caught.value).endswith(f"mais doit être un nombre entier de 1 à 100{HARD}%.".replace(HARD, " "))


def test_numbers_in_an_error_are_the_viewers(speak: Callable[[str], None]) -> None:
    speak("fr")
    assert f"10,4{HARD}Mo{THIN}; 10{HARD}Mo" in words.told(InputTooLarge(index=1, megabytes="10.4", limit=10))
    assert f"20{THIN}000" in words.told(InvalidRequest(reason=said("a text of at most {count} characters", count=20000)))


def test_a_sentence_for_later_is_an_ordinary_text_everywhere_else() -> None:
    text = said("{provider} has no model for {type}.", provider="x", type="y")
    assert text == "x has no model for y." and json.loads(json.dumps({"error": text})) == {"error": str(text)}
    again = pickle.loads(pickle.dumps(text))  # noqa: S301 (our own bytes)
    assert isinstance(again, Said) and again.details == text.details
    assert asdict(Problem("orphan", "n", None, text))["detail"] == text
    with pytest.raises(KeyError):
        said("{missing}")


# -- stored sentences ----------------------------------------------------------------------------------------------------


_ENDS = (finalization.SILENT, finalization.NOTHING, finalization.UNKNOWN, finalization.gone("replicate"), "Canceled.")


@pytest.mark.parametrize("text", [*finalization.ENDINGS.values(), *_ENDS])
def test_how_an_operation_ended_is_read_in_both_languages(speak: Callable[[str], None], text: str) -> None:
    stored = str.__str__(text)
    speak("en")
    assert words.stored(stored) == text
    speak("fr")
    assert words.stored(stored) not in ("", text)


def test_a_stored_error_is_recognised_by_its_template_and_what_it_is_made_of(speak: Callable[[str], None]) -> None:
    error = FetchUnavailable(
        reason=said("the server of {address} is in trouble or busy ({status})", address="a.example/x", status=503)
    )
    stored = f"{said('{reason} The provider keeps results for one hour.', reason=str(error))} See https://replicate.com/p/1"
    speak("en")
    assert words.stored(stored) == stored
    speak("fr")
    assert words.stored(stored) == (
        f"Le résultat n’a pas pu être téléchargé pour l’instant{HARD}: le serveur de a.example/x est en difficulté ou occupé "
        "(503). Un nouvel essai peut suffire. Le fournisseur garde les résultats une heure. Voir https://replicate.com/p/1"
    )
    note = "waiting for the provider: The provider cannot be reached: replicate is not set up here"
    assert words.stored(note).startswith(f"en attente du fournisseur{HARD}: Le fournisseur est injoignable{HARD}: replicate ")
    assert words.stored("fetching result 1 of 2") == "téléchargement du résultat 1 sur 2"


def test_what_was_said_otherwise_once_is_still_told(speak: Callable[[str], None]) -> None:
    known = {form for message in catalogue.messages() for form in forms(message.id)}
    assert len(old_sidecars.FORMER) > 15 and not old_sidecars.FORMER.keys() & known and set(old_sidecars.FORMER.values()) <= known
    speak("fr")
    for before, after in old_sidecars.FORMER.items():
        assert fields(before) == fields(after)
        details = {field: f"q{number}" for number, field in enumerate(sorted(fields(before)))}
        told = words._filled(after, details)
        assert words.stored(before.format(**details)) == told != after.format(**details), "as an older sidecar has it"
        assert words.stored(said_again(before, dict(details))) == told, "with its parts"


def test_every_template_that_can_be_told_apart_is_recognised(speak: Callable[[str], None]) -> None:
    speak("fr")
    templates = words._templates("fr")
    assert len(templates) > 50
    for template in templates:
        details = {
            field: "https://q.example/" if field == "url" else f"q{number}" for number, field in enumerate(fields(template))
        }
        assert words.stored(template.format(**details)) == words._filled(template, details), template


@pytest.mark.parametrize(
    "text",
    [
        "CUDA out of memory. Tried to allocate 2.00 GiB",
        "E005: the input or output was flagged as sensitive. See the docs for more",
        "Prediction failed: {reason}",
        "{",
        "}{0.__class__}",
        "erreur déjà en français",
        " ",
        "",
        "The result could not be downloaded: " * 200,
    ],
)
def test_a_stored_text_that_is_not_ours_is_shown_as_it_is(speak: Callable[[str], None], text: str) -> None:
    speak("fr")
    assert words.stored(text) == text
    assert words.told(ProviderRefused(reason=text)) == text


def test_a_hostile_stored_text_costs_little(speak: Callable[[str], None]) -> None:
    speak("fr")
    began = datetime.now(UTC)
    for text in ("q See https://x" * 133, "waiting: " * 220, ": " * 1000, "{reason}" * 250):
        words.stored(text)
    assert (datetime.now(UTC) - began).total_seconds() < 2


#: Those that the specification and the backend before it keep beside the models' own.
SPECIFIED_PARAMETERS = {
    *("originalPrompt", "optimizedPrompt", "useOptimizedPrompt", "optimized", "editPrompt", "videoPrompt", "imageCount"),
    *("model", "confidence", "workflowName", "workflowId"),
}


# -- names ---------------------------------------------------------------------------------------------------------------


def test_every_type_status_parameter_and_choice_has_a_name_in_both_languages(speak: Callable[[str], None]) -> None:
    parameters = [parameter for model in ModelTable.load().by_name.values() for parameter in model.parameters]
    names = {parameter.name for parameter in parameters} | SPECIFIED_PARAMETERS
    choices = {str(choice) for parameter in parameters for choice in parameter.choices}
    statuses = {"stored", "failed", "canceled", "aborted", "expired", "unknown", "result missing"}
    for language in translations.LANGUAGES:
        speak(language)
        spoken = {name: words.type_name(name) for name in (*OPERATION_TYPES, "unknown")}
        spoken |= {name: words.parameter_name(name) for name in names}
        spoken |= {name: words.choice_name(name) for name in choices if "_" in name}
        assert [name for name, word in spoken.items() if word == name] == []
        assert len({words.status_name(name) for name in statuses}) == len(statuses)
    assert words.type_name("something_old") == "something_old"
