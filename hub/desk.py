"""The desk: what an operator sees and does. Pure rules applied inside the store's transactions.

Methods that take a `Transaction` are jobs for `store.submit`; the others read what is committed, from any
thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

import structlog

from hub.board import Board, DeskState
from hub.domain import alarm, handling, nearest
from hub.domain.approach import Geofence
from hub.domain.condition import AlarmCondition
from hub.domain.device import CameraView, Health, HubStatus, PanelView, PartStatus, ZoneView
from hub.domain.entry import Draft, Entry, EntryKind
from hub.domain.freshness import aged
from hub.domain.geo import between
from hub.domain.handling import ActionRefused
from hub.domain.incident import Assignment, AssignmentState, Incident, Recommended
from hub.domain.register import Camera as RegisteredCamera
from hub.domain.register import Panel as RegisteredPanel
from hub.domain.timekeeping import Age, by_the_clock
from hub.domain.trouble import code_of
from hub.domain.unit import Unit, UnitLink, UnitStatus
from hub.domain.wording import order_text
from hub.rebuild import rebuild
from hub.registers import Registers
from hub.sightings import Seen, Sightings
from hub.store import cases, fixes
from hub.store import log as stored_log
from hub.store.engine import Store, Transaction
from wire.observations import ArmState, Observation

__all__ = ["ActionRefused", "Desk", "DeskState"]

log = structlog.get_logger(__name__)

MOTION_LIMIT = timedelta(minutes=10)
"""No movement lasts so long: its end was lost."""


@dataclass(frozen=True, slots=True)
class Opening:
    """Where an incident was opened: entry and place."""

    seq: int
    place: str


class Desk:
    """The desk over one store. Makes itself from the tables; `rebuild` makes the tables from the log."""

    def __init__(self, store: Store, registers: Registers, *, fence: Geofence | None = None) -> None:
        self._store = store
        self._registers = registers
        self._board = Board(store)
        self._sightings = Sightings(self._board, registers, fence or Geofence())
        self._seen_registers = -1
        self._age: Age = by_the_clock
        self._openings = self._undrawn_before()
        """Incidents nobody has seen on a console yet, with the entry that opened them."""
        store.enqueue(self._start).result()
        registers.on_change(self._registers_changed)
        store.on_commit(self._note_openings)

    # From the field

    def observe(
        self,
        tx: Transaction,
        observation: Observation,
        still_hash: str = "",
        cause: int | None = None,
        *,
        overtaken: bool = False,
    ) -> None:
        """Applies an observation that was stored in this transaction; `cause` is its entry, if it has one.

        `overtaken`: something newer of the same thing is known already.
        """
        self._sightings.take(Seen(tx, observation, still_hash, cause, overtaken))

    def order_answered(self, tx: Transaction, command: str, ok: bool, reason: str = "") -> None:
        """How an order ended. Only `ok` without a reason is the terminal's own word that it has it.

        `ok` with a reason was handed on as far as the protocol goes: done, and nobody has accepted it yet.
        """
        last = stored_log.about(tx.connection, [f"order:{command}"], limit=1)
        if last and last[0].body["state"] == "sent":
            body = {**last[0].body, "state": "done" if ok else "failed", "reason": reason}
            told = tx.append(
                Draft(
                    kind=EntryKind.ORDER,
                    subject=f"order:{command}",
                    place=last[0].place,
                    body=body,
                    cause=last[0].seq,
                )
            )
            self._sightings.answered(tx, command, ok=ok and not reason, cause=told.seq)

    def working_condition(self, source: str, point: str, condition: str) -> AlarmCondition | None:
        """A condition as the writer sees it. For jobs."""
        return self._board.conditions.working.get(alarm.condition_id(source, point, condition))

    def part(
        self, tx: Transaction, name: str, up: bool, reason: str = "", *, since: datetime | None = None
    ) -> None:
        """One of our own parts came up or went down; `since` where that was earlier than now."""
        before = self._board.parts.working.get(name)
        if before is None or before.up is not up or before.reason != reason:
            since = since or (tx.now if before is None or before.up is not up else before.since)
            part = PartStatus(name=name, up=up, since=since, reason=reason)
            self._board.put_part(tx, part, self._registers.root)

    def measure_by(self, age: Age) -> None:
        """Has spans measured by `age(key, instant, now)`, whatever is done to the clock."""
        self._age = age

    def tick(self, tx: Transaction, now: datetime) -> None:
        """What time alone changes. Once a second."""
        self._sightings.overdue(tx, self._age)
        self._age_units(tx, now)
        self._bound_motion(tx, now)
        if self._seen_registers != self._registers.version:
            self._sync(tx)

    # Operator's actions

    def claim(self, tx: Transaction, incident_id: str, version: int, actor: str) -> Incident:
        """Takes it, or takes it over; its conditions count as seen."""
        incident = self._for_action(tx, incident_id, version)
        action = "takeover" if incident.claimed_by else "claim"
        changed = handling.claimed(incident, actor, tx.now)
        self._acknowledge_members(tx, incident, actor)
        return self._put(tx, changed, action, actor, detail=incident.claimed_by)

    def verify(self, tx: Transaction, incident_id: str, version: int, actor: str) -> Incident:
        """Judges it real."""
        incident = self._for_action(tx, incident_id, version)
        return self._put(tx, handling.verified(incident, tx.now), "verify", actor)

    def false(self, tx: Transaction, incident_id: str, version: int, actor: str, code: str) -> Incident:
        """Judges it false and closes it."""
        incident = self._for_action(tx, incident_id, version)
        changed = handling.judged_false(incident, code, tx.now)
        self._acknowledge_members(tx, incident, actor)
        return self._put(tx, changed, "false", actor, reason=code)

    def dispatch(self, tx: Transaction, incident_id: str, version: int, actor: str, unit: str) -> Incident:
        """Orders a unit there. The order is logged here; `hub.orders` sends it after the commit."""
        incident = self._for_action(tx, incident_id, version)
        sent = self._sendable(incident, unit)
        assignment = Assignment(
            id=f"{incident.id}/{len(incident.assignments) + 1}",
            unit=sent.id,
            unit_name=sent.name,
            state=AssignmentState.DISPATCHED,
            by=actor,
            dispatched_at=tx.now,
            distance_m=between((sent.lat, sent.lon), (incident.lat, incident.lon)),
            from_lat=sent.lat,
            from_lon=sent.lon,
        )
        changed = self._put(
            tx, handling.dispatched(incident, assignment, tx.now), "dispatch", actor, detail=sent.name
        )
        busy = replace(sent, status=UnitStatus.COMMITTED, incident=incident.id)
        self._board.put_unit(tx, busy, actor=actor)
        self._log_order(tx, changed, assignment, actor)
        return changed

    def arrived(self, tx: Transaction, incident_id: str, version: int, actor: str, unit: str) -> Incident:
        """A person says that the unit is there."""
        incident = self._for_action(tx, incident_id, version)
        changed = handling.arrived(incident, unit, actor, tx.now)
        return self._put(tx, changed, "on_scene", actor, detail=self._name_of(unit))

    def clear(self, tx: Transaction, incident_id: str, version: int, actor: str, unit: str) -> Incident:
        """The unit is free again; recalled where it hadn't arrived."""
        incident = self._for_action(tx, incident_id, version)
        changed = handling.cleared(incident, unit, tx.now)
        ended = next(one for one in reversed(changed.assignments) if one.unit == unit)
        self._sightings.forget_approach(ended.id)
        told = self._put(tx, changed, ended.state.value, actor, detail=ended.unit_name)
        held = self._board.units.working.get(f"unit:{unit}")
        if held is not None and held.incident == incident.id:
            free = replace(held, status=UnitStatus.AVAILABLE, incident="")
            self._board.put_unit(tx, free, actor=actor)
        return told

    def close(self, tx: Transaction, incident_id: str, version: int, actor: str, outcome: str) -> Incident:
        """The real incident is over; `outcome` says what came of it."""
        incident = self._for_action(tx, incident_id, version)
        changed = handling.closed(incident, outcome, tx.now)
        self._acknowledge_members(tx, incident, actor)
        return self._put(tx, changed, "close", actor, detail=changed.outcome)

    def note(self, tx: Transaction, incident_id: str, version: int, actor: str, text: str) -> Incident:  # noqa: ARG002
        """Writes something down: a note puts nothing out of date, and nothing outdates a note."""
        incident = self._find(tx, incident_id)
        text = handling.checked_text(incident, "text", text)
        return self._put(tx, handling.noted(incident), "note", actor, detail=text)

    def ack(self, tx: Transaction, condition_id: str, actor: str) -> AlarmCondition:
        """ "I have seen it". Raises `KeyError` for a condition that isn't known."""
        condition = self._board.conditions.working[condition_id]
        changed = alarm.acknowledged(condition, actor, tx.now)
        if changed is None:
            return condition
        self._board.put_condition(tx, changed, actor=actor)
        incident = self._board.incidents.working.get(changed.incident)
        if incident is not None and incident.clocks.t3_acked is None:
            clocks = replace(incident.clocks, t3_acked=tx.now)
            more = replace(incident, version=incident.version + 1, clocks=clocks)
            self._put(tx, more, "acknowledge", actor, detail=condition_id)
        return changed

    def rendered(
        self,
        tx: Transaction,
        seq: int,
        console: str,
        now: datetime,
        sees: Callable[[str], bool] = lambda _place: True,
    ) -> None:
        """A console has drawn what it `sees` of everything up to `seq`: T2 of what nobody drew before."""
        for identity in self._undrawn(seq, sees):
            opened = self._openings.pop(identity)
            tx.on_undo(partial(self._openings.__setitem__, identity, opened))
            incident = self._board.incidents.working.get(identity)
            if incident is None or incident.clocks.t2_rendered is not None:
                continue
            clocks = replace(incident.clocks, t2_rendered=now)
            more = replace(incident, version=incident.version + 1, clocks=clocks)
            self._board.put_incident(tx, more, "rendered", detail=console)

    def undrawn(self, seq: int, sees: Callable[[str], bool]) -> bool:
        """Whether an incident at a place that is seen, opened up to `seq`, awaits its T2. From any thread."""
        return bool(self._undrawn(seq, sees))

    def _undrawn(self, seq: int, sees: Callable[[str], bool]) -> list[str]:
        held = list(self._openings.items())
        return [one for one, opened in held if opened.seq <= seq and sees(opened.place)]

    # What is committed

    def snapshot(self) -> DeskState:
        """Everything on the desk, consistent as of its `seq`. A store that can't store tells here alone."""
        state = self._board.state()
        health = self._store.health
        if health.ok:
            return state
        others = tuple(part for part in state.hub.parts if part.name != "store")
        store = PartStatus(name="store", up=False, since=health.since, reason=code_of(health.reason).value)
        return replace(state, hub=HubStatus(parts=(*others, store)))

    def recommended(self, incident_id: str, now: datetime) -> list[Recommended]:
        """Units for an open incident, best first; empty where it isn't open."""
        incident = self._board.committed_incident(incident_id)
        if incident is None:
            return []
        return nearest.recommended(incident, self._board.committed_units(), now)

    async def incidents(self, *, closed: bool = False, limit: int = 200) -> list[Incident]:
        """Open ones in the queue's order, or closed ones, the latest first."""
        if not closed:
            return list(self._board.state().incidents[:limit])
        return await self._store.read(lambda connection: cases.closed_incidents(connection, limit=limit))

    async def incident(self, incident_id: str) -> Incident | None:
        """One incident, open or closed."""
        held = self._board.committed_incident(incident_id)
        if held is not None:
            return held
        return await self._store.read(lambda connection: cases.incident(connection, incident_id))

    def condition(self, condition_id: str) -> AlarmCondition | None:
        """A condition that stands on the desk."""
        return next((one for one in self._board.state().conditions if one.id == condition_id), None)

    async def timeline(self, incident_id: str) -> list[Entry]:
        """Every entry about the incident, its conditions, its orders, and what caused them, in order."""
        incident = await self.incident(incident_id)
        if incident is None:
            return []
        return await self._store.read(
            lambda connection: stored_log.timeline(
                connection,
                incident.id,
                incident.conditions,
                [one.id for one in incident.assignments],
            )
        )

    def rebuild(self, tx: Transaction) -> None:
        """Makes tables and memory anew from the log alone. For a hub at rest."""
        rebuild(tx)
        self._board.reload(tx, self._store)

    # Inside

    def _start(self, tx: Transaction) -> None:
        self._sync(tx)
        for fix in fixes.latest(tx.connection):
            unit = self._sightings.unit_for(fix.source)
            if unit is not None and (unit.fix_at is None or unit.fix_at < (fix.device_at or fix.heard_at)):
                self._board.put_unit(tx, _placed(unit, fix), tell=False)

    def _undrawn_before(self) -> dict[str, Opening]:
        """What was opened before the hub started; who has drawn the desk as it stood then has drawn it."""
        state = self._board.state()
        return {
            one.id: Opening(state.seq, one.place) for one in state.incidents if one.clocks.t2_rendered is None
        }

    def _note_openings(self, entries: Sequence[Entry]) -> None:
        self._board.reached(entries[-1].seq)
        for entry in entries:
            if entry.kind is EntryKind.INCIDENT and entry.body["action"] == "opened":
                self._openings[entry.body["incident"]["id"]] = Opening(entry.seq, entry.place)

    def _registers_changed(self) -> None:
        self._store.enqueue(self._sync)

    def _for_action(self, tx: Transaction, incident_id: str, version: int) -> Incident:
        incident = self._find(tx, incident_id)
        handling.check_version(incident, version)
        return incident

    def _find(self, tx: Transaction, incident_id: str) -> Incident:
        """Raises `KeyError` for an incident that never was."""
        incident = self._board.incidents.working.get(incident_id) or cases.incident(
            tx.connection, incident_id
        )
        if incident is None:
            raise KeyError(incident_id)
        return incident

    def _put(
        self,
        tx: Transaction,
        incident: Incident,
        action: str,
        actor: str,
        *,
        reason: str = "",
        detail: str = "",
    ) -> Incident:
        self._board.put_incident(tx, incident, action, actor=actor, reason=reason, detail=detail)
        return incident

    def _acknowledge_members(self, tx: Transaction, incident: Incident, actor: str) -> None:
        for identity in incident.conditions:
            condition = self._board.conditions.working.get(identity)
            if condition is None or condition.incident != incident.id:
                continue
            changed = alarm.acknowledged(condition, actor, tx.now)
            if changed is not None:
                self._board.put_condition(tx, changed, actor=actor)

    def _sendable(self, incident: Incident, identity: str) -> Unit:
        unit = self._board.units.working.get(f"unit:{identity}")
        if unit is None:
            raise ActionRefused(f"unit: there is no unit {identity!r}", f"没有单位 {identity}", incident)
        if unit.incident and unit.incident != incident.id:
            raise ActionRefused(
                f"unit: {unit.name} is committed to {unit.incident}",
                f"{unit.name} 正在处置警情 {unit.incident}",
                incident,
            )
        if unit.status in {UnitStatus.OFF_DUTY, UnitStatus.OUT_OF_SERVICE}:
            raise ActionRefused(
                f"unit: {unit.name} is {unit.status.value}", f"{unit.name} 未在岗,不能派警", incident
            )
        return unit

    def _name_of(self, unit: str) -> str:
        held = self._board.units.working.get(f"unit:{unit}")
        return held.name if held else unit

    def _log_order(self, tx: Transaction, incident: Incident, assignment: Assignment, actor: str) -> None:
        tracker = next((one.id for one in self._registers.trackers() if one.unit == assignment.unit), None)
        if tracker is None:
            return
        body = {
            "command": assignment.id,
            "wing": "gps",
            "verb": "order",
            "to": tracker,
            "text": order_text(incident),
            "lat": incident.lat,
            "lon": incident.lon,
            "state": "sent",
            "reason": "",
        }
        subject = f"order:{assignment.id}"
        tx.append(Draft(kind=EntryKind.ORDER, subject=subject, place=incident.place, body=body, actor=actor))

    def _age_units(self, tx: Transaction, now: datetime) -> None:
        for unit in list(self._board.units.working.values()):
            age = self._age(f"unit:{unit.id}", unit.heard_at, now) if unit.heard_at else timedelta(0)
            older = aged(unit, self._sightings.interval_of(unit), (unit.heard_at or now) + age)
            if older is not unit:
                self._board.put_unit(tx, older)

    def _bound_motion(self, tx: Transaction, now: datetime) -> None:
        for held in list(self._board.cameras.working.values()):
            began = held.motion_at
            if not held.motion or began is None:
                continue
            if self._age(f"motion:{held.id}", began, now) > MOTION_LIMIT:
                self._board.put_camera(tx, replace(held, motion=False))

    # The registers, as the desk shows them

    def _sync(self, tx: Transaction) -> None:
        """Brings cameras, panels and units up to what is registered."""
        self._seen_registers = self._registers.version
        for camera in self._registers.cameras():
            self._sync_camera(tx, camera)
        for panel in self._registers.panels():
            self._sync_panel(tx, panel)
        for unit in self._registers.units():
            self._sync_unit(tx, unit.id, unit.name, unit.place)
        self._drop_removed(tx)

    def _sync_camera(self, tx: Transaction, camera: RegisteredCamera) -> None:
        held = self._board.cameras.working.get(f"camera:{camera.id}")
        where = self._registers.locate(f"camera:{camera.id}")
        view = held or _new_camera(camera)
        view = replace(
            view,
            name=camera.name,
            name_en=camera.name_en,
            site=camera.site,
            place=where.place,
            lat=where.lat,
            lon=where.lon,
            bearing_deg=camera.bearing_deg,
            fov_deg=camera.fov_deg,
            range_m=camera.range_m,
            checkpoint=camera.checkpoint,
            onvif=bool(camera.onvif),
        )
        self._board.put_camera(tx, view)

    def _sync_panel(self, tx: Transaction, panel: RegisteredPanel) -> None:
        held = self._board.panels.working.get(f"panel:{panel.id}")
        where = self._registers.locate(f"panel:{panel.id}")
        view = held or _new_panel(panel)
        view = replace(
            view,
            name=panel.name,
            name_en=panel.name_en,
            convention=panel.convention,
            site=panel.site,
            place=where.place,
            lat=where.lat,
            lon=where.lon,
            zones=_zones(panel, view),
        )
        self._board.put_panel(tx, view)

    def _sync_unit(self, tx: Transaction, identity: str, name: str, place: str) -> None:
        held = self._board.units.working.get(f"unit:{identity}")
        if held is None:
            new = Unit(
                id=identity, name=name, place=place, status=UnitStatus.AVAILABLE, link=UnitLink.UNKNOWN
            )
            self._board.put_unit(tx, new)
        elif held.status is UnitStatus.OFF_DUTY and not held.incident:
            # It reported before it was registered; registered, it is on duty.
            self._board.put_unit(tx, replace(held, name=name, place=place, status=UnitStatus.AVAILABLE))
        elif (held.name, held.place) != (name, place):
            self._board.put_unit(tx, replace(held, name=name, place=place))

    def _drop_removed(self, tx: Transaction) -> None:
        """Takes registered devices away that are registered no more; who was never registered stays."""
        for key, held in list(self._board.cameras.working.items()):
            if self._registers.camera(held.id) is None:
                self._board.drop(tx, self._board.cameras, key)
                self._end_conditions(tx, key)
        for key, panel in list(self._board.panels.working.items()):
            if panel.convention and self._registers.panel(panel.id) is None:
                self._board.drop(tx, self._board.panels, key)
                self._end_conditions(tx, key)
        for key, unit in list(self._board.units.working.items()):
            registered = self._registers.unit(unit.id) is not None
            if not registered and unit.status is not UnitStatus.OFF_DUTY and not unit.incident:
                self._board.drop(tx, self._board.units, key)

    def _end_conditions(self, tx: Transaction, source: str) -> None:
        """What was wrong with a device that is gone is over; whoever hasn't seen it still will."""
        for condition in self._board.conditions_of(source):
            changed = alarm.ended(condition, False, tx.now)
            if changed is not None:
                self._board.put_condition(tx, changed)


def _placed(unit: Unit, fix: fixes.Fix) -> Unit:
    return replace(
        unit,
        lat=fix.position.lat,
        lon=fix.position.lon,
        speed_kmh=fix.position.speed_kmh,
        course_deg=fix.position.course_deg,
        fix_at=fix.device_at or fix.heard_at,
        heard_at=max(fix.stored_at, unit.heard_at or fix.stored_at),
    )


def _new_camera(camera: RegisteredCamera) -> CameraView:
    return CameraView(
        id=camera.id,
        name=camera.name,
        name_en=camera.name_en,
        site=camera.site,
        place=camera.place,
        lat=camera.lat,
        lon=camera.lon,
        bearing_deg=camera.bearing_deg,
        fov_deg=camera.fov_deg,
        range_m=camera.range_m,
        health=Health.UNKNOWN,
        since=None,
        reason="",
        motion=False,
        motion_at=None,
        still="",
        checkpoint=camera.checkpoint,
        onvif=bool(camera.onvif),
        events=Health.UNKNOWN,
    )


def _new_panel(panel: RegisteredPanel) -> PanelView:
    return PanelView(
        id=panel.id,
        name=panel.name,
        name_en=panel.name_en,
        convention=panel.convention,
        site=panel.site,
        place=panel.place,
        lat=panel.lat,
        lon=panel.lon,
        health=Health.UNKNOWN,
        since=None,
        reason="",
        armed=ArmState.UNKNOWN.value,
        heard_at=None,
        zones=(),
    )


def _zones(panel: RegisteredPanel, view: PanelView) -> tuple[ZoneView, ...]:
    """Registered zones with the state known of them, then those the panel named itself."""
    known = {zone.point: zone.active for zone in view.zones}
    registered = tuple(
        ZoneView(
            point=zone.point,
            name=zone.name,
            name_en=zone.name_en,
            condition=zone.condition,
            active=known.get(zone.point),
        )
        for zone in panel.zones
    )
    points = {zone.point for zone in registered}
    return (*registered, *(zone for zone in view.zones if zone.point not in points))
