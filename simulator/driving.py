"""How a patrol car drives: its beat, red lights, the way to where it is sent, and what its receiver shows.

Pure and seeded: the same seed and the same orders give the same fixes.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from simulator.roads import Point, RoadNetwork, Route, Spot, to_degrees, to_point

PATROL_KMH = {"trunk": 55.0, "primary": 45.0, "secondary": 36.0, "tertiary": 28.0}
RESPONSE_KMH = {"trunk": 80.0, "primary": 76.0, "secondary": 70.0, "tertiary": 62.0}
STAYS_S = 60.0
"""How long a car stays where it was sent."""
_TICK_S = 0.5
_SHARP_TURN_DEG = 35.0


class Duty(StrEnum):
    """What a driver is doing."""

    PATROL = "patrol"
    RESPONDING = "responding"
    ON_SCENE = "on_scene"


@dataclass(frozen=True, slots=True)
class Manner:
    """How hard a car is driven."""

    kmh: dict[str, float]
    turn_kmh: float
    accelerate_ms2: float
    brake_ms2: float

    def limit_kmh(self, road_class: str) -> float:
        """Speed on a road of that class."""
        return self.kmh[road_class]


PATROLLING = Manner(PATROL_KMH, 18.0, 1.5, 2.0)
HURRYING = Manner(RESPONSE_KMH, 32.0, 2.8, 3.5)


@dataclass(frozen=True, slots=True)
class Beat:
    """Where a car patrols: around a point."""

    centre: Point
    radius_m: float


@dataclass(frozen=True, slots=True)
class Fix:
    """What the receiver shows. WGS-84; speed and course over ground."""

    lat: float
    lon: float
    speed_kmh: float
    course_deg: int


class Driver:
    """One car on the road."""

    def __init__(self, network: RoadNetwork, beat: Beat, rng: random.Random) -> None:
        self._network = network
        self._beat = beat
        self._rng = rng
        self._beat_nodes = _nodes_within(network, beat)
        self.duty = Duty.PATROL
        self._spot = network.nearest(beat.centre)[0]
        self._trip: _Trip | None = None
        self._speed_ms = 0.0
        self._course_deg = rng.uniform(0, 360)
        self._rests_s = 0.0
        self._drift = Point(0.0, 0.0)
        self.odometer_m = float(rng.randrange(20_000_000, 90_000_000))

    @property
    def place(self) -> Point:
        """Where it truly is."""
        return self._trip.place if self._trip else self._network.point_at(self._spot)

    def send_to(self, lat: float, lon: float) -> float:
        """Drives there at once, stops, stays `STAYS_S`. Returns the way's length in metres."""
        goal, _ = self._network.nearest(to_point(lat, lon))
        here = self._network.nearest(self.place)[0]
        route = self._network.route(here, goal, HURRYING.limit_kmh)
        self.duty, self._rests_s = Duty.RESPONDING, 0.0
        self._speed_ms = min(self._speed_ms, 5.0)  # it may have to turn round
        self._trip = _Trip(route, HURRYING)
        return route.length_m

    def advance(self, seconds: float) -> Fix:
        """Lets `seconds` pass; returns the fix at their end."""
        left = seconds
        while left > 1e-9:
            tick = min(_TICK_S, left)
            self._tick(tick)
            left -= tick
        return self._fix()

    def _tick(self, seconds: float) -> None:
        if self._rests_s > 0:
            self._rests_s -= seconds
            return
        if self._trip is None:
            self.duty = Duty.PATROL
            self._trip = self._next_trip()
        self._speed_ms = self._trip.next_speed(self._speed_ms, seconds)
        self.odometer_m += self._trip.move(self._speed_ms * seconds)
        self._course_deg = self._trip.course_deg
        if self._trip.ended:
            self._arrive(self._trip.route.goal)

    def _arrive(self, goal: Spot) -> None:
        self._spot, self._trip, self._speed_ms = goal, None, 0.0
        if self.duty is Duty.RESPONDING:
            self.duty, self._rests_s = Duty.ON_SCENE, STAYS_S
        else:
            # A red light, a word with a shopkeeper, or straight on.
            self._rests_s = self._rng.choice((0.0, 0.0, 4.0, 8.0, 14.0))

    def _next_trip(self) -> _Trip:
        here = self.place
        far = [n for n in self._beat_nodes if self._network.nodes[n].distance_m(here) > 60.0]
        goal = self._network.node_spot(self._rng.choice(far or list(range(len(self._network.nodes)))))
        return _Trip(self._network.route(self._spot, goal, PATROLLING.limit_kmh), PATROLLING)

    def _fix(self) -> Fix:
        spread_m = 1.6 if self._speed_ms > 0.5 else 0.5
        self._drift = Point(
            0.7 * self._drift.x + self._rng.gauss(0, spread_m),
            0.7 * self._drift.y + self._rng.gauss(0, spread_m),
        )
        true = self.place
        lat, lon = to_degrees(Point(true.x + self._drift.x, true.y + self._drift.y))
        return Fix(lat, lon, round(self._speed_ms * 3.6, 1), round(self._course_deg) % 360)


class _Trip:
    """A route being driven: where along it, and how fast it may be driven ahead."""

    def __init__(self, route: Route, manner: Manner) -> None:
        self.route = route
        self._manner = manner
        self._points = route.points
        self._at_m = 0.0
        self._leg = 0
        self._marks_m = [0.0]
        for one, other in pairwise(route.points):
            self._marks_m.append(self._marks_m[-1] + one.distance_m(other))
        self._slow = self._slow_places()

    @property
    def ended(self) -> bool:
        return self._at_m >= self._marks_m[-1] - 0.05

    @property
    def place(self) -> Point:
        if len(self._points) == 1:
            return self._points[0]
        one, other = self._points[self._leg], self._points[self._leg + 1]
        span = self._marks_m[self._leg + 1] - self._marks_m[self._leg]
        share = (self._at_m - self._marks_m[self._leg]) / span
        return Point(one.x + (other.x - one.x) * share, one.y + (other.y - one.y) * share)

    @property
    def course_deg(self) -> float:
        if len(self._points) == 1:
            return 0.0
        return _bearing_deg(self._points[self._leg], self._points[self._leg + 1])

    def next_speed(self, speed_ms: float, seconds: float) -> float:
        """Speed after `seconds`: towards the limit, but able to take each turn and to stop at the end."""
        if len(self._points) == 1:
            return 0.0
        manner = self._manner
        allowed = manner.limit_kmh(self.route.classes[self._leg]) / 3.6
        for mark_m, slow_ms in self._slow:
            if mark_m >= self._at_m:
                room_m = max(0.0, mark_m - self._at_m - speed_ms * seconds / 2)
                allowed = min(allowed, math.sqrt(slow_ms**2 + 2 * manner.brake_ms2 * room_m))
        faster = min(speed_ms + manner.accelerate_ms2 * seconds, allowed)
        # Never quite standing before the end, or it would never be reached.
        return max(faster, speed_ms - 2 * manner.brake_ms2 * seconds, 0.8)

    def move(self, metres: float) -> float:
        """Drives on; returns how far, which is less at the end."""
        before = self._at_m
        self._at_m = min(self._at_m + metres, self._marks_m[-1])
        while self._leg < len(self._points) - 2 and self._at_m > self._marks_m[self._leg + 1]:
            self._leg += 1
        return self._at_m - before

    def _slow_places(self) -> list[tuple[float, float]]:
        """(metres along, m/s) where it can't go faster."""
        places = [(self._marks_m[-1], 0.0)]
        for i in range(1, len(self._points) - 1):
            before = _bearing_deg(self._points[i - 1], self._points[i])
            after = _bearing_deg(self._points[i], self._points[i + 1])
            if abs((after - before + 180) % 360 - 180) > _SHARP_TURN_DEG:
                places.append((self._marks_m[i], self._manner.turn_kmh / 3.6))
        return places


def _bearing_deg(one: Point, other: Point) -> float:
    return math.degrees(math.atan2(other.x - one.x, other.y - one.y)) % 360


def _nodes_within(network: RoadNetwork, beat: Beat) -> list[int]:
    by_distance = sorted(range(len(network.nodes)), key=lambda n: network.nodes[n].distance_m(beat.centre))
    near = [n for n in by_distance if network.nodes[n].distance_m(beat.centre) <= beat.radius_m]
    return near if len(near) >= 3 else by_distance[:3]
