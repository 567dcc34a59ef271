"""Sets of sequence numbers as runs: `7-9,12-12`. What a sender and intake tell each other about gaps."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

Span: TypeAlias = tuple[int, int]
"""First and last number of a run, both in it."""


class Spans:
    """Disjoint runs of whole numbers, sorted, never touching each other."""

    __slots__ = ("_firsts", "_lasts")

    def __init__(self, spans: Iterable[Sequence[int]] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in spans:
            self.add(first, last)

    @classmethod
    def parse(cls, text: str) -> Spans:
        """The opposite of `str`. Raises `ValueError` for what no `Spans` would say."""
        found = cls()
        for part in text.split(",") if text else ():
            first, _, last = part.partition("-")
            if int(first) > int(last):
                raise ValueError(f"{part!r} ends before it begins")
            found.add(int(first), int(last))
        return found

    @classmethod
    def of(cls, numbers: Iterable[int]) -> Spans:
        """The runs that these numbers make, in whatever order they come."""
        found = cls()
        for number in sorted(numbers):
            found.add(number, number)
        return found

    def __str__(self) -> str:
        return ",".join(f"{first}-{last}" for first, last in self)

    def __repr__(self) -> str:
        return f"Spans({self!s})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Spans) and (self._firsts, self._lasts) == (other._firsts, other._lasts)

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __iter__(self) -> Iterator[Span]:
        return iter(zip(self._firsts, self._lasts, strict=True))

    def __bool__(self) -> bool:
        return bool(self._firsts)

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._firsts, number) - 1
        return at >= 0 and number <= self._lasts[at]

    @property
    def runs(self) -> int:
        """How many runs it takes to say it."""
        return len(self._firsts)

    @property
    def total(self) -> int:
        """How many numbers are in it."""
        return sum(self._lasts) - sum(self._firsts) + len(self._firsts)

    @property
    def first(self) -> int:
        """The smallest number. Raises `IndexError` where there is none."""
        return self._firsts[0]

    @property
    def last(self) -> int:
        """The largest number. Raises `IndexError` where there is none."""
        return self._lasts[-1]

    def copy(self) -> Spans:
        """Spans of its own."""
        other = Spans()
        other._firsts, other._lasts = self._firsts[:], self._lasts[:]
        return other

    def add(self, first: int, last: int) -> None:
        """Takes in a run; runs that meet become one."""
        low = bisect_left(self._lasts, first - 1)
        high = bisect_right(self._firsts, last + 1)
        if low < high:
            first = min(first, self._firsts[low])
            last = max(last, self._lasts[high - 1])
        self._firsts[low:high] = [first]
        self._lasts[low:high] = [last]

    def cut_through(self, number: int) -> None:
        """Takes out everything up to `number`."""
        gone = bisect_right(self._lasts, number)
        del self._firsts[:gone], self._lasts[:gone]
        if self._firsts and self._firsts[0] <= number:
            self._firsts[0] = number + 1

    def keep_lowest(self, runs: int) -> bool:
        """Keeps at most the lowest `runs` runs; tells whether any were let go."""
        more = len(self._firsts) > runs
        del self._firsts[runs:], self._lasts[runs:]
        return more

    def gaps(self, after: int) -> Iterator[Span]:
        """The runs of numbers over `after` that are missing before the last run of this."""
        for first, last in self:
            if first > after + 1:
                yield after + 1, first - 1
            after = max(after, last)

    def around(self, numbers: Spans) -> list[Span]:
        """Those of its runs that hold any of `numbers`."""
        found: list[Span] = []
        for first, last in numbers:
            at = bisect_left(self._lasts, first)
            while at < len(self._firsts) and self._firsts[at] <= last:
                span = (self._firsts[at], self._lasts[at])
                if not found or found[-1] != span:
                    found.append(span)
                at += 1
        return found
