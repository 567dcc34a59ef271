"""Motion in one camera's picture: grids in, moving regions out. No clock, no I/O.

A running background is compared with each grid after taking out the change of light that all cells share.
A cell differs when it is further from its background than its own noise allows. A blob of such cells moves
when part of it also changed since the grid before, and counts when it did so twice on end. What differs but
no longer moves (a parked car, the place a parked car left) becomes background.

Made for about five grids a second (`INTERVAL_S`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.luma import GRID_H, GRID_W, Luma

INTERVAL_S = 0.2
"""The pace the detector's memory is made for."""

Box: TypeAlias = tuple[int, int, int, int]
"""Left, top, width, height in grid cells."""

_Plane: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Tuning:
    """What decides; grey levels unless said otherwise. The defaults hold for every camera."""

    floor: float = 4.0
    """Least difference from the background that can matter: codec steps and rounding stay below."""
    noise_factor: float = 4.5
    """Times a cell's own usual difference (its 80th percentile)."""
    noise_most: float = 10.0
    """A busy road's cells must not grow blind."""
    least_cells: int = 10
    """Smallest blob, of 14,400."""
    least_moving: float = 0.04
    """Share of a blob's cells that must have changed since the grid before."""
    learn: float = 0.22
    """Background's step towards the picture, every fourth grid."""
    learn_light: float = 0.6
    """The same for the mean light of each part of the picture."""
    still_grids: int = 12
    """A blob that stopped is background after so many grids (about 2.4 s)."""
    cut_share: float = 0.5
    """More of the picture changing at once than this is another scene or another light, not an object."""
    least_texture: float = 1.5
    """Mean step between neighbouring cells, times their noise, from which there are edges to compare."""
    light_likeness: float = 0.8
    """Correlation of edges above which a difference is light on the same surface, not an object."""
    warm_grids: int = 5
    """Grids from which the first background is averaged."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one grid showed."""

    boxes: tuple[Box, ...] = ()
    """Blobs that move, confirmed by the grid before."""
    share: float = 0.0
    """Of the picture, covered by those blobs' cells."""
    relearning: bool = False
    """The background is being made anew: nothing can be said."""

    @property
    def moving(self) -> bool:
        return bool(self.boxes)


@dataclass(slots=True)
class _Blob:
    box: Box
    cells: int
    moving: bool
    run: int = 1
    """Grids on end in which it moved."""
    proven: int = 0
    """Grids for which it needs no further proof of being more than light."""


_NOTHING = Seen()
_RELEARNING = Seen(relearning=True)
_SPECK = np.ones((4, 4), np.uint8)
_PAIR = np.ones((1, 2), np.uint8)
_SAMPLE = (slice(2, None, 6), slice(3, None, 8))
_MOST_BLOBS = 24
_LEAST = np.float32(1.0)
"""Of the background, so that ratios to it stand."""
_PARTS = (8, 5)
_LIGHT_MOST = np.float32(6.0)
_PROOF_GRIDS = 5
_NOISE_LEAST = np.float32(0.3)


class MotionDetector:
    """State of one camera. `look` takes its grids in order."""

    def __init__(self, tuning: Tuning | None = None) -> None:
        self._t = tuning or Tuning()
        shape = (GRID_H, GRID_W)
        self._background: _Plane = np.zeros(shape, np.float32)
        self._noise: _Plane = np.zeros(shape, np.float32)
        self._now: _Plane = np.zeros(shape, np.float32)
        self._before: _Plane = np.zeros(shape, np.float32)
        self._signed: _Plane = np.zeros(shape, np.float32)
        self._difference: _Plane = np.zeros(shape, np.float32)
        self._limit: _Plane = np.zeros(shape, np.float32)
        self._work: _Plane = np.zeros(shape, np.float32)
        self._ratios = np.ones(self._now[_SAMPLE].shape, np.float32)
        self._differs = np.zeros(shape, np.uint8)
        self._changed = np.zeros(shape, np.uint8)
        self._still = np.zeros(shape, np.uint8)
        self.relearn()

    @property
    def _restless(self) -> bool:
        return self._unrest > 0.4

    def relearn(self) -> None:
        """Forgets the background: the next grids make a new one."""
        self._age = 0
        self._gain = self._gain_before = 1.0
        self._unrest = 0.0
        self._specks = 0
        self._share = 0.0
        self._blobs: list[_Blob] = []
        self._noise.fill(1.0)
        self._set_limit()
        self._still.fill(0)

    def look(self, grid: Luma) -> Seen:
        """What moves in `grid`, (GRID_H, GRID_W), against the grids before."""
        self._before, self._now = self._now, self._before
        cv2.boxFilter(grid, cv2.CV_32F, (3, 3), dst=self._now)
        self._age += 1
        if self._age <= self._t.warm_grids:
            return self._warm()
        self._compare()
        return self._decide()

    def _warm(self) -> Seen:
        if self._age == 1:
            np.maximum(self._now, _LEAST, out=self._background)
        else:
            cv2.accumulateWeighted(self._now, self._background, 1.0 / self._age)
        return _RELEARNING

    def _compare(self) -> None:
        """Marks the cells that differ from the background in the present light."""
        self._gain_before, self._gain = self._gain, self._light()
        cv2.addWeighted(self._now, 1.0, self._background, -self._gain, 0.0, dst=self._signed)
        np.abs(self._signed, out=self._difference)
        cv2.compare(self._difference, self._limit, cv2.CMP_GT, dst=self._differs)

    def _compare_before(self) -> None:
        """Marks the cells that changed since the grid before."""
        np.multiply(self._before, self._gain / self._gain_before, out=self._work)
        cv2.absdiff(self._now, self._work, dst=self._work)
        cv2.compare(self._work, self._limit, cv2.CMP_GT, dst=self._changed)
        cv2.bitwise_and(self._changed, self._differs, dst=self._changed)

    def _light(self) -> float:
        """How much brighter the whole picture is than the background: median ratio over a sparse grid."""
        ratios = np.divide(self._now[_SAMPLE], self._background[_SAMPLE], out=self._ratios).ravel()
        ratios.sort()
        return min(max(float(ratios[ratios.size // 2]), 0.3), 3.0)

    def _decide(self) -> Seen:
        cells = cv2.countNonZero(self._differs)
        share = cells / self._differs.size
        sudden = share > self._t.cut_share and self._share < self._t.cut_share / 3
        self._share = share
        if sudden:
            self.relearn()
            self._age = 1
            return self._warm()
        blobs = self._find_blobs() if cells >= self._t.least_cells else []
        seen = self._judge(blobs)
        self._learn(blobs)
        return seen

    def _find_blobs(self) -> list[_Blob]:
        outlines, _ = cv2.findContours(self._solid(), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        boxes = [(w * h, (x, y, w, h)) for x, y, w, h in map(cv2.boundingRect, outlines)]
        boxes = [sized for sized in boxes if sized[0] >= self._t.least_cells]
        if not boxes:
            return []
        self._compare_before()
        boxes.sort(reverse=True)
        blobs = [self._measure(box) for _, box in boxes[:_MOST_BLOBS]]
        return [blob for blob in blobs if blob.cells >= self._t.least_cells]

    def _solid(self) -> Luma:
        """The cells that differ; in rain without what is thinner than two cells."""
        if not self._restless:
            return self._differs
        solid = cv2.morphologyEx(self._differs, cv2.MORPH_OPEN, _SPECK)
        self._specks = cv2.countNonZero(self._differs) - cv2.countNonZero(solid)
        return np.asarray(solid, np.uint8)

    def _measure(self, box: Box) -> _Blob:
        where = _within(box)
        cells = cv2.countNonZero(self._differs[where])
        changed = cv2.countNonZero(self._changed[where])
        return _Blob(box, cells, moving=changed >= max(3.0, self._t.least_moving * cells))

    def _judge(self, blobs: list[_Blob]) -> Seen:
        """Confirms blobs that moved in the grid before too; grows restless while they fail to."""
        if not (blobs or self._blobs or self._specks):
            self._unrest *= 0.95
            return _NOTHING
        earlier, moving = self._blobs, [blob for blob in blobs if blob.moving]
        for blob in moving:
            _follow(earlier, blob)
        need = 3 if self._restless else 2
        failed = sum(1 for e in earlier if e.run < need and not any(_same(e, b) for b in moving))
        self._unrest += 0.05 * (min(failed + self._specks / 40.0, 8.0) - self._unrest)
        self._specks = 0
        self._blobs = moving
        sure = [blob for blob in moving if blob.run >= need and self._is_object(blob)]
        if not sure:
            return _NOTHING
        return Seen(tuple(b.box for b in sure), sum(b.cells for b in sure) / self._differs.size)

    def _is_object(self, blob: _Blob) -> bool:
        if blob.proven == 0 and not self._only_light(blob.box):
            blob.proven = _PROOF_GRIDS
        return blob.proven > 0

    def _only_light(self, box: Box) -> bool:
        """Whether the differing cells still show the background's own edges, only brighter or darker."""
        where = _within(box)
        inside = cv2.erode(self._differs[where], _PAIR)[:, 1:] > 0
        if np.count_nonzero(inside) < self._t.least_cells:
            return False
        now = np.diff(self._now[where], axis=1)[inside]
        background = np.diff(self._background[where], axis=1)[inside]
        texture = float(background @ background)
        noise = float(self._noise[where].mean())
        if texture < inside.sum() * (self._t.least_texture * max(noise, 0.5)) ** 2:
            return False
        likeness = float(now @ background) / (texture * max(float(now @ now), 1e-3)) ** 0.5
        return bool(likeness > self._t.light_likeness)

    def _learn(self, blobs: list[_Blob]) -> None:
        """Takes turns, so that a grid costs little: the background every fourth grid, noise between."""
        self._settle(blobs)
        turn = self._age % 4
        if turn == 0:
            self._learn_background(blobs)
        elif turn == 2:
            self._learn_noise()

    def _learn_background(self, blobs: list[_Blob]) -> None:
        for blob in blobs:
            self._signed[_within(blob.box, margin=2)] = 0.0
        cv2.scaleAdd(self._signed, self._t.learn / self._gain, self._background, dst=self._background)
        self._learn_light()
        if abs(self._gain - 1.0) > 0.004:
            # The light that all cells share becomes the background's own, slowly.
            np.multiply(self._background, 1.0 + 0.12 * (self._gain - 1.0), out=self._background)
        np.maximum(self._background, _LEAST, out=self._background)

    def _learn_light(self) -> None:
        """Brings each part of the background to its part's light: a cloud's edge, a lamp, dusk at one side.

        An object can't do it: its cells count no more than the limit, and known blobs not at all.
        """
        np.minimum(self._signed, _LIGHT_MOST, out=self._work)
        np.maximum(self._work, -_LIGHT_MOST, out=self._work)
        coarse = cv2.resize(self._work, _PARTS, interpolation=cv2.INTER_AREA)
        cv2.resize(coarse, (GRID_W, GRID_H), dst=self._work, interpolation=cv2.INTER_LINEAR)
        cv2.scaleAdd(self._work, self._t.learn_light / self._gain, self._background, dst=self._background)

    def _learn_noise(self) -> None:
        """Follows each cell's 80th percentile of difference: up by 4 parts where exceeded, else down by 1."""
        step = 0.08 if self._age < 40 else 0.02
        cv2.compare(self._difference, self._noise, cv2.CMP_GT, dst=self._changed)
        np.multiply(self._changed, np.float32(5.0 * step / 255.0), out=self._work)
        np.add(self._work, np.float32(1.0 - step), out=self._work)
        np.multiply(self._noise, self._work, out=self._noise)
        np.minimum(self._noise, np.float32(self._t.noise_most), out=self._noise)
        np.maximum(self._noise, _NOISE_LEAST, out=self._noise)
        self._set_limit()

    def _set_limit(self) -> None:
        np.multiply(self._noise, np.float32(self._t.noise_factor), out=self._limit)
        np.add(self._limit, np.float32(self._t.floor), out=self._limit)

    def _settle(self, blobs: list[_Blob]) -> None:
        """What stopped becomes background once it has stood long enough."""
        standing = [blob for blob in blobs if not blob.moving]
        if not standing:
            self._still.fill(0)
            return
        counted = np.zeros_like(self._still)
        for blob in standing:
            where = _within(blob.box)
            counted[where] = self._still[where] + 1
            if int(counted[where].max()) >= self._t.still_grids or self._only_light(blob.box):
                self._background[where] = self._now[where] / self._gain
                counted[where] = 0
        self._still = counted


def _within(box: Box, margin: int = 0) -> tuple[slice, slice]:
    x, y, w, h = box
    return slice(max(y - margin, 0), y + h + margin), slice(max(x - margin, 0), x + w + margin)


def _follow(earlier: list[_Blob], blob: _Blob) -> None:
    """Lets a blob take over what was known of those it can have come from."""
    for before in earlier:
        if _same(before, blob):
            blob.run = max(blob.run, before.run + 1)
            blob.proven = max(blob.proven, before.proven - 1)


def _same(earlier: _Blob, later: _Blob) -> bool:
    """Whether two blobs of consecutive grids can be one thing: close by its own size, and of like size."""
    ax, ay, aw, ah = earlier.box
    bx, by, bw, bh = later.box
    reach_x, reach_y = max(3, (aw + bw) // 4), max(3, (ah + bh) // 4)
    apart_x = max(ax - (bx + bw), bx - (ax + aw))
    apart_y = max(ay - (by + bh), by - (ay + ah))
    return apart_x <= reach_x and apart_y <= reach_y
