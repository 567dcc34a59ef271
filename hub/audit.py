"""The audit log: who looked at, changed or was refused what, when, where and why; hash-chained."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum

import msgspec

GENESIS = "0" * 64
"""The hash before the first row."""


class Outcome(StrEnum):
    """How an audited act ended; a denial or failure adds its reason after a colon."""

    OK = "ok"
    DENIED = "denied"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """An act about to be written down."""

    action: str
    """`video.live`, `video.still`, `evidence.still`, `incident.claim`, `session.in`, `device.add`, …"""
    object: str
    """`camera:c-01`, `incident:…`, `person:…`, or the route that was refused."""
    person: str = ""
    place: str = ""
    reason: str = ""
    outcome: str = Outcome.OK.value
    address: str = ""
    console: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of the audit log."""

    seq: int
    at: datetime
    act: Act
    hash: str


def chained(previous: str, seq: int, at: datetime, act: Act) -> str:
    """SHA-256 over the previous row's hash and this row as JSON with sorted keys, hex."""
    body = msgspec.json.encode({"seq": seq, "at": at, **asdict(act)}, order="sorted")
    return hashlib.sha256(previous.encode() + body).hexdigest()
