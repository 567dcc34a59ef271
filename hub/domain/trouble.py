"""What is wrong with the hub itself, in words that a machine can tell apart and the console can translate.

It is told beside the log, by beat and snapshot: when the store can't take an entry, no entry can say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class TroubleCode(StrEnum):
    """What is the matter. The codes are part of the API (docs/design/adversity.md)."""

    DISK_FULL = "disk_full"
    READ_ONLY = "read_only"
    UNREACHABLE = "unreachable"
    """The database's server doesn't answer, is starting or is stopping."""
    LOCKED = "locked"
    """Another process holds the database."""
    TAKEN = "taken"
    """Another hub has written to it: this one must be started anew."""
    DISK_ERROR = "disk_error"
    FAILED = "failed"
    """Any other reason for which nothing can be stored; it stands in the hub's own journal."""
    NO_COMMIT = "no_commit"
    """A commit has been under way for too long."""
    SLOW = "slow"
    """Commits take too long, but come."""
    DISK_LOW = "disk_low"
    DISK_CRITICAL = "disk_critical"
    CLOCK_JUMPED = "clock_jumped"


class Severity(StrEnum):
    """How bad it is."""

    WARNING = "warning"
    """Everything works; somebody should look."""
    FAILURE = "failure"
    """Nothing can be stored: no action is carried out, what devices say waits with their adapters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """One thing that is wrong now."""

    part: str
    """`store`, `disk`, `clock`"""
    code: TroubleCode
    severity: Severity
    since: datetime
    figures: Mapping[str, float] = field(default_factory=dict)
    """`free_mb`, `free_percent`, `p95_s`, `waiting_s`, `by_s`, as the code has them."""


_WORDS: tuple[tuple[TroubleCode, tuple[str, ...]], ...] = (
    (TroubleCode.DISK_FULL, ("disk is full", "disk full", "no space left", "quota exceeded")),
    (TroubleCode.DISK_FULL, ("could not extend file", "diskfull")),
    (TroubleCode.TAKEN, ("another process has written", "another hub writes")),
    (TroubleCode.READ_ONLY, ("readonly database", "read-only")),
    (
        TroubleCode.LOCKED,
        ("database is locked", "database table is locked", "lock timeout", "locknotavailable"),
    ),
    (
        TroubleCode.DISK_ERROR,
        ("disk i/o error", "input/output error", "malformed", "unable to open database"),
    ),
    (
        TroubleCode.UNREACHABLE,
        (
            "connection",
            "could not connect",
            "could not translate host",
            "server closed",
            "starting up",
            "shutting down",
            "in recovery",
            "adminshutdown",
            "timeout expired",
            "no answer from the database",
            "statement timeout",
        ),
    ),
)
"""What SQLite, PostgreSQL, its driver and the operating system say, in lower case; the first match counts."""


def code_of(reason: str) -> TroubleCode:
    """Why a store couldn't commit, from its own words. They name tables and values: only the code is told."""
    told = reason.partition("[SQL:")[0].lower()
    for code, words in _WORDS:
        if any(word in told for word in words):
            return code
    return TroubleCode.FAILED
