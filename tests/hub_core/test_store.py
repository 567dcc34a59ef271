"""The store on both databases: group commit, savepoints, order, the hash chain, readers."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa

from hub.domain.entry import Draft, Entry, EntryKind
from hub.store import log as stored_log
from hub.store.engine import Store, StoreTaken, StoreUnavailable, Transaction
from hub.store.tables.cases import views
from hub.store.tables.log import commits
from tests.hub_core.conftest import HandClock


def draft(number: int) -> Draft:
    """An entry with something in it that isn't ASCII."""
    return Draft(
        kind=EntryKind.OBSERVATION, subject="camera:c-01", place="xz", body={"n": number, "名": "卡口"}
    )


def heads(store: Store) -> list[int]:
    """Numbers in the log."""
    return [
        entry.seq for entry in store.query(lambda connection: stored_log.after(connection, 0, limit=10_000))
    ]


def _spoil(tx: Transaction) -> None:
    tx.append(draft(2))
    tx.flush()
    raise ZeroDivisionError


def hold(store: Store) -> threading.Event:
    """Keeps the writer busy until set, so that what is submitted meanwhile becomes one group."""
    go = threading.Event()

    def wait(_tx: Transaction) -> None:
        go.wait(10)

    store.enqueue(wait)
    return go


async def test_numbers_have_no_gaps_and_listeners_hear_them_in_order(store: Store) -> None:
    heard: list[int] = []
    store.on_commit(lambda entries: heard.extend(entry.seq for entry in entries))
    for number in range(300):
        await store.submit(lambda tx, n=number: tx.append(draft(n)))  # type: ignore[misc]
    assert heads(store) == heard == list(range(1, 301))


def test_a_job_that_raises_undoes_only_itself(store: Store) -> None:
    groups: list[Sequence[Entry]] = []
    store.on_commit(groups.append)
    go = hold(store)
    before = store.enqueue(lambda tx: tx.append(draft(1)).seq)
    bad = store.enqueue(_spoil)
    after = store.enqueue(lambda tx: tx.append(draft(3)).seq)
    go.set()
    assert (before.result(5), after.result(5)) == (1, 2)
    assert isinstance(bad.exception(5), ZeroDivisionError)
    assert [entry.body["n"] for group in groups for entry in group] == [1, 3]
    assert len(groups) == 1, "one group, one commit"
    assert store.query(stored_log.verify) == (2, None)


def test_an_inner_savepoint_undoes_its_part_in_memory_too(store: Store) -> None:
    undone: list[str] = []

    def job(tx: Transaction) -> int:
        tx.append(draft(1))
        tx.on_undo(lambda: undone.append("outer"))
        try:
            with tx.savepoint():
                tx.append(draft(2))
                tx.on_undo(lambda: undone.append("inner"))
                raise LookupError
        except LookupError:
            return tx.append(draft(3)).seq

    assert store.enqueue(job).result(5) == 2
    assert undone == ["inner"]
    assert store.query(stored_log.verify) == (2, None)


def test_what_a_group_could_not_commit_is_nowhere(store: Store) -> None:
    """The database ends the transaction by itself: nothing stands, memory goes back."""
    undone: list[int] = []
    store.enqueue(lambda tx: tx.append(draft(1))).result(5)

    def break_off(tx: Transaction) -> None:
        tx.append(draft(2))
        tx.on_undo(lambda: undone.append(2))
        tx.flush()
        driver = tx.connection.connection.dbapi_connection
        assert driver is not None
        driver.execute("rollback")  # what SQLite does by itself when the disk is full

    with pytest.raises(StoreUnavailable):
        store.enqueue(break_off).result(5)
    assert undone == [2]
    assert not store.health.ok
    assert store.head == 1
    assert store.enqueue(lambda tx: tx.append(draft(3)).seq).result(5) == 2
    assert store.health.reason == ""
    assert store.query(stored_log.verify) == (2, None)


def test_a_full_disk_loses_nothing_and_ends(tmp_path: Path) -> None:
    """SQLite at its page limit gives the very error of a full disk."""
    store = Store.open(f"sqlite:///{tmp_path}/hub.db")
    try:
        store.enqueue(lambda tx: tx.append(draft(0))).result(5)
        store.enqueue(_limit_pages).result(5)
        committed = _fill(store)
        assert store.head == committed
        store.enqueue(_nothing).result(5)
        store.enqueue(_lift_limit).result(5)
        assert store.enqueue(lambda tx: tx.append(draft(1)).seq).result(5) == committed + 1
        assert store.query(stored_log.verify) == (committed + 1, None)
    finally:
        store.close()


def _fill(store: Store) -> int:
    """Appends until the store refuses; how many it took."""
    for number in range(1, 10_000):
        refused = store.enqueue(lambda tx, n=number: tx.append(draft(n))).exception(5)  # type: ignore[misc]
        if refused is not None:
            assert isinstance(refused, StoreUnavailable)
            assert "full" in str(refused)
            return number
    raise AssertionError("the disk never filled")


def _nothing(_tx: Transaction) -> None:
    """A job with nothing to do."""


def _limit_pages(tx: Transaction) -> None:
    pages = tx.connection.exec_driver_sql("pragma page_count").scalar_one()
    tx.connection.exec_driver_sql(f"pragma max_page_count={pages + 3}")


def _lift_limit(tx: Transaction) -> None:
    tx.connection.exec_driver_sql("pragma max_page_count=1000000")


def test_the_chain_goes_on_after_a_restart_and_shows_what_was_changed(
    store_url: str, clock: HandClock
) -> None:
    for _ in range(2):
        store = Store.open(store_url, clock=clock)
        store.enqueue(lambda tx: [tx.append(draft(n)) for n in range(5)]).result(5)
        assert store.query(stored_log.verify) == (store.head, None)
        store.close()
    _forge(store_url, "update entries set body = replace(body, '卡口', '路口') where seq = 7")
    store = Store.open(store_url, clock=clock)
    held, broken = store.query(stored_log.verify)
    store.close()
    assert held == 6
    assert broken is not None
    assert broken.seq == 7


def _forge(url: str, statement: str) -> None:
    engine = sa.create_engine(url)
    with engine.begin() as forger:
        forger.exec_driver_sql(statement)
    engine.dispose()


def test_a_missing_entry_is_found(store: Store) -> None:
    store.enqueue(lambda tx: [tx.append(draft(n)) for n in range(5)]).result(5)
    store.enqueue(lambda tx: tx.connection.exec_driver_sql("delete from entries where seq = 3")).result(5)
    held, broken = store.query(stored_log.verify)
    assert (held, broken.seq if broken else None) == (2, 3)


def test_readers_see_only_what_is_committed(store: Store) -> None:
    store.enqueue(lambda tx: tx.append(draft(1))).result(5)
    seen: list[int] = []

    def job(tx: Transaction) -> None:
        tx.append(draft(2))
        tx.flush()
        seen.append(store.query(stored_log.head))

    store.enqueue(job).result(5)
    assert seen == [1]
    assert store.query(stored_log.head) == 2


def test_readers_cannot_write(store: Store) -> None:
    with pytest.raises(sa.exc.DBAPIError, match=r"read-?only"):
        store.query(lambda connection: connection.exec_driver_sql("delete from entries"))


def test_what_was_queued_is_committed_at_closing(store_url: str) -> None:
    store = Store.open(store_url)
    futures = [store.enqueue(lambda tx, n=n: tx.append(draft(n)).seq) for n in range(500)]  # type: ignore[misc]
    store.close()
    assert [future.result(0) for future in futures] == list(range(1, 501))
    with pytest.raises(StoreUnavailable):
        store.enqueue(_nothing).result(1)


def test_sqlite_stores_with_full_synchronisation(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/hub.db")

    def settings(tx: Transaction) -> tuple[object, object]:
        connection = tx.connection
        return (
            connection.exec_driver_sql("pragma journal_mode").scalar_one(),
            connection.exec_driver_sql("pragma synchronous").scalar_one(),
        )

    assert store.enqueue(settings).result(5) == ("wal", 2)
    store.close()


def test_a_group_of_many_jobs_costs_savepoints_only_where_sql_is_used(store: Store) -> None:
    """Jobs that append, use SQL, refuse and break a constraint, all in one transaction."""
    go = hold(store)
    view = {"kind": "unit", "seq": 1, "body": "{}"}

    def sees_own_entries(tx: Transaction) -> int:
        tx.append(draft(2))
        tx.flush()
        return stored_log.head(tx.connection)

    def breaks(tx: Transaction) -> None:
        tx.append(draft(3))
        tx.connection.execute(views.insert().values(subject="unit:1", **view))

    appends = store.enqueue(lambda tx: tx.append(draft(1)).seq)
    inserts = store.enqueue(
        lambda tx: tx.connection.execute(views.insert().values(subject="unit:1", **view)).is_insert
    )
    sees = store.enqueue(sees_own_entries)
    broken = store.enqueue(breaks)
    refuses = store.enqueue(_spoil)
    last = store.enqueue(lambda tx: tx.append(draft(4)).seq)
    go.set()
    assert (appends.result(5), inserts.result(5), sees.result(5), last.result(5)) == (1, True, 2, 3)
    assert isinstance(broken.exception(5), sa.exc.IntegrityError)
    assert isinstance(refuses.exception(5), ZeroDivisionError)
    assert store.query(stored_log.verify) == (3, None)


def test_a_job_that_goes_on_after_a_database_error_stops_nobody_else(store: Store) -> None:
    """SQLite would let it; PostgreSQL can't: there it fails, alone, and on neither does the group."""
    view = {"subject": "unit:1", "kind": "unit", "seq": 1, "body": "{}"}
    store.enqueue(lambda tx: tx.connection.execute(views.insert().values(**view))).result(5)

    def careless(tx: Transaction) -> None:
        try:
            tx.connection.execute(views.insert().values(**view))
        except sa.exc.IntegrityError:
            tx.append(draft(1))

    def careful(tx: Transaction) -> int:
        try:
            with tx.savepoint():
                tx.connection.execute(views.insert().values(**view))
        except sa.exc.IntegrityError:
            pass
        return tx.append(draft(2)).seq

    go = hold(store)
    first, second = store.enqueue(careless), store.enqueue(careful)
    go.set()
    second.result(5)
    alone = store.enqueue(careless).exception(5)
    assert not isinstance(first.exception(5), StoreUnavailable)
    assert not isinstance(alone, StoreUnavailable)
    assert store.query(stored_log.verify) == (store.head, None)


def test_nobody_else_writes_to_the_same_store(store: Store, store_url: str) -> None:
    with pytest.raises(StoreTaken, match=r"writes to"):
        Store.open(store_url, patience_s=0)
    guest = Store.open(store_url, beside=True)
    view = {"subject": "unit:9", "kind": "unit", "seq": 0, "body": "{}"}
    guest.enqueue(lambda tx: tx.connection.execute(views.insert().values(**view))).result(5)
    with pytest.raises(StoreTaken, match="only it appends"):
        guest.enqueue(lambda tx: tx.append(draft(1))).result(5)
    guest.close()
    assert store.enqueue(lambda tx: tx.append(draft(1)).seq).result(5) == 1
    assert len(store.query(lambda c: c.execute(sa.select(views)).all())) == 1


def test_a_store_that_is_closed_can_be_opened_by_another(store_url: str) -> None:
    for expected in (1, 2):
        store = Store.open(store_url)
        assert store.enqueue(lambda tx: tx.append(draft(1)).seq).result(5) == expected
        store.close()


def test_only_the_latest_marks_are_kept(store: Store) -> None:
    for _ in range(600):
        store.enqueue(_nothing).result(5)
    marks = store.query(lambda c: c.execute(sa.select(sa.func.count()).select_from(commits)).scalar_one())
    assert 256 <= marks < 520


def test_what_a_database_cannot_hold_is_made_visible(store: Store) -> None:
    """A zero character and a lone surrogate in names; a zero character in a body stays what it is."""
    strange = Draft(
        kind=EntryKind.OBSERVATION, subject="panel:a\0b", place="xz", actor="w\udcff", body={"text": "a\0b"}
    )
    told = store.enqueue(lambda tx: tx.append(strange)).result(5)
    (read,) = store.query(lambda connection: stored_log.after(connection, 0))
    assert (read.subject, read.actor, read.body) == ("panel:a␀b", "w\\udcff", {"text": "a\0b"})
    assert read == told
    assert store.query(stored_log.verify) == (1, None)


def test_names_are_ordered_by_their_bytes(store: Store) -> None:
    """As SQLite does, whatever collation the PostgreSQL was made with."""
    names = ["unit:a", "unit:B", "unit:_", "unit:é", "unit:卡", "unit:a-1", "unit:a 1", "unit:aa"]
    rows = [{"subject": name, "kind": "unit", "seq": 0, "body": "{}"} for name in names]
    store.enqueue(lambda tx: tx.connection.execute(views.insert(), rows)).result(5)
    order = sa.select(views.c.subject).order_by(views.c.subject)
    found = store.query(lambda c: list(c.execute(order).scalars()))
    assert found == sorted(names, key=str.encode)


def test_text_longer_than_its_column_says_is_kept_whole(store: Store) -> None:
    """Limits are checked where things come in; the store must not be what refuses them on one database."""
    subject = "unit:" + "长" * 500
    row = {"subject": subject, "kind": "unit", "seq": 2**40, "body": "{}"}
    store.enqueue(lambda tx: tx.connection.execute(views.insert().values(**row))).result(5)
    kept = store.query(lambda c: c.execute(sa.select(views)).one())
    assert (kept.subject, kept.seq) == (subject, 2**40)


def test_many_rows_go_in_as_they_came(store: Store) -> None:
    """Enough for COPY on PostgreSQL: tabs, backslashes, line ends, nothing and much of it."""
    bodies = ["\t", "\\N", "\n\r", "", '{"名": "卡口\\u0000"}', "x" * 100_000, "\\.", "end"] * 3
    rows = [{"subject": f"unit:{n}", "kind": "unit", "seq": n, "body": body} for n, body in enumerate(bodies)]
    store.enqueue(lambda tx: tx.connection.execute(views.insert(), rows)).result(5)
    order = sa.select(views.c.body).order_by(views.c.seq)
    assert store.query(lambda c: list(c.execute(order).scalars())) == bodies
