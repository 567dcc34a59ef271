"""A small district over a real store, with a clock that only moves when told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from hub.desk import Desk
from hub.domain.condition import AlarmCondition
from hub.domain.device import CameraView, PanelView
from hub.domain.entry import Entry, EntryKind
from hub.domain.incident import AssignmentState, Incident
from hub.domain.unit import Unit
from hub.registers import Registers
from hub.sitefile import parse
from hub.store import log as stored_log
from hub.store.engine import Job, Store
from wire.observations import Body, Condition, Lateness, Observation, PointState, Position

T = TypeVar("T")

START = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
MARKET = (34.2600, 117.1900)

SITE = {
    "places": [
        {"id": "xz", "name": "徐州市", "name_en": "Xuzhou", "level": "city"},
        {
            "id": "xz-yunlong",
            "name": "云龙区",
            "name_en": "Yunlong",
            "level": "district",
            "parent": "xz",
        },
        {"id": "xz-gulou", "name": "鼓楼区", "name_en": "Gulou", "level": "district", "parent": "xz"},
    ],
    "sites": [
        {
            "id": "market",
            "name": "黄河市场",
            "name_en": "Huanghe Market",
            "class": "market",
            "place": "xz-yunlong",
            "lat": MARKET[0],
            "lon": MARKET[1],
        },
        {
            "id": "gate",
            "name": "北卡口",
            "name_en": "North Gate",
            "class": "checkpoint",
            "place": "xz-gulou",
            "lat": 34.30,
            "lon": 117.20,
        },
    ],
    "cameras": [
        {
            "id": "c-01",
            "name": "市场东门",
            "name_en": "Market east gate",
            "site": "market",
            "lat": MARKET[0],
            "lon": MARKET[1],
            "rtsp_main": "rtsp://127.0.0.1:1/main",
            "onvif": "http://127.0.0.1:1/onvif/device_service",
        },
        {
            "id": "c-02",
            "name": "卡口一号",
            "name_en": "Checkpoint one",
            "site": "gate",
            "checkpoint": "k-01",
            "lat": 34.30,
            "lon": 117.20,
            "rtsp_main": "rtsp://127.0.0.1:2/main",
        },
    ],
    "panels": [
        {
            "id": "p-01",
            "name": "市场报警主机",
            "name_en": "Market panel",
            "site": "market",
            "convention": "homeassistant",
            "topic": "p01",
            "interval_s": 30,
            "lat": MARKET[0],
            "lon": MARKET[1],
            "zones": [
                {"key": "1", "name": "收银台", "name_en": "Till", "condition": "hold_up"},
                {"key": "2", "name": "后门", "name_en": "Back door", "condition": "intrusion"},
            ],
        },
        {
            "id": "p-02",
            "name": "卡口报警主机",
            "name_en": "Gate panel",
            "site": "gate",
            "convention": "paradox",
            "topic": "p02",
            "interval_s": 60,
            "lat": 34.30,
            "lon": 117.20,
            "zones": [{"key": "1", "name": "值班室", "name_en": "Guard room", "condition": "intrusion"}],
        },
    ],
    "units": [
        {
            "id": f"u-{number}",
            "name": f"苏C-{number}",
            "place": "xz-yunlong",
            "tracker": {"protocol": "owntracks", "address": f"car/u{number}"},
        }
        for number in ("0121", "0122", "0123")
    ],
    "checkpoints": [
        {
            "id": "k-01",
            "name": "北卡口",
            "name_en": "North Gate",
            "level": "city",
            "tier": 2,
            "site": "gate",
            "lat": 34.30,
            "lon": 117.20,
        }
    ],
}


@dataclass(slots=True)
class HandClock:
    """A clock that moves when told."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> datetime:
        """Moves on and tells the time then."""
        self.now += timedelta(seconds=seconds)
        return self.now


@dataclass(slots=True)
class Core:
    """A desk over a store, and the short words tests speak to it in."""

    store: Store
    registers: Registers
    desk: Desk
    clock: HandClock
    sent: int = field(default=0)

    def do(self, job: Job[T]) -> T:
        """Runs a job; its error is the test's."""
        return self.store.enqueue(job).result(10)

    def see(self, source: str, body: Body, **more: object) -> None:
        """An observation arrives now, the way intake stores it."""
        self.sent += 1
        observation = Observation(
            source=source,
            body=body,
            heard_at=self.clock.now,
            id=f"test:{self.sent}",
            **more,  # type: ignore[arg-type]
        )
        self.do(lambda tx: self.desk.observe(tx, observation))

    def alarm(
        self,
        source: str,
        point: str,
        condition: Condition,
        active: bool | None = True,
        *,
        armed: bool | None = None,
        lateness: Lateness = Lateness.LIVE,
    ) -> None:
        """A point's state arrives now."""
        body = PointState(point=point, condition=condition, active=active, armed=armed)
        self.see(source, body, lateness=lateness)

    def fix(self, unit: str, lat: float, lon: float, speed_kmh: float | None = 40.0) -> None:
        """A car's true fix arrives now."""
        body = Position(lat=lat, lon=lon, speed_kmh=speed_kmh)
        self.see(f"tracker:{unit}", body, device_at=self.clock.now)

    def tick(self, seconds: float = 1.0) -> None:
        """Time passes, and the desk notices."""
        now = self.clock.forward(seconds)
        self.do(lambda tx: self.desk.tick(tx, now))

    @property
    def incidents(self) -> tuple[Incident, ...]:
        """Open incidents as committed."""
        return self.desk.snapshot().incidents

    @property
    def incident(self) -> Incident:
        """The only open incident."""
        (one,) = self.incidents
        return one

    def assigned(self) -> AssignmentState:
        """State of the latest assignment of the only open incident."""
        return self.incident.assignments[-1].state

    def condition(self, identity: str) -> AlarmCondition | None:
        """A condition that stands on the desk."""
        return self.desk.condition(identity)

    def unit(self, identity: str) -> Unit:
        """A unit as committed."""
        return next(one for one in self.desk.snapshot().units if one.id == identity)

    def camera(self, identity: str) -> CameraView:
        """A camera as committed."""
        return next(one for one in self.desk.snapshot().cameras if one.id == identity)

    def panel(self, identity: str) -> PanelView:
        """A panel as committed."""
        return next(one for one in self.desk.snapshot().panels if one.id == identity)

    def entries(self, *kinds: EntryKind) -> list[Entry]:
        """The log."""
        return self.store.query(
            lambda connection: stored_log.after(connection, 0, limit=100_000, kinds=kinds)
        )


@pytest.fixture
def clock() -> HandClock:
    """10:00 in Xuzhou, until told otherwise."""
    return HandClock()


@pytest.fixture
def store(store_url: str, clock: HandClock) -> Iterator[Store]:
    """A fresh store, on each database in turn."""
    opened = Store.open(store_url, clock=clock)
    yield opened
    opened.close()


@pytest.fixture
def registers(store: Store, tmp_path: Path) -> Registers:
    """The registers of a small district."""
    loaded = Registers.load(store, tmp_path / "seal.key")
    file = parse(json.dumps(SITE).encode())
    store.enqueue(lambda tx: loaded.import_site(tx, file, "test")).result(10)
    return loaded


@pytest.fixture
def core(store: Store, registers: Registers, clock: HandClock) -> Core:
    """A desk at work."""
    return Core(store, registers, Desk(store, registers), clock)
