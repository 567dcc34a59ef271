"""The log: entries in commit order, identities already stored, and where each sender stands."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, String, Table, Text

from hub.store.tables import metadata
from hub.store.tables.columns import Instant, Number

entries = Table(
    "entries",
    metadata,
    Column("seq", Number, primary_key=True, autoincrement=False, comment="from 1, no gaps, commit order"),
    Column("at", Instant, nullable=False, comment="hub's clock, µs since 1970 UTC"),
    Column("kind", String(20), nullable=False),
    Column("subject", String(300), nullable=False),
    Column("place", String(100), nullable=False),
    Column("actor", String(100), nullable=False),
    Column("cause", BigInteger, nullable=True, comment="seq of the entry that led to this one"),
    Column("late", Boolean, nullable=False),
    Column("body", Text, nullable=False, comment="canonical JSON, exactly as hashed"),
    Column("hash", String(64), nullable=False, comment="SHA-256, hex"),
    Index("ix_entries_subject_seq", "subject", "seq"),
)

observation_ids = Table(
    "observation_ids",
    metadata,
    Column("id", String(300), primary_key=True, comment="Observation.id"),
    Column("seq", BigInteger, nullable=False, comment="its log entry"),
    sqlite_with_rowid=False,
)

senders = Table(
    "senders",
    metadata,
    Column("sender", String(100), primary_key=True),
    Column("epoch", String(40), primary_key=True),
    Column("seq", BigInteger, nullable=False, comment="everything of this epoch up to here is stored"),
    Column("at", Instant, nullable=False, comment="µs since 1970 UTC"),
    Column("beyond", Text, nullable=False, server_default="", comment="stored beyond a gap: 7-9,12-12"),
)

pruned = Table(
    "pruned",
    metadata,
    Column("first", Number, primary_key=True, autoincrement=False, comment="first entry deleted"),
    Column("last", Number, nullable=False, comment="last entry deleted, in one run without a gap"),
    Column("hash", String(64), nullable=False, comment="hash of `last`: the chain goes on from it"),
    Column("at", Instant, nullable=False, comment="when, hub's clock, µs since 1970 UTC"),
)

commits = Table(
    "commits",
    metadata,
    Column("n", Number, primary_key=True, autoincrement=False, comment="the latest transactions that stand"),
    Column("writer", String(32), nullable=False, comment="which opening of the store made it"),
)
