"""French as French is set: in the catalogue, in what is made of texts and numbers, and in what code puts between two of them."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from opstore.language import translations
from opstore.language.formats import Formatter
from opstore.providers.local.abilities import abilities, describe
from opstore.providers.local.prompt_edits import parse
from opstore.smart import rules

ROOT = Path(__file__).resolve().parents[1]
THIN, HARD = "\u202f", "\u00a0"

#: What French typography forbids, in a text and in what code makes of it: signs and units without their unbreakable space.
MISSET = re.compile(
    r"""['"]|\.\.\.|  |^\ |\ $"""
    rf"|[^{HARD}]:(?=\s|$)|[^{THIN}0-9/?&=][;?!](?=\s|$)|«[^{HARD}]|[^{HARD}]»|[^{HARD}]%"
    r"|[0-9}]\ (?:[kMG]?o|octets|s|min|h|mégapixels|px|\$US)\b",
)
#: Where signs stand without a space: addresses, and what is typed into a search or a file.
TYPED = re.compile(r"https?://\S+|replicate\.com\S*|\b[\w{}]+:[\w{}>*.<=-]+|\{name\}:|`[^`]*`|localhost:\d+")


def _forms(text: str | Sequence[str] | None) -> Sequence[str]:
    return (text,) if isinstance(text, str) else text or ()


def misset(text: str) -> str | None:
    found = MISSET.search(TYPED.sub("x", text))
    return f"{text}: {found[0]!r}" if found else None


def test_the_french_is_set_as_french_is() -> None:
    written = translations.written("fr")
    texts = [form for message in written or () if message.id for form in _forms(message.string)]
    assert len(texts) > 1_000
    assert [bad for text in texts if (bad := misset(text))] == []


@pytest.mark.parametrize(
    "text",
    [
        "Prêt : oui",
        "Prêt: oui",
        "Oui ; non",
        f"Oui{HARD}; non",
        "Vraiment ?",
        "Vraiment?",
        "« mer »",
        f"«{HARD}mer »",
        "l'image",
        "50 %",
        "50%",
        f"50{THIN}%",
        "10 Mo",
        "{size} Mo",
        "30 s",
        "fini...",
        "deux  espaces",
    ],
)
def test_a_text_that_is_not_set_so_is_found(text: str) -> None:
    assert misset(text)


def test_what_is_made_of_texts_and_numbers_is_set_so_too() -> None:
    spoken, moment = Formatter("fr"), datetime(2025, 11, 3, 9, 5, tzinfo=UTC)
    made = [
        *(spoken.labelled("Format", "jpg"), spoken.money(1234.5), spoken.money(0.035), spoken.share(0.5), spoken.share(0.125, 1)),
        *(spoken.interval(0.25, 0.5), spoken.hour(9), spoken.minute(moment), spoken.day(moment), spoken.day(moment, "month")),
        *(spoken.size(size) for size in (0, 1_500, 1_500_000, 3_200_000_000)),
        *(spoken.seconds(seconds) for seconds in (0.25, 12, 75, 3_600, 5_400)),
        *(translations.told(ability, "fr") for ability in abilities()),
        *(translations.told(describe(edit), "fr") for prompt in PROMPTS for edit in parse(prompt)),
        *(rules.analyze(prompt, count, "fr").reasoning for prompt in PROMPTS for count in range(4)),
    ]
    assert [bad for text in made if (bad := misset(text.replace("9:05", "x").replace("09:05", "x")))] == []
    assert spoken.hour(9) == f"9{HARD}h" and spoken.minute(moment) == "3 nov. 2025, 09:05 UTC"


#: What the local engine and the analysis have something to say of.
PROMPTS = (
    "un peu plus clair, puis tourne de 30 degrés à gauche, recadre au format 16:9",
    "resize to 50%, border of 20 px, write “Hello” at the top, much more contrast, posterize to 8 colors",
    "change le ciel, puis fais bouger les nuages",
    "a red barn",
    "",
)


#: Rooms that make what people read.
ROOMS = ("ui", "analytics", "report", "shares", "smart")
#: Strings with a colon that are no sentence: style sheets, and what other programs read.
NOT_SHOWN = ("is not read", "--st-", "--ops-", "name}: {_quoted", "- {name}")


def test_no_code_sets_a_colon_or_a_percent_sign_itself() -> None:
    """French has a space before both: `labelled` and `share` say it."""
    found = []
    for path in sorted(path for room in ROOMS for path in (ROOT / "opstore" / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.JoinedStr):
                continue
            for one, other in pairwise(node.values):
                joins = isinstance(other, ast.Constant) and re.match(r": |[ \u00a0]?%", str(other.value))
                if joins and isinstance(one, ast.FormattedValue):
                    found.append(f"{path.name}:{node.lineno}: {ast.unparse(node)[:80]}")
    assert [text for text in found if not any(shown in text for shown in NOT_SHOWN)] == []
