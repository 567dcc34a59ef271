"""What the hub knows of places, sites and devices. The protocol that desk, web and coverage rely on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """Where a source or one of its points is, as registered."""

    place: str
    """Jurisdiction; the root place where the source is not registered."""
    place_name: str
    site: str
    """Empty where not registered."""
    site_name: str
    site_name_en: str
    label: str
    label_en: str
    lat: float | None
    lon: float | None
    registered: bool
