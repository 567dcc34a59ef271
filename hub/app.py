"""The hub as a process: its parts put together, served over HTTP and the bus until SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog
import uvloop

from hub import metrics
from hub.accounts import Accounts
from hub.desk import Desk
from hub.domain.entry import Entry, EntryKind
from hub.enrolment import RegisterError
from hub.evidence import Rates, load_pack
from hub.feed import Feed
from hub.intake import Intake
from hub.media import Media
from hub.orders import Orders
from hub.registers import Registers
from hub.sealing import SealBroken
from hub.store import log as log_rows
from hub.store import stills
from hub.store.blobs import Blobs
from hub.store.engine import Job, Store, StoreUnavailable, Transaction
from hub.watch import Ticker, Watch
from hub.web.application import build
from hub.web.context import Hub, probe
from hub.web.server import Server, configured
from wire import codec, journal, topics
from wire.bus import Broker, MqttBus
from wire.clock import Clock, utc_now

log = structlog.get_logger(__name__)

PATROL_S = 10.0
TARGETS = Path(__file__).parent.parent / "config" / "targets" / "xuzhou-2006.toml"


@dataclass(frozen=True, kw_only=True)
class HubSettings:
    """What the hub needs to know to start."""

    data: Path
    store_url: str
    broker: Broker
    http_host: str
    http_port: int
    console: Path | None = None
    """Folder of the built console."""
    field_address: str = ""
    """Where field devices reach the broker: shown to installers."""
    targets: Path = field(default=TARGETS)
    """The target pack that coverage is measured against."""


class _Log:
    """The log as the feed reads it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def head(self) -> int:
        """The last committed number."""
        return self._store.head

    async def between(self, after: int, up_to: int, limit: int) -> list[Entry]:
        """Entries `after < seq <= up_to`, oldest first."""
        found = await self._store.read(lambda connection: log_rows.after(connection, after, limit=limit))
        return [entry for entry in found if entry.seq <= up_to]

    async def oldest(self) -> int:
        """Number of the oldest entry still kept."""
        found = await self._store.read(lambda connection: log_rows.after(connection, 0, limit=1))
        return found[0].seq if found else 1


@dataclass(frozen=True, slots=True)
class FieldSide:
    """What listens to the field and speaks to it; each has threads of its own."""

    bus: MqttBus
    intake: Intake
    orders: Orders
    ticker: Ticker

    def start(self, hub: Hub) -> None:
        """Begins; an absent broker is waited for."""
        self.orders.start(hub.clock())
        hub.registers.on_change(lambda: publish_work(self.bus, hub.registers))
        publish_work(self.bus, hub.registers)
        self.intake.start()
        self.bus.start()
        self.ticker.start()

    def stop(self) -> None:
        """Ends; what is unacknowledged comes again next time."""
        self.ticker.stop()
        self.intake.stop()
        self.bus.stop()


def publish_work(bus: MqttBus, registers: Registers) -> None:
    """Tells the wings what to watch, retained: sent at once, or when the broker is there."""
    cameras, panels, trackers = registers.work()
    for topic, work in (
        (topics.CAMERA_WORK, cameras),
        (topics.PANEL_WORK, panels),
        (topics.TRACKER_WORK, trackers),
    ):
        bus.publish(topic, codec.encode(work), retain=True)


def open_hub(settings: HubSettings, clock: Clock = utc_now) -> tuple[Hub, FieldSide]:
    """Opens the store and puts the parts together. Blocks; nothing runs yet but the store."""
    store = Store.open(settings.store_url, clock=clock)
    registers = Registers.load(store, settings.data / "seal.key")
    desk = Desk(store, registers)
    blobs = Blobs(settings.data / "stills")
    watch = Watch(store, desk, registers, clock())
    bus = MqttBus(settings.broker, "hub", announce=True)
    hub = Hub(
        store=store,
        registers=registers,
        desk=desk,
        accounts=Accounts(store, clock),
        feed=Feed(_Log(store), clock, lambda: desk.snapshot().units),
        media=Media(clock),
        rates=Rates(store, registers, load_pack(settings.targets)),
        blobs=blobs,
        bus=bus,
        clock=clock,
        field_address=settings.field_address,
    )
    intake = Intake(bus, store, desk, registers, blobs, watch)
    return hub, FieldSide(bus, intake, Orders(bus, store, desk), Ticker(store, desk, watch))


def follow_log(hub: Hub) -> None:
    """Has the feed and the index of pictures follow the log, from where it stands."""
    hub.store.on_commit(hub.feed.taken)
    hub.store.enqueue(stills.catch_up).result()
    hub.store.on_commit(lambda entries: _note_stills(hub.store, entries))
    hub.store.on_commit(lambda entries: _learn_streams(hub, entries))


def _note_stills(store: Store, entries: Sequence[Entry]) -> None:
    shown = [entry for entry in entries if stills.hashes_in(entry)]
    if shown:
        store.enqueue(lambda tx: stills.note(tx, shown))


def _learn_streams(hub: Hub, entries: Sequence[Entry]) -> None:
    """A camera registered by its ONVIF address alone has told where its streams are."""
    for entry in entries:
        facts = entry.body.get("body") if entry.kind is EntryKind.OBSERVATION else None
        if isinstance(facts, dict) and facts.get("type") == "facts" and entry.subject.startswith("camera:"):
            told = facts.get("detail", {})
            if told.get("rtsp_main"):
                hub.store.enqueue(_learning(hub.registers, entry.subject.removeprefix("camera:"), told))


def _learning(registers: Registers, camera: str, told: Mapping[str, str]) -> Job[None]:
    def job(tx: Transaction) -> None:
        try:
            registers.learn_streams(tx, camera, told["rtsp_main"], told.get("rtsp_sub", ""))
        except (RegisterError, SealBroken) as error:
            log.warning("what a camera told of its streams can't be used", camera=camera, reason=str(error))

    return job


async def start_feed(hub: Hub) -> None:
    """Starts the feed on this loop."""
    first = await hub.store.read(lambda connection: log_rows.numbered(connection, [1]))
    hub.feed.start(asyncio.get_running_loop(), first[0].hash[:16] if first else "")


async def end_abandoned(hub: Hub) -> None:
    """For ever: ends live pictures whose sign-in has ended, and measures what a commit takes."""
    while True:
        await asyncio.sleep(PATROL_S)
        began = time.perf_counter()
        with contextlib.suppress(StoreUnavailable):
            await hub.store.submit(probe)
            metrics.COMMIT_SECONDS.observe(time.perf_counter() - began)
        holders = hub.media.holders()
        for gone in holders - await hub.accounts.alive(holders):
            await hub.media.end_of(gone)


async def serve(settings: HubSettings) -> None:
    """Runs the hub until SIGTERM or SIGINT. Raises `OSError` where the address is taken."""
    hub, field_side = await asyncio.to_thread(open_hub, settings)
    await asyncio.to_thread(follow_log, hub)
    await start_feed(hub)
    app = build(console=settings.console)
    app.state.hub = hub
    server = configured(app, settings.http_host, settings.http_port)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: loop.create_task(_stop_serving(hub, server)))
    await asyncio.to_thread(field_side.start, hub)
    patrol = asyncio.create_task(end_abandoned(hub))
    log.info("hub serves", host=settings.http_host, port=settings.http_port, head=hub.store.head)
    try:
        await server.serve()
    finally:
        patrol.cancel()
        await asyncio.gather(patrol, return_exceptions=True)
        await hub.feed.stop()
        await hub.media.stop()
        await asyncio.to_thread(field_side.stop)
        await asyncio.to_thread(hub.store.close)
        log.info("hub stopped")


async def _stop_serving(hub: Hub, server: Server) -> None:
    """Streams that never end are ended first, or the server would wait for them."""
    await hub.feed.stop()
    server.should_exit = True


def main(settings: HubSettings) -> None:
    """Runs the hub in this process until SIGTERM."""
    journal.configure("hub")
    uvloop.run(serve(settings))
