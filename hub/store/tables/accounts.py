"""People, their sessions, the audit log, and whose evidence pictures are."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, String, Table, Text

from hub.store.tables import metadata
from hub.store.tables.columns import Instant, Number

people = Table(
    "people",
    metadata,
    Column("name", String(64), primary_key=True, comment="sign-in name"),
    Column("display_name", String(120), nullable=False),
    Column("roles", Text, nullable=False, comment="JSON array of hub.access.Role"),
    Column("place", String(100), nullable=False, comment="root of the person's jurisdiction"),
    Column("password_hash", String(200), nullable=False, comment="argon2id, PHC string"),
    Column("disabled", Boolean, nullable=False),
    Column("created_at", Instant, nullable=False, comment="µs since 1970 UTC"),
    Column("created_by", String(64), nullable=False),
    Column("signed_in_at", Instant, nullable=True, comment="last sign-in, µs since 1970 UTC"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("token_hash", String(64), primary_key=True, comment="SHA-256 of the cookie's token, hex"),
    Column("id", String(16), nullable=False, comment="public short name of the console in logs"),
    Column("person", String(64), nullable=False),
    Column("address", String(64), nullable=False),
    Column("created_at", Instant, nullable=False, comment="µs since 1970 UTC"),
    Column("seen_at", Instant, nullable=False, comment="last use, to the minute"),
    Column("expires_at", Instant, nullable=False, comment="µs since 1970 UTC"),
    Index("ix_sessions_person", "person"),
    Index("ix_sessions_expires_at", "expires_at"),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", Number, primary_key=True, autoincrement=False, comment="from 1, no gaps"),
    Column("at", Instant, nullable=False, comment="hub's clock, µs since 1970 UTC"),
    Column("person", String(64), nullable=False, comment="empty: nobody was signed in"),
    Column("place", String(100), nullable=False, comment="jurisdiction of the object, else of the person"),
    Column("action", String(60), nullable=False),
    Column("object", String(300), nullable=False),
    Column("reason", Text, nullable=False),
    Column("outcome", String(300), nullable=False, comment="ok, or why it was denied or failed"),
    Column("address", String(64), nullable=False),
    Column("console", String(16), nullable=False, comment="sessions.id"),
    Column("hash", String(64), nullable=False, comment="SHA-256 over the previous hash and this row, hex"),
    Index("ix_audit_person_seq", "person", "seq"),
    Index("ix_audit_object_seq", "object", "seq"),
)

stills = Table(
    "stills",
    metadata,
    Column("hash", String(64), primary_key=True, comment="SHA-256 of the picture, hex"),
    Column("place", String(100), primary_key=True, comment="jurisdiction of an entry that shows it"),
    Column("seq", BigInteger, nullable=False, comment="that entry"),
    Column("subject", String(300), nullable=False, comment="what that entry is about"),
    Index("ix_stills_seq", "seq"),
)
