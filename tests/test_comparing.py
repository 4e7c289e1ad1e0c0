"""Comparisons: a picture with itself is zero everywhere, figures are scikit-image's own, every shape is laid on every other."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import structural_similarity

from opstore import Store, media
from opstore.comparing import kept_comparisons
from opstore.comparing.align import FITS, Box, Fit, best_fit, place, same_shape
from opstore.comparing.differences import MAX_WORDS, differing, word_changes
from opstore.comparing.kept_comparisons import Comparisons
from opstore.comparing.pixels import MAX_COMPARED, Figures, difference
from opstore.comparing.subjects import Subject, main_part, pairs
from opstore.errors import FileMissing, InvalidFileName, UnsupportedMedia
from opstore.media import renderings
from opstore.storage.operation import Operation
from opstore.storage.trash import Trash
from tests.examples import some
from tests.media_samples import encoded, video
from tests.samples import HOSTILE_NAMES, ID, LATER

Photo = Callable[..., bytes]
SIDES = st.integers(1, 40)


def opened(data: bytes, mode: str = "RGBA") -> Any:
    with Image.open(io.BytesIO(data)) as picture:
        return picture.convert(mode)


@st.composite
def pictures(draw: st.DrawFn, mode: str | None = None) -> Any:
    """A small picture of noise, plain colours and gradients, with or without transparency."""
    chosen = mode or draw(st.sampled_from(["RGB", "RGBA"]))
    size = draw(SIDES), draw(SIDES)
    pixels = np.random.default_rng(draw(st.integers(0, 2**32))).integers(0, 256, (size[1], size[0], len(chosen)), np.uint8)
    if draw(st.booleans()):
        pixels[:] = pixels[0, 0]
    return Image.fromarray(pixels, chosen)


# -- pixels --------------------------------------------------------------------------------------------------------------


@settings(max_examples=some(60), deadline=None)
@given(picture=pictures(), fit=st.sampled_from(FITS))
def test_a_picture_compared_with_itself_is_zero_everywhere(picture: Any, fit: Fit) -> None:
    figures, heat = difference(picture, picture.copy(), fit)
    assert (figures.changed, figures.similarity, figures.colour) == (0.0, 1.0, 0.0)
    assert (figures.width, figures.height) == picture.size
    assert opened(heat).getchannel("A").getextrema() == (0, 0)


@settings(max_examples=some(60), deadline=None)
@given(first=pictures(), second=pictures(), fit=st.sampled_from(FITS))
def test_any_two_pictures_can_be_compared_and_neither_way_round_is_favoured(first: Any, second: Any, fit: Fit) -> None:
    figures, heat = difference(first, second, fit)
    assert 0 <= figures.changed <= 1 and -1 <= figures.similarity <= 1 and figures.colour >= 0
    assert opened(heat).size == (figures.width, figures.height)
    if fit != "whole":
        back, _ = difference(second, first, "around" if fit == "inside" else "inside")
        assert (back.width, back.height) == (figures.width, figures.height)
        assert back.changed == pytest.approx(figures.changed, abs=0.02) and back.colour == pytest.approx(figures.colour, abs=0.3)


def test_the_figures_are_those_of_the_library_and_the_heat_lies_where_the_change_is(photo: Photo) -> None:
    first = renderings.still(photo("chelsea", "png"))
    second = first.copy()
    second.paste((0, 200, 0), (100, 50, 200, 150))
    figures, heat = difference(first, second, "whole")
    one, other = (rgb2lab(np.asarray(picture, np.float32) / 255) for picture in (first, second))
    distance = deltaE_ciede2000(one, other)  # type: ignore[no-untyped-call]
    assert figures.colour == pytest.approx(float(distance.mean()), rel=1e-4)
    assert figures.changed == pytest.approx(100 * 100 / (first.width * first.height), rel=0.01)
    wanted = structural_similarity(one[..., 0] / 100, other[..., 0] / 100, data_range=1.0)  # type: ignore[no-untyped-call]
    assert figures.similarity == pytest.approx(float(wanted), abs=1e-4)
    seen = np.asarray(opened(heat).getchannel("A")) > 0
    assert seen[50:150, 100:200].mean() > 0.99 and seen.sum() <= 100 * 100
    assert figures.area == Box(0, 0, first.width, first.height)


def test_a_stronger_change_is_a_hotter_one(photo: Photo) -> None:
    first = renderings.still(photo("coffee", "png", size=(200, 130)))
    found = [difference(first, first.point(lambda value, by=by: min(255, value + by)), "whole") for by in (0, 4, 20, 80)]
    assert [figures.colour for figures, _ in found] == sorted(figures.colour for figures, _ in found)
    heat = [np.asarray(opened(data).getchannel("A")).mean() for _, data in found]
    assert heat == sorted(heat) and heat[0] == 0 < heat[1] < heat[3]


def test_what_shows_through_counts_as_a_difference() -> None:
    clear, white, black = (Image.new("RGBA", (20, 20), colour) for colour in ((255, 255, 255, 0), "white", "black"))
    for opaque in (white, black):
        assert difference(clear, opaque, "whole")[0].changed == 1.0
    assert difference(clear, Image.new("RGBA", (20, 20), (0, 0, 0, 0)), "whole")[0].changed == 0.0  # both show nothing


@pytest.mark.long
def test_large_pictures_are_compared_within_the_cap() -> None:
    first = Image.effect_noise((2400, 1600), 60).convert("RGB")
    figures, _ = difference(first, first.copy(), "whole")
    assert figures.width * figures.height <= MAX_COMPARED and figures.changed == 0
    assert figures.width / figures.height == pytest.approx(1.5, rel=0.01)


# -- shapes --------------------------------------------------------------------------------------------------------------


def test_the_pixels_say_how_other_shapes_lie_on_each_other(photo: Photo) -> None:
    whole = renderings.still(photo("chelsea"))
    left = (whole.width - whole.height) // 2
    middle = whole.crop((left, 0, left + whole.height, whole.height))
    dimmed = middle.convert("L").convert("RGB").resize((512, 512))
    assert best_fit(whole, middle) == "inside" and best_fit(middle, whole) == "around"
    assert best_fit(whole, dimmed) == "inside", "an edit of the middle is still the middle"
    assert best_fit(whole, whole.resize((300, 300))) == "whole"
    assert best_fit(whole, Image.effect_noise((300, 300), 90).convert("RGB")) == "inside", "nothing alike: nothing is distorted"
    assert difference(whole, middle, "inside")[0].changed == 0 < difference(whole, middle, "whole")[0].changed


@given(first=st.tuples(st.integers(1, 5000), st.integers(1, 5000)), second=st.tuples(st.integers(1, 5000), st.integers(1, 5000)))
def test_a_fit_keeps_the_shape_and_the_middle(first: tuple[int, int], second: tuple[int, int]) -> None:
    assert place(first, second, "whole") == Box.of(first)
    for fit in FITS[1:]:
        found = place(first, second, fit)
        assert found.width / found.height == pytest.approx(second[0] / second[1])
        assert found.x + found.width / 2 == pytest.approx(first[0] / 2, abs=0.51) and found.y + found.height / 2 == pytest.approx(
            first[1] / 2, abs=0.51
        )
        inner, outer = (found, Box.of(first)) if fit == "inside" else (Box.of(first), found)
        both = outer.joined(inner)
        assert both.width == pytest.approx(outer.width) and both.height == pytest.approx(outer.height)


def test_rounded_sides_are_no_other_shape() -> None:
    assert same_shape((1000, 667), (1008, 672)) and not same_shape((1024, 768), (1024, 1024))


# -- what stands against what --------------------------------------------------------------------------------------------


def operation(**more: Any) -> Operation:
    return Operation.of({"operationId": ID, "success": True, **more})


def by_name(name: str) -> str | None:
    return "video" if name.endswith("mp4") else None if name.endswith("gif") else "image"


def told(found: Operation) -> list[tuple[str, str]]:
    return [(str(pair.before.subject), str(pair.after.subject)) for pair in pairs(found, by_name)]


def test_a_result_stands_against_each_input() -> None:
    names = [f"{ID}_in_1.jpg", f"{ID}_in_2.png"]
    assert told(operation(inputFiles=names, outputFile=f"{ID}_out.webp")) == [(name, f"{ID}_out.webp") for name in names]
    assert told(operation(outputFile=f"{ID}_out.webp")) == [] == told(operation(inputFiles=names))


def test_of_several_inputs_the_edited_one_is_shown_first(tmp_path: Path, photo: Photo) -> None:
    """“Put the cup of image 1 into image 2”: what changed is seen against image 2, whichever place it has."""
    store = Store(tmp_path)
    edited = opened(photo("chelsea", size=(300, 200)), "RGB")
    edited.paste(opened(photo("coffee", size=(80, 60)), "RGB"), (10, 10))
    cup, cat = photo("coffee", size=(320, 240)), photo("chelsea", size=(300, 200))
    for number, inputs in enumerate(((cup, cat), (cat, cup), (cup, b"no picture", cat))):
        operation_id = f"2025110314302{number}_abc123de"
        names = [f"{operation_id}_in_{at}.jpg" for at in range(1, len(inputs) + 1)]
        store.initialize_storage()
        for name, data in zip(names, inputs, strict=True):
            (store.operations.path / name).write_bytes(data)
        output = f"{operation_id}_out.png"
        (store.operations.path / output).write_bytes(encoded(edited, "PNG"))
        comparisons = Comparisons(store)
        found = Operation.of({"operationId": operation_id, "success": True, "inputFiles": names, "outputFile": output})
        against = pairs(found, comparisons.kind)
        assert str(against[comparisons.telling(against)].before.subject) == names[inputs.index(cat)]


def test_a_videos_ends_stand_against_the_stills_it_was_made_from() -> None:
    first, last = f"{ID}_in_1.jpg", f"{ID}_in_2.png"
    transition = operation(inputFiles=[first, last], outputFile=f"{ID}_out.mp4")
    assert told(transition) == [(first, f"{ID}_out.mp4@first"), (last, f"{ID}_out.mp4@last")]
    alone = operation(inputFiles=[first], outputFile=f"{ID}_out.mp4")
    assert told(alone) == [(first, f"{ID}_out.mp4@first"), (first, f"{ID}_out.mp4@last")]
    between = [{"name": f"{ID}_out.jpg", "role": "intermediate"}]
    chain = operation(inputFiles=[first], outputFile=f"{ID}_out.mp4", files=between)
    assert told(chain) == [
        (f"{ID}_out.jpg", f"{ID}_out.mp4@first"), (f"{ID}_out.jpg", f"{ID}_out.mp4@last"), (first, f"{ID}_out.jpg")
    ]  # fmt: skip


def test_what_cannot_be_shown_stands_against_nothing() -> None:
    assert told(operation(inputFiles=[f"{ID}_in_1.gif"], outputFile=f"{ID}_out.webp")) == []
    assert main_part(operation(outputFile=f"{ID}_out.gif"), by_name) is None


def test_an_address_names_our_files_only() -> None:
    for name in (*HOSTILE_NAMES, *(f"{ID}_out.mp4@{at}" for at in ("", "-1", "1e3", "first\n", "123456789", "１", "first@last"))):
        with pytest.raises(InvalidFileName):
            Subject.read(name)
    assert [Subject.read(f"{ID}_out.mp4@{at}").seconds for at in ("first", "last", "1500")] == [0.0, None, 1.5]


# -- words ---------------------------------------------------------------------------------------------------------------


def test_prompts_are_compared_word_by_word() -> None:
    assert word_changes("a red cat, asleep", "a blue cat, asleep") == [
        ("same", "a "), ("gone", "red"), ("new", "blue"), ("same", " cat, asleep")
    ]  # fmt: skip
    assert word_changes("", "") == [] and word_changes("a", "") == [("gone", "a")]
    long = "word " * (MAX_WORDS + 1)
    assert word_changes(long, "short") == [("gone", long), ("new", "short")]


@settings(max_examples=some(200), deadline=None)
@given(st.text(max_size=60), st.text(max_size=60))
def test_no_letter_is_lost_in_a_comparison_of_words(before: str, after: str) -> None:
    found = word_changes(before, after)
    assert "".join(text for kind, text in found if kind != "new") == before
    assert "".join(text for kind, text in found if kind != "gone") == after


def test_only_parameters_that_differ_are_told() -> None:
    one = operation(operationType="text_to_image", model="m", parameters={"seed": 1, "steps": 4, "x": {"a": 1}, "same": 1})
    other = operation(operationType="text_to_image", model="n", parameters={"seed": True, "x": {"a": 1}, "same": 1.0})
    assert differing([one, other]) == [("model", ("m", "n")), ("seed", (1, True)), ("steps", (4, None))]
    assert differing([one, one]) == [] == differing([operation(parameters="odd"), operation()])


# -- stored files --------------------------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> Store:
    found = Store(tmp_path / "data")
    found.initialize_storage()
    return found


def test_stored_files_are_compared_once_and_again_where_the_cache_was_deleted(
    store: Store, photo: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def counted(*given: Any) -> tuple[Figures, bytes]:
        calls.append(1)
        return difference(*given)

    monkeypatch.setattr(kept_comparisons, "difference", counted)
    one, other = photo("chelsea", size=(300, 200)), photo("coffee", size=(300, 200))
    store.save(ID, {"operationType": "image_edit_single"}, inputs=[one], outputs=[other])
    subjects = Subject(f"{ID}_in_1.jpg"), Subject(f"{ID}_out.jpg")
    comparisons = Comparisons(store)
    _, figures, path = comparisons.difference(*subjects)
    assert Comparisons(store).difference(*subjects)[1] == figures == Figures.read(path) and len(calls) == 1
    path.unlink()
    assert comparisons.difference(*subjects)[1] == figures and len(calls) == 2
    monkeypatch.setattr(kept_comparisons, "MAX_KEPT", 4)
    for first in (0, 1):
        for second in (0, 1):
            comparisons.difference(subjects[first], subjects[second])
    comparisons.difference(subjects[0], Subject(f"{ID}_in_1.jpg", "first"))
    assert len(list((store.cache / "comparisons").iterdir())) == 3, "the oldest go"
    with pytest.raises(FileMissing):
        comparisons.difference(subjects[0], Subject(f"{LATER}_out.jpg"))


def test_a_video_is_compared_by_its_first_and_its_last_frame(store: Store) -> None:
    still = encoded(Image.new("RGB", (64, 32), (40, 40, 40)), "PNG")
    store.save(ID, {"operationType": "image_to_video_single"}, inputs=[still], outputs=[video("mp4", (40,) * 5 + (200,) * 5)])
    comparisons, name = Comparisons(store), f"{ID}_out.mp4"
    assert comparisons.frame_rate(name) == 10
    shades = {}
    for at in ("first", "400", "499", "500", "last", "99999"):
        with Image.open(comparisons.frame(Subject(name, at))) as frame:
            assert frame.size == (64, 32)
            shades[at] = frame.convert("L").crop((30, 28, 31, 29)).tobytes()[0]
    assert all(abs(shades[at] - 40) < 8 for at in ("first", "400", "499")), shades
    assert all(abs(shades[at] - 200) < 8 for at in ("500", "last", "99999")), shades
    near, far = (comparisons.difference(Subject(f"{ID}_in_1.png"), Subject(name, at))[1] for at in ("first", "last"))
    assert near.colour < far.colour
    for junk in (still, b"", b"\0" * 100, video("webm")[:200]):
        with pytest.raises(UnsupportedMedia):
            renderings.frame(junk, None)
        assert media.frame_rate(junk) is None


def test_no_frame_and_no_difference_outlives_what_it_was_made_of(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    still, clip = encoded(Image.new("RGB", (64, 32), (40, 40, 40)), "PNG"), video("mp4", (40,) * 5)
    for operation_id in (ID, LATER):
        store.save(operation_id, {"operationType": "image_to_video_single"}, inputs=[still], outputs=[clip])
    comparisons, trash, folder = Comparisons(store), Trash(store), store.cache / "comparisons"
    frame, other = Subject(f"{ID}_out.mp4", "first"), Subject(f"{LATER}_in_1.png")
    comparisons.difference(frame, other)
    comparisons.difference(other, other)
    assert comparisons.frame(frame) in folder.iterdir() and len(list(folder.iterdir())) == 3
    trash.put(ID)
    with pytest.raises(FileMissing):
        comparisons.frame(frame)
    trash.purge(timedelta())
    assert [path for path in folder.iterdir() if ID in path.name] == [] and len(list(folder.iterdir())) == 1

    def removed_meanwhile(data: bytes, seconds: float | None) -> bytes:
        trash.put(LATER)
        trash.purge(timedelta())
        return still

    monkeypatch.setattr(renderings, "frame", removed_meanwhile)
    with pytest.raises(FileMissing):
        comparisons.frame(Subject(f"{LATER}_out.mp4", "last"))
    assert list(folder.iterdir()) == []


def test_webm_frames_too() -> None:
    assert media.frame_rate(video("webm")) == pytest.approx(10, abs=0.2)
    last = opened(renderings.frame(video("webm", (40,) * 5 + (200,) * 5), None), "L")
    assert abs(last.getpixel((30, 28)) - 200) < 8


# -- HTTP ----------------------------------------------------------------------------------------------------------------


def test_the_routes_answer_with_figures_frames_and_heat(tmp_path: Path, photo: Photo) -> None:
    from starlette.applications import Starlette
    from starlette.testclient import TestClient

    from opstore.api import Api
    from opstore.app import App, Settings

    app = App(Settings(data=tmp_path / "data", provider="local"))
    wide, square = photo("chelsea"), photo("chelsea", size=(200, 200))
    app.store.save(ID, {"operationType": "image_edit_single"}, inputs=[wide], outputs=[square])
    app.store.save(LATER, {"operationType": "text_to_video"}, outputs=[video("mp4")])
    client = TestClient(Starlette(routes=Api(lambda: app).routes()), client=("127.0.0.1", 1))
    first, second = f"{ID}_in_1.jpg", f"{ID}_out.jpg"
    answer = client.get(f"/api/compare/{first}/{second}").json()
    assert answer["success"] and answer["alignment"] == {
        "fit": "whole",
        "chosen": True,
        "first": [451, 300],
        "second": [200, 200],
    }
    assert set(answer["figures"]) == {"changed", "similarity", "colour", "width", "height", "area"}
    heat = client.get(answer["heat"])
    assert heat.headers["content-type"] == "image/png" and "immutable" in heat.headers["cache-control"]
    assert client.get(answer["heat"], headers={"If-None-Match": heat.headers["etag"]}).status_code == 304
    assert client.get(f"/api/compare/{first}/{second}?fit=inside").json()["alignment"]["fit"] == "inside"
    assert client.get(f"/api/compare/{first}/{first}").json()["figures"]["changed"] == 0
    assert client.get(f"/api/frames/{LATER}_out.mp4@last").content[:4] == b"\x89PNG"
    for path, status in (
        (f"/api/compare/{first}/{second}?fit=sideways", 400), (f"/api/compare/{first}/..%2f..%2fetc", 404),
        (f"/api/compare/{first}/nobody.jpg", 400), (f"/api/compare/{first}/{LATER}_out.jpg", 404),
        (f"/api/frames/{first}", 415), (f"/api/frames/{ID}.json", 400), (f"/api/compare/{ID}.json/{first}", 400),
    ):  # fmt: skip
        found = client.get(path)
        assert (found.status_code, json.loads(found.content)["success"]) == (status, False), path
