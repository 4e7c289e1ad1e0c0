"""Questions to a language model, where the settings name one: which workflow, and a better wording; only ever by a click.

A question runs in the background, so that no page waits for a provider; until its answer is there, and where it fails, everything
goes on with the rules and the person's own words.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import streamlit as st

from opstore.errors import OpstoreError
from opstore.generation import Generation
from opstore.smart.analysis import Language, WorkflowAnalysis
from opstore.ui import parts, words
from opstore.ui.studio.input_pictures import Given
from opstore.ui.words import _

#: Seconds between two looks whether an answer has come.
LOOK = 0.5


@dataclass(slots=True)
class Question:
    """What was asked of exactly the request with this mark; `told` once the page has shown its answer."""

    mark: str
    answer: Future[object]
    told: bool = False


def analysis(generation: Generation, text: str, pictures: Sequence[Given]) -> WorkflowAnalysis:
    """Return the language model's analysis of exactly this request where it was asked for, else what the rules say."""
    mark = _mark(text, pictures)
    answered = _answer("analysis", mark)
    if isinstance(answered, WorkflowAnalysis):
        return answered
    if isinstance(answered, OpstoreError):
        parts.show_error(answered)
    return generation.propose(text, [item.data for item in pictures], _language())


def offer_analysis(generation: Generation, text: str, pictures: Sequence[Given]) -> None:
    """Offer to ask the language model which workflow is meant."""
    asker = generation.asker()
    if asker is None or not text.strip() or not all(item.sound for item in pictures):
        return
    mark, images, spoken = _mark(text, pictures), [item.data for item in pictures], _language()
    if (asked := _asked("analysis", mark)) and asked.told:
        return  # it has been asked exactly this
    label = _("Ask {model} ({amount} at most)").format(model=asker.title, amount=words.money(asker.cost().amount or 0.0))
    _offer("analysis", mark, label, lambda: generation.analyze(text, images, spoken), generation)


def wording(generation: Generation, text: str, workflow: str) -> tuple[str | None, bool, Mapping[str, Any] | None]:
    """Offer a better wording of the prompt; return it as the person left it, whether it is to be used, and what it cost.

    A chain has none: there each step is told its own prompt.
    """
    if workflow == "edit_then_video":
        return None, False, None
    mark = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
    answered = _answer("wording", mark)
    if isinstance(answered, OpstoreError):
        parts.show_error(answered)
    if isinstance(answered, tuple):
        proposed, cost = answered
        return _better(text, str(proposed), cost, mark)
    asker = generation.asker()
    if text.strip() and asker is not None:
        label = _("Improve the prompt ({amount} at most)").format(amount=words.money(asker.cost().amount or 0.0))
        _offer("wording", mark, label, lambda: generation.improve(text, workflow), generation)
    return None, False, None


def _better(text: str, proposed: str, cost: Mapping[str, Any], mark: str) -> tuple[str, bool, Mapping[str, Any]]:
    """Show a proposal as a change of the person's own words, to be edited, taken or left."""
    with st.container(border=True, key="wording"):
        key = f"better-{mark[:16]}"
        edited = st.text_area(_("Improved prompt"), proposed, key=key, height=100, persist_state="session") or proposed
        parts.changes(text, edited)
        used = st.toggle(_("Use this prompt"), True, key=f"use-{key}", persist_state="session")
    return edited, used, cost


# -- one question at a time of each kind ---------------------------------------------------------------------------------


def _language() -> Language:
    return "fr" if words.language() == "fr" else "en"


def _mark(text: str, given: Sequence[Given]) -> str:
    digest = hashlib.sha256(text.encode("utf-8", "replace"))
    for item in given:
        digest.update(hashlib.sha256(item.data).digest())
    return digest.hexdigest()


def _offer(kind: str, mark: str, label: str, question: Callable[[], object], generation: Generation) -> None:
    asked = _asked(kind, mark)
    if asked and not asked.told:  # also where the answer has come since this run looked: the next one shows it
        st.fragment(_waiting, run_every=LOOK)(asked.answer)
    elif parts.button(label, key=f"ask-{kind}", type="tertiary"):
        st.session_state[f"question-{kind}"] = Question(mark, generation.later(question))
        st.rerun()


def _waiting(answer: Future[object]) -> None:
    if answer.done():
        st.rerun()
    st.caption(_("Asking…"))


def _asked(kind: str, mark: str) -> Question | None:
    """Return the question of exactly this, None if there is none."""
    asked: Question | None = st.session_state.get(f"question-{kind}")
    return asked if asked and asked.mark == mark else None


def _answer(kind: str, mark: str) -> object:
    """Return the answer to what was asked of exactly this, an OpstoreError where it failed, None if there is none."""
    asked = _asked(kind, mark)
    if not asked or not asked.answer.done():
        return None
    asked.told = True  # by whoever asks for it here
    try:
        return asked.answer.result()
    except OpstoreError as error:
        return error
