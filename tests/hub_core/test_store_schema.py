"""The schema on both databases: migrations equal to the models, one process at a time, never backwards."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from hub.store.database import SchemaTooNew, open_database
from hub.store.engine import Store
from hub.store.migrate import is_newest, newest, upgrade
from hub.store.tables import load_all
from tests.postgresql import PostgreSQL


@contextmanager
def connected(url: str) -> Iterator[sa.Connection]:
    """A plain connection."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def migrated(url: str) -> None:
    """Brings a database to the newest schema."""
    database = open_database(url)
    database.migrate()
    database.close()


def test_migrations_give_the_models(store_url: str) -> None:
    migrated(store_url)
    with connected(store_url) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": _other_type})
        assert list(compare_metadata(context, load_all())) == []
        assert is_newest(connection)


def _other_type(_context: object, _seen: object, _told: object, seen: Any, told: Any) -> bool | None:
    """Names are text on PostgreSQL, whatever length their model says; everything else is compared."""
    if isinstance(told, sa.String) and not isinstance(told, sa.Text) and isinstance(seen, sa.TEXT):
        return False
    return None


def test_postgresql_has_exactly_what_the_models_say(postgresql: PostgreSQL) -> None:
    """Column by column, with collation, default and comment; index by index; constraint by constraint."""
    first, second = postgresql.database("by_migrations"), postgresql.database("by_models")
    migrated(first)
    with connected(second) as connection:
        load_all().create_all(connection)
        connection.commit()
    assert described(first) == described(second)
    postgresql.drop("by_migrations")
    postgresql.drop("by_models")


def described(url: str) -> dict[str, list[tuple[object, ...]]]:
    """What PostgreSQL itself says of the schema, without Alembic's own table."""
    questions = {
        "columns": """
            select c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, l.collname,
                   pg_get_expr(d.adbin, d.adrelid), col_description(c.oid, a.attnum)
            from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
            left join pg_collation l on l.oid = a.attcollation
            left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
            where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace order by 1, 2""",
        "indexes": """
            select tablename, indexname, indexdef from pg_indexes where schemaname = 'public' order by 2""",
        "constraints": """
            select conrelid::regclass::text, conname, pg_get_constraintdef(oid) from pg_constraint
            where connamespace = 'public'::regnamespace order by 1, 2""",
    }
    with connected(url) as connection:
        return {
            what: [
                tuple(row)
                for row in connection.exec_driver_sql(question)
                if row[0] != "alembic_version" and "alembic" not in str(row[1])
            ]
            for what, question in questions.items()
        }


def test_names_on_postgresql_have_a_collation_of_their_own(postgresql: PostgreSQL) -> None:
    url = postgresql.database("collated")
    migrated(url)
    names = [row for row in described(url)["columns"] if row[4] is not None and row[4] != "default"]
    assert {row[4] for row in names} == {"C"}
    assert {(row[0], row[1]) for row in names} >= {
        ("entries", "subject"),
        ("incidents", "id"),
        ("people", "name"),
    }
    postgresql.drop("collated")


def test_a_database_of_a_newer_jifang_is_refused(store_url: str) -> None:
    Store.open(store_url).close()
    with connected(store_url) as connection:
        connection.exec_driver_sql("update alembic_version set version_num = '9999'")
        connection.commit()
    with pytest.raises(SchemaTooNew, match=r"9999.*newer Jifang.*update it"):
        Store.open(store_url)
    with connected(store_url) as connection:
        assert connection.exec_driver_sql("select version_num from alembic_version").scalar_one() == "9999"


def test_two_that_migrate_at_once_both_succeed(store_url: str) -> None:
    errors: list[BaseException] = []
    together = threading.Barrier(3, timeout=30)

    def one() -> None:
        together.wait()
        try:
            migrated(store_url)
        except BaseException as error:  # noqa: BLE001 - told to the test
            errors.append(error)

    threads = [threading.Thread(target=one) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    with connected(store_url) as connection:
        assert is_newest(connection)


def test_a_store_of_the_first_schema_is_brought_up(store_url: str) -> None:
    """With a row in it: what was stored stays."""
    with connected(store_url) as connection:
        upgrade(connection, "0001")
    with connected(store_url) as connection:
        connection.exec_driver_sql(
            "insert into senders (sender, epoch, seq, at) values ('edge-1', 'e', 7, 0)"
        )
        connection.commit()
    Store.open(store_url).close()
    with connected(store_url) as connection:
        rows = connection.exec_driver_sql("select sender, seq, beyond from senders").all()
        assert is_newest(connection)
    assert [tuple(row) for row in rows] == [("edge-1", 7, "")]
    assert newest() == frozenset({max(newest())})
