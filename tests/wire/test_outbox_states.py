"""Outbox and courier against a model, with crashes at any point: what was taken from a device is never gone.

The files are real. A crash is a copy of them as they lie on the disk at that moment, opened by a new outbox.
The hub is a model that confirms what it likes of what it has, loses messages and whole states.
"""

from __future__ import annotations

import random
import shutil
import tempfile
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.wire.straight_bus import Published, StraightBus
from wire import codec, topics
from wire.courier import Courier
from wire.observations import Body, Condition, Heartbeat, Loss, Motion, Observation, PointState
from wire.outbox import Outbox, OutboxFull
from wire.spans import Spans

SENDER = "edge-1"
LIMIT = 60_000
LARGEST = 40_000
START = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
BODIES: tuple[Body, ...] = (
    PointState(point="zone:1", condition=Condition.HOLD_UP, active=True),
    Motion(active=True, event="m"),
    Motion(active=True, event="s", still=b"\xff\xd8" + bytes(12_000)),
    Heartbeat(),
)


class Machine(RuleBasedStateMachine):
    """The field, the disk, the broker and the hub around one outbox."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="outbox-states-"))
        self.now, self.seconds, self.life, self.made = START, 0.0, 0, 0
        self.kept: set[str] = set()
        """Sources of observations whose device was acknowledged."""
        self.ever: set[str] = set()
        """What any state of the hub ever had."""
        self.numbers: dict[tuple[str, int], str] = {}
        self.wire: list[Published] = []
        self.stored: dict[str, set[int]] = defaultdict(set)
        self.older: dict[str, set[int]] = {}
        self.told: list[Published] = []
        """The hub's words on their way."""

    @initialize()
    def open(self) -> None:
        """The first start."""
        self.bus = StraightBus()
        path = self.folder / f"life-{self.life}.db"
        self.outbox = Outbox(path, SENDER, limit_bytes=LIMIT, clock=lambda: self.now)
        self.courier = Courier(
            self.outbox,
            self.bus,
            window=8,
            patience_s=5.0,
            batch=3,
            clock=lambda: self.now,
            steady=lambda: self.seconds,
        )

    @rule(kinds=st.lists(st.integers(0, len(BODIES) - 1), min_size=1, max_size=4))
    def append(self, kinds: list[int]) -> None:
        """A device says something."""
        said = []
        for kind in kinds:
            self.made += 1
            said.append(Observation(source=f"d-{self.made}", body=BODIES[kind], heard_at=self.now))
        try:
            last = self.outbox.append(said).result(10)
        except OutboxFull:
            return
        assert last >= len(said)
        self.kept |= {one.source for one in said}

    @rule()
    def turn(self) -> None:
        """The courier sends what it may."""
        if self.bus.connected:
            self.courier._turn()
        for one in self.bus.sent:
            if one.topic.split("/")[1] in ("obs", "history"):
                self.wire.append(one)
        self.bus.sent.clear()

    @rule(pick=st.integers(0, 1000), fate=st.sampled_from(["arrives", "arrives", "twice", "lost"]))
    def deliver(self, pick: int, fate: str) -> None:
        """The broker hands one on, or loses it, in whatever order."""
        if not self.wire:
            return
        message = self.wire.pop(pick % len(self.wire))
        for _ in range({"arrives": 1, "twice": 2, "lost": 0}[fate]):
            self.take_in(message)

    def take_in(self, message: Published) -> None:
        """The hub commits it."""
        for envelope in codec.decode_envelopes(message.payload):
            known = self.numbers.setdefault((envelope.epoch, envelope.seq), envelope.observation.source)
            assert known == envelope.observation.source, "a number was used twice"
            self.stored[envelope.epoch].add(envelope.seq)
            self.ever.add(envelope.observation.source)

    @rule(seed=st.integers(0, 10_000))
    def confirm(self, seed: int) -> None:
        """The hub says some of what it has; never what it hasn't."""
        epoch = self.outbox.epoch
        has = Spans.of(self.stored[epoch])
        mark = next(iter(has))[1] if has and has.first == 1 else 0
        chance = random.Random(seed)
        beyond = tuple(span for span in has if span[0] > mark and chance.random() < 0.7)
        said = codec.Stored(epoch=epoch, seq=chance.choice([mark, mark, mark // 2]), beyond=beyond)
        topic = topics.STORED.format(sender=SENDER)
        self.told.append(Published(topic, codec.encode(said), retain=True))

    @rule(pick=st.integers(0, 1000), lost=st.booleans())
    def hear(self, pick: int, lost: bool) -> None:
        """The hub's word arrives, late and in whatever order, or never."""
        if not self.told:
            return
        word = self.told.pop(pick % len(self.told))
        if not lost:
            self.hand(word)

    def hand(self, word: Published) -> None:
        """The sender hears the hub, and acts on it before anything else happens."""
        self.bus.hand(topics.STORED.format(sender=SENDER), word.topic, word.payload)
        self.outbox.append(()).result(10)

    @rule(seed=st.integers(0, 10_000))
    def asked_again(self, seed: int) -> None:
        """The hub asks for runs, sensible or not."""
        chance = random.Random(seed)
        first = chance.randint(1, self.outbox.last + 3)
        again = codec.Again(epoch=self.outbox.epoch, spans=((first, first + chance.randint(0, 5)),))
        topic = topics.AGAIN.format(sender=SENDER)
        self.bus.hand(topic, topic, codec.encode(again))

    @rule()
    def keep_a_backup(self) -> None:
        """The hub's state now, for later."""
        self.older = {epoch: set(seqs) for epoch, seqs in self.stored.items()}

    @rule()
    def hub_restored(self) -> None:
        """The hub is back at an older state; its words of the later one may still be on their way."""
        self.stored = defaultdict(set, {epoch: set(seqs) for epoch, seqs in self.older.items()})

    @rule()
    def crash(self) -> None:
        """kill -9, and a new life with what lies on the disk."""
        before = self.folder / f"life-{self.life}.db"
        self.life += 1
        for suffix in ("", "-wal"):
            part = before.with_name(before.name + suffix)
            if part.exists():
                shutil.copy(part, self.folder / f"life-{self.life}.db{suffix}")
        self.outbox.close()
        self.open()

    @rule(up=st.booleans())
    def link(self, up: bool) -> None:
        """The network comes and goes."""
        self.bus.link(up)

    @rule(seconds=st.sampled_from([1.0, 6.0, 400.0, 1000.0]))
    def wait(self, seconds: float) -> None:
        """Time passes: news becomes history, patience ends."""
        self.seconds += seconds
        self.now += timedelta(seconds=seconds)

    @invariant()
    def nothing_is_gone(self) -> None:
        """What a device was told is kept is held, or the hub had it."""
        assert self.kept <= self.ever | self.held()

    @invariant()
    def its_size_is_bounded_and_true(self) -> None:
        """At most one append over the limit; the figures are the file's."""
        payloads = [payload for _, payload in self.outbox.after(0, 100_000)]
        assert self.outbox.size == sum(map(len, payloads)) <= LIMIT + 4 * LARGEST
        assert self.outbox.waiting == len(payloads)

    def held(self) -> set[str]:
        """What the outbox holds; each number always names the same."""
        found = set()
        for seq, payload in self.outbox.after(0, 100_000):
            envelope = codec.decode_envelope(payload)
            assert envelope.seq == seq
            known = self.numbers.setdefault((envelope.epoch, seq), envelope.observation.source)
            assert known == envelope.observation.source, "a number was used twice"
            found.add(envelope.observation.source)
            if isinstance(envelope.observation.body, Loss):
                assert envelope.observation.body.count
        return found

    def teardown(self) -> None:
        """When everything works again, everything arrives and the outbox is empty."""
        try:
            self.told.clear()
            self.bus.link(True)
            for seed in range(400):
                if not self.outbox.waiting:
                    break
                self.wait(61.0)
                self.turn()
                while self.wire:
                    self.take_in(self.wire.pop(0))
                self.confirm(seed)
                self.hand(self.told.pop())
            assert not self.outbox.waiting
            assert self.kept <= self.ever
        finally:
            self.outbox.close()
            shutil.rmtree(self.folder)


def test_nothing_acknowledged_is_ever_gone() -> None:
    run_state_machine_as_test(
        Machine,
        settings=settings(
            derandomize=True,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            max_examples=40,
            stateful_step_count=40,
            suppress_health_check=list(HealthCheck),
        ),
    )
