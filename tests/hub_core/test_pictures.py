"""Whose a picture is: noted in the transaction of the entry that shows it, and nowhere searched for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sqlalchemy as sa

from hub.recording import record
from hub.store import stills
from hub.store.engine import Transaction
from hub.store.migrate import upgrade
from tests.hub_core.conftest import Core
from wire.observations import Motion, Observation

PICTURE = "ab" * 32


def _seen(core: Core, picture: str, number: int) -> None:
    body = Motion(active=True, event=f"m{number}")
    observation = Observation(source="camera:c-01", body=body, heard_at=core.clock.now, id=f"m:{number}")

    def job(tx: Transaction) -> None:
        entry = record(tx, core.registers, observation, picture)
        core.desk.observe(tx, observation, picture, entry.seq)

    core.do(job)


def test_a_picture_is_found_as_soon_as_its_entry_is(core: Core) -> None:
    _seen(core, PICTURE, 1)
    place = core.registers.locate("camera:c-01").place
    assert core.store.query(lambda connection: stills.shown_at(connection, PICTURE)) == [
        (place, "camera:c-01")
    ]


def test_it_is_undone_with_its_entry(core: Core) -> None:
    observation = Observation(
        source="camera:c-01", body=Motion(active=True, event="m"), heard_at=core.clock.now, id="m:1"
    )

    def job(tx: Transaction) -> None:
        record(tx, core.registers, observation, PICTURE)
        raise LookupError

    with pytest.raises(LookupError):
        core.do(job)
    assert core.store.query(lambda connection: stills.shown_at(connection, PICTURE)) == []


def test_the_migration_notes_what_had_been_committed_and_not_noted(tmp_path: Path) -> None:
    """A hub of the schema before was killed between a commit and the note of its pictures."""
    engine = sa.create_engine(f"sqlite:///{tmp_path}/old.db")
    bodies = [
        {"body": {"type": "motion", "still": PICTURE}},
        {"id": "c-01", "still": PICTURE},
        {"id": "c-01", "still": "cd" * 32},
        {"id": "c-01", "still": ""},
    ]
    with engine.connect() as connection:
        upgrade(connection, "0003")
        with connection.begin():
            insert = sa.text(
                "insert into entries (seq, at, kind, subject, place, actor, late, body, hash)"
                " values (:seq, 0, 'camera', 'camera:c-01', 'xz', '', 0, :body, '')"
            )
            rows = [
                {"seq": seq, "body": json.dumps(body, separators=(",", ":"))}
                for seq, body in enumerate(bodies, 1)
            ]
            connection.execute(insert, rows)
        upgrade(connection)
        with connection.begin():
            found = connection.execute(sa.text("select hash, place, seq from stills order by seq")).all()
    engine.dispose()
    assert [tuple(row) for row in found] == [(PICTURE, "xz", 1), ("cd" * 32, "xz", 3)]
