"""Streets drawn by the benchmark itself, so that what moves in them is known exactly. Seeded.

Nothing here is shared with the simulator or the detector; the faults (rain, shake, flicker, …) are drawn
from how they arise, at strengths taken before the detector was tried on them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT, FPS = 640, 360, 5

Picture: TypeAlias = NDArray[np.float32]
Box: TypeAlias = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels."""

LEAST_VISIBLE = 0.4
"""An object counts as present when so much of it is inside the picture; a lesser part is neither."""


@dataclass(frozen=True, slots=True)
class Mover:
    """One thing that crosses the picture, from `start_s`, at `speed` pixels a second (below 0: leftwards)."""

    start_s: float
    speed: float
    base: float
    """Row of its foot."""
    width: float
    height: float
    tone: float
    person: bool
    lit: bool = False

    @property
    def leaves_s(self) -> float:
        return self.start_s + (WIDTH + self.width) / abs(self.speed)

    def box(self, at_s: float) -> Box:
        gone = (at_s - self.start_s) * abs(self.speed)
        left = gone - self.width if self.speed > 0 else WIDTH - gone
        return left, self.base - self.height, left + self.width, self.base

    def visible(self, at_s: float) -> float:
        """Share of its width that is inside the picture."""
        left, _, right, _ = self.box(at_s)
        return max(0.0, min(right, WIDTH) - max(left, 0.0)) / self.width


@dataclass(frozen=True, slots=True)
class Frame:
    """A drawn picture and the truth about it."""

    luma: NDArray[np.uint8]
    boxes: tuple[Box, ...]
    """Of objects that count as present."""
    unsure: bool
    """An object is there, but too little of it to ask for or to call false."""


Change: TypeAlias = Callable[[Picture, float, np.random.Generator], Picture]


@dataclass(frozen=True, slots=True)
class Scene:
    """A street with its movers and what troubles the picture."""

    name: str
    seed: int
    seconds: float = 80.0
    light: float = 1.0
    noise: float = 2.0
    changes: tuple[Change, ...] = ()
    lit: bool = False

    def frames(self) -> Iterator[Frame]:
        """The scene's pictures at `FPS`."""
        rng = np.random.default_rng(self.seed)
        street = _street(rng) * self.light
        movers = _traffic(rng, self.seconds, lit=self.lit)
        grain = rng.normal(0.0, 1.0, (HEIGHT + 128, WIDTH + 128)).astype(np.float32)
        for index in range(int(self.seconds * FPS)):
            yield self._frame(index / FPS, street, movers, grain, rng)

    def _frame(
        self,
        at_s: float,
        street: Picture,
        movers: list[Mover],
        grain: Picture,
        rng: np.random.Generator,
    ) -> Frame:
        picture = street.copy()
        present, unsure = [], False
        for mover in movers:
            share = mover.visible(at_s)
            if share > 0.0:
                _draw(picture, mover, at_s, self.light)
            if share >= LEAST_VISIBLE:
                present.append(mover.box(at_s))
            elif share > 0.0:
                unsure = True
        for change in self.changes:
            picture = change(picture, at_s, rng)
        y, x = rng.integers(0, 128, 2)
        picture = picture + self.noise * grain[y : y + HEIGHT, x : x + WIDTH]
        return Frame(np.clip(picture, 0, 255).astype(np.uint8), tuple(present), unsure)


def _street(rng: np.random.Generator) -> Picture:
    picture = np.full((HEIGHT, WIDTH), 150.0, np.float32)
    picture += cv2.resize(rng.normal(0, 12, (12, 20)).astype(np.float32), (WIDTH, HEIGHT))
    x = 0
    while x < WIDTH:  # house fronts with windows
        width = int(rng.integers(60, 130))
        picture[20:190, x : x + width] = rng.uniform(70, 180)
        for wx in range(x + 8, x + width - 16, 24):
            for wy in range(34, 170, 34):
                picture[wy : wy + 20, wx : wx + 13] = rng.uniform(30, 210)
        x += width
    picture[190:220] = 165.0
    road = picture[220:]
    road[:] = 95.0
    road += cv2.resize(rng.normal(0, 6, (35, 160)).astype(np.float32), (WIDTH, HEIGHT - 220))
    for lane in range(10, WIDTH, 90):
        picture[286:291, lane : lane + 44] = 205.0
    return cv2.GaussianBlur(picture, (3, 3), 0.8).astype(np.float32)


def _traffic(rng: np.random.Generator, seconds: float, *, lit: bool) -> list[Mover]:
    movers, at = [], 8.0 + rng.uniform(0, 3)
    while at < seconds - 8:
        person = rng.random() < 0.4 and not lit
        speed = rng.uniform(45, 90) if person else rng.uniform(110, 320)
        tone = rng.choice([rng.uniform(20, 60), rng.uniform(140, 230)])
        size = rng.uniform(0.8, 1.25)
        width, height = (20 * size, 52 * size) if person else (110 * size, 46 * size)
        base = rng.uniform(212, 250) if person else rng.uniform(262, 345)
        mover = Mover(
            at, speed * rng.choice([-1, 1]), base, width, height, float(tone), person, lit and not person
        )
        movers.append(mover)
        at = mover.leaves_s + rng.uniform(1.5, 5.0)
    return movers


def _draw(picture: Picture, mover: Mover, at_s: float, light: float) -> None:
    left, top, right, bottom = (round(v) for v in mover.box(at_s))
    if mover.person:
        _draw_person(picture, mover, at_s, light)
        return
    shade = (slice(max(bottom - 5, 0), bottom + 5), slice(max(left - 6, 0), max(right + 6, 0)))
    picture[shade] *= 0.6
    tone = mover.tone * light
    middle = top + (bottom - top) * 2 // 5
    cv2.rectangle(picture, (left, middle), (right, bottom - 4), tone, -1)
    roof = (right - left) // 5
    corners = np.array(
        [[left + roof, top], [right - roof, top], [right - 4, middle], [left + 4, middle]], np.int32
    )
    cv2.fillPoly(picture, [corners], tone * 0.55 + 15 * light)
    for wheel in (left + roof, right - roof):
        cv2.circle(picture, (wheel, bottom - 4), 8, 15.0 * light, -1)
    if mover.lit:
        front = right if mover.speed > 0 else left
        _lamp(picture, front, middle + 8, 1 if mover.speed > 0 else -1)


def _draw_person(picture: Picture, mover: Mover, at_s: float, light: float) -> None:
    left, top, right, bottom = mover.box(at_s)
    middle, tone = (left + right) / 2, mover.tone * light
    head = (right - left) * 0.3
    cv2.circle(picture, (round(middle), round(top + head)), round(head), 170.0 * light, -1)
    cv2.rectangle(
        picture,
        (round(left + head / 2), round(top + 2 * head)),
        (round(right - head / 2), round(top + (bottom - top) * 0.62)),
        tone,
        -1,
    )
    swing = np.sin(at_s * 7.0) * (right - left) * 0.35
    for side in (swing, -swing):
        hip, foot = (
            (round(middle), round(top + (bottom - top) * 0.6)),
            (
                round(middle + side),
                round(bottom),
            ),
        )
        cv2.line(picture, hip, foot, tone * 0.7, 5)


def _lamp(picture: Picture, x: int, y: int, towards: int) -> None:
    pool = np.zeros_like(picture)
    corners = np.array([[x, y], [x + towards * 130, y - 8], [x + towards * 130, y + 40]], np.int32)
    cv2.fillPoly(pool, [corners], 60.0)
    picture += cv2.GaussianBlur(pool, (0, 0), 9)
    cv2.circle(picture, (x, y), 4, 250.0, -1)


def _steps(picture: Picture, at_s: float, _rng: np.random.Generator) -> Picture:
    """A lamp or an exposure control that jumps every 9 s; every third time one half of the picture only."""
    turn = int(at_s // 9)
    factor = (1.0, 0.72, 1.15, 0.85)[turn % 4]
    if turn % 3 == 2:
        picture[:, WIDTH // 2 :] *= 1.2
    picture *= np.float32(factor)
    return picture


def _drift(picture: Picture, at_s: float, _rng: np.random.Generator) -> Picture:
    """Clouds: slow, and different from left to right."""
    across = np.linspace(0, 1.2, WIDTH, dtype=np.float32)
    factor = 1.0 + 0.22 * np.sin(2 * np.pi * (at_s / 37.0) + across)
    picture *= factor[None, :].astype(np.float32)
    return picture


def _flicker(picture: Picture, at_s: float, _rng: np.random.Generator) -> Picture:
    """Mains light against the shutter: brightness beats, in bands over the rows."""
    rows = np.linspace(0, 4 * np.pi, HEIGHT, dtype=np.float32)
    factor = 1.0 + 0.05 * np.sin(2 * np.pi * 1.7 * at_s) + 0.03 * np.sin(rows + 2 * np.pi * 2.3 * at_s)
    picture *= factor[:, None].astype(np.float32)
    return picture


def _shake(picture: Picture, at_s: float, rng: np.random.Generator) -> Picture:
    """A pole in the wind: up to two pixels, in gusts."""
    gust = 0.4 + 1.0 * max(0.0, np.sin(2 * np.pi * at_s / 16.0))
    dx, dy = rng.normal(0, gust, 2)
    move = np.array([[1, 0, np.clip(dx, -2.5, 2.5)], [0, 1, np.clip(dy, -2.5, 2.5)]], np.float32)
    moved = cv2.warpAffine(picture, move, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
    return moved.astype(np.float32)


def _rain(picture: Picture, _at_s: float, rng: np.random.Generator) -> Picture:
    """A hundred and fifty streaks a picture, some of them close to the lens."""
    streaks = np.zeros_like(picture)
    for _ in range(150):
        x, y = int(rng.integers(0, WIDTH)), int(rng.integers(-30, HEIGHT))
        near = rng.random() < 0.08
        length = int(rng.integers(30, 60)) if near else int(rng.integers(8, 24))
        cv2.line(
            streaks,
            (x, y),
            (x - length // 6, y + length),
            70.0 if near else 45.0,
            3 if near else 1,
            cv2.LINE_AA,
        )
    return picture + streaks


def _sweep(picture: Picture, at_s: float, _rng: np.random.Generator) -> Picture:
    """Headlights of cars out of view pass over the house fronts every 11 s, for 2 s."""
    phase = (at_s % 11.0) / 2.0
    if phase < 1.0 and at_s > 6:
        pool = np.zeros_like(picture)
        cv2.ellipse(pool, (int(phase * 800 - 80), 110), (120, 60), 0, 0, 360, 1.0, -1)
        pool = cv2.GaussianBlur(pool, (0, 0), 30).astype(np.float32)
        picture *= 1.0 + 0.9 * pool
    return picture


def _leaves(picture: Picture, at_s: float, rng: np.random.Generator) -> Picture:
    """A tree at the left edge whose leaves never hang still."""
    crown = np.random.default_rng(5).normal(0, 38, (30, 24)).astype(np.float32) + 80
    sway, dip = 3 * np.sin(at_s * 2.1) + rng.normal(0, 0.8), rng.normal(0, 0.8)
    shift = np.array([[1, 0, sway], [0, 1, dip]], np.float32)
    tree = cv2.warpAffine(cv2.resize(crown, (120, 150)), shift, (120, 150), borderMode=cv2.BORDER_REFLECT)
    picture[10:160, 0:120] = tree
    return picture


def all_scenes(shift: int = 0) -> list[Scene]:
    """Every scene, each troubled by one thing; `shift` draws others of the same kinds."""
    kinds = [
        Scene("day", 11),
        Scene("dusk", 12, light=0.45, noise=4.0),
        Scene("night", 13, light=0.22, noise=7.0, lit=True),
        Scene("rain", 14, light=0.8, noise=3.0, changes=(_rain,)),
        Scene("light_steps", 15, changes=(_steps,)),
        Scene("drift", 16, changes=(_drift,)),
        Scene("flicker", 17, light=0.7, noise=3.0, changes=(_flicker,)),
        Scene("shake", 18, changes=(_shake,)),
        Scene("headlights", 19, light=0.25, noise=5.0, lit=True, changes=(_sweep,)),
        Scene("leaves", 20, changes=(_leaves,)),
    ]
    return [replace(scene, seed=scene.seed + shift) for scene in kinds]
