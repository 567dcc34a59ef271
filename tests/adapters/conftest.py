"""A running set of adapters, the hub's side of the bus, and devices: on a real Mosquitto and real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest
from msgspec import Struct

from adapters.gps.limits import Limits
from adapters.run import AdapterSettings, run
from wire import codec, topics
from wire.bus import Broker, Message, MqttBus
from wire.codec import Rejected, Stored
from wire.observations import Observation
from wire.spans import Spans
from wire.work import Answer, CameraWork, PanelWork, TrackerWork

T = TypeVar("T")
SENDERS = ("adapter-onvif", "adapter-alarm", "adapter-gps")


async def until(condition: Callable[[], T], timeout_s: float = 15.0) -> T:
    """The first true value of `condition`."""
    async with asyncio.timeout(timeout_s):
        while not (value := condition()):
            await asyncio.sleep(0.02)
    return value


@dataclass
class Hub:
    """The hub's side: takes observations in and confirms them, hears refusals, gives out work and orders."""

    bus: MqttBus
    taken: dict[str, dict[int, Observation]] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)

    def listen(self) -> None:
        """Subscribes."""
        self.bus.consume(topics.ALL_OBSERVATIONS, self._take)
        self.bus.consume(topics.ALL_HISTORY, self._take)
        self.bus.consume(topics.ALL_REJECTED, self._reject)

    def _take(self, message: Message) -> None:
        for envelope in codec.decode_envelopes(message.payload):
            key = f"{envelope.sender}:{envelope.epoch}"
            self.taken.setdefault(key, {}).setdefault(envelope.seq, envelope.observation)
        message.ack()
        told = Stored(epoch=envelope.epoch, seq=0, beyond=tuple(Spans.of(self.taken[key])))
        self.bus.publish(topics.STORED.format(sender=envelope.sender), codec.encode(told))

    def _reject(self, message: Message) -> None:
        self.rejected.append(codec.decode(message.payload, Rejected))
        message.ack()

    def of(self, source: str, *kinds: str) -> list[Observation]:
        """What was heard of a source, in order."""
        everything = [one for items in list(self.taken.values()) for _, one in sorted({**items}.items())]
        return [one for one in everything if one.source == source and (not kinds or one.kind in kinds)]

    def causes(self, peer: str) -> list[str]:
        """Why things were refused that came from `peer`, each as often as it was counted."""
        found = [one for one in list(self.rejected) if peer in one.peer]
        return [one.cause for one in found for _ in range(one.count)]

    def work(self, work: CameraWork | PanelWork | TrackerWork) -> None:
        """Gives out the register, retained."""
        topic = {
            CameraWork: topics.CAMERA_WORK,
            PanelWork: topics.PANEL_WORK,
            TrackerWork: topics.TRACKER_WORK,
        }[type(work)]
        self.bus.publish(topic, codec.encode(work), retain=True).result(5)

    async def ask(self, wing: str, verb: str, order: Struct, timeout_s: float = 12.0) -> Answer:
        """An order, and what came of it."""
        answer = self.bus.request(wing, verb, codec.encode(order), timeout_s=timeout_s)
        return codec.decode(await asyncio.wrap_future(answer), Answer)


class Field:
    """A device's own MQTT client."""

    def __init__(self, bus: MqttBus) -> None:
        self.bus = bus
        self.heard: list[Message] = []

    async def say(self, topic: str, payload: str | bytes, *, retain: bool = False) -> None:
        """Publishes and waits for the broker's acknowledgement."""
        raw = payload if isinstance(payload, bytes) else payload.encode()
        await asyncio.wrap_future(self.bus.publish(topic, raw, retain=retain))

    def listen(self, topic: str, answer: Callable[[Message], object] = lambda _message: None) -> None:
        """Subscribes; every message is kept and then answered."""

        def handle(message: Message) -> None:
            message.ack()
            self.heard.append(message)
            answer(message)

        self.bus.consume(topic, handle)


@dataclass
class Running:
    """Adapters in this process."""

    settings: AdapterSettings
    _task: asyncio.Task[None] | None = None
    _stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> None:
        """Starts them, again after a stop."""
        self._stop = asyncio.Event()
        self._task = asyncio.create_task(run(self.settings, self._stop))

    async def stop(self) -> None:
        """Ends them in order."""
        self._stop.set()
        if self._task is not None:
            await self._task
            self._task = None


@pytest.fixture
def connect(broker: Broker) -> Iterator[Callable[[Broker, str], Awaitable[MqttBus]]]:
    """Makes connected buses; stops them afterwards."""
    made: list[MqttBus] = []

    async def make(where: Broker, name: str) -> MqttBus:
        bus = MqttBus(where, f"{name}-{uuid.uuid4().hex[:8]}", persistent=False)
        made.append(bus)
        bus.start()
        await until(lambda: bus.connected)
        return bus

    yield make
    with ThreadPoolExecutor() as pool:
        list(pool.map(MqttBus.stop, made))


@pytest.fixture
async def hub(broker: Broker, connect: Callable[[Broker, str], Awaitable[MqttBus]]) -> Hub:
    """The hub's side of the bus, with empty registers."""
    hub = Hub(await connect(broker, "hub"))
    hub.listen()
    hub.work(CameraWork(cameras=()))
    hub.work(PanelWork(panels=()))
    hub.work(TrackerWork(trackers=()))
    return hub


@pytest.fixture
async def device(field_broker: Broker, connect: Callable[[Broker, str], Awaitable[MqttBus]]) -> Field:
    """A device in the field."""
    return Field(await connect(field_broker, "device"))


@pytest.fixture
async def adapters(
    broker: Broker, hub: Hub, tmp_path: Path, free_port: Callable[[], int]
) -> AsyncIterator[Running]:
    """Adapters that are running and listening."""
    settings = AdapterSettings(
        data=tmp_path / "adapters",
        broker=broker,
        jt808_host="127.0.0.1",
        jt808_port=free_port(),
        client_id=f"adapters-{uuid.uuid4().hex[:8]}",
        tracker_limits=Limits(introduction_s=1.5, sessions_per_address=8, silence_s=2.5),
        confirmation_s=2.0,
    )
    running = Running(settings)
    await running.start()
    await until(lambda: _listens(settings.jt808_port))
    yield running
    await running.stop()


def _listens(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.asynccontextmanager
async def tcp(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A TCP connection to a local listener."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
