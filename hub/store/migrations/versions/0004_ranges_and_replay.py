"""What retention deleted, what is stored beyond a gap, and what became of quarantined bytes."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes `pruned` and `quarantine_dropped`; adds columns to `senders` and `quarantine`."""
    op.create_table(
        "pruned",
        sa.Column(
            "first",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
            comment="first entry deleted",
        ),
        sa.Column(
            "last",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
            comment="last entry deleted, in one run without a gap",
        ),
        sa.Column(
            "hash", sa.String(length=64), nullable=False, comment="hash of `last`: the chain goes on from it"
        ),
        sa.Column("at", sa.BigInteger(), nullable=False, comment="when, hub's clock, µs since 1970 UTC"),
        sa.PrimaryKeyConstraint("first", name=op.f("pk_pruned")),
    )
    op.create_table(
        "commits",
        sa.Column(
            "n",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
            comment="the latest transactions that stand",
        ),
        sa.Column(
            "writer", sa.String(length=32), nullable=False, comment="which opening of the store made it"
        ),
        sa.PrimaryKeyConstraint("n", name=op.f("pk_commits")),
    )
    op.add_column(
        "senders",
        sa.Column(
            "beyond", sa.Text(), nullable=False, server_default="", comment="stored beyond a gap: 7-9,12-12"
        ),
    )
    for column in (
        sa.Column(
            "cause",
            sa.String(length=40),
            nullable=False,
            server_default="",
            comment="the reason in one word",
        ),
        sa.Column("heard_at", sa.BigInteger(), nullable=True, comment="listener's clock, µs since 1970 UTC"),
        sa.Column(
            "origin",
            sa.String(length=120),
            nullable=False,
            server_default="",
            comment="who is behind the peer: shares one allowance",
        ),
    ):
        op.add_column("quarantine", column)
    op.create_index("ix_quarantine_origin", "quarantine", ["origin"])
    op.create_table(
        "quarantine_dropped",
        sa.Column("protocol", sa.String(length=40), nullable=False),
        sa.Column("dropped", sa.BigInteger(), nullable=False, comment="rows that made room, ever"),
        sa.PrimaryKeyConstraint("protocol", name=op.f("pk_quarantine_dropped")),
    )
    op.add_column(
        "quarantine",
        sa.Column(
            "replayed_at",
            sa.BigInteger(),
            nullable=True,
            comment="last tried again, hub's clock, µs since 1970 UTC",
        ),
    )
    op.add_column(
        "quarantine",
        sa.Column(
            "outcome",
            sa.String(length=500),
            nullable=False,
            server_default="",
            comment="what trying again came to",
        ),
    )
    _note_pictures_left_over()


def _note_pictures_left_over() -> None:
    """Up to here a picture's place was noted after the commit: what was committed last may lack it."""
    connection = op.get_bind()
    reached = connection.execute(sa.text("select coalesce(max(seq), 0) from stills")).scalar_one()
    shown = sa.text("select seq, place, subject, body from entries where seq > :seq and body like :shown")
    noted = sa.text("select 1 from stills where hash = :hash and place = :place")
    note = sa.text("insert into stills (hash, place, seq, subject) values (:hash, :place, :seq, :subject)")
    like = '%"still":"%'
    for row in connection.execute(shown, {"seq": reached, "shown": like}).all():
        body = json.loads(row.body)
        inner = body.get("body")
        for told in (body, inner if isinstance(inner, dict) else {}):
            key = {"hash": told.get("still") or "", "place": row.place}
            if key["hash"] and connection.execute(noted, key).first() is None:
                connection.execute(note, {**key, "seq": row.seq, "subject": row.subject})
