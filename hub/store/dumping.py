"""A whole store into an archive and back: tables as the database has them, of whatever schema.

Instants travel as the integers that are stored, so nothing is rounded and nothing depends on a zone.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from hub.store.archive import ArchiveError, Column, Reader, TableHead, as_bytes
from hub.store.chain import RawRow
from hub.store.pruned import PrunedRun

LEFT_OUT = ("commits", "sessions")
"""Of no use elsewhere: a writer's own bookkeeping, and sign-ins, which must not survive a restoring."""
_PAGE = 1_000
_KINDS: tuple[tuple[type[Any], str], ...] = (
    (sa.Boolean, "boolean"),
    (sa.LargeBinary, "bytes"),
    (sa.Integer, "integer"),
    (sa.Float, "float"),
    (sa.String, "text"),
)


def head_of(table: sa.Table) -> TableHead:
    """Its columns as archived. Raises `ArchiveError` for a type that we have no form for."""
    return TableHead(str(table.name), tuple(Column(str(one.name), _kind(one)) for one in table.columns))


def _kind(column: sa.Column[Any]) -> str:
    for kind, name in _KINDS:
        if isinstance(column.type, kind):
            return name
    raise ArchiveError(f"{column.table.name}.{column.name}: no form for {column.type!r}")


def rows_of(connection: sa.Connection, table: sa.Table) -> Generator[Sequence[Any]]:
    """Its rows in the order of its key, ready to be archived."""
    blobs = [number for number, one in enumerate(table.columns) if _kind(one) == "bytes"]
    query = sa.select(table).order_by(*table.primary_key.columns).execution_options(yield_per=_PAGE)
    with connection.execute(query) as found:
        for row in found:
            values = list(row)
            for number in blobs:
                values[number] = _as_text(values[number])
            yield values


def _as_text(value: bytes | memoryview | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()


def count_of(connection: sa.Connection, table: sa.Table) -> int:
    """How many rows it has."""
    return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def load(connection: sa.Connection, table: sa.Table, reader: Reader, beat: Callable[[int], None]) -> int:
    """Puts a table's archived rows into the database; how many. Raises `ArchiveError`."""
    head = reader.head(table.name)
    unknown = {one.name for one in head.columns} - set(table.columns.keys())
    if unknown:
        raise ArchiveError(f"{table.name}.{min(unknown)}: the schema has no such column")
    count = 0
    for page in _paged(_values(head, reader.rows(table.name))):
        connection.execute(table.insert(), page)
        count += len(page)
        beat(len(page))
    _follow(connection, table)
    return count


def _values(head: TableHead, rows: Iterable[list[Any]]) -> Iterator[dict[str, Any]]:
    names = [one.name for one in head.columns]
    blobs = [one.name for one in head.columns if one.kind == "bytes"]
    for row in rows:
        if len(row) != len(names):
            raise ArchiveError(f"{head.table}: a row has {len(row)} values for {len(names)} columns")
        values = dict(zip(names, row, strict=True))
        for name in blobs:
            values[name] = None if values[name] is None else as_bytes(values[name])
        yield values


def _paged(values: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    page: list[dict[str, Any]] = []
    for one in values:
        page.append(one)
        if len(page) == _PAGE:
            yield page
            page = []
    if page:
        yield page


def _follow(connection: sa.Connection, table: sa.Table) -> None:
    """Lets PostgreSQL's own numbers go on after those that were brought along."""
    key = list(table.primary_key.columns)
    if connection.dialect.name != "postgresql" or len(key) != 1 or _kind(key[0]) != "integer":
        return
    quoted = connection.dialect.identifier_preparer.quote(table.name)
    sequence = connection.execute(sa.select(sa.func.pg_get_serial_sequence(quoted, key[0].name))).scalar_one()
    if sequence:
        highest = sa.select(sa.func.max(key[0])).scalar_subquery()
        connection.execute(sa.select(sa.func.setval(sequence, highest)).where(highest.is_not(None)))


# Proving what an archive holds


def archived(head: TableHead, rows: Iterable[Sequence[Any]]) -> Iterator[Any]:
    """Archived rows as the walks of `hub.store.chain` take them."""
    names = [one.name for one in head.columns]
    for row in rows:
        yield RawRow(names, row)


def runs_in(reader: Reader) -> Iterator[PrunedRun]:
    """The pruned runs in an archive."""
    if "pruned" not in reader.manifest.tables():
        return
    for row in archived(reader.head("pruned"), reader.rows("pruned")):
        yield PrunedRun(row.first, row.last, row.hash)
