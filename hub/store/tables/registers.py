"""The registers: places, sites, positions, devices, checkpoints, vehicles, roads, and the evidence for them.

What is removed keeps its row, with `until` and the reason: a rate as of an earlier day still counts it.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Boolean, Column, Float, Index, Integer, LargeBinary, String, Table, Text

from hub.store.tables import metadata
from hub.store.tables.columns import Instant


def _named(identity: str) -> list[Column[Any]]:
    return [
        Column("id", String(64), primary_key=True, comment=identity),
        Column("name", String(120), nullable=False, comment="Chinese"),
        Column("name_en", String(120), nullable=False),
    ]


def _on_the_ground() -> list[Column[Any]]:
    return [
        Column("lat", Float, nullable=True, comment="degrees, WGS-84"),
        Column("lon", Float, nullable=True, comment="degrees, WGS-84"),
    ]


def _ending() -> list[Column[Any]]:
    return [
        Column("until", Instant, nullable=True, comment="removed: µs since 1970 UTC"),
        Column("reason", String(500), nullable=False, comment="why it was removed"),
    ]


def _counted() -> list[Column[Any]]:
    return [
        Column("surveyed", Boolean, nullable=False, comment="false: what stands there isn't known"),
        Column("since", Instant, nullable=True, comment="µs since 1970 UTC; null: always"),
        *_ending(),
    ]


def _added() -> list[Column[Any]]:
    return [
        Column("added_at", Instant, nullable=False, comment="hub's clock, µs since 1970 UTC"),
        Column("added_by", String(100), nullable=False, comment="person; empty: a site file"),
    ]


places = Table(
    "register_places",
    metadata,
    *_named("xz-yunlong"),
    Column("level", String(20), nullable=False, comment="hub.domain.register.PlaceLevel"),
    Column("parent", String(64), nullable=False, comment="place id; empty: the top"),
)

sites = Table(
    "register_sites",
    metadata,
    *_named("site id"),
    Column("site_class", String(20), nullable=False, comment="hub.domain.register.SiteClass"),
    Column("area", String(20), nullable=False, comment="hub.domain.register.Area"),
    Column("place", String(64), nullable=False, comment="place id"),
    *_on_the_ground(),
    *_counted(),
)

positions = Table(
    "register_positions",
    metadata,
    *_named("important position (重要部位)"),
    Column("site", String(64), nullable=False),
    Column("street_front", Boolean, nullable=False, comment="its devices must look out on the public side"),
    *_counted(),
)

cameras = Table(
    "register_cameras",
    metadata,
    *_named("camera id, without camera:"),
    Column("site", String(64), nullable=False, comment="empty: none"),
    Column("position", String(64), nullable=False),
    Column("checkpoint", String(64), nullable=False),
    *_on_the_ground(),
    Column("bearing_deg", Float, nullable=True, comment="degrees clockwise from north"),
    Column("fov_deg", Float, nullable=True, comment="degrees, horizontal"),
    Column("range_m", Float, nullable=True, comment="metres"),
    Column("public_side", Boolean, nullable=False, comment="sees a public street or square"),
    Column("onvif", String(512), nullable=False, comment="as shown: no credentials, no query"),
    Column("rtsp_main", String(512), nullable=False, comment="as shown: no credentials, no query"),
    Column("rtsp_sub", String(512), nullable=False, comment="as shown: no credentials, no query"),
    Column("sealed", LargeBinary, nullable=False, comment="addresses and credentials, AES-GCM"),
    *_added(),
    *_ending(),
)

panels = Table(
    "register_panels",
    metadata,
    *_named("panel id, without panel:"),
    Column("site", String(64), nullable=False, comment="empty: none"),
    Column("convention", String(32), nullable=False),
    Column("topic", String(256), nullable=False),
    Column("interval_s", Float, nullable=False, comment="seconds within which it should be heard"),
    *_on_the_ground(),
    Column("public_side", Boolean, nullable=False),
    *_added(),
    *_ending(),
)

zones = Table(
    "register_zones",
    metadata,
    Column("panel", String(64), primary_key=True),
    Column("key", String(120), primary_key=True, comment="the zone's name in the convention's topics"),
    Column("ordinal", Integer, nullable=False, comment="order on the panel, from 0"),
    Column("name", String(120), nullable=False),
    Column("name_en", String(120), nullable=False),
    Column("condition", String(40), nullable=False, comment="wire.observations.Condition"),
    Column("position", String(64), nullable=False),
)

units = Table(
    "register_units",
    metadata,
    *_named("unit id"),
    Column("place", String(64), nullable=False),
    Column("area", String(20), nullable=False),
    Column("duty", String(20), nullable=False, comment="hub.domain.register.Duty"),
    Column("checkpoint", String(64), nullable=False),
    Column("since", Instant, nullable=True, comment="µs since 1970 UTC; null: always"),
    *_added(),
    *_ending(),
)

trackers = Table(
    "register_trackers",
    metadata,
    Column("id", String(64), primary_key=True, comment="without tracker:"),
    Column("unit", String(64), nullable=False),
    Column("protocol", String(32), nullable=False),
    Column("address", String(120), nullable=False),
    Column("interval_s", Float, nullable=False, comment="seconds within which it should be heard"),
    *_added(),
    *_ending(),
)

checkpoints = Table(
    "register_checkpoints",
    metadata,
    *_named("checkpoint id"),
    Column("level", String(20), nullable=False, comment="hub.domain.register.CheckpointLevel"),
    Column("tier", Integer, nullable=True, comment="级"),
    Column("site", String(64), nullable=False),
    *_on_the_ground(),
    *_counted(),
)

vehicles = Table(
    "register_vehicles",
    metadata,
    *_named("vehicle id"),
    Column("place", String(64), nullable=False),
    Column("area", String(20), nullable=False),
    Column("duty", String(20), nullable=False, comment="hub.domain.register.Duty"),
    Column("checkpoint", String(64), nullable=False),
    *_counted(),
)

installations = Table(
    "register_installations",
    metadata,
    *_named("installation id, without installation:"),
    Column("device_type", String(20), nullable=False, comment="hub.domain.register.DeviceType"),
    Column("site", String(64), nullable=False),
    Column("position", String(64), nullable=False),
    Column("checkpoint", String(64), nullable=False),
    Column("vehicle", String(64), nullable=False),
    Column("public_side", Boolean, nullable=False),
    *_ending(),
)

evidence = Table(
    "register_evidence",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("source", String(100), nullable=False, comment="camera:…, panel:…, tracker:…, installation:…"),
    Column("rung", String(20), nullable=False, comment="hub.domain.register.Rung"),
    Column("at", Instant, nullable=False, comment="when it became true, µs since 1970 UTC"),
    Column("by", String(120), nullable=False),
    Column("note", String(500), nullable=False),
    Column("recorded_at", Instant, nullable=False, comment="when we knew, µs since 1970 UTC"),
    Index("ix_register_evidence_source_rung_at", "source", "rung", "at", unique=True),
)

roads = Table(
    "register_roads",
    metadata,
    Column("id", String(64), primary_key=True, comment="SHA-256 of the feature, hex"),
    Column("name", String(120), nullable=False),
    Column("road_class", String(40), nullable=False),
    Column("ordinal", Integer, nullable=False, comment="order in its file"),
    Column("geometry", Text, nullable=False, comment="GeoJSON LineString, WGS-84 lon, lat"),
)
