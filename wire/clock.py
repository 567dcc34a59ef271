"""Now, as an argument. Only composition roots and drivers read the clock; everything else is given it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias

Clock: TypeAlias = Callable[[], datetime]


def utc_now() -> datetime:
    """The machine's clock in UTC."""
    return datetime.now(UTC)
