"""The current state of the desk: derived from the log, kept so that a start doesn't replay it."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, String, Table, Text

from hub.store.tables import metadata
from hub.store.tables.columns import Instant

conditions = Table(
    "conditions",
    metadata,
    Column("id", String(300), primary_key=True, comment="{source}/{point}/{condition}"),
    Column("place", String(100), nullable=False),
    Column("listed", Boolean, nullable=False, comment="active or not yet acknowledged"),
    Column("incident", String(20), nullable=False),
    Column("seq", BigInteger, nullable=False, comment="entry that last changed it"),
    Column("body", Text, nullable=False, comment="hub.domain.condition.AlarmCondition as JSON"),
    Index("ix_conditions_listed", "listed"),
)

incidents = Table(
    "incidents",
    metadata,
    Column("id", String(20), primary_key=True, comment="YYYY-MMDD-NNNN"),
    Column("place", String(100), nullable=False),
    Column("state", String(20), nullable=False),
    Column("priority", Integer, nullable=False, comment="1 to 4"),
    Column("version", Integer, nullable=False),
    Column("opened_at", Instant, nullable=False, comment="µs since 1970 UTC"),
    Column("seq", BigInteger, nullable=False, comment="entry that last changed it"),
    Column("body", Text, nullable=False, comment="hub.domain.incident.Incident as JSON"),
    Index("ix_incidents_state_opened_at", "state", "opened_at"),
)

views = Table(
    "views",
    metadata,
    Column("subject", String(300), primary_key=True, comment="unit:…, camera:…, panel:…, hub:parts"),
    Column("kind", String(20), nullable=False),
    Column("seq", BigInteger, nullable=False, comment="entry that last changed it"),
    Column("body", Text, nullable=False, comment="the view as JSON"),
)
