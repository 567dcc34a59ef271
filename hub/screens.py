"""Which consoles draw what they are sent: a desk that stands still and looks alive is a failure.

Each console says what it has painted (`POST /feed/rendered`). One that was sent entries and has painted none
of them for a while is frozen; a person is told as frozen when none of their consoles draws.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from hub import metrics

FROZEN_AFTER_S = 30.0
"""Entries were sent and nothing was painted for so long. A console paints within a second and says so at
most every 5 s; a tab that nobody can see paints nothing."""

Told = Callable[[str, bool], None]
"""`told(person, drawing)`, at each change."""


@dataclass(slots=True, eq=False)
class Screen:
    """One console of somebody who handles incidents."""

    person: str
    session: str
    tab: str
    """The console's own name for itself."""
    painted: int = 0
    """The last entry it said it has painted."""
    owes_since: float | None = None
    """Since when (monotonic) it was sent more than it has painted; moves on with every word of progress."""

    def paint(self, seq: int, now: float) -> None:
        """It has painted up to `seq`."""
        if seq > self.painted:
            self.painted = seq
            self.owes_since = None if self.owes_since is None else now

    def look(self, sent: int, now: float) -> float:
        """Seconds for which it has painted nothing of what it was sent."""
        if sent <= self.painted:
            self.owes_since = None
        elif self.owes_since is None:
            self.owes_since = now
        return 0.0 if self.owes_since is None else now - self.owes_since


@dataclass(slots=True)
class Screens:
    """All consoles of persons who handle incidents."""

    frozen: set[str] = field(default_factory=set)
    """Persons none of whose consoles draws."""
    _listeners: list[Told] = field(default_factory=list)

    def on_change(self, listener: Told) -> None:
        """Calls `listener` when a person's consoles stop drawing, and when one draws again or all left."""
        self._listeners.append(listener)

    def look(self, sent: Iterable[tuple[Screen, int]], now: float) -> None:
        """Once a second: every console with the last number it was sent. `now`: monotonic seconds."""
        lags: dict[str, float] = {}
        longest = 0.0
        for screen, cursor in sent:
            lag = screen.look(cursor, now)
            longest = max(longest, lag)
            lags[screen.person] = min(lag, lags.get(screen.person, lag))
        metrics.FEED_UNDRAWN.set(longest)
        frozen = {person for person, lag in lags.items() if lag > FROZEN_AFTER_S}
        for person in frozen - self.frozen:
            self._tell(person, drawing=False)
        for person in self.frozen - frozen:
            self._tell(person, drawing=True)
        self.frozen = frozen

    def _tell(self, person: str, *, drawing: bool) -> None:
        for listener in self._listeners:
            listener(person, drawing)
