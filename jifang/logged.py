"""What stands in the log, as flat lines for the reckoning: read beside the hub, or after it has gone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import sqlalchemy as sa

from hub.domain.entry import EntryKind
from hub.store.tables.fixes import positions
from hub.store.tables.log import entries

Line = dict[str, Any]


def read_observations(store_url: str) -> list[Line]:
    """Every stored observation that a ledger can be held against: log entries and positions."""
    engine = sa.create_engine(store_url)
    try:
        with engine.connect() as connection:
            return [*_logged(connection), *_positions(connection)]
    finally:
        engine.dispose()


def _logged(connection: sa.Connection) -> Iterator[Line]:
    query = sa.select(entries.c.body).where(entries.c.kind == EntryKind.OBSERVATION.value)
    for (body,) in connection.execute(query):
        yield flatten(msgspec.json.decode(body))


def _positions(connection: sa.Connection) -> Iterator[Line]:
    columns = (positions.c.source, positions.c.device_at, positions.c.lateness)
    for source, device_at, lateness in connection.execute(sa.select(*columns)):
        if device_at is not None:
            yield {
                "kind": "position",
                "source": source,
                "device_at": device_at.isoformat(),
                "lateness": lateness,
            }


def flatten(body: Line) -> Line:
    """A logged observation as one flat line, `kind` being its body's tag and defaults filled in."""
    inner = dict(body["body"])
    kind = inner.pop("type")
    line = {"lateness": "live", **{key: value for key, value in body.items() if key != "body"}, "kind": kind}
    if kind == "motion":
        line |= {"active": False, "by": "edge"}
    return line | inner
