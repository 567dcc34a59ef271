"""Watching one camera: pictures, silences and times in; observations out. No I/O, no clock, no threads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from edge.episodes import Began, Ended, Episodes, regions_of
from edge.luma import Luma, Reducer
from edge.motion import INTERVAL_S, MotionDetector, Seen
from edge.picture import Fault, PictureHealth
from edge.plates import PlateStage
from wire.observations import Body, Condition, Heartbeat, Link, Motion, Observation, PointState

BEAT_S = 30.0
SILENCE_S = 5.0
"""A stream that is open and gives no picture for so long is lost."""
BLIP_S = 3.0
"""A connection that ended and is back within this was never lost."""
_PACE_S = 0.75 * INTERVAL_S


@dataclass(frozen=True, slots=True)
class Moment:
    """Now, on two clocks: `utc` for people, `s` (seconds, only forward) for durations."""

    utc: datetime
    s: float


class Picture(Protocol):
    """A decoded picture, as capture hands it over."""

    @property
    def luma(self) -> Luma:
        """(height, width), valid while the picture is looked at."""
        ...

    @property
    def key(self) -> bool:
        """From a key frame."""
        ...

    @property
    def media_s(self) -> float:
        """Its time in the stream."""
        ...

    @property
    def device_at(self) -> datetime | None:
        """When the camera says it took it."""
        ...

    def still(self) -> bytes:
        """A JPEG of it for evidence; costs milliseconds."""
        ...


class CameraWatch:
    """State of one watched camera. Its calls come one at a time, in the order of their moments."""

    def __init__(
        self,
        camera: str,
        start: Moment,
        new_event: Callable[[], str],
        *,
        plates: PlateStage | None = None,
    ) -> None:
        self._source = f"camera:{camera}"
        self._new_event = new_event
        self._plates = plates
        self._motion = MotionDetector()
        self._health = PictureHealth()
        self._episodes = Episodes()
        self._reducer: Reducer | None = None
        self._event = ""
        self._up: bool | None = None
        self._heard_s = start.s
        self._ended: str | None = None
        self._beat_s = start.s
        self._media_s: float | None = None

    @property
    def up(self) -> bool:
        """Whether its pictures come."""
        return self._up is True

    def picture(self, picture: Picture, now: Moment) -> list[Observation]:
        """Takes one decoded picture; looks at it if one is due."""
        found = self._recovered(now)
        self._heard_s, self._ended = now.s, None
        if self._due(picture):
            found += self._look(picture, now)
        return found

    def ended(self, reason: str, now: Moment) -> list[Observation]:
        """The connection ended or could not be made. Lost only once `BLIP_S` pass without a picture."""
        self._ended = reason
        self._health.interrupted()
        return self.tick(now)

    def tick(self, now: Moment) -> list[Observation]:
        """Called about twice a second whatever happens: notices silence, sends heartbeats."""
        limit = SILENCE_S if self._ended is None else BLIP_S
        if self._up is not False and now.s - self._heard_s >= limit:
            return self._lost(now)
        if self._up and now.s - self._beat_s >= BEAT_S:
            self._beat_s = now.s
            return [self._observe(Heartbeat(interval_s=BEAT_S), now.utc)]
        return []

    def dropped(self, now: Moment) -> list[Observation]:
        """The camera is no longer watched: closes what is open."""
        return self._close_event(now)

    def _recovered(self, now: Moment) -> list[Observation]:
        if self._up:
            return []
        self._up, self._beat_s = True, now.s
        cleared = PointState(point="picture", condition=Condition.PICTURE_LOST, active=False)
        return [self._observe(Link(up=True), now.utc), self._observe(cleared, now.utc)]

    def _lost(self, now: Moment) -> list[Observation]:
        reason = self._ended or f"no picture for {SILENCE_S:.0f} s"
        self._up = False
        self._health.interrupted()
        self._motion.relearn()
        lost = PointState(point="picture", condition=Condition.PICTURE_LOST, active=True)
        found = self._close_event(now)
        return [*found, self._observe(Link(up=False, reason=reason), now.utc), self._observe(lost, now.utc)]

    def _due(self, picture: Picture) -> bool:
        """Keeps to the detector's pace by the stream's own time, which doesn't jitter with the network."""
        last = self._media_s
        if last is not None and 0.0 <= picture.media_s - last < _PACE_S:
            return False
        self._media_s = picture.media_s
        return True

    def _look(self, picture: Picture, now: Moment) -> list[Observation]:
        grid = self._reduce(picture.luma)
        seen = self._motion.look(grid)
        change = self._episodes.see(seen, now.s)
        found = self._judge_health(picture, grid, seen, now)
        if isinstance(change, Began):
            found.append(self._begin(change, picture, now))
        elif isinstance(change, Ended):
            found.append(self._end(change, now))
        if seen.moving:
            found += self._read_plates(picture, seen, now)
        return found

    def _reduce(self, luma: Luma) -> Luma:
        height, width = luma.shape
        if self._reducer is None or (self._reducer.width, self._reducer.height) != (width, height):
            self._reducer = Reducer(width, height)
            self._motion.relearn()
        return self._reducer.reduce(luma)

    def _judge_health(self, picture: Picture, grid: Luma, seen: Seen, now: Moment) -> list[Observation]:
        faults = self._health.look(grid, now.s, key=picture.key, moving=seen.moving)
        return [self._observe(_state(fault, picture), now.utc, picture.device_at) for fault in faults]

    def _begin(self, began: Began, picture: Picture, now: Moment) -> Observation:
        self._event = self._new_event()
        motion = Motion(
            active=True,
            event=self._event,
            regions=began.regions,
            peak=round(began.peak, 4),
            still=picture.still(),
        )
        return self._observe(motion, now.utc, picture.device_at)

    def _end(self, ended: Ended, now: Moment) -> Observation:
        motion = Motion(active=False, event=self._event, regions=ended.regions, peak=round(ended.peak, 4))
        if ended.too_long:
            self._motion.relearn()
        self._event = ""
        return self._observe(motion, now.utc - timedelta(seconds=max(0.0, now.s - ended.at_s)))

    def _close_event(self, now: Moment) -> list[Observation]:
        ended = self._episodes.close()
        return [self._end(ended, now)] if ended else []

    def _read_plates(self, picture: Picture, seen: Seen, now: Moment) -> list[Observation]:
        if self._plates is None:
            return []
        bodies = self._plates.look(picture.luma, regions_of(seen.boxes))
        return [self._observe(body, now.utc, picture.device_at) for body in bodies]

    def _observe(self, body: Body, heard_at: datetime, device_at: datetime | None = None) -> Observation:
        return Observation(source=self._source, body=body, heard_at=heard_at, device_at=device_at)


def _state(fault: Fault, picture: Picture) -> PointState:
    still = picture.still() if fault.active else b""
    return PointState(point="picture", condition=fault.condition, active=fault.active, still=still)
