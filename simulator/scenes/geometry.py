"""The eye of a rendered camera: a pinhole on a mast that looks down at a straight road.

World axes in metres: x along the road, y across it and away from the camera, z up. The camera stands at
(0, 0, height). In the picture u runs right and v down.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

NEAR_M = 0.4


@dataclass(frozen=True)
class Eye:
    """`yaw_deg` is the angle from the road's +x direction to the optical axis, `pitch_deg` is downwards."""

    height_m: float
    yaw_deg: float
    pitch_deg: float
    hfov_deg: float
    width_px: int = 1280
    height_px: int = 720

    @cached_property
    def focal_px(self) -> float:
        return self.width_px / 2 / math.tan(math.radians(self.hfov_deg) / 2)

    @cached_property
    def axes(self) -> Floats:
        """(3, 3): rows right, down, forward in world axes."""
        yaw, pitch = math.radians(self.yaw_deg), math.radians(self.pitch_deg)
        forward = np.array(
            [math.cos(yaw) * math.cos(pitch), math.sin(yaw) * math.cos(pitch), -math.sin(pitch)]
        )
        right = np.array([math.sin(yaw), -math.cos(yaw), 0.0])
        return np.stack([right, np.cross(forward, right), forward])

    def see(self, points_m: Floats) -> Floats:
        """World points (N, 3) in camera axes (N, 3): right, down, forward, in metres."""
        relative: Floats = points_m - np.array([0.0, 0.0, self.height_m])
        seen: Floats = relative @ self.axes.T
        return seen

    def project(self, points_m: Floats) -> Floats:
        """A convex polygon (N, 3) in the world to pixels (M, 2), cut at the near plane; M may be 0."""
        seen = clip_near(self.see(points_m))
        centre = np.array([self.width_px / 2, self.height_px / 2])
        pixels: Floats = centre + self.focal_px * seen[:, :2] / seen[:, 2:3]
        return pixels


def clip_near(seen: Floats) -> Floats:
    """The part of a convex polygon (N, 3) in camera axes that lies at least NEAR_M before the camera."""
    depth = seen[:, 2]
    if (depth >= NEAR_M).all():
        return seen
    kept: list[Floats] = []
    for index in range(len(seen)):
        here, there = seen[index - 1], seen[index]
        if (here[2] >= NEAR_M) != (there[2] >= NEAR_M):
            kept.append(here + (there - here) * (NEAR_M - here[2]) / (there[2] - here[2]))
        if there[2] >= NEAR_M:
            kept.append(there)
    return np.array(kept).reshape(-1, 3)


def box_corners(begin_m: tuple[float, float, float], end_m: tuple[float, float, float]) -> Floats:
    """The 8 corners (8, 3) of an axis-aligned box; index bits are x, y, z (0 begin, 1 end)."""
    pairs = np.array([begin_m, end_m])
    return np.array([[pairs[i & 1, 0], pairs[i >> 1 & 1, 1], pairs[i >> 2 & 1, 2]] for i in range(8)])


FACES = {
    "left": (0, 4, 6, 2),
    "right": (1, 3, 7, 5),
    "near": (0, 1, 5, 4),
    "top": (4, 5, 7, 6),
}
"""Corners of the faces a camera at x = 0 in front of the road can see, in order around the face."""


def visible_faces(
    begin_m: tuple[float, float, float], end_m: tuple[float, float, float], height_m: float
) -> list[str]:
    """Names of the faces of a box that look towards the camera, farthest first."""
    faces = []
    if end_m[2] < height_m:
        faces.append("top")
    if begin_m[0] > 0:
        faces.append("left")
    if end_m[0] < 0:
        faces.append("right")
    faces.append("near")
    return faces
