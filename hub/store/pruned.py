"""Runs of entries that retention has deleted: where the chain goes on from the hash that is kept."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import sqlalchemy as sa

from hub.store.tables.log import pruned

_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class PrunedRun:
    """Entries `first` to `last` are gone; `hash` is that of `last`."""

    first: int
    last: int
    hash: str


def runs(connection: sa.Connection) -> Generator[PrunedRun]:
    """All runs in order, read as they are asked for. Close it where it isn't read to its end."""
    query = sa.select(pruned.c.first, pruned.c.last, pruned.c.hash).order_by(pruned.c.first)
    with connection.execute(query.execution_options(yield_per=_PAGE)) as found:
        for row in found:
            yield PrunedRun(row.first, row.last, row.hash)


def newest_end(connection: sa.Connection) -> int:
    """The highest number that was deleted; 0: none was."""
    query = sa.select(pruned.c.last).order_by(pruned.c.first.desc()).limit(1)
    return int(connection.execute(query).scalar_one_or_none() or 0)


def gone_between(connection: sa.Connection, after: int, up_to: int) -> int:
    """The highest deleted number in `after < number <= up_to`; 0: nothing of it is gone."""
    touching = (pruned.c.first <= up_to) & (pruned.c.last > after)
    query = sa.select(pruned.c.last).where(touching).order_by(pruned.c.first.desc()).limit(1)
    found = connection.execute(query).scalar_one_or_none()
    return 0 if found is None else min(int(found), up_to)


def add(connection: sa.Connection, new: Sequence[PrunedRun], now: datetime) -> None:
    """Notes runs, ascending, that are being deleted in this transaction; those that adjoin become one."""
    if not new:
        return
    near = _near(connection, new[0].first - 1, new[-1].last + 1)
    merged = _merged([*near, *new])
    stale = [one.first for one in near]
    for start in range(0, len(stale), 500):
        connection.execute(pruned.delete().where(pruned.c.first.in_(stale[start : start + 500])))
    rows = [{"first": one.first, "last": one.last, "hash": one.hash, "at": now} for one in merged]
    connection.execute(pruned.insert(), rows)


def _near(connection: sa.Connection, low: int, high: int) -> list[PrunedRun]:
    """Runs that touch `low` to `high`."""
    before = sa.select(sa.func.max(pruned.c.first)).where(pruned.c.first <= low).scalar_subquery()
    from_there = pruned.c.first >= sa.func.coalesce(before, low)
    query = sa.select(pruned.c.first, pruned.c.last, pruned.c.hash).where(from_there, pruned.c.first <= high)
    found = (PrunedRun(*row) for row in connection.execute(query.order_by(pruned.c.first)))
    return [one for one in found if one.last >= low]


def _merged(found: Iterable[PrunedRun]) -> list[PrunedRun]:
    made: list[PrunedRun] = []
    for one in sorted(found, key=lambda run: run.first):
        if made and one.first == made[-1].last + 1:
            made[-1] = replace(one, first=made[-1].first)
        else:
            made.append(one)
    return made
