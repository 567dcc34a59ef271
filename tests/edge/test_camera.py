"""One camera's watch with injected time: lost, recovered, heartbeats, events that always end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count

import numpy as np

from edge.camera import BEAT_S, CameraWatch, Moment
from edge.luma import Luma
from tests.edge.films import noisy, street, with_car
from wire.observations import (
    Body,
    Condition,
    Heartbeat,
    Link,
    Motion,
    Observation,
    PointState,
    Region,
)

START = datetime(2026, 11, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Shown:
    """A picture as capture would hand it over."""

    luma: Luma
    media_s: float
    key: bool = False
    device_at: datetime | None = None

    def still(self) -> bytes:
        return b"\xff\xd8jpeg"


class Camera:
    """Plays pictures to a watch at five a second."""

    def __init__(self, plates: Plates | None = None) -> None:
        names = count(1)
        self.watch = CameraWatch("c-01", at(0), lambda: f"event-{next(names)}", plates=plates)
        self.rng = np.random.default_rng(1)
        self.empty = street()

    def play(self, from_s: float, to_s: float, *, car: bool = False) -> list[Observation]:
        found: list[Observation] = []
        for index in range(round(from_s * 5), round(to_s * 5)):
            now = at(index / 5)
            scene = with_car(self.empty, (now.s - from_s) * 100) if car else self.empty
            shown = Shown(noisy(scene, self.rng), now.s, index % 10 == 0, START)
            found += self.watch.picture(shown, now)
            found += self.watch.tick(now)
        return found

    def wait(self, from_s: float, to_s: float) -> list[Observation]:
        return [
            o for index in range(round(from_s * 2), round(to_s * 2)) for o in self.watch.tick(at(index / 2))
        ]


class Plates:
    """A stage that keeps what it was offered."""

    def __init__(self) -> None:
        self.offered: list[tuple[tuple[int, ...], tuple[Region, ...]]] = []

    def look(self, luma: Luma, regions: Sequence[Region]) -> Sequence[Body]:
        self.offered.append((luma.shape, tuple(regions)))
        return [PointState(point="plate", condition=Condition.DIGITAL_INPUT, active=True)]


def at(seconds: float) -> Moment:
    return Moment(START + timedelta(seconds=seconds), seconds)


def lost(active: bool) -> PointState:
    return PointState(point="picture", condition=Condition.PICTURE_LOST, active=active)


def bodies(found: list[Observation]) -> list[Body]:
    return [o.body for o in found]


def test_the_first_picture_says_up() -> None:
    first = Camera().play(0, 0.2)
    assert bodies(first) == [Link(up=True), lost(False)]
    assert {o.source for o in first} == {"camera:c-01"}


def test_silence_is_lost_after_five_seconds_and_recovers() -> None:
    camera = Camera()
    camera.play(0, 10)
    silent = camera.wait(10, 20)
    assert bodies(silent) == [Link(up=False, reason="no picture for 5 s"), lost(True)]
    assert silent[0].heard_at == at(15).utc
    assert bodies(camera.play(20, 20.2)) == [Link(up=True), lost(False)]


def test_a_camera_never_reached_is_lost() -> None:
    camera = Camera()
    assert camera.watch.ended("Connection refused", at(0.1)) == []
    assert bodies(camera.wait(0.5, 8)) == [Link(up=False, reason="Connection refused"), lost(True)]


def test_a_connection_back_within_a_blip_was_never_lost() -> None:
    camera = Camera()
    camera.play(0, 10)
    assert camera.watch.ended("ended by the camera", at(10)) == []
    assert camera.wait(10, 12) == []
    assert bodies(camera.play(12, 13)) == []


def test_an_ended_connection_is_lost_after_a_blip() -> None:
    camera = Camera()
    camera.play(0, 10)
    camera.watch.ended("ended by the camera", at(10))
    found = camera.wait(10, 14)
    assert bodies(found) == [Link(up=False, reason="ended by the camera"), lost(True)]
    assert found[0].heard_at <= at(13.5).utc


def test_heartbeats_while_up_and_none_while_lost() -> None:
    camera = Camera()
    beats = [o for o in camera.play(0, 95) if isinstance(o.body, Heartbeat)]
    assert [o.heard_at for o in beats] == [at(BEAT_S * n).utc for n in (1, 2, 3)]
    assert all(o.body == Heartbeat(interval_s=BEAT_S) for o in beats)
    assert not any(isinstance(o.body, Heartbeat) for o in camera.wait(95, 200))


def motions(found: list[Observation]) -> list[Motion]:
    return [o.body for o in found if isinstance(o.body, Motion)]


def test_motion_begins_with_a_still_and_ends_under_the_same_event() -> None:
    camera = Camera()
    camera.play(0, 10)
    found = camera.play(10, 16, car=True) + camera.play(16, 20)
    begin, end = motions(found)
    assert (begin.active, end.active) == (True, False)
    assert begin.event == end.event == "event-1"
    assert begin.still.startswith(b"\xff\xd8")
    assert begin.regions
    assert end.peak >= begin.peak > 0
    began, ended = (o for o in found if isinstance(o.body, Motion))
    assert began.device_at == START
    assert at(10).utc <= began.heard_at <= at(10.8).utc
    assert at(15).utc <= ended.heard_at <= at(17).utc


def test_motion_ends_when_the_picture_is_lost() -> None:
    camera = Camera()
    camera.play(0, 10)
    (begin,) = motions(camera.play(10, 12, car=True))
    found = camera.wait(12, 20)
    assert isinstance(found[0].body, Motion)
    assert found[0].body.event == begin.event
    assert bodies(found)[1:] == [Link(up=False, reason="no picture for 5 s"), lost(True)]


def test_motion_ends_when_the_camera_is_dropped() -> None:
    camera = Camera()
    camera.play(0, 10)
    (begin,) = motions(camera.play(10, 12, car=True))
    (end,) = motions(camera.watch.dropped(at(12)))
    assert (end.event, end.active) == (begin.event, False)
    assert camera.watch.dropped(at(13)) == []


def test_what_moves_is_offered_to_the_plate_stage_in_full_pixels() -> None:
    stage = Plates()
    camera = Camera(stage)
    assert camera.play(0, 10) and not stage.offered
    found = camera.play(10, 14, car=True)
    assert stage.offered
    assert all(shape == (360, 640) and regions for shape, regions in stage.offered)
    assert any(isinstance(o.body, PointState) and o.body.point == "plate" for o in found)


def test_more_pictures_a_second_are_looked_at_no_more_often() -> None:
    stage = Plates()
    camera = Camera(stage)
    camera.play(0, 10)
    for index in range(100):  # the same four seconds at 25 pictures a second
        s = 10 + index / 25
        luma = noisy(with_car(camera.empty, (s - 10) * 100), camera.rng)
        camera.watch.picture(Shown(luma, s), at(s))
    assert 12 <= len(stage.offered) <= 25


def test_a_change_of_resolution_is_no_motion() -> None:
    camera = Camera()
    camera.play(0, 10)
    found: list[Observation] = []
    for index in range(50):
        small = noisy(camera.empty, camera.rng)[::2, ::2].copy()
        found += camera.watch.picture(Shown(small, 10 + index / 5), at(10 + index / 5))
    assert motions(found) == []
