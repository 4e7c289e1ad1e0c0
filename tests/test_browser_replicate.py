"""Replicate through the page: a paid job outlives the tab and the server, is paid once, and its money is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser import Server, Windows, box
from tests.replicate_standin import StandInProcess

pytest_plugins = ("tests.browser_fixtures",)
pytestmark = pytest.mark.long


@pytest.fixture
def standin() -> Iterator[StandInProcess]:
    with StandInProcess(start=0.3, run=1.0) as running:
        yield running


@pytest.fixture
def remote(windows: Windows, standin: StandInProcess, tmp_path: Path) -> Iterator[Server]:
    served = Server(
        tmp_path / "remote" / "data",
        OPSTORE_PROVIDER="",
        REPLICATE_API_TOKEN=standin.token,
        REPLICATE_BASE_URL=standin.url,
        OPSTORE_DELIVERY_HOSTS=standin.delivery_url,
    )
    served.start()
    yield served
    served.stop()


def test_a_paid_job_outlives_the_tab_and_the_server(windows: Windows, remote: Server, standin: StandInProcess) -> None:
    prompt = "a castle at dusk"
    standin.set(run=60.0)  # the server is killed and started again meanwhile, however slow the machine
    with windows.visit(remote) as visitor:
        visitor.open()
        expect(visitor.page.get_by_role("combobox", name="Model")).to_have_value("Qwen Image")
        visitor.ask(prompt)
        expect(visitor.page.get_by_text("about $", exact=False).first).to_be_visible()
        expect(visitor.page.get_by_role("heading", name="In progress")).to_be_visible()
        expect(visitor.page.get_by_text("running ·", exact=False)).to_be_visible()
    with windows.visit(remote, width=390, height=844, touch=True) as visitor:
        page = visitor.open("/library")
        count, pages = page.get_by_role("button", name="1 under way"), page.locator(".st-key-phone-pages")
        expect(pages.get_by_role("link", name="Settings")).to_be_visible()
        expect(count).to_be_visible()
        assert box(page, ".st-key-bar [data-testid=stPopover]")["y"] > 700, "the count has a corner of its own on a phone"
        count.click()
        expect(page.get_by_role("button", name="Cancel")).to_be_visible()
        remote.kill()
        assert [job["state"] for job in remote.jobs()] == ["running"]
        remote.start()
        standin.advance(60.0)
        expect(visitor.tile(prompt)).to_be_visible()  # the same tab finds the server again, and what it made, by itself
        expect(count).to_have_count(0)
    with windows.visit(remote) as visitor:
        visitor.open()
        expect(visitor.page.get_by_role("link", name="Download")).to_be_visible()
    operation = remote.stored(prompt)
    assert operation["status"] == "stored"
    assert operation["model"] == "qwen/qwen-image"
    assert operation["cost"]["estimated"] is True
    assert (remote.data / "operations" / operation["outputFile"]).stat().st_size > 0
    assert standin.accepted == 1
    everything = [path.read_bytes() for path in remote.data.rglob("*") if path.is_file()]
    assert not any(standin.token.encode() in content for content in everything)
    assert standin.token not in remote.log()


def test_the_page_cancels_a_running_job_and_runs_it_again(windows: Windows, remote: Server, standin: StandInProcess) -> None:
    prompt = "a slow river"
    standin.set(run=60.0)  # until it is canceled
    with windows.visit(remote) as visitor:
        visitor.open()
        visitor.ask(prompt)
        expect(visitor.page.get_by_text("running ·", exact=False)).to_be_visible()
        visitor.page.get_by_role("button", name="Cancel").click()
        expect(visitor.page.get_by_role("button", name="Run again")).to_be_visible()
        first = remote.stored(prompt)
        assert first["status"] == "canceled"
        standin.set(run=1.0)
        visitor.page.get_by_role("button", name="Run again").click()
        second = remote.stored(prompt, 2)
    assert second["status"] == "stored"
    assert second["retryOf"] == first["operationId"]
    assert standin.accepted == 2


def test_the_settings_hold_the_budget_and_never_the_token(windows: Windows, remote: Server, standin: StandInProcess) -> None:
    with windows.visit(remote) as visitor:
        page = visitor.open("/settings")
        expect(page.get_by_text("A Replicate API token is set.", exact=False)).to_be_visible()
        assert standin.token not in page.content()
        visitor.number("A day (US dollars)", "0.01")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_text("Saved.")).to_be_visible()
        assert json.loads((remote.data / "settings.json").read_text())["daily_budget"] == 0.01
        visitor.open()
        visitor.ask("a picture too dear")
        refusal = page.get_by_text("The budget for the day is $0.01", exact=False)
        expect(refusal).to_have_count(1)
        visitor.ask("a picture too dear")
        visitor.settle()
        expect(refusal).to_have_count(1)
        (remote.data / "settings.json").write_text("{")
        visitor.ask("another")
        expect(page.get_by_text("The settings file settings.json is damaged", exact=False)).to_have_count(1)
        visitor.open("/settings")
        expect(page.get_by_text("The settings file settings.json is damaged", exact=False)).to_be_visible()
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_text("Saved.")).to_be_visible()
        expect(page.get_by_text("The settings file settings.json is damaged", exact=False)).to_have_count(0)
    assert (remote.data / "settings.damaged.json").read_text() == "{"
    assert standin.accepted == 0
    assert not remote.jobs() and not list((remote.data / "operations").glob("*.json"))


def test_an_edit_then_video_of_a_photo_shows_both_steps_and_their_cost(
    windows: Windows, remote: Server, standin: StandInProcess, photo: Callable[..., bytes]
) -> None:
    prompt = "make the suit blue, then let her wave"
    with windows.visit(remote) as visitor:
        visitor.open()
        visitor.upload(("astronaut.jpg", photo("astronaut")))
        visitor.choose("Edit, then animate")
        visitor.ask(prompt)
        operation = remote.stored(prompt)
        visitor.open(f"/library?operation={operation['operationId']}")
        expect(visitor.dialog.get_by_text("Intermediate", exact=True)).to_be_visible()
        expect(visitor.dialog.get_by_text("(estimate)", exact=False).first).to_be_visible()
    assert [step["operationType"] for step in operation["steps"]] == ["image_edit_single", "image_to_video_single"]
    assert operation["outputFile"].endswith(".mp4")
    assert standin.accepted == 2
