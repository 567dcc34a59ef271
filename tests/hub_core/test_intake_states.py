"""Intake over a real store, with everything that can happen to messages: each observation once in the log.

No broker: the machine itself loses, doubles and reorders, lets the store fail at the commit and the hub die
between any two steps.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import Future
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from hub.desk import Desk
from hub.domain.entry import EntryKind
from hub.intake import MAX_BATCH, Intake
from hub.registers import Registers
from hub.sitefile import parse
from hub.store import log as stored_log
from hub.store import senders
from hub.store.blobs import Blobs
from hub.store.engine import Job, Store, StoreUnavailable, Transaction
from hub.watch import Watch
from tests.hub_core.conftest import SITE, HandClock
from tests.wire.straight_bus import StraightBus
from wire import codec, topics
from wire.observations import Body, Condition, Heartbeat, Motion, Observation, PointState, Position
from wire.spans import Spans

SENDERS = ("edge-1", "adapter-gps")
EPOCH = "e1"


class _UndoneError(RuntimeError):
    """The commit didn't come about."""


class FailingStore:
    """A store whose next commits fail: what the job did is undone, as after a full disk."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.failures = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def enqueue(self, job: Job[Any]) -> Future[Any]:
        """As the store's."""
        if not self.failures:
            return self._store.enqueue(job)
        self.failures -= 1

        def undone(tx: Transaction) -> None:
            job(tx)
            tx.end()
            raise _UndoneError

        assert isinstance(self._store.enqueue(undone).exception(10), _UndoneError)
        failed: Future[Any] = Future()
        failed.set_exception(StoreUnavailable("disk is full"))
        return failed


class Machine(RuleBasedStateMachine):
    """Senders, their messages, and the hub."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="intake-states-"))
        self.clock = HandClock()
        self.store = Store.open(f"sqlite:///{self.folder}/hub.db", clock=self.clock)
        self.registers = Registers.load(self.store, self.folder / "seal.key")
        site = parse(json.dumps(SITE).encode())
        self.store.enqueue(lambda tx: self.registers.import_site(tx, site, "test")).result(10)
        self.said: dict[tuple[str, int], Observation] = {}
        self.last = dict.fromkeys(SENDERS, 0)
        self.on_way: list[tuple[str, bytes]] = []
        self.acked: set[tuple[str, int]] = set()
        """Numbers whose message was acknowledged after it was taken in."""
        self.told: dict[str, Spans] = {one: Spans() for one in SENDERS}
        """Numbers that a sender was told are stored."""
        self.news_waiting = 0
        self.start()

    def start(self) -> None:
        """A life of the hub, with what the store has."""
        self.bus = StraightBus()
        desk = Desk(self.store, self.registers)
        watch = Watch(self.store, desk, self.registers, self.clock.now)
        self.failing = FailingStore(self.store)
        blobs = Blobs(self.folder / "stills")
        self.intake = Intake(self.bus, self.failing, desk, self.registers, blobs, watch)  # type: ignore[arg-type]
        self.intake._pause_s = 0.0

    @rule(
        sender=st.sampled_from(SENDERS), count=st.integers(1, 60), history=st.booleans(), poison=st.booleans()
    )
    def say(self, sender: str, count: int, history: bool, poison: bool) -> None:
        """A sender sends a message; now and then with something in it that nobody can place."""
        envelopes = []
        age = timedelta(hours=3) if history else timedelta(0)
        for _ in range(count):
            self.last[sender] += 1
            seq = self.last[sender]
            one = Observation(
                source=f"panel:p-{seq % 3:02}",
                body=_body(seq),
                heard_at=self.clock.now - age,
                id=f"{sender}:{EPOCH}:{seq}",
            )
            self.said[sender, seq] = one
            envelopes.append(
                codec.encode(codec.Envelope(sender=sender, epoch=EPOCH, seq=seq, observation=one))
            )
        if poison:
            envelopes[0] = envelopes[0].replace(b'"heard_at"', b'"heard_where"')
            del self.said[sender, self.last[sender] - count + 1]
        family = topics.HISTORY if history else topics.OBSERVATIONS
        self.on_way.append((family.format(sender=sender), codec.joined(envelopes)))

    @rule(pick=st.integers(0, 1000), fate=st.sampled_from(["arrives", "arrives", "twice", "again", "lost"]))
    def deliver(self, pick: int, fate: str) -> None:
        """The broker hands one on, in whatever order; `again`: now and once more later."""
        if not self.on_way:
            return
        topic, payload = self.on_way[pick % len(self.on_way)]
        if fate != "again":
            self.on_way.remove((topic, payload))
        for _ in range({"arrives": 1, "again": 1, "twice": 2, "lost": 0}[fate]):
            self.hand(topic, payload)

    def hand(self, topic: str, payload: bytes) -> None:
        """Into the queue of its kind."""
        numbers = [(head.sender, head.seq) for head in map(codec.decode_head, codec.members(payload)) if head]
        acknowledge: Callable[[], None] = lambda: self.acked.update(numbers)  # noqa: E731
        if topic.split("/")[1] == "history":
            self.bus.handlers[topics.ALL_HISTORY] = self.intake._on_history
            self.bus.hand(topics.ALL_HISTORY, topic, payload, acknowledge)
        else:
            self.bus.handlers[topics.ALL_OBSERVATIONS] = self.intake._arrivals.put_news
            self.bus.hand(topics.ALL_OBSERVATIONS, topic, payload, acknowledge)

    @rule(failures=st.integers(0, 2))
    def take(self, failures: int) -> None:
        """A batch, with commits that fail before it succeeds."""
        arrivals = self.intake._arrivals
        if not (arrivals._news or arrivals._history):
            return
        news = sum(len(codec.members(one.payload)) for one in arrivals._news)
        self.failing.failures = failures
        batch = self.intake._gather()
        first_news = [item for item in batch if not item.history]
        assert len(first_news) >= min(news, MAX_BATCH // 2), "news waited for more than a batch"
        self.intake._take(batch)
        for one in self.bus.take("stored"):
            stored = codec.decode(one.payload, codec.Stored)
            told = self.told[one.topic.rsplit("/", 1)[-1]]
            for first, last in ((1, stored.seq), *stored.beyond):
                if first <= last:
                    told.add(first, last)

    @rule()
    def die(self) -> None:
        """kill -9 between two steps: what was queued is gone, and comes again if nobody confirmed it."""
        left = [*self.intake._arrivals._news, *self.intake._arrivals._history]
        self.start()
        self.on_way += [(one.topic, one.payload) for one in left]

    @rule(seconds=st.sampled_from([1.0, 60.0]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.clock.forward(seconds)

    def logged(self) -> list[str]:
        """Identities of what is stored, in the log or beside it."""
        sql = "select id from positions union all select id from heartbeats"
        fixes = self.store.query(lambda connection: connection.exec_driver_sql(sql).scalars().all())
        entries = self.store.query(
            lambda connection: stored_log.after(connection, 0, limit=100_000, kinds=(EntryKind.OBSERVATION,))
        )
        return [*(str(one) for one in fixes), *(str(entry.body["id"]) for entry in entries)]

    @invariant()
    def each_once_and_none_missing(self) -> None:
        """What was acknowledged or confirmed is stored, exactly once; marks say nothing that isn't so."""
        logged = self.logged()
        stored = set(logged)
        assert len(logged) == len(stored), "doubled"
        for (sender, epoch), (mark, beyond) in self.store.query(senders.standings).items():
            assert epoch == EPOCH
            marked = Spans.parse(beyond)
            if mark:
                marked.add(1, mark)
            for seq in range(1, self.last[sender] + 1):
                known = (sender, seq) not in self.said or self.said[sender, seq].id in stored
                assert known or seq not in marked, "marked and not stored"
                assert known or seq not in self.told[sender], "confirmed and not stored"
                assert known or (sender, seq) not in self.acked, "acknowledged and not stored"

    def teardown(self) -> None:
        """Everything that was said comes again until it is confirmed: then all of it is stored once."""
        try:
            by_sender = {sender: [] for sender in SENDERS}  # type: dict[str, list[bytes]]
            for (sender, seq), one in self.said.items():
                envelope = codec.Envelope(sender=sender, epoch=EPOCH, seq=seq, observation=one)
                by_sender[sender].append(codec.encode(envelope))
            for sender, envelopes in by_sender.items():
                for start in range(0, len(envelopes), 50):
                    self.hand(
                        topics.OBSERVATIONS.format(sender=sender), codec.joined(envelopes[start : start + 50])
                    )
            while self.intake._arrivals._news or self.intake._arrivals._history:
                self.take(0)
            assert {one.id for one in self.said.values()} == set(self.logged())
            assert self.store.query(stored_log.verify)[1] is None
        finally:
            self.store.close()
            shutil.rmtree(self.folder)


def _body(seq: int) -> Body:
    if seq % 5 == 0:
        return Position(lat=34.2, lon=117.1, serial=str(seq))
    if seq % 5 == 1:
        return Heartbeat()
    if seq % 5 == 2:
        return Motion(active=seq % 2 == 0, event=str(seq))
    return PointState(point="zone:2", condition=Condition.INTRUSION, active=seq % 2 == 0)


def test_each_acknowledged_observation_is_in_the_log_exactly_once() -> None:
    run_state_machine_as_test(
        Machine,
        settings=settings(
            derandomize=True,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            max_examples=12,
            stateful_step_count=25,
            suppress_health_check=list(HealthCheck),
        ),
    )
