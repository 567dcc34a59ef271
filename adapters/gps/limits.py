"""How much a tracker listener bears: sessions, bytes, silence. Pure: time is an argument."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one listener."""

    sessions: int = 20_000
    sessions_per_address: int = 1000
    """A mobile carrier's gateway puts many cars behind one address."""
    terminals_per_session: int = 256
    """Some gateways put several terminals into one connection."""
    bytes_per_s: int = 16 * 1024
    """Of one session, on average; a terminal with a day's history sends about 5 kB/s."""
    burst_bytes: int = 256 * 1024
    silence_s: float = 300.0
    """Terminals send a heartbeat every 30 to 180 s."""
    introduction_s: float = 30.0
    """Within it a session must have sent one message that could be read."""
    unstored: int = 200
    """Reports of one session that wait to be stored; beyond it, reading pauses."""


class Admission:
    """Counts sessions against the limits."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._by_address: Counter[str] = Counter()
        self.total = 0

    def admit(self, address: str) -> str:
        """Takes a session in, or says why not."""
        if self.total >= self._limits.sessions:
            return f"more than {self._limits.sessions} sessions"
        if self._by_address[address] >= self._limits.sessions_per_address:
            return f"more than {self._limits.sessions_per_address} sessions from {address}"
        self.total += 1
        self._by_address[address] += 1
        return ""

    def leave(self, address: str) -> None:
        """Ends an admitted session."""
        self.total -= 1
        self._by_address[address] -= 1
        if not self._by_address[address]:
            del self._by_address[address]


class Allowance:
    """Bytes a session may still send before it has to pause."""

    def __init__(self, limits: Limits, now_s: float) -> None:
        self._limits = limits
        self._left = float(limits.burst_bytes)
        self._at_s = now_s

    def spend(self, size: int, now_s: float) -> float:
        """Takes `size` bytes; gives for how many seconds reading has to pause."""
        gained = (now_s - self._at_s) * self._limits.bytes_per_s
        self._left = min(float(self._limits.burst_bytes), self._left + gained) - size
        self._at_s = now_s
        return max(0.0, -self._left / self._limits.bytes_per_s)
