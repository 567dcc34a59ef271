"""Brings the registers up to what a site file says: adds and updates, never removes; twice is as once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from sqlalchemy import Table

from hub import register_changes as changes
from hub.register_changes import fresh, note
from hub.sealing import SealBroken, Sealer
from hub.sitefile import SiteFile, SiteFileError, instant
from hub.store import registers as stored
from hub.store.engine import Transaction
from hub.store.registers import Brought
from hub.store.tables import registers as tables


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import did, by section: how many rows were added and changed."""

    added: dict[str, int]
    changed: dict[str, int]
    kept_removed: tuple[str, ...]
    """`camera:c-03`, …: named by the file, but removed by a person with a reason."""

    @property
    def anything(self) -> bool:
        """Whether the registers differ from before."""
        return bool(self.added or self.changed)


def import_site(tx: Transaction, sealer: Sealer, file: SiteFile, actor: str) -> Imported:
    """The job. Raises `SiteFileError` naming every reference that leads nowhere; then nothing is changed."""
    faults = list(_dangling(tx, file))
    if faults:
        raise SiteFileError(faults)
    brought = {
        "place": _bring(tx, tables.places, file.places),
        "site": _bring(tx, tables.sites, file.sites, **_UNREMOVED),
        "position": _bring(tx, tables.positions, file.positions, **_UNREMOVED),
        "checkpoint": _bring(tx, tables.checkpoints, file.checkpoints, **_UNREMOVED),
        "vehicle": _bring(tx, tables.vehicles, file.vehicles, **_UNREMOVED),
        "installation": _bring(tx, tables.installations, file.installations, **_UNREMOVED),
        "unit": _bring_units(tx, file, actor),
        "tracker": _bring_trackers(tx, file, actor),
        "camera": _bring_cameras(tx, sealer, file, actor),
        "panel": _bring_panels(tx, file, actor),
    }
    added = {what: len(one.added) for what, one in brought.items() if one.added}
    changed = {what: len(one.changed) for what, one in brought.items() if one.changed}
    added_evidence = stored.add_evidence(tx.connection, _evidence_rows(tx, file))
    if added_evidence:
        added["evidence"] = added_evidence
    if file.roads.features and stored.set_roads(tx.connection, _road_rows(file)):
        changed["road"] = len(file.roads.features)
    kept = tuple(f"{what}:{one}" for what, of in brought.items() for one in of.kept_removed)
    imported = Imported(added=added, changed=changed, kept_removed=kept)
    if imported.anything:
        _note_all(tx, file, brought, imported, actor)
    return imported


_UNREMOVED: dict[str, Any] = {"until": None, "reason": ""}
_RENAMED = {"type": "device_type"}


def _bring(tx: Transaction, table: Table, entries: tuple[Any, ...], **only_new: Any) -> Brought:
    return stored.bring(tx.connection, table, map(_values, entries), only_new=only_new)


def _values(entry: Any) -> dict[str, Any]:
    """An entry's fields as columns: instants read, words as plain text."""
    values: dict[str, Any] = {}
    for name, value in msgspec.structs.asdict(entry).items():
        column = _RENAMED.get(name, name)
        if name == "since":
            values[column] = instant(value)
        else:
            values[column] = str(value) if isinstance(value, str) else value
    return values


def _bring_units(tx: Transaction, file: SiteFile, actor: str) -> Brought:
    wanted = [{**changes.unit_values(unit.new()), "since": instant(unit.since)} for unit in file.units]
    return stored.bring(tx.connection, tables.units, wanted, only_new=fresh(tx, actor))


def _bring_trackers(tx: Transaction, file: SiteFile, actor: str) -> Brought:
    trackers = [unit.new_tracker() for unit in file.units]
    wanted = [changes.tracker_values(tracker) for tracker in trackers if tracker]
    return stored.bring(tx.connection, tables.trackers, wanted, only_new=fresh(tx, actor))


def _bring_cameras(tx: Transaction, sealer: Sealer, file: SiteFile, actor: str) -> Brought:
    before = stored.rows(tx.connection, tables.cameras) if file.cameras else {}
    wanted: list[dict[str, Any]] = []
    for entry in file.cameras:
        new = entry.new()
        values = changes.camera_values(new)
        known = before.get(entry.id)
        access = changes.access_of(new)
        if known is not None:
            access = _keep_learned(sealer, entry.id, known, values, access)
        unchanged = known is not None and _opens_to(sealer, entry.id, known["sealed"], access)
        values["sealed"] = known["sealed"] if known and unchanged else changes.seal(sealer, entry.id, access)
        wanted.append(values)
    return stored.bring(tx.connection, tables.cameras, wanted, only_new=fresh(tx, actor))


def _keep_learned(
    sealer: Sealer,
    camera: str,
    known: Mapping[str, Any],
    values: dict[str, Any],
    access: changes.CameraAccess,
) -> changes.CameraAccess:
    """A file with only the ONVIF address doesn't undo what the camera told, while that address stands."""
    if access.rtsp_main:
        return access
    try:
        before = changes.unseal(sealer, camera, known["sealed"])
    except SealBroken:
        return access
    if not before.learned or before.onvif != access.onvif:
        return access
    values.update(rtsp_main=known["rtsp_main"], rtsp_sub=known["rtsp_sub"])
    return msgspec.structs.replace(access, rtsp_main=before.rtsp_main, rtsp_sub=before.rtsp_sub, learned=True)


def _opens_to(sealer: Sealer, camera: str, sealed: bytes, access: changes.CameraAccess) -> bool:
    try:
        return changes.unseal(sealer, camera, sealed) == access
    except SealBroken:
        return False


def _bring_panels(tx: Transaction, file: SiteFile, actor: str) -> Brought:
    panels = [entry.new() for entry in file.panels]
    wanted = [changes.panel_values(panel) for panel in panels]
    brought = stored.bring(tx.connection, tables.panels, wanted, only_new=fresh(tx, actor))
    changed = set(brought.changed)
    for panel in panels:
        if panel.id in brought.kept_removed:
            continue
        rezoned = stored.set_zones(tx.connection, panel.id, changes.zone_values(panel))
        if rezoned and panel.id not in brought.added:
            changed.add(panel.id)
    return replace(brought, changed=tuple(sorted(changed)))


def _evidence_rows(tx: Transaction, file: SiteFile) -> Iterator[dict[str, Any]]:
    for one in file.evidence:
        yield {
            "source": one.source,
            "rung": one.rung.value,
            "at": instant(one.at),
            "by": one.by,
            "note": one.note,
            "recorded_at": tx.now,
        }


def _road_rows(file: SiteFile) -> Iterator[dict[str, Any]]:
    for ordinal, feature in enumerate(file.roads.features):
        geometry = msgspec.json.encode(feature.geometry)
        name = feature.properties.name
        identity = hashlib.sha256(str(ordinal).encode() + name.encode() + geometry).hexdigest()
        yield {
            "id": identity,
            "name": name[:120],
            "road_class": feature.properties.road_class[:40],
            "ordinal": ordinal,
            "geometry": geometry.decode(),
        }


def _note_all(
    tx: Transaction, file: SiteFile, brought: Mapping[str, Brought], imported: Imported, actor: str
) -> None:
    """One entry for each device that joined or changed, and one for the import as a whole."""
    for what in ("camera", "panel", "unit", "tracker"):
        names = {entry.id: entry.name for entry in getattr(file, f"{what}s", file.units)}
        places = _places_of(tx, what)
        for action, ids in (("added", brought[what].added), ("changed", brought[what].changed)):
            for identity in ids:
                record = {"id": identity, "name": names[identity]}
                note(tx, what, identity, action, places.get(identity, ""), actor, record)
    digest = hashlib.sha256(msgspec.json.encode(msgspec.structs.replace(file, cameras=()))).hexdigest()
    record = {"note": file.note, "added": imported.added, "changed": imported.changed}
    note(tx, "site_file", digest[:16], "imported", "", actor, record)


def _places_of(tx: Transaction, what: str) -> dict[str, str]:
    if what in ("unit", "tracker"):
        return {key: row["place"] for key, row in stored.rows(tx.connection, tables.units).items()}
    sites = stored.rows(tx.connection, tables.sites)
    devices = stored.rows(tx.connection, changes.TABLES[what])
    return {key: sites[row["site"]]["place"] for key, row in devices.items() if row["site"] in sites}


class _Known:
    """Ids that a reference may name: those of the file and those already registered."""

    def __init__(self, tx: Transaction, file: SiteFile) -> None:
        self.ids: dict[str, set[str]] = {"place": {one.id for one in file.places}}
        self.ids["place"] |= set(stored.rows(tx.connection, tables.places))
        for what, table in changes.TABLES.items():
            entries = getattr(file, f"{what}s", ())
            self.ids[what] = {one.id for one in entries} | set(stored.rows(tx.connection, table))
        self.ids["tracker"] |= {one.id for one in file.units if one.tracker}
        rows = stored.rows(tx.connection, tables.positions)
        self.site_of = {key: row["site"] for key, row in rows.items()}
        self.site_of |= {one.id: one.site for one in file.positions}
        self.parent = {key: row["parent"] for key, row in stored.rows(tx.connection, tables.places).items()}
        self.parent |= {one.id: one.parent for one in file.places}

    def faults(self, where: str, what: str, identity: str) -> Iterator[str]:
        """A fault where `identity` is given but not known."""
        if identity and identity not in self.ids[what]:
            yield f"{where}: there is no {what} {identity!r} in the file or the register"

    def position_faults(self, where: str, position: str, site: str) -> Iterator[str]:
        """As `faults`; also where the position belongs to another site."""
        yield from self.faults(where, "position", position)
        of = self.site_of.get(position)
        if of is not None and of != site:
            yield f"{where}: {position} is a position of {of}, not of {site or 'no site'}"


_REFERENCES = {
    "sites": (("place", "place"),),
    "positions": (("site", "site"),),
    "checkpoints": (("site", "site"),),
    "vehicles": (("place", "place"), ("checkpoint", "checkpoint")),
    "units": (("place", "place"), ("checkpoint", "checkpoint")),
    "cameras": (("site", "site"), ("checkpoint", "checkpoint")),
    "panels": (("site", "site"),),
    "installations": (("site", "site"), ("checkpoint", "checkpoint"), ("vehicle", "vehicle")),
}
"""Section → (its field, what that names)."""


def _dangling(tx: Transaction, file: SiteFile) -> Iterator[str]:
    known = _Known(tx, file)
    for section, references in _REFERENCES.items():
        for index, entry in enumerate(getattr(file, section)):
            for field, what in references:
                yield from known.faults(f"{section}[{index}].{field}", what, getattr(entry, field))
    for section in ("cameras", "installations"):
        for index, entry in enumerate(getattr(file, section)):
            yield from known.position_faults(f"{section}[{index}].position", entry.position, entry.site)
    for index, panel in enumerate(file.panels):
        for number, zone in enumerate(panel.zones):
            where = f"panels[{index}].zones[{number}].position"
            yield from known.position_faults(where, zone.position, panel.site)
    yield from _dangling_evidence(file, known)
    yield from _place_faults(file, known)


def _dangling_evidence(file: SiteFile, known: _Known) -> Iterator[str]:
    for index, one in enumerate(file.evidence):
        what, _, identity = one.source.partition(":")
        if what not in ("camera", "panel", "tracker", "installation"):
            yield f"evidence[{index}].source: is camera:…, panel:…, tracker:… or installation:…"
        else:
            yield from known.faults(f"evidence[{index}].source", what, identity)


def _place_faults(file: SiteFile, known: _Known) -> Iterator[str]:
    for index, place in enumerate(file.places):
        yield from known.faults(f"places[{index}].parent", "place", place.parent)
        seen = {place.id}
        above = place.parent
        while above:
            if above in seen:
                yield f"places[{index}].parent: {place.id} lies below itself"
                break
            seen.add(above)
            above = known.parent.get(above, "")
