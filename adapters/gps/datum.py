"""GCJ-02, the shifted datum of Chinese maps, back to WGS-84.

Source: the published polynomial with sines of the GCJ-02 offset on the Krasovsky 1940 ellipsoid; its inverse
by fixed-point iteration. Outside mainland China there is no shift.
"""

from __future__ import annotations

from math import cos, pi, sin, sqrt

AXIS_M = 6378245.0
ECCENTRICITY2 = 0.00669342162296594323
INSIDE = (0.8293, 55.8271, 72.004, 137.8347)
"""South, north, west, east of the box in which the shift is applied."""


def gcj02_from_wgs84(lat: float, lon: float) -> tuple[float, float]:
    """Shifts a WGS-84 position, degrees in and out."""
    south, north, west, east = INSIDE
    if not (south <= lat <= north and west <= lon <= east):
        return lat, lon
    d_lat, d_lon = _northing_m(lon - 105.0, lat - 35.0), _easting_m(lon - 105.0, lat - 35.0)
    radians = lat / 180.0 * pi
    magic = 1 - ECCENTRICITY2 * sin(radians) ** 2
    d_lat = d_lat * 180.0 / (AXIS_M * (1 - ECCENTRICITY2) / (magic * sqrt(magic)) * pi)
    d_lon = d_lon * 180.0 / (AXIS_M / sqrt(magic) * cos(radians) * pi)
    return lat + d_lat, lon + d_lon


def wgs84_from_gcj02(lat: float, lon: float) -> tuple[float, float]:
    """The position whose shift gives `lat, lon`, to better than a centimetre."""
    guess = (lat, lon)
    for _ in range(5):
        shifted = gcj02_from_wgs84(*guess)
        guess = (guess[0] + lat - shifted[0], guess[1] + lon - shifted[1])
    return guess


def _waves_m(x: float) -> float:
    return (20.0 * sin(6.0 * x * pi) + 20.0 * sin(2.0 * x * pi)) * 2.0 / 3.0


def _northing_m(x: float, y: float) -> float:
    found = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * sqrt(abs(x)) + _waves_m(x)
    found += (20.0 * sin(y * pi) + 40.0 * sin(y / 3.0 * pi)) * 2.0 / 3.0
    return found + (160.0 * sin(y / 12.0 * pi) + 320 * sin(y * pi / 30.0)) * 2.0 / 3.0


def _easting_m(x: float, y: float) -> float:
    found = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * sqrt(abs(x)) + _waves_m(x)
    found += (20.0 * sin(x * pi) + 40.0 * sin(x / 3.0 * pi)) * 2.0 / 3.0
    return found + (150.0 * sin(x / 12.0 * pi) + 300.0 * sin(x / 30.0 * pi)) * 2.0 / 3.0
