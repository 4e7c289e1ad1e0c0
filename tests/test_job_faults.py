"""Faults on the way to a paid result: each poll, create and download that goes wrong ends rightly, and the token is nowhere."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from opstore import media
from opstore.app import App
from opstore.jobs import whole_results
from opstore.jobs.retry_limits import DOUBTS, FETCH_ATTEMPTS
from opstore.jobs.whole_results import is_whole
from opstore.storage.operation import Operation
from tests.job_programs import CANARY, Place, ask, ended, folder, secrets_in, until
from tests.replicate_standin import StandIn
from tests.standin.samples import sample


@dataclass
class Run:
    """What a case saw: the operation as it ended, what the stand-in counted, and every note that the page could have shown."""

    operation: Operation
    report: Mapping[str, Any]
    app: App
    notes: list[str] = field(default_factory=list)

    @property
    def ending(self) -> tuple[str, int]:
        """Return how it ended, and how many creates were accepted."""
        return self.operation.status, self.report["creates_accepted"]

    @property
    def outputs(self) -> list[bytes]:
        return [self.app.store.read_file(name) for name in self.operation.outputs]


@contextmanager
def working(data: Path, **changes: Any) -> Iterator[tuple[StandIn, App]]:
    """Open an app over a stand-in of its own."""
    settings: dict[str, Any] = {key: changes.pop(key) for key in ("start", "run", "credit") if key in changes}
    settings |= {name: usual for name, usual in {"token": CANARY, "start": 0.05, "run": 0.1}.items() if name not in settings}
    with StandIn(**settings) as standin, Place.at(data, standin, **changes).working() as app:
        yield standin, app


def noting(app: App) -> list[str]:
    """Return a list that fills with what the jobs say while they run."""
    notes: list[str] = []
    report = app.runner._around.folder.report

    def told(operation_id: str, progress: Any) -> None:
        notes.append(progress.note)
        report(operation_id, progress)

    app.runner._around.folder.report = told  # type: ignore[method-assign] # only looked at
    return notes


def run(data: Path, script: Callable[[StandIn], object], kind: str = "text_to_image", **changes: Any) -> Run:
    """Run one operation to its end with what `script` lets go wrong."""
    with working(data, **changes) as (standin, app):
        script(standin)
        notes = noting(app)
        app.runner.start()
        operation = ended(app, ask(app, kind))
        found = Run(operation, standin.report(), app, notes)
    check(found, data)
    return found


def check(found: Run, data: Path) -> None:
    """Whatever happened: nothing half, no token anywhere, and every end as good as a save."""
    assert found.report["creates_accepted"] <= 1, "paid twice"
    assert not found.app.store.verify(deep=True)
    assert not secrets_in(data.parent, CANARY) and CANARY not in "".join(found.notes)
    for delivery in found.report["deliveries"]:
        assert "authorization" not in delivery["headers"] and CANARY not in str(delivery)
    for name in found.operation.outputs:
        assert is_whole(found.app.store.read_file(name), "video" if name.endswith("mp4") else "image")


def together(cases: Mapping[str, Callable[[Path], object]], tmp_path: Path) -> None:
    """Run all cases side by side (they wait more than they compute), and name each that fails."""

    def one(name: str) -> str | None:
        place = tmp_path / "".join(letter if letter.isalnum() else "-" for letter in name)
        place.mkdir()
        try:
            cases[name](place / "data")
        except AssertionError as error:
            return f"{name}: {error}"
        return None

    with ThreadPoolExecutor(8) as pool:
        failed = [text for text in pool.map(one, cases) if text]
    assert not failed, "\n\n".join(failed)


# -- polls and creates ---------------------------------------------------------------------------------------------------

POLLS: dict[str, dict[str, Any]] = {
    "reset": {"kind": "reset"},
    "500": {"kind": "json", "status": 500},
    "502 in HTML": {"kind": "html", "status": 502},
    "429 that says how long": {"kind": "rate", "retry_after": 1},
    "429 that does not": {"kind": "rate", "header": "1"},
    "an empty 200": {"kind": "empty"},
    "a list": {"kind": "list"},
    "no answer at all": {"kind": "hang"},
    "401, a token that is being exchanged": {"kind": "echo", "status": 401},
    "402": {"kind": "json", "status": 402},
    "404 for a moment": {"kind": "json", "status": 404},
    "a redirect": {"kind": "redirect"},
}


@pytest.mark.long
def test_every_poll_may_fail_once_and_nothing_is_lost(tmp_path: Path) -> None:
    def case(fault: dict[str, Any]) -> Callable[[Path], object]:
        def act(data: Path) -> None:
            found = run(data, lambda standin: standin.fault(on="status", count=2, **fault), each=1.0)
            assert found.ending == ("stored", 1), (found.operation.error, found.notes)
            assert found.report["requests"]["status"] >= 3
            assert any("waiting for the provider" in note for note in found.notes), "and the page says so"

        return act

    together({name: case(fault) for name, fault in POLLS.items()}, tmp_path)


#: What goes wrong with the create, how the operation ends, how many are accepted, and words of the sentence if it failed.
CREATES: dict[str, tuple[dict[str, Any], str, int, str]] = {
    "reset before it is accepted": ({"kind": "reset"}, "stored", 1, ""),
    "reset after it is accepted": ({"kind": "reset", "after": True}, "stored", 1, ""),
    "no answer, not accepted": ({"kind": "hang"}, "stored", 1, ""),
    "no answer, accepted": ({"kind": "hang", "after": True}, "stored", 1, ""),
    "an empty 201, accepted": ({"kind": "empty", "after": True}, "stored", 1, ""),
    "a list, accepted": ({"kind": "list", "after": True}, "stored", 1, ""),
    "502 in HTML, accepted": ({"kind": "html", "status": 502, "after": True}, "stored", 1, ""),
    "502 in HTML, not accepted": ({"kind": "html", "status": 502}, "stored", 1, ""),
    "503": ({"kind": "json", "status": 503}, "stored", 1, ""),
    "429": ({"kind": "rate", "retry_after": 1, "count": 2}, "stored", 1, ""),
    "402": ({"kind": "json", "status": 402}, "failed", 0, "credit"),
    "401 that repeats the token": ({"kind": "echo", "status": 401}, "failed", 0, "REPLICATE_API_TOKEN"),
    "422": ({"kind": "json", "status": 422}, "failed", 0, "refused the input"),
    "413": ({"kind": "json", "status": 413}, "failed", 0, "too large"),
}


@pytest.mark.long
def test_every_fault_of_a_create_ends_rightly_and_pays_once_at_most(tmp_path: Path) -> None:
    def case(fault: dict[str, Any], status: str, accepted: int, words: str) -> Callable[[Path], object]:
        def act(data: Path) -> None:
            found = run(data, lambda standin: standin.fault(on="create", **fault), each=1.0)
            assert found.ending == (status, accepted), (found.operation.error, found.notes)
            if status == "failed":
                assert words in (found.operation.error or "") and not found.operation.outputs
                assert found.operation.sidecar["cost"]["amount"] == 0 and found.operation.sidecar["success"] is False
            else:
                assert found.notes

        return act

    together({name: case(*row) for name, row in CREATES.items()}, tmp_path)


@pytest.mark.long
def test_a_create_that_never_reached_anybody_is_sent_again_and_given_up_for_nothing(tmp_path: Path) -> None:
    with StandIn(token=CANARY) as standin:
        place = Place.at(tmp_path / "data", standin)
    with place.working() as app:  # nobody listens there any more
        app.runner.start()
        operation = ended(app, ask(app))
    assert operation.status == "failed" and "no connection" in (operation.error or "")
    assert operation.sidecar["cost"]["amount"] == 0


def test_a_provider_that_always_fails_is_not_asked_for_ever(tmp_path: Path) -> None:
    found = run(tmp_path / "data", lambda standin: standin.fault(on="create", kind="json", status=500, count=99), settle=0.05)
    assert found.ending == ("failed", 0) and "none of many attempts" in (found.operation.error or "")
    # Each of these might have been accepted, whatever the list says: that is risked a few times, not a dozen.
    assert found.report["requests"]["create"] == 1 + DOUBTS
    assert found.report["requests"]["list"] >= found.report["requests"]["create"], "looked for before each"


@pytest.mark.long
def test_a_list_that_does_not_tell_ends_as_unknown_and_nothing_is_sent_again(tmp_path: Path) -> None:
    def script(standin: StandIn) -> None:
        standin.fault(on="create", kind="reset", after=True)
        standin.fault(on="list", kind="json", status=500, count=3)  # meanwhile its hour passes at the provider
        until_created(standin)

    def until_created(standin: StandIn) -> None:
        accept = standin.world.create

        def old(model: str, version: str, body: Any, cancel_after: str | None) -> dict[str, Any]:
            shown = accept(model, version, body, cancel_after)
            standin.world.offset += 3700.0
            standin.world.records[shown["id"]].created = standin.world.now() - 3605.0
            return shown

        standin.world.create = old  # type: ignore[method-assign] # an hour passes in the moment after it accepted

    data = tmp_path / "data"
    found = run(data, script)
    assert found.ending == ("unknown", 1)
    assert "may have been billed" in (found.operation.error or "") and found.report["requests"]["create"] == 1
    assert found.operation.sidecar["cost"] is None and found.operation.sidecar["success"] is False
    assert found.operation.sidecar["steps"][0]["status"] == "unknown"


# -- downloads -----------------------------------------------------------------------------------------------------------

HOUR = "The provider keeps results for one hour."
#: What goes wrong with the delivery, how often, how it ends, and words of the sentence if it failed.
DOWNLOADS: dict[str, tuple[dict[str, Any], str, str]] = {
    "truncated": ({"kind": "truncated", "count": 2}, "stored", ""),
    "truncated, and no length given": ({"kind": "unmeasured", "count": 2}, "stored", ""),
    "always truncated, no length": ({"kind": "unmeasured", "count": 99}, "failed", "not a whole image"),
    "reset": ({"kind": "reset", "count": 3}, "stored", ""),
    "503": ({"kind": "html", "status": 503, "count": 12}, "stored", ""),
    "429": ({"kind": "html", "status": 429, "count": 2}, "stored", ""),
    "slow, but within its time": ({"kind": "drip", "seconds": 0.005}, "stored", ""),
    "a drip that would take for ever": ({"kind": "drip", "seconds": 2.0}, "stored", ""),
    "stalled": ({"kind": "hang"}, "stored", ""),
    "404": ({"kind": "not_found", "count": 4}, "stored", ""),
    "always 404": ({"kind": "not_found", "count": 99}, "failed", "does not have"),
    "403": ({"kind": "html", "status": 403, "count": 99}, "failed", "403"),
    "oversized": ({"kind": "oversized"}, "failed", "larger than"),
    "HTML": ({"kind": "wrong_type", "count": 2}, "stored", ""),
    "always HTML": ({"kind": "wrong_type", "count": 99}, "failed", "not a whole image"),
    "redirected to loopback": ({"kind": "redirect"}, "failed", "not allowed"),
}


@pytest.mark.long
def test_every_fault_of_a_download_is_tried_again_or_told_and_never_leaves_half_a_file(tmp_path: Path) -> None:
    def case(name: str, fault: dict[str, Any], status: str, words: str) -> Callable[[Path], object]:
        def act(data: Path) -> None:
            limit = len(sample("webp")) + 10 if name == "oversized" else 5_000_000
            found = run(data, lambda standin: standin.fault(on="delivery", **fault), fetch_seconds=1.5, max_bytes=limit)
            assert found.ending == (status, 1), (found.operation.error, found.notes)
            if status == "stored":
                assert found.outputs == [sample("webp")]
            else:
                assert words in (found.operation.error or ""), found.operation.error
                assert "https://replicate.com/p/" in (found.operation.error or "") and not found.outputs
                assert found.operation.sidecar["resultUrl"] and found.operation.sidecar["steps"][0]["status"] == "succeeded"

        return act

    together({name: case(name, *row) for name, row in DOWNLOADS.items()}, tmp_path)


def test_a_redirect_to_another_port_of_this_machine_is_not_followed(tmp_path: Path) -> None:
    with StandIn() as other:
        address = f"{other.url}/_control/report"
        found = run(tmp_path / "data", lambda standin: standin.fault(on="delivery", kind="redirect", header=address))
        assert found.ending == ("failed", 1) and not other.report()["headers"]


@pytest.mark.parametrize("extension", ["png", "jpg", "webp", "mp4"])
def test_a_file_cut_anywhere_is_not_whole(extension: str) -> None:
    data = sample(extension)
    wanted = "video" if extension == "mp4" else "image"
    assert is_whole(data, wanted) and not is_whole(data, "image" if wanted == "video" else "video")
    assert not any(is_whole(data[: len(data) * share // 10], wanted) for share in range(10))


def test_a_video_whose_index_comes_first_and_whose_frames_are_cut_is_not_whole(tmp_path: Path) -> None:
    import av

    path = tmp_path / "fast.mp4"
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=8)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for step in range(24):
            frame = av.VideoFrame(96, 64, "rgb24")
            frame.planes[0].update(bytes((step * 9 + at) % 256 for at in range(frame.planes[0].buffer_size)))
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat") and is_whole(data, "video")
    with av.open(str(path)) as container:
        frames = sorted((packet.pos or 0) + packet.size for packet in container.demux(video=0) if packet.size)
    assert len(frames) == 24 and frames[-1] == len(data)
    assert not any(is_whole(data[:end], "video") for end in (len(data) * 9 // 10, *frames[:-1])), (
        "cut within a frame or after one"
    )
    kind = media.sniff(data)
    assert kind and not whole_results._has_all_packets(b"what no engine opens", kind)


@pytest.mark.long
def test_a_result_that_cannot_be_had_for_a_while_is_waited_for(tmp_path: Path) -> None:
    with working(tmp_path / "data") as (standin, app):
        standin.fault(on="delivery", kind="html", status=503, count=10_000)
        app.runner.start()
        operation_id = ask(app)
        until(lambda: standin.world.requests["delivery"] > 12)
        assert folder(app).get(operation_id).state == "fetching", "it is paid for: an outage of minutes must not lose it"
        standin.clear()
        assert ended(app, operation_id).status == "stored"


# -- what a prediction can be -----------------------------------------------------------------------------------------------


def planned(**plan: Any) -> Callable[[StandIn], object]:
    return lambda standin: standin.plan(**plan)


#: How the prediction goes, how the operation ends, how many outputs it has, words of its error, whether it is billed.
ENDS: dict[str, tuple[dict[str, Any], str, int, str]] = {
    "a list": ({}, "stored", 1, ""),
    "a data URI": ({"output": "data"}, "stored", 1, ""),
    "an object": ({"output": "object"}, "stored", 1, ""),
    "two": ({"output": "two"}, "stored", 2, ""),
    "a short list": ({"output": "short"}, "stored", 1, ""),
    "null": ({"output": "null"}, "failed", 0, "no result"),
    "an empty list": ({"output": "empty"}, "failed", 0, "no result"),
    "failed": ({"status": "failed", "error": "NSFW content detected"}, "failed", 0, "safety filter"),
    "failed without a word": ({"status": "failed"}, "failed", 0, "model failed"),
    "failed with half a character": ({"status": "failed", "error": "half \ud800 a pair"}, "failed", 0, "half"),
    "failed with an object": ({"status": "failed", "error": {"code": 7}}, "failed", 0, "code"),
    "canceled at the provider": ({"status": "canceled"}, "canceled", 0, "may have been billed"),
    "aborted": ({"status": "aborted"}, "aborted", 0, "not billed"),
}


def test_every_end_and_output_of_a_prediction_is_stored_for_what_it_is(tmp_path: Path) -> None:
    def case(plan: dict[str, Any], status: str, outputs: int, words: str) -> Callable[[Path], object]:
        def act(data: Path) -> None:
            found = run(data, planned(**plan))
            assert found.ending == (status, 1), found.operation.error
            assert len(found.outputs) == outputs and words in (found.operation.error or "")
            assert found.operation.sidecar["success"] is (status == "stored")
            assert not str(found.operation.sidecar["resultUrl"]).startswith("data:")

        return act

    together({name: case(*row) for name, row in ENDS.items()}, tmp_path)


def test_of_several_outputs_those_that_arrived_are_kept(tmp_path: Path) -> None:
    def script(standin: StandIn) -> None:
        standin.plan(output="two")
        standin.fault(on="delivery", kind="not_found", count=FETCH_ATTEMPTS)

    found = run(tmp_path / "data", script)
    assert found.operation.status == "failed" and "does not have" in (found.operation.error or "")
    assert found.outputs == [sample("webp")], "the second one"


def test_a_result_that_the_provider_has_deleted_ends_as_expired_with_the_link(tmp_path: Path) -> None:
    def at_the_poll(data: Path) -> None:
        with working(data, run=0.3) as (standin, app):
            operation_id = ask(app)
            app.runner.start()
            until(lambda: standin.world.records)
            standin.advance(3700)
            found = Run(ended(app, operation_id), standin.report(), app)
        check_expired(found, data)

    def at_the_download(data: Path) -> None:
        def script(standin: StandIn) -> None:
            deliver = standin.world.delivered

            def late(path: str) -> Any:
                standin.world.offset = 3700.0
                return deliver(path)

            standin.world.delivered = late  # type: ignore[method-assign] # an hour passes before the download

        check_expired(run(data, script), data)

    def check_expired(found: Run, data: Path) -> None:
        check(found, data)
        assert found.ending == ("expired", 1), found.operation.error
        assert "one hour" in (found.operation.error or "") or "does not have" in (found.operation.error or "")
        assert "https://replicate.com/p/" in (found.operation.error or "")

    together({"at the poll": at_the_poll, "at the download": at_the_download}, tmp_path)


@pytest.mark.long
def test_a_prediction_that_the_provider_does_not_know_any_more_ends_as_expired(tmp_path: Path) -> None:
    found = run(tmp_path / "data", lambda standin: standin.fault(on="status", kind="json", status=404, count=10_000), settle=0.5)
    assert found.ending == ("expired", 1) and "https://replicate.com/p/" in (found.operation.error or "")


# -- the token -----------------------------------------------------------------------------------------------------------


def test_the_token_is_in_no_file_no_log_line_and_no_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with working(tmp_path / "data") as (standin, app):
        for fault in ({"on": "status", "kind": "echo", "status": 500}, {"on": "create", "kind": "echo", "status": 400}):
            standin.fault(**fault)
        standin.fault(on="delivery", kind="html", status=503)
        standin.plan(status="failed", error=f"your header was Bearer {CANARY}")
        app.runner.start()
        ids = [ask(app) for _ in range(3)]
        operations = [ended(app, operation_id) for operation_id in ids]
        assert {operation.status for operation in operations} == {"stored", "failed"}
        assert all(CANARY not in str(delivery) for delivery in standin.report()["deliveries"])
        assert CANARY not in repr(app.settings) + repr(app.runner._around.providers)
    assert not secrets_in(tmp_path, CANARY)
    assert CANARY not in caplog.text and CANARY not in "".join(str(operation.sidecar) for operation in operations)
