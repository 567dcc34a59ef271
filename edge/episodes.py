"""From "something moves here now" to motion that begins and ends: joins short gaps, bounds its length."""

from __future__ import annotations

from dataclasses import dataclass

from edge.luma import GRID_H, GRID_W
from edge.motion import Box, Seen
from wire.observations import Region

HOLD_S = 1.0
"""Movement that pauses for less is one event."""
LONGEST_S = 120.0
"""An event that lasts longer is ended and the background made anew: it is more likely the picture's fault."""
MOST_REGIONS = 16


@dataclass(frozen=True, slots=True)
class Began:
    at_s: float
    regions: tuple[Region, ...]
    peak: float


@dataclass(frozen=True, slots=True)
class Ended:
    at_s: float
    """When movement was last seen."""
    regions: tuple[Region, ...]
    peak: float
    too_long: bool = False


@dataclass(slots=True)
class _Open:
    last_s: float
    began_s: float
    regions: tuple[Region, ...]
    peak: float


class Episodes:
    """Begin and end of motion of one camera; `at_s` is any clock that only goes forward."""

    def __init__(self) -> None:
        self._open: _Open | None = None

    @property
    def moving(self) -> bool:
        """Whether an event is open."""
        return self._open is not None

    def see(self, seen: Seen, at_s: float) -> Began | Ended | None:
        """Takes one analysis; says whether an event began or ended with it."""
        if self._open is None:
            return self._begin(seen, at_s) if seen.moving else None
        if seen.moving:
            self._go_on(self._open, seen, at_s)
        if at_s - self._open.began_s >= LONGEST_S:
            return self.close(too_long=True)
        if at_s - self._open.last_s >= HOLD_S:
            return self.close()
        return None

    def close(self, *, too_long: bool = False) -> Ended | None:
        """Ends the open event, e.g. because the picture was lost."""
        if self._open is None:
            return None
        done, self._open = self._open, None
        return Ended(done.last_s, done.regions, done.peak, too_long)

    def _begin(self, seen: Seen, at_s: float) -> Began:
        regions = regions_of(seen.boxes)
        self._open = _Open(at_s, at_s, regions, seen.share)
        return Began(at_s, regions, seen.share)

    def _go_on(self, event: _Open, seen: Seen, at_s: float) -> None:
        event.last_s = at_s
        if seen.share > event.peak:
            event.peak, event.regions = seen.share, regions_of(seen.boxes)


def regions_of(boxes: tuple[Box, ...]) -> tuple[Region, ...]:
    """Grid boxes in thousandths of the picture, the largest first."""
    ordered = sorted(boxes, key=lambda box: box[2] * box[3], reverse=True)
    return tuple(_region(box) for box in ordered[:MOST_REGIONS])


def _region(box: Box) -> Region:
    x, y, w, h = box
    left, top = round(1000 * x / GRID_W), round(1000 * y / GRID_H)
    right, bottom = round(1000 * (x + w) / GRID_W), round(1000 * (y + h) / GRID_H)
    return Region(left, top, right - left, bottom - top)
