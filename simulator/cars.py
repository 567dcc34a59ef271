"""Patrol cars on the network: each drives, reports a fix every few seconds, and goes where it is told.

Four carry OwnTracks over MQTT, four a JT/T 808 terminal over TCP. A fix that isn't acknowledged is kept and
sent again.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog

from simulator.district import FIX_EVERY_S
from simulator.driving import Beat, Driver, Fix
from simulator.gazetteer import Car
from simulator.ledger import Entry, instant
from simulator.line import Line, Will
from simulator.panels import Surroundings
from simulator.roads import RoadNetwork
from simulator.story import Act

log = structlog.get_logger(__name__)

MAX_COMMAND_BYTES = 16 * 1024
_COORDINATES = re.compile(r"(-?\d{1,2}\.\d{2,})\s*[,，]\s*(-?\d{1,3}\.\d{2,})")


@dataclass(frozen=True, slots=True)
class TimedFix:
    """A fix with the time the device puts on it, in whole seconds."""

    fix: Fix
    at: datetime
    odometer_m: float


class PatrolCar(ABC):
    """A car that drives; how it reports is its terminal's business."""

    def __init__(self, car: Car, network: RoadNetwork, around: Surroundings) -> None:
        self.car = car
        self._around = around
        rng = random.Random(f"{around.seed}:{car.id}")
        self._phase_s = rng.uniform(0, FIX_EVERY_S)
        self.driver = Driver(network, Beat(car.beat, car.radius_m), rng)
        self._last_at: datetime | None = None

    @property
    @abstractmethod
    def up(self) -> bool:
        """Connected, and signed in where the protocol has that."""

    @property
    @abstractmethod
    def idle(self) -> bool:
        """Every fix was acknowledged."""

    @abstractmethod
    def start(self) -> None:
        """Connects, and again after each loss."""

    @abstractmethod
    async def stop(self) -> None:
        """Disconnects."""

    @abstractmethod
    def cut(self, *, active: bool) -> None:
        """Cuts the connection without a word, or mends it."""

    @abstractmethod
    def report(self, fix: TimedFix) -> None:
        """Sends a fix, or keeps it."""

    def apply(self, act: Act) -> None:
        """What the story does to a car: its connection is cut or mended."""
        self.cut(active=act.active)

    async def drive(self, begin_s: float) -> None:
        """Drives and reports from second `begin_s` on, for ever."""
        at_s = begin_s + self._phase_s
        while True:
            await self._around.clock.until(at_s)
            self.report(self._stamped(self.driver.advance(FIX_EVERY_S)))
            at_s += FIX_EVERY_S

    def _stamped(self, fix: Fix) -> TimedFix:
        at = self._around.clock.utc().replace(microsecond=0)
        if self._last_at is not None and at <= self._last_at:
            at = self._last_at + timedelta(seconds=1)
        self._last_at = at
        return TimedFix(fix, at, self.driver.odometer_m)

    def told(self, text: str) -> None:
        """A text reached the driver. With a latitude and longitude in it, off to there."""
        found = _COORDINATES.findall(text)
        if not found:
            log.info("text without coordinates", car=self.car.id)
            return
        lat, lon = found[-1]  # the place stands at the end
        self.sent_to(float(lat), float(lon))

    def sent_to(self, lat: float, lon: float) -> None:
        """Drives there."""
        way_m = self.driver.send_to(lat, lon)
        log.info("on the way", car=self.car.id, lat=lat, lon=lon, way_m=round(way_m))

    def _entry(self, timed: TimedFix) -> Entry:
        return {
            "at": "",
            "source": f"tracker:{self.car.id}",
            "kind": "position",
            "device_at": instant(timed.at, seconds=True),
            "lat": timed.fix.lat,
            "lon": timed.fix.lon,
        }


class OwnTracksCar(PatrolCar):
    """An OwnTracks phone. Source: the OwnTracks booklet, "JSON"."""

    def __init__(self, car: Car, network: RoadNetwork, around: Surroundings) -> None:
        super().__init__(car, network, around)
        self._topic = f"owntracks/{car.address}"
        self._loop = asyncio.get_running_loop()
        last_word = {"_type": "lwt", "tst": int(around.clock.utc().timestamp())}
        self._line = Line(
            around.access,
            f"owntracks-{car.address.replace('/', '-')}",
            around.ledger,
            will=Will(self._topic, json.dumps(last_word).encode(), retain=False),
            listen=(f"{self._topic}/cmd",),
            received=lambda _topic, payload: self._loop.call_soon_threadsafe(self.command, payload),
        )

    @property
    def up(self) -> bool:
        return self._line.up

    @property
    def idle(self) -> bool:
        return self._line.idle

    def start(self) -> None:
        self._line.start()

    async def stop(self) -> None:
        await asyncio.to_thread(self._line.stop)

    def cut(self, *, active: bool) -> None:
        self._line.cut(active=active)

    def report(self, fix: TimedFix) -> None:
        payload = json.dumps(self._location(fix)).encode()
        self._line.send(self._topic, payload, retain=True, entry=self._entry(fix))

    def _location(self, timed: TimedFix) -> dict[str, Any]:
        fix = timed.fix
        location: dict[str, Any] = {
            "_type": "location",
            "tid": self.car.id[-2:],
            "lat": fix.lat,
            "lon": fix.lon,
            "acc": 6,
            "alt": 38,
            "batt": 94,
            "conn": "m",
            "t": "t",
            "cog": fix.course_deg,
            "tst": int(timed.at.timestamp()),
        }
        # `vel` is left out by a phone that stands.
        return location | ({"vel": round(fix.speed_kmh)} if fix.speed_kmh >= 1 else {})

    def command(self, payload: bytes) -> None:
        """A message on the phone's `…/cmd`."""
        place, text = read_command(payload)
        if place is not None:
            self.sent_to(*place)
        elif text:
            self.told(text)
        else:
            log.warning(
                "command not understood", car=self.car.id, payload=payload[:80].decode(errors="replace")
            )


def read_command(payload: bytes) -> tuple[tuple[float, float] | None, str]:
    """An OwnTracks command: the first waypoint's (lat, lon), or else whatever text it carries."""
    try:
        command = json.loads(payload[:MAX_COMMAND_BYTES])
    except (ValueError, RecursionError):
        return None, ""
    if not isinstance(command, dict) or command.get("_type") != "cmd":
        return None, ""
    for one in _objects(command.get("waypoints")):
        if one.get("_type") == "waypoint" and _is_place(one.get("lat"), one.get("lon")):
            return (float(one["lat"]), float(one["lon"])), str(one.get("desc", ""))
    texts = [value for one in _objects(command) for value in one.values() if isinstance(value, str)]
    return None, "\n".join(texts)


def _objects(value: object) -> Iterator[dict[str, Any]]:
    """All JSON objects within, the outermost first."""
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from _objects(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _objects(inner)


def _is_place(lat: object, lon: object) -> bool:
    return all(
        isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        for value in (lat, lon)
    )
