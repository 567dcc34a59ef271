"""Draws what stands still: road, kerbs, houses, trees, stalls, a checkpoint's booth."""

from __future__ import annotations

import random
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from simulator.scenes.geometry import Eye
from simulator.scenes.painter import Bgr, Painter, shaded
from simulator.scenes.traffic import Scene

Image = NDArray[np.uint8]

ASPHALT: Bgr = (92, 90, 88)
PAVEMENT: Bgr = (150, 152, 155)
LINE: Bgr = (205, 208, 210)
YELLOW: Bgr = (60, 170, 205)
WALLS: tuple[Bgr, ...] = ((150, 165, 180), (130, 140, 165), (165, 160, 150), (120, 135, 150), (140, 120, 110))
WINDOW: Bgr = (95, 85, 75)
LEAF: Bgr = (58, 95, 62)
TRUNK: Bgr = (50, 65, 85)
AWNINGS: tuple[Bgr, ...] = ((50, 50, 170), (150, 100, 40), (60, 140, 170), (70, 130, 70))
REACH_M = 90.0


def backdrop(scene: Scene, eye: Eye, seed: int, caption: str) -> Image:
    """The empty place (height, width, 3) in BGR, with the camera's caption in its corner."""
    dice = random.Random(f"place:{scene.name}:{seed}")
    canvas = _sky(eye)
    painter = Painter(eye, canvas)
    edge_m = scene.lanes[-1][0] + 2.5
    _ground(painter, scene, edge_m)
    _houses(painter, dice, edge_m + 5.0)
    if scene.name == "market":
        _stalls(painter, dice, edge_m + 1.2)
    else:
        _trees(painter, dice, edge_m + 2.0)
    if scene.name == "checkpoint":
        _booth(painter, edge_m)
    return _weathered(canvas, seed, caption)


def _sky(eye: Eye) -> Image:
    shades = np.linspace(225, 185, eye.height_px)[:, None, None] * np.array([1.0, 0.97, 0.93])
    return np.ascontiguousarray(np.broadcast_to(shades, (eye.height_px, eye.width_px, 3))).astype(np.uint8)


def _ground(painter: Painter, scene: Scene, edge_m: float) -> None:
    first_m = scene.lanes[0][0] - 2.0
    painter.ground((-160, 0.5), (160, 200), (110, 118, 120))
    painter.ground((-160, 0.5), (160, first_m), PAVEMENT)
    painter.ground((-160, first_m), (160, edge_m), ASPHALT)
    painter.ground((-160, edge_m), (160, edge_m + 4.5), PAVEMENT)
    for y_m in (first_m + 0.2, edge_m - 0.3):
        painter.ground((-REACH_M, y_m), (REACH_M, y_m + 0.13), LINE)
    for near, far in pairwise(scene.lanes):
        _lane_line(painter, (near[0] + far[0]) / 2, solid=near[1] != far[1])


def _lane_line(painter: Painter, y_m: float, solid: bool) -> None:
    if solid:
        painter.ground((-REACH_M, y_m), (REACH_M, y_m + 0.15), YELLOW)
        return
    for x_m in np.arange(-REACH_M, REACH_M, 6.0):
        painter.ground((x_m, y_m), (x_m + 2.5, y_m + 0.13), LINE)


def _houses(painter: Painter, dice: random.Random, front_m: float) -> None:
    """A row of houses, drawn from far to near so that the nearer hides the farther."""
    houses = []
    x_m = -REACH_M
    while x_m < REACH_M:
        width_m = dice.uniform(9, 18)
        houses.append((x_m, x_m + width_m - 0.6, dice.randint(2, 5), dice.choice(WALLS)))
        x_m += width_m
    for x0, x1, floors, wall in sorted(houses, key=lambda house: -min(abs(house[0]), abs(house[1]))):
        _house(painter, (x0, x1), front_m, floors, wall)


def _house(painter: Painter, x: tuple[float, float], front_m: float, floors: int, wall: Bgr) -> None:
    x0, x1 = x
    painter.box((x0, front_m, 0.0), (x1, front_m + 12, floors * 3.2), wall)
    for floor in range(1, floors):
        for left in np.arange(x0 + 0.8, x1 - 2.0, 2.6):
            painter.near_side((left, left + 1.4), front_m, (floor * 3.2 + 0.9, floor * 3.2 + 2.4), WINDOW)
    painter.near_side((x0 + 0.4, x1 - 0.4), front_m, (0.1, 2.5), shaded(wall, 0.55))
    painter.near_side((x0 + 0.2, x1 - 0.2), front_m, (2.55, 3.2), AWNINGS[int(abs(x0)) % len(AWNINGS)])


def _trees(painter: Painter, dice: random.Random, y_m: float) -> None:
    for x_m in sorted(np.arange(-REACH_M, REACH_M, 9.0), key=lambda x: -abs(x)):
        top_m = dice.uniform(4.5, 6.0)
        painter.box((x_m, y_m, 0), (x_m + 0.3, y_m + 0.3, 2.4), TRUNK)
        for _ in range(26):
            middle = np.array(
                [x_m + dice.gauss(0.1, 0.8), y_m + dice.gauss(0, 0.5), dice.uniform(2.2, top_m)]
            )
            seen = painter.eye.project(middle[None])
            if len(seen):
                depth_m = float(painter.eye.see(middle[None])[0, 2])
                radius_px = max(1, int(painter.eye.focal_px * 0.55 / depth_m))
                colour = shaded(LEAF, dice.uniform(0.7, 1.35))
                cv2.circle(
                    painter.canvas, tuple(seen[0].astype(int).tolist()), radius_px, colour, -1, cv2.LINE_AA
                )


def _stalls(painter: Painter, dice: random.Random, y_m: float) -> None:
    for x_m in sorted(np.arange(-REACH_M, REACH_M, 4.2), key=lambda x: -abs(x)):
        painter.box((x_m, y_m + 0.6, 0), (x_m + 3.2, y_m + 1.8, 0.9), (90, 120, 150))
        for _ in range(7):
            left = x_m + dice.uniform(0.1, 2.7)
            goods = (dice.randint(30, 90), dice.randint(60, 190), dice.randint(60, 210))
            painter.box((left, y_m + 0.7, 0.9), (left + 0.4, y_m + 1.2, 1.1), goods)
        painter.box((x_m - 0.1, y_m, 2.2), (x_m + 3.4, y_m + 2.2, 2.45), dice.choice(AWNINGS))


def _booth(painter: Painter, edge_m: float) -> None:
    """The duty booth beyond the road, its blue band, its striped barrier drawn up."""
    for side in (-1, 1):
        x_m = side * 11.0
        painter.box((x_m, edge_m + 0.4, 0), (x_m + 2.4, edge_m + 2.4, 2.7), (215, 215, 215))
        painter.near_side((x_m, x_m + 2.4), edge_m + 0.4, (1.9, 2.4), (150, 70, 20))
        painter.near_side((x_m + 0.4, x_m + 2.0), edge_m + 0.4, (0.9, 1.8), WINDOW)
        for step in range(8):
            colour = (40, 40, 200) if step % 2 else (230, 230, 230)
            painter.near_side(
                (x_m - 1.0, x_m - 0.85), edge_m + 0.2, (1.0 + step * 0.5, 1.5 + step * 0.5), colour
            )


def _weathered(canvas: Image, seed: int, caption: str) -> Image:
    """Grain of the materials, a lens's softness, and the caption that a camera lays over its picture."""
    speckle = np.random.default_rng(seed).normal(0, 9, canvas.shape[:2])
    grain = cv2.GaussianBlur(speckle, (0, 0), 1.2)
    rough = np.clip(canvas.astype(np.float32) + grain[:, :, None], 0, 255).astype(np.uint8)
    soft = np.asarray(cv2.GaussianBlur(rough, (3, 3), 0.6), np.uint8)
    place = (24, canvas.shape[0] - 24)
    cv2.putText(soft, caption, place, cv2.FONT_HERSHEY_SIMPLEX, 0.9, (30, 30, 30), 4, cv2.LINE_AA)
    cv2.putText(soft, caption, place, cv2.FONT_HERSHEY_SIMPLEX, 0.9, (240, 240, 240), 2, cv2.LINE_AA)
    return soft
