"""Draws what moves: cars, vans, lorries, buses, electric bicycles and walkers, as boxes with plates."""

from __future__ import annotations

import numpy as np

from simulator.scenes import plates
from simulator.scenes.geometry import Floats
from simulator.scenes.painter import Bgr, Painter, shaded
from simulator.scenes.traffic import BUS, CAR, EBIKE, TRUCK, VAN, WALKER, Kind, Passage

GLASS: Bgr = (70, 60, 50)
TYRE: Bgr = (25, 25, 25)
SHADOW: Bgr = (52, 52, 52)
SKIN: Bgr = (120, 150, 190)
HEADLIGHT: Bgr = (235, 250, 250)
TAILLIGHT: Bgr = (40, 40, 200)
PLATE_Z_M = (0.45, 0.59)


def paint(painter: Painter, passage: Passage, at_s: float) -> None:
    """The mover as it stands at that second of the traffic clip."""
    (x0, y0, _), (x1, y1, _) = passage.box(at_s)
    painter.ground((x0 - 0.15, y0 - 0.25), (x1 + 0.15, y1), SHADOW)
    _SHAPES[passage.kind](painter, passage, x0, y0)


def _car(painter: Painter, passage: Passage, x: float, y: float) -> None:
    """Body, then the cabin set in from both ends, then glass, wheels, lights and plate."""
    kind, colour = passage.kind, passage.colour_bgr
    x1, y1 = x + kind.length_m, y + kind.width_m
    painter.box((x, y, 0.25), (x1, y1, 0.85), colour)
    painter.box((x + 0.9, y + 0.12, 0.85), (x1 - 0.7, y1 - 0.12, kind.height_m), colour)
    painter.near_side((x + 1.05, x1 - 0.85), y + 0.12, (0.92, kind.height_m - 0.12), GLASS)
    _glass_end(painter, passage, x + 0.9, x1 - 0.7, (0.92, kind.height_m - 0.1))
    _dress(painter, passage, x, y)


def _van(painter: Painter, passage: Passage, x: float, y: float) -> None:
    """One body with glass over its front half."""
    kind = passage.kind
    x1, y1 = x + kind.length_m, y + kind.width_m
    painter.box((x, y, 0.3), (x1, y1, kind.height_m), passage.colour_bgr)
    painter.near_side((x + 0.4, x1 - 0.4), y, (1.15, kind.height_m - 0.2), GLASS)
    _glass_end(painter, passage, x, x1, (1.1, kind.height_m - 0.2))
    _dress(painter, passage, x, y)


def _bus(painter: Painter, passage: Passage, x: float, y: float) -> None:
    """A long body with a row of windows and a stripe."""
    kind = passage.kind
    x1, y1 = x + kind.length_m, y + kind.width_m
    painter.box((x, y, 0.35), (x1, y1, kind.height_m), passage.colour_bgr)
    painter.near_side((x, x1), y, (0.9, 1.15), (60, 140, 60))
    for index in range(6):
        left = x + 0.4 + index * (kind.length_m - 0.6) / 6
        painter.near_side((left, left + (kind.length_m - 0.6) / 6 - 0.25), y, (1.5, 2.6), GLASS)
    _glass_end(painter, passage, x, x1, (1.3, 2.7))
    _dress(painter, passage, x, y)


def _truck(painter: Painter, passage: Passage, x: float, y: float) -> None:
    """A cab and a load box, in the order in which the camera sees one before the other."""
    kind, colour = passage.kind, passage.colour_bgr
    x1, y1 = x + kind.length_m, y + kind.width_m
    ahead = passage.velocity_mps > 0
    cab = (x1 - 1.9, x1) if ahead else (x, x + 1.9)
    load = (x, x1 - 2.1) if ahead else (x + 2.1, x1)
    parts = [(load, kind.height_m, shaded(colour, 0.8)), (cab, 2.4, colour)]
    for (left, right), height, paint_colour in sorted(parts, key=lambda part: -abs(sum(part[0]))):
        painter.box((left, y, 0.45), (right, y1, height), paint_colour)
    painter.near_side((cab[0] + 0.3, cab[1] - 0.3), y, (1.4, 2.1), GLASS)
    if _shows_front(passage, _seen_end(x, x1), x):
        _glass_end(painter, passage, x, x1, (1.3, 2.1))
    _dress(painter, passage, x, y)


def _ebike(painter: Painter, passage: Passage, x: float, y: float) -> None:
    """Two wheels, a low body and a rider."""
    for middle in (x + 0.3, x + 1.5):
        _wheel(painter, middle, y + 0.3, 0.28)
    painter.box((x + 0.2, y + 0.2, 0.3), (x + 1.6, y + 0.5, 0.7), passage.colour_bgr)
    painter.box((x + 0.7, y + 0.1, 0.7), (x + 1.1, y + 0.6, 1.35), shaded(passage.colour_bgr[::-1], 0.8))
    painter.box((x + 0.78, y + 0.22, 1.37), (x + 1.02, y + 0.48, 1.6), SKIN)


def _walker(painter: Painter, passage: Passage, x: float, y: float) -> None:
    """Legs, coat, head."""
    painter.box((x + 0.1, y + 0.12, 0.0), (x + 0.4, y + 0.48, 0.8), (60, 50, 45))
    painter.box((x + 0.05, y + 0.02, 0.8), (x + 0.45, y + 0.58, 1.42), passage.colour_bgr)
    painter.box((x + 0.14, y + 0.2, 1.45), (x + 0.36, y + 0.42, 1.7), SKIN)


_SHAPES = {CAR: _car, VAN: _van, BUS: _bus, TRUCK: _truck, EBIKE: _ebike, WALKER: _walker}


def _dress(painter: Painter, passage: Passage, x: float, y: float) -> None:
    """What all vehicles have: wheels, lights and a plate on the end that the camera sees."""
    kind = passage.kind
    for middle in (x + kind.length_m * 0.18, x + kind.length_m * 0.82):
        _wheel(painter, middle, y - 0.01, 0.33)
    seen_x = _seen_end(x, x + kind.length_m)
    if seen_x is None:
        return
    light = HEADLIGHT if _shows_front(passage, seen_x, x) else TAILLIGHT
    for left in (y + 0.1, y + kind.width_m - 0.4):
        painter.end_side(seen_x, (left, left + 0.3), (0.6, 0.75), light)
    if passage.plate:
        painter.picture(_plate_corners(seen_x, y, kind), plates.plate(passage.plate))


def _seen_end(x0: float, x1: float) -> float | None:
    """Which end of a body faces the camera at x = 0, if any does."""
    if x0 > 0:
        return x0
    return x1 if x1 < 0 else None


def _shows_front(passage: Passage, seen_x: float | None, x0: float) -> bool:
    """Whether the end that the camera sees is the one that drives ahead."""
    return seen_x is not None and (seen_x > x0) == (passage.velocity_mps > 0)


def _glass_end(painter: Painter, passage: Passage, x0: float, x1: float, z: tuple[float, float]) -> None:
    seen_x = _seen_end(x0, x1)
    if seen_x is not None:
        y0 = passage.lane_m - passage.kind.width_m / 2
        painter.end_side(seen_x, (y0 + 0.22, y0 + passage.kind.width_m - 0.22), z, GLASS)


def _plate_corners(x_m: float, y_m: float, kind: Kind) -> Floats:
    """The plate's corners (4, 3), in reading order as seen from outside the vehicle."""
    middle = y_m + kind.width_m / 2
    near, far = middle - plates.WIDTH_M / 2, middle + plates.WIDTH_M / 2
    # Facing -x (its seen end is at x > 0) the reader stands at smaller x and sees far on the left.
    left, right = (far, near) if x_m > 0 else (near, far)
    low, high = PLATE_Z_M
    return np.array([[x_m, left, high], [x_m, right, high], [x_m, right, low], [x_m, left, low]], float)


_ANGLES = np.linspace(0, 2 * np.pi, 12, endpoint=False)
_RIM = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)


def _wheel(painter: Painter, x_m: float, y_m: float, radius_m: float) -> None:
    for share, colour in ((1.0, TYRE), (0.5, (120, 120, 120))):
        rim = _RIM * radius_m * share
        points = np.stack([x_m + rim[:, 0], np.full(len(rim), y_m), radius_m + rim[:, 1]], axis=1)
        painter.polygon(points, colour)
