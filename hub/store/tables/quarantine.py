"""What could not be decoded, raw, bounded in count and bytes."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table

from hub.store.tables import metadata
from hub.store.tables.columns import Instant

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("first_at", Instant, nullable=False, comment="hub's clock, µs since 1970 UTC"),
    Column("at", Instant, nullable=False, comment="when it last came, hub's clock, µs since 1970 UTC"),
    Column("times", Integer, nullable=False, comment="the same bytes from the same peer make one row"),
    Column("identity", String(64), nullable=False, comment="SHA-256 of protocol, peer and bytes"),
    Column("protocol", String(40), nullable=False),
    Column("peer", String(300), nullable=False),
    Column("reason", String(500), nullable=False),
    Column("raw", LargeBinary, nullable=False, comment="the first bytes"),
    Column("size", BigInteger, nullable=False, comment="bytes as they came"),
    Column("cause", String(40), nullable=False, server_default="", comment="the reason in one word"),
    Column("heard_at", Instant, nullable=True, comment="listener's clock, µs since 1970 UTC"),
    Column(
        "origin",
        String(120),
        nullable=False,
        server_default="",
        comment="who is behind the peer: shares one allowance",
    ),
    Column("replayed_at", Instant, nullable=True, comment="last tried again, hub's clock, µs since 1970 UTC"),
    Column("outcome", String(500), nullable=False, server_default="", comment="what trying again came to"),
    Index("ix_quarantine_identity", "identity", unique=True),
    Index("ix_quarantine_origin", "origin"),
)

dropped = Table(
    "quarantine_dropped",
    metadata,
    Column("protocol", String(40), primary_key=True),
    Column("dropped", BigInteger, nullable=False, comment="rows that made room, ever"),
)
