"""What is done to whom, decided from a seed before anything starts: the same seed plans the same run."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.torture.lines import Point, points, points_of_store
from tests.torture.proxy import Fault, Way

NTH = (1, 1, 1, 2, 3, 5, 8)
"""Which time a line is reached: the state of things differs."""


@dataclass(frozen=True, slots=True)
class Death:
    """How one life ends: at a line, or after so many seconds."""

    after_s: float
    point: Point | None = None
    nth: int = 1
    provoked: bool = False
    """The line is met only when something fails: make the store fail meanwhile."""


@dataclass(frozen=True, slots=True)
class Weather:
    """A fault of the network or of a disk, after a pause."""

    pause_s: float
    where: str
    """A proxy's name, or `disk:hub`, `disk:load`."""
    for_s: float
    fault: Fault = Fault.NONE
    way: Way = Way.BOTH

    @property
    def kind(self) -> str:
        """As it is counted."""
        return self.where if self.where.startswith("disk") else f"net:{self.where}:{self.fault}"


@dataclass(frozen=True)
class Extent:
    """How much is done."""

    lines: dict[str, int]
    """By part: how many of its lines; beyond its number: all of them."""
    random: dict[str, int]
    """By part: kills at any instant."""
    breath_s: tuple[float, float]
    """How long a life lasts that ends at any instant."""
    weather: int
    weather_s: tuple[float, float]
    reach_s: dict[str, float]
    """How long a line is waited for."""
    least_s: dict[str, float]
    """Of one part, the least time from death to death: what is killed more often gets nothing done, and then
    nothing is proved. Where the time is too short for all its lines, fewer are drawn."""

    def room(self, part: str, over_s: float) -> int:
        """How many of the lines of one process there is time for."""
        return max(1, int(over_s / self.least_s[part]) - self.random[part])


@dataclass(frozen=True)
class Plan:
    """Everything that will be done."""

    deaths: dict[str, Sequence[Death]]
    weather: Sequence[Weather]
    lines: dict[str, int] = field(default_factory=dict)
    """How many different lines are tried, by part."""


def draw(
    seed: int,
    extent: Extent,
    loads: Sequence[str],
    places: Sequence[str],
    *,
    store: str,
    over_s: float,
    share: tuple[int, int] = (0, 1),
) -> Plan:
    """The plan of one run of `over_s`. `places`: what weather can strike. Raises `lines.Renamed`.

    `share` (which, of how many): runs over several stores share the lines between them, but for those of a
    database's own.
    """
    chance = random.Random(seed)
    deaths: dict[str, Sequence[Death]] = {}
    lines: dict[str, int] = {}
    for part in ("hub", "adapters", "edge"):
        chosen = _chosen(part, extent, chance)[share[0] :: share[1]]
        if part == "hub":
            own = points_of_store(store)
            chosen += chance.sample(own, min(len(own), extent.lines["store"]))
            chance.shuffle(chosen)
        chosen = chosen[: extent.room(part, over_s)]
        lines[part] = len(chosen)
        deaths[part] = _mixed(chosen, extent.random[part], breath_of(part, extent), chance)
    chosen = _chosen("load", extent, chance)[share[0] :: share[1]]
    chosen = chosen[: extent.room("load", over_s * len(loads))]
    lines["load"] = len(chosen)
    for n, name in enumerate(loads):
        instants = extent.random["load"] // len(loads)
        deaths[name] = _mixed(chosen[n :: len(loads)], instants, extent.breath_s, chance)
    for part in ("broker", "postgresql"):
        deaths[part] = _mixed([], extent.random[part], breath_of(part, extent), chance)
    weather = [_weather(places[n % len(places)], extent, chance) for n in range(extent.weather)]
    chance.shuffle(weather)
    return Plan(deaths, weather, lines)


def _chosen(part: str, extent: Extent, chance: random.Random) -> list[Point]:
    """In an order of its own, the same for every store."""
    found = points(part)
    most = extent.lines[part]
    chosen = found if most >= len(found) else chance.sample(found, most)
    return chance.sample(chosen, len(chosen))


def breath_of(part: str, extent: Extent) -> tuple[float, float]:
    """How long its lives last that end at any instant. What all others need lives longer."""
    least, most = extent.breath_s
    return (least * 2, most * 2) if part in ("broker", "postgresql") else (least, most)


def _mixed(
    chosen: Sequence[Point], instants: int, breath_s: tuple[float, float], chance: random.Random
) -> Sequence[Death]:
    """Lines, and instants spread evenly among them, so that what waits is worked off in between."""
    deaths = [Death(0.0, point, chance.choice(NTH)) for point in chosen]
    for n in range(instants):
        at = round((n + 1) * (len(chosen) / (instants + 1))) + n
        deaths.insert(at, Death(chance.uniform(*breath_s)))
    return deaths


def _weather(where: str, extent: Extent, chance: random.Random) -> Weather:
    return Weather(
        pause_s=chance.uniform(*extent.weather_s),
        where=where,
        for_s=chance.uniform(0.5, 5.0),
        fault=chance.choice((Fault.DROP, Fault.HOLD, Fault.RESET)),
        way=chance.choice(tuple(Way)),
    )
