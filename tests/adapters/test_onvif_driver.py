"""Cameras over ONVIF: against the simulator's camera, also through a proxy that behaves as bad devices do."""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from adapters.onvif.driver import OnvifDriver
from adapters.sender import Sender
from simulator.cameras.device import Device, Material
from simulator.cameras.onvif_server import OnvifServer
from simulator.cameras.pullpoint import Topic
from simulator.cameras.spec import CameraAddress, CameraSpec
from simulator.scenes.reel import Reel
from tests.adapters.conftest import until
from wire import codec
from wire.bus import Broker, MqttBus
from wire.clock import utc_now
from wire.observations import Body, Condition, DeviceFacts, Heartbeat, Motion, PointState
from wire.work import Camera, CameraWork

SKEW_S = 3605.0
PASSWORD = "geheim-1"


def reel(width_px: int, height_px: int, fps: int) -> Reel:
    """What a stream is, without the stream."""
    return Reel(Path("none"), width_px, height_px, fps, 10.0, ((0, 10_000_000, 1),), ((0, 1000, 1, 0),))


class Simulated:
    """The simulator's camera, without pictures."""

    def __init__(self) -> None:
        spec = CameraSpec(
            id="c-01",
            name="",
            lat=34.2,
            lon=117.2,
            bearing_deg=0.0,
            scene="crossroads",
            seed=1,
            film=None,
            user="admin",
            password=PASSWORD,
            ptz=True,
            clock_skew_s=SKEW_S,
        )
        main, sub = reel(1920, 1080, 25), reel(640, 360, 5)
        self.device = Device(spec, time.monotonic, material=Material(main, sub, main, sub))
        self.server = OnvifServer(self.device, "127.0.0.1", lambda _device, _messages: None)

    async def start(self) -> None:
        """Listens; on the same port after a stop."""
        await self.server.start()
        base = f"http://127.0.0.1:{self.server.port}/onvif/device_service"
        streams = [f"rtsp://127.0.0.1:8554/{name}" for name in ("main", "sub")]
        self.device.address = CameraAddress(base, *streams)

    @property
    def onvif(self) -> str:
        """Its device service."""
        return self.device.address.onvif


@pytest.fixture
async def simulated() -> AsyncIterator[Simulated]:
    one = Simulated()
    await one.start()
    yield one
    await one.server.stop()


class Told:
    """What a driver told, read from its outbox."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def bodies(self) -> list[Body]:
        """In order."""
        rows = self._sender.outbox.after(0, 1000)
        return [codec.decode_envelope(payload).observation.body for _, payload in rows]

    def points(self, point: str) -> list[tuple[bool | None, str]]:
        """(active, code) of a point's changes."""
        bodies = [body for body in self.bodies() if isinstance(body, PointState) and body.point == point]
        return [(body.active, body.code) for body in bodies]

    def motions(self) -> list[bool]:
        """Begins and ends of motion."""
        return [body.active for body in self.bodies() if isinstance(body, Motion)]

    def facts(self) -> list[DeviceFacts]:
        """What devices said of themselves."""
        return [body for body in self.bodies() if isinstance(body, DeviceFacts)]


Watching = Callable[..., tuple[OnvifDriver, Told]]


@pytest.fixture
async def watching(broker: Broker, tmp_path: Path) -> AsyncIterator[Watching]:
    """Makes drivers that watch one camera; ends them afterwards."""
    made: list[OnvifDriver] = []

    def make(onvif: str, password: str = PASSWORD, renew_after_s: float = 480.0) -> tuple[OnvifDriver, Told]:
        bus = MqttBus(broker, f"test-{uuid.uuid4().hex[:8]}", persistent=False)
        sender = Sender(f"adapter-onvif-{len(made)}", tmp_path, bus)
        driver = OnvifDriver(sender, utc_now, pull_s=1, debounce_s=0.5, renew_after_s=renew_after_s)
        made.append(driver)
        camera = Camera(id="c-01", onvif=onvif, user="admin", password=password)
        driver.work(CameraWork(cameras=(camera,)))
        return driver, Told(sender)

    yield make
    for driver in made:
        await driver.close()
        driver.sender.outbox.close()


async def test_a_camera_tells_who_it_is_and_what_moves(simulated: Simulated, watching: Watching) -> None:
    _, told = watching(simulated.onvif)
    await until(told.facts)
    [facts] = told.facts()
    assert (facts.make, facts.serial) == ("Jifang Simulator", simulated.device.spec.serial)
    assert facts.detail["rtsp_main"].startswith("rtsp://127.0.0.1:8554/main")
    assert facts.detail["rtsp_sub"].startswith("rtsp://127.0.0.1:8554/sub")
    assert (facts.detail["ptz"], facts.detail["main_codec"]) == ("yes", "h264")
    assert (facts.detail["main_size"], facts.detail["sub_size"]) == ("1920x1080", "640x360")
    assert abs(float(facts.detail["clock_skew_s"]) - SKEW_S) < 5
    assert "geheim" not in str(told.bodies())
    await until(lambda: any(isinstance(body, Heartbeat) for body in told.bodies()))
    simulated.device.events.set(Topic.MOTION, True)
    await until(lambda: told.motions() == [True])
    simulated.device.events.set(Topic.MOTION, False)
    simulated.device.events.set(Topic.SCENE_CHANGE, True)
    await until(lambda: told.points("picture"))
    assert told.motions() == [True, False]
    assert told.points("onvif") == [(False, "")]


async def test_a_camera_that_goes_and_comes_back_is_told_of_both(
    simulated: Simulated, watching: Watching
) -> None:
    _, told = watching(simulated.onvif)
    await until(lambda: told.points("onvif"))
    simulated.device.events.set(Topic.MOTION, True)
    simulated.device.events.set(Topic.SCENE_CHANGE, True)
    await until(lambda: told.points("picture"))
    await simulated.server.stop()
    await until(lambda: told.points("onvif")[-1][0])
    assert told.motions() == [True, False]
    assert [active for active, _ in told.points("picture")] == [True, None]
    await simulated.server.start()
    await until(lambda: told.points("onvif")[-1][0] is False)
    await until(lambda: told.motions() == [True, False, True])
    assert [active for active, _ in told.points("picture")] == [True, None, True]


async def test_a_wrong_password_is_named(simulated: Simulated, watching: Watching) -> None:
    _, told = watching(simulated.onvif, password="falsch")
    await until(lambda: told.points("onvif"))
    assert told.points("onvif") == [(True, "unauthorized")]


async def test_a_camera_that_is_still_starting_is_asked_again(
    simulated: Simulated, watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.onvif.driver.ASK_AGAIN_S", 0.5)
    material, simulated.device.material = simulated.device.material, None
    _, told = watching(simulated.onvif)
    await until(lambda: told.facts() and "still starting" in told.facts()[0].detail["streams"])
    simulated.device.material = material
    await until(lambda: len(told.facts()) == 2)
    assert told.facts()[1].detail["rtsp_sub"].startswith("rtsp://127.0.0.1:8554/sub")


async def test_a_camera_that_is_struck_off_is_left_alone(simulated: Simulated, watching: Watching) -> None:
    driver, told = watching(simulated.onvif)
    await until(lambda: told.points("onvif"))
    driver.work(CameraWork(cameras=()))
    before = len(told.bodies())
    await simulated.server.stop()
    await asyncio.sleep(1.0)
    assert len(told.bodies()) == before


Answer = Callable[[str, bytes], "bytes | None"]


class Quirky:
    """A proxy before a camera, which names the camera's inner address as routers do.

    `answers` takes (operation, true answer) and gives another answer or None.
    """

    def __init__(self, behind: str, answers: Answer) -> None:
        self._behind = behind.removesuffix("/onvif/device_service")
        self._inner = self._behind.removeprefix("http://").encode()
        self._answers = answers
        self.asked: list[str] = []

    async def handle(self, request: web.Request) -> web.Response:
        """Passes one call on."""
        body = await request.read()
        operation = re.search(rb"Body>\s*<(?:\w+:)?(\w+)", body)
        name = operation[1].decode() if operation else ""
        self.asked.append(name)
        path = request.path_qs.replace("/behind/nat", "/onvif/device_service")
        headers = {"Content-Type": request.headers["Content-Type"]}
        async with (
            aiohttp.ClientSession() as session,
            session.post(self._behind + path, data=body, headers=headers) as answer,
        ):
            raw, status = await answer.read(), answer.status
        other = self._answers(name, raw)
        raw = raw.replace(self._inner, b"10.9.8.7:80")
        kind = "application/soap+xml"
        return web.Response(body=raw if other is None else other, status=status, content_type=kind)


Quirks = Callable[..., "asyncio.Future[tuple[str, Quirky]]"]


@pytest.fixture
async def quirks(simulated: Simulated, free_port: Callable[[], int]) -> AsyncIterator[Quirks]:
    runners: list[web.AppRunner] = []

    async def make(answers: Answer = lambda _name, _raw: None) -> tuple[str, Quirky]:
        quirky = Quirky(simulated.onvif, answers)
        app = web.Application()
        app.router.add_post("/{tail:.*}", quirky.handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        runners.append(runner)
        await runner.setup()
        port = free_port()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        return f"http://127.0.0.1:{port}/behind/nat", quirky

    yield make  # type: ignore[misc]
    for runner in runners:
        await runner.cleanup()


def fault(text: str) -> bytes:
    return (
        '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><s:Fault><s:Code><s:Value>s:Sender'
        f"</s:Value></s:Code><s:Reason><s:Text>{text}</s:Text></s:Reason></s:Fault></s:Body></s:Envelope>"
    ).encode()


async def test_behind_nat_with_wrong_addresses_and_an_unusual_path(
    simulated: Simulated, watching: Watching, quirks: Quirks
) -> None:
    address, quirky = await quirks()
    _, told = watching(address)
    await until(lambda: told.points("onvif") == [(False, "")])
    simulated.device.events.set(Topic.MOTION, True)
    await until(lambda: told.motions() == [True])
    assert "PullMessages" in quirky.asked


async def test_a_camera_that_cant_renew_is_subscribed_to_anew(
    simulated: Simulated, watching: Watching, quirks: Quirks
) -> None:
    address, quirky = await quirks(lambda name, _raw: fault("not supported") if name == "Renew" else None)
    _, told = watching(address, renew_after_s=0.5)
    await until(lambda: quirky.asked.count("CreatePullPointSubscription") >= 2)
    simulated.device.events.set(Topic.MOTION, True)
    await until(lambda: told.motions() == [True])
    assert told.points("onvif") == [(False, "")]
    assert quirky.asked.count("GetServices") == 1, "the connection was kept"


async def test_a_camera_that_can_renew_is(simulated: Simulated, watching: Watching, quirks: Quirks) -> None:
    address, quirky = await quirks()
    watching(address, renew_after_s=0.5)
    await until(lambda: quirky.asked.count("Renew") >= 2)
    assert quirky.asked.count("CreatePullPointSubscription") == 1


async def test_an_answer_the_library_stumbles_over_is_read_all_the_same(
    simulated: Simulated, watching: Watching, quirks: Quirks
) -> None:
    def answers(name: str, raw: bytes) -> bytes | None:
        if name != "PullMessages":
            return None
        inner = f"127.0.0.1:{simulated.server.port}".encode()
        return re.sub(rb"<tev:CurrentTime>[^<]*", b"<tev:CurrentTime>soon", raw).replace(inner, b"10.9.8.7")

    address, _ = await quirks(answers)
    _, told = watching(address)
    await until(lambda: told.points("onvif") == [(False, "")])
    simulated.device.events.set(Topic.MOTION, True)
    await until(lambda: told.motions() == [True])


async def test_without_a_clock_that_can_be_read_it_is_tried_with_ours(
    simulated: Simulated, watching: Watching, quirks: Quirks
) -> None:
    simulated.device.events.skew *= 0

    def answers(name: str, raw: bytes) -> bytes | None:
        return (
            re.sub(rb"<tt:UTCDateTime>.*</tt:UTCDateTime>", b"", raw)
            if name.endswith("DateAndTime")
            else None
        )

    address, _ = await quirks(answers)
    object.__setattr__(simulated.device.spec, "clock_skew_s", 0.0)
    _, told = watching(address)
    await until(lambda: told.points("onvif") == [(False, "")])


@pytest.mark.parametrize(
    ("operation", "answer"),
    [
        ("GetProfiles", fault("no")),
        ("GetProfiles", b"\xff\x00"),
        ("GetProfiles", b"x" * 2_000_000),
        ("GetStreamUri", b"<html>"),
        ("GetStreamUri", b""),
    ],
    ids=["fault", "binary", "large", "html", "empty"],
)
async def test_a_camera_whose_media_service_fails_still_tells_its_events(
    simulated: Simulated, watching: Watching, quirks: Quirks, operation: str, answer: bytes
) -> None:
    address, _ = await quirks(lambda name, _raw: answer if name == operation else None)
    _, told = watching(address)
    await until(told.facts)
    assert len(told.facts()[0].detail["streams"]) < 300
    await until(lambda: told.points("onvif") == [(False, "")])


@pytest.mark.parametrize("answer", [fault("gone"), b"", b"<html>", b"\xff\x00", b"x" * 10_000_000])
async def test_broken_answers_to_pulling_end_the_session_and_are_named(
    simulated: Simulated, watching: Watching, quirks: Quirks, answer: bytes
) -> None:
    broken = True
    address, _ = await quirks(lambda name, _raw: answer if name == "PullMessages" and broken else None)
    _, told = watching(address)
    await until(lambda: told.points("onvif"))
    active, code = told.points("onvif")[0]
    assert active
    assert code in ("refused", "nonsense")
    broken = False
    await until(lambda: told.points("onvif")[-1] == (False, ""))


async def test_comms_lost_means_the_camera(watching: Watching, free_port: Callable[[], int]) -> None:
    _, told = watching(f"http://127.0.0.1:{free_port()}/onvif/device_service")
    await until(lambda: told.points("onvif"))
    [body] = [body for body in told.bodies() if isinstance(body, PointState)]
    assert (body.condition, body.active, body.code) == (Condition.COMMS_LOST, True, "unreachable")
