"""A rare kind of entry is found page by page, each of which looks through a bounded stretch of the log."""

from __future__ import annotations

from hub.domain.entry import Draft, Entry, EntryKind
from hub.store import log as stored_log
from hub.store.engine import Store, Transaction

RARE_EVERY = 37


def _fill(tx: Transaction) -> None:
    for number in range(1, 1_001):
        kind = EntryKind.ORDER if number % RARE_EVERY == 0 else EntryKind.OBSERVATION
        tx.append(Draft(kind=kind, subject="order:x", place="xz", body={"n": number}))


def _page(store: Store, seq: int, *, limit: int, rows: int) -> tuple[list[Entry], int]:
    return store.query(
        lambda connection: stored_log.looked_through(
            connection, seq, limit=limit, kinds=(EntryKind.ORDER,), rows=rows
        )
    )


def _all(store: Store, *, limit: int, rows: int) -> list[int]:
    found: list[int] = []
    cursor = 0
    while True:
        page, reached = _page(store, cursor, limit=limit, rows=rows)
        assert len(page) <= limit
        found += [entry.seq for entry in page]
        if reached == cursor:
            return found
        cursor = reached


def test_pages_of_any_size_find_every_one_once_and_in_order(store: Store) -> None:
    store.enqueue(_fill).result(30)
    wanted = list(range(RARE_EVERY, 1_001, RARE_EVERY))
    for limit, rows in ((1, 1), (3, 10), (100, 100), (5, 10_000)):
        assert _all(store, limit=limit, rows=rows) == wanted, (limit, rows)


def test_holes_that_retention_left_cost_no_pages(store: Store) -> None:
    store.enqueue(_fill).result(30)
    store.enqueue(
        lambda tx: tx.connection.exec_driver_sql("delete from entries where seq between 10 and 900")
    ).result(30)
    page, reached = _page(store, 0, limit=100, rows=100)
    assert [entry.seq for entry in page] == [925, 962]
    assert reached == 991


def test_nothing_is_left_at_the_end(store: Store) -> None:
    assert _page(store, 0, limit=10, rows=10) == ([], 0)
