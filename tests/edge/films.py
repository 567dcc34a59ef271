"""Draws small films with a known passing thing, and writes them as H.264 like a camera's substream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from edge.luma import Luma, Reducer

W, H, FPS = 640, 360, 5
_SPARE = 256
_GRAIN = np.random.default_rng(0).normal(0, 1, (H + _SPARE, W + _SPARE)).astype(np.float32)
"""Noise of which each picture takes another cut; drawn anew it would be most of the tests' time."""


def street(seed: int = 1) -> NDArray[np.float32]:
    """A still background, (360, 640), with houses and a road."""
    rng = np.random.default_rng(seed)
    picture = np.full((H, W), 120, np.float32)
    for left in range(0, W, 80):
        picture[30:200, left : left + 76] = rng.uniform(60, 190)
        picture[70:110, left + 20 : left + 50] = rng.uniform(20, 220)
    picture[200:] = 85
    picture[280:286, ::] = 190
    return picture


def noisy(picture: NDArray[np.float32], rng: np.random.Generator, sigma: float = 2.0) -> Luma:
    """The picture as a sensor gives it."""
    y, x = rng.integers(0, _SPARE, 2)
    return np.clip(picture + sigma * _GRAIN[y : y + H, x : x + W], 0, 255).astype(np.uint8)


def with_car(picture: NDArray[np.float32], left: float, tone: float = 215.0) -> NDArray[np.float32]:
    """The picture with a car whose left edge is at column `left`."""
    picture = picture.copy()
    x = round(left)
    cv2.rectangle(picture, (x, 250), (x + 110, 296), tone, -1)
    cv2.rectangle(picture, (x + 20, 232), (x + 85, 252), tone * 0.6, -1)
    return picture


def passing(
    seconds: float, passes: Iterable[tuple[float, float]], seed: int = 1, sigma: float = 2.0
) -> Iterator[Luma]:
    """A film in which a car crosses once in each `(from_s, to_s)`."""
    rng, empty, spans = np.random.default_rng(seed), street(seed), list(passes)
    for index in range(round(seconds * FPS)):
        at_s, picture = index / FPS, empty
        for start, end in spans:
            if start <= at_s < end:
                picture = with_car(empty, -110 + (W + 110) * (at_s - start) / (end - start))
        yield noisy(picture, rng, sigma)


def grids(pictures: Iterable[Luma]) -> Iterator[Luma]:
    """Each picture's grid."""
    reducer = Reducer(W, H)
    for picture in pictures:
        yield reducer.reduce(picture).copy()


def write(path: Path, pictures: Iterable[Luma], *, fps: int = FPS, key_every: int = 10) -> Path:
    """Encodes pictures as a camera's substream does: H.264, no B-frames, about 160 kbit/s at 5 fps."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = W, H, "yuv420p"
        stream.gop_size, stream.bit_rate = key_every, 32_000 * fps
        stream.options = {"preset": "veryfast", "tune": "zerolatency"}
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(picture, format="gray").reformat(format="yuv420p")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
