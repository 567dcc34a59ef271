"""The registered devices of a run: the simulator's panels and cars, and made-up ones for the load."""

from __future__ import annotations

from typing import Any

from simulator.description import CameraAccess, site_file
from simulator.district import District, build_district
from simulator.gazetteer import PLACES

ZONES = 6
LOAD_PANELS = tuple(f"load-p-{n}" for n in range(1, 9))
LOAD_UNITS = tuple(f"load-u-{n}" for n in range(1, 9))
LOAD_CAMERAS = ("load-c-1", "load-c-2")
DISTRICTS = ("xz-yunlong", "xz-gulou", "xz-quanshan")
PANELS, CARS = 12, 8


def field_district() -> District:
    """What the device process simulates."""
    return build_district(panels=PANELS, cameras=0, cars=CARS)


def site() -> dict[str, Any]:
    """The site file of a run, without the simulator's cameras."""
    document = site_file(field_district(), _no_camera)
    document["evidence"] = []
    document["sites"] += [
        {"id": f"load-{place}", "name": f"压力测试 {place}", "class": "internal_unit", "place": place}
        for place in DISTRICTS
    ]
    document["panels"] += [_panel(n, name) for n, name in enumerate(LOAD_PANELS)]
    document["units"] += [_unit(n, name) for n, name in enumerate(LOAD_UNITS)]
    document["cameras"] += [_camera(n, name) for n, name in enumerate(LOAD_CAMERAS)]
    return document


def lies_within(outer: str, inner: str) -> bool:
    """Whether place `inner` is `outer` or lies under it."""
    parents = {identity: parent for identity, _, _, _, parent in PLACES}
    if inner not in parents:
        return False
    while inner and inner != outer:
        inner = parents.get(inner, "")
    return bool(inner)


def _panel(n: int, name: str) -> dict[str, Any]:
    zones = [{"key": f"z{zone}", "condition": "intrusion"} for zone in range(1, ZONES + 1)]
    place = DISTRICTS[n % len(DISTRICTS)]
    return {
        "id": name, "name": name, "site": f"load-{place}", "convention": "homeassistant",
        "topic": name, "interval_s": 60.0, "zones": zones,
    }  # fmt: skip


def _unit(n: int, name: str) -> dict[str, Any]:
    tracker = {"protocol": "jt808", "address": f"9{n:05d}", "interval_s": 10.0}
    return {"id": name, "name": name, "place": DISTRICTS[n % len(DISTRICTS)], "tracker": tracker}


def _camera(n: int, name: str) -> dict[str, Any]:
    place = DISTRICTS[n % len(DISTRICTS)]
    return {"id": name, "name": name, "site": f"load-{place}", "rtsp_main": f"rtsp://127.0.0.1:9/{name}"}


def _no_camera(identity: str) -> CameraAccess:
    raise KeyError(identity)
