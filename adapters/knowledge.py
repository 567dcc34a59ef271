"""What each point was last known to be: only a change is news.

A device repeats its states (retained messages, keep-alives, deliveries after a reconnect). Facts are kept as
marks in the sender's outbox, committed together with the observation that tells of them, so that neither a
restart nor a crash tells one twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from wire.outbox import Mark

PREFIX = "known|"


class News(Enum):
    """How a value compares with what was known."""

    SAME = "same"
    BASELINE = "baseline"
    """The first word on a point, and it is at rest: what is, but nothing that happened."""
    CHANGED = "changed"


class Knowledge:
    """Last known values by device and name."""

    def __init__(self, marks: Mapping[str, str]) -> None:
        self._known: dict[str, dict[str, str]] = {}
        self._fresh: dict[str, str] = {}
        for mark, kept in marks.items():
            device, _, name = mark.removeprefix(PREFIX).partition("|")
            self._known.setdefault(device, {})[name] = kept

    def get(self, device: str, name: str) -> str | None:
        """The value last known."""
        kept = self._known.get(_key(device), {}).get(name)
        return None if kept is None else kept[1:]

    def of(self, device: str) -> dict[str, str]:
        """All values known of a device, by name."""
        return {name: kept[1:] for name, kept in self._known.get(_key(device), {}).items()}

    def learn(self, device: str, name: str, value: str, *, rest: str, live: bool = True) -> News:
        """Takes in a value. `rest` is the value of a point at which nothing happens.

        A change that only the broker's copy told of becomes news once more when the device itself says it:
        the copy may have overtaken the message.
        """
        kept = self._known.get(_key(device), {}).get(name)
        if kept is None and value == rest:
            self._put(_key(device), name, "l" + value)
            return News.BASELINE
        if kept is not None and kept[1:] == value and not (live and kept[0] == "r"):
            return News.SAME
        self._put(_key(device), name, ("l" if live else "r") + value)
        return News.CHANGED

    def _put(self, device: str, name: str, kept: str) -> None:
        values = self._known.setdefault(device, {})
        if values.get(name) != kept:
            values[name] = kept
            self._fresh[f"{PREFIX}{device}|{name}"] = kept

    def take_marks(self) -> tuple[Mark, ...]:
        """What was learned since the last call, to be committed with the observations it gave."""
        fresh, self._fresh = self._fresh, {}
        return tuple(Mark(name, value) for name, value in fresh.items())


def _key(device: str) -> str:
    """Devices name themselves; the mark's separator may not come from them."""
    return device.replace("|", "%7C")
