"""A log of any length, filled in bulk: entries as the desk would have made them, a chain that holds.

Numbered, hashed and stored as the store does it, but in rows of many thousands without a transaction for each
batch. Time runs at one rate up to now, so the last hour holds the same number of entries at every length.
"""

from __future__ import annotations

import os
import random
import sqlite3
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import psycopg
import sqlalchemy as sa

from benchmarks.backlog import CITY
from hub.domain.condition import AlarmCondition
from hub.domain.device import CameraView, Health, PanelView, ZoneView
from hub.domain.entry import Draft, EntryKind
from hub.domain.incident import ClockPoints, Incident, IncidentState
from hub.domain.unit import Unit, UnitLink, UnitStatus
from hub.sightings import SHANGHAI
from hub.store.engine import chained
from hub.store.tables import load_all

PER_HOUR = 20_000
"""Entries."""
POSITIONS_AN_ENTRY, HEARTBEATS_AN_ENTRY = 0.5, 0.1
MIX = (
    "entries: movement that begins and ends with the camera's view 78 %, arming 5 %, intrusion alarms from"
    " activation to closing 17 %; beside them half as many positions and a tenth as many heartbeats"
)
CHUNK = 50_000
OPEN_AT_THE_END = 30
"""Incidents nobody has closed yet, whatever the length."""

Row: TypeAlias = tuple[Any, ...]
Write: TypeAlias = Callable[[str, list[Row]], None]
"""Table name, rows in the order of its columns."""

_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Built:
    """What was put into a database."""

    entries: int = 0
    observations: int = 0
    incidents: int = 0
    positions: int = 0
    heartbeats: int = 0
    an_hour_ago: int = 0
    """Number of the last entry that is older than an hour."""
    closed: list[str] = field(default_factory=list)
    """Some closed incidents, evenly from the whole of the log."""
    took_s: float = 0.0


@dataclass(slots=True)
class _Sender:
    """Gives identities as a wing's outbox does."""

    name: str
    epoch: str
    seq: int = 0

    def next(self) -> str:
        self.seq += 1
        return f"{self.name}:{self.epoch}:{self.seq}"


class _Log:
    """Makes entries and the tables that follow from them."""

    def __init__(self, length: int, now: datetime, head: int, last_hash: str) -> None:
        self.built = Built(entries=head)
        self.length = length
        self.chance = random.Random(length)
        self.rows: dict[str, list[Row]] = {}
        self.start = beginning(length, now)
        self.at = self.start
        self.resumed_from = now - timedelta(hours=1)
        self.hash = last_hash
        self.edge = _Sender("edge-1", "4be1c0ffee01")
        self.alarm = _Sender("adapter-alarm", "4be1c0ffee02")
        self.cameras = {n: _camera(n, now) for n in range(CITY.cameras)}
        self.panels = {n: _panel(n, now) for n in range(CITY.panels)}
        self.conditions: dict[str, tuple[int, AlarmCondition]] = {}
        self.open: list[tuple[Incident, AlarmCondition]] = []
        self.told: dict[str, int] = {}
        """Open incidents with the entries that tell of them."""
        self.numbers: dict[str, int] = {}
        self.last: dict[str, int] = {}

    def tick(self) -> None:
        """Moves the hub's clock to the next entry's moment."""
        self.at = self.start + timedelta(seconds=3600 / PER_HOUR * self.built.entries)

    def put(self, table: str, *values: Any) -> None:
        self.rows.setdefault(table, []).append(values)

    def tell(
        self,
        kind: EntryKind,
        subject: str,
        body: object,
        *,
        cause: int | None = None,
        actor: str = "",
    ) -> int:
        """One entry; its number. `body` may be a value that encodes as the entry's body."""
        at = self.at
        seq = self.built.entries + 1
        text = msgspec.json.encode(body, order="sorted")
        draft = Draft(kind=kind, subject=subject, place="xz", body={}, cause=cause, actor=actor)
        self.hash = chained(self.hash, draft, seq, at, text)
        row = (seq, _micros(at), kind.value, subject, "xz", actor, cause, False, text.decode(), self.hash)
        self.put("entries", *row)
        self.built.entries = seq
        if at < self.resumed_from:
            self.built.an_hour_ago = seq
        self.tick()
        return seq

    def observe(self, sender: _Sender, source: str, body: dict[str, Any]) -> int:
        """An observation's entry, and its identity."""
        at = self.at
        identity = sender.next()
        told = {"source": source, "body": body, "heard_at": at, "id": identity}
        seq = self.tell(EntryKind.OBSERVATION, source, told)
        self.put("observation_ids", identity, seq)
        self.built.observations += 1
        return seq

    def movement(self) -> None:
        """A camera sees something move, with a still, and sees it end."""
        number = self.chance.randrange(CITY.cameras)
        source, event = f"camera:c-{number:02}", f"m{self.built.entries}"
        still = f"{self.chance.getrandbits(256):064x}"
        body = {"type": "motion", "active": True, "event": event, "peak": 0.031, "still": still}
        seq = self.observe(self.edge, source, body)
        self.put("stills", still, "xz", seq, source)
        view = replace(self.cameras[number], motion=True, motion_at=self.at, still=still)
        self.last[source] = self.tell(EntryKind.CAMERA, source, view, cause=seq)
        seq = self.observe(self.edge, source, {"type": "motion", "active": False, "event": event})
        self.cameras[number] = replace(view, motion=False)
        self.last[source] = self.tell(EntryKind.CAMERA, source, self.cameras[number], cause=seq)

    def arming(self) -> None:
        """Somebody arms or disarms a panel."""
        number = self.chance.randrange(CITY.panels)
        source = f"panel:p-{number:02}"
        armed = "disarmed" if self.panels[number].armed == "armed_away" else "armed_away"
        body = {"type": "arming", "partition": "1", "state": armed}
        seq = self.observe(self.alarm, source, body)
        self.panels[number] = replace(self.panels[number], armed=armed)
        self.last[source] = self.tell(EntryKind.PANEL, source, self.panels[number], cause=seq)

    def alarm_cycle(self) -> None:
        """An intrusion; its incident is handled before the next one on the same panel, in time."""
        number = self.chance.randrange(CITY.panels)
        source = f"panel:p-{number:02}"
        body = {"type": "point", "point": "zone:1", "condition": "intrusion", "active": True, "armed": True}
        self._settle(source)
        cause = self.observe(self.alarm, source, body)
        condition = _condition(source, self.at)
        incident = self._incident(number, condition)
        condition = replace(condition, incident=incident.id)
        self._tell_condition(condition, cause)
        self._tell_incident(incident, "opened", cause)
        self.built.incidents += 1
        self._tell_panel(number, active=True, cause=cause)
        cause = self.observe(self.alarm, source, {**body, "active": False})
        condition = replace(condition, active=False, since=self.at)
        self._tell_condition(condition, cause)
        self._tell_panel(number, active=False, cause=cause)
        self.open.append((incident, condition))
        if len(self.open) > OPEN_AT_THE_END:
            self._close(*self.open.pop(0))

    def _settle(self, source: str) -> None:
        """A panel has one open incident at most."""
        for one in [held for held in self.open if held[1].source == source]:
            self.open.remove(one)
            self._close(*one)

    def _close(self, incident: Incident, condition: AlarmCondition) -> None:
        """What an operator does: claims, judges false, and that closes it."""
        acked = replace(condition, acked=True, acked_by="bench", acked_at=self.at)
        self._tell_condition(acked, None, "bench")
        claimed = replace(incident, version=2, state=IncidentState.TRIAGE, claimed_by="bench")
        self._tell_incident(claimed, "claim", None, "bench", save=False)
        closed = replace(
            claimed, version=3, state=IncidentState.CLOSED, state_since=self.at, close_code="false_alarm"
        )
        self._tell_incident(closed, "false", None, "bench")
        every = max(1, self.length // 2_000)
        if self.built.incidents % every == 0:
            self.built.closed.append(closed.id)

    def _incident(self, number: int, condition: AlarmCondition) -> Incident:
        day = self.at.astimezone(SHANGHAI).strftime("%Y-%m%d")
        self.numbers[day] = self.numbers.get(day, 0) + 1
        return Incident(
            id=f"{day}-{self.numbers[day]:04d}",
            version=1,
            state=IncidentState.NEW,
            priority=2,
            condition="intrusion",
            site=f"s-{number}",
            site_name=f"场所{number}",
            site_name_en="",
            point_label="后门",
            place="xz",
            place_name="徐州市",
            lat=34.26,
            lon=117.19,
            opened_at=self.at,
            state_since=self.at,
            clocks=ClockPoints(t1_received=condition.since),
            conditions=(condition.id,),
            count=1,
            cameras=(f"c-{number:02}",),
        )

    def _tell_condition(self, value: AlarmCondition, cause: int | None, actor: str = "") -> None:
        seq = self.tell(
            EntryKind.CONDITION,
            f"condition:{value.id}",
            value,
            cause=cause,
            actor=actor,
        )
        self.conditions[value.id] = (seq, value)

    def _tell_incident(
        self, value: Incident, action: str, cause: int | None, actor: str = "", *, save: bool = True
    ) -> None:
        body = {"incident": value, "action": action, "reason": "", "detail": ""}
        seq = self.tell(EntryKind.INCIDENT, f"incident:{value.id}", body, cause=cause, actor=actor)
        if not save:
            return
        if value.state is IncidentState.CLOSED:
            self.told.pop(value.id, None)
            self._save_incident(value, seq)
        else:
            self.told[value.id] = seq

    def _save_incident(self, value: Incident, seq: int) -> None:
        self.put(
            "incidents",
            value.id,
            value.place,
            value.state.value,
            value.priority,
            value.version,
            _micros(value.opened_at),
            seq,
            _text(value),
        )

    def _tell_panel(self, number: int, *, active: bool, cause: int) -> None:
        held = self.panels[number]
        zones = (replace(held.zones[0], active=active),)
        self.panels[number] = replace(held, zones=zones, heard_at=self.at)
        source = f"panel:p-{number:02}"
        self.last[source] = self.tell(EntryKind.PANEL, source, self.panels[number], cause=cause)

    def fixes(self, until: int) -> None:
        """Positions and heartbeats up to what belongs beside `until` entries."""
        while self.built.positions < until * POSITIONS_AN_ENTRY:
            self.built.positions += 1
            number, at = self.chance.randrange(CITY.units), self.at
            source, micros = f"tracker:u-{number:02}", _micros(at)
            serial = str(self.built.positions % 65536)
            identity = f"{source}:{at.isoformat()}:{serial}-{self.built.positions}"
            lat, lon = 34.2 + self.chance.random() / 10, 117.1 + self.chance.random() / 10
            head = self.built.entries
            self.put(
                "positions",
                *(identity, source, head, micros, micros, micros, "live", lat, lon, "WGS-84"),
                *(True, "", 36.5, 90.0, None, None, serial),
            )
        while self.built.heartbeats < until * HEARTBEATS_AN_ENTRY:
            self.built.heartbeats += 1
            source, micros = f"panel:p-{self.chance.randrange(CITY.panels):02}", _micros(self.at)
            self.put("heartbeats", self.alarm.next(), source, micros, micros, "live")

    def end(self) -> None:
        """The desk's tables as they stand at the last entry."""
        for identity, (seq, value) in self.conditions.items():
            listed = value.active is not False or not value.acked
            self.put("conditions", identity, "xz", listed, value.incident, seq, _text(value))
        for incident, _ in self.open:
            self._save_incident(incident, self.told[incident.id])
        views: Mapping[str, Mapping[int, Any]] = {"camera": self.cameras, "panel": self.panels}
        for kind, held in views.items():
            for value in held.values():
                subject = f"{kind}:{value.id}"
                self.put("views", subject, kind, self.last.get(subject, 1), _text(value))
        for n in range(CITY.units):
            unit = Unit(
                id=f"u-{n:02}",
                name=f"苏C-{n:04}",
                place="xz",
                status=UnitStatus.AVAILABLE,
                link=UnitLink.ONLINE,
            )
            self.put("views", f"unit:{unit.id}", "unit", 1, _text(unit))
        for sender in (self.edge, self.alarm):
            self.put("senders", sender.name, sender.epoch, sender.seq, _micros(self.at), "")


def beginning(length: int, now: datetime) -> datetime:
    """When a log of that length that ends now began."""
    return now - timedelta(hours=length / PER_HOUR)


def build(url: str, length: int, now: datetime, head: int, last_hash: str) -> Built:
    """Goes on from entry `head`, with its hash, until there are about `length` entries; they end at `now`."""
    log = _Log(length, now, head, last_hash)
    began = time.perf_counter()
    with _writing(sa.make_url(url)) as write:
        while log.built.entries < length:
            _one_event(log)
            log.fixes(log.built.entries)
            if len(log.rows.get("entries", ())) >= CHUNK:
                _flush(log, write)
                _progress(log, began)
        log.end()
        _flush(log, write)
        _progress(log, began, ended=True)
    log.built.took_s = round(time.perf_counter() - began, 1)
    return log.built


def _one_event(log: _Log) -> None:
    kind = log.chance.random()
    if kind < 0.85:
        log.movement()
    elif kind < 0.95:
        log.arming()
    else:
        log.alarm_cycle()


def _flush(log: _Log, write: Write) -> None:
    for table, rows in log.rows.items():
        write(table, rows)
    log.rows = {}


def _progress(log: _Log, began: float, *, ended: bool = False) -> None:
    done, took = log.built.entries, time.perf_counter() - began
    filled = min(30, 30 * done // log.length)
    bar = "█" * filled + "·" * (30 - filled)
    words = f"\r{bar} {done:,} of {log.length:,} entries, {done / took:,.0f}/s"
    print(words, end="\n" if ended else "", file=sys.stderr, flush=True)


class _writing:  # noqa: N801 - reads as a verb where it is used
    """A way to put many rows into the database at `url`, whatever it is; commits at its end."""

    def __init__(self, url: sa.URL) -> None:
        self._url = url
        self._sqlite: sqlite3.Connection | None = None
        self._postgresql: psycopg.Connection[Any] | None = None
        self._columns = {
            table.name: [column.name for column in table.columns] for table in load_all().tables.values()
        }

    def __enter__(self) -> Write:
        if self._url.get_backend_name() == "sqlite":
            self._sqlite = sqlite3.connect(str(self._url.database), isolation_level=None)
            for pragma in ("synchronous=off", "journal_mode=off", "cache_size=-500000"):
                self._sqlite.execute(f"pragma {pragma}")
            self._sqlite.execute("begin")
            return self._into_sqlite
        plain = self._url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._postgresql = psycopg.connect(plain)
        return self._copy

    def __exit__(self, *_: object) -> None:
        if self._sqlite is not None:
            self._sqlite.execute("commit")
            self._sqlite.execute("pragma journal_mode=wal")
            self._sqlite.close()
            with Path(str(self._url.database)).open("rb") as file:
                os.fsync(file.fileno())  # so that what was filled in isn't written while others are measured
        if self._postgresql is not None:
            self._postgresql.commit()
            self._postgresql.autocommit = True
            self._postgresql.execute("vacuum analyze")
            self._postgresql.close()
            superuser = self._url.set(drivername="postgresql", username="postgres").render_as_string()
            with psycopg.connect(superuser, autocommit=True) as connection:
                connection.execute("checkpoint")

    def _into_sqlite(self, table: str, rows: list[Row]) -> None:
        assert self._sqlite is not None
        marks = ",".join("?" * len(rows[0]))
        names = ",".join(self._columns[table][: len(rows[0])])
        self._sqlite.executemany(f"insert into {table} ({names}) values ({marks})", rows)  # noqa: S608

    def _copy(self, table: str, rows: list[Row]) -> None:
        assert self._postgresql is not None
        names = ",".join(self._columns[table][: len(rows[0])])
        with self._postgresql.cursor().copy(f"copy {table} ({names}) from stdin") as copy:
            for row in rows:
                copy.write_row(row)


def _micros(at: datetime) -> int:
    """As `hub.store.tables.columns.Instant` stores it."""
    return (at - _EPOCH) // _MICROSECOND


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _condition(source: str, at: datetime) -> AlarmCondition:
    return AlarmCondition(
        id=f"{source}/zone:1/intrusion",
        source=source,
        point="zone:1",
        condition="intrusion",
        active=True,
        acked=False,
        since=at,
        device_at=None,
        count=1,
        label="后门",
        site=f"s-{source[-2:]}",
        place="xz",
    )


def _camera(number: int, now: datetime) -> CameraView:
    return CameraView(
        id=f"c-{number:02}",
        name=f"摄像机{number}",
        name_en=f"摄像机{number}",
        site=f"s-{number}",
        place="xz",
        lat=34.26,
        lon=117.19,
        bearing_deg=None,
        fov_deg=None,
        range_m=None,
        health=Health.ONLINE,
        since=now,
        reason="",
        motion=False,
        motion_at=None,
        still="",
        checkpoint="",
        onvif=False,
        events=Health.UNKNOWN,
        link_up=True,
    )


def _panel(number: int, now: datetime) -> PanelView:
    zone = ZoneView(point="zone:1", name="后门", name_en="后门", condition="intrusion", active=False)
    return PanelView(
        id=f"p-{number:02}",
        name=f"主机{number}",
        name_en=f"主机{number}",
        convention="homeassistant",
        site=f"s-{number}",
        place="xz",
        lat=34.26,
        lon=117.19,
        health=Health.ONLINE,
        since=now,
        reason="",
        armed="armed_away",
        heard_at=now,
        zones=(zone,),
        link_up=True,
    )
