"""Counts what listeners could not understand, by protocol and cause, and sends samples to quarantine.

A flood is sampled: at most `per_s` samples a second travel, and each says how many it stands for, so that
the hub's counter is exact all the same. While the bus is away, only counts and the latest sample are kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime

import msgspec

from adapters.refusal import Refusal
from wire.codec import MAX_REJECTED_BYTES, Rejected

MAX_PEER = 200


class Rejects:
    """One sender's refusals. `publish` takes a sample; it is called only while `ready()`."""

    def __init__(
        self, publish: Callable[[Rejected], object], ready: Callable[[], bool], *, per_s: float = 10.0
    ) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self._publish = publish
        self._ready = ready
        self._per_s = per_s
        self._allowance = per_s
        self._last: datetime | None = None
        self._owed: dict[tuple[str, str], Rejected] = {}

    def add(self, protocol: str, peer: str, refusal: Refusal, now: datetime) -> None:
        """Counts a refusal and sends it as a sample, or keeps it for `flush`."""
        key = (protocol, refusal.cause)
        self.counts[key] += 1
        owed = self._owed.get(key)
        self._owed[key] = Rejected(
            protocol=protocol,
            peer=peer.encode("utf-8", "backslashreplace").decode()[:MAX_PEER],
            reason=refusal.reason.encode("utf-8", "backslashreplace").decode(),
            raw=refusal.raw[:MAX_REJECTED_BYTES],
            size=refusal.size,
            heard_at_ms=int(now.timestamp() * 1000),
            cause=refusal.cause,
            count=1 + (owed.count if owed else 0),
        )
        self.flush(now)

    def flush(self, now: datetime) -> None:
        """Sends what is owed, as far as the rate allows."""
        if self._last is not None:
            passed_s = max(0.0, (now - self._last).total_seconds())
            self._allowance = min(self._per_s, self._allowance + passed_s * self._per_s)
        self._last = now
        while self._owed and self._allowance >= 1 and self._ready():
            self._allowance -= 1
            key = next(iter(self._owed))
            self._publish(self._owed.pop(key))


def sample_of(rejected: Rejected) -> bytes:
    """A sample as it travels on our bus."""
    return msgspec.json.encode(rejected)
