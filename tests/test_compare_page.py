"""The Compare page in Streamlit's own test harness: what it says is so, and a step leads on from the pair that is shown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from opstore.app import App
from opstore.ui import compare
from opstore.ui.opened_app import running
from tests.samples import ID, LATER, PNG
from tests.test_pages import create, html, sound

COMPARE = "../../pages/compare.py"
THIRD = "20251103143024_abc123e0"


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    monkeypatch.setenv("OPSTORE_DATA", str(tmp_path / "data"))
    found = running()
    yield found
    found.stop()


def compared(**query: str) -> str:
    """Return what the page says."""
    at = create()
    for key, value in query.items():
        at.query_params[key] = value
    sound(at.switch_page(COMPARE).run())
    return html(at)


def test_why_there_is_nothing_to_compare_is_said_as_it_is(app: App) -> None:
    store = app.store
    store.save(ID, {"operationType": "image_edit_single", "prompt": "a sea"}, inputs=[PNG], outputs=[PNG])
    store.save(LATER, {"operationType": "image_edit_single", "success": False, "error": "no"}, inputs=[PNG])
    for ids in (f"{LATER},{ID}", f"{ID},{THIRD}"):
        said = compared(ids=ids)
        assert "Fewer than two of these results can be shown" in said and "from text only" not in said
        assert f"{ID}_out.png" in said, "the one that there is stands there"
    (store.operations.path / f"{ID}_in_1.png").unlink()
    said = compared(ids=ID)
    assert "Its input image or its result cannot be shown" in said and "from text only" not in said


def test_a_step_leads_on_from_the_pair_that_is_shown(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[Any] = []
    gone: list[tuple[str, str]] = []
    real = compare._heard

    def listened(*given: Any) -> Any:
        heard.append(real(*given))
        return heard[-1]

    monkeypatch.setattr(compare, "_heard", listened)
    for operation_id in (ID, LATER, THIRD):
        app.store.save(operation_id, {"operationType": "text_to_image"}, outputs=[PNG])
    compared(ids=f"{ID},{LATER},{THIRD}", pair="5")  # a link to the last of six pairs, of four: one has gone since
    monkeypatch.setattr(compare, "heard_of", lambda *_: -1)
    monkeypatch.setattr(compare, "_go", lambda *given: gone.append(given))
    heard[-1]["step"]()
    assert gone == [("pair", "1")], "the last of three is shown: the second comes before it"


def test_values_that_differ_are_told_apart(app: App) -> None:
    negative = "blurry, " * 40
    for operation_id, strength, end in ((ID, 0.0001, "hands"), (LATER, 0.0002, "feet")):
        parameters = {"strength": strength, "guidance": 3.5, "negativePrompt": f"{negative}{end}"}
        app.store.save(operation_id, {"operationType": "text_to_image", "parameters": parameters}, outputs=[PNG])
    said = compared(ids=f"{ID},{LATER}")
    for text in ("<td>0.0001</td><td>0.0002</td>", "blurry, hands</td>", "blurry, feet</td>"):
        assert text in said
    assert len(negative) > compare.MOST_LETTERS and negative not in said
