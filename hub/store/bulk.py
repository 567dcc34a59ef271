"""Many rows into a table at once, past the statement compiler: for what arrives by the thousand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import sqlalchemy as sa

Row: TypeAlias = tuple[Any, ...]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Bulk:
    """Inserts rows given as tuples in the order of the table's columns.

    An `Instant` goes in as `micros` gives it. SQLite takes row after row in one call; PostgreSQL takes one
    array a column, which spares it a message for each row.
    """

    def __init__(self, table: sa.Table) -> None:
        columns = list(table.columns)
        names, marks = ", ".join(column.name for column in columns), ", ".join("?" * len(columns))
        kinds = [_kind(column.type) for column in columns]
        arrays = ", ".join(f"%s::{kind}[]" for kind in kinds)
        self._row_by_row = f"insert into {table.name} ({names}) values ({marks})"  # noqa: S608 - our own names
        self._from_arrays = f"insert into {table.name} ({names}) select * from unnest({arrays})"  # noqa: S608
        self._of_kind: list[Callable[[Sequence[Any]], list[Any]]] = [
            _floats if kind == "double precision" else list for kind in kinds
        ]

    def insert(self, connection: sa.Connection, rows: Sequence[Row]) -> None:
        """Inserts `rows`; none is fine."""
        if not rows:
            return
        if connection.dialect.name == "postgresql":
            arrays = tuple(
                of(column) for of, column in zip(self._of_kind, zip(*rows, strict=True), strict=True)
            )
            connection.exec_driver_sql(self._from_arrays, arrays)
        else:
            connection.exec_driver_sql(self._row_by_row, list(rows))


def micros(at: datetime) -> int:
    """An aware instant as `Instant` columns hold it: microseconds since 1970 UTC."""
    return (at - _EPOCH) // _MICROSECOND


def _kind(kind: sa.types.TypeEngine[Any]) -> str:
    """PostgreSQL's name for a column's type."""
    if isinstance(kind, sa.String):
        return "text"
    if isinstance(kind, sa.Boolean):
        return "boolean"
    return "double precision" if isinstance(kind, sa.Float) else "bigint"


def _floats(column: Sequence[Any]) -> list[float | None]:
    """An array is of one type: a whole number among fractions is a fraction too."""
    return [None if value is None else float(value) for value in column]
