"""High-rate observations: durable under the same identities, outside the log."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, String, Table

from hub.store.tables import metadata
from hub.store.tables.columns import Instant

positions = Table(
    "positions",
    metadata,
    Column("id", String(300), primary_key=True, comment="Observation.id"),
    Column("source", String(200), nullable=False, comment="tracker:{id}"),
    Column("head", BigInteger, nullable=False, comment="log's last seq when it was stored"),
    Column("stored_at", Instant, nullable=False, comment="hub's clock, µs since 1970 UTC"),
    Column("heard_at", Instant, nullable=False, comment="adapter's clock, µs since 1970 UTC"),
    Column("device_at", Instant, nullable=True, comment="device's clock, µs since 1970 UTC"),
    Column("lateness", String(10), nullable=False),
    Column("lat", Float, nullable=False, comment="degrees, WGS-84"),
    Column("lon", Float, nullable=False, comment="degrees, WGS-84"),
    Column("datum", String(20), nullable=False, comment="as sent"),
    Column("valid", Boolean, nullable=False),
    Column("doubt", String(200), nullable=False),
    Column("speed_kmh", Float, nullable=True),
    Column("course_deg", Float, nullable=True),
    Column("accuracy_m", Float, nullable=True),
    Column("altitude_m", Float, nullable=True),
    Column("serial", String(60), nullable=False),
    Index("ix_positions_source_stored_at", "source", "stored_at"),
)

heartbeats = Table(
    "heartbeats",
    metadata,
    Column("id", String(300), primary_key=True, comment="Observation.id"),
    Column("source", String(200), nullable=False),
    Column("stored_at", Instant, nullable=False, comment="hub's clock, µs since 1970 UTC"),
    Column("heard_at", Instant, nullable=False, comment="adapter's clock, µs since 1970 UTC"),
    Column("lateness", String(10), nullable=False),
    Index("ix_heartbeats_source_stored_at", "source", "stored_at"),
)
