"""Changes of the registers: each a job of the store that leaves a REGISTER entry, no secret in it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Table, and_, select

from hub import enrolment
from hub.domain.entry import Draft, EntryKind
from hub.domain.register import Rung
from hub.enrolment import (
    Acceptance,
    AlreadyRegistered,
    CameraNew,
    NotRegistered,
    PanelNew,
    RegisterError,
    TrackerNew,
    UnitNew,
)
from hub.sealing import Sealer
from hub.store import registers as stored
from hub.store.engine import Transaction
from hub.store.tables import registers as tables

TABLES: dict[str, Table] = {
    "site": tables.sites,
    "position": tables.positions,
    "camera": tables.cameras,
    "panel": tables.panels,
    "unit": tables.units,
    "tracker": tables.trackers,
    "checkpoint": tables.checkpoints,
    "vehicle": tables.vehicles,
    "installation": tables.installations,
}
"""What can be removed, by the word the log uses for it."""

_ACCEPTED_BY = {
    "camera": ("video_seen",),
    "panel": ("alarm_tested",),
    "tracker": ("position_seen", "alarm_tested"),
}
"""Device → what must have been seen at 110; one of them is enough."""
MAX_REASON = 500


class CameraAccess(Struct, frozen=True, kw_only=True):
    """How to reach a camera. Sealed at rest; never logged, never answered."""

    rtsp_main: str = ""
    rtsp_sub: str = ""
    onvif: str = ""
    user: str = ""
    password: str = ""
    learned: bool = False
    """The RTSP addresses came from the camera itself, and may be replaced by what it says later."""

    def __repr__(self) -> str:
        return "CameraAccess(…)"


def add_camera(tx: Transaction, sealer: Sealer, new: CameraNew, actor: str) -> str:
    """Registers a camera; its id. Raises `RegisterError`."""
    enrolment.check_camera(new)
    identity = _free_id(tx, tables.cameras, new.id, "c")
    checkpoint = _known(tx, tables.checkpoints, "checkpoint", new.checkpoint)
    site = new.site or (checkpoint["site"] if checkpoint else "")
    new = replace(new, id=identity, site=site)
    place = _check_site(tx, new.site)
    _check_position(tx, "position", new.position, new.site)
    values = camera_values(new)
    sealed = seal(sealer, identity, access_of(new))
    stored.add(tx.connection, tables.cameras, {**values, "sealed": sealed, **fresh(tx, actor)})
    note(tx, "camera", identity, "added", place, actor, values)
    return identity


def learn_streams(tx: Transaction, sealer: Sealer, camera: str, main: str, sub: str) -> bool:
    """Fills in RTSP addresses that an ONVIF camera told; what a person entered stands. Whether it changed."""
    row = stored.row(tx.connection, tables.cameras, camera)
    if row is None or row["until"] is not None:
        raise NotRegistered("camera", f"there is no camera {camera}", f"没有摄像机 {camera}")
    access = unseal(sealer, camera, row["sealed"])
    if access.rtsp_main and not access.learned:
        return False
    for field, address in (("rtsp_main", main), ("rtsp_sub", sub)):
        enrolment.check_url(field, address, ("rtsp", "rtsps"))
    bare_main, bare_sub = (enrolment.without_credentials(address)[0] for address in (main, sub))
    learned = msgspec.structs.replace(access, rtsp_main=bare_main, rtsp_sub=bare_sub, learned=True)
    if not bare_main or learned == access:
        return False
    values = {"rtsp_main": enrolment.shown(main), "rtsp_sub": enrolment.shown(sub)}
    sealed = seal(sealer, camera, learned)
    stored.change(tx.connection, tables.cameras, camera, {**values, "sealed": sealed})
    note(tx, "camera", camera, "changed", _place_of_site(tx, row["site"]), "", {"id": camera, **values})
    return True


def add_panel(tx: Transaction, new: PanelNew, actor: str) -> str:
    """Registers a panel with its zones; its id. Raises `RegisterError`."""
    enrolment.check_panel(new)
    identity = _free_id(tx, tables.panels, new.id, "p")
    place = _check_site(tx, new.site)
    for index, zone in enumerate(new.zones):
        _check_position(tx, f"zones[{index}].position", zone.position, new.site)
    _free_address(tx, tables.panels, "topic", convention=new.convention, topic=new.topic)
    values = panel_values(replace(new, id=identity))
    zones = zone_values(new)
    stored.add(tx.connection, tables.panels, {**values, **fresh(tx, actor)})
    stored.set_zones(tx.connection, identity, zones)
    note(tx, "panel", identity, "added", place, actor, {**values, "zones": zones})
    return identity


def add_unit(tx: Transaction, new: UnitNew, actor: str) -> str:
    """Registers a dispatchable unit; its id. Raises `RegisterError`."""
    enrolment.check_unit(new)
    identity = _free_id(tx, tables.units, new.id, "u")
    place = _check_place(tx, new.place)
    _known(tx, tables.checkpoints, "checkpoint", new.checkpoint)
    values = unit_values(replace(new, id=identity, place=place))
    stored.add(tx.connection, tables.units, {**values, "since": None, **fresh(tx, actor)})
    note(tx, "unit", identity, "added", place, actor, values)
    return identity


def add_tracker(tx: Transaction, new: TrackerNew, actor: str) -> str:
    """Registers a terminal or phone, with a unit of its own where none is named; its id."""
    enrolment.check_tracker(new)
    identity = _free_id(tx, tables.trackers, new.id, "t")
    _free_address(tx, tables.trackers, "address", protocol=new.protocol, address=new.address)
    unit = new.unit
    if unit:
        place = _required(tx, tables.units, "unit", unit)["place"]
    else:
        unit = add_unit(tx, UnitNew(id=identity, name=new.name, place=new.place), actor)
        place = _check_place(tx, new.place)
    values = tracker_values(replace(new, id=identity, unit=unit))
    stored.add(tx.connection, tables.trackers, {**values, **fresh(tx, actor)})
    note(tx, "tracker", identity, "added", place, actor, values)
    return identity


def remove(tx: Transaction, what: str, identity: str, reason: str, actor: str) -> None:
    """Takes something out of its register; its row, the day and the reason stay. Raises `RegisterError`."""
    table = TABLES[what]
    row = _required(tx, table, what, identity)
    if not reason.strip():
        raise RegisterError(
            "reason", "is needed: what leaves a register leaves it for a reason", "移出登记册必须写明理由"
        )
    if len(reason) > MAX_REASON:
        raise RegisterError(
            "reason", f"has {len(reason)} characters, at most {MAX_REASON}", f"最多 {MAX_REASON} 个字符"
        )
    place = row["place"] if "place" in row else _place_of(tx, what, row)
    stored.change(tx.connection, table, identity, {"until": tx.now, "reason": reason})
    note(tx, what, identity, "removed", place, actor, {"id": identity, "name": row.get("name", "")}, reason)
    _remove_dependents(tx, what, row, reason, actor)


def _remove_dependents(tx: Transaction, what: str, row: Mapping[str, Any], reason: str, actor: str) -> None:
    """A unit takes its terminals along; a terminal the unit that was made for it and that nothing counts."""
    if what == "unit":
        table = tables.trackers
        of_unit = select(table.c.id).where(and_(table.c.unit == row["id"], table.c.until.is_(None)))
        for tracker in tx.connection.execute(of_unit).scalars().all():
            remove(tx, "tracker", tracker, reason, actor)
    elif what == "tracker":
        unit = stored.row(tx.connection, tables.units, row["unit"])
        if unit and unit["until"] is None and unit["id"] == row["id"] and unit["duty"] == "other":
            remove(tx, "unit", unit["id"], reason, actor)


def accept(tx: Transaction, source: str, acceptance: Acceptance, actor: str) -> None:
    """Evidence for rung L2, from a test on site that was seen at the desk. Raises `RegisterError`."""
    what, _, identity = source.partition(":")
    tested = _ACCEPTED_BY.get(what)
    if tested is None:
        raise RegisterError(
            "source", "is camera:…, panel:… or tracker:…", "应为 camera:…、panel:… 或 tracker:…"
        )
    if not any(getattr(acceptance, one) for one in tested):
        raise RegisterError(
            tested[0], f"must be true: without it a {what} isn't accepted", "没有这一项不能验收"
        )
    if len(acceptance.note) > MAX_REASON:
        raise RegisterError(
            "note",
            f"has {len(acceptance.note)} characters, at most {MAX_REASON}",
            f"最多 {MAX_REASON} 个字符",
        )
    row = _required(tx, TABLES[what], "source", identity)
    facts = msgspec.to_builtins(acceptance)
    stored.add_evidence(
        tx.connection,
        [
            {
                "source": source,
                "rung": Rung.ACCEPTED.value,
                "at": tx.now,
                "by": actor,
                "note": acceptance.note,
                "recorded_at": tx.now,
            }
        ],
    )
    note(tx, what, identity, "accepted", _place_of(tx, what, row), actor, {"id": identity, **facts})


def note(
    tx: Transaction,
    what: str,
    identity: str,
    action: str,
    place: str,
    actor: str,
    record: Mapping[str, Any],
    reason: str = "",
) -> None:
    """Appends the REGISTER entry of a change. `record` holds no secret."""
    body = {"what": what, "id": identity, "action": action, "record": msgspec.to_builtins(dict(record))}
    if reason:
        body["reason"] = reason
    draft = Draft(
        kind=EntryKind.REGISTER,
        subject=f"{what}:{identity}",
        place=place or root_in(tx),
        body=body,
        actor=actor,
    )
    tx.append(draft)


def root_in(tx: Transaction) -> str:
    """The root place as this job sees it."""
    return stored.root(tx.connection)


def fresh(tx: Transaction, actor: str) -> dict[str, Any]:
    """Columns of a device that has just been added."""
    return {"added_at": tx.now, "added_by": actor, "until": None, "reason": ""}


def access_of(new: CameraNew) -> CameraAccess:
    """Bare addresses, and the credentials: those entered, else the first found in an address."""
    parts = [enrolment.without_credentials(one) for one in (new.rtsp_main, new.rtsp_sub, new.onvif)]
    user, password = new.user, new.password
    for _, found_user, found_password in parts:
        if not user and found_user:
            user, password = found_user, found_password
    return CameraAccess(
        rtsp_main=parts[0][0], rtsp_sub=parts[1][0], onvif=parts[2][0], user=user, password=password
    )


def seal(sealer: Sealer, camera: str, access: CameraAccess) -> bytes:
    """`access` as the database holds it."""
    return sealer.seal(msgspec.json.encode(access), f"camera:{camera}")


def unseal(sealer: Sealer, camera: str, sealed: bytes) -> CameraAccess:
    """The other way. Raises `hub.sealing.SealBroken`."""
    return msgspec.json.decode(sealer.unseal(sealed, f"camera:{camera}"), type=CameraAccess)


def camera_values(new: CameraNew) -> dict[str, Any]:
    """A camera's columns, without what is sealed."""
    return {
        "id": new.id,
        "name": new.name,
        "name_en": new.name_en,
        "site": new.site,
        "position": new.position,
        "checkpoint": new.checkpoint,
        "lat": new.lat,
        "lon": new.lon,
        "bearing_deg": new.bearing_deg,
        "fov_deg": new.fov_deg,
        "range_m": new.range_m,
        "public_side": new.public_side,
        "onvif": enrolment.shown(new.onvif),
        "rtsp_main": enrolment.shown(new.rtsp_main),
        "rtsp_sub": enrolment.shown(new.rtsp_sub),
    }


def panel_values(new: PanelNew) -> dict[str, Any]:
    """A panel's columns."""
    return {
        "id": new.id,
        "name": new.name,
        "name_en": new.name_en,
        "site": new.site,
        "convention": new.convention,
        "topic": new.topic,
        "interval_s": new.interval_s,
        "lat": new.lat,
        "lon": new.lon,
        "public_side": new.public_side,
    }


def zone_values(new: PanelNew) -> list[dict[str, Any]]:
    """The columns of a panel's zones; an unnamed zone is shown under its key."""
    return [
        {
            "key": zone.key,
            "name": zone.name or zone.key,
            "name_en": zone.name_en,
            "condition": zone.condition,
            "position": zone.position,
        }
        for zone in new.zones
    ]


def unit_values(new: UnitNew) -> dict[str, Any]:
    """A unit's columns."""
    return {
        "id": new.id,
        "name": new.name,
        "name_en": new.name_en,
        "place": new.place,
        "area": str(new.area),
        "duty": str(new.duty),
        "checkpoint": new.checkpoint,
    }


def tracker_values(new: TrackerNew) -> dict[str, Any]:
    """A tracker's columns."""
    return {
        "id": new.id,
        "unit": new.unit,
        "protocol": new.protocol,
        "address": new.address,
        "interval_s": new.interval_s,
    }


def _free_id(tx: Transaction, table: Table, wanted: str, prefix: str) -> str:
    if not wanted:
        return f"{prefix}-{secrets.token_hex(4)}"
    row = stored.row(tx.connection, table, wanted)
    if row is not None:
        if row["until"] is None:
            raise AlreadyRegistered(
                "id", f"{wanted} is taken; choose another", f"{wanted} 已被占用，请换一个"
            )
        raise AlreadyRegistered(
            "id", f"{wanted} was used before and removed; choose another", f"{wanted} 用过并已移除，请换一个"
        )
    return wanted


def _free_address(tx: Transaction, table: Table, field: str, **columns: str) -> None:
    same = [table.c[name] == value for name, value in columns.items()]
    taken = tx.connection.execute(select(table.c.id).where(and_(table.c.until.is_(None), *same))).scalar()
    if taken is not None:
        raise AlreadyRegistered(field, f"already belongs to {taken}", f"已属于 {taken}")


def _known(tx: Transaction, table: Table, field: str, identity: str) -> dict[str, Any] | None:
    return _required(tx, table, field, identity) if identity else None


def _required(tx: Transaction, table: Table, field: str, identity: str) -> dict[str, Any]:
    row = stored.row(tx.connection, table, identity)
    if row is None or row.get("until") is not None:
        raise NotRegistered(field, f"{identity!r} isn't in the register", f"登记册里没有 {identity}")
    return row


def _check_site(tx: Transaction, site: str) -> str:
    row = _known(tx, tables.sites, "site", site)
    return str(row["place"]) if row else ""


def _check_place(tx: Transaction, place: str) -> str:
    if place and stored.row(tx.connection, tables.places, place) is None:
        raise NotRegistered("place", f"{place!r} isn't in the register", f"没有辖区 {place}")
    return place or root_in(tx)


def _check_position(tx: Transaction, field: str, position: str, site: str) -> None:
    row = _known(tx, tables.positions, field, position)
    if row is not None and row["site"] != site:
        raise RegisterError(
            field,
            f"{position} is a position of {row['site']}, not of {site or 'no site'}",
            f"{position} 是 {row['site']} 的部位",
        )


def _place_of_site(tx: Transaction, site: str) -> str:
    row = stored.row(tx.connection, tables.sites, site) if site else None
    return str(row["place"]) if row else ""


def _place_of(tx: Transaction, what: str, row: Mapping[str, Any]) -> str:
    if "place" in row:
        return str(row["place"])
    if what == "tracker":
        unit = stored.row(tx.connection, tables.units, row["unit"])
        return str(unit["place"]) if unit else ""
    return _place_of_site(tx, str(row.get("site", "")))
