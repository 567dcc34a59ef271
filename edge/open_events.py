"""Motion that has begun and not ended, kept durably: whatever dies meanwhile, each beginning gets its end."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from datetime import datetime

import structlog

from wire.observations import Motion, Observation
from wire.outbox import Mark, Outbox

log = structlog.get_logger(__name__)


class OpenEvents:
    """Appends observations to an outbox together with a mark of each source's open motion event.

    A camera says nothing twice: what the outbox refuses is lost, and counted there.
    """

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._open: dict[str, str] = {}
        """Event by source; empty string: none. Sources not yet asked about are absent."""

    def append(self, observations: Sequence[Observation]) -> None:
        """Commits observations and the marks that follow from them; a refusal is logged."""
        marks = []
        for observation in observations:
            body = observation.body
            if isinstance(body, Motion):
                self._open[observation.source] = body.event if body.active else ""
                marks.append(Mark(_name(observation.source), self._open[observation.source]))
        count = len(observations)
        self._outbox.append(observations, marks).add_done_callback(lambda done: self._settle(done, count))

    def _settle(self, done: Future[int], count: int) -> None:
        error = done.exception()
        if error is not None:
            self._outbox.lost(count)
            log.error("observations could not be kept", count=count, reason=str(error))

    def adopt(self, sources: set[str], now: datetime) -> None:
        """Ends, for sources not seen in this life, events that a former life left open."""
        left = []
        for source in sources - self._open.keys():
            self._open[source] = self._outbox.marked(_name(source)) or ""
            if self._open[source]:
                left.append(source)
        self.close_all(set(left), now)

    def close_all(self, sources: set[str], now: datetime) -> None:
        """Ends what is open at `sources`: nobody watches them any more."""
        ends = [
            Observation(source=source, body=Motion(active=False, event=self._open[source]), heard_at=now)
            for source in sorted(sources)
            if self._open.get(source)
        ]
        if ends:
            self.append(ends)


def _name(source: str) -> str:
    return f"motion:{source}"
