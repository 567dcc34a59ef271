"""The pan-tilt mount of a PTZ camera as pure motion: where it stands at any time, given what it was told."""

from __future__ import annotations

from dataclasses import dataclass, field

Vector = tuple[float, float, float]

LOW: Vector = (-1.0, -1.0, 0.0)
HIGH: Vector = (1.0, 1.0, 1.0)
FULL_SPEED: Vector = (0.4, 0.4, 0.3)
"""Of the whole range, per second, at a commanded speed of 1."""
MAX_PRESETS = 32


@dataclass
class Mount:
    """Pan, tilt and zoom in ONVIF's generic position space; `now` is seconds of any steady clock."""

    _from: Vector = (0.0, 0.0, 0.0)
    _velocity: Vector = (0.0, 0.0, 0.0)
    _since: float = 0.0
    _until: float = 0.0
    presets: dict[str, tuple[str, Vector]] = field(default_factory=dict)

    def at(self, now: float) -> Vector:
        """Where it stands."""
        spent = max(0.0, min(now, self._until) - self._since)
        pan, tilt, zoom = (
            min(max(start + speed * spent, low), high)
            for start, speed, low, high in zip(self._from, self._velocity, LOW, HIGH, strict=True)
        )
        return pan, tilt, zoom

    def moving(self, now: float) -> bool:
        """Whether it is on its way."""
        return now < self._until and any(self._velocity)

    def drive(self, speed: Vector, now: float, for_s: float) -> None:
        """Moves at that share of full speed until told otherwise or the time is over."""
        pan, tilt, zoom = (share * full for share, full in zip(speed, FULL_SPEED, strict=True))
        self._go((pan, tilt, zoom), now, for_s)

    def go_to(self, target: Vector, now: float) -> None:
        """Moves to a position, all axes arriving together. Raises ValueError where it lies out of range."""
        for name, value, low, high in zip(("pan", "tilt", "zoom"), target, LOW, HIGH, strict=True):
            if not low <= value <= high:
                raise ValueError(f"{name}: {value} is not between {low} and {high}")
        way = [goal - start for goal, start in zip(target, self.at(now), strict=True)]
        needs_s = max(abs(part) / full for part, full in zip(way, FULL_SPEED, strict=True))
        if needs_s > 0:
            pan, tilt, zoom = (part / needs_s for part in way)
            self._go((pan, tilt, zoom), now, needs_s)

    def stop(self, now: float) -> None:
        """Stands still."""
        self._go((0.0, 0.0, 0.0), now, 0.0)

    def _go(self, velocity: Vector, now: float, for_s: float) -> None:
        self._from = self.at(now)
        self._velocity, self._since, self._until = velocity, now, now + for_s
