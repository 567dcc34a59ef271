"""Whether a picture can be trusted, judged from its grids: frozen, or covered, black or white. Debounced.

**Frozen.** A live sensor has noise, so that no two key frames are alike. A picture is frozen when for
`FROZEN_S` nothing in it moved and each of its key frames equals one before it. Only key frames are compared:
between them a codec repeats a still picture exactly even when the sensor is alive. A camera whose key frames
never differed since it was first watched (a noiseless, drawn scene) is given `FROZEN_UNPROVEN_S`.

**Covered.** The picture has lost its detail: next to none at all, or a small part of what this camera
usually shows.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.luma import Luma
from wire.observations import Condition

FROZEN_S = 12.0
FROZEN_UNPROVEN_S = 180.0
COVERED_S = 4.0
CLEAR_S = 3.0
"""A fault that goes away must stay away for so long."""

_ALIKE = 0.02
"""Mean difference of two grids, grey levels, up to which they are the same picture."""
_CHANGED = 8
"""Grey levels by which a cell of a picture that stands still doesn't differ from key frame to key frame."""
_LEAST_KEYS = 3
_FLAT = 2.2
"""Mean step between coarse cells below which nothing can be seen, whatever the camera usually shows."""
_COVERED_SHARE = 0.25
_TELLING = 2.5
"""Usual detail from which a loss can be told from a plain scene."""
_COARSE = (40, 22)
_KEYS_KEPT = 4


@dataclass(frozen=True, slots=True)
class Fault:
    """A picture fault began, ended, or (`active` False at first) is known not to be there."""

    condition: Condition
    active: bool


class Debounce:
    """A yes or no that must stand for a while before it is believed. Unknown at first."""

    def __init__(self, set_s: float, clear_s: float) -> None:
        self._set_s = set_s
        self._clear_s = clear_s
        self.state: bool | None = None
        self._since: float | None = None
        self._leaning: bool | None = None

    @property
    def leaning(self) -> bool:
        """Whether the last word was yes, believed or not."""
        return self._leaning is True

    def lean(self, towards: bool, at_s: float) -> bool | None:
        """The new state if `towards` has now stood long enough and is news; else None."""
        if towards != self._leaning:
            self._leaning, self._since = towards, at_s
        wait = self._set_s if towards else self._clear_s
        if self.state == towards or self._since is None or at_s - self._since < wait:
            return None
        self.state = towards
        return towards


class PictureHealth:
    """State of one camera. `look` takes its grids in order; times are of a clock that only goes forward."""

    def __init__(self) -> None:
        self._frozen = Debounce(0.0, CLEAR_S)
        self._covered = Debounce(COVERED_S, CLEAR_S)
        self._keys: list[Luma] = []
        self._alike_since: float | None = None
        self._alike_keys = 0
        self._lively = False
        self._usual: float | None = None
        self._judged_at = -1.0

    def look(self, grid: Luma, at_s: float, *, key: bool, moving: bool) -> list[Fault]:
        """What became known with `grid`, (90, 160); `key`: from a key frame; `moving`: motion was seen."""
        faults = []
        if moving or self._covered.leaning:
            self._alike_since = None  # what can't be seen can't be called frozen
        if key:
            faults += self._judge_frozen(grid, at_s)
        if at_s - self._judged_at >= 1.0:
            self._judged_at = at_s
            faults += self._judge_covered(grid, at_s)
        return faults

    def interrupted(self) -> None:
        """The stream ended or was cut: pictures before and after are not compared."""
        self._keys.clear()
        self._alike_since = None

    def _judge_frozen(self, grid: Luma, at_s: float) -> list[Fault]:
        same = any(_alike(grid, key) for key in self._keys)
        if self._keys and not same:
            self._lively = True
        self._keys = [*self._keys[-(_KEYS_KEPT - 1) :], grid.copy()]
        if not same or self._alike_since is None:
            self._alike_since, self._alike_keys = at_s, 0
        self._alike_keys += same
        wait = FROZEN_S if self._lively else FROZEN_UNPROVEN_S
        frozen = same and self._alike_keys >= _LEAST_KEYS and at_s - self._alike_since >= wait
        if same and not frozen and self._frozen.state is None:
            return []  # not yet known either way
        if same and not frozen and self._frozen.state:
            frozen = True  # a repeated picture doesn't clear a standing fault
        return _news(Condition.PICTURE_FROZEN, self._frozen.lean(frozen, at_s))

    def _judge_covered(self, grid: Luma, at_s: float) -> list[Fault]:
        detail = detail_of(grid)
        usual = self._usual if self._usual is not None else detail
        covered = detail < _FLAT or (usual >= _TELLING and detail < _COVERED_SHARE * usual)
        if not covered:
            pace = 0.05 if self._covered.state is None else 0.005
            self._usual = usual + pace * (detail - usual)
        return _news(Condition.PICTURE_COVERED, self._covered.lean(covered, at_s))


def detail_of(grid: Luma) -> float:
    """Mean step between neighbouring coarse cells, grey levels; sensor noise is averaged out."""
    coarse: NDArray[np.float32] = cv2.resize(grid, _COARSE, interpolation=cv2.INTER_AREA).astype(np.float32)
    across = float(np.abs(np.diff(coarse, axis=1)).mean())
    down = float(np.abs(np.diff(coarse, axis=0)).mean())
    return across + down


def _alike(a: Luma, b: Luma) -> bool:
    if cv2.norm(a, b, cv2.NORM_INF) > _CHANGED:
        return False
    return cv2.norm(a, b, cv2.NORM_L1) <= _ALIKE * a.size


def _news(condition: Condition, state: bool | None) -> list[Fault]:
    return [] if state is None else [Fault(condition, state)]
