"""An entry of the log: one number in commit order, the state after the change, and a hash chain."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class EntryKind(StrEnum):
    """What an entry tells; the kind decides the shape of its body."""

    OBSERVATION = "observation"
    """Body: `wire.observations.Observation` as JSON, stills replaced by their content hash in `still`."""
    CONDITION = "condition"
    """Body: `hub.domain.condition.AlarmCondition` after the change."""
    INCIDENT = "incident"
    """Body: `{"incident": Incident after the change, "action": str, "reason": str, "detail": str}`."""
    CAMERA = "camera"
    """Body: `hub.domain.device.CameraView` after the change."""
    PANEL = "panel"
    """Body: `hub.domain.device.PanelView` after the change."""
    UNIT = "unit"
    """Body: `hub.domain.unit.Unit` after a change of status, link or duress (not of position)."""
    HUB = "hub"
    """Body: `hub.domain.device.HubStatus` after the change."""
    REGISTER = "register"
    """Body: `{"what": table, "id": …, "action": "added"|"changed"|"removed"|"accepted", …}`.
    Never a secret."""
    ORDER = "order"
    """A command to the field. Body: `{"command", "wing", "verb", "to", "text", "reason",
    "state": "sent"|"done"|"failed"}`."""
    KEEPING = "keeping"
    """What was done to the log itself: retention deleted entries, or it was restored from an archive.
    Body: `{"act": "pruned"|"retention"|"restored", …}` (docs/design/retention.md). Never deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An entry about to be appended."""

    kind: EntryKind
    subject: str
    """What it is about: `camera:c-01`, `incident:2026-1121-0047`, `unit:u-0121`, …"""
    place: str
    """Jurisdiction that may see it (a place id)."""
    body: dict[str, Any]
    actor: str = ""
    """Person who did it; empty: the hub itself or the field."""
    cause: int | None = None
    """Sequence number of the entry that led to this one."""
    late: bool = False
    """History, retained or future: never news."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A committed entry. `seq` counts from 1 without gaps, in commit order."""

    seq: int
    at: datetime
    """The hub's clock when it was appended, UTC."""
    kind: EntryKind
    subject: str
    place: str
    body: dict[str, Any] = field(default_factory=dict)
    actor: str = ""
    cause: int | None = None
    late: bool = False
    hash: str = ""
    """SHA-256 over the previous entry's hash and this entry's canonical JSON, hex."""
