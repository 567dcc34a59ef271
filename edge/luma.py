"""From a decoded picture's luma plane to the small grid that motion and picture health look at."""

from __future__ import annotations

from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Luma: TypeAlias = NDArray[np.uint8]
"""(height, width) brightness, 0 to 255; rows may be padded."""

GRID_W = 160
GRID_H = 90

# One camera is one thread of work: OpenCV's own pool would only add hops on grids of this size.
cv2.setNumThreads(1)


def plane_view(plane: Any, line_size: int, width: int, height: int) -> Luma:
    """The picture inside a decoder's plane without copying; `line_size` is the plane's bytes per row."""
    return np.ndarray((height, width), np.uint8, plane, 0, (line_size, 1))


class Reducer:
    """Shrinks pictures of one size to the grid by area steps into buffers of its own."""

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self.height = height
        self._steps = [np.empty((h, w), np.uint8) for w, h in _steps(width, height)]

    def reduce(self, luma: Luma) -> Luma:
        """(GRID_H, GRID_W) means of `luma`; valid until the next call."""
        for step in self._steps:
            luma = cv2.resize(luma, step.shape[::-1], dst=step, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
        return luma


def _steps(width: int, height: int) -> list[tuple[int, int]]:
    # Exact halvings run in vector code; only the last, small step is a general one.
    steps = []
    while width >= 2 * GRID_W and height >= 2 * GRID_H and width % 2 == 0 and height % 2 == 0:
        width, height = width // 2, height // 2
        steps.append((width, height))
    if (width, height) != (GRID_W, GRID_H) or not steps:
        steps.append((GRID_W, GRID_H))
    return steps
