"""Blue number plates of the 1992 pattern (GA 36), drawn with strokes of our own: no font is needed."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

WIDTH_PX, HEIGHT_PX = 440, 140
"""One pixel a millimetre, as the standard's drawing has it."""
WIDTH_M, HEIGHT_M = 0.44, 0.14
BLUE_BGR = (150, 60, 10)
WHITE_BGR = (245, 245, 245)
LEFTS_PX = (15, 72, 151, 208, 265, 322, 379)
"""Left edges of the seven 45 x 90 cells; the dot stands between the second and the third."""
CELL_W_PX, CELL_H_PX, TOP_PX = 45, 90, 25

Stroke = tuple[tuple[int, int], ...]

PROVINCES: dict[str, tuple[Stroke, ...]] = {
    "苏": (
        ((5, 14), (95, 14)), ((32, 2), (32, 27)), ((68, 2), (68, 27)),
        ((14, 42), (72, 42), (70, 80), (62, 95), (48, 90)), ((42, 27), (40, 55), (28, 80), (10, 97)),
        ((20, 55), (8, 72)), ((80, 52), (94, 70)),
    ),
    "皖": (
        ((20, 2), (12, 14)), ((6, 16), (38, 16), (38, 92), (6, 92), (6, 16)), ((6, 53), (38, 53)),
        ((70, 2), (72, 14)), ((50, 30), (50, 18), (97, 18), (94, 30)), ((58, 38), (90, 38)),
        ((48, 56), (99, 56)), ((66, 56), (62, 80), (46, 97)), ((80, 56), (80, 92), (98, 92), (98, 80)),
    ),
    "鲁": (
        ((36, 2), (14, 20)), ((36, 6), (70, 6), (60, 18)), ((18, 20), (84, 20), (84, 48), (18, 48), (18, 20)),
        ((51, 20), (51, 48)), ((18, 34), (84, 34)), ((4, 58), (97, 58)),
        ((24, 66), (78, 66), (78, 97), (24, 97), (24, 66)), ((24, 81), (78, 81)),
    ),
    "沪": (
        ((8, 6), (20, 16)), ((4, 34), (16, 44)), ((20, 60), (6, 96)), ((60, 2), (66, 14)),
        ((38, 22), (92, 22), (92, 52), (38, 52)), ((38, 22), (38, 62), (26, 97)),
    ),
}  # fmt: skip
"""Strokes of the provinces' short names, in hundredths of the cell."""


@lru_cache(maxsize=256)
def plate(text: str) -> Image:
    """A plate (140, 440, 3) in BGR with that text of seven characters: a province, a letter, five more."""
    picture = np.empty((HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    picture[:] = BLUE_BGR
    cv2.rectangle(picture, (5, 5), (WIDTH_PX - 6, HEIGHT_PX - 6), WHITE_BGR, 3, cv2.LINE_AA)
    for left, letter in zip(LEFTS_PX, text, strict=False):
        picture[TOP_PX : TOP_PX + CELL_H_PX, left : left + CELL_W_PX] = _cell(letter)
    cv2.circle(picture, (134, 70), 5, WHITE_BGR, -1, cv2.LINE_AA)
    return picture


def _cell(letter: str) -> Image:
    """One character (90, 45, 3)."""
    return _strokes(PROVINCES[letter]) if letter in PROVINCES else _latin(letter)


def _strokes(strokes: tuple[Stroke, ...]) -> Image:
    cell = np.empty((CELL_H_PX, CELL_W_PX, 3), np.uint8)
    cell[:] = BLUE_BGR
    for stroke in strokes:
        points = np.array(stroke) * [(CELL_W_PX - 5) / 100, (CELL_H_PX - 5) / 100] + [2, 2]
        cv2.polylines(cell, [points.astype(np.int32)], False, WHITE_BGR, 4, cv2.LINE_AA)
    return cell


def _latin(letter: str) -> Image:
    """A letter or digit, drawn large and pressed into the tall cell of the standard."""
    canvas = np.empty((140, 140, 3), np.uint8)
    canvas[:] = BLUE_BGR
    cv2.putText(canvas, letter, (20, 115), cv2.FONT_HERSHEY_SIMPLEX, 4.4, WHITE_BGR, 15, cv2.LINE_AA)
    ys, xs = np.nonzero(canvas[:, :, 2] > 100)
    glyph = canvas[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
    inner_w = 14 if letter in "1I" else CELL_W_PX - 4
    cell = np.empty((CELL_H_PX, CELL_W_PX, 3), np.uint8)
    cell[:] = BLUE_BGR
    left = (CELL_W_PX - inner_w) // 2
    cell[1:-1, left : left + inner_w] = cv2.resize(
        glyph, (inner_w, CELL_H_PX - 2), interpolation=cv2.INTER_AREA
    )
    return cell
