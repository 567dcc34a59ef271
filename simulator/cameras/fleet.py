"""The fleet: all simulated cameras, from their pictures to their ports, and what a story does to them."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from simulator.cameras import rendering
from simulator.cameras.device import Device, Material
from simulator.cameras.discovery import Responder
from simulator.cameras.onvif_server import OnvifServer, ledger_entry
from simulator.cameras.pullpoint import Message, Topic
from simulator.cameras.rtsp_process import RESTART_S, RtspProcess
from simulator.cameras.spec import CameraAddress, CameraSpec, job_of, schedule
from simulator.scenes.jobs import Job, covered_stem, stems
from simulator.scenes.programme import Programme
from simulator.scenes.reel import Reel

Ledger = Callable[[dict[str, object]], None]
BLIND = frozenset({"covered", "frozen", "stalled", "cut"})
"""States in which the camera's own analytics see no movement."""
LEDGER_MEMORY = 512


@dataclass
class Station:
    """One camera of the fleet."""

    spec: CameraSpec
    job: Job
    device: Device
    server: OnvifServer
    offset_s: float
    """Added to the monotonic clock it gives the position in the programme."""
    spans: list[tuple[float, float]] = field(default_factory=list)
    told: deque[int] = field(default_factory=lambda: deque(maxlen=LEDGER_MEMORY))
    switching: asyncio.Lock = field(default_factory=asyncio.Lock)


class CameraFleet:
    """Serves cameras over ONVIF and RTSP on free ports of `host`.

    `cache` keeps what was rendered. `ledger` is called with one entry for each event that a client has
    pulled, in the words of docs/design/seams.md. `programme` says how long traffic and quiet last.
    """

    def __init__(
        self,
        specs: Sequence[CameraSpec],
        cache: Path,
        ledger: Ledger,
        host: str = "127.0.0.1",
        programme: Programme | None = None,
        restart_s: float = RESTART_S,
    ) -> None:
        self._host, self._cache, self._ledger = host, cache, ledger
        self.programme = programme or Programme()
        self._rtsp = RtspProcess(restart_s)
        self._began_s = time.monotonic()
        self._stations = {spec.id: self._station(spec) for spec in specs}
        if len(self._stations) != len(specs):
            raise ValueError("two cameras have the same id")
        self._responder = Responder(lambda: [one.device for one in self._stations.values()], host)
        self._tasks: set[asyncio.Task[None]] = set()
        self._rendering: asyncio.Task[None] | None = None

    @property
    def rtsp_pid(self) -> int | None:
        """The RTSP server's process id; None while it is down."""
        return self._rtsp.pid

    async def start(self, wait: bool = True) -> None:
        """Listens for all cameras, then renders what the cache lacks; each camera shows its picture as soon
        as that is ready. Returns when all are, or with `wait=False` at once (see `rendered`).

        Raises RenderError (a film that can't be read), RtspError (gst-rtsp-server isn't installed).
        """
        await self._rtsp.start()
        await asyncio.gather(*(self._listen(station) for station in self._stations.values()))
        await self._responder.start()
        self._rendering = asyncio.create_task(self._render(), name="render cameras")
        if wait:
            await self.rendered()

    async def rendered(self) -> None:
        """Returns when every camera has its picture. Raises RenderError."""
        if self._rendering is not None:
            await asyncio.shield(self._rendering)

    async def stop(self) -> None:
        """Ends everything that `start` began."""
        tasks = [*self._tasks, *([self._rendering] if self._rendering else [])]
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError, rendering.RenderError):
                await task
        await self._responder.stop()
        await asyncio.gather(*(station.server.stop() for station in self._stations.values()))
        await self._rtsp.stop()

    def addresses(self, camera: str) -> CameraAddress:
        """Where the camera listens; known after `start`."""
        return self._stations[camera].device.address

    def schedule(self, camera: str) -> list[tuple[float, float]]:
        """(begin, end) seconds of the programme with movement; empty for a film."""
        return list(self._stations[camera].spans)

    def position_s(self, camera: str) -> float:
        """The second of its programme that the camera shows now."""
        return self._stations[camera].device.position_s()

    def length_s(self, camera: str) -> float:
        """How long the camera's programme is; known once its picture is ready."""
        return self._length_s(self._stations[camera].device)

    def cover(self, camera: str, covered: bool, story: str = "") -> None:
        """Something hangs over the lens; the camera itself says so where it has an event for it."""
        station = self._stations[camera]
        self._set(station, "covered", covered)
        topic = station.device.tamper_topic()
        if topic is not None:
            station.device.events.set(topic, covered, story)

    def freeze(self, camera: str, frozen: bool) -> None:
        """The picture stands still while the stream goes on."""
        self._set(self._stations[camera], "frozen", frozen)

    def stall(self, camera: str, stalled: bool) -> None:
        """The stream delivers nothing while its connection stays open."""
        self._set(self._stations[camera], "stalled", stalled)

    def cut(self, camera: str, cut: bool) -> None:
        """The camera is without power: its ports are closed, its connections and subscriptions gone."""
        station = self._stations[camera]
        self._set(station, "cut", cut)
        self._keep(asyncio.create_task(self._switch(station), name=f"switch {camera}"))

    def _station(self, spec: CameraSpec) -> Station:
        phase_s = (
            0.0 if spec.film else random.Random(f"phase:{spec.seed}").uniform(0, self.programme.length_s)
        )
        offset_s = phase_s - self._began_s
        device = Device(spec, lambda: 0.0)
        device.position_s = lambda: (time.monotonic() + offset_s) % self._length_s(device)
        server = OnvifServer(device, self._host, self._delivered)
        return Station(spec, job_of(spec, self.programme), device, server, offset_s)

    def _length_s(self, device: Device) -> float:
        return device.material.main.length_s if device.material else float(self.programme.length_s)

    async def _listen(self, station: Station) -> None:
        spec = station.spec
        station.spans = await asyncio.to_thread(schedule, spec, self.programme)
        rtsp_port = await self._rtsp.serve(spec.id, self._host, spec.user, spec.password)
        await station.server.start()
        rtsp = f"rtsp://{self._host}:{rtsp_port}/{spec.id}"
        station.device.address = CameraAddress(
            f"http://{self._host}:{station.server.port}/onvif/device_service", f"{rtsp}/main", f"{rtsp}/sub"
        )

    async def _render(self) -> None:
        wanted = {name: station.job for name, station in self._stations.items()}
        await rendering.render(wanted, self._cache, self._ready)

    def _ready(self, camera: str) -> None:
        """The camera's picture lies in the cache."""
        station = self._stations[camera]
        main, sub = stems(self._cache, station.job.key)
        streams = {
            name: {"reel": str(stem), "covered": str(covered_stem(stem))}
            for name, stem in (("main", main), ("sub", sub))
        }
        station.device.material = Material(
            Reel.load(main),
            Reel.load(sub),
            Reel.load(covered_stem(main)),
            Reel.load(covered_stem(sub)),
        )
        self._rtsp.show(camera, station.offset_s, streams)
        self._keep(asyncio.create_task(self._tell_motion(station), name=f"motion {camera}"))

    async def _tell_motion(self, station: Station) -> None:
        """Motion events as the vehicles come and go, for as long as the fleet runs."""
        edges = sorted(edge for span in station.spans for edge in span)
        while edges:
            position_s = self._refresh(station)
            later = [edge for edge in edges if edge > position_s]
            until_s = later[0] if later else edges[0] + self._length_s(station.device)
            await asyncio.sleep(until_s - position_s + 0.001)

    def _refresh(self, station: Station) -> float:
        """Sets the camera's motion property to what moves now; returns the position."""
        position_s = station.device.position_s()
        moves = any(begin <= position_s < end for begin, end in station.spans)
        station.device.events.set(Topic.MOTION, moves and not station.device.states & BLIND)
        return position_s

    def _set(self, station: Station, state: str, on: bool) -> None:
        (station.device.states.add if on else station.device.states.discard)(state)
        self._rtsp.set(station.spec.id, state, on)
        self._refresh(station)

    async def _switch(self, station: Station) -> None:
        """Brings the ONVIF port to what the state asks for, however often that changed meanwhile."""
        async with station.switching:
            await station.server.stop()
            if "cut" not in station.device.states:
                await station.server.start()

    def _delivered(self, device: Device, messages: list[Message]) -> None:
        """A client has pulled these: each change goes into the ledger once."""
        told = self._stations[device.spec.id].told
        for message in messages:
            if message.operation == "Changed" and message.happening.number not in told:
                told.append(message.happening.number)
                self._ledger(ledger_entry(device, message))

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
