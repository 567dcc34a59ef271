"""What an observation changes on the desk: conditions, incidents, devices as shown, cars, arrival."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone

from hub.board import Board
from hub.domain import alarm, correlate, handling
from hub.domain.approach import Approach, Fix, Geofence, Sign, advanced
from hub.domain.condition import AlarmCondition
from hub.domain.device import CameraView, Health, PanelView, ZoneView
from hub.domain.health import health_of
from hub.domain.incident import Assignment, ClockPoints, Incident, IncidentState
from hub.domain.response import (
    ONVIF_POINT,
    RESPONSES,
    Response,
    opens_incident,
    priority_of,
    response_to,
)
from hub.domain.timekeeping import Age, by_the_clock
from hub.domain.unit import Unit, UnitLink, UnitStatus
from hub.registers import Located, Registers
from hub.store.engine import Transaction
from wire.observations import (
    NEWS_LIMIT,
    Arming,
    ArmState,
    Condition,
    Heartbeat,
    Lateness,
    Link,
    Motion,
    Observation,
    PointState,
    Position,
    Reply,
)

SHANGHAI = timezone(timedelta(hours=8))
DUTY_INTERVAL_S = 10.0
"""Interval of a tracker that isn't registered."""


@dataclass(frozen=True, slots=True)
class Seen:
    """An observation on its way through the rules."""

    tx: Transaction
    observation: Observation
    still: str
    cause: int | None
    overtaken: bool = False
    """Something newer of the same is known: it is kept, and changes nothing."""

    @property
    def now(self) -> datetime:
        """The hub's clock."""
        return self.tx.now

    @property
    def late(self) -> bool:
        """History: it may end things, and begins none (promise 4)."""
        return self.observation.lateness is not Lateness.LIVE

    @property
    def old_news(self) -> bool:
        """It lay with one of our own parts: the device spoke then, not now."""
        return self.overtaken or (self.late and self.now - self.observation.heard_at > NEWS_LIMIT)

    @property
    def source(self) -> str:
        """`camera:c-01`"""
        return self.observation.source

    @property
    def moment(self) -> datetime:
        """When it was true, as well as anybody can say."""
        return self.observation.device_at or self.observation.heard_at


class Sightings:
    """The rules that turn observations into the desk's state. Runs in the store's writer thread."""

    def __init__(self, board: Board, registers: Registers, fence: Geofence) -> None:
        self._board = board
        self._registers = registers
        self._fence = fence
        self._approaches: dict[str, Approach] = {}
        self._intervals: dict[str, float] = {}
        self._intervals_of = -1

    def take(self, seen: Seen) -> None:
        """Applies one observation."""
        body = seen.observation.body
        if seen.overtaken and not isinstance(body, Position):
            return
        if isinstance(body, PointState):
            self._point(seen, body)
        elif isinstance(body, Position):
            self._position(seen, body)
        elif isinstance(body, Link):
            self._link(seen, body)
        elif isinstance(body, Motion):
            self._motion(seen, body)
        elif isinstance(body, Arming):
            self._arming(seen, body)
        elif isinstance(body, Heartbeat):
            self._heard(seen)
        elif isinstance(body, Reply):
            # With a reason it was handed on as far as the protocol goes: nobody has accepted it yet.
            self.answered(seen.tx, body.command, ok=body.ok and not body.reason, cause=seen.cause)

    # Conditions

    def _point(self, seen: Seen, body: PointState) -> None:
        identity = alarm.condition_id(seen.source, body.point, body.condition)
        previous = self._board.conditions.working.get(identity)
        if body.active is True:
            response = response_to(body.condition, armed=body.armed)
            if response is not None and not seen.late:
                self._raise(seen, body, identity, previous, response)
        else:
            self._end(seen, body.active, previous)
        self._device_point(seen, body)
        if body.condition is not Condition.COMMS_LOST:
            self._heard(seen)

    def _raise(
        self,
        seen: Seen,
        body: PointState,
        identity: str,
        previous: AlarmCondition | None,
        response: Response,
    ) -> None:
        still_open = previous is not None and previous.incident in self._board.incidents.working
        changed = alarm.raised(
            previous, self._new_condition(seen, body, identity), seen.now, incident_open=still_open
        )
        if changed is None:
            return
        if previous is not None and previous.active is True:
            self._board.put_condition(seen.tx, changed, cause=seen.cause)
            return
        waits = response.on_delay > timedelta(0) and not still_open
        if waits or not opens_incident(seen.source, body.point, body.condition):
            self._board.put_condition(seen.tx, changed, cause=seen.cause)
        else:
            self._place(seen.tx, changed, cause=seen.cause)

    def _new_condition(self, seen: Seen, body: PointState, identity: str) -> AlarmCondition:
        where = self._located(seen.source, body.point)
        return AlarmCondition(
            id=identity,
            source=seen.source,
            point=body.point,
            condition=body.condition.value,
            active=True,
            acked=False,
            since=seen.now,
            device_at=seen.observation.device_at,
            count=1,
            label=where.label if where.registered or not body.label else body.label,
            site=where.site,
            place=where.place,
            still=seen.still,
        )

    def _end(self, seen: Seen, active: bool | None, previous: AlarmCondition | None) -> None:
        if previous is None or (seen.late and seen.moment <= (previous.device_at or previous.since)):
            return
        changed = alarm.ended(previous, active, seen.now)
        if changed is not None:
            self._board.put_condition(seen.tx, changed, cause=seen.cause)

    def overdue(self, tx: Transaction, age: Age = by_the_clock) -> None:
        """Opens incidents for conditions that have lasted as long as their on-delay."""
        for condition in list(self._board.conditions.working.values()):
            if condition.active is not True or condition.incident:
                continue
            response = RESPONSES.get(Condition(condition.condition))
            if response is None or age(condition.id, condition.since, tx.now) < response.on_delay:
                continue
            if opens_incident(condition.source, condition.point, condition.condition):
                self._place(tx, condition, cause=None)

    # Incidents

    def _place(self, tx: Transaction, condition: AlarmCondition, cause: int | None) -> None:
        """Puts an activated condition and the incident it belongs to, an open one or a new one."""
        priority = priority_of(condition.condition, checkpoint=self._at_checkpoint(condition.source))
        own = self._board.incidents.working.get(condition.incident)
        home = own or correlate.home_for(condition, priority, self._open_incidents(), tx.now)
        if home is None:
            incident = self._new_incident(tx, condition, priority)
            action = "opened"
        else:
            incident = self._with_member(home, condition, priority)
            action = "again" if condition.id in home.conditions else "joined"
        condition = replace(condition, incident=incident.id)
        self._board.put_condition(tx, condition, cause=cause)
        self._board.put_incident(tx, incident, action, detail=condition.id, cause=cause)

    def _open_incidents(self) -> list[correlate.OpenIncident]:
        conditions = self._board.conditions.working
        return [
            correlate.OpenIncident(
                incident,
                max(
                    (conditions[one].since for one in incident.conditions if one in conditions),
                    default=incident.opened_at,
                ),
            )
            for incident in self._board.incidents.working.values()
        ]

    def _new_incident(self, tx: Transaction, condition: AlarmCondition, priority: int) -> Incident:
        where = self._located(condition.source, condition.point)
        lat, lon = self._spot(condition.source, where)
        day = tx.now.astimezone(SHANGHAI).strftime("%Y-%m%d")
        return Incident(
            id=self._board.next_incident_id(tx, day),
            version=1,
            state=IncidentState.NEW,
            priority=priority,
            condition=condition.condition,
            site=where.site,
            site_name=where.site_name,
            site_name_en=where.site_name_en,
            point_label=condition.label,
            place=where.place,
            place_name=where.place_name,
            lat=lat,
            lon=lon,
            opened_at=tx.now,
            state_since=tx.now,
            clocks=ClockPoints(t0_device=condition.device_at, t1_received=condition.since),
            conditions=(condition.id,),
            count=1,
            cameras=self._cameras_for(condition.source, where.site, lat, lon),
        )

    def _with_member(self, home: Incident, condition: AlarmCondition, priority: int) -> Incident:
        known = condition.id in home.conditions
        members = home.conditions if known else (*home.conditions, condition.id)
        more = replace(home, version=home.version + 1, conditions=members, count=home.count + 1)
        if priority >= home.priority:
            return more
        return replace(more, priority=priority, condition=condition.condition, point_label=condition.label)

    def _cameras_for(self, source: str, site: str, lat: float | None, lon: float | None) -> tuple[str, ...]:
        near = self._registers.cameras_near(site, lat, lon)
        if source.startswith("camera:"):
            own = source.removeprefix("camera:")
            near = [own, *(one for one in near if one != own)]
        return tuple(near[:4])

    # Devices as shown

    def _device_point(self, seen: Seen, body: PointState) -> None:
        if seen.source.startswith("camera:"):
            if body.point == ONVIF_POINT and body.condition is Condition.COMMS_LOST:
                self._camera_events(seen, lost=body.active is not False)
            self._refresh_camera(seen)
        elif seen.source.startswith("panel:"):
            if body.point.startswith("zone:"):
                self._zone(seen, body)
            self._refresh_panel(seen)
        elif seen.source.startswith("tracker:"):
            self._refresh_duress(seen)

    def _active_on(self, source: str, *, but_point: str = "") -> set[str]:
        return {
            one.condition
            for one in self._board.conditions_of(source)
            if one.active is True and one.point != but_point
        }

    def _refresh_camera(self, seen: Seen, link_up: bool | None = None, reason: str = "") -> None:
        held = self._board.cameras.working.get(seen.source)
        if held is None:
            return
        up = held.link_up if link_up is None else link_up
        active = self._active_on(seen.source, but_point=ONVIF_POINT)
        health, why = health_of(up, reason or held.reason, active)
        view = self._with_camera_health(held, health, why, seen)
        view = replace(view, link_up=up, still=seen.still or view.still)
        self._board.put_camera(seen.tx, view, seen.cause)

    def _with_camera_health(self, view: CameraView, health: Health, why: str, seen: Seen) -> CameraView:
        if health is view.health and why == view.reason:
            return view
        since = view.since if health is view.health else seen.now
        motion = view.motion and health is not Health.LOST
        return replace(view, health=health, reason=why, since=since, motion=motion)

    def _camera_events(self, seen: Seen, *, lost: bool) -> None:
        held = self._board.cameras.working.get(seen.source)
        if held is None:
            return
        events = Health.LOST if lost else Health.ONLINE
        if held.events is not events:
            self._board.put_camera(seen.tx, replace(held, events=events), seen.cause)

    def _motion(self, seen: Seen, body: Motion) -> None:
        held = self._board.cameras.working.get(seen.source)
        if held is None or seen.late:
            return
        view = replace(held, motion=body.active, still=seen.still or held.still)
        if body.active:
            view = replace(view, motion_at=seen.now)
        if body.by == "camera" and view.onvif:
            view = replace(view, events=Health.ONLINE)
        self._board.put_camera(seen.tx, view, seen.cause)

    def _zone(self, seen: Seen, body: PointState) -> None:
        held = self._held_panel(seen)
        if seen.late and body.active is True:
            return
        zones = tuple(
            replace(zone, active=body.active) if zone.point == body.point else zone for zone in held.zones
        )
        if not any(zone.point == body.point for zone in zones):
            name = body.label or body.point.removeprefix("zone:")
            new = ZoneView(
                point=body.point, name=name, name_en=name, condition=body.condition, active=body.active
            )
            zones = (*zones, new)
        if zones != held.zones:
            self._board.put_panel(seen.tx, replace(held, zones=zones, heard_at=seen.now), seen.cause)

    def _arming(self, seen: Seen, body: Arming) -> None:
        held = self._held_panel(seen)
        if body.state.value != held.armed:
            self._board.put_panel(seen.tx, replace(held, armed=body.state.value), seen.cause)
        self._heard(seen)

    def _refresh_panel(self, seen: Seen, link_up: bool | None = None, reason: str = "") -> None:
        held = self._held_panel(seen)
        up = held.link_up if link_up is None else link_up
        health, why = health_of(up, reason or held.reason, self._active_on(seen.source))
        since = held.since if health is held.health else seen.now
        view = replace(held, health=health, reason=why, since=since, link_up=up)
        self._board.put_panel(seen.tx, view, seen.cause)

    def _held_panel(self, seen: Seen) -> PanelView:
        """The panel, taken in as unregistered where nobody has registered it."""
        held = self._board.panels.working.get(seen.source)
        if held is not None:
            return held
        where = self._located(seen.source)
        identity = seen.source.removeprefix("panel:")
        return PanelView(
            id=identity,
            name=where.label or identity,
            name_en=where.label_en or identity,
            convention="",
            site=where.site,
            place=where.place,
            lat=where.lat,
            lon=where.lon,
            health=Health.UNKNOWN,
            since=None,
            reason="",
            armed=ArmState.UNKNOWN.value,
            heard_at=None,
            zones=(),
        )

    def _link(self, seen: Seen, body: Link) -> None:
        if seen.late:
            return
        if seen.source.startswith("camera:"):
            self._refresh_camera(seen, link_up=body.up, reason=body.reason)
        elif seen.source.startswith("panel:"):
            self._refresh_panel(seen, link_up=body.up, reason=body.reason)
            lost = PointState(point="panel", condition=Condition.COMMS_LOST, active=not body.up)
            self._point(seen, lost)
        elif body.up:
            self._heard(seen)
        else:
            self._unit_gone(seen)

    def _heard(self, seen: Seen) -> None:
        """The device itself said something just now."""
        if seen.observation.lateness is Lateness.RETAINED or seen.old_news:
            return
        if seen.source.startswith("panel:"):
            self._panel_heard(seen)
        elif seen.source.startswith("tracker:"):
            self._unit_heard(seen)

    def _panel_heard(self, seen: Seen) -> None:
        if self._held_panel(seen).link_up is not True:
            self._refresh_panel(seen, link_up=True)
        heard = replace(self._held_panel(seen), heard_at=seen.now)
        self._board.put_panel(seen.tx, heard, tell=False)

    # Cars

    def unit_for(self, source: str) -> Unit | None:
        """The unit that carries a tracker; an unregistered one stands for itself, off duty."""
        held = self._board.units.working.get(self._unit_key(source))
        if held is not None or self._registers.unit_of(source) is not None:
            return held
        own = source.removeprefix("tracker:")
        where = self._located(source)
        return Unit(
            id=own,
            name=where.label or own,
            place=where.place,
            status=UnitStatus.OFF_DUTY,
            link=UnitLink.UNKNOWN,
        )

    def interval_of(self, unit: Unit) -> float:
        """The shortest interval among the unit's trackers, in seconds."""
        if self._intervals_of != self._registers.version:
            self._intervals_of = self._registers.version
            self._intervals = {}
            for one in self._registers.trackers():
                known = self._intervals.get(one.unit, one.interval_s)
                self._intervals[one.unit] = min(known, one.interval_s)
        return self._intervals.get(unit.id, DUTY_INTERVAL_S)

    def _unit_heard(self, seen: Seen) -> None:
        unit = self.unit_for(seen.source)
        if unit is not None:
            fresh = replace(unit, heard_at=seen.now, link=UnitLink.ONLINE)
            self._put_heard(seen, unit, fresh)

    def _unit_gone(self, seen: Seen) -> None:
        unit = self._board.units.working.get(self._unit_key(seen.source))
        if unit is not None and unit.link is not UnitLink.LOST:
            self._board.put_unit(seen.tx, replace(unit, link=UnitLink.LOST), seen.cause)

    def _unit_key(self, source: str) -> str:
        return f"unit:{self._registers.unit_of(source) or source.removeprefix('tracker:')}"

    def _put_heard(self, seen: Seen, before: Unit, fresh: Unit) -> None:
        """A car that was heard: news only where it was new or had been stale."""
        known = f"unit:{before.id}" in self._board.units.working
        tell = not known or before.link is not UnitLink.ONLINE
        self._board.put_unit(seen.tx, fresh, seen.cause, tell=tell)

    def _position(self, seen: Seen, body: Position) -> None:
        unit = self.unit_for(seen.source)
        if unit is None:
            return
        newer = unit.fix_at is None or seen.moment >= unit.fix_at
        if seen.late or not body.valid or not newer:
            self._heard(seen)
            return
        moved = replace(
            unit,
            lat=body.lat,
            lon=body.lon,
            speed_kmh=body.speed_kmh,
            course_deg=body.course_deg,
            fix_at=seen.moment,
            # Overtaken: the car's link was lost after it said this.
            heard_at=unit.heard_at if seen.overtaken else seen.now,
            link=unit.link if seen.overtaken else UnitLink.ONLINE,
        )
        if seen.overtaken:
            self._board.put_unit(seen.tx, moved, seen.cause, tell=False)
            return
        self._put_heard(seen, unit, moved)
        if unit.incident:
            self._approach(seen, unit, body)

    def _approach(self, seen: Seen, unit: Unit, body: Position) -> None:
        incident = self._board.incidents.working.get(unit.incident)
        if incident is None:
            return
        for one in incident.assignments:
            if one.unit == unit.id and one.state in handling.UNDERWAY:
                self._advance(seen, incident, one, body)

    def _advance(self, seen: Seen, incident: Incident, one: Assignment, body: Position) -> None:
        start = Approach(start=(one.from_lat, one.from_lon), goal=(incident.lat, incident.lon))
        fix = Fix(lat=body.lat, lon=body.lon, at=seen.moment, speed_kmh=body.speed_kmh)
        before = self._approaches.get(one.id, start)
        self._approaches[one.id], sign = advanced(before, fix, self._fence)
        seen.tx.on_undo(lambda: self._approaches.__setitem__(one.id, before))
        if sign is Sign.ROLLING:
            changed = handling.rolling(incident, one.id, seen.now)
        elif sign is Sign.ARRIVED:
            changed = handling.on_scene(incident, one.id, "gps", seen.now)
        else:
            return
        if changed is not None:
            action = "en_route" if sign is Sign.ROLLING else "on_scene"
            self._board.put_incident(seen.tx, changed, action, detail=one.unit_name, cause=seen.cause)

    def answered(self, tx: Transaction, command: str, *, ok: bool, cause: int | None) -> None:
        """A terminal confirmed an order; a refusal or no answer is told by the order's own entry."""
        incident = self._board.incidents.working.get(command.rpartition("/")[0])
        if incident is None or not ok:
            return
        changed = handling.accepted(incident, command, tx.now)
        if changed is not None:
            unit = next(one.unit_name for one in changed.assignments if one.id == command)
            self._board.put_incident(tx, changed, "accepted", detail=unit, cause=cause)

    def forget_approach(self, assignment_id: str) -> None:
        """The assignment has ended."""
        self._approaches.pop(assignment_id, None)

    def _refresh_duress(self, seen: Seen) -> None:
        unit = self.unit_for(seen.source)
        if unit is None:
            return
        duress = bool({Condition.SOS, Condition.DURESS} & self._active_on(seen.source))
        if duress is not unit.duress:
            self._board.put_unit(seen.tx, replace(unit, duress=duress), seen.cause)

    # Places

    def _located(self, source: str, point: str = "") -> Located:
        return self._registers.locate(source, point)

    def _spot(self, source: str, where: Located) -> tuple[float | None, float | None]:
        """Where to send somebody: a car's own place moves."""
        if source.startswith("tracker:"):
            unit = self.unit_for(source)
            if unit is not None and unit.lat is not None:
                return unit.lat, unit.lon
        return where.lat, where.lon

    def _at_checkpoint(self, source: str) -> bool:
        kind, _, identity = source.partition(":")
        if kind == "camera":
            camera = self._registers.camera(identity)
            return bool(camera and camera.checkpoint)
        if kind == "panel":
            panel = self._registers.panel(identity)
            return panel is not None and any(
                one.site == panel.site for one in self._registers.checkpoints() if one.site
            )
        return False
