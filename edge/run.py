"""The edge process: told on the bus which cameras to watch, has workers watch them, publishes what they see.

Workers are processes of their own (`edge.worker`), so that the pictures of many cameras use many cores and a
crash inside a decoder takes neither the outbox nor the other workers with it.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import structlog

from edge.channel import Assign, EdgeFigures, FromWorker, Report, Said
from edge.open_events import OpenEvents
from wire import bus, codec, journal, topics
from wire.clock import utc_now
from wire.courier import Courier
from wire.link import Backoff, supervise
from wire.observations import Heartbeat, Observation
from wire.outbox import Outbox
from wire.work import Camera, CameraWork

log = structlog.get_logger(__name__)

FIGURES_S = 60.0
LINE_LIMIT = codec.MAX_ENVELOPE_BYTES * 2
"""Longest line a worker may send; several observations with stills fit inside."""
PARTING_S = 5.0


@dataclass(frozen=True)
class EdgeSettings:
    """How one edge runs."""

    data: Path
    """Folder of its own for the outbox."""
    broker: bus.Broker
    name: str = "edge-1"
    """Client id, sender, and name of its outbox; fixed for a machine."""
    processes: int = 1
    """Workers; one a core is right."""


class Share:
    """One worker's part of the cameras, and the process that watches it."""

    def __init__(self, index: int, hear: Callable[[int, FromWorker], None]) -> None:
        self.index = index
        self.figures = EdgeFigures()
        self._hear = hear
        self._cameras: tuple[Camera, ...] = ()
        self._process: asyncio.subprocess.Process | None = None
        self._decoder = msgspec.json.Decoder[FromWorker](FromWorker)

    @property
    def sources(self) -> set[str]:
        """Sources of its cameras."""
        return {f"camera:{camera.id}" for camera in self._cameras}

    def assign(self, cameras: tuple[Camera, ...]) -> None:
        """Gives the worker its cameras, now and whenever it is started anew."""
        self._cameras = cameras
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.write(msgspec.json.encode(Assign(cameras=cameras)) + b"\n")

    async def session(self, proved: Callable[[], None]) -> None:
        """One life of the worker process."""
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "edge.worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_LIMIT,
        )
        try:
            self.assign(self._cameras)
            await self._listen(process, proved)
        finally:
            self._process = None
            await _part(process)

    async def _listen(self, process: asyncio.subprocess.Process, proved: Callable[[], None]) -> None:
        if process.stdout is None:
            raise RuntimeError("worker without stdout")
        while line := await process.stdout.readline():
            message = self._decoder.decode(line)
            if isinstance(message, EdgeFigures):
                self.figures = message
                proved()
            else:
                self._hear(self.index, message)
        raise ChildProcessError(f"worker {self.index} ended with {await process.wait()}")


async def _part(process: asyncio.subprocess.Process) -> None:
    """Closes a worker's stdin and waits a little for it to end by itself."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), PARTING_S)
    except TimeoutError:
        process.kill()
        await process.wait()


class Edge:
    """The parent: bus, outbox and shares."""

    def __init__(self, settings: EdgeSettings) -> None:
        self._settings = settings
        self._bus = bus.MqttBus(settings.broker, settings.name, announce=True)
        self._outbox = Outbox(
            settings.data / f"{settings.name}.db", settings.name, source=f"edge:{settings.name}"
        )
        self._courier = Courier(self._outbox, self._bus)
        self._events = OpenEvents(self._outbox)
        self._shares = [Share(index, self._hear) for index in range(max(1, settings.processes))]
        self._waiting: frozenset[str] = frozenset()

    async def run(self) -> None:
        """Watches until cancelled."""
        loop = asyncio.get_running_loop()

        def taken(message: bus.Message) -> None:
            message.ack()
            loop.call_soon_threadsafe(self._take, message.payload)

        self._bus.consume(topics.CAMERA_WORK, taken)
        self._bus.start()
        self._courier.start()
        try:
            async with asyncio.TaskGroup() as tasks:
                for share in self._shares:
                    tasks.create_task(self._keep(share))
                tasks.create_task(self._tell_figures())
        finally:
            self._events.close_all({source for share in self._shares for source in share.sources}, utc_now())
            await asyncio.to_thread(self._close)

    def _close(self) -> None:
        _deliver(self._outbox, PARTING_S)
        self._courier.stop()
        self._bus.stop()
        self._outbox.close()

    async def _keep(self, share: Share) -> None:
        await supervise(
            f"worker {share.index}",
            share.session,
            down=lambda _reason: self._events.close_all(share.sources, utc_now()),
            backoff=Backoff(first_s=0.5, most_s=10.0),
        )

    def _take(self, payload: bytes) -> None:
        """A new list of cameras; one that can't be understood leaves the present one in force."""
        try:
            cameras = codec.decode(payload, CameraWork).cameras
        except codec.WireError as error:
            log.error("camera list refused", reason=error.reason, size=len(payload))
            return
        self._tell_waiting(cameras)
        watched = [camera for camera in cameras if camera.rtsp_sub or camera.rtsp_main]
        for share in self._shares:
            share.assign(tuple(c for c in watched if self._share_of(c) == share.index))
        self._events.adopt({f"camera:{camera.id}" for camera in cameras}, utc_now())
        log.info("camera list taken", cameras=len(cameras), watched=len(watched))

    def _share_of(self, camera: Camera) -> int:
        """By name, so that a camera stays where it is when others come and go."""
        return zlib.crc32(camera.id.encode()) % len(self._shares)

    def _tell_waiting(self, cameras: tuple[Camera, ...]) -> None:
        waiting = frozenset(c.id for c in cameras if not (c.rtsp_sub or c.rtsp_main))
        for name in sorted(waiting - self._waiting):
            log.info("camera has no RTSP address yet, waiting for ONVIF to give it", camera=name)
        self._waiting = waiting

    def _hear(self, index: int, message: FromWorker) -> None:
        if isinstance(message, Report):
            self._events.append(message.observations)
        elif isinstance(message, Said):
            level = message.level if message.level in {"info", "warning", "error"} else "info"
            getattr(log, level)(message.event, worker=index, **message.fields)

    async def _tell_figures(self) -> None:
        while True:
            beat = Heartbeat(interval_s=FIGURES_S)
            self._events.append(
                (Observation(source=f"edge:{self._settings.name}", body=beat, heard_at=utc_now()),)
            )
            await asyncio.sleep(FIGURES_S)
            total = EdgeFigures()
            for share in self._shares:
                total = total.plus(share.figures)
            log.info("edge figures", waiting=self._outbox.waiting, **msgspec.structs.asdict(total))


def _deliver(outbox: Outbox, within_s: float) -> None:
    """Gives the courier a moment to send what was said last; the rest stays in the outbox."""
    until = time.monotonic() + within_s
    while outbox.waiting and time.monotonic() < until:
        time.sleep(0.05)


async def _until_signal(edge: Edge) -> None:
    loop = asyncio.get_running_loop()
    work = asyncio.create_task(edge.run())
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, work.cancel)
    try:
        await work
    except asyncio.CancelledError:
        log.info("edge stopped")


def main(settings: EdgeSettings) -> None:
    """Runs an edge until SIGTERM."""
    journal.configure(settings.name)
    asyncio.run(_until_signal(Edge(settings)))
