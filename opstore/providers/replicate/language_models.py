"""Language models on Replicate: one question with small pictures, one answer as text, within a deadline of our own.

A question is worth half a cent, so nothing durable stands behind it: what is lost is asked again, or done without.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opstore.errors import ProviderError, ProviderRefused, ProviderUnavailable, said
from opstore.providers.prices import Cost
from opstore.providers.replicate import Replicate

#: After this the rules answer instead: somebody is waiting at the page.
SECONDS = 25.0
POLL_SECONDS = 0.25
#: Longer answers are not read: what is asked for has a few hundred characters.
MAX_ANSWER = 20_000


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """A model that reads text and pictures: its own names for what it is sent, and what one question costs at most.

    `amount` is an upper bound in US dollars: Replicate bills by tokens and names no price in its answers.
    """

    name: str
    title: str
    system: str
    images: str
    many: bool = True
    fixed: Mapping[str, Any] = field(default_factory=dict)
    amount: float = 0.005

    def cost(self) -> Cost:
        """Return what one question costs at most."""
        return Cost(self.amount, "USD", f"{self.title}: at most ${self.amount:g} a question by its list price", True)

    def arguments(self, instruction: str, question: str, pictures: Sequence[str]) -> dict[str, Any]:
        """Return the model's input document; what it has no field for is left out."""
        shown: dict[str, Any] = {}
        if pictures:
            shown = {self.images: list(pictures) if self.many else pictures[0]}
        return {"prompt": question, self.system: instruction, **self.fixed, **shown}


#: Fields as in the models' own input schemas; the answer of a chosen workflow has some 200 tokens.
LANGUAGE_MODELS: Mapping[str, LanguageModel] = {
    model.name: model
    for model in (
        LanguageModel(
            "google/gemini-2.5-flash",
            "Gemini 2.5 Flash",
            "system_instruction",
            "images",
            fixed={"max_output_tokens": 1024, "temperature": 0, "thinking_budget": 0},
        ),
        LanguageModel(
            "openai/gpt-4o-mini",
            "GPT-4o mini",
            "system_prompt",
            "image_input",
            fixed={"max_completion_tokens": 1024, "temperature": 0},
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Asker:
    """Asks one language model with one account."""

    replicate: Replicate
    model: LanguageModel
    seconds: float = SECONDS
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    @property
    def name(self) -> str:
        """Return the model's name, as records keep it."""
        return self.model.name

    @property
    def title(self) -> str:
        """Return the model's name as people read it."""
        return self.model.title

    def cost(self) -> Cost:
        """Return what one question costs at most."""
        return self.model.cost()

    def ask(self, instruction: str, question: str, pictures: Sequence[bytes] = ()) -> str:
        """Return the answer's text; raise ProviderError if there is none in time. Pictures are small whole files."""
        addresses = [f"data:{_kind(data)};base64,{base64.b64encode(data).decode('ascii')}" for data in pictures]
        end = self.clock() + self.seconds
        arguments = self.model.arguments(instruction, question, addresses)
        prediction = self.replicate.submit(self.model.name, arguments, f"{max(5, round(self.seconds))}s")
        try:
            while not prediction.ended:
                if self.clock() >= end:
                    raise ProviderUnavailable(reason=said("the language model did not answer in time."), kind="timeout")
                self.sleep(POLL_SECONDS)
                prediction = self.replicate.status(prediction.id or "")
        except ProviderError:
            self._cancel(prediction.id or "")
            raise
        if prediction.status != "succeeded":
            told = prediction.error or said("the language model gave no answer.")
            raise ProviderRefused(reason=told, kind=prediction.error_kind or ProviderRefused.kind)
        return _text(prediction.raw.get("output"))

    def _cancel(self, prediction_id: str) -> None:
        try:
            self.replicate.cancel(prediction_id)
        except ProviderError:
            return  # it ends by itself: it was sent with a deadline


def _kind(data: bytes) -> str:
    from opstore.media import sniff

    found = sniff(data)
    return found.name if found else "application/octet-stream"


def _text(output: object) -> str:
    """Return an answer as one text: models give a text, or a list of its pieces."""
    pieces = output if isinstance(output, list) else [output]
    text = "".join(piece for piece in pieces if isinstance(piece, str))
    if not text.strip() or len(text) > MAX_ANSWER:
        raise ProviderRefused(reason=said("the language model's answer cannot be used."), kind="not understood")
    return text
