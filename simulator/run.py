"""One run of the simulated district: devices start and are described, things happen, all ends in order."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import structlog

from simulator.cars import OwnTracksCar, PatrolCar
from simulator.clock import Clock
from simulator.description import CameraAccess, site_file
from simulator.district import Camera, District, build_district
from simulator.gazetteer import Car
from simulator.ledger import Ledger
from simulator.line import Access
from simulator.panels import PanelDevice, Surroundings
from simulator.story import Act, Story, life, together
from simulator.terminal import Jt808Car

log = structlog.get_logger(__name__)

LAST_ACKNOWLEDGEMENTS_S = 5.0


class CamerasFailed(RuntimeError):
    """The cameras can't be served: says why, and what is missing."""


class Cameras(Protocol):
    """What the run asks of the camera fleet."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    def access(self, camera: Camera) -> CameraAccess: ...
    def apply(self, camera: str, act: Act) -> None: ...


class NoCameras:
    """A district without cameras."""

    async def start(self) -> None:
        """Nothing to start."""

    async def stop(self) -> None:
        """Nothing to stop."""

    def access(self, camera: Camera) -> CameraAccess:
        """There is none."""
        raise KeyError(camera.id)

    def apply(self, camera: str, act: Act) -> None:
        """Nothing happens."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a run is made of."""

    describe: Path
    ledger: Path
    access: Access
    jt808: tuple[str, int]
    seed: int
    story: Story
    panels: int
    cameras: int
    cars: int
    footage: Sequence[Path] = ()
    rate: float = 1.0
    """Of random life; 0 leaves the story alone."""
    settle_s: float = 8.0
    """After the description, before the first fix and the first of random life: time to import it."""
    speed: float = 1.0


CameraMaker = Callable[[Sequence[Camera], Ledger], Cameras]


class Run:
    """A district that lives until told to end."""

    def __init__(self, options: Options, make_cameras: CameraMaker) -> None:
        self._options = options
        self._make_cameras = make_cameras
        self.district: District = build_district(
            panels=options.panels, cameras=options.cameras, cars=options.cars, footage=options.footage
        )
        self.clock = Clock(options.speed)
        self.panels: Mapping[str, PanelDevice] = {}
        self.cars: Mapping[str, PatrolCar] = {}

    async def live(self, end: asyncio.Event) -> None:
        """Starts everything, describes it, and lives until `end` is set."""
        with Ledger(self._options.ledger) as ledger:
            cameras = self._make_cameras(self.district.cameras, ledger)
            self._make_devices(ledger)
            try:
                if await _unless(end, self._start(cameras)):
                    await self._until(end, cameras)
            finally:
                await self._stop(cameras)
            log.info("ended", acknowledged=ledger.written)

    def _make_devices(self, ledger: Ledger) -> None:
        options = self._options
        around = Surroundings(options.access, ledger, self.clock, options.seed)
        self.panels = {one.id: PanelDevice(one, around) for one in self.district.panels}
        self.cars = {one.id: self._make_car(one, around) for one in self.district.cars}

    def _make_car(self, car: Car, around: Surroundings) -> PatrolCar:
        if car.protocol == "owntracks":
            return OwnTracksCar(car, self.district.network, around)
        return Jt808Car(car, self.district.network, around, self._options.jt808)

    async def _start(self, cameras: Cameras) -> None:
        for panel in self.panels.values():
            panel.start()
        await cameras.start()
        log.info("cameras listen", cameras=len(self.district.cameras))
        await self._wait_for_panels()
        self.clock.start()
        _write_whole(self._options.describe, site_file(self.district, self._camera_access(cameras)))
        log.info("district described", file=str(self._options.describe), panels=len(self.panels))

    def _camera_access(self, cameras: Cameras) -> Callable[[str], CameraAccess]:
        by_id = {camera.id: camera for camera in self.district.cameras}
        return lambda identity: cameras.access(by_id[identity])

    async def _wait_for_panels(self) -> None:
        """Until each is connected and all that it said of itself was acknowledged."""
        told_at = asyncio.get_running_loop().time()
        while waiting := [one for one, panel in self.panels.items() if not (panel.up and panel.idle)]:
            if asyncio.get_running_loop().time() - told_at > 5:
                told_at = asyncio.get_running_loop().time()
                broker = f"{self._options.access.host}:{self._options.access.port}"
                log.info("waiting for the broker", broker=broker, panels=len(waiting))
            await asyncio.sleep(0.05)

    async def _until(self, end: asyncio.Event, cameras: Cameras) -> None:
        tasks = [
            asyncio.create_task(one)
            for one in (
                self._let_happen(cameras),
                self._drive(),
                *(panel.beat() for panel in self.panels.values()),
            )
        ]
        ended = asyncio.create_task(end.wait())
        done, _ = await asyncio.wait([ended, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in (ended, *tasks):
            task.cancel()
        await asyncio.gather(ended, *tasks, return_exceptions=True)
        for task in done - {ended}:
            task.result()  # none of them ends by itself: what ended it comes out here

    async def _drive(self) -> None:
        await self.clock.until(self._options.settle_s)
        for car in self.cars.values():
            car.start()
        begin_s = self._options.settle_s
        async with asyncio.TaskGroup() as group:
            group.create_task(_for_ever())
            for car in self.cars.values():
                group.create_task(car.drive(begin_s))

    async def _let_happen(self, cameras: Cameras) -> None:
        options = self._options
        free = [one for one in self.district.panels if f"panel:{one.id}" not in options.story.devices()]
        happenings = together(
            options.story.told(), life(free, options.seed, begin_s=options.settle_s, rate=options.rate)
        )
        for act in happenings:
            await self.clock.until(act.at_s)
            self.apply(act, cameras)
        await _for_ever()

    def apply(self, act: Act, cameras: Cameras) -> None:
        """Does one thing to one device; a device that a small run leaves out is passed over."""
        kind, _, identity = act.device.partition(":")
        if act.story:
            log.info("story", device=act.device, do=act.do, zone=act.zone, active=act.active)
        if kind == "panel" and identity in self.panels:
            self.panels[identity].apply(act)
        elif kind == "tracker" and identity in self.cars:
            self.cars[identity].apply(act)
        elif kind == "camera" and any(one.id == identity for one in self.district.cameras):
            cameras.apply(identity, act)

    async def _stop(self, cameras: Cameras) -> None:
        """Makes nothing new, waits for the last acknowledgements, then disconnects."""
        deadline = asyncio.get_running_loop().time() + LAST_ACKNOWLEDGEMENTS_S
        while busy := self._busy():
            if asyncio.get_running_loop().time() > deadline:
                log.warning("ended before everything was acknowledged", devices=busy)
                break
            await asyncio.sleep(0.02)
        await asyncio.gather(
            cameras.stop(),
            *(car.stop() for car in self.cars.values()),
            *(asyncio.to_thread(panel.stop) for panel in self.panels.values()),
        )

    def _busy(self) -> int:
        """Devices that wait for an acknowledgement."""
        panels = sum(not one.idle for one in self.panels.values())
        return panels + sum(not one.idle for one in self.cars.values())


async def _for_ever() -> None:
    """Never returns: what has nothing left to do must not end the run."""
    await asyncio.Event().wait()


async def _unless(end: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Does `work`, or leaves it when `end` is set first; whether it was done."""
    doing, ending = asyncio.create_task(work), asyncio.create_task(end.wait())
    await asyncio.wait([doing, ending], return_when=asyncio.FIRST_COMPLETED)
    ending.cancel()
    if doing.done():
        await doing
        return True
    doing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await doing
    return False


def _write_whole(path: Path, document: Mapping[str, Any]) -> None:
    """Puts the file there complete or not at all; it holds the cameras' passwords."""
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(document, file, ensure_ascii=False, indent=1)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
