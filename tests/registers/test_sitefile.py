"""The site file: what is refused and how it is named, and that importing twice is importing once."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hub.registers import Registers
from hub.site_import import Imported
from hub.sitefile import SiteFileError, instant, parse
from hub.store.engine import Store

SMALL: dict[str, Any] = {
    "places": [{"id": "xz", "name": "徐州市", "level": "city"}],
    "sites": [{"id": "s", "name": "市场", "class": "market", "place": "xz"}],
    "positions": [{"id": "s-1", "site": "s", "name": "库房"}],
    "checkpoints": [{"id": "k", "name": "卡口", "level": "city", "tier": 2, "site": "s"}],
    "cameras": [
        {
            "id": "c-1",
            "name": "门",
            "site": "s",
            "position": "s-1",
            "rtsp_main": "rtsp://127.0.0.1:8554/c-1",
            "user": "u",
            "password": "first",
        },
        {"id": "c-2", "name": "卡口", "site": "s", "checkpoint": "k", "onvif": "http://127.0.0.1:8081/onvif"},
    ],
    "panels": [
        {
            "id": "p-1",
            "name": "主机",
            "site": "s",
            "convention": "paradox",
            "topic": "paradox",
            "zones": [{"key": "Gate", "name": "大门", "position": "s-1"}, {"key": "Hall"}],
        }
    ],
    "units": [
        {
            "id": "u-1",
            "name": "苏C-0001",
            "place": "xz",
            "tracker": {"protocol": "owntracks", "address": "car/1"},
        }
    ],
    "evidence": [{"source": "camera:c-1", "rung": "accepted", "at": "2006-12-31", "by": "技防办"}],
    "roads": {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "properties": {"name": "建国路", "class": "secondary", "surface": "asphalt"},
                "geometry": {"type": "LineString", "coordinates": [[117.2, 34.2], [117.3, 34.2]]},
            }
        ],
    },
}


def changed(**sections: Any) -> bytes:
    """The small file with some sections replaced."""
    return msgspec.json.encode({**SMALL, **sections})


async def bring(store: Store, registers: Registers, raw: bytes) -> Imported:
    """Parses and imports."""
    file = parse(raw)
    return await store.submit(lambda tx: registers.import_site(tx, file, "li"))


async def test_importing_twice_is_importing_once(store: Store, registers: Registers) -> None:
    first = await bring(store, registers, changed())
    assert first.added == {
        "place": 1, "site": 1, "position": 1, "checkpoint": 1, "unit": 1, "tracker": 1, "camera": 2,
        "panel": 1, "evidence": 1,
    }  # fmt: skip
    head, version = store.head, registers.version
    second = await bring(store, registers, b"\xef\xbb\xbf" + changed())
    assert not second.anything
    assert store.head == head
    assert registers.version == version
    assert len(registers.roads()) == 1
    assert registers.unit_of("tracker:u-1") == "u-1"


async def test_a_new_port_and_password_are_taken_over(store: Store, registers: Registers) -> None:
    await bring(store, registers, changed())
    camera = {**SMALL["cameras"][0], "rtsp_main": "rtsp://127.0.0.1:9554/c-1", "password": "second"}
    imported = await bring(store, registers, changed(cameras=[camera]))
    assert imported.changed == {"camera": 1}
    assert registers.camera_access("c-1").rtsp_main == "rtsp://127.0.0.1:9554/c-1"
    assert registers.camera_access("c-1").password == "second"
    assert registers.camera("c-2") is not None


async def test_changed_zones_change_their_panel(store: Store, registers: Registers) -> None:
    await bring(store, registers, changed())
    panel = {**SMALL["panels"][0], "zones": [{"key": "Gate", "name": "正门"}]}
    imported = await bring(store, registers, changed(panels=[panel]))
    assert imported.changed == {"panel": 1}
    assert registers.zone("panel:p-1", "zone:Hall") is None
    assert registers.locate("panel:p-1", "zone:Gate").label == "正门"


async def test_learned_streams_survive_the_next_import(store: Store, registers: Registers) -> None:
    await bring(store, registers, changed())
    await store.submit(lambda tx: registers.learn_streams(tx, "c-2", "rtsp://127.0.0.1/main", ""))
    assert not (await bring(store, registers, changed())).anything
    assert registers.camera_access("c-2").rtsp_main == "rtsp://127.0.0.1/main"
    moved = {**SMALL["cameras"][1], "onvif": "http://127.0.0.1:9081/onvif"}
    assert (await bring(store, registers, changed(cameras=[moved]))).changed == {"camera": 1}
    assert registers.camera_access("c-2").rtsp_main == ""


async def test_what_a_person_removed_no_file_brings_back(store: Store, registers: Registers) -> None:
    await bring(store, registers, changed())
    await store.submit(lambda tx: registers.remove_panel(tx, "p-1", "拆除", "li"))
    imported = await bring(store, registers, changed())
    assert imported.kept_removed == ("panel:p-1",)
    assert not imported.anything
    assert registers.panel("p-1") is None


@pytest.mark.parametrize(
    ("sections", "named"),
    [
        ({"sites": [{**SMALL["sites"][0], "place": "yz"}]}, "sites[0].place"),
        ({"positions": [{"id": "s-1", "site": "t", "name": "x"}]}, "positions[0].site"),
        ({"cameras": [{**SMALL["cameras"][0], "site": "t", "position": ""}]}, "cameras[0].site"),
        ({"cameras": [{**SMALL["cameras"][0], "site": ""}]}, "cameras[0].position"),
        ({"cameras": [{**SMALL["cameras"][1], "checkpoint": "k-9"}]}, "cameras[0].checkpoint"),
        (
            {"panels": [{**SMALL["panels"][0], "zones": [{"key": "a", "position": "s-9"}]}]},
            "panels[0].zones[0].position",
        ),
        (
            {"evidence": [{"source": "camera:c-9", "rung": "accepted", "at": "2006-01-01", "by": "x"}]},
            "evidence[0].source",
        ),
        (
            {"evidence": [{"source": "person:li", "rung": "accepted", "at": "2006-01-01", "by": "x"}]},
            "evidence[0].source",
        ),
        ({"places": [{"id": "xz", "name": "a", "level": "city", "parent": "no"}]}, "places[0].parent"),
        (
            {
                "places": [
                    {"id": "xz", "name": "a", "level": "city", "parent": "b"},
                    {"id": "b", "name": "b", "level": "town", "parent": "xz"},
                ]
            },
            "places[0].parent",
        ),
    ],
)
async def test_references_that_lead_nowhere(
    store: Store, registers: Registers, sections: dict[str, Any], named: str
) -> None:
    with pytest.raises(SiteFileError) as refused:
        await bring(store, registers, changed(**sections))
    assert any(fault.startswith(f"{named}:") for fault in refused.value.faults), refused.value.faults
    assert store.head == 0
    assert registers.sites() == ()


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        (b"", "truncated"),
        (b"\xff\xfe\x00", "malformed"),
        (b"[]", "object"),
        (b'{"plcaes": []}', "plcaes"),
        (changed(places=[{"id": "xz", "name": "a", "level": "galaxy"}]), "$.places[0].level"),
        (changed(sites=[{"id": "s", "name": "a", "class": "bank", "place": "xz"}]), "$.sites[0].class"),
        (changed(sites=[{"id": "s", "name": "a", "class": "market", "place": "xz", "lat": "34"}]), "lat"),
        (changed(sites=SMALL["sites"] * 2), "sites[1].id: s is there twice"),
        (changed(sites=[{**SMALL["sites"][0], "since": "2006-04-28T08:00:00"}]), "sites[0].since"),
        (changed(cameras=[{"id": "c", "name": "x"}]), "cameras[0].rtsp_main"),
        (changed(cameras=[{"id": "c/1", "name": "x", "rtsp_main": "rtsp://h"}]), "cameras[0].id"),
        (
            changed(evidence=[{"source": "camera:c-1", "rung": "accepted", "at": "soon", "by": "x"}]),
            "evidence[0].at",
        ),
        (
            changed(
                roads={"features": [{"type": "Feature", "properties": {}, "geometry": {
                    "type": "LineString", "coordinates": [[1, 2]]}}]}
            ),
            "roads.features[0].geometry.coordinates",
        ),
    ],
)  # fmt: skip
def test_files_that_are_refused_say_where(raw: bytes, named: str) -> None:
    with pytest.raises(SiteFileError) as refused:
        parse(raw)
    assert named in str(refused.value)


def test_no_password_in_a_refusal() -> None:
    cameras = [{**SMALL["cameras"][0], "password": "s3cret", "rtsp_main": "rtsp://u:s3cret@h:bad/"}]
    with pytest.raises(SiteFileError) as refused:
        parse(changed(cameras=cameras))
    assert "s3cret" not in str(refused.value)
    assert "s3cret" not in repr(parse(changed(cameras=[{**SMALL["cameras"][0], "password": "s3cret"}])))


def test_a_day_begins_in_shanghai() -> None:
    assert instant("2006-12-31") == datetime(2006, 12, 30, 16, tzinfo=UTC)
    assert instant("2006-12-31T23:59:59+08:00") == datetime(2006, 12, 31, 15, 59, 59, tzinfo=UTC)
    assert instant("") is None


async def test_the_example_that_people_start_from(store: Store, registers: Registers) -> None:
    example = Path(__file__).parents[2] / "config" / "registers" / "example-site.json"
    imported = await bring(store, registers, example.read_bytes())
    assert imported.added["camera"] == 2
    assert registers.root == "city"
    assert registers.locate("panel:bank-panel", "zone:Vault_door").label == "金库门"
    assert registers.unit_of("tracker:phone-wang") == "phone-wang"
