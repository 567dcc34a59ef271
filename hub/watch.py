"""No silence is silent: sources that aren't heard from, and our own parts that are down."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta

import structlog

from hub.desk import Desk
from hub.domain.freshness import silence_limit
from hub.recording import record
from hub.registers import Registers
from hub.store import log as stored_log
from hub.store.engine import Store, StoreUnavailable, Transaction
from wire.clock import utc_now
from wire.observations import Condition, Lateness, Link, Observation, PointState

log = structlog.get_logger(__name__)

TICK_PATIENCE_S = 30.0
CAMERA_INTERVAL_S = 30.0
"""The edge says so often of each camera that it is watched."""

_POINTS = {"camera": "link", "panel": "panel", "tracker": "terminal"}
"""Where a source's silence is noted, by kind of source."""
_CARRIERS = {"camera": "edge", "panel": "adapters", "tracker": "adapters"}
"""Whose loss explains the silence of all of them: then the part is on the desk, not each device."""


class Watch:
    """Knows when each source was last heard, and says so when it is too long ago.

    `check` runs once a second as a job of the store. Silence and its end are observations of the hub's own.
    """

    def __init__(self, store: Store, desk: Desk, registers: Registers, now: datetime) -> None:
        self._store = store
        self._desk = desk
        self._registers = registers
        self._heard: dict[str, datetime] = {}
        self._floors = dict.fromkeys(_POINTS, now)
        """Nobody can have been heard before the hub or the part that carries the kind was there."""
        self._down: set[str] = set()

    def hear(self, observation: Observation, now: datetime) -> None:
        """A source was heard, if this observation is a sign of life."""
        if _is_sign_of_life(observation):
            at = min(observation.heard_at, now)
            known = self._heard.get(observation.source)
            self._heard[observation.source] = at if known is None else max(at, known)

    def part(self, tx: Transaction, name: str, up: bool, reason: str = "") -> None:
        """One of our own parts came up or went down."""
        self._desk.part(tx, name, up, reason)
        if not up:
            self._down.add(name)
            return
        self._down.discard(name)
        for kind, carrier in _CARRIERS.items():
            if name == "broker" or name.startswith(carrier):
                self._floors[kind] = tx.now

    def check(self, tx: Transaction, now: datetime) -> None:
        """Says which sources have fallen silent and which are heard again."""
        for source, interval_s in self._expected():
            kind = source.partition(":")[0]
            heard = self._heard.get(source)
            condition = self._desk.working_condition(source, _POINTS[kind], Condition.COMMS_LOST)
            lost = condition is not None and condition.active is True
            if lost and condition is not None:
                if heard is not None and heard > condition.since:
                    self._say(tx, source, active=False)
            elif not self._carrier_down(kind):
                last = max(heard or self._floors[kind], self._floors[kind])
                if now - last > silence_limit(interval_s) + timedelta(seconds=1):
                    self._say(tx, source, active=True)

    def _expected(self) -> Iterator[tuple[str, float]]:
        for camera in self._registers.cameras():
            yield f"camera:{camera.id}", CAMERA_INTERVAL_S
        for panel in self._registers.panels():
            yield f"panel:{panel.id}", panel.interval_s
        for tracker in self._registers.trackers():
            yield f"tracker:{tracker.id}", tracker.interval_s

    def _carrier_down(self, kind: str) -> bool:
        carrier = _CARRIERS[kind]
        return any(name == "broker" or name.startswith(carrier) for name in self._down)

    def _say(self, tx: Transaction, source: str, *, active: bool) -> None:
        point = _POINTS[source.partition(":")[0]]
        observation = Observation(
            source=source,
            body=PointState(point=point, condition=Condition.COMMS_LOST, active=active, code="silence"),
            heard_at=tx.now,
            id=f"hub:silence:{source}:{tx.now.timestamp():.6f}",
        )
        entry = record(tx, self._registers, observation)
        stored_log.remember(tx.connection, [(observation.id, entry.seq)])
        self._desk.observe(tx, observation, "", entry.seq)


class Ticker:
    """Lets time pass for the desk and the watch: once a second, one job."""

    def __init__(self, store: Store, desk: Desk, watch: Watch, *, every_s: float = 1.0) -> None:
        self._store = store
        self._desk = desk
        self._watch = watch
        self._every_s = every_s
        self._outage = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ticker", daemon=True)

    def start(self) -> None:
        """Begins to tick."""
        self._thread.start()

    def stop(self) -> None:
        """Ends it."""
        self._stop.set()
        self._thread.join(5)

    def tick(self, tx: Transaction) -> None:
        """What a second brings."""
        if self._outage:
            self._desk.part(tx, "store", up=False, reason=self._outage)
        self._desk.part(tx, "store", up=True)
        self._watch.check(tx, tx.now)
        self._desk.tick(tx, tx.now)

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            try:
                self._store.enqueue(self.tick).result(TICK_PATIENCE_S)
                self._outage = ""
            except (StoreUnavailable, TimeoutError) as error:
                self._outage = f"{type(error).__name__} at {utc_now():%H:%M:%S}Z: {error}"
            except Exception:  # supervision: what trips a tick must not stop time
                log.exception("tick failed")


def _is_sign_of_life(observation: Observation) -> bool:
    body = observation.body
    if observation.lateness is Lateness.RETAINED:
        return False
    if isinstance(body, Link):
        return body.up
    return not (isinstance(body, PointState) and body.condition is Condition.COMMS_LOST)
