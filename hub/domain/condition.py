"""Machine A, the alarm condition: one per source point and cause (OPC UA Part 9; DISPATCH.md section 2)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmCondition:
    """Active or not × acknowledged or not. Cleared, it stays listed until acknowledged."""

    id: str
    """`{source}/{point}/{condition}`"""
    source: str
    point: str
    condition: str
    """A `wire.observations.Condition`."""
    active: bool | None
    """None: not known any more."""
    acked: bool
    since: datetime
    """When `active` last changed, hub's clock."""
    device_at: datetime | None
    count: int
    """Activations within the group window; a re-activation counts here and makes no new row."""
    label: str
    site: str
    place: str
    incident: str = ""
    """The incident it belongs to."""
    still: str = ""
    """Content hash of the picture that shows it (`/api/v1/stills/{hash}`)."""
    acked_by: str = ""
    acked_at: datetime | None = None
