"""Failures as data: what a sidecar keeps beside the sentence, what is believed of it, and how older sidecars are still read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from opstore import errors
from opstore.analytics import load_frame
from opstore.app import App
from opstore.errors import FetchUnavailable, OpstoreError, ProviderRefused, Said, StorageError, said
from opstore.errors.failure import KINDS, error_of, recorded
from opstore.errors.sentence import parts, sentence_of
from opstore.jobs import JobFolder, finalization
from opstore.jobs.pending_folder import Progress
from opstore.language import translations
from opstore.providers import registry
from opstore.providers.old_failures import error_kind, patterns
from opstore.providers.replicate.failures import explain
from opstore.providers.replicate.refusals import Answered
from opstore.providers.replicate.refusals import refusal as answer
from opstore.storage.store import Store
from opstore.ui import words
from tests.job_programs import CANARY, Place, ask, ended
from tests.replicate_standin import StandIn
from tests.samples import DATA

HARD, THIN = "\u00a0", "\u202f"
NSFW = "NSFW content detected. Try a different prompt. (E005)"
SENSITIVE = (
    "The model's safety filter refused this prompt or image. Say it differently or use another image; the same request will be "
    f"refused again. (Replicate: {NSFW})"
)
SENSITIVE_IN_FRENCH = (
    "Le filtre de sécurité du modèle a refusé ce prompt ou cette image. Reformulez-le ou prenez une autre image"
    f"{THIN}; la même requête serait de nouveau refusée. (Replicate{HARD}: {NSFW})"
)


@pytest.fixture
def french(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """`french(text)` is a stored sentence as a French page shows it."""
    context = SimpleNamespace(locale="fr", timezone=None, cookies={})
    monkeypatch.setattr(words, "st", SimpleNamespace(context=context, session_state={}))
    return words.stored


@pytest.fixture
def standin() -> Iterator[StandIn]:
    with StandIn(token=CANARY, start=0.05, run=0.1) as running:
        yield running


@pytest.fixture
def app(standin: StandIn, tmp_path: Path) -> Iterator[App]:
    with Place.at(tmp_path / "data", standin).working() as opened:
        yield opened


# -- from the provider to the reader --------------------------------------------------------------------------------------


def test_what_a_provider_says_is_kept_counted_found_and_told(standin: StandIn, app: App, french: Callable[[str], str]) -> None:
    standin.plan(status="failed", error=NSFW)
    app.runner.start()
    operation = ended(app, ask(app))
    sidecar = json.loads((app.settings.data / "operations" / f"{operation.id}.json").read_bytes())
    assert (sidecar["status"], sidecar["error"], sidecar["errorKind"]) == ("failed", SENSITIVE, "nsfw")
    assert sidecar["errorMessage"]["details"]["quoted"] == NSFW
    app.index.catch_up()
    assert [row.id for row in app.index.search("error:nsfw").rows] == [operation.id]
    assert load_frame(app.settings.data)["error_kind"].to_list() == ["nsfw"]
    assert isinstance(operation.error, Said) and french(operation.error) == SENSITIVE_IN_FRENCH


def test_a_provider_that_lets_nobody_in_is_access_refused(standin: StandIn, app: App, french: Callable[[str], str]) -> None:
    standin.fault(on="create", kind="status", status=401)
    app.runner.start()
    operation = ended(app, ask(app))
    assert operation.sidecar["errorKind"] == "access" and operation.sidecar["cost"]["amount"] == 0
    assert french(str(operation.error)).startswith("Replicate refuse le jeton d’API (token).")


def test_what_a_job_waits_for_is_told_from_its_parts(app: App, french: Callable[[str], str]) -> None:
    jobs = JobFolder(app.store.pending, app.store.cache / "progress")
    for note in (said("fetching result {number} of {count}", number=1, count=2), "half done"):
        jobs.report("20251103143022_abc123de", Progress(0.5, note))
        found = jobs.progress("20251103143022_abc123de")
        assert found == Progress(0.5, note) and type(found.note) is type(note)
    assert french(said("waiting: {reason}", reason=StorageError(reason=said("it is not JSON")).sentence)).startswith("en attente")


# -- one vocabulary -------------------------------------------------------------------------------------------------------


def below(kind: type[OpstoreError]) -> Iterator[type[OpstoreError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from below(child)


def test_errors_providers_and_old_sentences_are_counted_under_the_same_kinds() -> None:
    told = {kind.kind for kind in below(OpstoreError) if kind.__module__.startswith(errors.__name__)}
    told |= patterns().keys() | set(finalization.MENDABLE)
    told |= {str(explain(status, error)[0]) for status in ("failed", "canceled", "aborted") for error in FAILURES}
    told |= {answer(Answered(status, {}, b""), creating=False).failure for status in range(300, 600)}
    assert told <= set(KINDS)
    names = {kind: translations.error_kind_name(kind, str) for kind in KINDS}
    assert len(set(names.values())) == len(KINDS) and not any(kind == name for kind, name in names.items())


def test_sidecars_of_before_keep_the_kinds_that_they_were_read_as() -> None:
    """As they were read when one module knew the words of all providers; every kind that a sentence can have is among them."""
    lines = [json.loads(line) for line in (DATA / "old_failures.jsonl").read_text("utf-8").splitlines()]
    assert {line["kind"] for line in lines} == {*patterns(), "other"}
    assert [line for line in lines if error_kind(line["error"], "failed") != line["kind"]] == []


def test_a_provider_registers_no_kind_that_there_is_not() -> None:
    with pytest.raises(ValueError, match="no failures of the kind weather"):
        replace(registry.registered()[0], says={"weather": "rain"})


@pytest.mark.parametrize(
    ("status", "kind", "kept"),
    [
        ("failed", "network", "network"),
        ("failed", None, "other"),
        ("canceled", "crash", "canceled"),
        ("unknown", None, "uncertain"),
    ],
)
def test_how_it_ended_wins_over_why(status: str, kind: str | None, kept: str) -> None:
    assert recorded("it broke", status, kind) == {"error": "it broke", "errorKind": kept}
    assert recorded(None, "stored") == {"error": None}


# -- Replicate in French --------------------------------------------------------------------------------------------------

FAILURES = (NSFW, "code: PA", "E003", "CUDA out of memory", "timed out", "cannot identify image file", "odd", "")


def english(text: object) -> list[str]:
    """Return the templates in a sentence that the French catalogue lacks."""
    if not isinstance(text, Said):
        return []
    lacking = [] if translations.translated(text.template, "fr") != text.template else [text.template]
    return [*lacking, *(found for value in text.details.values() for found in english(value))]


def test_every_sentence_about_replicate_is_french(french: Callable[[str], str]) -> None:
    bodies = (b"", b'{"detail": "odd"}', b'{"invalid_fields": [{"field": "input.x", "description": "odd"}]}')
    refused = [
        answer(Answered(status, {}, body), creating=creating)
        for status in (301, 400, 401, 402, 403, 404, 408, 413, 418, 422, 429, 500, 503)
        for body in bodies
        for creating in (True, False)
    ]
    told = [explain(status, error)[1] for status in ("failed", "canceled", "aborted") for error in FAILURES]
    assert all(isinstance(error.sentence, Said) and english(error.sentence) == [] for error in refused)
    assert all(isinstance(text, Said) and english(text) == [] for text in told)
    for sentence in (*told, *(error.sentence for error in refused)):
        assert isinstance(sentence, Said)
        again = sentence_of(json.loads(json.dumps(parts(sentence))))
        assert again == sentence and french(again or "") == french(str(sentence)), "as data, and read from the text alone"


def test_words_that_a_provider_says_are_nobodys_to_translate(french: Callable[[str], str]) -> None:
    assert french(explain("failed", "failed 0.5")[1] or "") == (
        f"Le modèle a échoué. Réessayez, ou prenez un autre modèle. (Replicate{HARD}: failed 0.5)"
    )
    assert french(explain("failed", "Canceled.")[1] or "").endswith(f"(Replicate{HARD}: Canceled.)")


# -- what is believed -----------------------------------------------------------------------------------------------------


def test_a_sentence_survives_its_file_with_sentences_numbers_and_lists_in_it() -> None:
    reason = said("the server of {address} is in trouble or busy ({status})", address="a.example/{x}", status=503)
    late = FetchUnavailable(reason=reason).sentence
    whole = said("{reason} {choices} {share} {on}", reason=late, choices=("a", "b"), share=0.1, on=True)
    sidecar = json.loads(json.dumps(recorded(whole, "failed", "network")))
    found = error_of(sidecar)
    assert found == whole and isinstance(found, Said) and found.details == whole.details
    assert found.details["reason"].details["reason"].template == reason.template


@pytest.mark.parametrize(
    "message",
    [
        None,
        "text",
        [],
        {},
        {"template": "it broke"},
        {"template": 3, "details": {}},
        {"template": "it {x}", "details": {}},
        {"template": "it {x}", "details": {"x": None}},
        {"template": "it {x}", "details": {"x": {"y": 1}}},
        {"template": "it {x:>999999999}", "details": {"x": "broke"}},
        {"template": "it {x!r}", "details": {"x": "broke"}},
        {"template": "it {x.__class__}", "details": {"x": "broke"}},
        {"template": "it {0}", "details": {"0": "broke"}},
        {"template": "it {", "details": {}},
        {"template": "it broke" + " " * 3_000, "details": {}},
        {"template": "it did not break", "details": {}},
    ],
)
def test_parts_that_do_not_make_the_sentence_are_not_believed(message: Any) -> None:
    found = error_of({"error": "it broke", "errorMessage": message})
    assert found == "it broke" and not isinstance(found, Said)


def test_sentences_within_sentences_end_somewhere() -> None:
    deep: dict[str, Any] = {"template": "{x}", "details": {"x": "it broke"}}
    for _ in range(50):
        deep = {"template": "{x}", "details": {"x": deep}}
    assert sentence_of(deep) is None


def test_a_sentence_that_repeats_its_parts_neither_takes_hours_nor_fills_the_memory() -> None:
    grown: Any = "x"
    for _ in range(6):
        grown = {"template": "{a}" * 600, "details": {"a": grown}}
    assert sentence_of(grown) is None
    assert sentence_of({"template": "{a}, {a}", "details": {"a": "x" * 5_000}}) is not None


def test_half_a_character_in_a_providers_words_stops_no_sidecar() -> None:
    text = finalization.clean(explain("failed", "odd \ud83c")[1])
    assert isinstance(text, Said) and text.endswith("(Replicate: odd ?)") and json.dumps(parts(text)).isascii()
    assert finalization.clean(None) is None and finalization.clean("x" * 9_000, 10) == "x" * 10


# -- older sidecars -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "english", "french"),
    [
        (
            "needs a model",
            "The local engine does not know the operation type 3. Choose another type.",
            "Le moteur local ne connaît pas le type d’opération 3. Choisissez un autre type.",
        ),
        (
            "invalid input",
            "This needs 3 image(s), and 3 came. Add or remove images and try again.",
            "Il faut 3 image(s), et 3 sont arrivées. Ajoutez ou retirez des images et recommencez.",
        ),
        (
            "invalid input",
            "Image 3 cannot be read: it is damaged or not a JPEG, PNG, WebP, GIF, AVIF or HEIC. Open it in another "
            "program, save it again as JPEG or PNG, and retry.",
            "L’image 3 est illisible : elle est abîmée, ou n’est pas un JPEG, PNG, WebP, GIF, AVIF ou HEIC. Enregistrez-la "
            "à nouveau en JPEG ou PNG et recommencez.",
        ),
        (
            "invalid input",
            "Image 3 has 3 million pixels; at most 3 million can be worked on. Make it smaller and try again.",
            "L’image 3 compte 3 millions de pixels ; 3 millions au plus sont possibles. Réduisez-la et recommencez.",
        ),
        (
            "invalid input",
            "The result would be 3 × 3 pixels; at most 3 million pixels can be made. Ask for a smaller size.",
            "Le résultat ferait 3 × 3 pixels ; 3 millions de pixels au plus sont possibles. Demandez une taille plus petite.",
        ),
        (
            "invalid input",
            "The picture is too small to be cropped that way. Ask for a smaller crop, or resize it first.",
            "L’image est trop petite pour ce recadrage. Demandez un recadrage plus petit, ou agrandissez-la d’abord.",
        ),
        (
            "needs a model",
            "The local engine has no AI model and did not find an edit that it knows in this prompt. It can do: ….",
            "Le moteur local n’a pas de modèle d’IA et n’a trouvé dans cette demande aucune retouche qu’il connaît. Il "
            "sait faire : ….",
        ),
        (
            "needs a model",
            "Replacing or transferring a part of one image needs an AI model, which the local engine is not. With these "
            "images it can do: ….",
            "Remplacer ou transférer une partie d’une image demande un modèle d’IA, ce que le moteur local n’est pas. Avec "
            "ces images, il sait faire : ….",
        ),
        (
            "invalid input",
            "The prompt is empty. Write what the picture should show, for example “a calm sea at sunset”.",
            "La demande est vide. Décrivez l’image, par exemple « une mer calme au coucher du soleil ».",
        ),
        (
            "invalid input",
            "The prompt speaks of image 3, but only 3 came. Correct the number or add the image.",
            "La demande parle de l’image 3, mais 3 seulement sont arrivées. Corrigez le numéro ou ajoutez l’image.",
        ),
        (
            "invalid input",
            "The parameter 3 cannot be 3. Use 1.",
            "Le paramètre 3 ne peut pas valoir 3. Utilisez 1.",
        ),
        (
            "crash",
            "The local engine could not make this (odd). Try a smaller picture or another format.",
            "Le moteur local n’a pas pu faire cela (odd). Essayez une image plus petite ou un autre format.",
        ),
        (
            "memory",
            "There is not enough memory to make this. Ask for a smaller size or a shorter video.",
            "La mémoire ne suffit pas. Demandez une taille plus petite ou une vidéo plus courte.",
        ),
    ],
)
def test_what_the_local_engine_refused_in_earlier_releases_has_a_cause_in_both_languages(
    kind: str, english: str, french: str
) -> None:
    assert [error_kind(text, "failed") for text in (english, french)] == [kind, kind]


@pytest.mark.parametrize(
    ("error", "status", "kind", "told"),
    [
        (SENSITIVE, "failed", "nsfw", SENSITIVE_IN_FRENCH),
        ("The run took longer than is allowed. Try again, with a shorter or smaller result. (Replicate: Prediction timed out)",
         "failed", "timeout",
         "L’exécution a dépassé la durée permise. Réessayez avec un résultat plus court ou plus petit. "
         f"(Replicate{HARD}: Prediction timed out)"),
        ("The provider asks to wait 30 seconds before the next request.", "failed", "rate limit",
         f"Le fournisseur impose un délai avant la prochaine requête{HARD}: 30{HARD}s."),
        ("CUDA out of memory (2.0 GiB)", "failed", "memory", "CUDA out of memory (2.0 GiB)"),
        ("Canceled.", "canceled", "canceled", "Annulée."),
    ],
)  # fmt: skip
def test_a_sidecar_of_before_is_read_counted_and_told_from_its_sentence(
    french: Callable[[str], str], tmp_path: Path, error: str, status: str, kind: str, told: str
) -> None:
    store = Store(tmp_path)
    store.initialize_storage()
    store.save("20251103143022_abc123de", {"error": error, "success": False, "status": status})
    sidecar = store.get_operation_metadata("20251103143022_abc123de")
    assert "errorKind" not in sidecar and error_kind(error, status) == kind
    assert load_frame(tmp_path)["error_kind"].to_list() == [kind]
    assert french(error_of(sidecar) or "") == told


def test_a_reason_that_is_no_sentence_of_ours_has_no_parts() -> None:
    assert type(ProviderRefused(reason="odd").sentence) is str
    assert "errorMessage" not in recorded(ProviderRefused(reason="odd").sentence, "failed", "crash")
