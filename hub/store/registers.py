"""Rows of the registers ⇄ their records, and bringing many rows up to date at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from sqlalchemy import Connection, Table, bindparam, delete, insert, select, update

from hub.domain.register import (
    ROOT,
    Camera,
    Checkpoint,
    Evidence,
    Installation,
    Panel,
    Place,
    Position,
    Road,
    Site,
    Tracker,
    Unit,
    Vehicle,
    Zone,
)
from hub.store.tables import registers as tables

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Held:
    """What is answered from memory: places, sites and everything that is connected."""

    places: dict[str, Place] = field(default_factory=dict)
    sites: dict[str, Site] = field(default_factory=dict)
    cameras: dict[str, Camera] = field(default_factory=dict)
    panels: dict[str, Panel] = field(default_factory=dict)
    units: dict[str, Unit] = field(default_factory=dict)
    trackers: dict[str, Tracker] = field(default_factory=dict)
    checkpoints: dict[str, Checkpoint] = field(default_factory=dict)
    roads: tuple[Road, ...] = ()
    sealed: dict[str, bytes] = field(default_factory=dict)
    """By camera id."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What coverage is computed from: everything ever registered, what was removed included."""

    places: dict[str, Place]
    sites: dict[str, Site]
    positions: dict[str, Position]
    cameras: dict[str, Camera]
    panels: dict[str, Panel]
    units: dict[str, Unit]
    trackers: dict[str, Tracker]
    checkpoints: dict[str, Checkpoint]
    vehicles: dict[str, Vehicle]
    installations: dict[str, Installation]
    evidence: tuple[Evidence, ...]


def held(connection: Connection) -> Held:
    """The registers as they stand, without what was removed."""
    sites = _records(connection, tables.sites, Site)
    return Held(
        places=_records(connection, tables.places, Place),
        sites=_live(sites),
        cameras=_live(_cameras(connection, sites)),
        panels=_live(_panels(connection, sites)),
        units=_live(_records(connection, tables.units, Unit)),
        trackers=_live(_records(connection, tables.trackers, Tracker)),
        checkpoints=_live(_checkpoints(connection, sites)),
        roads=_roads(connection),
        sealed={row.id: row.sealed for row in connection.execute(select(tables.cameras))},
    )


def counted(connection: Connection) -> Counted:
    """The registers with their evidence, what was removed included."""
    sites = _records(connection, tables.sites, Site)
    evidence = connection.execute(select(tables.evidence).order_by(tables.evidence.c.at))
    names = _columns_of(Evidence, tables.evidence)
    return Counted(
        places=_records(connection, tables.places, Place),
        sites=sites,
        positions=_records(connection, tables.positions, Position),
        cameras=_cameras(connection, sites),
        panels=_panels(connection, sites),
        units=_records(connection, tables.units, Unit),
        trackers=_records(connection, tables.trackers, Tracker),
        checkpoints=_checkpoints(connection, sites),
        vehicles=_records(connection, tables.vehicles, Vehicle),
        installations=_records(connection, tables.installations, Installation),
        evidence=tuple(Evidence(**{name: row[name] for name in names}) for row in evidence.mappings()),
    )


def root(connection: Connection) -> str:
    """The one place without a parent; `ROOT` where there is none, or more than one."""
    top = select(tables.places.c.id).where(tables.places.c.parent == "")
    found = connection.execute(top).scalars().all()
    return str(found[0]) if len(found) == 1 else ROOT


def row(connection: Connection, table: Table, identity: str) -> dict[str, Any] | None:
    """One row by its id, removed or not."""
    found = connection.execute(select(table).where(table.c.id == identity)).mappings().first()
    return dict(found) if found else None


def rows(connection: Connection, table: Table) -> dict[str, dict[str, Any]]:
    """All rows by their id, removed or not."""
    return {found["id"]: dict(found) for found in connection.execute(select(table)).mappings()}


def add(connection: Connection, table: Table, values: Mapping[str, Any]) -> None:
    """A new row."""
    connection.execute(insert(table), [dict(values)])


def change(connection: Connection, table: Table, identity: str, values: Mapping[str, Any]) -> None:
    """Columns of one row."""
    connection.execute(update(table).where(table.c.id == identity).values(dict(values)))


@dataclass(frozen=True, slots=True)
class Brought:
    """What bringing rows up to date did, by id."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    kept_removed: tuple[str, ...] = ()
    """Removed by a person, with a reason: no file brings them back."""


def bring(
    connection: Connection,
    table: Table,
    wanted: Iterable[Mapping[str, Any]],
    *,
    only_new: Mapping[str, Any] | None = None,
) -> Brought:
    """Inserts and updates so that each wanted row stands; `only_new` goes into new rows alone."""
    before = rows(connection, table)
    added: list[dict[str, Any]] = []
    changed: dict[str, Mapping[str, Any]] = {}
    kept: list[str] = []
    for values in wanted:
        known = before.get(values["id"])
        if known is None:
            added.append({**values, **(only_new or {})})
        elif known.get("until") is not None:
            kept.append(values["id"])
        elif any(known[name] != value for name, value in values.items()):
            changed[values["id"]] = values
    if added:
        connection.execute(insert(table), added)
    for group in _by_columns(changed.values()):
        _update_many(connection, table, group)
    return Brought(tuple(one["id"] for one in added), tuple(changed), tuple(kept))


def set_zones(connection: Connection, panel: str, wanted: Iterable[Mapping[str, Any]]) -> bool:
    """Makes `wanted` the panel's zones; whether that changed anything."""
    table = tables.zones
    order = select(table).where(table.c.panel == panel).order_by(table.c.ordinal)
    before = [dict(one) for one in connection.execute(order).mappings()]
    after = [{**one, "panel": panel, "ordinal": ordinal} for ordinal, one in enumerate(wanted)]
    if before == after:
        return False
    connection.execute(delete(table).where(table.c.panel == panel))
    if after:
        connection.execute(insert(table), after)
    return True


def add_evidence(connection: Connection, wanted: Iterable[Mapping[str, Any]]) -> int:
    """Stores evidence that isn't there yet (same source, rung and instant); how many were new."""
    table = tables.evidence
    known = {(one.source, one.rung, one.at) for one in connection.execute(select(table))}
    fresh: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    for one in wanted:
        key = (one["source"], one["rung"], one["at"])
        if key not in known:
            fresh.setdefault(key, one)
    if fresh:
        connection.execute(insert(table), [dict(one) for one in fresh.values()])
    return len(fresh)


def set_roads(connection: Connection, wanted: Iterable[Mapping[str, Any]]) -> bool:
    """Makes `wanted` the road register; whether that changed anything."""
    after = {one["id"]: dict(one) for one in wanted}
    before = rows(connection, tables.roads)
    if before == after:
        return False
    connection.execute(delete(tables.roads))
    if after:
        connection.execute(insert(tables.roads), list(after.values()))
    return True


def _by_columns(values: Iterable[Mapping[str, Any]]) -> Iterable[list[Mapping[str, Any]]]:
    groups: dict[frozenset[str], list[Mapping[str, Any]]] = {}
    for one in values:
        groups.setdefault(frozenset(one), []).append(one)
    return groups.values()


def _update_many(connection: Connection, table: Table, group: list[Mapping[str, Any]]) -> None:
    names = [name for name in group[0] if name != "id"]
    statement = update(table).where(table.c.id == bindparam("key"))
    statement = statement.values({name: bindparam(f"new_{name}", type_=table.c[name].type) for name in names})
    connection.execute(
        statement, [{"key": one["id"], **{f"new_{name}": one[name] for name in names}} for one in group]
    )


def _columns_of(kind: Any, table: Table) -> list[str]:
    return [one.name for one in fields(kind) if one.name in table.c]


def _records(connection: Connection, table: Table, kind: type[R]) -> dict[str, R]:
    names = _columns_of(kind, table)
    found = connection.execute(select(*(table.c[name] for name in names)).order_by(table.c.id))
    return {values[0]: kind(**dict(zip(names, values, strict=True))) for values in found}


def _live(records: dict[str, R]) -> dict[str, R]:
    return {key: one for key, one in records.items() if getattr(one, "until", None) is None}


def _placed(
    connection: Connection,
    table: Table,
    kind: Callable[..., R],
    sites: dict[str, Site],
    **more: dict[str, Any],
) -> dict[str, R]:
    """Records whose place is their site's, the root without one; `more`: further fields by id."""
    names = _columns_of(kind, table)
    found = connection.execute(select(*(table.c[name] for name in names)).order_by(table.c.id))
    top = root(connection)
    records: dict[str, R] = {}
    for values in found:
        known = dict(zip(names, values, strict=True))
        site = sites.get(known["site"])
        extra = {name: by_id.get(known["id"], ()) for name, by_id in more.items()}
        records[known["id"]] = kind(**known, **extra, place=site.place if site else top)
    return records


def _cameras(connection: Connection, sites: dict[str, Site]) -> dict[str, Camera]:
    return _placed(connection, tables.cameras, Camera, sites)


def _checkpoints(connection: Connection, sites: dict[str, Site]) -> dict[str, Checkpoint]:
    return _placed(connection, tables.checkpoints, Checkpoint, sites)


def _panels(connection: Connection, sites: dict[str, Site]) -> dict[str, Panel]:
    zones: dict[str, list[Zone]] = {}
    for one in connection.execute(select(tables.zones).order_by(tables.zones.c.ordinal)):
        zone = Zone(
            panel=one.panel,
            key=one.key,
            point=f"zone:{one.key}",
            name=one.name,
            name_en=one.name_en,
            condition=one.condition,
            position=one.position,
        )
        zones.setdefault(one.panel, []).append(zone)
    by_id = {panel: tuple(of_panel) for panel, of_panel in zones.items()}
    return _placed(connection, tables.panels, Panel, sites, zones=by_id)


def _roads(connection: Connection) -> tuple[Road, ...]:
    found = connection.execute(select(tables.roads).order_by(tables.roads.c.ordinal))
    return tuple(Road(name=one.name, road_class=one.road_class, geometry=one.geometry) for one in found)
