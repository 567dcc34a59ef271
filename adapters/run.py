"""The adapters as one process: three families on one event loop, each with its own outbox and sender."""

from __future__ import annotations

import asyncio
import secrets
import signal
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import structlog

from adapters.again import Redecoder
from adapters.alarm.driver import AlarmDriver
from adapters.alarm.table import CONVENTIONS
from adapters.gps.driver import GpsDriver, Listening
from adapters.gps.limits import Limits
from adapters.gps.table import TABLE
from adapters.onvif.driver import OnvifDriver
from adapters.sender import Sender
from wire import again, codec, journal, topics
from wire.bus import Broker, Message, MqttBus
from wire.clock import utc_now
from wire.work import CameraWork, PanelWork, TrackerWork

log = structlog.get_logger(__name__)

FIRST_WORK_S = 20.0
"""How long a new installation waits for the registers, so that no device is heard under a stranger's name."""
FLUSH_S = 2.0

Work = TypeVar("Work", CameraWork, PanelWork, TrackerWork)


@dataclass(frozen=True)
class AdapterSettings:
    """Where the adapters keep their data, which broker they use, where trackers connect."""

    data: Path
    broker: Broker
    """As an internal user."""
    jt808_host: str
    jt808_port: int
    client_id: str = "adapters"
    tracker_ports: Mapping[str, int] = field(default_factory=dict)
    """Ports of tracker protocols, by name, where they aren't the table's."""
    tracker_limits: Limits = field(default_factory=Limits)
    first_work_s: float = FIRST_WORK_S
    confirmation_s: float = 8.0
    """How long an order waits for the device's own word."""


def main(settings: AdapterSettings) -> None:
    """Runs until SIGTERM or SIGINT."""
    journal.configure("adapters")
    asyncio.run(_until_signal(settings))


async def _until_signal(settings: AdapterSettings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await run(settings, stop)


async def run(settings: AdapterSettings, stop: asyncio.Event) -> None:
    """Runs until `stop` is set."""
    settings.data.mkdir(parents=True, exist_ok=True)
    bus = MqttBus(settings.broker, settings.client_id, announce=True)
    adapters = Adapters(settings, bus)
    try:
        await adapters.run(stop)
    finally:
        await adapters.close()


class Adapters:
    """The three families around one bus."""

    def __init__(self, settings: AdapterSettings, bus: MqttBus) -> None:
        self._settings = settings
        self._bus = bus
        self._loop = asyncio.get_running_loop()
        names = ("adapter-onvif", "adapter-alarm", "adapter-gps")
        self._senders = {name: Sender(name, settings.data, bus) for name in names}
        ports = {**settings.tracker_ports, "jt808": settings.jt808_port}
        secret = _secret(settings.data / "tracker.key")
        listening = Listening(settings.jt808_host, ports, secret, settings.tracker_limits)
        self.onvif = OnvifDriver(self._senders["adapter-onvif"], utc_now)
        self.alarm = AlarmDriver(
            settings.broker,
            self._senders["adapter-alarm"],
            utc_now,
            client_id=f"{settings.client_id}-alarm",
            confirmation_s=settings.confirmation_s,
        )
        self.gps = GpsDriver(
            settings.broker,
            self._senders["adapter-gps"],
            listening,
            utc_now,
            client_id=f"{settings.client_id}-gps",
            confirmation_s=settings.confirmation_s,
        )
        self._told = asyncio.Event()
        alarm, gps = self._senders["adapter-alarm"], self._senders["adapter-gps"]
        self._redecoder = Redecoder(
            {
                "onvif": (self._senders["adapter-onvif"], self.onvif.decode_again),
                **{one.name: (alarm, self.alarm.decode_again) for one in CONVENTIONS},
                "mqtt": (alarm, self.alarm.decode_again),
                **{line.name: (gps, self.gps.decode_again) for line in TABLE},
            }
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Takes the registers, then listens to the field."""
        self._take(topics.CAMERA_WORK, CameraWork, self.onvif.work)
        self._take(topics.PANEL_WORK, PanelWork, self.alarm.work)
        self._take(topics.TRACKER_WORK, TrackerWork, self.gps.work)
        self._bus.serve("alarm", "arm", lambda raw: self._on_loop(self.alarm.order(raw)))
        self._bus.serve("gps", "order", lambda raw: self._on_loop(self.gps.order(raw)))
        self._bus.serve(again.WING, again.VERB, lambda raw: self._on_loop(self._redecoder.answer(raw)))
        for sender in self._senders.values():
            sender.start()
        self._bus.start()
        stopping = asyncio.create_task(stop.wait())
        families = asyncio.create_task(self._families())
        flushing = asyncio.create_task(self._flush())
        done, left = await asyncio.wait({stopping, families, flushing}, return_when=asyncio.FIRST_COMPLETED)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        for task in done:
            task.result()

    async def close(self) -> None:
        """Ends all connections; what is unconfirmed stays in the outboxes."""
        await self.onvif.close()
        for sender in self._senders.values():
            await asyncio.to_thread(sender.close)
        await asyncio.to_thread(self._bus.stop)

    async def _families(self) -> None:
        await self._first_work()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.alarm.run())
            group.create_task(self.gps.run())

    async def _first_work(self) -> None:
        try:
            async with asyncio.timeout(self._settings.first_work_s):
                while not (self.alarm.has_work and self.gps.has_work):
                    self._told.clear()
                    await self._told.wait()
        except TimeoutError:
            log.warning("no registers from the hub yet; devices are taken in under their own names")

    async def _flush(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            for sender in self._senders.values():
                sender.rejects.flush(utc_now())

    def _take(self, topic: str, kind: type[Work], work: Callable[[Work], None]) -> None:
        def handle(message: Message) -> None:
            message.ack()
            try:
                told = codec.decode(message.payload, kind)
            except codec.WireError as error:
                log.error("work not understood", topic=topic, reason=error.reason)
                return
            self._loop.call_soon_threadsafe(self._apply, work, told)

        self._bus.consume(topic, handle)

    def _apply(self, work: Callable[[Work], None], told: Work) -> None:
        work(told)
        self._told.set()

    def _on_loop(self, answer: Coroutine[None, None, bytes]) -> Future[bytes]:
        return asyncio.run_coroutine_threadsafe(answer, self._loop)


def _secret(path: Path) -> bytes:
    """A key made at the first start and kept, readable by us only."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_bytes(secrets.token_bytes(32))
    return path.read_bytes()
