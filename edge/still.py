"""A JPEG of a decoded picture, small enough to travel in an observation."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from wire.observations import MAX_STILL_BYTES

STILL_W = 640


def jpeg(picture: NDArray[np.uint8]) -> bytes:
    """`picture`, (height, width, 3) blue-green-red, as JPEG under `MAX_STILL_BYTES`; coarser where needed."""
    for quality in (82, 65, 45, 25):
        done, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
        if done and encoded.size <= MAX_STILL_BYTES:
            return encoded.tobytes()
    return b""


def still_size(width: int, height: int) -> tuple[int, int]:
    """Width and height of a still: at most `STILL_W` wide, the picture's own shape, even numbers."""
    if width <= STILL_W:
        return width, height
    return STILL_W, max(2, round(height * STILL_W / width / 2) * 2)
