"""The site file: places, sites, devices and their evidence as one JSON document, checked before import.

Unknown keys are refused. It speaks only of the ids it names: an import adds and updates, never removes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
from msgspec import Struct, field

from hub import enrolment
from hub.domain.register import (
    Area,
    CheckpointLevel,
    DeviceType,
    Duty,
    PlaceLevel,
    Rung,
    SiteClass,
)
from hub.enrolment import CameraNew, PanelNew, RegisterError, TrackerNew, UnitNew, ZoneNew

MAX_BYTES = 64 * 1024 * 1024
CHINA = timezone(timedelta(hours=8))
"""Asia/Shanghai: no daylight saving since 1991; a day without a zone is a day there."""


class SiteFileError(ValueError):
    """A site file that can't be imported: every fault found, each with its place in the file."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(self.faults[:20]))


class PlaceEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: str
    name: str
    name_en: str = ""
    level: PlaceLevel
    parent: str = ""


class SiteEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: str
    name: str
    name_en: str = ""
    site_class: SiteClass = field(name="class")
    area: Area = Area.URBAN
    place: str
    lat: float | None = None
    lon: float | None = None
    surveyed: bool = True
    since: str = ""
    """A day (`2006-04-28`, from its first instant in Asia/Shanghai) or an instant with its zone."""


class PositionEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: str
    site: str
    name: str
    name_en: str = ""
    street_front: bool = False
    surveyed: bool = True
    since: str = ""


class CameraEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: str
    name: str
    name_en: str = ""
    site: str = ""
    position: str = ""
    checkpoint: str = ""
    lat: float | None = None
    lon: float | None = None
    bearing_deg: float | None = None
    fov_deg: float | None = None
    range_m: float | None = None
    public_side: bool = False
    onvif: str = ""
    rtsp_main: str = ""
    rtsp_sub: str = ""
    user: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return f"CameraEntry(id={self.id!r})"

    def new(self) -> CameraNew:
        """As entered by hand."""
        return CameraNew(**msgspec.structs.asdict(self))


class ZoneEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    key: str
    name: str = ""
    name_en: str = ""
    condition: str = "intrusion"
    position: str = ""


class PanelEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: str
    name: str
    name_en: str = ""
    site: str = ""
    convention: str
    topic: str
    interval_s: float = 60.0
    lat: float | None = None
    lon: float | None = None
    public_side: bool = False
    zones: tuple[ZoneEntry, ...] = ()

    def new(self) -> PanelNew:
        """As entered by hand."""
        fields = msgspec.structs.asdict(self)
        fields["zones"] = tuple(ZoneNew(**msgspec.structs.asdict(zone)) for zone in self.zones)
        return PanelNew(**fields)


class TrackerEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    protocol: str
    address: str
    interval_s: float = 10.0


class UnitEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: str
    name: str
    name_en: str = ""
    place: str
    area: Area = Area.URBAN
    duty: Duty = Duty.PATROL_110
    checkpoint: str = ""
    since: str = ""
    tracker: TrackerEntry | None = None

    def new(self) -> UnitNew:
        """As entered by hand."""
        fields = msgspec.structs.asdict(self)
        del fields["tracker"], fields["since"]
        return UnitNew(**fields)

    def new_tracker(self) -> TrackerNew | None:
        """Its terminal, as entered by hand; it has the unit's id."""
        if self.tracker is None:
            return None
        return TrackerNew(id=self.id, unit=self.id, **msgspec.structs.asdict(self.tracker))


class CheckpointEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: str
    name: str
    name_en: str = ""
    level: CheckpointLevel
    tier: int | None = None
    site: str
    lat: float | None = None
    lon: float | None = None
    surveyed: bool = True
    since: str = ""


class VehicleEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: str
    name: str
    name_en: str = ""
    place: str
    area: Area = Area.URBAN
    duty: Duty
    checkpoint: str = ""
    surveyed: bool = True
    since: str = ""


class InstallationEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: str
    name: str
    name_en: str = ""
    type: DeviceType
    site: str = ""
    position: str = ""
    checkpoint: str = ""
    vehicle: str = ""
    public_side: bool = False


class EvidenceEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    source: str
    rung: Rung
    at: str
    """A day (its first instant in Asia/Shanghai) or an instant with its zone."""
    by: str
    note: str = ""


class RoadProperties(Struct, frozen=True, kw_only=True):
    """Other properties of a feature are left alone: a road file may come from elsewhere."""

    name: str = ""
    road_class: str = field(name="class", default="")


class RoadGeometry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    type: str
    coordinates: tuple[tuple[float, ...], ...]


class RoadFeature(Struct, frozen=True, kw_only=True):
    type: str
    properties: RoadProperties
    geometry: RoadGeometry


class Roads(Struct, frozen=True, kw_only=True):
    type: str = "FeatureCollection"
    features: tuple[RoadFeature, ...] = ()


class SiteFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole site file. Every section is optional."""

    note: str = ""
    """What the file is; shown at import, stored with it."""
    places: tuple[PlaceEntry, ...] = ()
    sites: tuple[SiteEntry, ...] = ()
    positions: tuple[PositionEntry, ...] = ()
    checkpoints: tuple[CheckpointEntry, ...] = ()
    cameras: tuple[CameraEntry, ...] = ()
    panels: tuple[PanelEntry, ...] = ()
    units: tuple[UnitEntry, ...] = ()
    vehicles: tuple[VehicleEntry, ...] = ()
    installations: tuple[InstallationEntry, ...] = ()
    evidence: tuple[EvidenceEntry, ...] = ()
    roads: Roads = Roads()


def parse(raw: bytes) -> SiteFile:
    """A site file from its bytes. Raises `SiteFileError` with every fault seen without a register."""
    if len(raw) > MAX_BYTES:
        raise SiteFileError([f"the file has {len(raw)} bytes, at most {MAX_BYTES} are read"])
    try:
        file = msgspec.json.decode(raw.removeprefix(b"\xef\xbb\xbf"), type=SiteFile)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SiteFileError([str(error)]) from error
    faults = list(_faults(file))
    if faults:
        raise SiteFileError(faults)
    return file


def instant(text: str) -> datetime | None:
    """A day or an instant as UTC; nothing for nothing. Raises `ValueError` naming the form."""
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is neither a day like 2006-12-31 nor an instant with its zone") from error
    if at.tzinfo is None and len(text) > len("2006-12-31"):
        raise ValueError(f"{text!r} has no zone; write it like 2006-12-31T08:00:00+08:00")
    return at.replace(tzinfo=at.tzinfo or CHINA).astimezone(UTC)


def _faults(file: SiteFile) -> Iterator[str]:
    for section in ("places", "sites", "positions", "checkpoints", "vehicles", "installations"):
        yield from _section_faults(section, getattr(file, section))
    for section in ("cameras", "panels", "units"):
        yield from _device_faults(section, getattr(file, section))
    for index, one in enumerate(file.evidence):
        if not one.at:
            yield f"evidence[{index}].at: is needed"
        yield from _instant_faults(f"evidence[{index}].at", one.at)
    yield from _road_faults(file.roads)


def _section_faults(section: str, items: tuple[Any, ...]) -> Iterator[str]:
    seen: set[str] = set()
    for index, item in enumerate(items):
        where = f"{section}[{index}]"
        yield from _twice(where, item.id, seen)
        try:
            enrolment.check_id("id", item.id)
            enrolment.check_names("", item.name, item.name_en)
            enrolment.check_point(getattr(item, "lat", None), getattr(item, "lon", None))
        except RegisterError as error:
            yield f"{where}.{error}"
        yield from _instant_faults(f"{where}.since", getattr(item, "since", ""))
        if section == "installations" and item.type is DeviceType.ANY:
            yield f"{where}.type: any is what a target asks for, an installation is one of the others"


def _device_faults(section: str, items: tuple[Any, ...]) -> Iterator[str]:
    seen: set[str] = set()
    for index, item in enumerate(items):
        where = f"{section}[{index}]"
        yield from _twice(where, item.id, seen)
        try:
            enrolment.check_id("id", item.id)
            _check_device(item)
        except RegisterError as error:
            yield f"{where}.{error}"
        yield from _instant_faults(f"{where}.since", getattr(item, "since", ""))


def _check_device(item: CameraEntry | PanelEntry | UnitEntry) -> None:
    match item:
        case CameraEntry():
            enrolment.check_camera(item.new())
        case PanelEntry():
            enrolment.check_panel(item.new())
        case UnitEntry():
            enrolment.check_unit(item.new())
            tracker = item.new_tracker()
            if tracker is not None:
                enrolment.check_tracker(tracker)


def _twice(where: str, identity: str, seen: set[str]) -> Iterator[str]:
    if identity in seen:
        yield f"{where}.id: {identity} is there twice"
    seen.add(identity)


def _instant_faults(where: str, text: str) -> Iterator[str]:
    try:
        instant(text)
    except ValueError as error:
        yield f"{where}: {error}"


def _road_faults(roads: Roads) -> Iterator[str]:
    for index, feature in enumerate(roads.features):
        geometry = feature.geometry
        where = f"roads.features[{index}].geometry"
        if geometry.type != "LineString":
            yield f"{where}.type: {geometry.type!r} is no LineString"
        elif len(geometry.coordinates) < 2 or any(len(point) < 2 for point in geometry.coordinates):
            yield f"{where}.coordinates: a line has at least two points of longitude and latitude"
