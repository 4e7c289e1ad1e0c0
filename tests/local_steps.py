"""What the tests of the local engine have in common: one call, and a look at what came out."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from PIL import Image

from opstore.providers import Prediction, Report, StepRequest
from opstore.providers.local import LocalEngine

Pixels = npt.NDArray[np.int64]


def silent(share: float, what: str) -> None:
    """Hear a report and do nothing."""


def ask(kind: str, prompt: str, *inputs: bytes, report: Report = silent, **parameters: Any) -> Prediction:
    """Return what the local engine answers."""
    request = StepRequest("20251103143022_abc123de", kind, prompt, parameters, inputs, "opstore/local")
    return LocalEngine().create(request, report)


def made(kind: str, prompt: str, *inputs: bytes, **parameters: Any) -> bytes:
    """Return the file that the local engine makes."""
    prediction = ask(kind, prompt, *inputs, **parameters)
    assert prediction.status == "succeeded", prediction.error
    (data,) = prediction.outputs
    assert isinstance(data, bytes)
    return data


def picture(data: bytes) -> Image.Image:
    """Return a file as a picture."""
    with Image.open(io.BytesIO(data)) as opened:
        opened.load()
        return opened


def pixels(data: bytes | Image.Image) -> Pixels:
    """Return the red, green and blue of a picture as whole numbers that may be subtracted."""
    return np.asarray((picture(data) if isinstance(data, bytes) else data).convert("RGB")).astype(np.int64)


def edited(prompt: str, data: bytes) -> Pixels:
    """Return the pixels of an edited picture, without the losses of a format."""
    return pixels(made("image_edit_single", prompt, data, outputFormat="png"))


def frames(data: bytes) -> Iterator[Pixels]:
    """Decode the frames of a video."""
    with av.open(io.BytesIO(data), "r") as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24").astype(np.int64)


def far(one: Pixels, two: Pixels) -> float:
    """Return the mean difference of two pictures, in steps of 255."""
    assert one.shape == two.shape
    return float(np.abs(one - two).mean())
