"""Runs of numbers against plain sets."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wire.spans import Spans

RUNS = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 8)).map(lambda one: (one[0], one[0] + one[1])))


def numbers(spans: Spans) -> set[int]:
    """What is in it."""
    return {number for first, last in spans for number in range(first, last + 1)}


@settings(derandomize=True, deadline=None, max_examples=200)
@given(RUNS, st.integers(0, 70), RUNS)
def test_runs_say_what_sets_would(
    runs: list[tuple[int, int]], cut: int, others: list[tuple[int, int]]
) -> None:
    spans = Spans(runs)
    plain = {number for first, last in runs for number in range(first, last + 1)}
    assert numbers(spans) == plain
    assert spans.total == len(plain)
    assert all((number in spans) == (number in plain) for number in range(80))
    found = list(spans)
    assert all(one[1] + 1 < two[0] for one, two in pairwise(found)), "runs that touch"
    assert Spans.parse(str(spans)) == spans == Spans.of(plain)
    other = Spans(others)
    around = spans.around(other)
    assert around == [(a, b) for a, b in spans if any(a <= n <= b for n in numbers(other))]
    missing = {number for first, last in spans.gaps(cut) for number in range(first, last + 1)}
    assert missing == {number for number in range(cut + 1, max(plain, default=0)) if number not in plain}
    spans.cut_through(cut)
    assert numbers(spans) == {number for number in plain if number > cut}


@pytest.mark.parametrize("text", ["3-1", "x", "1-2,,3-4", "1"])
def test_what_no_spans_would_say_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"invalid|ends"):
        Spans.parse(text)


def test_only_the_lowest_are_kept() -> None:
    spans = Spans([(1, 1), (3, 3), (5, 9)])
    assert spans.keep_lowest(2)
    assert str(spans) == "1-1,3-3"
    assert not spans.keep_lowest(2)
