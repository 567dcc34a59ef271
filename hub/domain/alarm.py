"""Machine A's transitions: active × acknowledged, and what counts as the same alarm again."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from hub.domain.condition import AlarmCondition

GROUP_WINDOW = timedelta(seconds=60)
"""A re-activation within this of the last change counts; it makes no new alarm (DISPATCH.md section 4)."""


def condition_id(source: str, point: str, condition: str) -> str:
    """`{source}/{point}/{condition}`."""
    return f"{source}/{point}/{condition}"


def is_listed(condition: AlarmCondition) -> bool:
    """Whether it stands on the desk: until it is both over and acknowledged."""
    return condition.active is not False or not condition.acked


def raised(
    previous: AlarmCondition | None, new: AlarmCondition, now: datetime, *, incident_open: bool
) -> AlarmCondition | None:
    """The condition after an activation; None where it was active already and nothing changes.

    `new` describes a first activation. `incident_open`: the incident of `previous` isn't closed yet.
    """
    if previous is None:
        return new
    if previous.active is True:
        return replace(previous, still=new.still) if new.still and new.still != previous.still else None
    again = incident_open or (is_listed(previous) and now - previous.since <= GROUP_WINDOW)
    if not again:
        return new
    return replace(
        new,
        count=previous.count + 1,
        incident=previous.incident if incident_open else "",
        still=new.still or previous.still,
    )


def ended(previous: AlarmCondition | None, active: bool | None, now: datetime) -> AlarmCondition | None:
    """The condition after it cleared (False) or became unknown (None); None where nothing changes."""
    if previous is None or previous.active is active or previous.active is False:
        return None
    return replace(previous, active=active, since=now)


def acknowledged(previous: AlarmCondition, by: str, now: datetime) -> AlarmCondition | None:
    """The condition after a person has seen it; None where it was acknowledged already."""
    if previous.acked:
        return None
    return replace(previous, acked=True, acked_by=by, acked_at=now)
