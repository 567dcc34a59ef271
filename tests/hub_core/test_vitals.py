"""What the hub says of itself: disk, speed, a hung commit, an outage; and what is done later by itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.domain.entry import EntryKind
from hub.domain.timekeeping import Timekeeper
from hub.domain.trouble import Severity, Trouble, TroubleCode, code_of
from hub.insisting import Insistence
from hub.store.engine import Store, StoreUnavailable, Transaction
from hub.vitals import HELD_S, NO_COMMIT_S, WINDOW, Room, Vitals
from hub.watch import Ticker, Watch
from tests.hub_core.conftest import Core
from tests.hub_core.test_intake import eventually

GB = 1024**3


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ("(sqlite3.OperationalError) database or disk is full", TroubleCode.DISK_FULL),
        ('could not extend file "base/5/16384": No space left on device', TroubleCode.DISK_FULL),
        ("attempt to write a readonly database", TroubleCode.READ_ONLY),
        ("cannot execute INSERT in a read-only transaction", TroubleCode.READ_ONLY),
        ("database is locked", TroubleCode.LOCKED),
        ("disk I/O error", TroubleCode.DISK_ERROR),
        ("connection failed: Connection refused\n\tIs the server running?", TroubleCode.UNREACHABLE),
        ("FATAL: the database system is starting up", TroubleCode.UNREACHABLE),
        ("server closed the connection unexpectedly", TroubleCode.UNREACHABLE),
        ("no answer from the database for 10 s", TroubleCode.UNREACHABLE),
        ("another process has written to this store: it stands at …; restart the hub", TroubleCode.TAKEN),
        ("out of shared memory", TroubleCode.FAILED),
        ("deadlock detected [SQL: insert into t values ('disk is full')]", TroubleCode.FAILED),
    ],
)
def test_the_databases_words_become_a_code(told: str, code: TroubleCode) -> None:
    assert code_of(told) is code


class Pulse:
    """Vitals whose disk and monotonic clock are the test's."""

    def __init__(self, core: Core, folder: Path) -> None:
        self.core = core
        self.room = Room(500 * GB, 1000 * GB)
        self.seconds = 0.0
        self.vitals = Vitals(
            core.store,
            folder,
            Timekeeper(core.clock, core.clock),
            core.clock,
            room=lambda _folder: self.room,
            monotonic=lambda: time.monotonic() + self.seconds,
        )
        watch = Watch(core.store, core.desk, core.registers, core.clock.now)
        self.insistence = Insistence(core.store)
        self.ticker = Ticker(core.store, core.desk, watch, self.vitals, self.insistence)
        self.watch = watch

    def told(self, part: str) -> Trouble | None:
        """The trouble of a part."""
        return next((one for one in self.vitals.troubles() if one.part == part), None)

    def second(self) -> None:
        """A second, with its tick done."""
        self.ticker.second()
        assert self.ticker._pending is not None
        self.ticker._pending.exception(10)

    def logged(self, part: str) -> list[tuple[bool, str]]:
        """What the log says of a part, without repetition."""
        said: list[tuple[bool, str]] = []
        for entry in self.core.entries(EntryKind.HUB):
            for one in entry.body["parts"]:
                if one["name"] == part and (not said or said[-1] != (one["up"], one["reason"])):
                    said.append((one["up"], one["reason"]))
        return said


@pytest.fixture
def pulse(core: Core, tmp_path: Path) -> Pulse:
    return Pulse(core, tmp_path)


@pytest.mark.parametrize(
    ("free", "total", "code"),
    [
        (200 * GB, 1000 * GB, None),
        (21 * GB, 1000 * GB, None),
        (19 * GB, 1000 * GB, TroubleCode.DISK_LOW),
        (1 * GB, 1000 * GB, TroubleCode.DISK_CRITICAL),
        (9 * GB, 100 * GB, TroubleCode.DISK_LOW),
        (11 * GB, 100 * GB, None),
        (GB // 4, 10 * GB, TroubleCode.DISK_CRITICAL),
        (0, 10 * GB, TroubleCode.DISK_CRITICAL),
    ],
)
def test_little_room_is_told_before_there_is_none(
    pulse: Pulse, free: int, total: int, code: TroubleCode | None
) -> None:
    pulse.room = Room(free, total)
    pulse.vitals.look()
    told = pulse.told("disk")
    assert (told.code if told else None) == code
    if told is not None:
        assert told.severity is Severity.WARNING
        assert told.figures["free_mb"] == free // 1024**2


def test_little_room_stands_in_the_log_while_it_can_be_written(pulse: Pulse) -> None:
    pulse.second()
    since = pulse.core.clock.forward(60)
    pulse.room = Room(1 * GB, 20 * GB)
    pulse.second()
    pulse.core.clock.forward(60)
    pulse.room = Room(1 * GB - 5, 20 * GB)
    pulse.second()
    told = pulse.told("disk")
    assert told is not None and told.since == since
    pulse.room = Room(10 * GB, 20 * GB)
    pulse.second()
    assert pulse.told("disk") is None
    assert pulse.logged("disk") == [(True, "disk_low"), (True, "")]


def test_a_disk_that_cant_be_asked_is_told(core: Core, tmp_path: Path) -> None:
    vitals = Vitals(core.store, tmp_path / "gone", Timekeeper(core.clock, core.clock), core.clock)
    vitals.look()
    assert [one.code for one in vitals.troubles()] == [TroubleCode.DISK_ERROR]


def test_slow_commits_are_told_while_they_come_and_only_where_there_are_several(pulse: Pulse) -> None:
    def commits(count: int, seconds: float) -> None:
        for _ in range(count):
            pulse.vitals.began()
            pulse.seconds += seconds
            pulse.vitals.ended(ok=True)

    commits(WINDOW, 0.02)
    commits(2, 4.0)
    assert pulse.told("store") is None
    commits(2, 4.0)
    told = pulse.told("store")
    assert told is not None
    assert (told.code, told.severity, told.figures) == (TroubleCode.SLOW, Severity.WARNING, {"p95_s": 4.0})
    assert pulse.vitals.failure() is None
    commits(WINDOW, 0.02)
    assert pulse.told("store") is None


@pytest.fixture
def hung(pulse: Pulse) -> Iterator[threading.Event]:
    """The writer hangs within a commit until set."""
    go, there = threading.Event(), threading.Event()

    def wait(_tx: Transaction) -> None:
        there.set()
        go.wait(20)

    pulse.core.store.enqueue(wait)
    assert there.wait(10)
    yield go
    go.set()


def test_a_commit_that_hangs_is_told_and_none_is_begun_behind_it(pulse: Pulse, hung: threading.Event) -> None:
    pulse.ticker.second()
    first = pulse.ticker._pending
    assert pulse.vitals.failure() is None
    pulse.seconds += NO_COMMIT_S + 1
    pulse.ticker.second()
    assert pulse.ticker._pending is first
    told = pulse.vitals.failure()
    assert told is not None
    assert (told.code, told.severity) == (TroubleCode.NO_COMMIT, Severity.FAILURE)
    hung.set()
    assert first is not None
    first.result(10)
    assert pulse.vitals.failure() is None
    pulse.second()
    assert (False, "no_commit") in pulse.logged("store"), "told in the log once it can be"
    assert pulse.logged("store")[-1][0] is True


def _break(tx: Transaction) -> None:
    raise StoreUnavailable("disk I/O error")


def test_an_outage_is_told_at_once_and_stands_in_the_log_afterwards(pulse: Pulse) -> None:
    store, clock = pulse.core.store, pulse.core.clock
    pulse.second()
    since = clock.forward(1)
    assert isinstance(store.enqueue(_break).exception(10), StoreUnavailable)
    failure = pulse.vitals.failure()
    assert failure is not None
    assert (failure.code, failure.since) == (TroubleCode.DISK_ERROR, since)
    (part,) = [one for one in pulse.core.desk.snapshot().hub.parts if one.name == "store"]
    assert (part.up, part.reason) == (False, "disk_error")
    clock.forward(600)
    pulse.second()
    told = pulse.vitals.failure()
    assert told is not None and told.since == since, "a small commit got through; that is not the end of it"
    assert (False, "disk_error") not in pulse.logged("store")
    pulse.seconds += HELD_S
    pulse.second()
    assert pulse.vitals.failure() is None
    parts = [part for entry in pulse.core.entries(EntryKind.HUB) for part in entry.body["parts"]]
    states = [part for part in parts if part["name"] == "store"]
    down = next(one for one in states if not one["up"])
    assert (down["reason"], down["since"]) == ("disk_error", since.isoformat().replace("+00:00", "Z"))
    assert states[-1]["up"] is True


class Away:
    """A store that can't be had for a while: what is given to it is refused, as when its server is gone."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        self.away = False
        enqueue = store.enqueue

        def refused(tx: Transaction) -> None:
            raise StoreUnavailable("connection refused")

        monkeypatch.setattr(store, "enqueue", lambda job: enqueue(refused if self.away else job))


def test_what_nobody_waits_for_is_done_when_the_store_is_back_in_order(
    pulse: Pulse, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[int] = []
    away = Away(pulse.core.store, monkeypatch)
    away.away = True
    for number in range(5):
        pulse.insistence(lambda _tx, n=number: done.append(n))  # type: ignore[misc]
    eventually(lambda: pulse.insistence.waiting == 5)
    pulse.second()
    assert done == []
    away.away = False
    pulse.second()
    eventually(lambda: done == [0, 1, 2, 3, 4])
    assert pulse.insistence.waiting == 0


def test_a_job_with_a_fault_of_its_own_is_not_tried_for_ever(pulse: Pulse) -> None:
    tries: list[int] = []

    def faulty(_tx: Transaction) -> None:
        tries.append(1)
        raise KeyError("nobody")

    pulse.insistence(faulty)
    for _ in range(3):
        pulse.second()
    assert len(tries) == 1


def test_our_own_parts_that_came_and_went_during_an_outage_are_told_afterwards(
    pulse: Pulse, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = Away(pulse.core.store, monkeypatch)
    pulse.watch.tell("edge-1", True)
    eventually(lambda: pulse.logged("edge-1") == [(True, "")])
    away.away = True
    pulse.watch.tell("edge-1", False, "connection lost")
    pulse.watch.tell("adapters", True)
    pulse.second()
    assert pulse.logged("edge-1") == [(True, "")]
    away.away = False
    pulse.second()
    assert pulse.logged("edge-1") == [(True, ""), (False, "connection lost")]
    assert pulse.logged("adapters") == [(True, "")]


def test_what_is_undone_with_its_transaction_is_noted_next_time(pulse: Pulse) -> None:
    def noted_and_undone(tx: Transaction) -> None:
        pulse.watch.note_told(tx)
        raise ZeroDivisionError

    pulse.watch._told.append(("edge-1", False, "connection lost"))
    assert isinstance(pulse.core.store.enqueue(noted_and_undone).exception(10), ZeroDivisionError)
    assert pulse.logged("edge-1") == []
    pulse.second()
    assert pulse.logged("edge-1") == [(False, "connection lost")]
