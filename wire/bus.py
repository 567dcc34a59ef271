"""The bus seam: publish, consume with acknowledgement after commit, request with reply. Over MQTT.

Handlers run on the bus's own network thread and must return quickly; `Message.ack` may be called later and
from any thread. MQTT 3.1.1 with a persistent session and a fixed client id, so that what arrives while a
consumer is away waits for it at the broker.
"""

from __future__ import annotations

import contextlib
import ssl
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import msgspec
import structlog
from msgspec import Struct
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from wire import topics

log = structlog.get_logger(__name__)


class Broker(Struct, frozen=True, kw_only=True):
    """Where the broker is and who we are to it."""

    host: str
    port: int
    user: str = ""
    password: str = ""
    tls: bool = False

    def __repr__(self) -> str:
        return f"Broker({self.user}@{self.host}:{self.port})"


@dataclass(frozen=True, slots=True)
class Message:
    """One delivery. Unacknowledged, it is delivered again when the session resumes."""

    topic: str
    """Bytes that aren't UTF-8 stand as surrogate escapes."""
    payload: bytes
    retained: bool
    duplicate: bool
    """MQTT's DUP flag: the broker sent this packet before and had no acknowledgement."""
    packet: int
    """MQTT packet identifier; 0 for QoS 0."""
    ack: Callable[[], None] = field(repr=False)


Handler: TypeAlias = Callable[[Message], None]
LinkListener: TypeAlias = Callable[[bool, str], None]
Answerer: TypeAlias = Callable[[bytes], "bytes | Future[bytes]"]
"""Gives the reply to a request, at once or, where the field has to confirm first, later."""


class Bus(Protocol):
    """What the wings need of a bus; NATS can stand behind it as well."""

    @property
    def connected(self) -> bool: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> Future[None]: ...
    def consume(self, pattern: str, handler: Handler) -> None: ...
    def forget(self, pattern: str) -> None: ...
    def on_link(self, listener: LinkListener) -> None: ...
    def request(self, wing: str, verb: str, payload: bytes, *, timeout_s: float) -> Future[bytes]: ...
    def serve(self, wing: str, verb: str, answer: Answerer) -> None: ...


class RequestTimeout(TimeoutError):
    """No reply within the time limit; whether the wing acted is not known."""


class _Ask(Struct, frozen=True):
    id: str
    reply_to: str
    body: bytes


class _Reply(Struct, frozen=True):
    id: str
    body: bytes


class MqttBus:
    """A bus over one MQTT connection, which reconnects by itself.

    `client_id` must be fixed for a persistent session. With `announce`, `jifang/status/{client_id}` is kept
    at `up`, and at `down` by last will.
    """

    def __init__(
        self, broker: Broker, client_id: str, *, persistent: bool = True, announce: bool = False
    ) -> None:
        self._broker = broker
        self._client_id = client_id
        self._handlers: dict[str, Handler] = {}
        self._listeners: list[LinkListener] = []
        self._waiting: dict[str, Future[bytes]] = {}
        self._publishing: dict[int, Future[None]] = {}
        self._lock = threading.Lock()
        self._connected = False
        self._connection = 0
        self.session_kept = False
        """The broker had our session still: what was said since we left is delivered, all of it."""
        self._announce = announce
        self._persistent = persistent
        self._client = self._make_client()

    def _make_client(self) -> paho.Client:
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            clean_session=not self._persistent,
            protocol=MQTTProtocolVersion.MQTTv311,
            manual_ack=True,
        )
        if self._broker.user:
            client.username_pw_set(self._broker.user, self._broker.password)
        if self._broker.tls:
            client.tls_set_context(ssl.create_default_context())
        if self._announce:
            client.will_set(topics.STATUS.format(sender=self._client_id), b"down", qos=1, retain=True)
        client.max_inflight_messages_set(2000)
        client.reconnect_delay_set(min_delay=1, max_delay=5)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        return client

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted this connection and it still stands."""
        return self._connected

    def start(self) -> None:
        """Connects in the background; never raises for an absent broker."""
        self._client.connect_async(self._broker.host, self._broker.port, keepalive=15)
        self._client.loop_start()

    def stop(self) -> None:
        """Disconnects; a persistent session stays at the broker."""
        if self._announce and self._connected:
            told = self.publish(topics.STATUS.format(sender=self._client_id), b"down", retain=True)
            with contextlib.suppress(TimeoutError):
                told.result(2)
        self._client.disconnect()
        self._client.loop_stop()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> Future[None]:
        """Sends at QoS 1; resolves at the broker's acknowledgement. Survives reconnects, not this process."""
        # paho calls _on_publish holding a lock that its publish takes: never call it holding ours.
        return self._meet(self._client.publish(topic, payload, qos=1, retain=retain).mid)

    def _meet(self, mid: int) -> Future[None]:
        """The publisher and the acknowledgement of a packet meet here; either may come first."""
        with self._lock:
            done = self._publishing.pop(mid, None)
            if done is None:
                done = self._publishing[mid] = Future()
            return done

    def consume(self, pattern: str, handler: Handler) -> None:
        """Delivers messages on `pattern` to `handler`, at QoS 1, now and after every reconnect."""
        self._handlers[pattern] = handler
        if self._connected:
            self._client.subscribe(pattern, qos=1)

    def forget(self, pattern: str) -> None:
        """Ends a `consume`."""
        if self._handlers.pop(pattern, None) and self._connected:
            self._client.unsubscribe(pattern)

    def on_link(self, listener: LinkListener) -> None:
        """Calls `listener(up, reason)` at each change of the connection."""
        self._listeners.append(listener)

    def request(self, wing: str, verb: str, payload: bytes, *, timeout_s: float) -> Future[bytes]:
        """Asks a wing; the future fails with `RequestTimeout` after `timeout_s`."""
        reply_to = topics.REPLY.format(client=self._client_id)
        if reply_to not in self._handlers:
            self.consume(reply_to, self._on_reply)
        identity = uuid.uuid4().hex
        answer: Future[bytes] = Future()
        self._waiting[identity] = answer
        ask = _Ask(identity, reply_to, payload)
        self.publish(topics.ASK.format(wing=wing, verb=verb), msgspec.json.encode(ask))
        timer = threading.Timer(timeout_s, self._expire, (identity, f"{wing}/{verb}", timeout_s))
        timer.daemon = True
        timer.start()
        return answer

    def serve(self, wing: str, verb: str, answer: Answerer) -> None:
        """Answers requests for `wing/verb`. A retained request is never obeyed.

        A future that fails leaves the request without a reply; the asker's time limit tells it.
        """

        def handle(message: Message) -> None:
            message.ack()
            if message.retained:
                log.warning("retained request not obeyed", topic=message.topic)
                return
            ask = msgspec.json.decode(message.payload, type=_Ask)
            given = answer(ask.body)
            if isinstance(given, Future):
                given.add_done_callback(lambda done: self._reply(ask, done))
            else:
                self._publish_reply(ask, given)

        self.consume(topics.ASK.format(wing=wing, verb=verb), handle)

    def _reply(self, ask: _Ask, done: Future[bytes]) -> None:
        if done.cancelled() or done.exception() is not None:
            log.error("a request could not be answered", reply_to=ask.reply_to, reason=str(done))
        else:
            self._publish_reply(ask, done.result())

    def _publish_reply(self, ask: _Ask, body: bytes) -> None:
        self.publish(ask.reply_to, msgspec.json.encode(_Reply(ask.id, body)))

    def _expire(self, identity: str, what: str, timeout_s: float) -> None:
        answer = self._waiting.pop(identity, None)
        if answer is not None:
            answer.set_exception(RequestTimeout(f"{what}: no reply within {timeout_s} s"))

    def _on_reply(self, message: Message) -> None:
        message.ack()
        reply = msgspec.json.decode(message.payload, type=_Reply)
        answer = self._waiting.pop(reply.id, None)
        if answer is not None:
            answer.set_result(reply.body)

    def _on_connect(self, client: paho.Client, _data: Any, flags: Any, reason: Any, _props: Any) -> None:
        if reason.is_failure:
            self._tell(up=False, reason=str(reason))
            return
        self.session_kept = bool(flags.session_present)
        self._connected = True
        self._connection += 1
        for pattern in list(self._handlers):
            client.subscribe(pattern, qos=1)
        if self._announce:
            self.publish(topics.STATUS.format(sender=self._client_id), b"up", retain=True)
        self._tell(up=True, reason="")

    def _on_disconnect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _props: Any) -> None:
        self._connected = False
        self._tell(up=False, reason=str(reason))

    def _tell(self, *, up: bool, reason: str) -> None:
        log.info("bus link", client=self._client_id, up=up, reason=reason)
        for listener in self._listeners:
            listener(up, reason)

    def _on_publish(self, _client: Any, _data: Any, mid: int, _reason: Any, _props: Any) -> None:
        self._meet(mid).set_result(None)

    def _on_message(self, client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        # paho's own `topic` raises on bytes that aren't UTF-8; a foreign device must not stop the receiver.
        topic = message._topic.decode(errors="surrogateescape")
        mid, qos, connection = message.mid, message.qos, self._connection

        def acknowledge() -> None:
            # After a reconnect the same number may stand for another message, and this one comes again.
            if qos and connection == self._connection:
                client.ack(mid, qos)

        payload = bytes(message.payload)
        delivery = Message(topic, payload, message.retain, message.dup, mid, acknowledge)
        handler = self._handler_for(topic)
        if handler is None:
            delivery.ack()
            return
        try:
            handler(delivery)
        except Exception:  # this is the supervision loop of all handlers: one bad message stops nothing
            log.exception("handler failed; message left unacknowledged", topic=topic)

    def _handler_for(self, topic: str) -> Handler | None:
        exact = self._handlers.get(topic)
        if exact is not None:
            return exact
        for pattern, handler in list(self._handlers.items()):
            if paho.topic_matches_sub(pattern, topic):
                return handler
        return None
