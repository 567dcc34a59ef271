"""A hub's store at work on each database, with pictures, and a clock that moves by days."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest
import sqlalchemy as sa

from hub.audit import Act
from hub.desk import Desk
from hub.domain.entry import Draft, EntryKind
from hub.domain.retention import Terms
from hub.recording import record
from hub.registers import Registers
from hub.retention import Pace, Retention
from hub.sitefile import parse
from hub.store import audit as audit_rows
from hub.store import fixes
from hub.store import log as stored_log
from hub.store.blobs import Blobs
from hub.store.engine import Job, Store, Transaction
from hub.store.tables.log import entries
from tests.hub_core.conftest import SITE, HandClock
from wire.observations import Body, Condition, Heartbeat, Motion, Observation, PointState, Position

T = TypeVar("T")


@dataclass(slots=True)
class Keep:
    """A store with a desk over it, and the short words tests speak to it in."""

    url: str
    data: Path
    store: Store
    blobs: Blobs
    registers: Registers
    desk: Desk
    clock: HandClock
    sent: int = 0

    def do(self, job: Job[T]) -> T:
        """Runs a job; its error is the test's."""
        return self.store.enqueue(job).result(30)

    def see(self, source: str, body: Body, still: bytes = b"") -> int:
        """An observation arrives as intake stores it; the log's head afterwards."""
        self.sent += 1
        observation = Observation(source=source, body=body, heard_at=self.clock.now, id=f"k:{self.sent:06d}")
        digest = self.put(still) if still else ""

        def job(tx: Transaction) -> int:
            if isinstance(body, Position | Heartbeat):
                fixes.add(tx.connection, [observation], tx.now, tx.head)
                self.desk.observe(tx, observation)
                return tx.head
            entry = record(tx, self.registers, observation, digest)
            stored_log.remember(tx.connection, [(observation.id, entry.seq)])
            self.desk.observe(tx, observation, digest, entry.seq)
            tx.flush()
            return tx.head

        return self.do(job)

    def put(self, still: bytes) -> str:
        """A picture on disk, as old as the clock says."""
        digest = self.blobs.put(still)
        instant = self.clock.now.timestamp()
        os.utime(self.data / "stills" / digest[:2] / digest, (instant, instant))
        return digest

    def motion(self, still: bytes = b"", camera: str = "c-01") -> int:
        """Somebody walks through the picture: begin and end."""
        self.see(f"camera:{camera}", Motion(active=True, event=f"m{self.sent}"), still)
        return self.see(f"camera:{camera}", Motion(active=False, event=f"m{self.sent}"))

    def burglary(self) -> str:
        """The back door is opened while the panel is set; the incident."""
        for active in (True, False):
            body = PointState(point="zone:2", condition=Condition.INTRUSION, active=active, armed=True)
            self.see("panel:p-01", body)
        return self.desk.snapshot().incidents[-1].id

    def act(self, name: str, identity: str, *more: str) -> None:
        """An operator's action."""
        version = next(one.version for one in self.desk.snapshot().incidents if one.id == identity)
        self.do(lambda tx: getattr(self.desk, name)(tx, identity, version, "li", *more))

    def close_incident(self, identity: str) -> None:
        """A real one, over and done with."""
        for name, more in (("claim", ()), ("verify", ()), ("close", ("抓获一人",))):
            self.act(name, identity, *more)

    def days(self, days: float) -> None:
        """Time passes."""
        self.clock.forward(days * 86_400)

    def audit(self, what: str) -> None:
        """Somebody looks at something."""
        self.do(lambda tx: audit_rows.append(tx, Act(action="video.live", object=what, person="li")))

    def keeper(self, terms: Terms | None = None, pace: Pace | None = None) -> Retention:
        """Retention over this store, unhurried about its rests."""
        quick = pace or Pace(size=50, rest=0.0)
        return Retention(self.store, self.blobs, self.clock, terms or Terms(), pace=quick)

    def seqs(self, *kinds: EntryKind) -> list[int]:
        """Numbers of the entries that are there."""
        query = sa.select(entries.c.seq).order_by(entries.c.seq)
        if kinds:
            query = query.where(entries.c.kind.in_([one.value for one in kinds]))
        return list(self.store.query(lambda connection: connection.execute(query).scalars().all()))

    def holds(self) -> None:
        """The chain is whole."""
        head, broken = self.store.query(stored_log.verify)
        assert broken is None, broken
        assert head == self.store.head


@pytest.fixture
def clock() -> HandClock:
    """10:00 in Xuzhou, until told otherwise."""
    return HandClock()


@pytest.fixture
def keep(store_url: str, tmp_path: Path, clock: HandClock) -> Iterator[Keep]:
    """A small district at work, on each database in turn."""
    made = open_keep(store_url, tmp_path / "data", clock)
    yield made
    made.store.close()


def open_keep(url: str, data: Path, clock: HandClock) -> Keep:
    """Opens a store with the district in it."""
    data.mkdir(parents=True, exist_ok=True)
    store = Store.open(url, clock=clock)
    registers = Registers.load(store, data / "seal.key")
    file = parse(json.dumps(SITE).encode())
    store.enqueue(lambda tx: registers.import_site(tx, file, "test")).result(30)
    return Keep(url, data, store, Blobs(data / "stills"), registers, Desk(store, registers), clock)


def drafts(count: int, subject: str = "camera:c-01") -> Sequence[Draft]:
    """Entries with something in them that isn't ASCII."""
    return [
        Draft(kind=EntryKind.OBSERVATION, subject=subject, place="xz", body={"n": n, "名": "卡口"})
        for n in range(count)
    ]


def jpeg(number: int) -> bytes:
    """Bytes that stand for a picture."""
    return b"\xff\xd8" + hashlib.sha256(str(number).encode()).digest() * 20 + b"\xff\xd9"


ON_ONE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
"""What has nothing to do with the kind of database is tried on one."""
