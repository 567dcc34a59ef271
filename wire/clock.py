"""Now, as an argument. Only composition roots and drivers read the clock; everything else is given it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

Clock: TypeAlias = Callable[[], datetime]
Monotonic: TypeAlias = Callable[[], float]
"""Seconds since an unknown beginning; never set, never back."""


def utc_now() -> datetime:
    """The machine's clock in UTC."""
    return datetime.now(UTC)


def steady(clock: Clock = utc_now, monotonic: Monotonic = time.monotonic) -> Clock:
    """A clock for measuring spans: read once, then carried on by the monotonic one."""
    start, begun_s = clock(), monotonic()
    return lambda: start + timedelta(seconds=monotonic() - begun_s)
