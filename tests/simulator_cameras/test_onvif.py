"""The cameras' ONVIF services, through the client that the product uses and through raw SOAP."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from onvif import ONVIFCamera
from zeep.exceptions import Fault

from simulator.cameras import CameraSpec
from tests.simulator_cameras.running import EAST, NORTH, RunningFleet, until
from tests.simulator_cameras.soap_client import envelope, post, security

TDS = "http://www.onvif.org/ver10/device/wsdl"
INFORMATION = f'<d:GetDeviceInformation xmlns:d="{TDS}"/>'


async def client(fleet: RunningFleet, spec: CameraSpec, password: str | None = None) -> Any:
    camera = ONVIFCamera(
        "127.0.0.1",
        fleet.onvif_port(spec.id),
        spec.user,
        spec.password if password is None else password,
        adjust_time=True,
    )
    await camera.update_xaddrs()
    return camera


@pytest.fixture
async def east(fleet: RunningFleet) -> AsyncIterator[Any]:
    """A client of the PTZ camera, whose clock is an hour ahead."""
    camera = await client(fleet, EAST)
    yield camera
    await camera.close()


@pytest.fixture
async def north(fleet: RunningFleet) -> AsyncIterator[Any]:
    """A client of the other camera."""
    camera = await client(fleet, NORTH)
    yield camera
    await camera.close()


async def pull(service: Any, seconds: float, limit: int = 20) -> list[tuple[str, str, str]]:
    """(topic, operation, value of the first data item) of each message."""
    answer = await service.PullMessages({"Timeout": timedelta(seconds=seconds), "MessageLimit": limit})
    return [
        (
            message.Topic._value_1,
            message.Message._value_1.PropertyOperation,
            message.Message._value_1.Data.SimpleItem[0].Value,
        )
        for message in answer.NotificationMessage
    ]


async def test_device_says_who_it_is(fleet: RunningFleet, east: Any) -> None:
    device = await east.create_devicemgmt_service()
    information = await device.GetDeviceInformation()
    assert (information.Model, information.SerialNumber) == ("JS-2M-PTZ", EAST.serial)
    assert (await device.GetHostname()).Name == "c-01"
    interfaces = await device.GetNetworkInterfaces()
    assert interfaces[0].IPv4.Config.Manual[0].Address == "127.0.0.1"
    scopes = [scope.ScopeItem for scope in await device.GetScopes()]
    assert "onvif://www.onvif.org/name/c-01" in scopes
    capabilities = await east.get_capabilities()
    assert capabilities["PTZ"]["XAddr"].endswith("/onvif/ptz_service")
    assert capabilities["Events"]["WSPullPointSupport"] is True


async def test_clock_is_told_without_credentials_and_is_the_cameras_own(fleet: RunningFleet) -> None:
    body = envelope(f'<d:GetSystemDateAndTime xmlns:d="{TDS}"/>')
    answer = post(fleet.onvif_port("c-01"), body)
    assert answer.status_code == 200
    hour = (datetime.now(UTC) + timedelta(hours=1)).hour
    assert f"<tt:Hour>{hour}</tt:Hour>" in answer.text


async def test_wrong_password_is_a_fault(fleet: RunningFleet) -> None:
    camera = await client(fleet, EAST, password="wrong")
    try:
        device = await camera.create_devicemgmt_service()
        with pytest.raises(Fault) as refused:
            await device.GetDeviceInformation()
        assert [name.localname for name in refused.value.subcodes] == ["NotAuthorized"]
    finally:
        await camera.close()


@pytest.mark.parametrize(
    ("minutes", "status"), [(60, 200), (57, 200), (63, 200), (0, 400), (54, 400), (66, 400)]
)
def test_created_is_measured_by_the_cameras_clock(fleet: RunningFleet, minutes: int, status: int) -> None:
    """The camera runs 60 minutes ahead and allows 5 either way."""
    created = datetime.now(UTC) + timedelta(minutes=minutes)
    header = security(EAST.user, EAST.password, created)
    answer = post(fleet.onvif_port("c-01"), envelope(INFORMATION, header))
    assert answer.status_code == status
    assert ("ter:NotAuthorized" in answer.text) == (status == 400)


@pytest.mark.parametrize(
    ("data", "status", "said"),
    [
        (bytes(range(256)) * 4, 400, "ter:WellFormed"),
        (b"", 400, "ter:WellFormed"),
        (envelope(INFORMATION)[:60], 400, "ter:WellFormed"),
        (b'<!DOCTYPE x [<!ENTITY y "z">]>' + envelope(INFORMATION), 400, "document type"),
        (b"<html/>", 400, "VersionMismatch"),
        (envelope(INFORMATION), 400, "ter:NotAuthorized"),
        (envelope(""), 400, "exactly one element"),
        (b"\xff\xfe" + b"x" * 10_000_000, 413, ""),
    ],
)  # fmt: skip
def test_garbage_is_a_fault_and_the_next_call_is_served(
    fleet: RunningFleet, data: bytes, status: int, said: str
) -> None:
    port = fleet.onvif_port("c-02")
    try:
        answer = post(port, data)
    except (httpx.WriteError, httpx.ReadError):
        assert status == 413  # the port closes on what is far too large, mid-sending
    else:
        assert answer.status_code == status
        assert said in answer.text
    header = security(NORTH.user, NORTH.password, datetime.now(UTC))
    assert "JS-2M" in post(port, envelope(INFORMATION, header)).text


def test_unknown_operation_is_a_fault(fleet: RunningFleet) -> None:
    header = security(NORTH.user, NORTH.password, datetime.now(UTC))
    answer = post(fleet.onvif_port("c-02"), envelope(f'<d:SystemReboot xmlns:d="{TDS}"/>', header))
    assert answer.status_code == 400
    assert "ter:ActionNotSupported" in answer.text


async def test_profiles_lead_to_the_streams(fleet: RunningFleet, east: Any) -> None:
    media = await east.create_media_service()
    profiles = await media.GetProfiles()
    setup = {"Stream": "RTP-Unicast", "Transport": {"Protocol": "RTSP"}}
    found = {}
    for profile in profiles:
        uri = await media.GetStreamUri({"StreamSetup": setup, "ProfileToken": profile.token})
        encoder = profile.VideoEncoderConfiguration
        found[uri.Uri] = (
            encoder.Resolution.Width,
            encoder.Resolution.Height,
            encoder.RateControl.FrameRateLimit,
        )
    address = fleet.fleet.addresses("c-01")
    assert found == {address.rtsp_main: (1280, 720, 25), address.rtsp_sub: (640, 360, 5)}
    assert len(await media.GetVideoSources()) == 1
    assert len(await media.GetVideoEncoderConfigurations()) == 2
    options = await media.GetVideoEncoderConfigurationOptions({"ConfigurationToken": "encoder_sub"})
    assert options.H264.FrameRateRange.Max == 5
    with pytest.raises(Fault):
        await media.GetStreamUri({"StreamSetup": setup, "ProfileToken": "nothing"})


async def test_still_is_a_jpeg_of_the_stream_and_needs_the_password(fleet: RunningFleet, east: Any) -> None:
    data = await east.get_snapshot("profile_sub")
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert picture is not None and picture.shape == (360, 640)
    assert picture.std() > 20
    uri = await east.get_snapshot_uri("profile_sub")
    async with httpx.AsyncClient(trust_env=False) as http:
        assert (await http.get(uri)).status_code == 401
        assert (await http.get(uri, auth=httpx.DigestAuth(EAST.user, "wrong"))).status_code == 401


async def test_ptz_takes_its_time(east: Any) -> None:
    ptz = await east.create_ptz_service()
    who = {"ProfileToken": "profile_main"}
    assert len(await ptz.GetNodes()) == 1
    assert len(await ptz.GetConfigurations()) == 1
    await ptz.AbsoluteMove({**who, "Position": {"PanTilt": {"x": 0.9, "y": 0}}})
    status = await ptz.GetStatus(who)
    assert status.MoveStatus.PanTilt == "MOVING"
    assert status.Position.PanTilt.x < 0.5
    await ptz.Stop(who)
    assert (await ptz.GetStatus(who)).MoveStatus.PanTilt == "IDLE"
    await ptz.ContinuousMove(
        {**who, "Velocity": {"PanTilt": {"x": -1, "y": 0}}, "Timeout": timedelta(seconds=5)}
    )
    assert (await ptz.GetStatus(who)).MoveStatus.PanTilt == "MOVING"
    presets = {preset.Name: preset.token for preset in await ptz.GetPresets(who)}
    await ptz.GotoPreset({**who, "PresetToken": presets["Home"]})
    with pytest.raises(Fault):
        await ptz.GotoPreset({**who, "PresetToken": "99"})
    with pytest.raises(Fault):
        await ptz.ContinuousMove({**who, "Velocity": {"PanTilt": {"x": 7, "y": 0}}})


async def test_a_fixed_camera_has_no_ptz_service(north: Any) -> None:
    assert "http://www.onvif.org/ver20/ptz/wsdl" not in north.xaddrs


async def test_motion_is_pulled_as_the_vehicles_pass_and_ledgered(fleet: RunningFleet, north: Any) -> None:
    manager = await north.create_pullpoint_manager(timedelta(minutes=10), lambda: None)
    service = manager.get_service()
    try:
        first = await pull(service, 1)
        assert [(operation, value) for _, operation, value in first][1] == ("Initialized", "false")
        assert {topic for topic, _, _ in first} == {
            "tns1:RuleEngine/CellMotionDetector/Motion",
            "tns1:RuleEngine/TamperDetector/Tamper",
        }
        seen: dict[str, float] = {}
        while seen.keys() != {"true", "false"}:
            for topic, operation, value in await pull(service, 9):
                assert (topic, operation) == ("tns1:RuleEngine/CellMotionDetector/Motion", "Changed")
                seen[value] = fleet.fleet.position_s("c-02")
        ((begin, end),) = fleet.fleet.schedule("c-02")
        assert seen["true"] == pytest.approx(begin, abs=0.3)
        assert seen["false"] == pytest.approx(end, abs=0.3)
        mine = [entry for entry in fleet.ledger if entry["source"] == "camera:c-02"][-2:]
        assert {entry["active"] for entry in mine} == {True, False}
        assert {entry["kind"] for entry in mine} == {"motion"}
    finally:
        await manager.shutdown()


async def test_cover_is_told_as_tamper_and_a_cut_camera_forgets_its_subscribers(
    fleet: RunningFleet, east: Any
) -> None:
    manager = await east.create_pullpoint_manager(timedelta(minutes=10), lambda: None)
    service = manager.get_service()
    await pull(service, 1)
    topic = "tns1:VideoSource/GlobalSceneChange/ImagingService"
    fleet.do(lambda: fleet.fleet.cover("c-01", True, story="cover"))
    assert (topic, "Changed", "true") in await pull(service, 5)
    fleet.do(lambda: fleet.fleet.cover("c-01", False))
    assert (topic, "Changed", "false") in await pull(service, 5)
    tamper = next(entry for entry in fleet.ledger if entry["kind"] == "point")
    assert (tamper["condition"], tamper["active"], tamper["story"]) == ("video_tamper", True, "cover")
    port = fleet.onvif_port("c-01")
    fleet.do(lambda: fleet.fleet.cut("c-01", True))
    until(lambda: not _listens(port))
    rtsp_port = int(fleet.fleet.addresses("c-01").rtsp_main.split(":")[2].split("/")[0])
    until(lambda: not _listens(rtsp_port))
    fleet.do(lambda: fleet.fleet.cut("c-01", False))
    until(lambda: _listens(port) and _listens(rtsp_port))
    with pytest.raises(Fault):
        await pull(service, 1)
    await manager.shutdown()


async def test_renew_extends_and_unsubscribe_ends(east: Any) -> None:
    manager = await east.create_pullpoint_manager(timedelta(seconds=60), lambda: None)
    service = manager.get_service()
    subscription = await east.create_subscription_service("PullPointSubscription")
    renewed = await subscription.Renew("PT600S")
    left = (renewed.TerminationTime - renewed.CurrentTime).total_seconds()
    assert left == pytest.approx(600, abs=2)
    assert len(await pull(service, 0, limit=1)) == 1
    assert len(await pull(service, 0, limit=5)) == 1
    await service.SetSynchronizationPoint()
    assert len(await pull(service, 1)) >= 2
    await manager.shutdown()
    with pytest.raises(Fault):
        await pull(service, 1)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0
