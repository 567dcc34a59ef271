"""Cameras, panels and our own parts as they stand: what the desk and the devices page show."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Health(StrEnum):
    """Whether a device can be trusted now."""

    UNKNOWN = "unknown"
    """Never heard since the hub knows it."""
    ONLINE = "online"
    LOST = "lost"
    FAULTY = "faulty"
    """Heard, but its picture is frozen or covered, or it reports a fault or tamper."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraView:
    """A camera as it stands."""

    id: str
    name: str
    name_en: str
    site: str
    place: str
    lat: float | None
    lon: float | None
    bearing_deg: float | None
    fov_deg: float | None
    range_m: float | None
    health: Health
    since: datetime | None
    reason: str
    """The condition that explains `health` (`picture_frozen`, …), or the link's reason."""
    motion: bool
    motion_at: datetime | None
    still: str
    """Content hash of the latest picture we hold."""
    checkpoint: str
    onvif: bool
    events: Health
    """Health of the ONVIF event subscription; unknown where the camera has none."""
    link_up: bool | None = None
    """Whether its stream delivers, whatever the picture shows; None: never heard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneView:
    """A zone of a panel as it stands."""

    point: str
    name: str
    name_en: str
    condition: str
    active: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelView:
    """An alarm panel as it stands."""

    id: str
    name: str
    name_en: str
    convention: str
    site: str
    place: str
    lat: float | None
    lon: float | None
    health: Health
    since: datetime | None
    reason: str
    armed: str
    """A `wire.observations.ArmState`."""
    heard_at: datetime | None
    zones: tuple[ZoneView, ...]
    link_up: bool | None = None
    """Whether it is connected, whatever it reports; None: never heard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartStatus:
    """One of our own parts: the broker, the store, an edge, an adapter."""

    name: str
    up: bool
    since: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubStatus:
    """Our own parts as they stand."""

    parts: tuple[PartStatus, ...]
