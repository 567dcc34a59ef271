"""How old is too old: of a car's link, a source's silence, and an observation itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from hub.domain.unit import Unit, UnitLink
from wire.observations import NEWS_LIMIT, Lateness, Observation

FUTURE_TOLERANCE = timedelta(minutes=2)
"""A device's clock further ahead of ours than this can't be believed (GPS and NTP keep within seconds)."""
MISSED_INTERVALS = 3
"""GB/T 28181-2016: offline after three missed keepalives."""
LEAST_SILENCE = timedelta(seconds=30)


def lateness_at(observation: Observation, now: datetime) -> Lateness:
    """The adapter's marking, sharpened by the hub's own clock. Only ever from `live` to something later."""
    if observation.lateness is not Lateness.LIVE:
        return observation.lateness
    device_at = observation.device_at
    if device_at is not None and device_at - min(observation.heard_at, now) > FUTURE_TOLERANCE:
        return Lateness.FUTURE
    if now - observation.heard_at > NEWS_LIMIT:
        return Lateness.BUFFERED
    return Lateness.LIVE


def silence_limit(interval_s: float) -> timedelta:
    """How long a source with this interval may be quiet before that is itself an observation."""
    return max(LEAST_SILENCE, timedelta(seconds=interval_s * MISSED_INTERVALS))


def link_at(heard_at: datetime | None, interval_s: float, now: datetime) -> UnitLink:
    """A car's link by the age of its last word: stale over 30 s, lost over 120 s, or 3 and 12 intervals."""
    if heard_at is None:
        return UnitLink.UNKNOWN
    age = (now - heard_at).total_seconds()
    if age > max(120.0, 12 * interval_s):
        return UnitLink.LOST
    return UnitLink.STALE if age > max(30.0, 3 * interval_s) else UnitLink.ONLINE


_WORSE = (UnitLink.UNKNOWN, UnitLink.ONLINE, UnitLink.STALE, UnitLink.LOST)


def aged(unit: Unit, interval_s: float, now: datetime) -> Unit:
    """`unit` as of `now`: time makes a link only worse; better it becomes by being heard."""
    link = link_at(unit.heard_at, interval_s, now)
    return replace(unit, link=link) if _WORSE.index(link) > _WORSE.index(unit.link) else unit
