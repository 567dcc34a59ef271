"""No silence is silent: sources that aren't heard from, and our own parts that are down."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from datetime import datetime, timedelta

import structlog

from hub.desk import Desk
from hub.domain.freshness import silence_limit
from hub.domain.timekeeping import Ages, Timekeeper, by_the_clock
from hub.domain.trouble import TroubleCode, code_of
from hub.insisting import Insistence
from hub.recording import record
from hub.registers import Registers
from hub.store import log as stored_log
from hub.store.engine import Store, StoreUnavailable, Transaction
from hub.vitals import Vitals, said_of
from wire.observations import Condition, Lateness, Link, Observation, PointState

log = structlog.get_logger(__name__)

CAMERA_INTERVAL_S = 30.0
"""The edge says so often of each camera that it is watched."""

_POINTS = {"camera": "link", "panel": "panel", "tracker": "terminal"}
"""Where a source's silence is noted, by kind of source."""
_CARRIERS = {"camera": "edge", "panel": "adapters", "tracker": "adapters"}
"""Whose loss explains the silence of all of them: then the part is on the desk, not each device."""


class Watch:
    """Knows when each source was last heard, and says so when it is too long ago.

    `check` runs once a second as a job of the store. Silence and its end are observations of the hub's own.
    Silence is measured by the timekeeper's steady clock; without one, `now` is taken for steady.
    """

    def __init__(
        self,
        store: Store,
        desk: Desk,
        registers: Registers,
        now: datetime,
        *,
        timekeeper: Timekeeper | None = None,
    ) -> None:
        self._store = store
        self._desk = desk
        self._registers = registers
        self._timekeeper = timekeeper
        self._age = by_the_clock if timekeeper is None else Ages(timekeeper.steady)
        self._heard: dict[str, datetime] = {}
        """By the steady clock, as are the floors."""
        self._floors = dict.fromkeys(_POINTS, self._steady(now))
        """Nobody can have been heard before the hub or the part that carries the kind was there."""
        self._down: set[str] = set()
        self._told: list[tuple[str, bool, str]] = []
        self._telling = threading.Lock()

    def readings(self, now: datetime) -> tuple[datetime, ...]:
        """What the clock may have said to whoever stamped what arrives now: `now` first."""
        return (now,) if self._timekeeper is None else self._timekeeper.readings(now)

    def hear(self, observation: Observation, now: datetime) -> None:
        """A source was heard, if this observation is a sign of life."""
        if _is_sign_of_life(observation):
            ages = [one - observation.heard_at for one in self.readings(now)]
            age = min((one for one in ages if one >= timedelta(0)), default=timedelta(0))
            at = self._steady(now) - age
            known = self._heard.get(observation.source)
            self._heard[observation.source] = at if known is None else max(at, known)

    def tell(self, name: str, up: bool, reason: str = "") -> None:
        """One of our own parts came up or went down: noted now, or when the store can. From any thread."""
        with self._telling:
            self._told.append((name, up, reason))
        self._store.enqueue(self.note_told)

    def note_told(self, tx: Transaction) -> None:
        """Notes what `tell` was given; what is undone is noted next time."""
        with self._telling:
            told, self._told = self._told, []
        tx.on_undo(lambda: self._put_back(told))
        for name, up, reason in told:
            self.part(tx, name, up, reason)

    def _put_back(self, told: list[tuple[str, bool, str]]) -> None:
        with self._telling:
            self._told = [*told, *self._told]

    def _steady(self, now: datetime) -> datetime:
        return now if self._timekeeper is None else self._timekeeper.steady()

    def part(self, tx: Transaction, name: str, up: bool, reason: str = "") -> None:
        """One of our own parts came up or went down."""
        self._desk.part(tx, name, up, reason)
        if not up:
            self._down.add(name)
            return
        self._down.discard(name)
        for kind, carrier in _CARRIERS.items():
            if name == "broker" or name.startswith(carrier):
                self._floors[kind] = self._steady(tx.now)

    def check(self, tx: Transaction, now: datetime) -> None:
        """Says which sources have fallen silent and which are heard again."""
        steady = self._steady(now)
        for source, interval_s in self._expected():
            kind = source.partition(":")[0]
            heard = self._heard.get(source)
            condition = self._desk.working_condition(source, _POINTS[kind], Condition.COMMS_LOST)
            lost = condition is not None and condition.active is True
            if lost and condition is not None:
                if heard is not None and steady - heard < self._age(source, condition.since, now):
                    self._say(tx, source, active=False)
            elif not self._carrier_down(kind):
                last = max(heard or self._floors[kind], self._floors[kind])
                if steady - last > silence_limit(interval_s) + timedelta(seconds=1):
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
    """Lets time pass for desk and watch, a job a second, one at a time; by it the hub's pulse is taken."""

    def __init__(
        self,
        store: Store,
        desk: Desk,
        watch: Watch,
        vitals: Vitals,
        insistence: Insistence,
        *,
        every_s: float = 1.0,
    ) -> None:
        self._store = store
        self._desk = desk
        self._watch = watch
        self._vitals = vitals
        self._insistence = insistence
        self._every_s = every_s
        self._outage: tuple[TroubleCode, datetime] | None = None
        self._named = {part.name for part in desk.snapshot().hub.parts}
        self._pending: Future[None] | None = None
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
        self._note_own(tx)
        self._watch.note_told(tx)
        self._watch.check(tx, tx.now)
        self._desk.tick(tx, tx.now)

    def second(self) -> None:
        """Once a second, whether the store answers or not: looks; asks for a tick if none is under way."""
        self._vitals.look()
        failure = self._vitals.failure()
        if failure is not None and self._outage is None:
            self._outage = (failure.code, failure.since)
        if self._pending is None or self._pending.done():
            self._vitals.began()
            self._pending = self._store.enqueue(self.tick)
            self._pending.add_done_callback(self._ticked)

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            try:
                self.second()
            except Exception:  # supervision: what trips a second must not stop time
                log.exception("a second failed")

    def _ticked(self, tick: Future[None]) -> None:
        error = tick.exception()
        self._vitals.ended(error is None)
        if error is None:
            self._insistence.again()
        elif isinstance(error, StoreUnavailable):
            self._outage = self._outage or (code_of(str(error)), self._store.health.since)
        else:
            log.error("tick failed", exc_info=error)

    def _outage_noted(self, _head: int) -> None:
        self._outage = None

    def _note_own(self, tx: Transaction) -> None:
        """The hub's own troubles, in the log now that it can be written; warnings stand beside `up`."""
        warnings = {trouble.part: trouble.code.value for trouble in self._vitals.warnings()}
        jump = self._vitals.timekeeper.doubted
        if jump is not None:
            warnings["clock"] = f"{TroubleCode.CLOCK_JUMPED}: {said_of(jump.by)}"
        if self._vitals.failure() is not None:
            return  # a small commit got through; that is not the end of it
        if self._outage is not None:
            code, since = self._outage
            tx.after_commit(self._outage_noted)
            self._desk.part(tx, "store", up=False, reason=code.value, since=since)
        self._named |= {"store", *warnings}
        for part in sorted(self._named & {"store", "disk", "clock"}):
            self._desk.part(tx, part, up=True, reason=warnings.get(part, ""))


def _is_sign_of_life(observation: Observation) -> bool:
    body = observation.body
    if observation.lateness is Lateness.RETAINED:
        return False
    if isinstance(body, Link):
        return body.up
    return not (isinstance(body, PointState) and body.condition is Condition.COMMS_LOST)
