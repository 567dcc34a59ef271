"""What a growing log may not cost: work counted in steps of the database's machine, not in time.

SQLite tells how many instructions it ran. Everything that the hub asks while it starts, takes in, feeds and
shows the desk must need no more of them over a log ten times as long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from benchmarks import grown, growth
from benchmarks.growth import Grown
from hub.store.engine import Transaction

SMALL, LARGE, AN_HOUR = 20_000, 60_000, 2_000
"""Entries; the last hour holds the same number in both, and even the smaller one fills every page."""
ALLOWED = 1.15
SLACK = 300
"""Instructions: what happens to lie in the rows that are read."""


class Steps:
    """Counts instructions of every SQLite connection made while it counts."""

    def __init__(self) -> None:
        self.count = 0

    def hook(self, connection: Any, _record: object) -> None:
        """For a new connection."""
        connection.set_progress_handler(self._step, 1)

    def _step(self) -> int:
        self.count += 1
        return 0

    def of(self, work: Callable[[], object]) -> int:
        """Instructions that `work` needed."""
        before = self.count
        work()
        return self.count - before


@pytest.fixture
def steps() -> Iterator[Steps]:
    """Counting, in every engine."""
    counting = Steps()
    sa.event.listen(sa.Engine, "connect", counting.hook)
    yield counting
    sa.event.remove(sa.Engine, "connect", counting.hook)


@contextmanager
def without_pictures(one: Grown) -> Iterator[None]:
    """A district whose cameras never showed one: nobody may search the whole log because of that."""
    engine = sa.create_engine(one.url)
    with engine.begin() as connection:
        connection.exec_driver_sql("create table stills_kept as select * from stills")
        connection.exec_driver_sql("delete from stills")
    yield
    with engine.begin() as connection:
        connection.exec_driver_sql("insert into stills select * from stills_kept")
        connection.exec_driver_sql("drop table stills_kept")
    engine.dispose()


def worked(one: Grown, steps: Steps) -> dict[str, int]:
    """Instructions for everything, by name."""
    needed: dict[str, int] = {}
    with without_pictures(one):
        needed["start"] = steps.of(lambda: _start_and_stop(one))
    with growth.opened(one) as (hub, field_side):
        for name, question in growth.questions(one, hub).items():
            needed[name] = steps.of(question)
        needed["resume"] = steps.of(lambda: growth.resumed(one, hub))
        needed["intake"] = steps.of(lambda: growth.take_in(one, hub, field_side, 600, seed=1))
        needed["tick"] = steps.of(lambda: hub.store.enqueue(_nothing).result(10))
    return needed


def _start_and_stop(one: Grown) -> None:
    with growth.opened(one):
        pass


def _nothing(_tx: Transaction) -> None:
    """A commit."""


@pytest.mark.timeout(180)
def test_nothing_the_hub_does_all_day_grows_with_the_log(
    tmp_path: Path, steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grown, "PER_HOUR", AN_HOUR)
    monkeypatch.setattr(growth, "RESUMED", AN_HOUR - 100)
    now = datetime.now(UTC)
    small, large = (
        growth.prepared(str(size), f"sqlite:///{tmp_path}/{size}.db", tmp_path / str(size), size, now)
        for size in (SMALL, LARGE)
    )
    assert large.built.entries > 2.9 * small.built.entries
    before, after = worked(small, steps), worked(large, steps)
    more = {
        name: (before[name], after[name]) for name in before if after[name] > ALLOWED * before[name] + SLACK
    }
    assert more == {}


def test_the_counting_would_notice_a_whole_table_read(tmp_path: Path, steps: Steps) -> None:
    """The test of the test: a scan of the log needs three times as much over three times the log."""
    now = datetime.now(UTC)
    needed = []
    for size in (2_000, 6_000):
        one = growth.prepared(str(size), f"sqlite:///{tmp_path}/{size}.db", tmp_path / str(size), size, now)
        engine = sa.create_engine(one.url)
        with engine.connect() as connection:
            scan = sa.text("select count(*) from entries where actor = 'bench'")
            needed.append(steps.of(lambda: connection.execute(scan).all()))  # noqa: B023 - called at once
        engine.dispose()
    assert needed[1] > 2.5 * needed[0]
