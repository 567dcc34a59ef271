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
_UNDER = "\x1f"
"""Between a value that only the broker's copy told and the one that the device itself said before."""


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
        return None if kept is None else _value(kept)

    def of(self, device: str) -> dict[str, str]:
        """All values known of a device, by name."""
        return {name: _value(kept) for name, kept in self._known.get(_key(device), {}).items()}

    def learn(
        self, device: str, name: str, value: str, *, rest: str, live: bool = True, followed: bool = False
    ) -> News:
        """Takes in a value. `rest` is the value of a point at which nothing happens.

        `followed`: a copy of what the device said reaches us anyway, as it said it. Then it is never believed
        against the device's own word.
        A change that only the broker's copy told of becomes news once more when the device itself says it:
        the copy may have overtaken the message. Where the next copy agrees with what the device said last,
        the one between was an old one, and a device that repeats itself is no news.
        """
        kept = self._known.get(_key(device), {}).get(name)
        if kept is None and value == rest:
            self._put(_key(device), name, "l" + value)
            return News.BASELINE
        if kept is not None and _value(kept) == value and not (live and kept[0] == "r"):
            return News.SAME
        if followed and not live and kept is not None and kept[0] == "l":
            return News.SAME
        said = None if kept is None else _said(kept)
        if live or value == said:
            self._put(_key(device), name, "l" + value)
        else:
            self._put(_key(device), name, "r" + value + ("" if said is None else _UNDER + said))
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


def _value(kept: str) -> str:
    """The value now believed."""
    return kept[1:] if kept[0] == "l" else kept[1:].partition(_UNDER)[0]


def _said(kept: str) -> str | None:
    """What the device itself said last, as far as it is known."""
    if kept[0] == "l":
        return kept[1:]
    return kept.partition(_UNDER)[2] if _UNDER in kept else None
