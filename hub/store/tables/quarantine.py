"""What could not be decoded, raw, bounded in count and bytes."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table

from hub.store.tables import metadata
from hub.store.tables.columns import Instant

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Instant, nullable=False, comment="hub's clock, µs since 1970 UTC"),
    Column("identity", String(64), nullable=False, comment="SHA-256 of what came: a second delivery is none"),
    Column("protocol", String(40), nullable=False),
    Column("peer", String(300), nullable=False),
    Column("reason", String(500), nullable=False),
    Column("raw", LargeBinary, nullable=False, comment="the first bytes"),
    Column("size", BigInteger, nullable=False, comment="bytes as they came"),
    Index("ix_quarantine_identity", "identity", unique=True),
)
