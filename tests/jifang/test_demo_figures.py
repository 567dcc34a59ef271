"""Figures of a demo that are put together from the feed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from jifang.demo import motion_spans

ARRIVED = datetime(2026, 11, 21, tzinfo=UTC)


def motion(active: bool, event: str, at: str, **more: Any) -> tuple[dict[str, Any], datetime]:
    """A motion as the feed brings it."""
    line = {"source": "camera:c-01", "kind": "motion", "by": "edge", "active": active, "event": event}
    return {**line, "heard_at": at, **more}, ARRIVED


def test_begin_and_end_are_joined_by_their_event() -> None:
    flat = [motion(True, "1", "a"), motion(True, "2", "b"), motion(False, "1", "c")]
    assert motion_spans(flat) == {"camera:c-01": [["a", "c"], ["b", None]]}


def test_what_the_camera_itself_says_and_ends_without_a_beginning_are_left_out() -> None:
    flat = [motion(True, "1", "a", by="camera"), motion(False, "9", "b")]
    assert motion_spans(flat) == {"camera:c-01": []}
