"""What the hub knows of places, sites and devices: answered from memory, changed by jobs of the store."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import structlog

from hub import register_changes as changes
from hub.domain import sight
from hub.domain.entry import Entry, EntryKind
from hub.domain.register import ROOT, Camera, Checkpoint, Panel, Place, Road, Site, Tracker, Unit, Zone
from hub.enrolment import (
    Acceptance,
    AlreadyRegistered,
    CameraNew,
    NotRegistered,
    PanelNew,
    RegisterError,
    TrackerNew,
    UnitNew,
    ZoneNew,
)
from hub.register_changes import CameraAccess
from hub.sealing import SealBroken, Sealer
from hub.store import registers as stored
from hub.store.engine import Store, Transaction
from hub.store.registers import Held
from wire import work as wanted

if TYPE_CHECKING:
    from hub.site_import import Imported
    from hub.sitefile import SiteFile

__all__ = [
    "Acceptance",
    "AlreadyRegistered",
    "CameraAccess",
    "CameraNew",
    "Located",
    "NotRegistered",
    "PanelNew",
    "RegisterError",
    "Registers",
    "TrackerNew",
    "UnitNew",
    "ZoneNew",
]

log = structlog.get_logger(__name__)

NEAR_M = 1500.0
"""Beyond this a camera of another site shows nothing of what happens here."""

ChangeListener: TypeAlias = Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """Where a source or one of its points is, as registered."""

    place: str
    """Jurisdiction; the root place where the source is not registered."""
    place_name: str
    site: str
    """Empty where not registered."""
    site_name: str
    """A registered device that stands on no site goes by its own name."""
    site_name_en: str
    label: str
    label_en: str
    lat: float | None
    lon: float | None
    registered: bool


class Registers:
    """The registers as committed. Reads are from any thread; a change is seen after its commit."""

    def __init__(self, store: Store, sealer: Sealer) -> None:
        self._store = store
        self._sealer = sealer
        self._listeners: list[ChangeListener] = []
        self._lock = threading.Lock()
        self._head = -1
        self._version = 0
        self._held = Held()
        self._unit_of: dict[str, str] = {}
        self._load()
        store.on_commit(self._learn)

    @classmethod
    def load(cls, store: Store, key_file: Path) -> Registers:
        """The registers in `store`, with the key in `key_file` (made where there is none)."""
        return cls(store, Sealer.open(key_file))

    @property
    def version(self) -> int:
        """Counts the changes seen: equal numbers, equal registers and evidence."""
        return self._version

    @property
    def root(self) -> str:
        """The place above all others."""
        return _root(self._held.places)

    def place(self, identity: str) -> Place | None:
        """A place by its id; the root always exists."""
        found = self._held.places.get(identity)
        if found is None and identity == ROOT:
            return Place(id=ROOT, name="全部辖区", name_en="Everything", level="city")
        return found

    def site(self, identity: str) -> Site | None:
        """A site by its id."""
        return self._held.sites.get(identity)

    def camera(self, identity: str) -> Camera | None:
        """A camera by its id (without `camera:`)."""
        return self._held.cameras.get(identity)

    def panel(self, identity: str) -> Panel | None:
        """A panel by its id."""
        return self._held.panels.get(identity)

    def unit(self, identity: str) -> Unit | None:
        """A unit by its id."""
        return self._held.units.get(identity)

    def tracker(self, identity: str) -> Tracker | None:
        """A tracker by its id."""
        return self._held.trackers.get(identity)

    def checkpoint(self, identity: str) -> Checkpoint | None:
        """A checkpoint by its id."""
        return self._held.checkpoints.get(identity)

    def places(self) -> tuple[Place, ...]:
        """All places."""
        return tuple(self._held.places.values())

    def sites(self) -> tuple[Site, ...]:
        """All sites in the register now."""
        return tuple(self._held.sites.values())

    def cameras(self) -> tuple[Camera, ...]:
        """All cameras in the register now."""
        return tuple(self._held.cameras.values())

    def panels(self) -> tuple[Panel, ...]:
        """All panels in the register now."""
        return tuple(self._held.panels.values())

    def units(self) -> tuple[Unit, ...]:
        """All units in the register now."""
        return tuple(self._held.units.values())

    def trackers(self) -> tuple[Tracker, ...]:
        """All trackers in the register now."""
        return tuple(self._held.trackers.values())

    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """All checkpoints in the register now."""
        return tuple(self._held.checkpoints.values())

    def roads(self) -> tuple[Road, ...]:
        """The road register."""
        return self._held.roads

    def unit_of(self, tracker_source: str) -> str | None:
        """The unit that carries `tracker:{id}`."""
        return self._unit_of.get(tracker_source)

    def zone(self, source: str, point: str) -> Zone | None:
        """A registered zone of a panel."""
        panel = self._held.panels.get(source.removeprefix("panel:"))
        if panel is None or not source.startswith("panel:"):
            return None
        return next((zone for zone in panel.zones if zone.point == point), None)

    def within(self, place: str, ancestor: str) -> bool:
        """Whether `place` is `ancestor` or lies below it. Everything lies below the root."""
        if ancestor in (ROOT, self.root):
            return True
        places = self._held.places
        for _ in range(len(places) + 1):
            if place == ancestor:
                return True
            known = places.get(place)
            if known is None or not known.parent:
                return False
            place = known.parent
        return False

    def contains(self, outer: str, inner: str) -> bool:
        """`within` the other way round, as the decision point asks it."""
        return self.within(inner, outer)

    def locate(self, source: str, point: str = "") -> Located:
        """Where a source or its point is. The unregistered stand at the root place under their own name."""
        held = self._held
        what, _, identity = source.partition(":")
        if what == "camera" and (camera := held.cameras.get(identity)):
            return self._located(camera, camera.name, camera.name_en)
        if what == "panel" and (panel := held.panels.get(identity)):
            zone = self.zone(source, point)
            label, label_en = (zone.name, zone.name_en) if zone else (panel.name, panel.name_en)
            return self._located(panel, label, label_en)
        unit = held.units.get(self._unit_of.get(source, ""))
        if unit is not None:
            return self._at_place(unit.place, unit.name, unit.name_en, registered=True)
        ours = what in ("edge", "adapter", "hub")
        return self._at_place(self.root, identity or source, "", registered=ours)

    def cameras_near(self, site: str, lat: float | None, lon: float | None, limit: int = 4) -> list[str]:
        """Ids of cameras that may show it, best first: same site, looking there, nearest."""
        ranked: list[tuple[bool, bool, float, str]] = []
        for camera in self._held.cameras.values():
            same = bool(site) and camera.site == site
            away, looks = _away(camera, lat, lon)
            if same or away <= NEAR_M:
                ranked.append((not same, not looks, away, camera.id))
        return [one[3] for one in sorted(ranked)[:limit]]

    def camera_access(self, identity: str) -> CameraAccess:
        """Addresses and credentials. Raises `NotRegistered` or `hub.sealing.SealBroken`."""
        held = self._held
        if identity not in held.cameras:
            raise NotRegistered("camera", f"there is no camera {identity}", f"没有摄像机 {identity}")
        return changes.unseal(self._sealer, identity, held.sealed[identity])

    def work(self) -> tuple[wanted.CameraWork, wanted.PanelWork, wanted.TrackerWork]:
        """What the wings are to watch."""
        held = self._held
        cameras = tuple(one for one in map(self._camera_work, held.cameras.values()) if one)
        panels = tuple(_panel_work(panel) for panel in held.panels.values())
        trackers = tuple(_tracker_work(tracker) for tracker in held.trackers.values())
        return (
            wanted.CameraWork(cameras=cameras),
            wanted.PanelWork(panels=panels),
            wanted.TrackerWork(trackers=trackers),
        )

    def on_change(self, listener: ChangeListener) -> None:
        """Calls `listener()` after each committed change: writer thread, new state already visible."""
        self._listeners.append(listener)

    # Jobs for `store.submit`; each raises `RegisterError` and then leaves nothing behind.

    def add_camera(self, tx: Transaction, new: CameraNew, actor: str) -> str:
        """Registers a camera; its id."""
        tx.after_commit(self._refresh)
        return changes.add_camera(tx, self._sealer, new, actor)

    def add_panel(self, tx: Transaction, new: PanelNew, actor: str) -> str:
        """Registers a panel; its id."""
        tx.after_commit(self._refresh)
        return changes.add_panel(tx, new, actor)

    def add_unit(self, tx: Transaction, new: UnitNew, actor: str) -> str:
        """Registers a unit; its id."""
        tx.after_commit(self._refresh)
        return changes.add_unit(tx, new, actor)

    def add_tracker(self, tx: Transaction, new: TrackerNew, actor: str) -> str:
        """Registers a terminal or phone (and its unit where none is named); its id."""
        tx.after_commit(self._refresh)
        return changes.add_tracker(tx, new, actor)

    def remove(self, tx: Transaction, what: str, identity: str, reason: str, actor: str) -> None:
        """Removes anything of `hub.register_changes.TABLES`, with a reason."""
        tx.after_commit(self._refresh)
        changes.remove(tx, what, identity, reason, actor)

    def remove_camera(self, tx: Transaction, identity: str, reason: str, actor: str) -> None:
        """Removes a camera, with a reason."""
        self.remove(tx, "camera", identity, reason, actor)

    def remove_panel(self, tx: Transaction, identity: str, reason: str, actor: str) -> None:
        """Removes a panel, with a reason."""
        self.remove(tx, "panel", identity, reason, actor)

    def remove_unit(self, tx: Transaction, identity: str, reason: str, actor: str) -> None:
        """Removes a unit and its terminals, with a reason."""
        self.remove(tx, "unit", identity, reason, actor)

    def remove_tracker(self, tx: Transaction, identity: str, reason: str, actor: str) -> None:
        """Removes a terminal, with a reason; also the unit that was made for it and that no rate counts."""
        self.remove(tx, "tracker", identity, reason, actor)

    def learn_streams(self, tx: Transaction, camera_id: str, rtsp_main: str, rtsp_sub: str) -> bool:
        """RTSP addresses as an ONVIF camera told them; whether anything changed."""
        changed = changes.learn_streams(tx, self._sealer, camera_id, rtsp_main, rtsp_sub)
        if changed:
            tx.after_commit(self._refresh)
        return changed

    def accept(self, tx: Transaction, source: str, acceptance: Acceptance, actor: str) -> None:
        """Evidence for rung L2."""
        tx.after_commit(self._refresh)
        changes.accept(tx, source, acceptance, actor)

    def import_site(self, tx: Transaction, file: SiteFile, actor: str) -> Imported:
        """Brings the registers up to what `file` says. Raises `hub.sitefile.SiteFileError`."""
        from hub.site_import import import_site

        imported = import_site(tx, self._sealer, file, actor)
        if imported.anything:
            tx.after_commit(self._refresh)
        return imported

    def _refresh(self, head: int) -> None:
        if head == self._head:
            return
        self._head = head
        self._load()
        for listener in self._listeners:
            listener()

    def _learn(self, entries: Sequence[Entry]) -> None:
        """What cameras say of their own streams becomes a job of the next transaction."""
        for entry in entries:
            streams = _streams_told(entry)
            if streams is not None:
                done = self._store.enqueue(partial(self._learn_job, *streams))
                done.add_done_callback(partial(_note_refusal, streams[0]))

    def _learn_job(self, camera: str, main: str, sub: str, tx: Transaction) -> bool:
        return self.learn_streams(tx, camera, main, sub)

    def _load(self) -> None:
        held = self._store.query(stored.held)
        with self._lock:
            self._held = held
            self._unit_of = {f"tracker:{one.id}": one.unit for one in held.trackers.values()}
            self._version += 1

    def _located(self, device: Camera | Panel, label: str, label_en: str) -> Located:
        site = self._held.sites.get(device.site)
        place = self.place(device.place or self.root)
        return Located(
            place=place.id if place else self.root,
            place_name=place.name if place else "",
            site=device.site,
            site_name=site.name if site else device.name,
            site_name_en=site.name_en if site else device.name_en,
            label=label,
            label_en=label_en,
            lat=device.lat if device.lat is not None else (site.lat if site else None),
            lon=device.lon if device.lon is not None else (site.lon if site else None),
            registered=True,
        )

    def _at_place(self, identity: str, label: str, label_en: str, *, registered: bool) -> Located:
        place = self.place(identity)
        return Located(
            place=identity,
            place_name=place.name if place else "",
            site="",
            site_name="",
            site_name_en="",
            label=label,
            label_en=label_en,
            lat=None,
            lon=None,
            registered=registered,
        )

    def _camera_work(self, camera: Camera) -> wanted.Camera | None:
        try:
            access = self.camera_access(camera.id)
        except SealBroken as error:
            log.error("camera can't be watched", camera=camera.id, reason=str(error))
            return None
        return wanted.Camera(
            id=camera.id,
            rtsp_main=access.rtsp_main,
            rtsp_sub=access.rtsp_sub,
            onvif=access.onvif,
            user=access.user,
            password=access.password,
            checkpoint=bool(camera.checkpoint),
        )


def _streams_told(entry: Entry) -> tuple[str, str, str] | None:
    """Camera, main and sub address, where the entry is an ONVIF camera's facts that name them."""
    if entry.kind is not EntryKind.OBSERVATION or not entry.subject.startswith("camera:"):
        return None
    body = entry.body.get("body", {})
    if body.get("type") != "facts":
        return None
    detail = body.get("detail", {})
    main = detail.get("rtsp_main", "")
    return (entry.subject.removeprefix("camera:"), main, detail.get("rtsp_sub", "")) if main else None


def _note_refusal(camera: str, done: Future[bool]) -> None:
    error = done.exception()
    if error is not None:
        log.warning("stream addresses not taken over", camera=camera, reason=str(error))


def _root(places: Mapping[str, Place]) -> str:
    tops = [place.id for place in places.values() if not place.parent]
    return tops[0] if len(tops) == 1 else ROOT


def _away(camera: Camera, lat: float | None, lon: float | None) -> tuple[float, bool]:
    """Metres from the camera, and whether it looks there within its range."""
    if camera.lat is None or camera.lon is None or lat is None or lon is None:
        return float("inf"), False
    away = sight.distance_m(camera.lat, camera.lon, lat, lon)
    if camera.bearing_deg is None or camera.fov_deg is None:
        return away, False
    towards = sight.bearing_deg(camera.lat, camera.lon, lat, lon)
    in_range = camera.range_m is None or away <= camera.range_m
    return away, in_range and sight.looks_towards(camera.bearing_deg, camera.fov_deg, towards)


def _panel_work(panel: Panel) -> wanted.Panel:
    zones = tuple(
        wanted.Zone(point=zone.point, key=zone.key, condition=zone.condition) for zone in panel.zones
    )
    return wanted.Panel(
        id=panel.id,
        convention=panel.convention,
        topic=panel.topic,
        interval_s=panel.interval_s,
        zones=zones,
    )


def _tracker_work(tracker: Tracker) -> wanted.Tracker:
    return wanted.Tracker(
        id=tracker.id, protocol=tracker.protocol, address=tracker.address, interval_s=tracker.interval_s
    )
