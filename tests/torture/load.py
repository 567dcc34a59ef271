"""A sender of ours and nothing else: outbox, courier and bus as an adapter uses them, with made-up devices.

Each observation is one of its kind in the world, so that it is recognised by content too. It goes into the
ledger when the outbox has taken it, where an adapter would acknowledge its device. Killed and started again,
it first repeats the position that it had no word on: a device would.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.torture.district import LOAD_CAMERAS, LOAD_PANELS, LOAD_UNITS, ZONES
from tests.torture.ledger import Ledger, taken_by
from wire import journal
from wire.bus import Broker, MqttBus
from wire.courier import Courier
from wire.observations import (
    Arming,
    ArmState,
    Body,
    Condition,
    Heartbeat,
    Motion,
    Observation,
    PointState,
    Position,
    Region,
)
from wire.outbox import Outbox

TICK_S = 0.02
MOST_UNDER_WAY = 400
_SINCE = datetime(2026, 1, 1, tzinfo=UTC).timestamp()


@dataclass(frozen=True)
class LoadSettings:
    """How one load sender runs."""

    name: str
    folder: Path
    """Of its outbox."""
    ledger: Path
    broker: Broker
    per_s: float


def main(settings: LoadSettings) -> None:
    """Runs until it is killed."""
    journal.configure(settings.name)
    bus = MqttBus(settings.broker, settings.name)
    outbox = Outbox(settings.folder / f"{settings.name}.db", settings.name)
    courier = Courier(outbox, bus)
    bus.start()
    courier.start()
    sender = _Load(settings, outbox)
    sender.repeat_the_unanswered()
    sender.run()


class _Load:
    def __init__(self, settings: LoadSettings, outbox: Outbox) -> None:
        self._settings = settings
        self._outbox = outbox
        self._ledger = Ledger(settings.ledger)
        self._random = random.Random(f"{settings.name}:{time.time_ns()}")
        self._under_way = threading.Semaphore(MOST_UNDER_WAY)
        self._asked = settings.folder / f"{settings.name}.asked"
        self._last_us = 0

    def run(self) -> None:
        begun, made = time.monotonic(), 0
        while True:
            due = int((time.monotonic() - begun) * self._settings.per_s) - made
            for group in self._groups(min(due, 100)):
                self._offer(group)
                made += len(group)
            time.sleep(TICK_S)

    def repeat_the_unanswered(self) -> None:
        """The one thing it writes down before it asks: a position, under the identity of its own."""
        if self._asked.exists() and (told := self._asked.read_text().split()):
            source, lat, lon, at = told[:4]
            self._offer([_position(source, float(lat), float(lon), datetime.fromisoformat(at))])

    def _groups(self, due: int) -> Iterator[list[Observation]]:
        while due > 0:
            size = min(due, self._random.choice((1, 1, 1, 2, 5)))
            yield [self._observation() for _ in range(size)]
            due -= size

    def _offer(self, group: list[Observation]) -> None:
        self._under_way.acquire()
        done = self._outbox.append(group)
        done.add_done_callback(lambda taken: self._taken(group, taken))

    def _taken(self, group: list[Observation], taken: Future[int]) -> None:
        self._under_way.release()
        if taken.exception() is None:
            self._ledger.write(taken_by(self._outbox, group, taken.result()))

    def _observation(self) -> Observation:
        chance = self._random.random()
        if chance < 0.45:
            return self._a_position()
        panel = self._random.choice(LOAD_PANELS)
        if chance < 0.72:
            return self._said(f"panel:{panel}", Heartbeat(interval_s=60.0))
        if chance < 0.92:
            return self._said(f"panel:{panel}", self._point())
        if chance < 0.94:
            state = self._random.choice((ArmState.ARMED_AWAY, ArmState.DISARMED))
            return self._said(f"panel:{panel}", Arming(partition="1", state=state))
        return self._said(f"camera:{self._random.choice(LOAD_CAMERAS)}", self._motion())

    def _a_position(self) -> Observation:
        source = f"tracker:{self._random.choice(LOAD_UNITS)}"
        us = int(self._now().timestamp() * 1e6)
        # The instant stands in the last digits too: no two positions are equal.
        lat = round(34.2 + (us % 10_000_000) / 1e10, 10)
        lon = round(117.1 + self._random.random() / 10, 6)
        made = _position(source, lat, lon, datetime.fromtimestamp(us / 1e6, UTC))
        if self._random.random() < 0.02 and made.device_at is not None:
            self._note_asked(f"{source} {lat} {lon} {made.device_at.isoformat()}")
        return made

    def _note_asked(self, text: str) -> None:
        try:
            self._asked.write_text(text)
        except OSError:
            return  # a full disk: then there is nothing to repeat

    def _point(self) -> PointState:
        alarm = self._random.random() < 0.01
        return PointState(
            point=f"zone:{self._random.randint(1, ZONES)}",
            condition=Condition.INTRUSION,
            active=self._random.random() < 0.5,
            armed=alarm,
            code=f"{self._settings.name}-{os.getpid()}",
        )

    def _motion(self) -> Motion:
        us = int(self._now().timestamp() * 1e6)
        still = self._random.randbytes(self._random.randint(2000, 9000))
        return Motion(
            active=True,
            event=f"{self._settings.name}-{us:x}",
            regions=(Region(1, 2, 3, 4),),
            peak=0.2,
            still=b"\xff\xd8" + still if self._random.random() < 0.15 else b"",
        )

    def _said(self, source: str, body: Body) -> Observation:
        return Observation(source=source, body=body, heard_at=self._now())

    def _now(self) -> datetime:
        """No two alike in this process."""
        self._last_us = max(self._last_us + 1, time.time_ns() // 1000)
        return datetime.fromtimestamp(self._last_us / 1e6, UTC)


def _position(source: str, lat: float, lon: float, at: datetime) -> Observation:
    return Observation(
        source=source,
        body=Position(lat=lat, lon=lon, speed_kmh=20.0, course_deg=90.0),
        heard_at=at,
        device_at=at,
        id=f"{source}:{at:%Y%m%dT%H%M%S.%f}:{lat},{lon}",
    )
