"""The hub as a process: its parts put together, served over HTTP and the bus until SIGTERM."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import sqlalchemy as sa
import structlog
import uvloop

from hub.access import covers
from hub.accounts import Accounts
from hub.desk import Desk
from hub.domain.entry import Entry, EntryKind
from hub.domain.retention import Terms
from hub.domain.timekeeping import Ages, Timekeeper
from hub.enrolment import RegisterError
from hub.evidence import Rates, load_pack
from hub.feed import Feed
from hub.insisting import Insistence
from hub.intake import Intake
from hub.media import Media
from hub.orders import Orders
from hub.registers import Registers
from hub.replaying import Replaying
from hub.retention import Retention
from hub.sealing import SealBroken
from hub.store import log as log_rows
from hub.store import replay
from hub.store.blobs import Blobs
from hub.store.engine import Job, Store, Transaction
from hub.tail import Encoded, encode_stored
from hub.vitals import Vitals
from hub.watch import Ticker, Watch
from hub.web.application import build
from hub.web.context import Hub
from hub.web.server import Server, configured
from wire import codec, journal, topics
from wire.bus import Broker, MqttBus
from wire.clock import Clock, steady, utc_now

log = structlog.get_logger(__name__)

PATROL_S = 10.0
NOT_DRAWING = "not_drawing"
"""Reason of a console that is connected and stands still."""
TARGETS = Path(__file__).parent.parent / "config" / "targets" / "xuzhou-2006.toml"


@dataclass(frozen=True, kw_only=True)
class HubSettings:
    """What the hub needs to know to start."""

    data: Path
    store_url: str = field(repr=False)
    broker: Broker
    http_host: str
    http_port: int
    console: Path | None = None
    """Folder of the built console."""
    field_address: str = ""
    """Where field devices reach the broker: shown to installers."""
    targets: Path = field(default=TARGETS)
    """The target pack that coverage is measured against."""
    terms: Terms = field(default=Terms())
    """How long what is kept."""


class _Log:
    """The log as the feed reads it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def head(self) -> int:
        """The last committed number."""
        return self._store.head

    async def page(self, after: int, up_to: int, limit: int) -> list[Encoded]:
        """Entries `after < seq <= up_to`, oldest first, encoded in the reader's thread."""
        return await self._store.read(lambda connection: _encoded(connection, after, up_to, limit))


def _encoded(connection: sa.Connection, after: int, up_to: int, limit: int) -> list[Encoded]:
    return [
        encode_stored(
            row.seq,
            row.at,
            EntryKind(row.kind),
            row.subject,
            row.place,
            row.actor,
            row.late,
            msgspec.Raw(row.body.encode()),
        )
        for row in replay.page(connection, after, up_to, limit)
    ]


class _Places:
    """The tree of places as the feed sees it."""

    def __init__(self, registers: Registers) -> None:
        self._registers = registers

    @property
    def version(self) -> int:
        """Changes with every change of the registers."""
        return self._registers.version

    def ids(self) -> list[str]:
        """Every place."""
        return [place.id for place in self._registers.places()]

    def covers(self, root: str, place: str) -> bool:
        """Whether a person of `root` may see things at `place`."""
        return covers(root, place, lambda outer, inner: self._registers.within(inner, outer))


@dataclass(frozen=True, slots=True)
class FieldSide:
    """What listens to the field and speaks to it; each has threads of its own."""

    bus: MqttBus
    kept: MqttBus
    """Its session outlives the hub: refused bytes have no outbox behind them."""
    intake: Intake
    orders: Orders
    ticker: Ticker
    retention: Retention

    def start(self, hub: Hub) -> None:
        """Begins; an absent broker is waited for."""
        self.orders.start(hub.clock())
        hub.registers.on_change(lambda: publish_work(self.bus, hub.registers))
        publish_work(self.bus, hub.registers)
        self.intake.start()
        self.bus.start()
        self.kept.start()
        self.ticker.start()
        self.retention.start()

    def stop(self) -> None:
        """Ends; what is unacknowledged comes again next time."""
        self.retention.stop()
        self.ticker.stop()
        self.intake.stop()
        self.kept.stop()
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
    timekeeper = Timekeeper(clock, steady(clock))
    desk.measure_by(Ages(timekeeper.steady))
    watch = Watch(store, desk, registers, clock(), timekeeper=timekeeper)
    vitals = Vitals(store, settings.data, timekeeper, clock)
    insistence = Insistence(store)
    # Senders of ours hold everything in their outboxes until it is stored. A copy kept at the broker for a
    # hub that is away would be written to its disk whole, again at every change (docs/design/no-loss.md).
    bus = MqttBus(settings.broker, "hub", announce=True, persistent=False)
    kept = MqttBus(settings.broker, "hub-rejected")
    hub = Hub(
        store=store,
        registers=registers,
        desk=desk,
        accounts=Accounts(store, clock, steady=timekeeper.steady, insist=insistence),
        feed=Feed(_Log(store), clock, lambda: desk.snapshot().units, _Places(registers)),
        media=Media(clock),
        rates=Rates(store, registers, load_pack(settings.targets)),
        blobs=blobs,
        bus=bus,
        clock=clock,
        field_address=settings.field_address,
        vitals=vitals,
        insist=insistence,
        replaying=Replaying(store, bus, registers, desk, blobs),
    )
    hub.feed.troubles = vitals.troubles
    intake = Intake(bus, store, desk, registers, blobs, watch, kept=kept)
    return hub, FieldSide(
        bus,
        kept,
        intake,
        Orders(bus, store, desk, insistence),
        Ticker(store, desk, watch, vitals, insistence),
        Retention(store, blobs, clock, settings.terms),
    )


def follow_log(hub: Hub) -> None:
    """Has the feed, and what cameras tell of themselves, follow the log from where it stands."""
    hub.store.on_commit(hub.feed.taken)
    hub.store.on_commit(lambda entries: _learn_streams(hub, entries))
    _tell_screens(hub)


def _tell_screens(hub: Hub) -> None:
    """A person whose consoles draw nothing is told to the others, as a part of ours that is down."""

    def tell(person: str, drawing: bool) -> None:
        reason = "" if drawing else NOT_DRAWING
        hub.insist(lambda tx: hub.desk.part(tx, f"console:{person}", drawing, reason))

    for part in hub.desk.snapshot().hub.parts:
        if part.name.startswith("console:") and not part.up:
            tell(part.name.removeprefix("console:"), drawing=True)
    hub.feed.screens.on_change(tell)


def _learn_streams(hub: Hub, entries: Sequence[Entry]) -> None:
    """A camera registered by its ONVIF address alone has told where its streams are."""
    for entry in entries:
        facts = entry.body.get("body") if entry.kind is EntryKind.OBSERVATION else None
        if isinstance(facts, dict) and facts.get("type") == "facts" and entry.subject.startswith("camera:"):
            told = facts.get("detail", {})
            if told.get("rtsp_main"):
                hub.insist(_learning(hub.registers, entry.subject.removeprefix("camera:"), told))


def _learning(registers: Registers, camera: str, told: Mapping[str, str]) -> Job[None]:
    def job(tx: Transaction) -> None:
        try:
            registers.learn_streams(tx, camera, told["rtsp_main"], told.get("rtsp_sub", ""))
        except (RegisterError, SealBroken) as error:
            log.warning("what a camera told of its streams can't be used", camera=camera, reason=str(error))

    return job


async def start_feed(hub: Hub) -> None:
    """Starts the feed on this loop."""
    identity = await hub.store.read(log_rows.identity)
    hub.feed.start(asyncio.get_running_loop(), identity)


async def end_abandoned(hub: Hub) -> None:
    """For ever: ends live pictures whose sign-in has ended. While nobody can say who is signed in, none."""
    while True:
        await asyncio.sleep(PATROL_S)
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
