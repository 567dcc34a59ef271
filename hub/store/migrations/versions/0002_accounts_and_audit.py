"""People, sessions, the audit log, and whose evidence pictures are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the tables of `tables/accounts.py`."""
    op.create_table(
        "people",
        sa.Column("name", sa.String(length=64), nullable=False, comment="sign-in name"),
        sa.Column("display_name", sa.String(length=120), nullable=False),
        sa.Column("roles", sa.Text(), nullable=False, comment="JSON array of hub.access.Role"),
        sa.Column(
            "place", sa.String(length=100), nullable=False, comment="root of the person's jurisdiction"
        ),
        sa.Column("password_hash", sa.String(length=200), nullable=False, comment="argon2id, PHC string"),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False, comment="µs since 1970 UTC"),
        sa.Column("created_by", sa.String(length=64), nullable=False),
        sa.Column("signed_in_at", sa.BigInteger(), nullable=True, comment="last sign-in, µs since 1970 UTC"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_people")),
    )
    op.create_table(
        "sessions",
        sa.Column(
            "token_hash", sa.String(length=64), nullable=False, comment="SHA-256 of the cookie's token, hex"
        ),
        sa.Column(
            "id", sa.String(length=16), nullable=False, comment="public short name of the console in logs"
        ),
        sa.Column("person", sa.String(length=64), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False, comment="µs since 1970 UTC"),
        sa.Column("seen_at", sa.BigInteger(), nullable=False, comment="last use, to the minute"),
        sa.Column("expires_at", sa.BigInteger(), nullable=False, comment="µs since 1970 UTC"),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_sessions")),
    )
    op.create_index("ix_sessions_person", "sessions", ["person"], unique=False)
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"], unique=False)
    op.create_table(
        "audit",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
            comment="from 1, no gaps",
        ),
        sa.Column("at", sa.BigInteger(), nullable=False, comment="hub's clock, µs since 1970 UTC"),
        sa.Column("person", sa.String(length=64), nullable=False, comment="empty: nobody was signed in"),
        sa.Column(
            "place",
            sa.String(length=100),
            nullable=False,
            comment="jurisdiction of the object, else of the person",
        ),
        sa.Column("action", sa.String(length=60), nullable=False),
        sa.Column("object", sa.String(length=300), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column(
            "outcome", sa.String(length=300), nullable=False, comment="ok, or why it was denied or failed"
        ),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("console", sa.String(length=16), nullable=False, comment="sessions.id"),
        sa.Column(
            "hash",
            sa.String(length=64),
            nullable=False,
            comment="SHA-256 over the previous hash and this row, hex",
        ),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit")),
    )
    op.create_index("ix_audit_person_seq", "audit", ["person", "seq"], unique=False)
    op.create_index("ix_audit_object_seq", "audit", ["object", "seq"], unique=False)
    op.create_table(
        "stills",
        sa.Column("hash", sa.String(length=64), nullable=False, comment="SHA-256 of the picture, hex"),
        sa.Column(
            "place", sa.String(length=100), nullable=False, comment="jurisdiction of an entry that shows it"
        ),
        sa.Column("seq", sa.BigInteger(), nullable=False, comment="that entry"),
        sa.Column("subject", sa.String(length=300), nullable=False, comment="what that entry is about"),
        sa.PrimaryKeyConstraint("hash", "place", name=op.f("pk_stills")),
    )
    op.create_index("ix_stills_seq", "stills", ["seq"], unique=False)
