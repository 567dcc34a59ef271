"""Where each sender stands: what of its numbers is stored, and which gaps are to be asked for again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from wire.spans import Span, Spans

MAX_RUNS = 2_000
"""Runs noted beyond a gap. What lies beyond them is stored too; the sender's floor makes up for it."""
MAX_ASKED = 50
ASK_AFTER_S = 10.0
MOST_ASKED_S = 120.0
HEARD_S = 60.0
"""A sender that has said nothing for so long isn't asked: it says where it stands when it is back."""
_FORGOT = "+"

Key = tuple[str, str]
"""Sender and epoch."""


@dataclass(slots=True)
class Standing:
    """One sender's epoch: everything up to `mark` is dealt with, and what lies in `beyond`."""

    mark: int = 0
    beyond: Spans = field(default_factory=Spans)
    forgot: bool = False
    """More was stored beyond the gaps than is noted here."""

    @classmethod
    def parse(cls, mark: int, text: str) -> Standing:
        """As the store keeps it. Raises `ValueError` for what `text` never says."""
        forgot = text.endswith(_FORGOT)
        return cls(mark, Spans.parse(text.removesuffix(_FORGOT).removesuffix(",")), forgot)

    @property
    def text(self) -> str:
        """What lies beyond, as the store keeps it."""
        return ",".join(part for part in (str(self.beyond), _FORGOT if self.forgot else "") if part)

    def copy(self) -> Standing:
        """A standing of its own."""
        return Standing(self.mark, self.beyond.copy(), self.forgot)

    def stored(self, seq: int) -> None:
        """`seq` is stored, now or before."""
        if seq == self.mark + 1 and not self.beyond:
            self.mark = seq
        elif seq > self.mark:
            self.beyond.add(seq, seq)
            self._close_up()

    def gone(self, spans: Iterable[Sequence[int]]) -> list[Span]:
        """The sender holds none of these. Returns those that are missing here."""
        missing: list[Span] = []
        for first, last in spans:
            missing += _missing(max(first, self.mark + 1), last, self.beyond)
            if last > self.mark:
                self.beyond.add(max(first, self.mark + 1), last)
        self._close_up()
        return [] if self.forgot else missing

    def floor(self, seq: int) -> list[Span]:
        """The sender holds nothing up to `seq` any more. Returns what is missing here below it."""
        missing = self.gone([(1, seq)]) if seq > self.mark else []
        if not self.beyond:
            self.forgot = False
        return missing

    def _close_up(self) -> None:
        if self.beyond and self.beyond.first == self.mark + 1:
            self.mark = next(iter(self.beyond))[1]
            self.beyond.cut_through(self.mark)
        if self.beyond.runs > MAX_RUNS:
            self.forgot = self.beyond.keep_lowest(MAX_RUNS) or self.forgot


def _missing(first: int, last: int, known: Spans) -> list[Span]:
    found: list[Span] = []
    for begin, end in known:
        if end < first or begin > last:
            continue
        if begin > first:
            found.append((first, begin - 1))
        first = end + 1
    if first <= last:
        found.append((first, last))
    return found


@dataclass(slots=True)
class _Gap:
    """A gap as it was last looked at."""

    mark: int
    since_s: float
    wait_s: float


class Gaps:
    """Decides when to ask for what is missing: a gap that doesn't close, of a sender that speaks.

    Instants are seconds of a clock that nobody sets.
    """

    ask_after_s = ASK_AFTER_S

    def __init__(self) -> None:
        self._gaps: dict[Key, _Gap] = {}
        self._heard: dict[str, tuple[str, float]] = {}

    def hear(self, sender: str, epoch: str, now_s: float) -> None:
        """The sender said something. Of an epoch that is over it has nothing any more."""
        self._heard[sender] = epoch, now_s

    def due(self, standings: Mapping[Key, Standing], now_s: float) -> dict[Key, list[Span]]:
        """What to ask now, the lowest runs first."""
        asked: dict[Key, list[Span]] = {}
        for key, standing in standings.items():
            gap = self._gaps.get(key)
            if not standing.beyond:
                self._gaps.pop(key, None)
            elif gap is None or gap.mark != standing.mark:
                self._gaps[key] = _Gap(standing.mark, now_s, self.ask_after_s)
            elif now_s - gap.since_s >= gap.wait_s and self._speaks(key, now_s):
                gap.since_s, gap.wait_s = now_s, min(gap.wait_s * 2, MOST_ASKED_S)
                asked[key] = list(islice(standing.beyond.gaps(standing.mark), MAX_ASKED))
        return asked

    def _speaks(self, key: Key, now_s: float) -> bool:
        epoch, heard_s = self._heard.get(key[0], ("", 0.0))
        return epoch == key[1] and now_s - heard_s < HEARD_S
