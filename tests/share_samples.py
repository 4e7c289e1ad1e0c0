"""What the tests of share links have in common: files telling more than their pixels, an app over them, callers from outside."""

from __future__ import annotations

import functools
import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import av
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from starlette.applications import Starlette
from starlette.testclient import TestClient

from opstore.api import Api, middleware
from opstore.app import App, Settings
from opstore.shares import Scope, Share, Shares
from tests.media_samples import encoded, picture, video
from tests.samples import ID, LATER

ORIGIN = "https://share.example.org"
#: Words that stand in the files and sidecars below and in nothing that is handed on.
PLACE, OWNER, ORIGINAL, SECRET = "N48.8566", "Ada Owner", "IMG_4711_holiday.jpg", "zebra-in-the-prompt"
NEGATIVE, NOTE, PATH = "xylophone-negative", "private-note", "/home/ada/renders"
THIRD = "20251103143024_abc123df"
#: scrypt at next to no cost.
CHEAP = (16, 1, 1)


def gps_photo(image: Image.Image | None = None) -> bytes:
    """Return a JPEG as a phone writes it: lying on its side, with place, owner, its name, and something behind its end."""
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    exif[0x010E], exif[0x013B] = ORIGINAL, OWNER  # ImageDescription, Artist
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 51.0, 24.0), 3: "E", 4: (2.0, 21.0, 8.0), 29: "2025:11:03"})
    xmp = f"<x:xmpmeta xmlns:x='adobe:ns:meta/'>{PLACE} {OWNER}</x:xmpmeta>".encode()
    data = encoded(image or picture(), "JPEG", exif=exif, xmp=xmp, comment=OWNER.encode(), quality=95)
    return data + b"<script>" + PLACE.encode()


def telling_png() -> bytes:
    """Return a PNG as a generator writes it: with the prompt in its text, and the place in its EXIF."""
    chunks = PngInfo()
    chunks.add_text("parameters", f"{SECRET}\nNegative prompt: {NEGATIVE}\nSteps: 20, Seed: 5, Size: 80x48")
    chunks.add_itxt("workflow", f'{{"file": "{ORIGINAL}", "é": "{PLACE}"}}', zip=True)
    return encoded(picture(), "PNG", pnginfo=chunks)


@functools.cache
def telling_video(container: str = "mp4") -> bytes:
    """Return a video whose container names place, owner, prompt and original name."""
    out = io.BytesIO()
    with av.open(io.BytesIO(video(container)), mode="r") as source, av.open(out, "w", format=container) as target:
        target.metadata.update({"comment": SECRET, "location": PLACE, "artist": OWNER, "title": ORIGINAL})
        stream = target.add_stream_from_template(source.streams.video[0])
        stream.metadata.update({"handler_name": OWNER, "title": ORIGINAL})
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    return out.getvalue()


#: Everything that a recipient must not find where all is withheld.
TOLD = [
    word.encode() for word in (PLACE, OWNER, ORIGINAL, SECRET, NEGATIVE, NOTE, PATH, ID, LATER, THIRD, "brush/model", "0.120593")
]


def filled(root: Path) -> App:
    """Return an app with an edit of a phone's photo, a video, and one more operation that no link shows."""
    app = App(Settings(data=root / "data", share_url=ORIGIN))
    known: dict[str, Any] = {
        "prompt": f"make it {SECRET} at night",
        "provider": "replicate",
        "model": "brush/model",
        "cost": {"amount": 0.120593, "currency": "USD"},
        "parameters": {
            "seed": 77, "aspectRatio": "16:9", "negativePrompt": NEGATIVE, "style": SECRET, "output_path": f"{PATH}/{ORIGINAL}",
        },
        "annotations": {"tags": [NOTE], "favorite": True, "rating": 5, "note": NOTE},
        "workflowAnalysis": {"reasoning": SECRET},
        "steps": [{"prompt": SECRET, "model": "brush/model", "webUrl": f"https://example.org/{SECRET}"}],
        "parents": [THIRD],
        "resultUrl": f"https://example.org/{SECRET}/{ORIGINAL}",
        "originalName": ORIGINAL,
    }  # fmt: skip
    app.store.save(ID, {**known, "operationType": "image_edit_single"}, inputs=[gps_photo()], outputs=[telling_png()])
    app.store.save(LATER, {**known, "operationType": "text_to_video"}, outputs=[telling_video()])
    app.store.save(THIRD, {**known, "operationType": "text_to_image"}, outputs=[encoded(picture("L"), "PNG")])
    return app


def visitor(app: App, base: str = ORIGIN, host: str = "203.0.113.9") -> TestClient:
    """Return a caller from somewhere else, through a proxy that passes everything on."""
    served = Starlette(routes=Api(lambda: app).routes(), middleware=middleware(app.settings.share_url))
    return TestClient(served, base_url=base, client=(host, 50_000), raise_server_exceptions=False, follow_redirects=False)


PASSWORD = "correct horse é"


class Clock:
    """A clock that is set."""

    now = datetime(2026, 11, 25, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def opened_app(root: Path, clock: Clock) -> App:
    app = filled(root)
    app.service.shares = Shares(app.store, cost=CHEAP, clock=clock)
    return app


def made(app: App, **options: Any) -> tuple[Share, str]:
    scope = options.pop("scope", Scope("selection", (ID, LATER)))
    share = app.service.shares.create(scope, **options)
    return share, app.service.shares.token(share)


def enter(client: TestClient, token: str, password: str = PASSWORD) -> Any:
    return client.post(f"/s/{token}", data={"password": password})
