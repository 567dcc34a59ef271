"""A device's own MQTT connection: last will, strict order, a memory for when it is cut off, acknowledgements.

One message is under way at a time: a device's states must reach the broker in the order they came about, also
across a reconnect, where paho sends what was under way again and the rest follows.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import structlog
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion

from simulator.ledger import Entry, Ledger, instant

log = structlog.get_logger(__name__)

MAX_WAITING = 50_000
"""Messages a device keeps while it is cut off; beyond, its oldest go, as in a real one with little memory."""


@dataclass(frozen=True, slots=True)
class Access:
    """The broker and how devices sign in."""

    host: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker says for a device that is gone."""

    topic: str
    payload: bytes
    retain: bool


@dataclass(slots=True)
class _Message:
    topic: str
    payload: bytes
    retain: bool
    entry: Entry | None


class _Wire(paho.Client):
    """paho's client over a line that can be cut."""

    cut = False

    def reconnect(self) -> MQTTErrorCode:
        if self.cut:
            raise ConnectionRefusedError("the line is cut")
        return super().reconnect()


Received = Callable[[str, bytes], object]


class Line:
    """Connects in the background and stays connected. Methods may be called from any one thread.

    `received` and `connected` are called on the line's own thread, `received` never with a retained message.
    """

    def __init__(
        self,
        access: Access,
        client_id: str,
        ledger: Ledger,
        *,
        will: Will,
        listen: tuple[str, ...] = (),
        received: Received = lambda _topic, _payload: None,
        connected: Callable[[], object] = lambda: None,
    ) -> None:
        self._access = access
        self._client_id = client_id
        self._ledger = ledger
        self._listen = listen
        self._received = received
        self._on_connected = connected
        self._waiting: deque[_Message] = deque()
        self._under_way: _Message | None = None
        self._up = False
        self._lock = threading.Lock()
        self._client = self._make_client(will)

    def _make_client(self, will: Will) -> _Wire:
        client = _Wire(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            clean_session=True,
            protocol=MQTTProtocolVersion.MQTTv311,
        )
        if self._access.user:
            client.username_pw_set(self._access.user, self._access.password)
        client.will_set(will.topic, will.payload, qos=1, retain=will.retain)
        client.reconnect_delay_set(min_delay=1, max_delay=2)
        client.on_connect = self._connected
        client.on_disconnect = self._disconnected
        client.on_publish = self._acknowledged
        client.on_message = self._message
        return client

    @property
    def up(self) -> bool:
        """Whether the broker has accepted us and the connection stands."""
        return self._up

    @property
    def idle(self) -> bool:
        """Nothing waits and nothing is under way."""
        with self._lock:
            return not self._waiting and self._under_way is None

    def start(self) -> None:
        """Begins to connect, and again after each loss."""
        self._client.connect_async(self._access.host, self._access.port, keepalive=20)
        self._client.loop_start()

    def stop(self) -> None:
        """Disconnects as a device does that is switched off in order: no last will."""
        self._client.disconnect()
        self._client.loop_stop()

    def cut(self, *, active: bool) -> None:
        """Cuts the line without a word, so that the broker publishes the last will; or mends it."""
        self._client.cut = active
        sock = self._client.socket()
        if active and isinstance(sock, socket.socket):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def send(self, topic: str, payload: bytes, *, retain: bool, entry: Entry | None = None) -> None:
        """Queues a message at QoS 1. `entry` goes to the ledger when the broker has acknowledged."""
        with self._lock:
            if len(self._waiting) >= MAX_WAITING:
                self._waiting.popleft()
                log.warning("device memory full, oldest message gone", device=self._client_id)
            self._waiting.append(_Message(topic, payload, retain, entry))
        self._pump()

    def _pump(self) -> None:
        with self._lock:
            if not self._up or self._under_way is not None or not self._waiting:
                return
            message = self._under_way = self._waiting.popleft()
        if message.entry is not None:
            message.entry["at"] = instant(datetime.now(UTC))
        # Without our lock: paho calls _acknowledged holding the lock that its publish waits for.
        self._client.publish(message.topic, message.payload, qos=1, retain=message.retain)

    def _connected(self, client: paho.Client, _data: Any, _flags: Any, reason: Any, _props: Any) -> None:
        if reason.is_failure:
            log.warning("broker refused", device=self._client_id, reason=str(reason))
            return
        for topic in self._listen:
            client.subscribe(topic, qos=1)
        self._up = True
        self._on_connected()
        self._pump()

    def _disconnected(self, _client: Any, _data: Any, _flags: Any, reason: Any, _props: Any) -> None:
        self._up = False
        log.debug("line down", device=self._client_id, reason=str(reason))

    def _acknowledged(self, _client: Any, _data: Any, _mid: int, _reason: Any, _props: Any) -> None:
        # Only one is ever under way, so this is its acknowledgement.
        message = self._under_way
        if message is not None and message.entry is not None:
            self._ledger.write(message.entry)
        with self._lock:
            self._under_way = None
        self._pump()

    def _message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        if message.retain:
            log.warning("retained command not obeyed", device=self._client_id)
            return
        self._received(message.topic, bytes(message.payload))
