"""Frames as an H.264 MP4 that browsers play: yuv420p, moov first, BT.709, no timestamp: the same frames are the same bytes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

import av
import av.video.reformatter
import numpy as np
from PIL import Image

#: Fixed, because x264 spreads its decisions over its threads: another number would give other bytes.
_THREADS = "2"
_BT709 = 1
#: x264's macroblock tree gives other bytes from one call to the next on CPUs with AVX-512 (seen with the libx264 in PyAV 18.1:
#: the same frames, three files in twelve runs; one file without it, or with AVX-512 off). It costs a few per cent of size.
_STEADY = "mbtree=0"


def encoded(frames: Iterable[Image.Image], size: tuple[int, int], fps: int, done: Callable[[int], None]) -> bytes:
    """Return the frames as an MP4 file; `done` is told the number of frames after each, and may raise to stop.

    The file grows in a folder of its own that is gone when this returns or raises: moving the index to the front needs a file.
    """
    with tempfile.TemporaryDirectory(prefix="opstore-video-") as folder:
        path = Path(folder) / "video.mp4"
        try:
            _write(path, frames, size, fps, done)
        except av.FFmpegError as error:
            # Only some of these are also an OSError or a ValueError; the provider knows all of them by one type.
            raise RuntimeError(f"encoding failed: {error}") from error
        return path.read_bytes()


def _write(path: Path, frames: Iterable[Image.Image], size: tuple[int, int], fps: int, done: Callable[[int], None]) -> None:
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    with av.open(str(path), "w", format="mp4", container_options=options) as container:
        stream = container.add_stream(
            "libx264", rate=fps, options={"preset": "veryfast", "crf": "20", "threads": _THREADS, "x264-params": _STEADY}
        )
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, fps)
        stream.codec_context.gop_size = fps * 2
        stream.codec_context.color_primaries = stream.codec_context.color_trc = stream.codec_context.colorspace = _BT709
        for number, frame in enumerate(frames):
            container.mux(stream.encode(_as_video_frame(frame, number, fps)))
            done(number + 1)
        container.mux(stream.encode(None))


def _as_video_frame(picture: Image.Image, number: int, fps: int) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(np.asarray(picture), format="rgb24")
    converted = frame.reformat(
        format="yuv420p",
        dst_colorspace=av.video.reformatter.Colorspace.ITU709,
        dst_color_range=av.video.reformatter.ColorRange.MPEG,
    )
    converted.pts = number
    converted.time_base = Fraction(1, fps)
    return converted
