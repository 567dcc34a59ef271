"""The chain: proved across pruned runs, and broken by any single change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.domain.entry import Draft, EntryKind
from hub.domain.retention import RetentionClass
from hub.store import log as stored_log
from hub.store import pruned, retention
from hub.store.canonical import GENESIS, canonical_body, chained
from hub.store.chain import LogWalk, raw_row
from hub.store.engine import Store, Transaction
from hub.store.pruned import PrunedRun
from hub.store.ranges import as_text, first_difference, from_text, joined, runs_of
from hub.store.tables.log import entries
from hub.store.tables.log import pruned as pruned_table
from tests.hub_core.conftest import HandClock
from tests.keeping.conftest import drafts

NAMES = ("seq", "at", "kind", "subject", "place", "actor", "cause", "late", "body", "hash")
START = datetime(2026, 11, 1, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Model:
    """A log in memory, written and pruned by the same rules as the store's."""

    def __init__(self) -> None:
        self.rows: list[list[Any]] = []
        self.runs: list[PrunedRun] = []
        self.head, self.hash = 0, GENESIS

    def append(self, draft: Draft) -> None:
        seq, at = self.head + 1, START + timedelta(seconds=self.head)
        body = canonical_body(draft.body)
        self.hash = chained(self.hash, draft, seq, at, body)
        self.head = seq
        self.rows.append(
            [
                seq,
                (at - EPOCH) // timedelta(microseconds=1),
                draft.kind.value,
                draft.subject,
                draft.place,
                draft.actor,
                draft.cause,
                draft.late,
                body.decode(),
                self.hash,
            ]
        )

    def prune(self, chosen: Callable[[int], bool]) -> None:
        going = [row for row in self.rows if row[0] > 1 and row[2] == "observation" and chosen(row[0])]
        if not going:
            return
        hashes = {row[0]: row[9] for row in going}
        ranges = list(runs_of(hashes))
        self.rows = [row for row in self.rows if row[0] not in hashes]
        new = [PrunedRun(first, last, hashes[last]) for first, last in ranges]
        self.runs = pruned._merged([*self.runs, *new])
        body = {"act": "pruned", "class": "motion", "ranges": as_text(ranges)}
        self.append(Draft(kind=EntryKind.KEEPING, subject="retention:motion", place="xz", body=body))

    def walk(self) -> LogWalk:
        proof = LogWalk(self.runs)
        for row in self.rows:
            if not proof.take(raw_row(NAMES, row)):
                break
        proof.end()
        return proof


steps = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 12)),
        st.tuples(st.just("prune"), st.integers(0, 2**32)),
    ),
    min_size=1,
    max_size=12,
)


def played(script: Sequence[tuple[str, int]]) -> Model:
    model = Model()
    model.append(drafts(1)[0])
    for what, number in script:
        if what == "append":
            for draft in drafts(number):
                model.append(draft)
        else:
            model.prune(lambda seq, bits=number: bool(bits >> (seq % 33) & 1))  # type: ignore[misc]
    return model


@given(steps)
@settings(max_examples=150, deadline=None)
def test_any_sequence_of_appends_and_prunes_verifies(script: list[tuple[str, int]]) -> None:
    model = played(script)
    proof = model.walk()
    assert proof.broken is None
    assert proof.count.head == model.head
    assert proof.count.entries == len(model.rows)
    assert proof.count.pruned_entries == model.head - len(model.rows)


@given(steps, st.data())
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_single_change_does_not(script: list[tuple[str, int]], data: st.DataObject) -> None:
    model = played(script)
    what = data.draw(st.sampled_from(["byte", "lost", "run", "unrun", "swap"]))
    if what == "byte":
        row = data.draw(st.sampled_from(model.rows))
        column = data.draw(st.integers(0, 9))
        row[column] = changed(row[column], data)
    elif what == "lost":
        # The very last entry's loss is what only an anchor outside can show.
        if len(model.rows) < 2:
            return
        model.rows.pop(data.draw(st.integers(0, len(model.rows) - 2)))
    elif what == "run" and model.runs:
        place = data.draw(st.integers(0, len(model.runs) - 1))
        run = model.runs[place]
        model.runs[place] = data.draw(
            st.sampled_from(
                [
                    PrunedRun(run.first - 1, run.last, run.hash),
                    PrunedRun(run.first, run.last + 1, run.hash),
                    PrunedRun(run.first + 1, run.last, run.hash),
                    PrunedRun(run.first, run.last, changed(run.hash, data)),
                ]
            )
        )
    elif what == "unrun" and model.runs:
        model.runs.pop(data.draw(st.integers(0, len(model.runs) - 1)))
    elif what == "swap" and len(model.rows) > 2:
        place = data.draw(st.integers(0, len(model.rows) - 2))
        model.rows[place : place + 2] = model.rows[place : place + 2][::-1]
    else:
        return
    assert model.walk().broken is not None


def changed(value: Any, data: st.DataObject) -> Any:
    """One byte of a value, another one."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value ^ (1 << data.draw(st.integers(0, 7)))
    if not value:
        return 7 if value is None else "x"
    raw = bytearray(value.encode())
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= 1 << data.draw(st.integers(0, 6))
    return raw.decode(errors="surrogateescape")


@given(st.lists(st.integers(1, 60), unique=True))
def test_ranges_say_what_they_mean(numbers: list[int]) -> None:
    ranges = list(runs_of(sorted(numbers)))
    assert from_text(as_text(ranges)) == ranges
    assert joined(ranges) == ranges
    assert {n for first, last in ranges for n in range(first, last + 1)} == set(numbers)


@given(st.sets(st.integers(1, 30)), st.sets(st.integers(1, 30)))
def test_the_first_difference_of_two_sets_is_named(ours: set[int], theirs: set[int]) -> None:
    odd = first_difference(list(runs_of(sorted(ours))), list(runs_of(sorted(theirs))))
    assert odd == min(ours ^ theirs, default=None)


# The same on a real store


@pytest.fixture
def store(store_url: str) -> Any:
    """A log of forty entries, some of them pruned."""
    opened = Store.open(store_url, clock=HandClock())
    opened.enqueue(lambda tx: [tx.append(one) for one in drafts(40)]).result(10)
    for chosen in ([2, 3, 4, 9, 20], [5, 6, 8, 10, 30, 31], [7, 19, 21]):
        opened.enqueue(partial(prune, seqs=chosen)).result(10)
    yield opened
    opened.close()


def prune(tx: Transaction, seqs: Sequence[int]) -> None:
    """Retention's own way of deleting entries."""
    query = sa.select(entries.c.seq, entries.c.hash).where(entries.c.seq.in_(seqs)).order_by(entries.c.seq)
    going = [retention.Doomed(row.seq, row.hash) for row in tx.connection.execute(query)]
    retention.delete_entries(tx, RetentionClass.MOTION, START, going)


def broken(store: Store) -> int | None:
    found = store.query(stored_log.verify)[1]
    return found.seq if found else None


def test_runs_that_adjoin_are_one_and_the_chain_goes_on_across_them(store: Store) -> None:
    runs = store.query(lambda connection: [(r.first, r.last) for r in pruned.runs(connection)])
    assert runs == [(2, 10), (19, 21), (30, 31)]
    assert store.query(stored_log.verify) == (43, None)
    assert store.query(pruned.newest_end) == 31
    assert store.query(lambda c: pruned.gone_between(c, 10, 18)) == 0
    assert store.query(lambda c: pruned.gone_between(c, 10, 20)) == 20
    assert store.query(lambda c: pruned.gone_between(c, 1, 2)) == 2


@pytest.mark.parametrize(
    ("statement", "at"),
    [
        ("delete from entries where seq = 15", 15),
        ("delete from entries where seq = 1", 1),
        ("update entries set body = replace(body, '卡口', '路口') where seq = 25", 25),
        ("update entries set subject = 'camera:c-02' where seq = 25", 25),
        ("update entries set place = 'xz-gulou' where seq = 25", 25),
        ("update entries set actor = 'li' where seq = 25", 25),
        ("update entries set cause = 3 where seq = 25", 25),
        ("update entries set at = at + 1 where seq = 25", 25),
        ("update entries set kind = 'oddity' where seq = 25", 25),
        ("update entries set late = not late where seq = 25", 25),
        ("update entries set hash = replace(hash, substr(hash, 1, 1), 'g') where seq = 25", 25),
        ("update entries set body = '{' where seq = 25", 25),
        ("delete from pruned where first = 19", 19),
        ("update pruned set last = 32 where first = 30", 32),
        ("update pruned set hash = 'nothing' where first = 19", 22),
        ("update pruned set first = 18 where first = 19", 18),
    ],
)
def test_what_is_changed_behind_our_back_is_found_where_it_is(store: Store, statement: str, at: int) -> None:
    store.enqueue(lambda tx: tx.connection.exec_driver_sql(statement)).result(10)
    assert broken(store) == at


def test_a_run_that_no_retention_speaks_of_is_a_break(store: Store) -> None:
    """A forger who keeps the chain's hash still needs the log's own word."""

    def forge(tx: Transaction) -> None:
        last = tx.connection.execute(sa.select(entries.c.hash).where(entries.c.seq == 13)).scalar_one()
        tx.connection.execute(entries.delete().where(entries.c.seq.in_([12, 13])))
        tx.connection.execute(pruned_table.insert().values(first=12, last=13, hash=last, at=tx.now))

    store.enqueue(forge).result(10)
    found = store.query(stored_log.verify)[1]
    assert found is not None
    assert found.seq == 12
    assert "no entry of the log" in found.reason


def test_what_retention_deleted_cannot_be_put_back_unnoticed(store: Store) -> None:
    def put_back(tx: Transaction) -> None:
        tx.connection.execute(pruned_table.delete().where(pruned_table.c.first == 30))
        for seq in (30, 31):
            tx.connection.execute(
                entries.insert().values(
                    seq=seq, at=START, kind="observation", subject="x", place="xz", actor="",
                    late=False, body="{}", hash="0" * 64,
                )
            )  # fmt: skip

    store.enqueue(put_back).result(10)
    assert broken(store) == 30
