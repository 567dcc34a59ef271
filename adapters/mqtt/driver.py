"""One MQTT connection to devices in the field, acknowledged only after what was said is in the outbox.

The session is persistent: what devices say while we are away waits at the broker. Where the outbox can't
take more, the connection is closed and the broker keeps the messages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

import structlog

from adapters.mqtt.deliveries import PREFIX, Deliveries
from adapters.mqtt.followed import Followed
from adapters.mqtt.heard import Heard
from adapters.refusal import EVIDENCE_BYTES, Refusal
from adapters.sender import Sender
from wire.bus import Broker, Message, MqttBus
from wire.clock import Clock
from wire.link import supervise
from wire.observations import Observation
from wire.outbox import Mark

log = structlog.get_logger(__name__)

MAX_PAYLOAD_BYTES = 256 * 1024
"""A discovery document of a large device is tens of kB; nothing sensible is larger."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What a message came to: observations, and facts to be kept with them."""

    observations: Sequence[Observation] = ()
    marks: Sequence[Mark] = ()


@dataclass(slots=True)
class Family:
    """What a family does with its messages. `take` may raise `Refusal`; `protocol_of` names who refused."""

    name: str
    take: Callable[[Heard], Taken]
    protocol_of: Callable[[str], str]
    reload: Callable[[], None] = field(default=lambda: None)
    """Forgets what was taken but could not be committed."""


class FieldConnection:
    """Subscribes to what is wanted and feeds a family, on the event loop that runs it."""

    def __init__(self, broker: Broker, client_id: str, sender: Sender, family: Family, clock: Clock) -> None:
        self._broker = broker
        self._client_id = client_id
        self._sender = sender
        self._family = family
        self._clock = clock
        self._wanted: frozenset[str] = frozenset()
        self._bus: MqttBus | None = None
        self._pending: dict[int, Future[int]] = {}
        self._deliveries = Deliveries({})
        self._followed = Followed(sender.outbox, client_id)

    @property
    def connected(self) -> bool:
        """Whether the broker has us."""
        return self._bus is not None and self._bus.connected

    def want(self, patterns: frozenset[str]) -> None:
        """Sets what to subscribe to."""
        added, gone = patterns - self._wanted, self._wanted - patterns
        self._wanted = patterns
        self._followed.forget(gone)
        if self._bus is not None:
            for pattern in gone:
                self._bus.forget(pattern)
            for pattern in added:
                self._bus.consume(pattern, self._receive)

    def publish(self, topic: str, payload: bytes) -> Future[None]:
        """Sends a command, never retained; resolves when the broker has it.

        Refused while there is no connection: an order must not wait and act when nobody expects it any more.
        """
        if self._bus is None or not self._bus.connected:
            failed: Future[None] = Future()
            failed.set_exception(ConnectionError("no connection to the broker"))
            return failed
        return self._bus.publish(topic, payload, retain=False)

    async def run(self) -> None:
        """Until cancelled."""
        await supervise(self._client_id, self._session, down=lambda _reason: None)

    async def _session(self, proved: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        self._loop = loop
        self._broken: asyncio.Future[str] = loop.create_future()
        self._deliveries = Deliveries(self._sender.outbox.marks(PREFIX))
        self._pending = {}
        self._family.reload()
        self._bus = bus = MqttBus(self._broker, self._client_id)
        for pattern in self._wanted:
            bus.consume(pattern, self._receive)
        bus.on_link(lambda up, _reason: self._on_link(bus, up))
        bus.start()
        proved()
        try:
            raise ConnectionError(await self._broken)
        finally:
            self._bus = None
            await asyncio.to_thread(bus.stop)

    def _on_link(self, bus: MqttBus, up: bool) -> None:
        if up:
            self._followed.connected(self._wanted, session_kept=bus.session_kept)

    def _receive(self, message: Message) -> None:
        """On the bus's thread: bounds what is queued for the loop."""
        size = len(message.payload)
        if size > MAX_PAYLOAD_BYTES:
            message = replace(message, payload=message.payload[:EVIDENCE_BYTES])
        self._loop.call_soon_threadsafe(self._take, message, size)

    def _take(self, message: Message, size: int) -> None:
        if self._broken.done():
            if not message.packet:
                self._sender.outbox.lost()
            return  # an earlier one could not be stored; order is kept by taking none before it comes again
        if message.retained and message.duplicate:
            # An old copy that the broker repeats; the copy as it is now comes with each subscription.
            message.ack()
            return
        if self._deliveries.again(message):
            self._acknowledge_when_stored(message, self._pending.get(message.packet))
            return
        try:
            if size > MAX_PAYLOAD_BYTES:
                reason = f"payload of {size} bytes is over the limit of {MAX_PAYLOAD_BYTES}"
                raise Refusal("too_large", reason, message.payload, size=size)
            followed = message.retained and self._followed.covers(message.topic)
            taken = self._family.take(Heard(message.topic, message.payload, message.retained, followed))
        except Refusal as refusal:
            protocol = self._family.protocol_of(message.topic)
            self._sender.rejects.add(protocol, message.topic, refusal, self._clock())
            message.ack()
            return
        self._store(message, taken)

    def _store(self, message: Message, taken: Taken) -> None:
        # What said nothing new is remembered too: delivered again after others, it would undo what they said.
        marks = [*taken.marks, *self._deliveries.take(message)]
        if not taken.observations and not marks:
            message.ack()
            return
        stored = self._sender.outbox.append(taken.observations, marks)
        if message.packet:
            self._pending[message.packet] = stored
        self._acknowledge_when_stored(message, stored)

    def _acknowledge_when_stored(self, message: Message, stored: Future[int] | None) -> None:
        if stored is None:
            message.ack()
        else:
            stored.add_done_callback(lambda done: self._call_on_loop(message, done))

    def _call_on_loop(self, message: Message, stored: Future[int]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._settle, message, stored)

    def _settle(self, message: Message, stored: Future[int]) -> None:
        if self._pending.get(message.packet) is stored:
            del self._pending[message.packet]
        error = stored.exception()
        if error is None:
            message.ack()
            return
        if not message.packet:
            self._sender.outbox.lost()  # QoS 0: nobody sends it again
        if not self._broken.done():
            self._broken.set_result(f"could not store: {error}")
