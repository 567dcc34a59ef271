"""The simulation's own time: seconds since everything listens, and what the devices' clocks show."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta


class Clock:
    """Runs `speed` times as fast as the machine's clock; tests drive minutes in seconds.

    Devices' clocks follow: with `speed` 1 they show the machine's own time in UTC.
    """

    def __init__(self, speed: float = 1.0) -> None:
        self._speed = speed
        self._began = time.monotonic()
        self._began_utc = datetime.now(UTC)

    def start(self) -> None:
        """Makes this moment second zero."""
        self._began = time.monotonic()
        self._began_utc = datetime.now(UTC)

    @property
    def now_s(self) -> float:
        """Simulated seconds since `start`."""
        return (time.monotonic() - self._began) * self._speed

    def utc(self) -> datetime:
        """What a device's clock shows now."""
        if self._speed == 1.0:
            return datetime.now(UTC)
        return self._began_utc + timedelta(seconds=self.now_s)

    async def until(self, at_s: float) -> None:
        """Waits for simulated second `at_s`; returns at once where it is past."""
        await asyncio.sleep(max(0.0, at_s - self.now_s) / self._speed)
