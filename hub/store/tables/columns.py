"""Column types that mean the same on every database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Dialect, Integer, String
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.types import TypeDecorator

Number = BigInteger().with_variant(Integer(), "sqlite")
"""A 64-bit integer key; SQLite keeps a table in the order of an INTEGER key without a second index."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Instant(TypeDecorator[datetime]):
    """An aware instant as microseconds since 1970 UTC: exact, ordered, the same on every database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """Aware datetime → integer. Raises `TypeError` for a naive one."""
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Integer → aware datetime in UTC."""
        return None if value is None else _EPOCH + int(value) * _MICROSECOND


@compiles(String, "postgresql")
def _as_postgresql_text(
    _type: String, _compiler: Any, *, type_expression: object = None, **_more: Any
) -> str:
    """Names on PostgreSQL compare by their bytes, as on SQLite, whatever the database's collation.

    Nor does a length refuse what SQLite takes: limits are checked where things come in.
    """
    return "VARCHAR" if type_expression is None else 'TEXT COLLATE "C"'
