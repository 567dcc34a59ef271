"""Any jobs in any groups, and any commit lost: what is told, what stands and memory are one."""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.domain.entry import Draft, EntryKind
from hub.store import log as stored_log
from hub.store.database import InDoubt
from hub.store.engine import Store, StoreUnavailable, Transaction
from hub.store.sqlite import SQLite
from hub.store.tables.cases import views
from tests.hub_core.line import Loss, line_to
from tests.postgresql import PostgreSQL
from wire.clock import utc_now

LIMIT_S = 60.0
STEPS = ("append", "row", "flush", "part", "lost part", "same row", "refuse")


class Refused(Exception):
    """What a job raises that doesn't want to."""


@dataclass(slots=True)
class Model:
    """What should stand, and what memory should hold: numbers of entries and of rows."""

    entries: list[int] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Memory:
    """What jobs keep beside the database, taken back with them."""

    told: list[int] = field(default_factory=list)

    def put(self, tx: Transaction, number: int) -> None:
        """Keeps a number."""
        self.told.append(number)
        tx.on_undo(lambda: self.told.remove(number))


def job(steps: Sequence[str], number: int, memory: Memory) -> Callable[[Transaction], int]:
    """A job of these steps; its own numbers begin at `number`."""

    def row(tx: Transaction, key: int) -> None:
        values = {"subject": f"unit:{key}", "kind": "unit", "seq": key, "body": "{}"}
        tx.connection.execute(views.insert().values(**values))

    def append(tx: Transaction, key: int) -> None:
        tx.append(Draft(kind=EntryKind.OBSERVATION, subject="s", place="xz", body={"n": key}))
        memory.put(tx, key)

    def run(tx: Transaction) -> int:
        for key, step in enumerate(steps, number):
            if step == "append":
                append(tx, key)
            elif step == "row":
                row(tx, key)
            elif step == "flush":
                tx.flush()
            elif step == "part":
                with tx.savepoint():
                    append(tx, key)
                    row(tx, key)
            elif step == "lost part":
                with contextlib.suppress(Refused), tx.savepoint():
                    append(tx, key)
                    row(tx, key)
                    raise Refused
            elif step == "same row":
                with contextlib.suppress(sa.exc.IntegrityError), tx.savepoint():
                    append(tx, key)
                    row(tx, key)
                    row(tx, key)
            else:
                raise Refused
        return number

    return run


def expect(steps: Sequence[str], number: int) -> Model | None:
    """What a job of these steps leaves; None: it refuses."""
    left = Model()
    for key, step in enumerate(steps, number):
        if step == "refuse":
            return None
        if step in ("append", "part"):
            left.entries.append(key)
        if step in ("row", "part"):
            left.rows.append(key)
    return left


GROUPS = st.lists(
    st.tuples(
        st.lists(st.lists(st.sampled_from(STEPS), max_size=4), min_size=1, max_size=5),
        st.sampled_from([None, None, *Loss]),
    ),
    min_size=1,
    max_size=5,
)


def play(
    store: Store, lose: Callable[[Loss | None], None], groups: list[tuple[list[list[str]], Loss | None]]
) -> None:
    """Plays groups of jobs, losing commits, and holds everything against the model."""
    memory, model, heard = Memory(), Model(), list[int]()
    store.on_commit(lambda entries: heard.extend(entry.body["n"] for entry in entries))
    number = 1
    for jobs, loss in groups:
        go, held = threading.Event(), threading.Event()
        first = store.enqueue(lambda _tx, go=go, held=held: (held.set(), go.wait(LIMIT_S)))  # type: ignore[misc]
        assert held.wait(LIMIT_S)
        told: list[tuple[Future[int], Model | None, int]] = []
        for steps in jobs:
            told.append((store.enqueue(job(steps, number, memory)), expect(steps, number), number))
            number += len(steps) + 1
        if loss is not None:
            lose(loss)
        go.set()
        first.result(LIMIT_S)
        stands = loss is not Loss.REQUEST or (len(jobs) == 1 and told[0][1] is None)
        for done, left, key in told:
            error = done.exception(LIMIT_S)
            if not stands:
                assert isinstance(error, StoreUnavailable)
            elif left is None:
                assert isinstance(error, Refused)
            else:
                assert done.result() == key
                model.entries += left.entries
                model.rows += left.rows
        if len(jobs) == 1 and told[0][1] is None:
            lose(None)  # nothing was committed: the loss is still to come
        assert memory.told == model.entries == heard
    stored, rows = store.query(_stored), store.query(_rows)
    assert (stored, rows) == (model.entries, sorted(model.rows))
    assert store.query(stored_log.verify) == (len(model.entries), None)
    assert store.head == len(model.entries)


def _stored(connection: sa.Connection) -> list[int]:
    return [entry.body["n"] for entry in stored_log.after(connection, 0, limit=10_000)]


def _rows(connection: sa.Connection) -> list[int]:
    return list(connection.execute(sa.select(views.c.seq).order_by(views.c.seq)).scalars())


class Forgetful(SQLite):
    """Loses the second commit from now, or its answer."""

    loses: Loss | None = None
    passed = 0

    def lose(self, loss: Loss | None) -> None:
        """As told."""
        self.loses, self.passed = loss, 0

    def commit(self, session: sa.Connection) -> None:
        """Commits, or not, and says that it doesn't know."""
        self.passed += 1
        if self.loses is None or self.passed < 2:
            super().commit(session)
            return
        loss, self.loses = self.loses, None
        if loss is Loss.ANSWER:
            super().commit(session)
        raise InDoubt("disk I/O error")


@pytest.fixture
def migrated(tmp_path: Path) -> Iterator[Path]:
    """A store with nothing in it, to be copied."""
    file = tmp_path / "migrated.db"
    Store.open(f"sqlite:///{file}").close()
    yield file


@given(groups=GROUPS)
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_on_sqlite(migrated: Path, groups: list[tuple[list[list[str]], Loss | None]]) -> None:
    file = migrated.with_name("hub.db")
    for old in migrated.parent.glob("hub.db*"):
        old.unlink()
    shutil.copy(migrated, file)
    database = Forgetful(sa.make_url(f"sqlite:///{file}"))
    database.claim(0)
    store = Store(database, utc_now)
    try:
        play(store, database.lose, groups)
    finally:
        store.close()


@given(groups=GROUPS)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_on_postgresql(postgresql: PostgreSQL, groups: list[tuple[list[list[str]], Loss | None]]) -> None:
    with line_to(postgresql.port) as line:
        url: Any = sa.make_url(postgresql.database("machine")).set(port=line.port)
        store = Store.open(url.render_as_string())
        try:
            play(store, lambda loss: line.lose(loss, after=1), groups)
        finally:
            store.close()
    postgresql.drop("machine")
