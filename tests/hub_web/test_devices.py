"""Devices from the console: registered, accepted, removed; secrets go in and never come out."""

from __future__ import annotations

from dataclasses import fields

import pytest

from hub.domain.entry import Draft, EntryKind
from hub.enrolment import Acceptance, CameraNew, PanelNew, TrackerNew, ZoneNew
from hub.store.engine import Transaction
from hub.web import models
from tests.hub_web.conftest import Desk, Running, wait_until
from tests.hub_web.district import site_file
from wire.observations import DeviceFacts

SECRET = "s3cret-of-the-test"


@pytest.mark.parametrize(
    ("asked", "taken"),
    [
        (models.NewCamera, CameraNew),
        (models.NewPanel, PanelNew),
        (models.NewZone, ZoneNew),
        (models.NewTracker, TrackerNew),
        (models.Accepting, Acceptance),
    ],
)
def test_what_the_api_takes_is_what_the_register_takes(asked: type, taken: type) -> None:
    assert set(asked.model_fields) == {one.name for one in fields(taken)}  # type: ignore[attr-defined]


def _said_much(tx: Transaction) -> None:
    """More than anybody reads of a device at once."""
    for number in range(1_100):
        body = {"n": number}
        tx.append(Draft(kind=EntryKind.CAMERA, subject="camera:c-77", place="xz-yunlong", body=body))


async def test_a_camera_is_registered_accepted_and_removed(running: Running, desk: Desk) -> None:
    body = {
        "id": "c-77",
        "name": "后门",
        "site": "market",
        "rtsp_main": f"rtsp://viewer:{SECRET}@127.0.0.1:3/main?key={SECRET}",
    }
    async with desk.as_person("fitter") as client:
        added = await client.post("/cameras", json=body)
        assert (added.status_code, added.json()["source"]) == (201, "camera:c-77")
        again = await client.post("/cameras", json=body)
        assert (again.status_code, again.json()["code"]) == (409, "exists")
        own = await client.post("/devices/camera:c-77/acceptance", json={"video_seen": True})
        assert (own.status_code, own.json()["code"]) == (403, "own_work")
        running.hub.store.enqueue(_said_much).result(30)
        own = await client.post("/devices/camera:c-77/acceptance", json={"video_seen": True})
        assert own.status_code == 403, "however much the device has said since"
    async with desk.as_person("mate") as client:
        done = await client.post("/devices/camera:c-77/acceptance", json={"video_seen": True, "note": "同事"})
        assert done.status_code == 201, done.text
    async with desk.as_person("inspector") as client:
        empty = await client.post("/devices/camera:c-77/acceptance", json={})
        assert empty.status_code == 422
        done = await client.post(
            "/devices/camera:c-77/acceptance", json={"video_seen": True, "note": "现场测试"}
        )
        assert done.status_code == 201, done.text
    async with desk.as_person("chief") as client:
        wait_until(lambda: any(one.id == "c-77" for one in running.hub.desk.snapshot().cameras))
        for path in ("/devices", "/snapshot", "/log?limit=1000", "/audit?limit=1000"):
            assert SECRET not in (await client.get(path)).text, path
        no_reason = await client.request("DELETE", "/cameras/c-77", json={"reason": ""})
        assert no_reason.json()["field"] == "reason"
        gone = await client.request("DELETE", "/cameras/c-77", json={"reason": "已拆除"})
        assert gone.status_code == 200, gone.text
        assert (await client.request("DELETE", "/cameras/c-77", json={"reason": "已拆除"})).status_code == 404
        rows = (await client.get("/audit?limit=1000")).json()["rows"]
    acts = [(row["action"], row["person"], row["reason"]) for row in rows if row["object"] == "camera:c-77"]
    assert ("device.add", "fitter", "") in acts
    assert ("device.accept", "inspector", "现场测试") in acts
    assert ("device.accept", "mate", "同事") in acts
    assert ("device.remove", "chief", "已拆除") in acts


async def test_wrong_fields_are_named(desk: Desk) -> None:
    async with desk.as_person("fitter") as client:
        for path, body, field in (
            ("/cameras", {"name": "x", "site": "market", "rtsp_main": "ftp://x/"}, "rtsp_main"),
            ("/cameras", {"name": "x", "site": "nowhere", "rtsp_main": "rtsp://x/"}, "site"),
            (
                "/cameras",
                {"name": "x", "site": "market", "rtsp_main": "rtsp://x/", "lat": 91, "lon": 0},
                "lat",
            ),
            ("/cameras", {"name": "x", "odd": 1}, "odd"),
            ("/trackers", {"protocol": "jt808", "address": "0123", "name": "车"}, "address"),
            (
                "/panels",
                {"name": "x", "convention": "homeassistant", "topic": "a/#", "site": "market"},
                "topic",
            ),
        ):
            answer = await client.post(path, json=body)
            assert answer.status_code == 422, (path, answer.text)
            assert answer.json()["field"] == field


async def test_nothing_is_registered_outside_the_jurisdiction(desk: Desk) -> None:
    async with desk.as_person("admin") as client:
        made = await client.post(
            "/people",
            json={
                "name": "fitter-gulou",
                "display_name": "鼓楼施工员",
                "password": "correct horse battery",
                "roles": ["installer"],
                "place": "xz-gulou",
            },
        )
        assert made.status_code == 201, made.text
        assert "password" not in made.text
        elsewhere = await client.post(
            "/people",
            json={
                "name": "x",
                "display_name": "x",
                "password": "correct horse battery",
                "roles": ["installer"],
                "place": "elsewhere",
            },
        )
        assert elsewhere.status_code == 403
    async with desk.as_person("fitter-gulou") as client:
        for path, body in (
            ("/cameras", {"name": "x", "site": "market", "rtsp_main": "rtsp://127.0.0.1:4/"}),
            ("/cameras", {"name": "x", "rtsp_main": "rtsp://127.0.0.1:4/"}),
            ("/trackers", {"name": "x", "protocol": "owntracks", "address": "a/b", "place": "xz-yunlong"}),
        ):
            assert (await client.post(path, json=body)).status_code == 403, path
        taken = await client.request("DELETE", "/panels/p-01", json={"reason": "not mine"})
        assert taken.status_code == 404
        imported = await client.post(
            "/sitefile", content=site_file(), headers={"Content-Type": "application/json"}
        )
        assert imported.status_code == 403


async def test_a_site_file_is_imported_whole_or_not_at_all(running: Running, desk: Desk) -> None:
    headers = {"Content-Type": "application/json"}
    async with desk.as_person("chief") as client:
        again = await client.post("/sitefile", content=site_file(), headers=headers)
        assert again.status_code == 200, again.text
        assert again.json()["added"] == {}
        version = running.hub.registers.version
        broken = site_file().replace(b'"site": "gate"', b'"site": "nowhere"')
        refused = await client.post("/sitefile", content=broken, headers=headers)
        assert refused.status_code == 422
        assert "nowhere" in refused.json()["detail"]
        assert running.hub.registers.version == version


async def test_an_onvif_camera_is_taught_its_stream_addresses(running: Running, desk: Desk) -> None:
    async with desk.as_person("fitter") as client:
        added = await client.post(
            "/cameras",
            json={"id": "c-88", "name": "云台", "site": "market", "onvif": "http://127.0.0.1:5/onvif"},
        )
        assert added.status_code == 201
    detail = {"rtsp_main": "rtsp://127.0.0.1:5/main", "rtsp_sub": "rtsp://127.0.0.1:5/sub"}
    running.see("camera:c-88", DeviceFacts(make="Test", detail=detail))
    wait_until(lambda: running.hub.registers.camera_access("c-88").rtsp_sub == "rtsp://127.0.0.1:5/sub")
    running.see("camera:c-88", DeviceFacts(make="Test", detail={"rtsp_main": "file:///etc/passwd"}))
    running.do(lambda _tx: None)
    assert running.hub.registers.camera_access("c-88").rtsp_main == "rtsp://127.0.0.1:5/main"


async def test_coverage_and_its_members_are_those_of_the_jurisdiction(desk: Desk) -> None:
    async with desk.as_person("op") as whole, desk.as_person("op-yunlong") as part:
        everything = (await whole.get("/coverage?rung=registered")).json()
        mine = (await part.get("/coverage?rung=registered")).json()
        assert everything["pack"] == mine["pack"]
        sizes = [(a["d"], b["d"]) for a, b in zip(everything["targets"], mine["targets"], strict=True)]
        assert all(b <= a for a, b in sizes) and any(b < a for a, b in sizes)
        target = next(one["id"] for one in everything["targets"] if one["d"])
        members = (await whole.get(f"/coverage/{target}")).json()["members"]
        assert members


async def test_fields_told_only_to_installers(desk: Desk) -> None:
    async with desk.as_person("fitter") as client:
        assert (await client.get("/devices")).json()["field_address"].startswith("mqtt://")
    async with desk.as_person("op") as client:
        assert (await client.get("/devices")).json()["field_address"] == ""
