"""The store: group commit, savepoints, order, the hash chain, and migrations equal to the models."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from hub.domain.entry import Draft, Entry, EntryKind
from hub.store import log as stored_log
from hub.store.engine import Store, StoreUnavailable, Transaction
from hub.store.tables import load_all
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


def test_what_a_group_could_not_commit_is_nowhere(store: Store, tmp_path: Path) -> None:
    """Another process holds the database's write lock for good: the commit fails, memory goes back."""
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
    tmp_path: Path, clock: HandClock
) -> None:
    url = f"sqlite:///{tmp_path}/hub.db"
    for _ in range(2):
        store = Store.open(url, clock=clock)
        store.enqueue(lambda tx: [tx.append(draft(n)) for n in range(5)]).result(5)
        assert store.query(stored_log.verify) == (store.head, None)
        store.close()
    with sqlite3.connect(tmp_path / "hub.db") as forger:
        forger.execute("update entries set body = replace(body, '卡口', '路口') where seq = 7")
    store = Store.open(url, clock=clock)
    held, broken = store.query(stored_log.verify)
    store.close()
    assert held == 6
    assert broken is not None
    assert broken.seq == 7


def test_a_missing_entry_is_found(tmp_path: Path, clock: HandClock) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/hub.db", clock=clock)
    store.enqueue(lambda tx: [tx.append(draft(n)) for n in range(5)]).result(5)
    store.enqueue(lambda tx: tx.connection.exec_driver_sql("delete from entries where seq = 3")).result(5)
    held, broken = store.query(stored_log.verify)
    store.close()
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
    with pytest.raises(sa.exc.OperationalError, match="readonly"):
        store.query(lambda connection: connection.exec_driver_sql("delete from entries"))


def test_what_was_queued_is_committed_at_closing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/hub.db"
    store = Store.open(url)
    futures = [store.enqueue(lambda tx, n=n: tx.append(draft(n)).seq) for n in range(500)]  # type: ignore[misc]
    store.close()
    assert [future.result(0) for future in futures] == list(range(1, 501))
    with pytest.raises(StoreUnavailable):
        store.enqueue(_nothing).result(1)


def test_migrations_give_the_models(store: Store) -> None:
    def differences(connection: sa.Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), load_all()))

    assert store.query(differences) == []


def test_the_log_is_stored_with_full_synchronisation(store: Store) -> None:
    def settings(tx: Transaction) -> tuple[object, object]:
        connection = tx.connection
        return (
            connection.exec_driver_sql("pragma journal_mode").scalar_one(),
            connection.exec_driver_sql("pragma synchronous").scalar_one(),
        )

    assert store.enqueue(settings).result(5) == ("wal", 2)
