"""The desk's state in memory: as the writer works on it, and as committed for everybody else.

Each change goes through `Board`, which appends the entry that tells it, keeps the table row, and takes the
change back in memory where its transaction is undone. Working values belong to the store's writer thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

import msgspec

from hub.domain.alarm import is_listed
from hub.domain.condition import AlarmCondition
from hub.domain.device import CameraView, HubStatus, PanelView, PartStatus
from hub.domain.entry import Draft, Entry, EntryKind
from hub.domain.handling import is_open
from hub.domain.incident import Incident
from hub.domain.unit import Unit
from hub.store import cases, stills
from hub.store.cases import Kept
from hub.store.engine import Store, Transaction

V = TypeVar("V")

PARTS = "hub:parts"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskState:
    """Everything on the desk, as of entry `seq`."""

    seq: int
    incidents: tuple[Incident, ...]
    conditions: tuple[AlarmCondition, ...]
    units: tuple[Unit, ...]
    cameras: tuple[CameraView, ...]
    panels: tuple[PanelView, ...]
    hub: HubStatus


class Ledger(Generic[V]):
    """Values by key: working ones for the writer, committed ones for readers."""

    def __init__(self, values: Mapping[str, V]) -> None:
        self.working: dict[str, V] = dict(values)
        self.committed: dict[str, V] = dict(values)
        self.unsaved: dict[str, int] = {}
        """Keys whose table rows are behind, with the entry that changed them."""
        self._touched: set[str] = set()

    def put(self, tx: Transaction, key: str, value: V | None) -> None:
        """Sets the working value, or takes the key away; undone with the transaction."""
        before = self.working.get(key)
        self._set(key, value)
        tx.on_undo(lambda: self._set(key, before))

    def take_unsaved(self) -> dict[str, Kept | None]:
        """What must be written to tables now."""
        taken: dict[str, Kept | None] = {}
        for key, seq in self.unsaved.items():
            taken[key] = Kept(seq, self.working[key]) if key in self.working else None
        self.unsaved = {}
        return taken

    def publish(self) -> None:
        """Committed values become the working ones."""
        for key in self._touched:
            if key in self.working:
                self.committed[key] = self.working[key]
            else:
                self.committed.pop(key, None)
        self._touched = set()

    def _set(self, key: str, value: V | None) -> None:
        self._touched.add(key)
        if value is None:
            self.working.pop(key, None)
        else:
            self.working[key] = value


class Board:
    """All ledgers of the desk, and the one way to change them."""

    def __init__(self, store: Store) -> None:
        self._lock = threading.Lock()
        self._joined: Transaction | None = None
        self._numbers: dict[str, int] = {}
        self._load(store)

    def _load(self, store: Store) -> None:
        loaded = store.query(_read_all)
        self.conditions = Ledger(loaded.conditions)
        self.incidents = Ledger(loaded.incidents)
        self.cameras = Ledger(loaded.cameras)
        self.panels = Ledger(loaded.panels)
        self.units = Ledger(loaded.units)
        self.parts = Ledger(loaded.parts)
        self._seq = loaded.seq
        self._of_source: dict[str, set[str]] = {}
        for condition in loaded.conditions.values():
            self._of_source.setdefault(condition.source, set()).add(condition.id)

    def reload(self, tx: Transaction, store: Store) -> None:
        """Reads everything again once `tx` is committed: after a rebuild."""

        def again(_head: int) -> None:
            with self._lock:
                self._load(store)

        tx.after_commit(again)

    def put_condition(
        self, tx: Transaction, value: AlarmCondition, *, actor: str = "", cause: int | None = None
    ) -> Entry:
        """Sets a condition and tells it."""
        before = self.conditions.working.get(value.id)
        entry = self._tell(tx, EntryKind.CONDITION, f"condition:{value.id}", value.place, value, actor, cause)
        _show_still(tx, entry, value, before)
        self._put(tx, self.conditions, value.id, value, entry.seq)
        self._of_source.setdefault(value.source, set()).add(value.id)
        return entry

    def conditions_of(self, source: str) -> list[AlarmCondition]:
        """A source's conditions as the writer sees them."""
        found = (self.conditions.working.get(one) for one in self._of_source.get(source, ()))
        return [one for one in found if one is not None]

    def put_incident(
        self,
        tx: Transaction,
        value: Incident,
        action: str,
        *,
        actor: str = "",
        reason: str = "",
        detail: str = "",
        cause: int | None = None,
    ) -> Entry:
        """Sets an incident and tells what was done to it; closed, it leaves memory."""
        body = {
            "incident": msgspec.to_builtins(value),
            "action": action,
            "reason": reason,
            "detail": detail,
        }
        draft = Draft(
            kind=EntryKind.INCIDENT,
            subject=f"incident:{value.id}",
            place=value.place,
            body=body,
            actor=actor,
            cause=cause,
        )
        entry = tx.append(draft)
        self._put(tx, self.incidents, value.id, value, entry.seq)
        return entry

    def put_camera(self, tx: Transaction, view: CameraView, cause: int | None = None) -> None:
        """Sets a camera and tells it."""
        subject = f"camera:{view.id}"
        before = self.cameras.working.get(subject)
        if before != view:
            entry = self._tell(tx, EntryKind.CAMERA, subject, view.place, view, "", cause)
            _show_still(tx, entry, view, before)
            self._put(tx, self.cameras, subject, view, entry.seq)

    def put_panel(
        self, tx: Transaction, view: PanelView, cause: int | None = None, *, tell: bool = True
    ) -> None:
        """Sets a panel; tells it unless only the time of its last word has changed."""
        subject = f"panel:{view.id}"
        if self.panels.working.get(subject) == view:
            return
        seq = None
        if tell:
            seq = self._tell(tx, EntryKind.PANEL, subject, view.place, view, "", cause).seq
        self._put(tx, self.panels, subject, view, seq)

    def put_unit(
        self, tx: Transaction, value: Unit, cause: int | None = None, *, tell: bool = True, actor: str = ""
    ) -> None:
        """Sets a unit; tells it unless only its position has changed."""
        seq = None
        if tell:
            seq = self._tell(tx, EntryKind.UNIT, f"unit:{value.id}", value.place, value, actor, cause).seq
        self._put(tx, self.units, f"unit:{value.id}", value, seq)

    def put_part(self, tx: Transaction, part: PartStatus, place: str) -> None:
        """Sets one of our own parts and tells all of them."""
        self._put(tx, self.parts, part.name, part, tx.head + 1)
        self._tell(tx, EntryKind.HUB, PARTS, place, self.hub_status(), "", None)

    def drop(self, tx: Transaction, ledger: Ledger[Any], key: str) -> None:
        """Takes away what left the register (its own entry tells it)."""
        self._put(tx, ledger, key, None, tx.head)

    def hub_status(self) -> HubStatus:
        """Our own parts as the writer sees them."""
        return HubStatus(parts=tuple(self.parts.working[name] for name in sorted(self.parts.working)))

    def next_incident_id(self, tx: Transaction, day: str) -> str:
        """`YYYY-MMDD-NNNN`, the next number of `day`."""
        if day not in self._numbers:
            self._numbers = {day: cases.last_number(tx.connection, day)}
        before = self._numbers[day]
        self._numbers[day] = before + 1
        tx.on_undo(lambda: self._numbers.__setitem__(day, before))
        return f"{day}-{before + 1:04d}"

    def state(self) -> DeskState:
        """What is committed, all of it of one moment. From any thread."""
        with self._lock:
            return DeskState(
                seq=self._seq,
                incidents=_sorted(self.incidents.committed.values(), _queue_order),
                conditions=_sorted(
                    (one for one in self.conditions.committed.values() if is_listed(one)), _by_since
                ),
                units=_sorted(self.units.committed.values(), _by_id),
                cameras=_sorted(self.cameras.committed.values(), _by_id),
                panels=_sorted(self.panels.committed.values(), _by_id),
                hub=HubStatus(parts=tuple(_sorted(self.parts.committed.values(), _by_name))),
            )

    def reached(self, seq: int) -> None:
        """Entries up to `seq` are committed, and the ones since the last change concern nothing here."""
        with self._lock:
            self._seq = max(self._seq, seq)

    def committed_incident(self, identity: str) -> Incident | None:
        """An open incident as committed. From any thread."""
        with self._lock:
            return self.incidents.committed.get(identity)

    def committed_units(self) -> tuple[Unit, ...]:
        """All units as committed. From any thread."""
        with self._lock:
            return tuple(self.units.committed.values())

    def _tell(
        self,
        tx: Transaction,
        kind: EntryKind,
        subject: str,
        place: str,
        value: object,
        actor: str,
        cause: int | None,
    ) -> Entry:
        body = msgspec.to_builtins(value)
        return tx.append(Draft(kind=kind, subject=subject, place=place, body=body, actor=actor, cause=cause))

    def _put(self, tx: Transaction, ledger: Ledger[V], key: str, value: V | None, seq: int | None) -> None:
        """`seq` None: the table row may stay behind."""
        self._join(tx)
        ledger.put(tx, key, value)
        if seq is not None:
            ledger.unsaved[key] = seq

    def _join(self, tx: Transaction) -> None:
        """Has this transaction save at its end and publish after its commit."""
        if self._joined is tx:
            return
        self._joined = tx
        tx.at_end(self._save)
        tx.after_commit(self._publish)
        tx.on_undo(self._leave)

    def _leave(self) -> None:
        self._joined = None

    def _save(self, tx: Transaction) -> None:
        connection = tx.connection
        if self.conditions.unsaved:
            cases.save_conditions(connection, _present(self.conditions.take_unsaved()))
        if self.incidents.unsaved:
            cases.save_incidents(connection, _present(self.incidents.take_unsaved()))
            self._forget_closed(tx)
        for kind, ledger in self._view_ledgers():
            if ledger.unsaved:
                cases.save_views(connection, kind, ledger.take_unsaved())
        self._joined = None

    def _view_ledgers(self) -> tuple[tuple[str, Ledger[Any]], ...]:
        return (
            ("camera", self.cameras),
            ("panel", self.panels),
            ("unit", self.units),
            ("part", self.parts),
        )

    def _forget_closed(self, tx: Transaction) -> None:
        for incident in list(self.incidents.working.values()):
            if not is_open(incident):
                self.incidents.put(tx, incident.id, None)

    def _publish(self, head: int) -> None:
        self._joined = None
        with self._lock:
            for ledger in (self.conditions, self.incidents):
                ledger.publish()
            for _, view_ledger in self._view_ledgers():
                view_ledger.publish()
            self._seq = head


@dataclass(frozen=True, slots=True)
class _Loaded:
    seq: int
    conditions: dict[str, AlarmCondition]
    incidents: dict[str, Incident]
    cameras: dict[str, CameraView]
    panels: dict[str, PanelView]
    units: dict[str, Unit]
    parts: dict[str, PartStatus]


def _read_all(connection: Any) -> _Loaded:
    from hub.store import log as stored_log

    units = cases.all_views(connection, "unit", Unit)
    return _Loaded(
        seq=stored_log.head(connection),
        conditions=cases.all_conditions(connection),
        incidents=cases.open_incidents(connection),
        cameras=cases.all_views(connection, "camera", CameraView),
        panels=cases.all_views(connection, "panel", PanelView),
        units=units,
        parts=cases.all_views(connection, "part", PartStatus),
    )


def _show_still(
    tx: Transaction,
    entry: Entry,
    value: AlarmCondition | CameraView,
    before: AlarmCondition | CameraView | None,
) -> None:
    """Notes whose a picture is, where an entry is the first to show it there."""
    if value.still and (before is None or (before.still, before.place) != (value.still, value.place)):
        stills.show(tx, value.still, entry)


def _present(taken: Mapping[str, Kept | None]) -> dict[str, Kept]:
    return {key: kept for key, kept in taken.items() if kept is not None}


def _sorted(values: Iterable[V], key: Callable[[V], Any]) -> tuple[V, ...]:
    return tuple(sorted(values, key=key))


def _queue_order(incident: Incident) -> tuple[bool, int, datetime, str]:
    """Unclaimed first, then priority, then age (DISPATCH.md section 4)."""
    return bool(incident.claimed_by), incident.priority, incident.opened_at, incident.id


def _by_since(condition: AlarmCondition) -> tuple[datetime, str]:
    return condition.since, condition.id


def _by_id(value: Unit | CameraView | PanelView) -> str:
    return value.id


def _by_name(part: PartStatus) -> str:
    return part.name
