"""Foreign devices as a process: the simulator's panels (QoS 1, both conventions) and JT/T 808 terminals.

They are the simulator's own, made to do more in a minute than in a day. What was acknowledged to them
(PUBACK, the platform's reply) stands in the simulator's ledger. At SIGTERM they fall silent, and end when
everything that they said was acknowledged.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

from simulator.cars import PatrolCar, TimedFix
from simulator.clock import Clock
from simulator.driving import Fix
from simulator.ledger import Ledger
from simulator.line import Access
from simulator.panels import PanelDevice, Surroundings
from simulator.story import Act
from simulator.terminal import Jt808Car
from tests.torture.district import field_district

FAULTS = ("tamper", "mains", "battery")


def main() -> None:
    """Runs until SIGTERM, then until all is acknowledged."""
    given = argparse.ArgumentParser()
    given.add_argument("--ledger", type=Path, required=True)
    given.add_argument("--broker", type=int, required=True)
    given.add_argument("--jt808", type=int, required=True)
    given.add_argument("--seed", type=int, required=True)
    given.add_argument("--begin", type=Path, required=True, help="nothing changes before this file is there")
    given.add_argument("--changes-per-s", type=float, required=True)
    asyncio.run(_live(given.parse_args()))


async def _live(given: argparse.Namespace) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    access = Access(
        "127.0.0.1", given.broker, os.environ.get("FIELD_USER", ""), os.environ.get("FIELD_PASSWORD", "")
    )
    clock = Clock(1.0)
    clock.start()
    with Ledger(given.ledger) as ledger:
        around = Surroundings(access, ledger, clock, given.seed)
        district = field_district()
        panels = [PanelDevice(one, around) for one in district.panels]
        cars: list[PatrolCar] = [
            Jt808Car(car, district.network, around, ("127.0.0.1", given.jt808))
            for car in district.cars
            if car.protocol == "jt808"
        ]
        for panel in panels:
            panel.start()
        for car in cars:
            car.start()
        chance = random.Random(given.seed)
        working = [
            asyncio.create_task(_change(panels, chance, given.changes_per_s, given.begin)),
            asyncio.create_task(_drive(cars, chance)),
        ]
        await stop.wait()
        for task in working:
            task.cancel()
        while not all([*(one.idle for one in panels), *(one.idle for one in cars)]):
            await asyncio.sleep(0.1)
        for panel in panels:
            await asyncio.to_thread(panel.stop)
        for car in cars:
            await car.stop()


async def _change(panels: list[PanelDevice], chance: random.Random, per_s: float, begin: Path) -> None:
    """Zones open and close, faults come and go, partitions are set and unset. A panel with a long memory
    to get rid of changes nothing more until it has."""
    while not begin.exists():
        await asyncio.sleep(0.05)
    while True:
        await asyncio.sleep(1 / per_s)
        free = [panel for panel in panels if panel.idle]
        if free:
            panel = chance.choice(free)
            panel.apply(_act(panel, chance))


def _act(panel: PanelDevice, chance: random.Random) -> Act:
    device, what = f"panel:{panel.panel.id}", chance.random()
    if what < 0.02:
        return Act(0.0, device, chance.choice(("arm", "disarm")), state="armed_away")
    if what < 0.12:
        fault = chance.choice(FAULTS)
        return Act(0.0, device, fault, active=not panel.state.faults[fault])
    key = chance.choice(sorted(panel.state.open))
    return Act(0.0, device, "zone", zone=key, active=not panel.state.open[key])


async def _drive(cars: list[PatrolCar], chance: random.Random) -> None:
    """A fix a second from each: a terminal's clock has no finer ones."""
    said, at = 0, datetime.now(UTC).replace(microsecond=0)
    while True:
        said += 1
        at = max(at + timedelta(seconds=1), datetime.now(UTC).replace(microsecond=0))
        for car in cars:
            lat, lon = 34.25 + chance.random() / 50, 117.2 + chance.random() / 50
            car.report(TimedFix(Fix(lat, lon, speed_kmh=30.0, course_deg=90), at, float(said)))
        await asyncio.sleep(1.0)


if __name__ == "__main__":
    main()
