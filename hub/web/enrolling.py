"""Devices as the API shows them, and changes of the registers: each with its audit row in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeVar

from hub.access import Right, may_accept_own_work, rights_of
from hub.domain.entry import EntryKind
from hub.domain.unit import Unit, UnitLink
from hub.enrolment import (
    Acceptance,
    AlreadyRegistered,
    CameraNew,
    NotRegistered,
    PanelNew,
    RegisterError,
    TrackerNew,
    ZoneNew,
)
from hub.site_import import Imported
from hub.sitefile import SiteFile, SiteFileError
from hub.store import audit as audit_rows
from hub.store import log as log_rows
from hub.store.engine import Transaction
from hub.web import models
from hub.web.context import Hub, act_of
from hub.web.guard import Caller
from hub.web.problems import ApiProblem

T = TypeVar("T")
What = Literal["added", "removed", "accepted"]


async def devices_for(hub: Hub, caller: Caller) -> models.Devices:
    """Everything in the caller's jurisdiction."""
    state = hub.desk.snapshot()
    units = {unit.id: unit for unit in state.units}
    return models.Devices(
        cameras=tuple(one for one in state.cameras if hub.may_see(caller, one.place)),
        panels=tuple(one for one in state.panels if hub.may_see(caller, one.place)),
        trackers=tuple(one for one in _trackers(hub, units) if hub.may_see(caller, one.place)),
        field_address=hub.field_address if Right.DEVICES_CHANGE in rights_of(caller.person) else "",
    )


def _trackers(hub: Hub, units: dict[str, Unit]) -> list[models.TrackerView]:
    views = [
        _tracker(one.id, one.unit, one.protocol, one.address, units.pop(one.unit, None), hub)
        for one in hub.registers.trackers()
    ]
    # What is left speaks, but nobody has registered it.
    unknown = [unit for unit in units.values() if hub.registers.unit(unit.id) is None]
    return views + [_tracker(unit.id, "", "", "", unit, hub) for unit in unknown]


def _tracker(
    identity: str, unit_id: str, protocol: str, address: str, unit: Unit | None, hub: Hub
) -> models.TrackerView:
    where = hub.registers.locate(f"tracker:{identity}")
    return models.TrackerView(
        id=identity,
        unit=unit_id,
        name=unit.name if unit else where.label,
        place=unit.place if unit else where.place,
        protocol=protocol,
        address=address,
        registered=bool(protocol),
        link=unit.link if unit else UnitLink.UNKNOWN,
        heard_at=unit.heard_at if unit else None,
        fix_at=unit.fix_at if unit else None,
    )


async def add_camera(hub: Hub, caller: Caller, asked: models.NewCamera) -> models.Registered:
    """Registers a camera where the caller may."""
    place = await _place_of_site(hub, caller, asked.site)
    new = CameraNew(**asked.model_dump())
    added = await _change(
        hub,
        caller,
        "device.add",
        "camera",
        place,
        lambda tx: hub.registers.add_camera(tx, new, caller.person.name),
    )
    return models.Registered(source=f"camera:{added}", action="added")


async def add_panel(hub: Hub, caller: Caller, asked: models.NewPanel) -> models.Registered:
    """Registers a panel where the caller may."""
    place = await _place_of_site(hub, caller, asked.site)
    zones = tuple(ZoneNew(**zone.model_dump()) for zone in asked.zones)
    new = PanelNew(**{**asked.model_dump(exclude={"zones"}), "zones": zones})
    added = await _change(
        hub,
        caller,
        "device.add",
        "panel",
        place,
        lambda tx: hub.registers.add_panel(tx, new, caller.person.name),
    )
    return models.Registered(source=f"panel:{added}", action="added")


async def add_tracker(hub: Hub, caller: Caller, asked: models.NewTracker) -> models.Registered:
    """Registers a tracker where the caller may."""
    unit = hub.registers.unit(asked.unit) if asked.unit else None
    place = (unit.place if unit else asked.place) or hub.registers.root
    await _require_inside(hub, caller, place, "place")
    new = TrackerNew(**asked.model_dump())
    added = await _change(
        hub,
        caller,
        "device.add",
        "tracker",
        place,
        lambda tx: hub.registers.add_tracker(tx, new, caller.person.name),
    )
    return models.Registered(source=f"tracker:{added}", action="added")


async def remove(hub: Hub, caller: Caller, source: str, reason: str) -> models.Registered:
    """Takes a device out of the register."""
    place = await _device_place(hub, caller, source)
    what, _, identity = source.partition(":")

    def job(tx: Transaction) -> str:
        hub.registers.remove(tx, what, identity, reason, caller.person.name)
        return identity

    await _change(hub, caller, "device.remove", what, place, job, reason=reason)
    return models.Registered(source=source, action="removed")


async def accept(hub: Hub, caller: Caller, source: str, asked: models.Accepting) -> models.Registered:
    """Adds evidence for rung L2. An installer needs somebody else's registration for it."""
    place = await _device_place(hub, caller, source)
    if not may_accept_own_work(caller.person):
        await _require_others_work(hub, caller, source)
    acceptance = Acceptance(**asked.model_dump())
    what, _, identity = source.partition(":")

    def job(tx: Transaction) -> str:
        hub.registers.accept(tx, source, acceptance, caller.person.name)
        return identity

    await _change(hub, caller, "device.accept", what, place, job, reason=asked.note)
    return models.Registered(source=source, action="accepted")


def _added_by(hub: Hub, source: str) -> str:
    """Who registered a device; empty: a site file."""
    kind, _, identity = source.partition(":")
    registers = hub.registers
    found = {"camera": registers.camera, "panel": registers.panel, "tracker": registers.tracker}
    device = found[kind](identity) if kind in found else None
    return device.added_by if device else ""


async def _require_others_work(hub: Hub, caller: Caller, source: str) -> None:
    entries = await hub.store.read(lambda connection: log_rows.about(connection, [source]))
    added = [one for one in entries if one.kind is EntryKind.REGISTER and one.body.get("action") == "added"]
    # A device that has said much has pushed that entry out of what is read: the register remembers who.
    by = added[-1].actor if added else _added_by(hub, source)
    if by == caller.person.name:
        await hub.denied(caller, Right.DEVICES_ACCEPT, source, "registered by the same person")
        raise ApiProblem(
            "own_work",
            "这台设备由你登记，请由另一名施工员或检查员验收。",
            "You registered this device: another installer or an inspector has to accept it.",
        )


async def import_site(hub: Hub, caller: Caller, file: SiteFile) -> Imported:
    """Brings the registers up to what a file says. It may speak of any place, so only for the whole tree."""
    await _require_inside(hub, caller, hub.registers.root, "place")

    def job(tx: Transaction) -> Imported:
        imported = hub.registers.import_site(tx, file, caller.person.name)
        audit_rows.append(tx, act_of(caller, "register.import", "sitefile", place=hub.registers.root))
        return imported

    try:
        return await hub.store.submit(job)
    except SiteFileError as error:
        raise file_problem(error) from error


def file_problem(error: SiteFileError) -> ApiProblem:
    """Every fault that was found, as far as a screen holds them."""
    listed = "; ".join(error.faults[:20])
    more = len(error.faults) - 20
    rest = f" (+{more})" if more > 0 else ""
    return ApiProblem("invalid", f"文件有误,未导入:{listed}{rest}", f"Not imported: {listed}{rest}")


async def _change(
    hub: Hub,
    caller: Caller,
    action: str,
    what: str,
    place: str,
    job: Callable[[Transaction], str],
    *,
    reason: str = "",
) -> str:
    def audited(tx: Transaction) -> str:
        identity = job(tx)
        audit_rows.append(tx, act_of(caller, action, f"{what}:{identity}", place=place, reason=reason))
        return identity

    try:
        return await hub.store.submit(audited)
    except AlreadyRegistered as error:
        raise ApiProblem("exists", _zh(error), str(error), field=error.field) from error
    except NotRegistered as error:
        raise ApiProblem("not_found", _zh(error), str(error), field=error.field) from error
    except RegisterError as error:
        raise ApiProblem("invalid", _zh(error), str(error), field=error.field) from error


def _zh(error: RegisterError) -> str:
    return f"{error.field}:{error.reason_zh}"


async def _place_of_site(hub: Hub, caller: Caller, site_id: str) -> str:
    site = hub.registers.site(site_id) if site_id else None
    if site_id and site is None:
        raise ApiProblem("invalid", f"没有场所 {site_id}。", f"There is no site {site_id}.", field="site")
    place = (site.place if site else "") or hub.registers.root
    await _require_inside(hub, caller, place, "site")
    return place


async def _require_inside(hub: Hub, caller: Caller, place: str, field: str) -> None:
    if hub.may_see(caller, place):
        return
    await hub.denied(caller, None, f"register at {place}", f"{place} is outside {caller.person.place}")
    raise ApiProblem("forbidden", "不在您的管辖范围内。", "That lies outside your jurisdiction.", field=field)


async def _device_place(hub: Hub, caller: Caller, source: str) -> str:
    what, _, identity = source.partition(":")
    known = {
        "camera": hub.registers.camera,
        "panel": hub.registers.panel,
        "tracker": hub.registers.tracker,
    }.get(what)
    found = known is not None and known(identity) is not None
    place = hub.registers.locate(source).place if found else None
    await hub.require_seen(caller, place, source)
    return place or ""
