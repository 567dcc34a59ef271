"""A road network: crossings, stretches of road between them, quickest ways, and the map as GeoJSON.

Lengths are metres in a flat frame around the origin, which at a city's size errs by less than 1 in 1,000.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

ORIGIN_LAT, ORIGIN_LON = 34.2612, 117.1899
METRES_PER_DEGREE = 111_195.0
_LON_SCALE = math.cos(math.radians(ORIGIN_LAT))


@dataclass(frozen=True, slots=True)
class Point:
    """Metres east and north of the origin."""

    x: float
    y: float

    def distance_m(self, other: Point) -> float:
        """Straight line."""
        return math.hypot(self.x - other.x, self.y - other.y)


def to_point(lat: float, lon: float) -> Point:
    """WGS-84 degrees to the flat frame."""
    return Point((lon - ORIGIN_LON) * METRES_PER_DEGREE * _LON_SCALE, (lat - ORIGIN_LAT) * METRES_PER_DEGREE)


def to_degrees(point: Point) -> tuple[float, float]:
    """(lat, lon) in WGS-84, to a micro-degree (a tenth of a metre)."""
    lat = ORIGIN_LAT + point.y / METRES_PER_DEGREE
    lon = ORIGIN_LON + point.x / (METRES_PER_DEGREE * _LON_SCALE)
    return round(lat, 6), round(lon, 6)


@dataclass(frozen=True)
class Edge:
    """A stretch of road between two crossings."""

    id: int
    a: int
    b: int
    road: str
    road_class: str
    points: tuple[Point, ...]

    @cached_property
    def distances_m(self) -> tuple[float, ...]:
        """How far along each of `points` lies."""
        along = [0.0]
        for one, other in pairwise(self.points):
            along.append(along[-1] + one.distance_m(other))
        return tuple(along)

    @property
    def length_m(self) -> float:
        """From crossing to crossing."""
        return self.distances_m[-1]

    def at(self, offset_m: float) -> Point:
        """The point `offset_m` along, from end `a`."""
        return point_along(self.points, self.distances_m, offset_m)


def point_along(points: Sequence[Point], distances_m: Sequence[float], offset_m: float) -> Point:
    """The point `offset_m` along a line whose vertices lie at `distances_m`; ends are held."""
    for i in range(1, len(points)):
        if offset_m <= distances_m[i] or i == len(points) - 1:
            span = distances_m[i] - distances_m[i - 1]
            share = 0.0 if span == 0 else (offset_m - distances_m[i - 1]) / span
            share = min(1.0, max(0.0, share))
            one, other = points[i - 1], points[i]
            return Point(one.x + (other.x - one.x) * share, one.y + (other.y - one.y) * share)
    return points[0]


@dataclass(frozen=True, slots=True)
class Spot:
    """A place on a road: an edge and how far along it, from its end `a`."""

    edge: int
    offset_m: float


@dataclass(frozen=True, slots=True)
class Route:
    """A way along the roads, as it is driven."""

    goal: Spot
    points: tuple[Point, ...]
    classes: tuple[str, ...]
    """Road class from each point to the next; one fewer than `points`."""

    @property
    def length_m(self) -> float:
        """Along the road."""
        return sum(one.distance_m(other) for one, other in pairwise(self.points))


class NoRoute(ValueError):
    """The two spots aren't joined by road."""


@dataclass(frozen=True)
class RoadNetwork:
    """Crossings and the stretches of road between them, driven both ways."""

    nodes: tuple[Point, ...]
    edges: tuple[Edge, ...]

    @cached_property
    def neighbours(self) -> tuple[tuple[tuple[int, int], ...], ...]:
        """For each node: (edge, node at its other end)."""
        found: list[list[tuple[int, int]]] = [[] for _ in self.nodes]
        for edge in self.edges:
            found[edge.a].append((edge.id, edge.b))
            found[edge.b].append((edge.id, edge.a))
        return tuple(tuple(one) for one in found)

    def node_spot(self, node: int) -> Spot:
        """A crossing as a spot."""
        edge = self.edges[self.neighbours[node][0][0]]
        return Spot(edge.id, 0.0 if edge.a == node else edge.length_m)

    def point_at(self, spot: Spot) -> Point:
        """Where a spot lies."""
        return self.edges[spot.edge].at(spot.offset_m)

    def nearest(self, point: Point) -> tuple[Spot, float]:
        """The nearest spot on any road, and how far away it is in metres."""
        best, best_m = Spot(0, 0.0), math.inf
        for edge in self.edges:
            for i, (one, other) in enumerate(pairwise(edge.points)):
                share, away_m = _project(point, one, other)
                if away_m < best_m:
                    span = edge.distances_m[i + 1] - edge.distances_m[i]
                    best, best_m = Spot(edge.id, edge.distances_m[i] + share * span), away_m
        return best, best_m

    def route(self, start: Spot, goal: Spot, speed_kmh: Callable[[str], float]) -> Route:
        """The quickest way at `speed_kmh(road class)`. Raises `NoRoute`."""
        pieces = self._same_edge(start, goal) or self._pieces(start, goal, speed_kmh)
        points: list[Point] = [self.point_at(start)]
        classes: list[str] = []
        for edge, from_m, to_m in pieces:
            for point in _between(edge, from_m, to_m):
                if point.distance_m(points[-1]) > 0.01:
                    points.append(point)
                    classes.append(edge.road_class)
        return Route(goal, tuple(points), tuple(classes))

    def _same_edge(self, start: Spot, goal: Spot) -> list[tuple[Edge, float, float]]:
        if start.edge != goal.edge:
            return []
        return [(self.edges[start.edge], start.offset_m, goal.offset_m)]

    def _pieces(
        self, start: Spot, goal: Spot, speed_kmh: Callable[[str], float]
    ) -> list[tuple[Edge, float, float]]:
        first, last = self.edges[start.edge], self.edges[goal.edge]
        cost_from_end = {last.a: goal.offset_m, last.b: last.length_m - goal.offset_m}
        starts = {first.a: start.offset_m, first.b: first.length_m - start.offset_m}
        came, end = self._search(starts, cost_from_end, first, last, speed_kmh)
        back: list[tuple[Edge, float, float]] = []
        back.append((last, 0.0 if end == last.a else last.length_m, goal.offset_m))
        node = end
        while came[node] is not None:
            edge_id, before = came[node] or (0, 0)
            edge = self.edges[edge_id]
            back.append((edge, *((0.0, edge.length_m) if edge.a == before else (edge.length_m, 0.0))))
            node = before
        back.append((first, start.offset_m, 0.0 if node == first.a else first.length_m))
        return back[::-1]

    def _search(
        self,
        starts: dict[int, float],
        ends: dict[int, float],
        first: Edge,
        last: Edge,
        speed_kmh: Callable[[str], float],
    ) -> tuple[dict[int, tuple[int, int] | None], int]:
        """Dijkstra from the ends of the first edge; returns how each node was come to and the last node."""
        came: dict[int, tuple[int, int] | None] = {}
        # The second item breaks ties, so that what follows it is never compared.
        heap: list[tuple[float, int, int, tuple[int, int] | None]] = [
            (metres / speed_kmh(first.road_class), i, node, None)
            for i, (node, metres) in enumerate(starts.items())
        ]
        heapq.heapify(heap)
        ties = itertools.count(len(heap))
        best_end, best_cost = -1, math.inf
        while heap and heap[0][0] < best_cost:
            cost, _, node, by = heapq.heappop(heap)
            if node in came:
                continue
            came[node] = by
            if node in ends and cost + ends[node] / speed_kmh(last.road_class) < best_cost:
                best_end, best_cost = node, cost + ends[node] / speed_kmh(last.road_class)
            for edge_id, other in self.neighbours[node]:
                if other not in came:
                    edge = self.edges[edge_id]
                    step = edge.length_m / speed_kmh(edge.road_class)
                    heapq.heappush(heap, (cost + step, next(ties), other, (edge_id, node)))
        if best_end < 0:
            raise NoRoute(f"no road from edge {first.id} to edge {last.id}")
        return came, best_end

    def along_road(self, road: str, share: float, side_m: float) -> Point:
        """A point beside a road: `share` (0 to 1) of its length, `side_m` to its left (negative: right)."""
        edges = [edge for edge in self.edges if edge.road == road]
        if not edges:
            raise KeyError(f"no road is called {road}")
        left_m = share * sum(edge.length_m for edge in edges)
        for edge in edges:
            if left_m <= edge.length_m or edge is edges[-1]:
                break
            left_m -= edge.length_m
        here, ahead = edge.at(max(0.0, left_m - 5)), edge.at(left_m + 5)
        length_m = here.distance_m(ahead) or 1.0
        middle = edge.at(left_m)
        east, north = (ahead.x - here.x) / length_m, (ahead.y - here.y) / length_m
        return Point(middle.x - north * side_m, middle.y + east * side_m)

    def geojson(self) -> dict[str, Any]:
        """One LineString per road with `name` and `class`, longitude first (RFC 7946)."""
        lines: dict[str, list[Edge]] = {}
        for edge in self.edges:
            lines.setdefault(edge.road, []).append(edge)
        features = [_feature(name, chain) for name, edges in lines.items() for chain in _chains(edges)]
        return {"type": "FeatureCollection", "features": features}


def _chains(edges: Sequence[Edge]) -> list[list[Edge]]:
    """Consecutive edges of a road; a road that is interrupted gives several."""
    chains: list[list[Edge]] = []
    for edge in edges:
        if chains and chains[-1][-1].b == edge.a:
            chains[-1].append(edge)
        else:
            chains.append([edge])
    return chains


def _feature(name: str, chain: Sequence[Edge]) -> dict[str, Any]:
    points = [chain[0].points[0], *(point for edge in chain for point in edge.points[1:])]
    line = [[lon, lat] for lat, lon in map(to_degrees, points)]
    return {
        "type": "Feature",
        "properties": {"name": name, "class": chain[0].road_class},
        "geometry": {"type": "LineString", "coordinates": line},
    }


def _project(point: Point, one: Point, other: Point) -> tuple[float, float]:
    """(share along one→other of the nearest point, its distance in metres)."""
    dx, dy = other.x - one.x, other.y - one.y
    square = dx * dx + dy * dy
    share = 0.0 if square == 0 else ((point.x - one.x) * dx + (point.y - one.y) * dy) / square
    share = min(1.0, max(0.0, share))
    return share, math.hypot(point.x - one.x - share * dx, point.y - one.y - share * dy)


def _between(edge: Edge, from_m: float, to_m: float) -> list[Point]:
    """Vertices passed when driving along an edge, both ends included."""
    low, high = min(from_m, to_m), max(from_m, to_m)
    inside = [p for p, m in zip(edge.points, edge.distances_m, strict=True) if low < m < high]
    passed = [edge.at(low), *inside, edge.at(high)]
    return passed if from_m <= to_m else passed[::-1]
