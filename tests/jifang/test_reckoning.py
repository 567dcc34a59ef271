"""Counting a run at both ends: hand-made ledgers and logs with what is lost and doubled known."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from jifang.reckoning import latencies_ms, percentile, reckon


def point(active: bool, **more: Any) -> dict[str, Any]:
    """A ledger line of one panel's zone."""
    return {
        "source": "panel:p-1",
        "kind": "point",
        "point": "zone:3",
        "condition": "intrusion",
        "active": active,
        "at": "2026-11-21T02:14:12.100000+00:00",
        "acked_at": "2026-11-21T02:14:12.101000+00:00",
        **more,
    }


def fix(second: int, **more: Any) -> dict[str, Any]:
    """A ledger line of one fix."""
    return {
        "source": "tracker:u-1",
        "kind": "position",
        "device_at": f"2026-11-21T02:14:{second:02d}Z",
        "at": f"2026-11-21T02:14:{second:02d}Z",
        "acked_at": "2026-11-21T02:14:59Z",
        **more,
    }


def test_all_there_is_nothing_lost_and_nothing_doubled() -> None:
    ledger = [point(True), point(False), point(True), fix(1), fix(2)]
    counted = reckon(ledger, ledger)
    assert (counted.acknowledged, counted.lost, counted.doubled) == (5, 0, 0)


def test_one_missing_and_one_twice_are_named() -> None:
    counted = reckon([point(True), fix(1), fix(2)], [point(True), point(True), fix(2)])
    assert (counted.lost, counted.doubled) == (1, 1)
    assert counted.missing == (("position", "tracker:u-1", "2026-11-21T02:14:01"),)
    assert counted.twice[0][:2] == ("point", "panel:p-1")


def test_what_was_never_acknowledged_may_be_missing() -> None:
    assert reckon([point(True, acked_at=None)], []).acknowledged == 0


def test_a_retained_line_stands_in_but_never_doubles() -> None:
    kept = point(True, lateness="retained")
    assert reckon([point(True)], [kept]).lost == 0
    assert reckon([point(True)], [point(True), kept]).doubled == 0


def test_latency_pairs_equal_events_first_with_first() -> None:
    later = "2026-11-21T02:14:20+00:00"
    seen = [
        (point(True), datetime(2026, 11, 21, 2, 14, 12, 150_000, tzinfo=UTC)),
        (point(True), datetime(2026, 11, 21, 2, 14, 20, 250_000, tzinfo=UTC)),
    ]
    assert latencies_ms([point(True, at=later), point(True)], seen) == [50.0, 250.0]


def test_percentile_by_hand() -> None:
    assert percentile([], 0.99) is None
    assert percentile([4.0, 1.0, 3.0, 2.0], 0.5) == 2.0
    assert percentile([float(n) for n in range(1, 101)], 0.99) == 99.0
    assert percentile([7.0], 0.99) == 7.0


@given(st.lists(st.integers(0, 20)), st.lists(st.integers(0, 20)))
def test_lost_and_doubled_balance(sent: list[int], logged: list[int]) -> None:
    counted = reckon([fix(n) for n in sent], [fix(n) for n in logged])
    unexpected = sum(1 for n in logged if n not in sent)
    assert counted.acknowledged - counted.lost == len(logged) - counted.doubled - unexpected
