"""Smart generation in a real browser: the proposal while one types, its override, a remix, and a sheet of four variants."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from opstore.service import NewOperation
from tests.browser import Server, Windows

pytest_plugins = ("tests.browser_fixtures",)
pytestmark = pytest.mark.long

Photo = Callable[..., bytes]

PROMPT = "remplace le personnage de l'image 2 par celui de l'image 1"
COMBINE, TRANSITION, CHAIN = "Combine images", "Transition between images", "Edit, then animate"


def test_two_photos_are_analysed_overridden_made_remixed_and_varied(server: Server, windows: Windows, photo: Photo) -> None:
    with windows.visit(server) as visitor:
        page = visitor.open()
        visitor.upload(("astronaut.jpg", photo("astronaut", size=(200, 160))), ("cat.jpg", photo("chelsea", size=(200, 160))))

        # The proposal comes while one types: nothing is pressed, and the prompt keeps the focus.
        visitor.prompt.press_sequentially(f"{PROMPT}, puis anime-le")
        reason = page.locator(".ops-reason")
        expect(reason).to_contain_text("2 images, “remplace” and “anime-le”: a picture will be made first")
        expect(page.get_by_role("radio", name=CHAIN)).to_be_checked()
        expect(page.get_by_label("2 · Its motion")).to_have_value("anime-le")
        expect(visitor.prompt).to_be_focused()
        visitor.prompt.fill(PROMPT)
        expect(reason).to_contain_text("2 images, “remplace”: one picture will be made from the images.")
        expect(page.get_by_role("radio", name=COMBINE)).to_be_checked()

        visitor.choose(TRANSITION)
        expect(reason).to_contain_text(f"You chose this. Suggested: “{COMBINE}”")
        visitor.number("Duration (s)", "1")
        visitor.generate.click()
        made = server.stored(PROMPT)
        assert made["operationType"] == "image_to_video_transition" and made["success"] is True
        assert made["workflowAnalysis"]["workflow"] == {"id": "image_edit_multiple", "name": "Edit of several images"}
        assert made["workflowAnalysis"]["overriddenTo"] == "image_to_video_transition"

        # From the library, with everything it was made with, and from there on with other words.
        visitor.open(f"/library?operation={made['operationId']}")
        expect(visitor.dialog.get_by_text("Chosen instead")).to_be_visible()
        visitor.dialog.get_by_role("button", name="Use these settings").click()
        expect(visitor.prompt).to_have_value(PROMPT)
        expect(page.get_by_role("img", name="Image 2", exact=True)).to_be_visible()
        expect(page.get_by_role("radio", name=TRANSITION)).to_be_checked()
        expect(page.get_by_label("Duration (s)", exact=True)).to_have_value(re.compile("^1"))
        visitor.choose(COMBINE)
        visitor.prompt.fill("mélange les deux images")
        visitor.number("Variants", "4")
        expect(page.get_by_text("4 variants ·")).to_be_visible()
        visitor.generate.click()
        newest = server.stored("mélange les deux images", 4)

        sheet = page.locator(".st-key-sheet button.tile")
        expect(sheet).to_have_count(4)
        variants = server.by_prompt("mélange les deux images")
        assert {item["batchId"] for item in variants} == {newest["batchId"]} and newest["batchId"]
        seeds = sorted(item["parameters"]["seed"] for item in variants)
        assert seeds == list(range(seeds[0], seeds[0] + 4))
        for seed in seeds:
            expect(sheet.filter(has_text=f"Seed {seed}").locator("img")).to_be_visible()

        # The stack in the library is the same sheet.
        visitor.open(f"/library?q=batch:{newest['batchId']}")
        expect(page.locator("button.tile")).to_have_count(4)
        expect(visitor.tile(f"Seed {seeds[0]}")).to_be_visible()


def test_a_sweep_over_a_parameter_is_a_sheet_in_its_order(server: Server, windows: Windows) -> None:
    prompt = "a calm lake swept"
    with windows.visit(server, width=390, height=844, touch=True) as visitor:
        page = visitor.open()
        visitor.prompt.fill(prompt)
        page.get_by_role("button", name="Sweep").click()
        page.get_by_role("combobox", name="Parameter", exact=True).click()
        page.get_by_role("option", name="Aspect ratio").click()
        page.get_by_role("combobox", name="Values").click()
        for value in ("1:1", "16:9"):
            page.get_by_role("option", name=value, exact=True).click()
        page.keyboard.press("Escape")
        page.keyboard.press("Escape")
        expect(page.get_by_text("2 variants ·")).to_be_visible()
        visitor.generate.click()
        server.stored(prompt, 2)
        sheet = page.locator(".st-key-sheet button.tile")
        expect(sheet.locator("img")).to_have_count(2)
        assert [re.sub(r"\s+", " ", text) for text in sheet.all_inner_texts()] == ["Aspect ratio 1:1", "Aspect ratio 16:9"]
        assert visitor.overflow() == 0


def test_results_and_settings_go_to_create_from_the_grid_by_key(server: Server, windows: Windows) -> None:
    prompt = "a grey rock for the grid"
    server.hand_in(NewOperation("text_to_image", prompt, parameters={"aspectRatio": "3:4", "seed": 11}))
    with windows.visit(server) as visitor:
        page = visitor.open('/library?q="grey rock for the grid"')
        visitor.tile(prompt).focus()
        page.keyboard.press("r")
        expect(visitor.prompt).to_have_value(prompt)
        expect(page.get_by_role("combobox", name="Aspect ratio")).to_have_value("3:4")
        visitor.open('/library?q="grey rock for the grid"')
        visitor.tile(prompt).focus()
        page.keyboard.press("u")
        expect(page.get_by_role("img", name="Image 1", exact=True)).to_be_visible()
        visitor.ask("sepia of the grey rock")
        child = server.stored("sepia of the grey rock")
    assert child["parents"] == [server.by_prompt(prompt)[0]["operationId"]]
