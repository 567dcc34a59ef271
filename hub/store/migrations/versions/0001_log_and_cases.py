"""The log, the desk's state, fixes and quarantine."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the tables of `tables/log.py`, `cases.py`, `fixes.py`, `quarantine.py`."""
    op.create_table(
        "conditions",
        sa.Column("id", sa.String(length=300), nullable=False, comment="{source}/{point}/{condition}"),
        sa.Column("place", sa.String(length=100), nullable=False),
        sa.Column("listed", sa.Boolean(), nullable=False, comment="active or not yet acknowledged"),
        sa.Column("incident", sa.String(length=20), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False, comment="entry that last changed it"),
        sa.Column("body", sa.Text(), nullable=False, comment="hub.domain.condition.AlarmCondition as JSON"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conditions")),
    )
    op.create_index("ix_conditions_listed", "conditions", ["listed"], unique=False)
    op.create_table(
        "entries",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
            comment="from 1, no gaps, commit order",
        ),
        sa.Column("at", sa.BigInteger(), nullable=False, comment="hub's clock, µs since 1970 UTC"),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("subject", sa.String(length=300), nullable=False),
        sa.Column("place", sa.String(length=100), nullable=False),
        sa.Column("actor", sa.String(length=100), nullable=False),
        sa.Column("cause", sa.BigInteger(), nullable=True, comment="seq of the entry that led to this one"),
        sa.Column("late", sa.Boolean(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False, comment="canonical JSON, exactly as hashed"),
        sa.Column("hash", sa.String(length=64), nullable=False, comment="SHA-256, hex"),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_entries")),
    )
    op.create_index("ix_entries_subject_seq", "entries", ["subject", "seq"], unique=False)
    op.create_table(
        "heartbeats",
        sa.Column("id", sa.String(length=300), nullable=False, comment="Observation.id"),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("stored_at", sa.BigInteger(), nullable=False, comment="hub's clock, µs since 1970 UTC"),
        sa.Column("heard_at", sa.BigInteger(), nullable=False, comment="adapter's clock, µs since 1970 UTC"),
        sa.Column("lateness", sa.String(length=10), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_heartbeats")),
    )
    op.create_index("ix_heartbeats_source_stored_at", "heartbeats", ["source", "stored_at"], unique=False)
    op.create_table(
        "incidents",
        sa.Column("id", sa.String(length=20), nullable=False, comment="YYYY-MMDD-NNNN"),
        sa.Column("place", sa.String(length=100), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False, comment="1 to 4"),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False, comment="µs since 1970 UTC"),
        sa.Column("seq", sa.BigInteger(), nullable=False, comment="entry that last changed it"),
        sa.Column("body", sa.Text(), nullable=False, comment="hub.domain.incident.Incident as JSON"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incidents")),
    )
    op.create_index("ix_incidents_state_opened_at", "incidents", ["state", "opened_at"], unique=False)
    op.create_table(
        "observation_ids",
        sa.Column("id", sa.String(length=300), nullable=False, comment="Observation.id"),
        sa.Column("seq", sa.BigInteger(), nullable=False, comment="its log entry"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_observation_ids")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "positions",
        sa.Column("id", sa.String(length=300), nullable=False, comment="Observation.id"),
        sa.Column("source", sa.String(length=200), nullable=False, comment="tracker:{id}"),
        sa.Column("head", sa.BigInteger(), nullable=False, comment="log's last seq when it was stored"),
        sa.Column("stored_at", sa.BigInteger(), nullable=False, comment="hub's clock, µs since 1970 UTC"),
        sa.Column("heard_at", sa.BigInteger(), nullable=False, comment="adapter's clock, µs since 1970 UTC"),
        sa.Column("device_at", sa.BigInteger(), nullable=True, comment="device's clock, µs since 1970 UTC"),
        sa.Column("lateness", sa.String(length=10), nullable=False),
        sa.Column("lat", sa.Float(), nullable=False, comment="degrees, WGS-84"),
        sa.Column("lon", sa.Float(), nullable=False, comment="degrees, WGS-84"),
        sa.Column("datum", sa.String(length=20), nullable=False, comment="as sent"),
        sa.Column("valid", sa.Boolean(), nullable=False),
        sa.Column("doubt", sa.String(length=200), nullable=False),
        sa.Column("speed_kmh", sa.Float(), nullable=True),
        sa.Column("course_deg", sa.Float(), nullable=True),
        sa.Column("accuracy_m", sa.Float(), nullable=True),
        sa.Column("altitude_m", sa.Float(), nullable=True),
        sa.Column("serial", sa.String(length=60), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_positions")),
    )
    op.create_index("ix_positions_source_stored_at", "positions", ["source", "stored_at"], unique=False)
    op.create_table(
        "quarantine",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False, comment="hub's clock, µs since 1970 UTC"),
        sa.Column(
            "at",
            sa.BigInteger(),
            nullable=False,
            comment="when it last came, hub's clock, µs since 1970 UTC",
        ),
        sa.Column(
            "times",
            sa.Integer(),
            nullable=False,
            comment="the same bytes from the same peer make one row",
        ),
        sa.Column(
            "identity",
            sa.String(length=64),
            nullable=False,
            comment="SHA-256 of protocol, peer and bytes",
        ),
        sa.Column("protocol", sa.String(length=40), nullable=False),
        sa.Column("peer", sa.String(length=300), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False, comment="the first bytes"),
        sa.Column("size", sa.BigInteger(), nullable=False, comment="bytes as they came"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantine")),
    )
    op.create_index("ix_quarantine_identity", "quarantine", ["identity"], unique=True)
    op.create_table(
        "senders",
        sa.Column("sender", sa.String(length=100), nullable=False),
        sa.Column("epoch", sa.String(length=40), nullable=False),
        sa.Column(
            "seq", sa.BigInteger(), nullable=False, comment="everything of this epoch up to here is stored"
        ),
        sa.Column("at", sa.BigInteger(), nullable=False, comment="µs since 1970 UTC"),
        sa.PrimaryKeyConstraint("sender", "epoch", name=op.f("pk_senders")),
    )
    op.create_table(
        "views",
        sa.Column(
            "subject", sa.String(length=300), nullable=False, comment="unit:…, camera:…, panel:…, hub:parts"
        ),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False, comment="entry that last changed it"),
        sa.Column("body", sa.Text(), nullable=False, comment="the view as JSON"),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_views")),
    )
