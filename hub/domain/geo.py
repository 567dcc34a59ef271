"""Distances on the earth, WGS-84."""

from __future__ import annotations

from math import asin, cos, radians, sin, sqrt

EARTH_RADIUS_M = 6_371_008.8
"""Mean radius (IUGG)."""


def distance_m(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    """Haversine distance; degrees in, metres out. Within 0.6 % of the ellipsoid."""
    north = radians(lat2 - lat1)
    east = radians(lon2 - lon1)
    h = sin(north / 2) ** 2 + cos(radians(lat1)) * cos(radians(lat2)) * sin(east / 2) ** 2
    return 2 * EARTH_RADIUS_M * asin(min(1.0, sqrt(h)))


def between(a: tuple[float | None, float | None], b: tuple[float | None, float | None]) -> float | None:
    """Distance in metres between two points (latitude, longitude); None where one isn't known."""
    if a[0] is None or a[1] is None or b[0] is None or b[1] is None:
        return None
    return distance_m(a[0], a[1], b[0], b[1])
