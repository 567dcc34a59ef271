"""Turns the drawn place and its traffic into video frames, with drifting light and a sensor's noise."""

from __future__ import annotations

import math
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from simulator.scenes import movers
from simulator.scenes.backdrop import backdrop
from simulator.scenes.geometry import Eye, box_corners
from simulator.scenes.painter import Painter
from simulator.scenes.programme import Programme
from simulator.scenes.traffic import Passage, eye_of, passages, scene_of

Image = NDArray[np.uint8]

FPS = 25
NOISE_SIGMA = 1.6
NOISE_OFFSET = 6
NOISE_SLACK_PX = 64
TRAFFIC_DRIFT, QUIET_DRIFT = 0.05, 0.02
"""How far the light swings; both clips begin and end at the same light, so that they join without a step."""


def light_at(at_s: float, programme: Programme) -> float:
    """The gain of the light at a second of the rendered material."""
    if at_s < programme.traffic_s:
        return 1.0 + TRAFFIC_DRIFT * math.sin(2 * math.pi * at_s / programme.traffic_s)
    return 1.0 + QUIET_DRIFT * math.sin(2 * math.pi * (at_s - programme.traffic_s) / programme.quiet_s)


class Sensor:
    """Light and noise of one camera, laid over the luma of a frame in place."""

    def __init__(self, width_px: int, height_px: int, seed: int) -> None:
        self._dice = np.random.default_rng(seed)
        shape = (height_px + NOISE_SLACK_PX, width_px + NOISE_SLACK_PX)
        noise = self._dice.normal(NOISE_OFFSET, NOISE_SIGMA, shape)
        self._noise: Image = np.clip(np.rint(noise), 0, 2 * NOISE_OFFSET).astype(np.uint8)

    def expose(self, luma: Image, gain: float) -> None:
        """`luma` (height, width), brightened by `gain`, with fresh noise."""
        height, width = luma.shape
        down, right = self._dice.integers(0, NOISE_SLACK_PX, 2)
        cv2.convertScaleAbs(luma, dst=luma, alpha=gain, beta=-NOISE_OFFSET)
        cv2.add(luma, self._noise[down : down + height, right : right + width], dst=luma)


class Planes:
    """An I420 picture in one buffer (height * 3 / 2, width), with views of its planes."""

    def __init__(self, width_px: int, height_px: int) -> None:
        self.width_px, self.height_px = width_px, height_px
        self.buffer: Image = np.empty((height_px * 3 // 2, width_px), np.uint8)
        quarter = height_px // 4
        self.y = self.buffer[:height_px]
        self.u = self.buffer[height_px : height_px + quarter].reshape(height_px // 2, width_px // 2)
        self.v = self.buffer[height_px + quarter :].reshape(height_px // 2, width_px // 2)

    def copy_from(self, other: Planes) -> None:
        np.copyto(self.buffer, other.buffer)

    def paste_bgr(self, picture: Image, left_px: int, top_px: int) -> None:
        """Lays a BGR picture, whose height is a multiple of 4, at an even place."""
        height, width = picture.shape[:2]
        patch = Planes(width, height)
        cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420, dst=patch.buffer)
        self.y[top_px : top_px + height, left_px : left_px + width] = patch.y
        top, left = top_px // 2, left_px // 2
        self.u[top : top + height // 2, left : left + width // 2] = patch.u
        self.v[top : top + height // 2, left : left + width // 2] = patch.v

    def halved(self, into: Planes) -> None:
        """The same picture at half the width and height."""
        for own, theirs in ((self.y, into.y), (self.u, into.u), (self.v, into.v)):
            size = (theirs.shape[1], theirs.shape[0])
            np.copyto(theirs, cv2.resize(own, size, interpolation=cv2.INTER_AREA))


class Street:
    """The rendered view of one camera, frame by frame."""

    def __init__(self, scene_name: str, seed: int, programme: Programme, caption: str) -> None:
        scene = scene_of(scene_name)
        self.eye = eye_of(scene, seed)
        self.programme = programme
        self._passages = sorted(passages(scene_name, seed, programme), key=lambda p: -p.lane_m)
        self._empty_bgr = backdrop(scene, self.eye, seed, caption)
        self._empty = Planes(self.eye.width_px, self.eye.height_px)
        self._empty.paste_bgr(self._empty_bgr, 0, 0)
        self._frame = Planes(self.eye.width_px, self.eye.height_px)
        self._sensor = Sensor(self.eye.width_px, self.eye.height_px, seed)

    def frames(self) -> Iterator[Planes]:
        """Every frame of the rendered material at 25 a second; the same buffer each time."""
        for index in range(self.programme.rendered_s * FPS):
            yield self.frame(index / FPS)

    def frame(self, at_s: float) -> Planes:
        """The frame at a second of the rendered material."""
        self._frame.copy_from(self._empty)
        present = [p for p in self._passages if p.begin_s - 2 < at_s < p.end_s + 2]
        window = _window(self.eye, present, at_s)
        if window is not None:
            self._draw(present, window, at_s)
        self._sensor.expose(self._frame.y, light_at(at_s, self.programme))
        return self._frame

    def _draw(self, present: list[Passage], window: tuple[int, int, int, int], at_s: float) -> None:
        left, top, right, bottom = window
        canvas = self._empty_bgr[top:bottom, left:right].copy()
        painter = Painter(self.eye, canvas, left, top)
        for passage in present:
            movers.paint(painter, passage, at_s)
        self._frame.paste_bgr(canvas, left, top)


def _window(eye: Eye, present: list[Passage], at_s: float) -> tuple[int, int, int, int] | None:
    """Left, top, right, bottom of what holds all movers, in multiples of 4 pixels; None: nothing."""
    corners = [_outline(eye, passage, at_s) for passage in present]
    corners = [pixels for pixels in corners if len(pixels)]
    if not corners:
        return None
    points = np.concatenate(corners)
    limit = np.array([eye.width_px, eye.height_px])
    low = np.clip(np.floor(points.min(axis=0)) - 4, 0, limit).astype(int) // 4 * 4
    high = np.clip(np.ceil(points.max(axis=0)) + 4, 0, limit).astype(int) // 4 * 4
    if (high - low < 4).any():
        return None
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _outline(eye: Eye, passage: Passage, at_s: float) -> NDArray[np.float64]:
    """Pixels (N, 2) whose bounding box holds the mover and its shadow."""
    (x0, y0, z0), (x1, y1, z1) = passage.box(at_s)
    corners = box_corners((x0 - 0.2, y0 - 0.3, z0), (x1 + 0.2, y1, z1))
    if (eye.see(corners)[:, 2] < 0.5).all():
        return np.empty((0, 2))
    faces = [corners[[0, 1, 3, 2]], corners[[4, 5, 7, 6]], corners[[0, 1, 5, 4]], corners[[2, 3, 7, 6]]]
    return np.concatenate([eye.project(face) for face in faces])
