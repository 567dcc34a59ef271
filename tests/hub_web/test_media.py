"""Live video: a real RTSP server on one side, a real WebRTC client on the other, nothing encoded between."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import av
import cv2
import httpx
import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from hub.media import LINGER_S, Address, Coded, NoPassthrough, Order, Timeline, Viewer, check_passable
from tests.hub_web.conftest import Desk, Running, wait_until
from tests.hub_web.films import FPS, fingerprint, fingerprints, write_film
from wire.observations import Motion

SERVER = Path(__file__).parent / "rtsp_source.py"
USER, PASSWORD = "viewer", "p@ss/w:rd-7Q"


@dataclass(slots=True)
class Source:
    """One RTSP camera."""

    port: int
    film: Path
    process: subprocess.Popen[str]

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/cam"

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


def start_source(port: int, film: Path) -> Source:
    process = subprocess.Popen(
        ["/usr/bin/python3", SERVER, str(port), film, USER, PASSWORD], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    said = process.stdout.readline()
    if said != "ready\n":
        process.kill()
        raise RuntimeError(f"the RTSP server said {said!r} and ended with {process.wait()}")
    return Source(port, film, process)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_film(tmp_path_factory.mktemp("films") / "plain.mp4", 25)


@pytest.fixture
def source(film: Path, free_port: Callable[[], int]) -> Iterator[Source]:
    started = start_source(free_port(), film)
    yield started
    started.kill()


@pytest.fixture
async def camera(running: Running, desk: Desk, source: Source) -> str:
    return await register(desk, source)


async def register(desk: Desk, source: Source) -> str:
    """Registers the source as a camera of the market; its id."""
    async with desk.as_person("fitter") as client:
        answer = await client.post(
            "/cameras",
            json={
                "name": "测试摄像机",
                "site": "market",
                "rtsp_main": source.url,
                "user": USER,
                "password": PASSWORD,
            },
        )
        assert answer.status_code == 201, answer.text
        assert PASSWORD not in answer.text
        return str(answer.json()["source"]).removeprefix("camera:")


@dataclass(slots=True)
class Watching:
    """A viewer's end."""

    peer: RTCPeerConnection
    location: str = ""
    frames: list[tuple[float, str]] = field(default_factory=list)
    codecs: list[str] = field(default_factory=list)
    ended: bool = False

    async def until_frames(self, count: int, within_s: float = 15.0) -> None:
        async with asyncio.timeout(within_s):
            while len(self.frames) < count:
                await asyncio.sleep(0.01)


async def offer_of(peer: RTCPeerConnection) -> str:
    await peer.setLocalDescription(await peer.createOffer())
    return str(peer.localDescription.sdp)


async def ask(client: httpx.AsyncClient, camera: str, offer: str, reason: str = "核实警情") -> httpx.Response:
    return await client.post(
        f"/cameras/{camera}/whep",
        params={"reason": reason},
        content=offer.encode(),
        headers={"Content-Type": "application/sdp"},
    )


@asynccontextmanager
async def watching(client: httpx.AsyncClient, camera: str) -> AsyncIterator[Watching]:
    """A live picture, received until the block ends."""
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    peer.addTransceiver("video", direction="recvonly")
    seen = Watching(peer)
    tasks: list[asyncio.Task[None]] = []

    @peer.on("track")
    def arrived(track: MediaStreamTrack) -> None:
        tasks.append(asyncio.ensure_future(receive(track, seen)))

    answer = await ask(client, camera, await offer_of(peer))
    assert answer.status_code == 201, answer.text
    assert answer.headers["content-type"] == "application/sdp"
    seen.location = answer.headers["location"]
    seen.codecs = [line for line in answer.text.splitlines() if line.startswith("a=rtpmap:")]
    await peer.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
    try:
        yield seen
    finally:
        await peer.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def receive(track: MediaStreamTrack, seen: Watching) -> None:
    try:
        while True:
            frame = await track.recv()
            assert isinstance(frame, av.VideoFrame)
            seen.frames.append((time.monotonic(), fingerprint(frame)))
    except MediaStreamError:
        seen.ended = True


async def test_the_cameras_own_pictures_arrive_and_keep_coming(
    running: Running, desk: Desk, camera: str, film: Path
) -> None:
    pictures = fingerprints(film)
    async with desk.as_person("op") as client:
        async with watching(client, camera) as seen:
            assert seen.codecs and all("H264/90000" in line or "rtx/90000" in line for line in seen.codecs)
            await seen.until_frames(3 * FPS)
            # Equal to the last bit to the film as decoded: nothing was encoded on the way.
            numbers = [pictures.get(one, -1) for _, one in seen.frames]
            assert numbers == sorted(numbers)
            assert numbers[-1] - numbers[0] >= len(numbers) - 2
            # A second viewer joins in the middle, shares the pull and sees the cached group at once.
            began = time.monotonic()
            async with watching(client, camera) as second:
                await second.until_frames(1)
                assert second.frames[0][0] - began < 2.0
                assert running.on_loop(lambda: (running.hub.media.pulls, running.hub.media.viewers)) == (1, 2)
                await second.until_frames(FPS)
                assert abs(pictures[second.frames[-1][1]] - pictures[seen.frames[-1][1]]) <= FPS
                assert (await client.delete(f"{running.base}{second.location}")).status_code == 204
                assert (await client.delete(f"{running.base}{second.location}")).status_code == 404
            more = len(seen.frames)
            await seen.until_frames(more + FPS)
        wait_until(lambda: running.on_loop(lambda: running.hub.media.viewers) == 0)
        wait_until(lambda: running.on_loop(lambda: running.hub.media.pulls) == 0, LINGER_S + 3)
    async with desk.as_person("inspector") as client:
        rows = (await client.get("/audit?limit=100")).json()["rows"]
    views = [row for row in rows if row["action"] == "video.live" and row["object"] == f"camera:{camera}"]
    assert [(row["person"], row["reason"], row["outcome"]) for row in views] == [("op", "核实警情", "ok")] * 2


async def test_a_picture_that_stops_is_told_as_stopped(
    running: Running, desk: Desk, camera: str, source: Source
) -> None:
    async with desk.as_person("op") as client, watching(client, camera) as seen:
        await seen.until_frames(5)
        source.kill()
        async with asyncio.timeout(10):
            while seen.peer.connectionState not in ("closed", "failed") and not seen.ended:
                await asyncio.sleep(0.02)
        assert running.on_loop(lambda: running.hub.media.viewers) == 0
        gone = await client.get(f"/cameras/{camera}/still", params={"reason": "核实"})
        assert gone.status_code == 502
        assert gone.json()["code"] == "no_picture"


async def test_a_still_is_the_newest_key_frame_with_its_age(
    running: Running, desk: Desk, camera: str
) -> None:
    async with desk.as_person("op") as client:
        answer = await client.get(f"/cameras/{camera}/still", params={"reason": "核实"})
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "image/jpeg"
        assert 0 <= float(answer.headers["jifang-picture-age"]) < 5
        taken_at = datetime.fromisoformat(answer.headers["x-taken-at"])
        assert abs((datetime.now(UTC) - taken_at).total_seconds()) < 10
        picture = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None and picture.shape == (192, 320, 3)
        facts = (
            await client.get(
                f"/cameras/{camera}/still", params={"reason": "核实"}, headers={"Accept": "application/json"}
            )
        ).json()
        assert (facts["origin"], facts["width"], facts["height"]) == ("stream", 320, 192)


async def test_without_a_stream_the_stored_picture_is_shown_as_old(running: Running, desk: Desk) -> None:
    done, jpeg = cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))
    assert done
    digest = running.hub.blobs.put(jpeg.tobytes())
    running.see("camera:c-02", Motion(active=True, event="m-still"), still=digest)
    async with desk.as_person("op") as client:
        answer = await client.get("/cameras/c-02/still", params={"reason": "核实"})
    assert answer.status_code == 200
    assert answer.headers["jifang-picture-origin"] == "stored"
    assert answer.content == jpeg.tobytes()


async def test_b_frames_are_refused_with_what_to_do(
    desk: Desk, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    source = start_source(free_port(), write_film(tmp_path / "b.mp4", 10, b_frames=2))
    try:
        camera = await register(desk, source)
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        peer.addTransceiver("video", direction="recvonly")
        async with desk.as_person("op") as client:
            answer = await ask(client, camera, await offer_of(peer))
        await peer.close()
        assert answer.status_code == 422
        assert answer.json()["code"] == "no_passthrough"
        assert "B 帧" in answer.json()["detail"]
    finally:
        source.kill()


async def test_an_absent_camera_answers_soon_and_quotes_no_address(desk: Desk) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        peer.addTransceiver("video", direction="recvonly")
        async with desk.as_person("op") as client:
            answer = await ask(client, "c-01", await offer_of(peer))
        await peer.close()
    assert answer.status_code == 502
    assert "rtsp" not in answer.text and "s3cret-pw" not in answer.text


async def test_an_offer_without_h264_is_refused(desk: Desk) -> None:
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    peer.addTransceiver("audio", direction="recvonly")
    async with desk.as_person("op") as client:
        answer = await ask(client, "c-01", await offer_of(peer))
    await peer.close()
    assert answer.status_code == 400


def test_what_browsers_do_not_play_is_not_passed_through() -> None:
    check_passable("h264", has_b_frames=False)
    for codec, b_frames, code in (("hevc", False, "codec"), ("h264", True, "b_frames")):
        with pytest.raises(NoPassthrough) as refused:
            check_passable(codec, b_frames)
        assert refused.value.code == code


def test_b_frames_that_the_stream_does_not_announce_are_found_by_their_order() -> None:
    order = Order()
    for _ in range(5):  # a film that starts again and again
        for ticks in (0, 6000, None, 12000, 180_000):
            order.check(ticks)
    for step in range(1000):  # a camera that sets its clock now and then
        order.check(200_000 + step * 3000 - (4000 if step % 100 == 0 else 0))
    with pytest.raises(NoPassthrough):
        for group in range(4):
            for ticks in (18000, 6000, 12000):
                order.check(200_000 + group * 18000 + ticks)


def test_addresses_show_no_credentials() -> None:
    address = Address.of("rtsp://10.0.0.1:554/main?x=1", "a dmin", "p@ss/w:rd")
    assert address.url == "rtsp://a%20dmin:p%40ss%2Fw%3Ard@10.0.0.1:554/main?x=1"
    assert "w%3Ard" not in repr(address)
    assert Address.of("rtsp://10.0.0.1/main", "", "").url == "rtsp://10.0.0.1/main"


def test_a_viewers_time_only_goes_forward() -> None:
    timeline = Timeline()
    cached = [timeline.next(ticks, squeeze=True) for ticks in (1000, 7000, 13000)]
    assert cached == [0, 90, 180]
    live = [
        timeline.next(ticks, squeeze=False) for ticks in (19000, 25000, None, 100, 6100, 10**9, 10**9 + 3000)
    ]
    steps = [b - a for a, b in zip([cached[-1], *live], live, strict=False)]
    assert steps == [6000, 6000, 6000, 6000, 6000, 6000, 3000]
    unstamped = Timeline()
    assert [unstamped.next(None, squeeze=False) for _ in range(3)] == [0, 3600, 7200]


async def test_a_viewer_that_lags_goes_on_at_the_next_key_frame() -> None:
    told: list[str] = []
    viewer = Viewer(told.append)
    at = datetime(2026, 11, 21, tzinfo=UTC)

    def coded(number: int) -> Coded:
        return Coded(number.to_bytes(4, "big"), number % 50 == 0, number * 6000, at)

    viewer.take(coded(7))  # no key frame yet: nothing that could be decoded
    for number in range(50, 700):
        viewer.take(coded(number))
    first = await viewer.recv()
    assert int.from_bytes(bytes(first), "big") % 50 == 0
    assert int.from_bytes(bytes(first), "big") > 600
    viewer.ended("the stream ended")
    assert told == ["the stream ended"]
    with pytest.raises(MediaStreamError):
        while True:
            await viewer.recv()
