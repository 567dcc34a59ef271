"""Sets of entry numbers as ranges: written as text (`3-9 12`), joined, compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

Range: TypeAlias = tuple[int, int]
"""First and last number, both in it."""


def as_text(ranges: Iterable[Range]) -> str:
    """`3-9 12`"""
    return " ".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)


def from_text(text: str) -> list[Range]:
    """The other way. Raises `ValueError`."""
    found = []
    for part in text.split():
        first, _, last = part.partition("-")
        one = int(first), int(last or first)
        if one[0] > one[1]:
            raise ValueError(f"{part}: ends before it begins")
        found.append(one)
    return found


def runs_of(numbers: Iterable[int]) -> Iterator[Range]:
    """Ascending numbers as ranges without a gap."""
    first = last = None
    for number in numbers:
        if first is None or last is None:
            first = last = number
        elif number == last + 1:
            last = number
        else:
            yield first, last
            first = last = number
    if first is not None and last is not None:
        yield first, last


def joined(ranges: Iterable[Range]) -> list[Range]:
    """Sorted, with what overlaps or adjoins made one."""
    made: list[Range] = []
    for first, last in sorted(ranges):
        if made and first <= made[-1][1] + 1:
            made[-1] = made[-1][0], max(made[-1][1], last)
        else:
            made.append((first, last))
    return made


def first_difference(ours: list[Range], theirs: list[Range]) -> int | None:
    """The lowest number that is in one of two joined lists and not in the other."""
    for one, other in zip(ours, theirs, strict=False):
        if one[0] != other[0]:
            return min(one[0], other[0])
        if one[1] != other[1]:
            return min(one[1], other[1]) + 1
    longer = ours[len(theirs) :] or theirs[len(ours) :]
    return longer[0][0] if longer else None
