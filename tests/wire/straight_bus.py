"""A bus without a broker, for tests that decide themselves what arrives and when."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

from wire.bus import Answerer, Handler, LinkListener, Message


def nothing() -> None:
    """No broker waits for an acknowledgement."""


@dataclass(slots=True)
class Published:
    """What somebody sent."""

    topic: str
    payload: bytes
    retain: bool


@dataclass(slots=True)
class StraightBus:
    """Keeps what is published; hands over what it is told to, in the caller's thread."""

    connected: bool = True
    sent: list[Published] = field(default_factory=list)
    handlers: dict[str, Handler] = field(default_factory=dict)
    listeners: list[LinkListener] = field(default_factory=list)

    def start(self) -> None:
        """Nothing to start."""

    def stop(self) -> None:
        """Nothing to stop."""

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> Future[None]:
        """Keeps it."""
        self.sent.append(Published(topic, payload, retain))
        done: Future[None] = Future()
        done.set_result(None)
        return done

    def consume(self, pattern: str, handler: Handler) -> None:
        """Remembers who listens."""
        self.handlers[pattern] = handler

    def forget(self, pattern: str) -> None:
        """Remembers it no more."""
        self.handlers.pop(pattern, None)

    def on_link(self, listener: LinkListener) -> None:
        """Remembers who wants to know."""
        self.listeners.append(listener)

    def link(self, up: bool) -> None:
        """The connection comes or goes."""
        self.connected = up
        for listener in self.listeners:
            listener(up, "")

    def hand(
        self,
        pattern: str,
        topic: str,
        payload: bytes,
        ack: Callable[[], None] = nothing,
        *,
        retained: bool = False,
    ) -> None:
        """Delivers a message to whoever listens to `pattern`."""
        self.handlers[pattern](Message(topic, payload, retained, False, 0, ack))

    def take(self, family: str) -> list[Published]:
        """What was sent to `jifang/{family}/…` since the last time, and takes it away."""
        found = [one for one in self.sent if one.topic.split("/")[1] == family]
        self.sent = [one for one in self.sent if one.topic.split("/")[1] != family]
        return found

    def request(self, wing: str, verb: str, payload: bytes, *, timeout_s: float) -> Future[bytes]:
        """Nobody answers here."""
        raise NotImplementedError(f"{wing}/{verb}")

    def serve(self, wing: str, verb: str, answer: Answerer) -> None:
        """Nobody asks here."""
