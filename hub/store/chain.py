"""Proving the chains, row by row: the log with its pruned runs, and the audit log.

Both walks are fed rows in order and hold next to nothing, so that a log of any size is proved from a
database as from an archive. They stop at the first break.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import msgspec

from hub.audit import Act
from hub.audit import chained as audit_chained
from hub.domain.entry import EntryKind
from hub.store.engine import GENESIS, chained
from hub.store.pruned import PrunedRun
from hub.store.ranges import Range, first_difference, from_text, joined


@dataclass(frozen=True, slots=True)
class ChainBreak:
    """The first place at which a chain is not what was written."""

    seq: int
    reason: str


class EntryRow(Protocol):
    """An entry as stored: `body` is the text that was hashed."""

    @property
    def seq(self) -> int: ...
    @property
    def at(self) -> datetime: ...
    @property
    def kind(self) -> str: ...
    @property
    def subject(self) -> str: ...
    @property
    def place(self) -> str: ...
    @property
    def actor(self) -> str: ...
    @property
    def cause(self) -> int | None: ...
    @property
    def late(self) -> bool: ...
    @property
    def body(self) -> str: ...
    @property
    def hash(self) -> str: ...


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class RawRow:
    """A row as the database or an archive holds it, columns as attributes.

    An instant that can't be read stays as it is: then the hash can't follow, and the walk says so.
    """

    def __init__(self, names: Sequence[str], values: Sequence[Any]) -> None:
        columns = dict(zip(names, values, strict=False))
        with suppress(KeyError, TypeError, OverflowError):
            columns["at"] = _EPOCH + timedelta(microseconds=columns["at"])
        self.__dict__ = columns


def raw_row(names: Sequence[str], values: Sequence[Any]) -> Any:
    """A `RawRow`; which columns it has only the database knows."""
    return RawRow(names, values)


class AuditRow(Protocol):
    """A row of the audit log as stored."""

    @property
    def seq(self) -> int: ...
    @property
    def at(self) -> datetime: ...
    @property
    def person(self) -> str: ...
    @property
    def place(self) -> str: ...
    @property
    def action(self) -> str: ...
    @property
    def object(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def outcome(self) -> str: ...
    @property
    def address(self) -> str: ...
    @property
    def console(self) -> str: ...
    @property
    def hash(self) -> str: ...


@dataclass(slots=True)
class LogCount:
    """What a walk has seen."""

    entries: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    first_at: datetime | None = None
    last_at: datetime | None = None
    pruned_runs: int = 0
    pruned_entries: int = 0
    head: int = 0
    hash: str = GENESIS


class LogWalk:
    """The log's chain. Feed it every row by `take`, then `end`; `broken` is the first break.

    Across a pruned run the chain goes on from the hash that was kept. Every run must be covered by what the
    log itself says retention deleted, and nothing that it says was deleted may stand there.
    """

    def __init__(self, runs: Iterable[PrunedRun]) -> None:
        self.count = LogCount()
        self.broken: ChainBreak | None = None
        self.audit_cut: tuple[int, str] = (0, GENESIS)
        """Up to which row the audit log was deleted by retention, and that row's hash."""
        self._runs: Iterator[PrunedRun] = iter(runs)
        self._run = next(self._runs, None)
        self._gone: list[Range] = []
        self._told: list[Range] = []

    def take(self, row: EntryRow) -> bool:
        """Proves the next row; False: the chain is broken here or was before."""
        if self.broken is None:
            self.broken = self._cross(row.seq) or self._prove(row)
        return self.broken is None

    def end(self) -> ChainBreak | None:
        """There is no further row: what is left to prove is proved, and the first break told."""
        if self.broken is None and self._run is not None:
            first = self._run.first
            self.broken = ChainBreak(first, "said to be deleted, but no entry follows that would say so")
        if self.broken is None:
            self.broken = self._uncovered()
        return self.broken

    def _cross(self, seq: int) -> ChainBreak | None:
        """Goes over pruned runs up to the row's number."""
        expected = self.count.head + 1
        while self._run is not None and self._run.first <= expected:
            run = self._run
            if run.first != expected or run.last < run.first or run.first == 1:
                return ChainBreak(run.first, f"the pruned run {run.first}-{run.last} doesn't fit here")
            self._gone.append((run.first, run.last))
            self.count.pruned_runs += 1
            self.count.pruned_entries += run.last - run.first + 1
            self.count.head, self.count.hash = run.last, run.hash
            expected = run.last + 1
            self._run = next(self._runs, None)
        if seq == expected:
            return None
        if seq < expected:
            return ChainBreak(seq, "stands in a range that is said to be deleted")
        return ChainBreak(expected, f"missing: the next entry is {seq}")

    def _prove(self, row: EntryRow) -> ChainBreak | None:
        try:
            follows = chained(self.count.hash, row, row.seq, row.at, row.body.encode())  # type: ignore[arg-type]
        except (TypeError, ValueError, AttributeError, OverflowError) as error:
            return ChainBreak(row.seq, f"can't be read: {error}")
        if follows != row.hash:
            return ChainBreak(row.seq, "its hash does not follow from the entry before it")
        self._note(row)
        return self._hear(row) if row.kind == EntryKind.KEEPING else None

    def _note(self, row: EntryRow) -> None:
        count = self.count
        count.entries += 1
        count.kinds[row.kind] = count.kinds.get(row.kind, 0) + 1
        count.first_at = count.first_at or row.at
        count.last_at = row.at
        count.head, count.hash = row.seq, row.hash

    def _hear(self, row: EntryRow) -> ChainBreak | None:
        """What the log says of itself."""
        try:
            body: dict[str, Any] = msgspec.json.decode(row.body, type=dict[str, Any])
            if body.get("act") == "pruned":
                self._told.extend(from_text(str(body["ranges"])))
            elif body.get("act") == "audit":
                self.audit_cut = int(body["through"]), str(body["hash"])
        except (msgspec.DecodeError, KeyError, ValueError) as error:
            return ChainBreak(row.seq, f"what it says of deleted entries can't be read: {error}")
        return None

    def _uncovered(self) -> ChainBreak | None:
        gone, told = joined(self._gone), joined(self._told)
        odd = first_difference(gone, told)
        if odd is None:
            return None
        if any(first <= odd <= last for first, last in gone):
            return ChainBreak(odd, "deleted, and no entry of the log says that retention did it")
        return ChainBreak(odd, "the log says that it was deleted, and it stands there")


class AuditWalk:
    """The audit log's chain, from the first row that is kept. `cut` is what the log says was deleted."""

    def __init__(self, cut: tuple[int, str] = (0, GENESIS)) -> None:
        self.rows = 0
        self.broken: ChainBreak | None = None
        self._last, self._hash = cut

    def take(self, row: AuditRow) -> bool:
        """Proves the next row; False: the chain is broken here or was before."""
        if self.broken is None:
            self.broken = self._prove(row)
        return self.broken is None

    def _prove(self, row: AuditRow) -> ChainBreak | None:
        if row.seq != self._last + 1:
            return ChainBreak(self._last + 1, f"missing: the next row is {row.seq}")
        try:
            follows = audit_chained(self._hash, row.seq, row.at, _act(row))
        except (TypeError, ValueError, AttributeError, OverflowError) as error:
            return ChainBreak(row.seq, f"can't be read: {error}")
        if follows != row.hash:
            return ChainBreak(row.seq, "its hash does not follow from the row before it")
        self.rows += 1
        self._last, self._hash = row.seq, row.hash
        return None


def _act(row: AuditRow) -> Act:
    return Act(
        action=row.action,
        object=row.object,
        person=row.person,
        place=row.place,
        reason=row.reason,
        outcome=row.outcome,
        address=row.address,
        console=row.console,
    )
