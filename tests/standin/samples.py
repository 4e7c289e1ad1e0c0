"""Small, real, decodable files of every kind that models return, made once a process."""

from __future__ import annotations

import io
from functools import cache

CONTENT_TYPES = {"webp": "image/webp", "png": "image/png", "jpg": "image/jpeg", "mp4": "video/mp4"}


@cache
def sample(extension: str) -> bytes:
    """Return a picture of 96 × 64 or a video of a second, as `extension` says."""
    return _video() if extension == "mp4" else _picture({"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}[extension])


def _picture(kind: str) -> bytes:
    from PIL import Image

    picture = Image.linear_gradient("L").resize((96, 64)).convert("RGB")
    buffer = io.BytesIO()
    picture.save(buffer, kind)
    return buffer.getvalue()


def _video() -> bytes:
    import av
    from PIL import Image

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=8)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for step in range(8):
            picture = Image.new("RGB", (96, 64), (step * 30, 80, 200 - step * 20))
            frame = av.VideoFrame.from_image(picture)  # type: ignore[no-untyped-call]  # PyAV leaves this one untyped
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()
