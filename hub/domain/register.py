"""What stands in the registers: places, sites, positions, devices, checkpoints, vehicles, evidence."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

ROOT = "root"
"""The place above all others where the register names no single one itself."""


class PlaceLevel(StrEnum):
    """Levels of the jurisdiction tree."""

    CITY = "city"
    DISTRICT = "district"
    COUNTY = "county"
    TOWN = "town"
    COMMUNITY = "community"


class SiteClass(StrEnum):
    """What a site is to the source documents (REQUIREMENTS.md 1.1): the population it is counted in."""

    MUNICIPAL_KEY = "municipal_key"
    """市级治安保卫重点单位"""
    COUNTY_KEY = "county_key"
    """县级治安保卫重点单位"""
    INTERNAL_UNIT = "internal_unit"
    """其他内部单位: any other unit with a tech-defence duty of its own."""
    CAMPUS = "campus"
    """学校、幼儿园"""
    MAIN_STREET = "main_street"
    """主要商业街道"""
    COMPOUND = "compound"
    """居民住宅小区"""
    MARKET = "market"
    """大中型集贸市场"""
    TOWN = "town"
    """镇(街道)"""
    VILLAGE = "village"
    """村"""
    CHECKPOINT = "checkpoint"
    """Ground on which a checkpoint stands; the checkpoint itself is what is counted."""
    MAIN_EXIT = "main_exit"
    """城市(含县城)主要出入口"""
    CROSSING = "crossing"
    """主要交通道口"""
    VITAL = "vital"
    """重点要害部位"""
    COMPLEX = "complex"
    """刑事案件多发的公共复杂场所"""
    OTHER = "other"
    """Counted nowhere."""


class Area(StrEnum):
    """The kind of settlement a site or vehicle belongs to; 城镇 is everything but `village`."""

    URBAN = "urban"
    """市区"""
    COUNTY_SEAT = "county_seat"
    """县城"""
    TOWN = "town"
    """镇"""
    VILLAGE = "village"
    """村"""


class CheckpointLevel(StrEnum):
    """Between what a checkpoint (卡口) stands; `main_exit` is a 查报站 at a city's or county seat's exit."""

    PROVINCIAL = "provincial"
    CITY = "city"
    COUNTY = "county"
    TOWNSHIP = "township"
    MAIN_EXIT = "main_exit"


class Duty(StrEnum):
    """What a vehicle is on the road for."""

    PATROL_110 = "patrol_110"
    """110巡逻车"""
    CHECKPOINT = "checkpoint"
    """A checkpoint's own vehicle."""
    OTHER = "other"


class DeviceType(StrEnum):
    """What a target asks for."""

    CCTV = "cctv"
    """电视监控"""
    ALARM = "alarm"
    """CK报警"""
    TERMINAL = "terminal"
    """车载台"""
    ANY = "any"
    """Any tech-defence facility (技防设施)."""


class Rung(StrEnum):
    """How far the evidence goes (REQUIREMENTS.md 2.1, L0 to L2). Each includes those before it."""

    DECLARED = "declared"
    REGISTERED = "registered"
    ACCEPTED = "accepted"


RUNGS = (Rung.DECLARED, Rung.REGISTERED, Rung.ACCEPTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A node of the jurisdiction tree."""

    id: str
    name: str
    name_en: str
    level: str
    """A `PlaceLevel`."""
    parent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A protected place (场所)."""

    id: str
    name: str
    name_en: str
    site_class: str
    """A `SiteClass`."""
    area: str
    """An `Area`."""
    place: str
    lat: float | None
    lon: float | None
    surveyed: bool = True
    """False: nobody has reported what stands there; what isn't proved counts as unknown."""
    since: datetime | None = None
    """When it began to belong to its class; None: always did."""
    until: datetime | None = None
    """When it ceased to; a removed site keeps its row and its reason."""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """An important position (重要部位) in a site."""

    id: str
    site: str
    name: str
    name_en: str
    street_front: bool = False
    """Its devices are required to look out on the public side."""
    surveyed: bool = True
    since: datetime | None = None
    until: datetime | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """A camera, without anything secret: addresses are shown without credentials and queries."""

    id: str
    name: str
    name_en: str
    site: str
    place: str
    position: str
    checkpoint: str
    lat: float | None
    lon: float | None
    bearing_deg: float | None
    fov_deg: float | None
    range_m: float | None
    public_side: bool
    """Its field of view reaches a public street or square."""
    onvif: str
    rtsp_main: str
    rtsp_sub: str
    added_at: datetime
    added_by: str
    until: datetime | None = None
    """When it was taken out of the register; its row and reason stay."""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """A zone (防区) of a panel."""

    panel: str
    key: str
    point: str
    """`zone:{key}`"""
    name: str
    name_en: str
    condition: str
    """A `wire.observations.Condition`."""
    position: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """An alarm panel."""

    id: str
    name: str
    name_en: str
    site: str
    place: str
    convention: str
    topic: str
    interval_s: float
    lat: float | None
    lon: float | None
    public_side: bool
    zones: tuple[Zone, ...]
    added_at: datetime
    added_by: str
    until: datetime | None = None
    """When it was taken out of the register; its row and reason stay."""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A dispatchable unit as registered; its state is the desk's."""

    id: str
    name: str
    name_en: str
    place: str
    area: str
    duty: str
    """A `Duty`; a unit with a duty is a vehicle of the populations of R9."""
    checkpoint: str
    since: datetime | None
    added_at: datetime
    added_by: str
    until: datetime | None = None
    """When it was taken out of the register; its row and reason stay."""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracker:
    """The terminal a unit carries."""

    id: str
    unit: str
    protocol: str
    address: str
    interval_s: float
    added_at: datetime
    added_by: str
    until: datetime | None = None
    """When it was taken out of the register; its row and reason stay."""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A checkpoint (卡口) or inspection-report station (查报站)."""

    id: str
    name: str
    name_en: str
    level: str
    """A `CheckpointLevel`."""
    tier: int | None
    """级; the source names 二级卡口 without defining it, so it is data."""
    site: str
    place: str
    lat: float | None
    lon: float | None
    surveyed: bool = True
    since: datetime | None = None
    until: datetime | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vehicle:
    """A vehicle that the register knows but that carries no terminal of ours (yet)."""

    id: str
    name: str
    name_en: str
    place: str
    area: str
    duty: str
    checkpoint: str
    surveyed: bool = True
    since: datetime | None = None
    until: datetime | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """A facility known from the register alone: not connected, counted as far as its evidence goes."""

    id: str
    name: str
    name_en: str
    device_type: str
    """A `DeviceType`, never `any`."""
    site: str
    position: str
    checkpoint: str
    vehicle: str
    public_side: bool
    until: datetime | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One document or act that carries a source up one rung."""

    id: int
    source: str
    rung: str
    at: datetime
    """When it became true in the world."""
    by: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Road:
    """A road's centre line."""

    name: str
    road_class: str
    geometry: str
    """GeoJSON LineString, WGS-84, longitude first."""
