"""Rolling and arrived, judged from a car's fixes alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from hub.domain.geo import between


@dataclass(frozen=True, slots=True, kw_only=True)
class Geofence:
    """When a car counts as there. DISPATCH.md section 2 says 50 m for 20 s; roads end short of a site's gate,
    hence the wider default."""

    radius_m: float = 80.0
    dwell: timedelta = timedelta(seconds=15)
    rolling_m: float = 200.0
    """Moved so far since the order …"""
    rolling_kmh: float = 10.0
    """… and driving: it is on its way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """A car's place at an instant of its own clock."""

    lat: float
    lon: float
    at: datetime
    speed_kmh: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Approach:
    """How far one assignment has come, by its fixes."""

    start: tuple[float | None, float | None]
    """Where the car was when ordered."""
    goal: tuple[float | None, float | None]
    inside_since: datetime | None = None


class Sign(StrEnum):
    """What a fix proves."""

    NOTHING = "nothing"
    ROLLING = "rolling"
    ARRIVED = "arrived"


def advanced(approach: Approach, fix: Fix, fence: Geofence) -> tuple[Approach, Sign]:
    """The approach after `fix`, and what it proves."""
    here = (fix.lat, fix.lon)
    to_goal = between(here, approach.goal)
    if to_goal is not None and to_goal <= fence.radius_m:
        since = approach.inside_since or fix.at
        inside = Approach(start=approach.start, goal=approach.goal, inside_since=since)
        return inside, Sign.ARRIVED if fix.at - since >= fence.dwell else Sign.NOTHING
    outside = Approach(start=approach.start, goal=approach.goal)
    return outside, Sign.ROLLING if _rolls(approach, fix, fence) else Sign.NOTHING


def _rolls(approach: Approach, fix: Fix, fence: Geofence) -> bool:
    moved = between(approach.start, (fix.lat, fix.lon))
    if moved is None or moved <= fence.rolling_m:
        return False
    return fix.speed_kmh is None or fix.speed_kmh > fence.rolling_kmh
