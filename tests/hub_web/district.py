"""Two districts with a market and a gate each: enough to stand inside or outside of a jurisdiction."""

from __future__ import annotations

import json
from typing import Any

MARKET = (34.2600, 117.1900)
GATE = (34.3000, 117.2000)


def site_file(rtsp: str = "rtsp://viewer:s3cret-pw@127.0.0.1:1/main") -> bytes:
    """The site file; `rtsp` is camera c-01's address."""
    return json.dumps(_district(rtsp)).encode()


def _district(rtsp: str) -> dict[str, Any]:
    return {
        "places": [
            {"id": "xz", "name": "徐州市", "name_en": "Xuzhou", "level": "city"},
            _place("xz-yunlong", "云龙区", "Yunlong"),
            _place("xz-gulou", "鼓楼区", "Gulou"),
        ],
        "sites": [
            _site("market", "黄河市场", "market", "xz-yunlong", MARKET),
            _site("gate", "北卡口", "checkpoint", "xz-gulou", GATE),
        ],
        "cameras": [
            _camera("c-01", "市场东门", "market", MARKET, rtsp),
            _camera("c-02", "卡口一号", "gate", GATE, "rtsp://viewer:s3cret-pw@127.0.0.1:2/main"),
        ],
        "panels": [
            _panel("p-01", "市场报警主机", "market", MARKET),
            _panel("p-02", "卡口报警主机", "gate", GATE),
        ],
        "units": [
            _unit("u-0121", "苏C-0121", "xz-yunlong"),
            _unit("u-0122", "苏C-0122", "xz-gulou"),
        ],
        "roads": {
            "type": "FeatureCollection",
            "features": [
                {
                    "type": "Feature",
                    "properties": {"name": "中山路", "class": "primary"},
                    "geometry": {"type": "LineString", "coordinates": [[117.19, 34.26], [117.2, 34.3]]},
                }
            ],
        },
    }


def _place(identity: str, name: str, name_en: str) -> dict[str, Any]:
    return {"id": identity, "name": name, "name_en": name_en, "level": "district", "parent": "xz"}


def _at(point: tuple[float, float]) -> dict[str, float]:
    return {"lat": point[0], "lon": point[1]}


def _site(identity: str, name: str, kind: str, place: str, at: tuple[float, float]) -> dict[str, Any]:
    return {"id": identity, "name": name, "class": kind, "place": place, **_at(at)}


def _camera(identity: str, name: str, site: str, at: tuple[float, float], rtsp: str) -> dict[str, Any]:
    return {"id": identity, "name": name, "site": site, "rtsp_main": rtsp, **_at(at)}


def _panel(identity: str, name: str, site: str, at: tuple[float, float]) -> dict[str, Any]:
    zones = [
        {"key": "1", "name": "收银台", "condition": "hold_up"},
        {"key": "2", "name": "后门", "condition": "intrusion"},
    ]
    topic = identity.replace("-", "")
    return {
        "id": identity,
        "name": name,
        "site": site,
        "convention": "homeassistant",
        "topic": topic,
        "interval_s": 30,
        "zones": zones,
        **_at(at),
    }


def _unit(identity: str, name: str, place: str) -> dict[str, Any]:
    address = f"car/{identity.replace('-', '')}"
    return {
        "id": identity,
        "name": name,
        "place": place,
        "tracker": {"protocol": "owntracks", "address": address},
    }
