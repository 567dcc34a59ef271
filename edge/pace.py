"""How far behind a live stream we are: media time against the clock."""

from __future__ import annotations

_FORGET = 0.001
"""Seconds per second by which the best delay seen is forgotten, so that a drifting camera clock is no lag."""
_JUMP_S = 5.0


class Pace:
    """Of one stream. A step in its timestamps starts the measure anew."""

    def __init__(self) -> None:
        self._best: float | None = None
        self._last = (0.0, 0.0)

    def behind_s(self, media_s: float, now_s: float) -> float:
        """Seconds by which the packet of `media_s` comes later than the promptest packet before it."""
        delay = now_s - media_s
        then_media, then_s = self._last
        self._last = (media_s, now_s)
        if self._best is None or not -1.0 <= media_s - then_media <= _JUMP_S:
            self._best = delay
        self._best = min(delay, self._best + _FORGET * max(0.0, now_s - then_s))
        return delay - self._best
