"""What a camera shows while something hangs over its lens: dark cloth, a little light, the sensor's noise."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from simulator.scenes import reel
from simulator.scenes.reel import Encoding, ReelWriter
from simulator.scenes.street import Image, Sensor

CLOTH_LUMA, CLOTH_DEPTH = 26, 5
SECONDS = 2


def stem_for(folder: Path, encoding: Encoding) -> Path:
    """Where the covered reel of that picture size and rate lies; all such cameras share it."""
    return folder / f"covered-{encoding.width_px}x{encoding.height_px}-{encoding.fps}"


def render_covered(folder: Path, encoding: Encoding) -> None:
    """Renders the covered reel unless the cache holds it."""
    stem = stem_for(folder, encoding)
    if reel.exists(stem):
        return
    with ReelWriter(stem, encoding) as writer:
        for frame in _frames(encoding.width_px, encoding.height_px, SECONDS * encoding.fps):
            writer.add(frame)
        writer.close([(0.0, float(SECONDS), 1)], SECONDS)


def _frames(width_px: int, height_px: int, count: int) -> Iterator[Image]:
    dice = np.random.default_rng(1)
    coarse = dice.normal(CLOTH_LUMA, CLOTH_DEPTH, (5, 8)).astype(np.float32)
    cloth = cv2.resize(coarse, (width_px, height_px), interpolation=cv2.INTER_CUBIC)
    luma: Image = np.clip(cloth, 8, 60).astype(np.uint8)
    sensor = Sensor(width_px, height_px, 1)
    frame: Image = np.full((height_px * 3 // 2, width_px), 128, np.uint8)
    for _ in range(count):
        frame[:height_px] = luma
        sensor.expose(frame[:height_px], 1.0)
        yield frame
