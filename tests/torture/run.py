"""One run over one store: everything started, killed and cut off by plan, let run dry, counted."""

from __future__ import annotations

import random
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.torture import counting
from tests.torture.counting import Count, Followed, Stored, Taken, Whole
from tests.torture.lines import Point
from tests.torture.nursery import Life
from tests.torture.plan import Death, Extent, Plan, Weather, breath_of, draw
from tests.torture.proxy import cut
from tests.torture.world import POSTGRESQL, Scale, World

PROVOKE_AFTER_S = 1.2
READY_WITHIN_S = 15.0
PLANNED_SHARE = 0.85
"""Of the time, over which deaths are spread; what takes longer has the rest."""
TRIES = 3
"""Lives that are given to reaching a line."""
SOON_S = 0.3
Say = Callable[[str], None]


@dataclass
class Tally:
    """What was done, from several threads."""

    kills: Counter[str] = field(default_factory=Counter)
    """By part and manner: `hub at a line`, `hub at an instant`."""
    weather: Counter[str] = field(default_factory=Counter)
    reached: set[tuple[str, Point]] = field(default_factory=set)
    unreached: set[tuple[str, Point]] = field(default_factory=set)
    fell: Counter[str] = field(default_factory=Counter)
    """Parts that ended by themselves; their assassin started them again, as the supervisor would."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, counter: Counter[str], what: str) -> None:
        """One more."""
        with self.lock:
            counter[what] += 1


@dataclass(frozen=True)
class Result:
    """What a run came to."""

    store: str
    seconds: float
    tally: Tally
    acknowledged: dict[str, int]
    senders: Count
    devices: Count
    followed: Sequence[Followed]
    whole: Whole
    skipped: tuple[str, ...]

    @property
    def kills(self) -> int:
        """SIGKILLs."""
        return self.tally.kills.total()

    @property
    def lost(self) -> int:
        """Acknowledged, and not in the store, or not as it was."""
        return len(self.senders.lost) + len(self.devices.lost) + len(self.senders.altered)

    @property
    def doubled(self) -> int:
        """More than once in the store."""
        return len(self.senders.doubled) + len(self.devices.doubled)

    @property
    def gaps_unannounced(self) -> int:
        """Over all consoles."""
        return sum(one.unannounced for one in self.followed)

    @property
    def holds(self) -> bool:
        """Whether everything that is promised was kept."""
        unseen = sum(one.unseen for one in self.followed)
        return not (self.lost or self.doubled or self.gaps_unannounced or unseen or self.whole.faults)


class Assassin(threading.Thread):
    """Ends the lives of one part by plan, and starts the next one each time."""

    def __init__(
        self, world: World, name: str, deaths: Sequence[Death], extent: Extent, tally: Tally, over_s: float
    ) -> None:
        super().__init__(name=f"assassin-{name}", daemon=True)
        self._world = world
        self._part = name
        self._deaths = list(deaths)
        self._reach_s = extent.reach_s.get(name, extent.reach_s["load"])
        self._breath_s = breath_of(name, extent)
        self._tally = tally
        self._over_s = over_s
        self._planned = len(self._deaths)
        self._begun = time.monotonic()
        self._ending = threading.Event()
        self._random = random.Random(f"{world.seed}:{name}")
        self._armed: Point | None = None
        """The line at which the present life kills itself, if it comes there."""
        self._tries: Counter[Point] = Counter()
        self.life: Life = world.lives[name]
        self.left = len(self._deaths)
        self.error = ""

    def run(self) -> None:
        """Until the plan is done and `finish` is called; after its plan it goes on at instants."""
        self._begun = time.monotonic()
        try:
            while not self._ending.is_set():
                self._bide()
                self._next()
            self._calm()
        except Exception as error:  # the run must tell, and must not count a part as alive that isn't
            self.error = f"{self._part}: {type(error).__name__}: {error}"
            raise

    def finish(self) -> None:
        """No more deaths: one last life, left alone."""
        self._ending.set()

    def _bide(self) -> None:
        """Its deaths are spread over the run: a life in between gets something done."""
        due = self._begun + self._over_s * (self._planned - self.left) / max(1, self._planned)
        if self._deaths and time.monotonic() < due:
            self._live_until(due)

    def _next(self) -> None:
        if not self._deaths:
            death = Death(self._random.uniform(*self._breath_s) * 2)
        else:
            death = self._deaths.pop(0)
            self.left = len(self._deaths)
        if death.point is None:
            self._at_an_instant(death.after_s)
        else:
            self._at_a_line(death, death.point)

    def _at_an_instant(self, after_s: float) -> None:
        ready_by = time.monotonic() + READY_WITHIN_S
        while not self._world.ready(self._part) and time.monotonic() < ready_by:
            self._live_until(time.monotonic() + 0.2)
        self._live_until(time.monotonic() + after_s)
        if not self._ending.is_set():
            self._kill()
            self._begin(None)

    def _live_until(self, until: float) -> None:
        """A life that ends by itself meanwhile is followed by another."""
        while time.monotonic() < until and not self._ending.is_set():
            if self.life.wait(min(0.5, max(0.0, until - time.monotonic()))):
                self._note_end()
                self._ending.wait(SOON_S)
                self._begin(None)

    def _at_a_line(self, death: Death, point: Point) -> None:
        self._kill()
        self._begin((point, death.nth))
        self._tries[point] += 1
        provoking = self._provoke() if death.provoked else None
        ended = self._wait(self._reach_s * (2 if death.provoked else 1))
        if ended:
            self._note_end()
        if provoking is not None:
            provoking.join()
        if (self._kind, point) in self._tally.reached or self._ending.is_set():
            return
        if self._tries[point] < TRIES:
            # Once more, when something fails meanwhile: some lines are there for that only.
            self._deaths.append(Death(0.0, point, 1, provoked=True))
            self.left = len(self._deaths)
        else:
            self._tally.unreached.add((self._kind, point))

    def _begin(self, die: tuple[Point, int] | None) -> None:
        self.life = self._world.start(self._part, die)
        self._armed = die[0] if die else None

    def _wait(self, for_s: float) -> bool:
        until = time.monotonic() + for_s
        while time.monotonic() < until and not self._ending.is_set():
            if self.life.wait(0.1):
                return True
        return False

    def _provoke(self) -> threading.Thread:
        """Makes the store fail once while the part runs."""

        def fail() -> None:
            time.sleep(PROVOKE_AFTER_S)
            if self._kind == "hub" and self._world.store == POSTGRESQL:
                self._world.kill_database()
                self._tally.count(self._tally.kills, "postgresql at an instant")
            elif self._kind in ("hub", "load"):
                disk = self._world.hub_disk if self._kind == "hub" else self._world.outbox_disk
                if disk.mounted:
                    disk.fill()
                    time.sleep(1.5)
                    disk.free()
                    self._tally.count(self._tally.weather, f"disk:{self._kind}")

        thread = threading.Thread(target=fail, daemon=True)
        thread.start()
        return thread

    @property
    def _kind(self) -> str:
        return "load" if self._part in self._world.loads else self._part

    def _kill(self) -> None:
        if self._world.kill(self.life):
            self._tally.count(self._tally.kills, f"{self._part} at an instant")

    def _note_end(self) -> None:
        """It ended without us: at its line, or of something that it could not live with."""
        if self._armed is not None and getattr(self.life, "status", None) == -signal.SIGKILL:
            self._tally.count(self._tally.kills, f"{self._part} at a line")
            self._tally.reached.add((self._kind, self._armed))
            self._tally.unreached.discard((self._kind, self._armed))
        else:
            self._tally.count(self._tally.fell, self._part)
        self._armed = None

    def _calm(self) -> None:
        """A life that nothing ends by itself: traced ones are replaced by a plain one."""
        self._kill()
        self._begin(None)
        while not self._world.closed.wait(0.5):
            if self.life.wait(0) and not self._world.closed.is_set():
                self._note_end()
                time.sleep(SOON_S)
                self._begin(None)


class DatabaseAssassin(Assassin):
    """PostgreSQL isn't one process: it is killed whole."""

    def __init__(
        self, world: World, deaths: Sequence[Death], extent: Extent, tally: Tally, over_s: float
    ) -> None:
        world.lives["postgresql"] = _Nothing()
        super().__init__(world, "postgresql", deaths, extent, tally, over_s)

    def _live_until(self, until: float) -> None:
        self._ending.wait(max(0.0, until - time.monotonic()))

    def _at_an_instant(self, after_s: float) -> None:
        if not self._ending.wait(after_s):
            self._world.kill_database()
            self._tally.count(self._tally.kills, "postgresql at an instant")

    def _calm(self) -> None:
        return


class _Nothing:
    """The life of what has no process of its own here."""

    pid = 0
    alive = False

    def wait(self, timeout_s: float) -> bool:
        return timeout_s >= 0


class Weathering(threading.Thread):
    """Cuts networks and fills disks by plan, one after the other, again from the beginning at the end."""

    def __init__(self, world: World, plan: Sequence[Weather], tally: Tally) -> None:
        super().__init__(name="weather", daemon=True)
        self._world = world
        self._plan = plan
        self._tally = tally
        self._ending = threading.Event()
        self.done = 0

    def run(self) -> None:
        """Until `finish`."""
        while self._plan and not self._ending.is_set():
            one = self._plan[self.done % len(self._plan)]
            if self._ending.wait(one.pause_s):
                return
            self._strike(one)
            self.done += 1

    def finish(self) -> None:
        """Fair from now on."""
        self._ending.set()

    def _strike(self, one: Weather) -> None:
        if one.where.startswith("disk:"):
            disk = self._world.hub_disk if one.where == "disk:hub" else self._world.outbox_disk
            if not disk.mounted:
                return
            disk.fill()
            try:
                self._ending.wait(one.for_s)
            finally:
                disk.free()
        else:
            cut(self._world.proxies[one.where], one.fault, one.way, one.for_s)
        self._tally.count(self._tally.weather, one.kind)


@dataclass(frozen=True)
class Order:
    """What is asked of a run."""

    store: str
    seed: int
    scale: Scale
    extent: Extent
    kills: int
    acknowledged: int
    limit_s: float
    share: tuple[int, int]
    """Which share of the lines, of how many."""
    dry_s: float
    """How long what is on its way may take when nothing is broken any more."""


class Torture:
    """One run."""

    def __init__(self, order: Order, say: Say) -> None:
        self._order = order
        self._say = say
        self.world = World(order.store, order.scale, order.seed)
        self._tally = Tally()
        self._counted: dict[Path, tuple[int, int]] = {}

    def run(self) -> Result:
        """Raises where something of the run itself went wrong; what was broken stands in the result."""
        begun = time.monotonic()
        world = self.world
        skipped = [
            f"disk of {name}: not filled, a tmpfs can't be mounted here: {disk.reason}"
            for name, disk in (("the hub", world.hub_disk), ("load-1", world.outbox_disk))
            if not disk.mounted
        ]
        for line in skipped:
            self._say(f"SKIPPED: {line}")
        places = [*world.proxies, *(() if skipped else ("disk:hub", "disk:load"))]
        order = self._order
        plan = draw(
            order.seed,
            order.extent,
            world.loads,
            places,
            store=order.store,
            over_s=order.limit_s * PLANNED_SHARE,
            share=order.share,
        )
        self._say(f"{self._order.store}: seed {self._order.seed}, lines {plan.lines}, in {world.folder}")
        world.begin()
        self._say(f"{self._order.store}: everything runs after {time.monotonic() - begun:.0f} s")
        assassins = self._assassins(plan)
        weather = Weathering(world, plan.weather, self._tally)
        for thread in (*assassins, weather):
            thread.start()
        self._watch(assassins, weather, begun)
        return self._count(assassins, weather, begun, tuple(skipped))

    def _assassins(self, plan: Plan) -> list[Assassin]:
        world, extent = self.world, self._order.extent
        names = ["hub", "adapters", "edge", "broker", *world.loads]
        over_s = self._order.limit_s * PLANNED_SHARE
        assassins = [Assassin(world, name, plan.deaths[name], extent, self._tally, over_s) for name in names]
        if world.store == POSTGRESQL:
            assassins.append(DatabaseAssassin(world, plan.deaths["postgresql"], extent, self._tally, over_s))
        return assassins

    def _watch(self, assassins: Sequence[Assassin], weather: Weathering, begun: float) -> None:
        order = self._order
        told = 0.0
        while time.monotonic() - begun < order.limit_s:
            time.sleep(0.5)
            faults = [one.error for one in assassins if one.error]
            if faults or not weather.is_alive():
                raise RuntimeError("; ".join(faults) or "the weather ended by itself")
            acknowledged, kills = sum(self.acknowledged().values()), self._tally.kills.total()
            left = sum(one.left for one in assassins) + max(0, self._order.extent.weather - weather.done)
            if time.monotonic() - told > 10:
                told = time.monotonic()
                self._say(
                    f"{order.store}: {told - begun:.0f} s, {kills} kills, {acknowledged} acknowledged, "
                    f"{len(self._tally.reached)} lines, {weather.done} cuts, {left} still planned"
                )
            if not left and acknowledged >= order.acknowledged and kills >= order.kills:
                return
        self._say(f"{order.store}: the time is over with {left} still planned")

    def acknowledged(self) -> dict[str, int]:
        """Lines of ledgers so far, roughly: of loads the observations, of devices the lines."""
        found: Counter[str] = Counter()
        for path in (self.world.folder / "ledgers").glob("*.jsonl"):
            if path.name.startswith("heard-adapters"):
                continue  # what adapters took is what devices said
            done, number = self._counted.get(path, (0, 0))
            with path.open("rb") as file:
                file.seek(done)
                fresh = file.read()
            fresh = fresh[: fresh.rfind(b"\n") + 1]
            by_says = path.name.startswith(("load", "heard"))
            number += _observations(fresh) if by_says else fresh.count(b"\n")
            self._counted[path] = (done + len(fresh), number)
            found[path.stem] = number
        return dict(found)

    def _count(
        self, assassins: Sequence[Assassin], weather: Weathering, begun: float, skipped: tuple[str, ...]
    ) -> Result:
        world = self.world
        self._say(f"{world.store}: no more faults; letting it run dry")
        weather.finish()
        world.pausing = True
        for one in assassins:
            one.finish()
        weather.join()
        for proxy in world.proxies.values():
            proxy.heal()
        world.end("cameras", 30)
        if not world.end("devices", self._order.dry_s):
            raise RuntimeError("foreign devices still wait for acknowledgements: nothing takes them")
        taken, senders, devices, stored = self._until_dry()
        followed = self._until_followed()
        world.closed.set()
        for one in assassins:
            one.join(60)
        for name in ("consoles", "edge", "adapters", *world.loads, "hub", "broker"):
            if not world.end(name, 30):
                world.kill(world.lives[name])
        whole = counting.examine(
            world.direct_url, stored, taken, world.folder / "hub" / "stills", self._outboxes()
        )
        return Result(
            store=world.store,
            seconds=time.monotonic() - begun,
            tally=self._tally,
            acknowledged=self.acknowledged(),
            senders=senders,
            devices=devices,
            followed=followed,
            whole=whole,
            skipped=skipped,
        )

    def _until_dry(self) -> tuple[Taken, Count, Count, Stored]:
        """Counts until nothing is missing, or what is missing has had its time to arrive."""
        deadline = time.monotonic() + self._order.dry_s
        while True:
            taken = Taken()
            for kind in ("load", "heard"):
                for path in self.world.ledgers(kind):
                    taken.add(path)
            stored = counting.stored_in(self.world.direct_url)
            senders = counting.compare(taken, stored)
            devices = counting.compare_devices(self.world.folder / "ledgers" / "devices.jsonl", stored)
            missing = len(senders.lost) + len(devices.lost)
            self._say(f"{self.world.store}: {missing} still on their way")
            if not missing or time.monotonic() > deadline:
                return taken, senders, devices, stored
            time.sleep(2)

    def _until_followed(self) -> list[Followed]:
        deadline = time.monotonic() + 60
        while True:
            followed = counting.follow(self.world.direct_url, self.world.folder / "consoles")
            if not any(one.unannounced for one in followed) or time.monotonic() > deadline:
                return followed
            time.sleep(1)

    def _outboxes(self) -> list[tuple[Path, str]]:
        folder = self.world.folder
        ours = [(folder / name / f"{name}.db", name) for name in self.world.loads]
        names = ("adapter-onvif", "adapter-alarm", "adapter-gps")
        adapters = [(folder / "parts" / "adapters" / f"outbox-{name}.db", name) for name in names]
        return [*ours, *adapters, (folder / "parts" / "edge" / "edge-1.db", "edge-1")]


def _observations(lines: bytes) -> int:
    """How many observations ledger lines of outboxes name."""
    return sum(line.partition(b'"says":')[2].count(b'","') + 1 for line in lines.splitlines())


def torture(order: Order, say: Say, *, keep: bool = False) -> Result:
    """One run in a fresh folder, which goes afterwards unless something didn't hold."""
    run = Torture(order, say)
    holds = False
    try:
        result = run.run()
        holds = result.holds
        return result
    finally:
        run.world.close()
        if holds and not keep:
            run.world.unmount()
            shutil.rmtree(run.world.folder, ignore_errors=True)
        else:
            say(f"kept: {run.world.folder}")


def figures(result: Result) -> dict[str, Any]:
    """As JSON's own types."""
    tally = result.tally
    return {
        "seconds": round(result.seconds),
        "kills": result.kills,
        "acknowledged": result.senders.acknowledged + result.devices.acknowledged,
        "lost": result.lost,
        "doubled": result.doubled,
        "altered": len(result.senders.altered),
        "gaps_unannounced": result.gaps_unannounced,
        "entries": result.whole.entries,
        "faults": list(result.whole.faults)[:20],
        "kills_by": dict(sorted(tally.kills.items())),
        "weather": dict(sorted(tally.weather.items())),
        "lines_reached": len(tally.reached),
        "lines_unreached": sorted(str(point) for _, point in tally.unreached),
        "fell": dict(tally.fell),
        "acknowledged_by": {
            "senders": result.senders.acknowledged,
            "devices": result.devices.acknowledged,
        },
        "consoles": {
            one.name: {
                "visible": one.visible,
                "received": one.received,
                "gaps": one.announced,
                "connections": one.connections,
                "unannounced": one.unannounced,
                "unseen": one.unseen,
            }
            for one in result.followed
        },
        "missing": [*result.senders.lost[:10], *result.devices.lost[:10]],
        "twice": [*result.senders.doubled[:10], *result.devices.doubled[:10]],
        "skipped": list(result.skipped),
    }
