"""Ten minutes without the database, or one that is killed: what waited is in the log, once, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from datetime import timedelta

import pytest
import sqlalchemy as sa

from hub.domain.entry import EntryKind
from hub.store import log as stored_log
from hub.store.engine import StoreUnavailable
from tests.hub_core.line import Line, line_to
from tests.hub_core.test_intake import Field, at_work, eventually, intrusion
from tests.postgresql import PostgreSQL

__all__ = ["at_work"]
BACKLOG = 300
LIMIT_S = 60.0


@pytest.fixture
def line(postgresql: PostgreSQL) -> Iterator[Line]:
    """The line between hub and database."""
    with line_to(postgresql.port) as found:
        yield found


@pytest.fixture
def store_url(postgresql: PostgreSQL, line: Line) -> Iterator[str]:
    """A database at the other end of the line."""
    url = sa.make_url(postgresql.database("adverse")).set(port=line.port)
    yield url.render_as_string()
    line.mend()
    postgresql.drop("adverse")


@pytest.fixture(params=["cut", "killed"])
def gone(request: pytest.FixtureRequest, postgresql: PostgreSQL, line: Line) -> Iterator[Callable[[], None]]:
    """Takes the database away; called again, brings it back."""

    def turn() -> None:
        if request.param == "cut":
            (line.mend if away[0] else line.cut)()
        else:
            (postgresql.start if away[0] else postgresql.kill)()
        away[0] = not away[0]

    away = [False]
    yield turn
    if away[0]:
        turn()


def unacknowledged(store_answer: Future[object]) -> bool:
    """Whether the store refused."""
    return isinstance(store_answer.exception(LIMIT_S), StoreUnavailable)


def test_ten_minutes_without_the_database(at_work: Field, gone: Callable[[], None]) -> None:
    core = at_work.core
    at_work.publish(1, intrusion(core, active=False))
    eventually(lambda: at_work.mark() == 1, LIMIT_S)
    gone()
    eventually(lambda: unacknowledged(core.store.enqueue(lambda _tx: None)), LIMIT_S)
    for seq in range(2, BACKLOG + 2):
        core.clock.forward(600 / BACKLOG)
        at_work.publish(seq, intrusion(core, active=seq % 2 == 0))
    assert core.store.head == core.desk.snapshot().seq
    gone()

    def all_there() -> bool:
        try:
            return at_work.mark() == BACKLOG + 1
        except StoreUnavailable:
            return False

    eventually(all_there, LIMIT_S)
    assert at_work.logged() == [f"{at_work.sender}:e1:{seq}" for seq in range(1, BACKLOG + 2)]
    head = core.store.head
    assert [entry.seq for entry in core.entries()] == list(range(1, head + 1))
    assert core.store.query(stored_log.verify) == (head, None)
    assert core.incident.condition == "intrusion", "of the last quarter of an hour: news"
    told = core.entries(EntryKind.OBSERVATION)
    assert told[-1].at - told[1].at < timedelta(minutes=1), "taken in one after the other"
