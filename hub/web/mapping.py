"""The city as GeoJSON: roads for everyone, sites and checkpoints of the caller's jurisdiction."""

from __future__ import annotations

from typing import Any

import msgspec

from hub.web.context import Hub
from hub.web.guard import Caller

Feature = dict[str, Any]


def features_for(hub: Hub, caller: Caller) -> Feature:
    """A FeatureCollection; `properties.kind` is `road`, `site` or `checkpoint`."""
    registers = hub.registers
    roads = [
        _feature("road", msgspec.json.decode(road.geometry), name=road.name, road_class=road.road_class)
        for road in registers.roads()
    ]
    sites = [
        _feature(
            "site",
            _point(site.lat, site.lon),
            id=site.id,
            name=site.name,
            name_en=site.name_en,
            site_class=site.site_class,
            place=site.place,
        )
        for site in registers.sites()
        if site.lat is not None and hub.may_see(caller, site.place)
    ]
    checkpoints = [
        _feature(
            "checkpoint",
            _point(one.lat, one.lon),
            id=one.id,
            name=one.name,
            name_en=one.name_en,
            level=one.level,
            tier=one.tier,
            place=one.place,
        )
        for one in registers.checkpoints()
        if one.lat is not None and hub.may_see(caller, one.place)
    ]
    return {"type": "FeatureCollection", "features": [*roads, *sites, *checkpoints]}


def _feature(kind: str, geometry: Feature, **properties: object) -> Feature:
    return {"type": "Feature", "geometry": geometry, "properties": {"kind": kind, **properties}}


def _point(lat: float | None, lon: float | None) -> Feature:
    return {"type": "Point", "coordinates": [lon, lat]}
