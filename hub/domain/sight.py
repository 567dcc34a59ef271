"""Where things lie from each other on the ground, and whether a camera looks towards a point."""

from __future__ import annotations

from math import asin, atan2, cos, degrees, radians, sin, sqrt

EARTH_M = 6_371_008.8
"""Mean radius R1 of GRS 80, in metres."""


def distance_m(lat_a: float, lon_a: float, lat_b: float, lon_b: float) -> float:
    """Great-circle distance of two WGS-84 points, by the haversine formula."""
    phi_a, phi_b = radians(lat_a), radians(lat_b)
    half = sin((phi_b - phi_a) / 2) ** 2
    half += cos(phi_a) * cos(phi_b) * sin(radians(lon_b - lon_a) / 2) ** 2
    return 2 * EARTH_M * asin(min(1.0, sqrt(half)))


def bearing_deg(lat_a: float, lon_a: float, lat_b: float, lon_b: float) -> float:
    """Initial bearing from a to b, degrees clockwise from north, 0 ≤ bearing < 360."""
    phi_a, phi_b, over = radians(lat_a), radians(lat_b), radians(lon_b - lon_a)
    east = sin(over) * cos(phi_b)
    north = cos(phi_a) * sin(phi_b) - sin(phi_a) * cos(phi_b) * cos(over)
    return degrees(atan2(east, north)) % 360


def looks_towards(looking_deg: float, fov_deg: float, towards_deg: float) -> bool:
    """Whether `towards_deg` lies within the field of view around `looking_deg`, edges included."""
    off = abs((towards_deg - looking_deg + 180) % 360 - 180)
    return off <= fov_deg / 2
