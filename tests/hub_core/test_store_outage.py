"""The database away, restarted, silent, or killed at the commit: what is told always is what stands."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest
import sqlalchemy as sa

from hub.domain.entry import Draft, EntryKind
from hub.store import log as stored_log
from hub.store import postgresql as postgresql_module
from hub.store import reading
from hub.store.database import InDoubt
from hub.store.engine import Store, StoreUnavailable, Transaction
from hub.store.sqlite import SQLite
from hub.store.tables.cases import views
from tests.hub_core.line import Line, Loss, line_to
from tests.postgresql import SIGNED_PASSWORD, SIGNED_ROLE, PostgreSQL, discard, fresh
from wire.clock import utc_now

LIMIT_S = 60.0


def draft(number: int) -> Draft:
    """An entry."""
    return Draft(kind=EntryKind.OBSERVATION, subject="camera:c-01", place="xz", body={"n": number})


def append(store: Store, number: int) -> Future[int]:
    """Appends an entry; its number."""
    return store.enqueue(lambda tx: tx.append(draft(number)).seq)


def view(number: int) -> Callable[[Transaction], None]:
    """A job that makes no entry."""
    row = {"subject": f"unit:{number}", "kind": "unit", "seq": 0, "body": "{}"}

    def job(tx: Transaction) -> None:
        tx.connection.execute(views.insert().values(**row))

    return job


def until(condition: Callable[[], bool], what: str) -> None:
    """Waits for `condition`, at most `LIMIT_S`."""
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, f"never came: {what}"
        time.sleep(0.02)


def insist(store: Store, number: int) -> int:
    """Appends, again and again while the store can't."""
    deadline = time.monotonic() + LIMIT_S
    while True:
        try:
            return append(store, number).result(LIMIT_S)
        except StoreUnavailable:
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.fixture
def line(postgresql: PostgreSQL) -> Iterator[Line]:
    """A line to the session's PostgreSQL."""
    with line_to(postgresql.port) as found:
        yield found


@pytest.fixture
def far(postgresql: PostgreSQL, line: Line) -> Iterator[Store]:
    """A store at the other end of `line`."""
    url = sa.make_url(postgresql.database("far")).set(port=line.port)
    store = Store.open(url.render_as_string())
    yield store
    line.mend()
    store.close()
    postgresql.drop("far")


@pytest.fixture
def own_postgresql() -> Iterator[PostgreSQL]:
    """A server of this test's own, to be killed."""
    server = fresh(quick=True)
    server.start()
    yield server
    discard(server)


@pytest.mark.parametrize("loss", Loss)
@pytest.mark.parametrize("with_entry", [True, False])
def test_a_commit_whose_answer_never_came_is_asked_about(
    far: Store, line: Line, loss: Loss, with_entry: bool
) -> None:
    assert append(far, 1).result(LIMIT_S) == 1
    undone: list[str] = []
    heard: list[int] = []
    far.on_commit(lambda entries: heard.extend(entry.seq for entry in entries))

    def job(tx: Transaction) -> str:
        tx.on_undo(lambda: undone.append("undone"))
        if with_entry:
            tx.append(draft(2))
        view(2)(tx)
        return "stands"

    line.lose(loss)
    told = far.enqueue(job)
    if loss is Loss.ANSWER:
        assert told.result(LIMIT_S) == "stands"
        assert (undone, heard) == ([], [2] if with_entry else [])
    else:
        with pytest.raises(StoreUnavailable):
            told.result(LIMIT_S)
        assert (undone, heard) == (["undone"], [])
    assert line.lost.is_set()
    stands = loss is Loss.ANSWER
    assert far.query(lambda c: len(c.execute(sa.select(views)).all())) == int(stands)
    assert insist(far, 3) == (3 if stands and with_entry else 2)
    assert far.health.ok
    assert far.query(stored_log.verify) == (far.head, None)


def test_what_is_told_while_nobody_can_be_asked(far: Store, line: Line) -> None:
    """In doubt, and the database away: the group is kept in hand, everybody else is refused at once."""
    line.lose(Loss.ANSWER)
    doubtful = append(far, 1)
    assert line.lost.wait(LIMIT_S)
    line.cut()
    until(lambda: "is being asked" in far.health.reason, "health tells of the doubt")
    until(lambda: isinstance(append(far, 2).exception(LIMIT_S), StoreUnavailable), "others are refused")
    if not doubtful.done():
        assert not far.health.ok
    line.mend()
    assert doubtful.result(LIMIT_S) == 1
    assert insist(far, 3) == 2


def test_a_hub_that_stops_in_doubt_says_so(postgresql: PostgreSQL, line: Line) -> None:
    url = sa.make_url(postgresql.database("stopping")).set(port=line.port)
    store = Store.open(url.render_as_string())
    line.freeze()
    line.lose(Loss.ANSWER)
    doubtful = append(store, 1)
    line.cut()
    closing = threading.Thread(target=store.close)
    closing.start()
    line.mend()
    closing.join(LIMIT_S)
    error = doubtful.exception(0)
    standing = sa.create_engine(postgresql.url("stopping"))
    with standing.connect() as connection:
        entries = stored_log.head(connection)
    standing.dispose()
    assert entries == (0 if isinstance(error, StoreUnavailable) else 1)
    postgresql.drop("stopping")


def test_while_it_is_away_everybody_is_told_why_and_it_comes_back_by_itself(far: Store, line: Line) -> None:
    append(far, 1).result(LIMIT_S)
    line.cut()
    with pytest.raises(StoreUnavailable):
        append(far, 2).result(LIMIT_S)
    until(lambda: isinstance(append(far, 2).exception(LIMIT_S), StoreUnavailable), "writes are refused")
    with pytest.raises(StoreUnavailable) as refused:
        far.query(stored_log.head)
    assert "127.0.0.1" in str(refused.value) or "connection" in str(refused.value)
    assert not far.health.ok
    assert far.health.reason
    line.mend()
    until(lambda: far.health.ok, "health without a job")
    until(lambda: _reads(far), "reads")
    assert append(far, 3).result(LIMIT_S) == 2


def _reads(store: Store) -> bool:
    try:
        store.query(stored_log.head)
    except StoreUnavailable:
        return False
    return True


def test_a_line_that_goes_silent_is_given_up(far: Store, line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgresql_module, "_CONTROL_S", 0.5)
    append(far, 1).result(LIMIT_S)
    line.freeze()
    with pytest.raises(StoreUnavailable, match="no answer"):
        append(far, 2).result(LIMIT_S)
    assert "no answer" in far.health.reason
    line.mend()
    until(lambda: far.health.ok, "health")
    assert insist(far, 3) == 2
    assert far.query(stored_log.verify) == (2, None)


def test_after_a_restart_no_read_fails(own_postgresql: PostgreSQL) -> None:
    store = Store.open(own_postgresql.database("hub"))
    append(store, 1).result(LIMIT_S)
    together = threading.Barrier(4, timeout=LIMIT_S)

    def waits(connection: sa.Connection) -> int:
        together.wait()
        return stored_log.head(connection)

    def four_at_once() -> list[int]:
        found: list[int] = []
        readers = [threading.Thread(target=lambda: found.append(store.query(waits))) for _ in range(4)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(LIMIT_S)
        return found

    assert four_at_once() == [1, 1, 1, 1]
    own_postgresql.stop()
    own_postgresql.start()
    assert [store.query(stored_log.head) for _ in range(6)] == [1] * 6
    assert insist(store, 2) == 2
    store.close()


def test_killed_again_and_again_it_keeps_what_it_acknowledged_and_nothing_else(
    own_postgresql: PostgreSQL,
) -> None:
    store = Store.open(own_postgresql.database("hub"))
    kept: list[tuple[int, int]] = []
    refused: list[int] = []
    memory: list[int] = []
    stop = threading.Event()

    def insisting(first: int) -> None:
        number = first
        while not stop.is_set():
            try:
                kept.append((store.enqueue(_remembering(memory, number)).result(LIMIT_S), number))
            except StoreUnavailable:
                refused.append(number)
                stop.wait(0.01)
            number += 10

    writers = [threading.Thread(target=insisting, args=(n,)) for n in range(3)]
    for writer in writers:
        writer.start()
    for _ in range(6):
        goal = len(kept) + 40
        until(lambda goal=goal: len(kept) >= goal, "progress")  # type: ignore[misc]
        own_postgresql.kill()
        own_postgresql.start()
    goal = len(kept) + 40
    until(lambda: len(kept) >= goal, "progress after the last kill")
    stop.set()
    for writer in writers:
        writer.join(LIMIT_S)
    logged = [
        (entry.seq, entry.body["n"]) for entry in store.query(lambda c: stored_log.after(c, 0, limit=10**6))
    ]
    assert sorted(kept) == logged
    assert sorted(memory) == sorted(number for _, number in kept)
    assert refused, "the kills were felt"
    assert store.query(stored_log.verify) == (store.head, None)
    store.close()


def _remembering(memory: list[int], number: int) -> Callable[[Transaction], int]:
    def job(tx: Transaction) -> int:
        memory.append(number)
        tx.on_undo(lambda: memory.remove(number))
        return tx.append(draft(number)).seq

    return job


def test_who_has_been_overtaken_never_writes_again(postgresql: PostgreSQL, far: Store, line: Line) -> None:
    """The line was away, another hub took over and has left again: this one's memory is of the past."""
    append(far, 1).result(LIMIT_S)
    line.cut()
    until(lambda: isinstance(append(far, 9).exception(LIMIT_S), StoreUnavailable), "the cut is felt")
    other = Store.open(postgresql.url("far"))
    other.enqueue(view(1)).result(LIMIT_S)
    other.close()
    line.mend()
    until(lambda: "another process has written" in far.health.reason, "it notices")
    with pytest.raises(StoreUnavailable, match="restart the hub"):
        append(far, 2).result(LIMIT_S)
    again = Store.open(postgresql.url("far"))
    assert append(again, 2).result(LIMIT_S) == 2
    again.close()


def test_while_another_holds_the_lock_a_lost_hub_waits(
    postgresql: PostgreSQL, far: Store, line: Line
) -> None:
    append(far, 1).result(LIMIT_S)
    line.cut()
    until(lambda: isinstance(append(far, 9).exception(LIMIT_S), StoreUnavailable), "the cut is felt")
    other = Store.open(postgresql.url("far"))
    line.mend()
    until(lambda: "another hub writes to this database" in far.health.reason, "it is told by whom")
    other.close()
    until(lambda: far.health.ok, "nothing was written: it goes on")
    assert append(far, 2).result(LIMIT_S) == 2


def test_a_password_is_used_and_never_told(postgresql: PostgreSQL) -> None:
    postgresql.database("locked", role=SIGNED_ROLE)
    url = sa.make_url(postgresql.url("locked", SIGNED_ROLE))
    right = Store.open(url.set(password=SIGNED_PASSWORD).render_as_string(hide_password=False))
    assert append(right, 1).result(LIMIT_S) == 1
    right.close()
    wrong = "not-the-password-at-all"
    with pytest.raises(StoreUnavailable) as refused:
        Store.open(url.set(password=wrong).render_as_string(hide_password=False))
    assert "password authentication failed" in str(refused.value)
    assert wrong not in str(refused.value)
    postgresql.drop("locked")


def test_rights_that_were_taken_away_are_the_databases_trouble_not_the_jobs(postgresql: PostgreSQL) -> None:
    """Else intake would put aside what only couldn't be stored just now."""
    store = Store.open(postgresql.database("rights"))
    append(store, 1).result(LIMIT_S)
    with postgresql.administration("rights") as admin:
        admin.execute("alter table entries owner to postgres")
        with pytest.raises(StoreUnavailable, match="permission denied"):
            append(store, 2).result(LIMIT_S)
        admin.execute("alter table entries owner to jifang")
    assert insist(store, 3) == 2
    store.close()
    postgresql.drop("rights")


class Forgetful(SQLite):
    """A SQLite whose disk answers an error after, or instead of, the commit it was asked for."""

    loses: Loss | None = None

    def commit(self, session: sa.Connection) -> None:
        """Commits, or not, and says that it doesn't know."""
        loss, self.loses = self.loses, None
        if loss is None:
            super().commit(session)
            return
        if loss is Loss.ANSWER:
            super().commit(session)
        raise InDoubt("disk I/O error")


@pytest.mark.parametrize("loss", Loss)
def test_sqlite_is_asked_as_well(tmp_path: Path, loss: Loss) -> None:
    database = Forgetful(sa.make_url(f"sqlite:///{tmp_path}/hub.db"))
    database.claim(0)
    database.migrate()
    store = Store(database, utc_now)
    append(store, 1).result(LIMIT_S)
    database.loses = loss
    told = append(store, 2)
    if loss is Loss.ANSWER:
        assert told.result(LIMIT_S) == 2
    else:
        with pytest.raises(StoreUnavailable, match="disk I/O error"):
            told.result(LIMIT_S)
    assert append(store, 3).result(LIMIT_S) == (3 if loss is Loss.ANSWER else 2)
    assert store.query(stored_log.verify) == (store.head, None)
    store.close()


def test_a_guest_that_writes_at_the_same_time_waits_its_turn(store: Store, store_url: str) -> None:
    guest = Store.open(store_url, beside=True)
    told = [(guest if n % 2 else store).enqueue(view(n)) for n in range(60)]
    assert [one.result(LIMIT_S) for one in told] == [None] * 60
    guest.close()
    assert store.query(lambda c: len(c.execute(sa.select(views)).all())) == 60


def test_a_read_that_keeps_the_wal_growing_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "GROWN_BYTES", 100_000)
    monkeypatch.setattr(reading, "OLD_READ_S", 0.2)
    store = Store.open(f"sqlite:///{tmp_path}/hub.db")
    endless = "with recursive c(n) as (select 1 union all select n + 1 from c) select count(*) from c"
    errors: list[BaseException] = []

    def reads() -> None:
        try:
            store.query(lambda c: c.exec_driver_sql(endless).scalar_one())
        except StoreUnavailable as error:
            errors.append(error)

    reader = threading.Thread(target=reads)
    reader.start()
    until(lambda: store.oldest_read_s > 0.2, "it reads")

    def ended() -> bool:
        store.enqueue(lambda tx: tx.append(draft(0)).seq).result(LIMIT_S)
        return bool(errors)

    until(ended, "the read is ended")
    reader.join(LIMIT_S)
    assert "interrupted" in str(errors[0])
    assert store.untidied_bytes > 100_000
    assert store.oldest_read_s == 0
    store.close()


def test_a_line_cut_without_a_word_is_noticed_by_both_ends_within_ten_seconds(postgresql: PostgreSQL) -> None:
    """What the kernels are told: a probe after 3 s, then two more, or 9 s without an acknowledgement."""
    store = Store.open(postgresql.database("keepalive"))

    def ends(connection: sa.Connection) -> tuple[list[int], list[str]]:
        driver = connection.connection.driver_connection
        assert isinstance(driver, postgresql_module.PatientConnection)
        with socket.socket(fileno=os.dup(driver.fileno())) as ours:
            options = (
                socket.TCP_KEEPIDLE,
                socket.TCP_KEEPINTVL,
                socket.TCP_KEEPCNT,
                socket.TCP_USER_TIMEOUT,
            )
            mine = [ours.getsockopt(socket.IPPROTO_TCP, one) for one in options]
        names = ("tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count", "tcp_user_timeout")
        return mine, [str(connection.exec_driver_sql(f"show {name}").scalar_one()) for name in names]

    writer = store.enqueue(lambda tx: ends(tx.connection)).result(LIMIT_S)
    assert writer == store.query(ends) == ([3, 2, 3, 9000], ["3", "2", "3", "9000"])
    durable = store.enqueue(lambda tx: tx.connection.exec_driver_sql("show synchronous_commit").scalar_one())
    assert durable.result(LIMIT_S) == "on"
    store.close()
    postgresql.drop("keepalive")


def test_a_database_that_confirms_too_early_is_overruled(postgresql: PostgreSQL) -> None:
    url = postgresql.database("careless")
    with postgresql.administration("careless") as admin:
        admin.execute("alter database careless set synchronous_commit = off")
    store = Store.open(url)
    seen = store.enqueue(lambda tx: tx.connection.exec_driver_sql("show synchronous_commit").scalar_one())
    assert seen.result(LIMIT_S) == "on"
    store.close()
    postgresql.drop("careless")
