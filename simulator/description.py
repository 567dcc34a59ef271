"""The district in the site file's words (docs/design/seams.md): what an installer would have entered."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from simulator.district import (
    FIX_EVERY_S,
    HEARTBEAT_S,
    Camera,
    District,
    Panel,
    Zone,
    position_id,
    site_of,
    where,
)
from simulator.gazetteer import PANELS, PLACES, Car, Checkpoint, Site
from simulator.roads import RoadNetwork


@dataclass(frozen=True, slots=True)
class CameraAccess:
    """How a served camera is reached."""

    onvif: str
    rtsp_main: str
    rtsp_sub: str
    user: str
    password: str = field(repr=False)


def site_file(district: District, access: Callable[[str], CameraAccess]) -> dict[str, Any]:
    """The whole document; `access(camera id)` says how a camera is reached."""
    return {
        "note": "模拟辖区，全部为虚构单位 / simulated district, all units invented",
        "places": [
            {"id": i, "name": n, "name_en": e, "level": level, **({"parent": p} if p else {})}
            for i, n, e, level, p in PLACES
        ],
        "sites": [_site_entry(district.network, site) for site in district.sites],
        "positions": list(_position_entries()),
        "checkpoints": [_checkpoint_entry(district.network, one) for one in district.checkpoints],
        "cameras": [_camera_entry(one, access(one.id)) for one in district.cameras],
        "panels": [_panel_entry(one) for one in district.panels],
        "units": [_unit_entry(one) for one in district.cars],
        "evidence": list(_evidence(district)),
        "roads": district.network.geojson(),
    }


def _site_entry(network: RoadNetwork, site: Site) -> dict[str, Any]:
    lat, lon = where(network, site)
    return {
        "id": site.id, "name": site.name, "name_en": site.name_en, "class": site.site_class,
        "place": site.place, "lat": lat, "lon": lon,
    }  # fmt: skip


def _position_entries() -> Iterable[dict[str, Any]]:
    for kind in PANELS:
        if kind.position:
            identity = position_id(kind.site, kind.part)
            yield {"id": identity, "site": kind.site, "name": kind.part, "name_en": kind.part_en}


def _checkpoint_entry(network: RoadNetwork, checkpoint: Checkpoint) -> dict[str, Any]:
    lat, lon = where(network, site_of(checkpoint.site))
    return {
        "id": checkpoint.id, "name": checkpoint.name, "name_en": checkpoint.name_en,
        "level": checkpoint.level, "tier": checkpoint.tier, "site": checkpoint.site, "lat": lat, "lon": lon,
    }  # fmt: skip


def _camera_entry(camera: Camera, access: CameraAccess) -> dict[str, Any]:
    entry = {
        "id": camera.id, "name": camera.name, "name_en": camera.name_en, "site": camera.site,
        "lat": camera.lat, "lon": camera.lon, "bearing_deg": camera.bearing_deg, "fov_deg": 78.0,
        "range_m": 60.0, "public_side": True, "onvif": access.onvif, "rtsp_main": access.rtsp_main,
        "rtsp_sub": access.rtsp_sub, "user": access.user, "password": access.password,
        "position": camera.position, "checkpoint": camera.checkpoint,
    }  # fmt: skip
    return {key: value for key, value in entry.items() if value != ""}


def _panel_entry(panel: Panel) -> dict[str, Any]:
    return {
        "id": panel.id, "name": panel.name, "name_en": panel.name_en, "site": panel.site,
        "convention": panel.convention, "topic": panel.topic, "interval_s": HEARTBEAT_S,
        "lat": panel.lat, "lon": panel.lon,
        "zones": [_zone_entry(zone, panel.position) for zone in panel.zones],
    }  # fmt: skip


def _zone_entry(zone: Zone, position: str) -> dict[str, Any]:
    entry = {"key": zone.key, "name": zone.name, "name_en": zone.name_en, "condition": zone.condition}
    return {**entry, "position": position} if position else entry


def _unit_entry(car: Car) -> dict[str, Any]:
    tracker = {"protocol": car.protocol, "address": car.address, "interval_s": FIX_EVERY_S}
    return {"id": car.id, "name": car.name, "name_en": car.name_en, "place": car.place, "tracker": tracker}


_NOT_ACCEPTED = {"panel:p-18", "panel:p-28", "camera:c-10", "tracker:u-0163"}
"""Installed and registered, but their acceptance is still to come: the coverage page has work to show."""


def _evidence(district: District) -> Iterable[dict[str, Any]]:
    office = "徐州市公安局技防办"
    films = {f"camera:{one.id}" for one in district.cameras if one.film}
    for i, source in enumerate(sorted(district.devices() - films)):
        month, day = 3 + i % 6, 1 + i % 27
        yield {"source": source, "rung": "registered", "at": f"2006-{month:02d}-{day:02d}", "by": office,
               "note": "设备建档，位置与编号核对无误"}  # fmt: skip
        if source not in _NOT_ACCEPTED:
            yield {"source": source, "rung": "accepted", "at": f"2006-{month + 3:02d}-{day:02d}",
                   "by": office, "note": "现场验收，报警与图像均到达指挥中心"}  # fmt: skip
