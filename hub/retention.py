"""Retention: once a night what is old enough goes, class by class, in transactions too small to be felt.

What is decided stands in the log before anything goes, and what went stands there afterwards
(docs/design/retention.md). Interrupted at any point, the chain is provable and the next run goes on.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

import structlog
from prometheus_client import Counter as MetricCounter
from prometheus_client import Gauge

from hub import metrics
from hub.audit import Act
from hub.domain.entry import Entry
from hub.domain.retention import (
    AROUND_INCIDENT,
    FLOORS,
    Evidence,
    IncidentSpan,
    RetentionClass,
    Terms,
    evidence_of,
    is_due,
    start_of_day,
)
from hub.store import audit as audit_rows
from hub.store import log as stored_log
from hub.store import registers
from hub.store import retention as old
from hub.store.blobs import Blobs
from hub.store.engine import Job, Store, StoreUnavailable, Transaction
from wire.clock import Clock

log = structlog.get_logger(__name__)

T = TypeVar("T")

LOOK_EVERY_S = 60.0
DELETED = MetricCounter(
    "jifang_retention_deleted",
    "What retention deleted, by class",
    ["class"],
    registry=metrics.REGISTRY,
)
LAST_RUN = Gauge(
    "jifang_retention_last_run_timestamp_seconds",
    "When retention last ran to its end",
    registry=metrics.REGISTRY,
)
_LOGGED = (RetentionClass.INCIDENTS, RetentionClass.MOTION, RetentionClass.ALARMS)
"""Classes that are entries of the log."""
_OF_PERSONS = frozenset(
    {
        RetentionClass.MOTION,
        RetentionClass.STILLS,
        RetentionClass.POSITIONS,
        RetentionClass.INCIDENTS,
        RetentionClass.AUDIT,
    }
)
"""Their deletion is told in the audit log too: they show people, or say what people did."""


class Interrupted(RuntimeError):
    """The hub stops: the rest goes another night."""


@dataclass(slots=True)
class Pace:
    """How much goes in one transaction, and how long the writer is left alone after it."""

    size: int = 200
    least: int = 20
    most: int = 1_000
    within_s: float = 0.02
    """What a transaction should take at most; measured, and the next one made to fit."""
    rest: float = 4.0
    """Times what a transaction took: so much is left to everybody else."""
    rest_most_s: float = 2.0

    def took(self, seconds: float) -> float:
        """A transaction took so long; how long to rest."""
        if seconds > self.within_s:
            self.size = max(min(self.least, self.most), self.size // 2)
        elif seconds < self.within_s / 2:
            self.size = min(self.most, self.size * 3 // 2)
        return min(seconds * self.rest, self.rest_most_s)


@dataclass(slots=True)
class Passed:
    """What a run did to one class."""

    cutoff: datetime
    deleted: int = 0
    through: int = 0
    """Up to which entry the class was judged."""
    digest: str = ""
    """SHA-256 over the digests of its parts, in order."""
    _parts: Any = field(default_factory=hashlib.sha256)

    def part(self, digest: str) -> None:
        """One more transaction's."""
        self._parts.update(digest.encode())
        self.digest = self._parts.hexdigest()

    def told(self) -> dict[str, Any]:
        """As the log keeps it."""
        told: dict[str, Any] = {"cutoff": self.cutoff.isoformat(), "deleted": self.deleted}
        if self.through:
            told["through"] = self.through
        if self.digest:
            told["digest"] = self.digest
        return told


@dataclass(frozen=True, slots=True)
class History:
    """What the log says of runs before."""

    done_at: datetime | None = None
    unfinished: bool = False
    through: Mapping[RetentionClass, int] = field(default_factory=dict)
    swept_at: datetime | None = None
    """When the whole log was last judged from its beginning."""
    identities_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """From where to where each class of the log is judged, and what incidents hold on to."""

    after: Mapping[RetentionClass, int]
    up_to: Mapping[RetentionClass, int]
    evidence: Evidence
    expired: Sequence[IncidentSpan]
    whole: bool


def history_of(entries: Sequence[Entry]) -> History:
    """Reads the entries of runs, oldest first."""
    history = History()
    for entry in entries:
        body = entry.body
        if body.get("state") == "begun":
            history = _with(history, unfinished=True)
        elif body.get("state") == "done":
            through = {
                RetentionClass(name): int(told["through"])
                for name, told in body["classes"].items()
                if "through" in told
            }
            history = History(
                done_at=entry.at,
                through={**history.through, **through},
                swept_at=entry.at if body.get("whole") else history.swept_at,
                identities_at=entry.at if "identities" in body else history.identities_at,
            )
    return history


def _with(history: History, *, unfinished: bool) -> History:
    return History(history.done_at, unfinished, history.through, history.swept_at, history.identities_at)


def read_history(ask: old.Ask[Any]) -> History:
    """What the log says of runs before, as far back as a monthly sweep."""
    return history_of(ask(lambda connection: stored_log.about(connection, [old.RUN], limit=200)))


def scope_of(ask: old.Ask[Any], terms: Terms, history: History, now: datetime) -> Scope:
    """Where this run has to look. The whole log once a month, else what has come of age since the last run,
    and what lies around incidents that have run out."""
    spans: list[IncidentSpan] = ask(old.incident_spans)
    expired = old.expired(spans, terms.cutoff(RetentionClass.INCIDENTS, now))
    gone = {one.id for one in expired}
    evidence = evidence_of((one for one in spans if one.id not in gone), now)
    month = start_of_day(now).replace(day=1)
    whole = history.swept_at is None or history.swept_at < month
    up_to = {}
    for of in (*_LOGGED, RetentionClass.STILLS):
        cutoff = terms.cutoff(of, now)
        up_to[of] = ask(partial(old.last_before, instant=cutoff))
    after = {of: 0 if whole else history.through.get(of, 0) for of in up_to}
    if expired and not whole:
        first = min(one.opened_at for one in expired) - AROUND_INCIDENT
        start = ask(lambda connection: old.last_before(connection, first))
        after = {of: min(one, start) for of, one in after.items()}
    return Scope(after, up_to, evidence, expired, whole)


class Retention:
    """Deletes what is old enough, in a thread of its own; `run` does it at once."""

    def __init__(
        self, store: Store, blobs: Blobs, clock: Clock, terms: Terms, *, pace: Pace | None = None
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._clock = clock
        self._terms = terms
        self._pace = pace or Pace()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="retention", daemon=True)

    def start(self) -> None:
        """Begins to look at the clock."""
        self._thread.start()

    def stop(self) -> None:
        """Ends after the transaction in hand."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(10)

    def _watch(self) -> None:
        while not self._stop.is_set():
            try:
                if self._is_time():
                    self.run()
            except Interrupted:
                return
            except StoreUnavailable as error:
                log.warning("retention waits for the store", reason=str(error))
            except Exception:  # supervision: what trips retention must not end it for good
                log.exception("retention failed; it tries again")
            self._stop.wait(LOOK_EVERY_S)

    def _is_time(self) -> bool:
        now = self._clock()
        history = read_history(self._store.query)
        due = history.unfinished or is_due(history.done_at, now)
        return due and self._store.query(lambda connection: old.is_settled(connection, now))

    def run(self) -> dict[RetentionClass, Passed]:
        """One run from beginning to end. Raises `Interrupted`, `StoreUnavailable`."""
        now = self._clock()
        history = read_history(self._store.query)
        scope = scope_of(self._store.query, self._terms, history, now)
        passed = {of: Passed(self._terms.cutoff(of, now)) for of in RetentionClass}
        self._do(lambda tx: self._begin(tx, passed, scope))
        self._incidents(passed[RetentionClass.INCIDENTS], scope)
        for of in _LOGGED:
            self._entries(of, passed[of], scope)
        self._stills(passed[RetentionClass.STILLS], scope)
        for of in (RetentionClass.POSITIONS, RetentionClass.HEARTBEATS):
            self._fixes(of, passed[of])
        self._quarantine(passed[RetentionClass.QUARANTINE])
        self._audit(passed[RetentionClass.AUDIT])
        identities = self._identities(now) if _weekly(history.identities_at, now) else None
        self._do(lambda tx: self._end(tx, passed, scope, identities))
        LAST_RUN.set(self._clock().timestamp())
        log.info("retention ran", **{of.value: one.deleted for of, one in passed.items()})
        return passed

    # Telling

    def _begin(self, tx: Transaction, passed: Mapping[RetentionClass, Passed], scope: Scope) -> None:
        classes = {
            of.value: {"cutoff": one.cutoff.isoformat(), "days": self._terms.days(of)}
            for of, one in passed.items()
        }
        body = {"act": "retention", "state": "begun", "whole": scope.whole, "classes": classes}
        old.tell(tx, old.RUN, body)

    def _end(
        self,
        tx: Transaction,
        passed: Mapping[RetentionClass, Passed],
        scope: Scope,
        identities: int | None,
    ) -> None:
        body: dict[str, Any] = {
            "act": "retention",
            "state": "done",
            "whole": scope.whole,
            "classes": {of.value: one.told() for of, one in passed.items()},
        }
        if identities is not None:
            body["identities"] = identities
        old.tell(tx, old.RUN, body)
        for of, one in passed.items():
            if one.deleted and of in _OF_PERSONS:
                audit_rows.append(tx, self._act(tx, of, one))

    def _act(self, tx: Transaction, of: RetentionClass, one: Passed) -> Act:
        reason = (
            f"kept {self._terms.days(of)} days, at least {FLOORS[of].floor} ({FLOORS[of].source}); "
            f"deleted {one.deleted} from before {one.cutoff.isoformat()}"
        )
        place = registers.root(tx.connection)
        return Act(action="retention.delete", object=f"retention:{of.value}", place=place, reason=reason)

    # Classes

    def _incidents(self, passed: Passed, scope: Scope) -> None:
        identities = [one.id for one in scope.expired]
        for some in _batches(identities, lambda: self._pace.size):
            self._delete(passed, partial(old.delete_incidents, identities=some), told=True)

    def _entries(self, of: RetentionClass, passed: Passed, scope: Scope) -> None:
        passed.through = max(scope.up_to[of], scope.after[of])
        pages = old.doomed(self._store.query, of, scope.after[of], scope.up_to[of], scope.evidence)
        for _reached, going in pages:
            for some in _batches(going, lambda: self._pace.size):
                self._entries_once(of, passed, some)

    def _entries_once(self, of: RetentionClass, passed: Passed, some: Sequence[old.Doomed]) -> None:
        digest = self._do(partial(old.delete_entries, of=of, cutoff=passed.cutoff, going=some))
        passed.part(digest)
        passed.deleted += len(some)
        DELETED.labels(of.value).inc(len(some))

    def _stills(self, passed: Passed, scope: Scope) -> None:
        of = RetentionClass.STILLS
        passed.through = max(scope.up_to[of], scope.after[of])
        pages = old.doomed_stills(self._store.query, scope.after[of], scope.up_to[of], scope.evidence)
        for _reached, going in pages:
            for some in _batches(going, lambda: self._pace.size):
                gone = [still for still in some if self._blobs.remove(still.hash, passed.cutoff)]
                self._delete(passed, partial(old.delete_stills, going=gone), of)

    def _fixes(self, of: RetentionClass, passed: Passed) -> None:
        for some in old.doomed_fixes(self._store.query, of, passed.cutoff, lambda: self._pace.size):
            self._delete(passed, partial(old.delete_fixes, of=of, identities=some), of)

    def _quarantine(self, passed: Passed) -> None:
        found = self._store.query(lambda connection: old.doomed_quarantine(connection, passed.cutoff))
        for some in _batches(found, lambda: self._pace.size):
            self._delete(
                passed,
                partial(old.delete_quarantine, identities=some),
                RetentionClass.QUARANTINE,
            )

    def _audit(self, passed: Passed) -> None:
        while going := self._store.query(
            lambda connection: old.doomed_audit(connection, passed.cutoff, self._pace.size)
        ):
            self._delete(
                passed,
                partial(old.delete_audit, cutoff=passed.cutoff, going=going),
                RetentionClass.AUDIT,
            )

    def _identities(self, now: datetime) -> int:
        cutoff = self._terms.identity_cutoff(now)
        up_to = self._store.query(lambda connection: old.last_before(connection, cutoff))
        gone = 0
        for page in old.stale_identities(self._store.query, up_to):
            for some in _batches(page, lambda: self._pace.size):
                gone += self._do(partial(old.delete_identities, identities=some))
        return gone

    # Small transactions

    def _delete(
        self,
        passed: Passed,
        job: Job[int],
        of: RetentionClass = RetentionClass.INCIDENTS,
        *,
        told: bool = False,
    ) -> None:
        deleted = self._do(job)
        if not told:
            passed.deleted += deleted
            DELETED.labels(of.value).inc(deleted)

    def _do(self, job: Job[T]) -> T:
        """One transaction; then the writer is left to everybody else for a while."""
        if self._stop.is_set():
            raise Interrupted
        taken = 0.0

        def timed(tx: Transaction) -> T:
            nonlocal taken
            began = time.perf_counter()
            try:
                result = job(tx)
                tx.flush()
                return result
            finally:
                taken = time.perf_counter() - began

        result = self._store.enqueue(timed).result()
        self._stop.wait(self._pace.took(taken))
        return result


def _batches(of: Sequence[T], size: Callable[[], int]) -> Iterator[Sequence[T]]:
    start = 0
    while start < len(of):
        step = size()
        yield of[start : start + step]
        start += step


def _weekly(last: datetime | None, now: datetime) -> bool:
    return last is None or (now - last).days >= 7


@dataclass(frozen=True, slots=True)
class Planned:
    """What a run would delete of a class."""

    cutoff: datetime
    days: int
    floor: int
    rows: int


def plan(ask: old.Ask[Any], terms: Terms, now: datetime) -> dict[RetentionClass, Planned]:
    """What a run would delete now; nothing is changed."""
    scope = scope_of(ask, terms, History(), now)
    rows = dict.fromkeys(RetentionClass, 0)
    for of in _LOGGED:
        pages = old.doomed(ask, of, scope.after[of], scope.up_to[of], scope.evidence)
        rows[of] = sum(len(going) for _, going in pages)
    of = RetentionClass.STILLS
    pictures = old.doomed_stills(ask, scope.after[of], scope.up_to[of], scope.evidence)
    rows[of] = sum(len(going) for _, going in pictures)
    for of in (RetentionClass.POSITIONS, RetentionClass.HEARTBEATS):
        rows[of] = sum(len(some) for some in old.doomed_fixes(ask, of, terms.cutoff(of, now), lambda: 5_000))
    of = RetentionClass.QUARANTINE
    rows[of] = len(ask(lambda connection: old.doomed_quarantine(connection, terms.cutoff(of, now))))
    rows[RetentionClass.AUDIT] = ask(
        lambda connection: old.count_audit(connection, terms.cutoff(RetentionClass.AUDIT, now))
    )
    return {
        of: Planned(terms.cutoff(of, now), terms.days(of), FLOORS[of].floor, count)
        for of, count in rows.items()
    }
