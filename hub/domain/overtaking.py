"""Whether something newer of the same thing is known already: then an observation is history.

News goes before history on the way to the hub, and what was lost on the way comes again, so an older state
may arrive after a newer one. It must not undo it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import msgspec

from wire.observations import Arming, Heartbeat, Lateness, Link, Motion, Observation, PointState, Position

MAX_KNOWN = 100_000
LINK, MOTION = "link", "motion"


class Origin(Protocol):
    """Which item of which outbox it was."""

    @property
    def sender(self) -> str: ...
    @property
    def epoch(self) -> str: ...
    @property
    def seq(self) -> int: ...


@dataclass(slots=True)
class _Known:
    sender: str
    epoch: str
    seq: int
    heard_at: datetime
    device_at: datetime | None


class Newest:
    """The newest of each point's condition, partition, link and motion, by the sender's own order.

    Two items of one outbox are ordered by their numbers, others by when our own part heard them; what a
    device had kept itself is ordered by the device's clock.
    """

    def __init__(self, most: int = MAX_KNOWN) -> None:
        self._most = most
        self._known: dict[tuple[str, str], _Known] = {}

    def take(
        self, observation: Observation, origin: Origin | None, on_undo: Callable[[Callable[[], None]], None]
    ) -> bool:
        """Notes an observation. True: something newer of the same is known. `on_undo` as a transaction's."""
        aspect = aspect_of(observation)
        if aspect is None:
            return isinstance(observation.body, Heartbeat | Position) and self._before_link(
                observation, origin
            )
        key = (observation.source, aspect)
        before = self._known.get(key)
        if before is not None and _is_older(observation, origin, before):
            return True
        device_at = observation.device_at if observation.lateness is not Lateness.FUTURE else None
        sender, epoch, seq = (origin.sender, origin.epoch, origin.seq) if origin is not None else ("", "", 0)
        self._set(key, _Known(sender, epoch, seq, observation.heard_at, device_at))
        on_undo(lambda: self._set(key, before))
        return aspect == MOTION and self._before_link(observation, origin)

    def recall(self, told: Mapping[str, Any]) -> None:
        """Notes an observation as the log has it; of which outbox it came isn't known any more."""
        body = {name: value for name, value in told["body"].items() if name != "still"}
        with contextlib.suppress(msgspec.ValidationError):  # another release's words
            self.take(msgspec.convert({**told, "body": body}, Observation), None, lambda _undo: None)

    def _before_link(self, observation: Observation, origin: Origin | None) -> bool:
        """A sign of life from before the latest word about the link says nothing of it."""
        link = self._known.get((observation.source, LINK))
        return link is not None and _is_older(observation, origin, link)

    def _set(self, key: tuple[str, str], known: _Known | None) -> None:
        self._known.pop(key, None)
        if known is not None:
            if len(self._known) >= self._most:
                del self._known[next(iter(self._known))]
            self._known[key] = known


def aspect_of(observation: Observation) -> str | None:
    """What of the source it tells; None where each stands for itself."""
    body = observation.body
    if isinstance(body, PointState):
        return f"{body.point}|{body.condition.value}"
    if isinstance(body, Arming):
        return f"arming|{body.partition}"
    if isinstance(body, Link):
        return LINK
    return MOTION if isinstance(body, Motion) else None


def _is_older(observation: Observation, origin: Origin | None, known: _Known) -> bool:
    kept_by_device = observation.lateness is Lateness.BUFFERED and observation.device_at is not None
    if kept_by_device and observation.device_at is not None and known.device_at is not None:
        return observation.device_at < known.device_at
    if origin is not None and origin.epoch == known.epoch and origin.sender == known.sender:
        return origin.seq < known.seq
    return observation.heard_at < known.heard_at
