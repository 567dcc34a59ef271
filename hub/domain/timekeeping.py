"""The hub's clock is set now and then, and wrongly too: jumps are noticed, spans are measured without it.

`at` of an entry is what the clock said and may go back; order is the entry's number alone. Whatever must
last a certain time is measured here, by a clock that nobody sets (`wire.clock.steady`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

Age: TypeAlias = Callable[[str, datetime, datetime], timedelta]
"""`age(key, instant, now)`: how long ago `instant` was; of each key there is one instant at a time."""

LEAST_JUMP = timedelta(seconds=5)
"""Less is slewing, or a process that was not given the processor."""
IN_DOUBT = timedelta(minutes=15)
"""How long after a jump what arrives may bear the clock before it: what is older is history anyway."""


@dataclass(frozen=True, slots=True)
class Jump:
    """The clock was set."""

    at: datetime
    """What it said right afterwards."""
    by: timedelta
    """Positive: forward."""
    steady: datetime
    """When, by the steady clock."""


class Timekeeper:
    """Compares the clock with the steady one. `look` is called about once a second."""

    def __init__(self, wall: Callable[[], datetime], steady: Callable[[], datetime]) -> None:
        self._wall = wall
        self.steady = steady
        """For spans: the clock's time at the start, carried on without it."""
        self._offset = wall() - steady()
        self._jumps: tuple[Jump, ...] = ()

    def look(self) -> Jump | None:
        """The jump since the last look, if there was one."""
        now, steady = self._wall(), self.steady()
        by = now - steady - self._offset
        self._offset += by
        self._jumps = tuple(one for one in self._jumps if steady - one.steady < IN_DOUBT)
        if abs(by) < LEAST_JUMP:
            return None
        jump = Jump(now, by, steady)
        self._jumps = (*self._jumps, jump)
        return jump

    @property
    def doubted(self) -> Jump | None:
        """The latest jump, while it is recent."""
        return self._jumps[-1] if self._jumps else None

    def readings(self, now: datetime) -> tuple[datetime, ...]:
        """`now`, and what the clock would say had it not been set lately: who stamped what arrives may not
        have noticed yet, or may be right."""
        found, before = [now], now
        for jump in reversed(self._jumps):
            before -= jump.by
            found.append(before)
        return tuple(found)


class Ages:
    """How long ago something was, though the clock may have been set since.

    An instant is taken at its word when it is first seen, and never older than that word says; from then on
    the steady clock counts.
    """

    def __init__(self, steady: Callable[[], datetime]) -> None:
        self._steady = steady
        self._seen: dict[str, tuple[datetime, datetime]] = {}

    def __call__(self, key: str, instant: datetime, now: datetime) -> timedelta:
        """Age of `instant`, of which there is one at a time for each `key`."""
        steady = self._steady()
        known = self._seen.get(key)
        if known is None or known[0] != instant:
            known = self._seen[key] = (instant, steady - max(timedelta(0), now - instant))
        return steady - known[1]

    def forget(self, keys: set[str]) -> None:
        """Keeps nothing but `keys`."""
        self._seen = {key: seen for key, seen in self._seen.items() if key in keys}


def by_the_clock(_key: str, instant: datetime, now: datetime) -> timedelta:
    """Age by the clock alone: where nobody measures better."""
    return now - instant
