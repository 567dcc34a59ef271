"""How the hub itself is: whether it can store, how long that takes, room on the disk, the clock.

Kept in memory and told by `/readyz`, the feed's beat, the snapshot and the metrics, because the log can't say
that it can't be written. What was wrong stands in the log once it can.
"""

from __future__ import annotations

import math
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from hub import metrics
from hub.domain.timekeeping import Timekeeper
from hub.domain.trouble import Severity, Trouble, TroubleCode, code_of
from hub.store.engine import Store
from wire.clock import Clock, Monotonic

log = structlog.get_logger(__name__)

NO_COMMIT_S = 5.0
"""A commit that takes longer than this is told as none."""
HELD_S = 6.0
"""So long a failure is told after the last one: on a full disk a small commit may still succeed between two
that don't. Longer than a beat, so that every console hears of it."""
SLOW_S = 1.0
"""p95 of the last minute's commits above this is told as slow."""
SLOW_AT_LEAST = 3
WINDOW = 60
LOW = (0.10, 20 * 1024**3)
"""Share of the disk and bytes: less free than the smaller of the two is little."""
CRITICAL = (0.03, 2 * 1024**3)


@dataclass(frozen=True, slots=True)
class Room:
    """Of the disk that holds the data folder, bytes."""

    free: int
    total: int

    @property
    def percent(self) -> float:
        """Free, of a hundred."""
        return 100 * self.free / self.total if self.total else 0.0

    def under(self, limit: tuple[float, int]) -> bool:
        """Whether less is free than a share of the whole, or than so many bytes on a large disk."""
        share, most = limit
        return self.free < min(self.total * share, most)


def room_in(folder: Path) -> Room:
    """What the file system says. Raises `OSError`."""
    usage = shutil.disk_usage(folder)
    return Room(usage.free, usage.total)


class Vitals:
    """What is wrong now. `look`, `began`, `ended` are the ticker's; the others may be asked from anywhere."""

    def __init__(
        self,
        store: Store,
        folder: Path,
        timekeeper: Timekeeper,
        clock: Clock,
        *,
        room: Callable[[Path], Room] = room_in,
        monotonic: Monotonic = time.monotonic,
    ) -> None:
        self._store = store
        self._folder = folder
        self._clock = clock
        self._room = room
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._took: deque[float] = deque(maxlen=WINDOW)
        self._waiting: tuple[float, datetime] | None = None
        self._failing: Trouble | None = None
        self._standing: dict[str, Trouble] = {}
        self.timekeeper = timekeeper

    def look(self) -> None:
        """Reads disk and clock. Once a second."""
        jump = self.timekeeper.look()
        if jump is not None:
            metrics.CLOCK_JUMPS.inc()
            log.warning("the clock was set", by_s=jump.by.total_seconds(), now=jump.at.isoformat())
        doubted = self.timekeeper.doubted
        self._stand(
            "clock",
            TroubleCode.CLOCK_JUMPED if doubted else None,
            Severity.WARNING,
            {"by_s": doubted.by.total_seconds()} if doubted else {},
        )
        self._look_at_disk()

    def began(self) -> None:
        """A commit is under way."""
        with self._lock:
            self._waiting = (self._monotonic(), self._clock())

    def ended(self, ok: bool) -> None:
        """It has ended."""
        with self._lock:
            waiting, self._waiting = self._waiting, None
        if waiting is not None and ok:
            took = self._monotonic() - waiting[0]
            metrics.COMMIT_SECONDS.observe(took)
            self._took.append(took)
            self._judge_speed()

    def troubles(self) -> tuple[Trouble, ...]:
        """What is wrong now, failures first."""
        failure = self.failure()
        return self.warnings() if failure is None else (failure, *self.warnings())

    def warnings(self) -> tuple[Trouble, ...]:
        """What somebody should look at, while everything works."""
        return tuple(self._standing.values())

    def failure(self) -> Trouble | None:
        """Why things can't be stored; None while they can, and lately could."""
        with self._lock:
            found = self._found_failing()
            known = self._failing
            if found is not None and known is not None:
                found = replace(found, since=known.since)
            self._failing = found
            return found

    def _found_failing(self) -> Trouble | None:
        health, failed, now = self._store.health, self._store.last_failure, self._monotonic()
        if not health.ok:
            return _failure(code_of(health.reason), health.since)
        if failed is not None and now - failed[0] < HELD_S:
            return _failure(code_of(failed[1]), self._clock() - timedelta(seconds=now - failed[0]))
        waited_s = now - self._waiting[0] if self._waiting else 0.0
        if self._waiting is not None and waited_s > NO_COMMIT_S:
            figures = {"waiting_s": float(round(waited_s))}
            return _failure(TroubleCode.NO_COMMIT, self._waiting[1], figures)
        return None

    def room(self) -> Room | None:
        """Room on the disk of the data folder; None where it can't be told."""
        try:
            return self._room(self._folder)
        except OSError:
            return None

    def _look_at_disk(self) -> None:
        room = self.room()
        if room is None:
            self._stand("disk", TroubleCode.DISK_ERROR, Severity.WARNING)
            return
        metrics.DISK_FREE.set(room.free)
        metrics.DISK_FREE_RATIO.set(room.percent / 100)
        code = None
        if room.under(LOW):
            code = TroubleCode.DISK_CRITICAL if room.under(CRITICAL) else TroubleCode.DISK_LOW
        figures = {"free_mb": float(room.free // 1024**2), "free_percent": math.floor(room.percent * 10) / 10}
        self._stand("disk", code, Severity.WARNING, figures)

    def _judge_speed(self) -> None:
        took = sorted(self._took)
        p95 = took[math.ceil(0.95 * len(took)) - 1]
        slow = p95 > SLOW_S and sum(one > SLOW_S for one in took) >= SLOW_AT_LEAST
        code = TroubleCode.SLOW if slow else None
        self._stand("store", code, Severity.WARNING, {"p95_s": round(p95, 1)})

    def _stand(
        self, part: str, code: TroubleCode | None, severity: Severity, figures: dict[str, float] | None = None
    ) -> None:
        """What stands of a part, since when; one dict swapped for another, so that readers need no lock."""
        before = self._standing.get(part)
        standing = {name: one for name, one in self._standing.items() if name != part}
        if code is not None:
            since = before.since if before is not None and before.code is code else self._clock()
            standing[part] = Trouble(
                part=part, code=code, severity=severity, since=since, figures=figures or {}
            )
        if (before and before.code) != code:
            log.warning("trouble", part=part, code=code or "over", **(figures or {}))
        self._standing = standing


def _failure(code: TroubleCode, since: datetime, figures: dict[str, float] | None = None) -> Trouble:
    return Trouble(part="store", code=code, severity=Severity.FAILURE, since=since, figures=figures or {})


def said_of(jump: timedelta) -> str:
    """A jump in the words of the log: `back 3600 s`."""
    seconds = round(abs(jump.total_seconds()))
    return f"{'back' if jump < timedelta(0) else 'ahead'} {seconds} s"
