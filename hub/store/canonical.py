"""An entry as it is hashed and as it is stored: one canonical form, one chain, one row."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from hub.domain.entry import Draft, Entry, EntryKind
from hub.store.bulk import Row, micros

GENESIS = "0" * 64
"""The hash before the first entry."""


@dataclass(slots=True)
class Chain:
    """The end of the log."""

    seq: int = 0
    hash: str = GENESIS


def canonical(entry: Entry | Draft, seq: int, at: datetime, body: bytes) -> bytes:
    """An entry without its hash as JSON with sorted keys, as the chain hashes it."""
    return msgspec.json.encode(
        {
            "actor": entry.actor,
            "at": at,
            "body": msgspec.Raw(body),
            "cause": entry.cause,
            "kind": entry.kind,
            "late": entry.late,
            "place": entry.place,
            "seq": seq,
            "subject": entry.subject,
        }
    )


def canonical_body(body: dict[str, Any]) -> bytes:
    """A body as JSON with sorted keys: what the `entries` table holds. Zero characters stand escaped."""
    return msgspec.json.encode(body, order="sorted")


def chained(previous: str, entry: Entry | Draft, seq: int, at: datetime, body: bytes) -> str:
    """SHA-256 over the previous hash and the entry's canonical JSON, hex."""
    return hashlib.sha256(previous.encode() + canonical(entry, seq, at, body)).hexdigest()


def storable(text: str) -> str:
    """Text that every database holds: a zero character and lone surrogates made visible."""
    if text.isascii() and "\0" not in text:
        return text
    return text.encode(errors="backslashreplace").decode().replace("\0", "␀")


def as_row(entry: Entry, body: bytes) -> Row:
    """An entry as a row of `entries`, in the order of its columns; `body` as it was hashed."""
    return (
        entry.seq,
        micros(entry.at),
        entry.kind.value,
        entry.subject,
        entry.place,
        entry.actor,
        entry.cause,
        entry.late,
        body.decode(),
        entry.hash,
    )


def as_entry(row: sa.Row[Any]) -> Entry:
    """A row of `entries` as a value."""
    return Entry(
        seq=row.seq,
        at=row.at,
        kind=EntryKind(row.kind),
        subject=row.subject,
        place=row.place,
        body=msgspec.json.decode(row.body),
        actor=row.actor,
        cause=row.cause,
        late=row.late,
        hash=row.hash,
    )
