"""The edge as a process of its own, against a real RTSP server and a real Mosquitto."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.edge.conftest import PASSWORD, USER, EdgeProcess, Intake, RtspServer
from tests.edge.films import passing, write
from wire.observations import Condition, Heartbeat, Link, Motion, Observation, PointState
from wire.work import Camera


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A car passes at 4 s, 12 s and 20 s of a minute."""
    return write(tmp_path_factory.mktemp("film") / "film.mp4", passing(60, [(4, 7), (12, 15), (20, 23)]))


@pytest.fixture
def server(film: Path, free_port: Callable[[], int]) -> Iterator[RtspServer]:
    server = RtspServer(free_port(), film)
    server.start()
    yield server
    server.kill()


def camera(server: RtspServer, name: str = "c-01", password: str = PASSWORD) -> Camera:
    return Camera(
        id=name, rtsp_sub=server.url, rtsp_main="rtsp://127.0.0.1:9/x", user=USER, password=password
    )


def motion(observation: Observation, *, active: bool) -> bool:
    return isinstance(observation.body, Motion) and observation.body.active == active


def picture_lost(observation: Observation, *, active: bool) -> bool:
    body = observation.body
    return (
        isinstance(body, PointState)
        and body.condition == Condition.PICTURE_LOST
        and body.active == active
        and body.point == "picture"
    )


def test_motion_loss_and_return_reach_the_hub_and_no_secret_reaches_the_log(
    server: RtspServer, intake: Intake, edge: EdgeProcess
) -> None:
    intake.assign(camera(server), Camera(id="c-02", onvif="http://127.0.0.1:9/onvif"))
    up = intake.wait_for(lambda o: o.body == Link(up=True))
    assert up.source == "camera:c-01"

    begin = intake.wait_for(lambda o: motion(o, active=True))
    assert isinstance(begin.body, Motion)
    assert begin.body.still.startswith(b"\xff\xd8\xff")
    assert all(600 < region.y < 900 for region in begin.body.regions)
    end = intake.wait_for(lambda o: motion(o, active=False))
    assert isinstance(end.body, Motion)
    assert end.body.event == begin.body.event
    assert 1.5 <= (end.heard_at - begin.heard_at).total_seconds() <= 4.0
    assert begin.id and begin.id != end.id

    server.kill()
    heard = len(intake.seen)
    lost = intake.wait_for(lambda o: picture_lost(o, active=True), heard)
    assert 0 <= (lost.heard_at - end.heard_at).total_seconds() <= 20
    down = intake.wait_for(lambda o: isinstance(o.body, Link) and not o.body.up, heard)
    assert isinstance(down.body, Link) and down.body.reason

    server.start()
    intake.wait_for(lambda o: picture_lost(o, active=False), heard, within_s=40)
    again = intake.wait_for(lambda o: motion(o, active=True), heard)
    assert isinstance(again.body, Motion)
    assert again.body.event != begin.body.event

    assert edge.terminate() == 0
    said = edge.log.read_text()
    assert "c-02" in said  # waits for its address
    for secret in (PASSWORD, quote(PASSWORD, safe=""), "p@ss"):
        assert secret not in said
        assert not any(secret in repr(o) for o in intake.seen)


def test_a_worker_killed_mid_motion_ends_the_event_and_the_camera_comes_back(
    server: RtspServer, intake: Intake, edge: EdgeProcess
) -> None:
    intake.assign(camera(server))
    begin = intake.wait_for(lambda o: motion(o, active=True))
    heard = len(intake.seen)
    (worker,) = edge.workers
    os.kill(worker, signal.SIGKILL)
    end = intake.wait_for(lambda o: motion(o, active=False), heard - 1)
    assert isinstance(begin.body, Motion) and isinstance(end.body, Motion)
    assert end.body.event == begin.body.event
    intake.wait_for(lambda o: o.body == Link(up=True), heard)


def test_an_edge_killed_mid_motion_ends_the_event_in_its_next_life(
    server: RtspServer, intake: Intake, edge: EdgeProcess
) -> None:
    intake.assign(camera(server))
    begin = intake.wait_for(lambda o: motion(o, active=True))
    edge.kill()
    edge.start()
    end = intake.wait_for(lambda o: motion(o, active=False))
    assert isinstance(begin.body, Motion) and isinstance(end.body, Motion)
    assert end.body.event == begin.body.event


def test_a_wrong_password_is_told_as_a_lost_camera_and_others_go_on(
    server: RtspServer, intake: Intake, edge: EdgeProcess
) -> None:
    intake.assign(camera(server, "c-bad", "wr0ng-pass"), camera(server, "c-good"))
    intake.wait_for(lambda o: o.source == "camera:c-good" and o.body == Link(up=True))
    refused = intake.wait_for(lambda o: o.source == "camera:c-bad" and isinstance(o.body, Link))
    assert isinstance(refused.body, Link)
    assert not refused.body.up
    assert "401" in refused.body.reason
    assert "wr0ng-pass" not in edge.log.read_text()


def test_the_list_is_followed_and_nonsense_leaves_it_in_force(
    server: RtspServer, intake: Intake, edge: EdgeProcess
) -> None:
    intake.assign(camera(server, "c-one"))
    intake.wait_for(lambda o: o.source == "camera:c-one" and o.body == Link(up=True))
    intake.bus.publish("jifang/work/cameras", b"\xff\xfe{").result(5)
    intake.assign(camera(server, "c-one"), camera(server, "c-two"))
    intake.wait_for(lambda o: o.source == "camera:c-two" and o.body == Link(up=True))
    ups = [o for o in intake.seen if o.source == "camera:c-one" and isinstance(o.body, Link)]
    assert len(ups) == 1  # the one that stayed was not touched
    assert "camera list refused" in edge.log.read_text()
    beat = intake.wait_for(lambda o: o.source == f"edge:{intake.name}")
    assert beat.body == Heartbeat(interval_s=60.0)
