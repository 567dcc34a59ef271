"""The one supervised-connection loop: connect, run until it ends, wait with jitter, again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Backoff:
    """Delays that double from `first_s` to `most_s`, each ±50 %, so that many don't return at once.

    Source: "full jitter" reasoning of AWS Architecture Blog, "Exponential Backoff and Jitter" (2015).
    """

    first_s: float = 0.5
    most_s: float = 15.0
    random: Callable[[], float] = field(default=random.random)
    _next_s: float = field(default=0.0, init=False)

    def delay_s(self) -> float:
        """How long to wait before the next try."""
        base = self._next_s or self.first_s
        self._next_s = min(base * 2, self.most_s)
        return base * (0.5 + self.random())

    def succeeded(self) -> None:
        """The connection proved itself: the next failure starts from the beginning."""
        self._next_s = 0.0


async def supervise(
    name: str,
    session: Callable[[Callable[[], None]], Awaitable[None]],
    *,
    down: Callable[[str], None],
    backoff: Backoff | None = None,
) -> None:
    """Runs `session(proved)` for ever, again after each end or error.

    `session` calls `proved()` when its connection works. `down(reason)` is called at every end. This is the
    only place that catches everything, and the only one that sleeps.
    """
    backoff = backoff or Backoff()
    while True:
        try:
            await session(backoff.succeeded)
            reason = "ended by the peer"
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - the one supervision loop: the next session starts
            reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        log.warning("link down", link=name, reason=reason)
        down(reason)
        await asyncio.sleep(backoff.delay_s())
