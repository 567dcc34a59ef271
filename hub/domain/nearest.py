"""The units to send, best first, with the reason in figures."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from hub.domain.geo import between
from hub.domain.incident import Incident, Recommended
from hub.domain.unit import Unit, UnitLink, UnitStatus

DETOUR = 1.4
SPEED_KMH = 30.0
"""Straight line × 1.4 at 30 km/h where no road graph tells better (DISPATCH.md section 3)."""

_UNFIT = frozenset({UnitStatus.OFF_DUTY, UnitStatus.OUT_OF_SERVICE})
_LINK_ORDER = {UnitLink.ONLINE: 0, UnitLink.STALE: 1, UnitLink.LOST: 2, UnitLink.UNKNOWN: 3}
_FREE = frozenset({UnitStatus.AVAILABLE, UnitStatus.PATROLLING, UnitStatus.AT_CHECKPOINT})


def estimated_s(straight_m: float) -> float:
    """Driving time over a straight distance."""
    return straight_m * DETOUR / (SPEED_KMH / 3.6)


def recommended(
    incident: Incident, units: Iterable[Unit], now: datetime, *, limit: int = 10
) -> list[Recommended]:
    """Free units before busy ones; heard from lately before stale and lost; then by time to get there."""
    goal = (incident.lat, incident.lon)
    on_it = {one.unit for one in incident.assignments if one.cleared_at is None}
    fit = [unit for unit in units if unit.status not in _UNFIT and unit.id not in on_it]
    rows = [(unit, between((unit.lat, unit.lon), goal)) for unit in fit]
    rows.sort(key=lambda row: _rank(*row))
    return [_as_recommended(n, unit, far, now) for n, (unit, far) in enumerate(rows[:limit], start=1)]


def _rank(unit: Unit, straight_m: float | None) -> tuple[bool, bool, int, bool, float, str]:
    committed = unit.status not in _FREE
    link = _LINK_ORDER[unit.link]
    return (
        unit.duress,
        committed,
        link,
        straight_m is None,
        straight_m if straight_m is not None else 0.0,
        unit.id,
    )


def _as_recommended(rank: int, unit: Unit, straight_m: float | None, now: datetime) -> Recommended:
    return Recommended(
        rank=rank,
        unit=unit.id,
        unit_name=unit.name,
        status=unit.status.value,
        distance_m=None if straight_m is None else round(straight_m, 1),
        eta_s=None if straight_m is None else round(estimated_s(straight_m), 1),
        estimated=True,
        fix_age_s=None if unit.fix_at is None else max(0.0, round((now - unit.fix_at).total_seconds(), 1)),
        stale=unit.link is not UnitLink.ONLINE,
        busy_with=unit.incident,
    )
