"""Draws faces of boxes into a picture as a camera's eye sees them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from simulator.scenes.geometry import FACES, Eye, Floats, box_corners, visible_faces

Image = NDArray[np.uint8]
Bgr = tuple[int, int, int]

SUBPIXEL_BITS = 4
SHADE = {"top": 1.12, "near": 0.86, "left": 0.72, "right": 0.72}
"""How light falls on each face."""


def shaded(colour: Bgr, share: float) -> Bgr:
    """The colour, lighter or darker."""
    blue, green, red = (min(255, int(part * share)) for part in colour)
    return blue, green, red


class Painter:
    """Paints into a window of the camera's picture; `left_px` and `top_px` are the window's place in it."""

    def __init__(self, eye: Eye, canvas: Image, left_px: int = 0, top_px: int = 0) -> None:
        self.eye = eye
        self.canvas = canvas
        self.offset = np.array([left_px, top_px])

    def polygon(self, points_m: Floats, colour: Bgr) -> None:
        """A convex polygon (N, 3) in the world."""
        pixels = self.eye.project(points_m) - self.offset
        if len(pixels) >= 3:
            fixed = np.clip(pixels, -1e6, 1e6) * (1 << SUBPIXEL_BITS)
            cv2.fillConvexPoly(self.canvas, fixed.astype(np.int32), colour, cv2.LINE_AA, SUBPIXEL_BITS)

    def ground(self, begin_m: tuple[float, float], end_m: tuple[float, float], colour: Bgr) -> None:
        """A rectangle lying on the ground."""
        (x0, y0), (x1, y1) = begin_m, end_m
        self.polygon(np.array([[x0, y0, 0], [x1, y0, 0], [x1, y1, 0], [x0, y1, 0]], float), colour)

    def near_side(self, x: tuple[float, float], y_m: float, z: tuple[float, float], colour: Bgr) -> None:
        """An upright rectangle that faces the road's near side."""
        (x0, x1), (z0, z1) = x, z
        self.polygon(np.array([[x0, y_m, z0], [x1, y_m, z0], [x1, y_m, z1], [x0, y_m, z1]], float), colour)

    def end_side(self, x_m: float, y: tuple[float, float], z: tuple[float, float], colour: Bgr) -> None:
        """An upright rectangle that faces along the road."""
        (y0, y1), (z0, z1) = y, z
        self.polygon(np.array([[x_m, y0, z0], [x_m, y1, z0], [x_m, y1, z1], [x_m, y0, z1]], float), colour)

    def box(
        self, begin_m: tuple[float, float, float], end_m: tuple[float, float, float], colour: Bgr
    ) -> None:
        """A box with shaded faces."""
        corners = box_corners(begin_m, end_m)
        for face in visible_faces(begin_m, end_m, self.eye.height_m):
            self.polygon(corners[list(FACES[face])], shaded(colour, SHADE[face]))

    def picture(self, corners_m: Floats, picture: Image) -> None:
        """A picture on a rectangle (4, 3): its top left, top right, bottom right and bottom left corner."""
        pixels = self.eye.project(corners_m) - self.offset
        if len(pixels) != 4:
            return
        width = float(np.linalg.norm(pixels[1] - pixels[0]))
        if width < 6:
            return
        small = _near_size(picture, width)
        left, top = np.floor(pixels.min(axis=0)).astype(int)
        right, bottom = np.ceil(pixels.max(axis=0)).astype(int) + 1
        height_px, width_px = self.canvas.shape[:2]
        left, top, right, bottom = max(left, 0), max(top, 0), min(right, width_px), min(bottom, height_px)
        if right <= left or bottom <= top:
            return
        _warp(small, pixels - [left, top], self.canvas[top:bottom, left:right])


def _near_size(picture: Image, width_px: float) -> Image:
    """The picture brought down to at most twice the size it will be seen at, against flicker."""
    if width_px * 2 >= picture.shape[1]:
        return picture
    share = max(width_px * 1.5, 8) / picture.shape[1]
    small: Image = np.asarray(
        cv2.resize(picture, None, fx=share, fy=share, interpolation=cv2.INTER_AREA), np.uint8
    )
    return small


def _warp(picture: Image, corners_px: Floats, window: Image) -> None:
    """Lays the picture over the four corners in the window."""
    height, width = picture.shape[:2]
    source = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    matrix = cv2.getPerspectiveTransform(source, corners_px.astype(np.float32))
    size = (window.shape[1], window.shape[0])
    cv2.warpPerspective(
        picture, matrix, size, dst=window, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_TRANSPARENT
    )
