"""Recognises a QoS 1 message that the broker delivers again after it was already taken (MQTT 3.1.1, 4.4).

The DUP flag alone doesn't say that we had the message, and packet identifiers come round again after 65,535.
So what is kept is the identifier, the content's digest and the running number of the delivery: a redelivery
can only repeat one of the last few thousand.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from wire.bus import Message
from wire.outbox import Mark

PREFIX = "mqtt|"
COUNT = PREFIX + "count"
WINDOW = 5000


class Deliveries:
    """The packets taken lately, kept over restarts as marks of the outbox."""

    def __init__(self, marks: Mapping[str, str]) -> None:
        self._count = int(marks.get(COUNT, "0"))
        self._taken: dict[int, tuple[int, str]] = {}
        for name, value in marks.items():
            if name != COUNT:
                number, _, digest = value.partition(":")
                self._taken[int(name.removeprefix(PREFIX))] = (int(number), digest)

    def again(self, message: Message) -> bool:
        """Whether this delivery repeats one that was taken."""
        if not (message.duplicate and message.packet):
            return False
        number, digest = self._taken.get(message.packet, (-WINDOW, ""))
        return self._count - number < WINDOW and digest == digest_of(message)

    def take(self, message: Message) -> tuple[Mark, ...]:
        """Notes a delivery; the marks are to be committed together with what it said."""
        if not message.packet or message.retained:
            return ()
        self._count += 1
        digest = digest_of(message)
        self._taken[message.packet] = (self._count, digest)
        return (Mark(f"{PREFIX}{message.packet}", f"{self._count}:{digest}"), Mark(COUNT, str(self._count)))


def digest_of(message: Message) -> str:
    """Stands for topic and payload."""
    topic = message.topic.encode(errors="surrogateescape")
    return hashlib.blake2b(topic + b"\0" + message.payload, digest_size=12).hexdigest()
