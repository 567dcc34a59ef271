"""Counts one run at both ends: what the field says was acknowledged against what stands in the log."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

Key: TypeAlias = tuple[str, ...]
Line: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reckoning:
    """What was acknowledged to the field, and what of it is missing or twice in the log."""

    acknowledged: int
    lost: int
    doubled: int
    missing: tuple[Key, ...]
    """At most 20 of the lost ones."""
    twice: tuple[Key, ...]
    """At most 20 of the doubled ones."""


def key_of(line: Line) -> Key | None:
    """What makes a ledger line or a logged observation the same event; None for what isn't reckoned.

    A panel's change carries no time or number of its own, so equal changes are counted, not matched.
    """
    source, kind = str(line["source"]), line["kind"]
    if kind == "point" and source.startswith("panel:"):
        return ("point", source, str(line["point"]), str(line["condition"]), str(line["active"]))
    if kind == "position":
        return ("position", source, _second(str(line["device_at"])))
    return None


def _second(instant: str) -> str:
    return datetime.fromisoformat(instant).replace(microsecond=0, tzinfo=None).isoformat()


def reckon(ledger: Iterable[Line], log: Iterable[Line]) -> Reckoning:
    """Compares by counting. A `retained` log line may stand for a ledger line but is never a double."""
    sent = Counter(key for line in ledger if line.get("acked_at") and (key := key_of(line)))
    live: Counter[Key] = Counter()
    kept: Counter[Key] = Counter()
    for line in log:
        key = key_of(line)
        if key is not None:
            (kept if line.get("lateness") == "retained" else live)[key] += 1
    missing = sent - live - kept
    twice = Counter({key: live[key] - sent[key] for key in sent if live[key] > sent[key]})
    return Reckoning(
        acknowledged=sent.total(),
        lost=missing.total(),
        doubled=twice.total(),
        missing=tuple(missing)[:20],
        twice=tuple(twice)[:20],
    )


def latencies_ms(ledger: Iterable[Line], seen: Iterable[tuple[Line, datetime]]) -> list[float]:
    """From a panel's sending to its observation's arrival on the feed, in order of sending.

    `seen` gives the feed's observations with the instant each arrived. Equal events are paired first with
    first. Both instants come from one machine's clock.
    """
    waiting: defaultdict[Key, deque[datetime]] = defaultdict(deque)
    for line in sorted(ledger, key=lambda one: str(one["at"])):
        key = key_of(line)
        if key is not None and key[0] == "point":
            waiting[key].append(datetime.fromisoformat(str(line["at"])))
    found: list[float] = []
    for line, arrived in seen:
        key = key_of(line)
        if key is not None and line.get("lateness", "live") == "live" and waiting[key]:
            found.append((arrived - waiting[key].popleft()).total_seconds() * 1000)
    return found


def percentile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that at least `share` of `values` do not exceed; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * round(share * 1000) // 1000) - 1)]
