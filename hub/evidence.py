"""Rungs from facts: what the registers and their evidence prove of each device, and the rates that follow."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

from hub.domain import coverage as rates
from hub.domain import targets
from hub.domain.coverage import Coverage, Device, Inventory, TargetDetail
from hub.domain.register import (
    Camera,
    DeviceType,
    Duty,
    Evidence,
    Installation,
    Panel,
    Rung,
    Tracker,
    Unit,
    Vehicle,
)
from hub.domain.targets import Pack
from hub.registers import Registers
from hub.store import registers as stored
from hub.store.engine import Store
from hub.store.registers import Counted


class NoSuchTarget(LookupError):
    """The pack has no target of that id."""


def load_pack(path: Path) -> Pack:
    """The targets in a file of `config/targets/`. Raises `hub.domain.targets.PackError`, `OSError`."""
    return targets.parse(path.read_text(encoding="utf-8"))


class Rates:
    """The rates of one pack over the registers as committed."""

    def __init__(self, store: Store, registers: Registers, pack: Pack) -> None:
        self.pack = pack
        self._store = store
        self._registers = registers
        self._lock = threading.Lock()
        self._version = -1
        self._inventory = Inventory()

    async def coverage(self, *, as_of: datetime, rung: Rung | None = None, place: str = "") -> Coverage:
        """Every target, over the members that lie in `place` (empty: everywhere)."""
        return await asyncio.to_thread(self._coverage, as_of, rung, place)

    async def target(
        self, identity: str, *, as_of: datetime, rung: Rung | None = None, place: str = ""
    ) -> TargetDetail:
        """One target with its members. Raises `NoSuchTarget`."""
        return await asyncio.to_thread(self._target, identity, as_of, rung, place)

    def _coverage(self, as_of: datetime, rung: Rung | None, place: str) -> Coverage:
        inventory = self.inventory()
        return rates.coverage(
            self.pack, inventory, as_of=as_of, rung=rung, seen=lambda at: self._seen(at, place)
        )

    def _target(self, identity: str, as_of: datetime, rung: Rung | None, place: str) -> TargetDetail:
        target = self.pack.target(identity)
        if target is None:
            raise NoSuchTarget(identity)
        inventory = self.inventory()
        return rates.detail(
            self.pack, target, inventory, as_of=as_of, rung=rung, seen=lambda at: self._seen(at, place)
        )

    def _seen(self, at: str, place: str) -> bool:
        return not place or self._registers.within(at, place)

    def inventory(self) -> Inventory:
        """The registers with each device's rungs; read again only after a change."""
        with self._lock:
            version = self._registers.version
            if version != self._version:
                self._inventory = inventory_of(self._store.query(stored.counted))
                self._version = version
            return self._inventory


def inventory_of(counted: Counted) -> Inventory:
    """What is counted, and what each device has evidence for."""
    evidence: dict[str, list[Evidence]] = {}
    for one in counted.evidence:
        evidence.setdefault(one.source, []).append(one)
    devices = [
        *(_camera(one, evidence.get(f"camera:{one.id}", ())) for one in counted.cameras.values()),
        *(_panel(one, evidence.get(f"panel:{one.id}", ())) for one in counted.panels.values()),
        *(
            _tracker(one, counted.units.get(one.unit), evidence.get(f"tracker:{one.id}", ()))
            for one in counted.trackers.values()
        ),
        *(
            _installation(one, evidence.get(f"installation:{one.id}", ()))
            for one in counted.installations.values()
        ),
    ]
    return Inventory(
        places=counted.places,
        sites=counted.sites,
        positions=counted.positions,
        checkpoints=counted.checkpoints,
        vehicles=_vehicles(counted),
        devices=tuple(devices),
    )


def _vehicles(counted: Counted) -> Mapping[str, Vehicle]:
    """Vehicles of the register, and units with a duty; a unit stands for the vehicle of the same id."""
    vehicles = dict(counted.vehicles)
    for unit in counted.units.values():
        if unit.duty != Duty.OTHER:
            vehicles[unit.id] = _as_vehicle(unit)
    return vehicles


def _as_vehicle(unit: Unit) -> Vehicle:
    return Vehicle(
        id=unit.id,
        name=unit.name,
        name_en=unit.name_en,
        place=unit.place,
        area=unit.area,
        duty=unit.duty,
        checkpoint=unit.checkpoint,
        since=unit.since,
        until=unit.until,
        reason=unit.reason,
    )


def _camera(camera: Camera, evidence: Iterable[Evidence]) -> Device:
    needed = {
        "site": camera.site,
        "lat": camera.lat,
        "lon": camera.lon,
        "bearing_deg": camera.bearing_deg,
        "fov_deg": camera.fov_deg,
        "range_m": camera.range_m,
    }
    lacking = tuple(name for name, value in needed.items() if value in (None, ""))
    return Device(
        source=f"camera:{camera.id}",
        name=camera.name,
        device_type=DeviceType.CCTV.value,
        site=camera.site,
        positions=frozenset([camera.position] if camera.position else []),
        checkpoint=camera.checkpoint,
        public_side=camera.public_side,
        reached=_reached(evidence, camera.added_at, lacking),
        incomplete=lacking,
        evidence=tuple(evidence),
        until=camera.until,
    )


def _panel(panel: Panel, evidence: Iterable[Evidence]) -> Device:
    needed = {"site": panel.site, "lat": panel.lat, "lon": panel.lon, "zones": panel.zones}
    lacking = tuple(name for name, value in needed.items() if value in (None, "", ()))
    return Device(
        source=f"panel:{panel.id}",
        name=panel.name,
        device_type=DeviceType.ALARM.value,
        site=panel.site,
        positions=frozenset(zone.position for zone in panel.zones if zone.position),
        public_side=panel.public_side,
        reached=_reached(evidence, panel.added_at, lacking),
        incomplete=lacking,
        evidence=tuple(evidence),
        until=panel.until,
    )


def _tracker(tracker: Tracker, unit: Unit | None, evidence: Iterable[Evidence]) -> Device:
    lacking = () if unit else ("unit",)
    return Device(
        source=f"tracker:{tracker.id}",
        name=unit.name if unit else tracker.id,
        device_type=DeviceType.TERMINAL.value,
        vehicle=tracker.unit,
        reached=_reached(evidence, tracker.added_at, lacking),
        incomplete=lacking,
        evidence=tuple(evidence),
        until=tracker.until,
    )


def _installation(one: Installation, evidence: Iterable[Evidence]) -> Device:
    """Known from paper alone: each rung stands only where its paper does."""
    return Device(
        source=f"installation:{one.id}",
        name=one.name,
        device_type=one.device_type,
        site=one.site,
        positions=frozenset([one.position] if one.position else []),
        checkpoint=one.checkpoint,
        vehicle=one.vehicle,
        public_side=one.public_side,
        reached=_earliest(evidence),
        evidence=tuple(evidence),
        until=one.until,
    )


def _reached(
    evidence: Iterable[Evidence], added_at: datetime, lacking: tuple[str, ...]
) -> dict[str, datetime]:
    """A device that stands in the register is declared by that; registered once its record lacks nothing."""
    reached = _earliest(evidence)
    implied = [Rung.DECLARED] if lacking else [Rung.DECLARED, Rung.REGISTERED]
    for rung in implied:
        reached[rung] = min(reached.get(rung, added_at), added_at)
    return reached


def _earliest(evidence: Iterable[Evidence]) -> dict[str, datetime]:
    """Rung → earliest evidence. Whatever an office puts on paper of a device declares it, at the latest."""
    reached: dict[str, datetime] = {}
    for one in evidence:
        for rung in (one.rung, Rung.DECLARED.value):
            reached[rung] = min(reached.get(rung, one.at), one.at)
    return reached
