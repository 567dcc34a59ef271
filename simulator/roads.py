"""The district's road network: crossings, roads between them, shortest ways, and the map as GeoJSON.

The geography is fixed (the seed doesn't move streets): two families of gently winding roads cross each
other, three diagonals cut through, a lake lies in the south-west, a ring road runs around. Lengths are
metres in a flat frame around the origin, which at this size errs by less than 1 in 10,000.
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


@dataclass(frozen=True, slots=True)
class _Line:
    """A road that crosses the district: where it lies, how it winds, what its two halves are called."""

    at_m: float
    names: tuple[str, str]
    """West and east of, or south and north of, the middle crossing."""
    road_class: str
    first: int
    last: int
    """Which crossings it runs between."""
    wave_m: float
    phase: float

    def off_m(self, along_m: float) -> float:
        return self.at_m + self.wave_m * math.sin(along_m / 1450.0 + self.phase)

    def eastwards(self, _share: float, straight: Point) -> Point:
        return Point(straight.x, self.off_m(straight.x))

    def northwards(self, _share: float, straight: Point) -> Point:
        return Point(self.off_m(straight.y), straight.y)


_MIDDLE_COLUMN, _MIDDLE_ROW = 5, 6
# Both families are listed from the south-west corner, so that indices grow eastwards and northwards.
_ROWS = (
    _Line(-4000, ("三环南路", "三环南路"), "trunk", 0, 12, 90, 0.4),
    _Line(-3250, ("金山东路", "昆仑大道"), "primary", 0, 12, 70, 2.0),
    _Line(-2450, ("湖滨路", "郭庄路"), "secondary", 3, 12, 60, 0.9),
    _Line(-1700, ("湖北路", "铜山路"), "primary", 0, 12, 55, 3.4),
    _Line(-1000, ("王陵路", "和平路"), "primary", 1, 12, 45, 1.2),
    _Line(-380, ("建国西路", "建国东路"), "secondary", 2, 11, 35, 4.1),
    _Line(250, ("淮海西路", "淮海东路"), "primary", 0, 12, 30, 0.2),
    _Line(850, ("河清路", "坝子街"), "tertiary", 2, 10, 40, 2.6),
    _Line(1500, ("夹河西街", "夹河街"), "secondary", 1, 11, 50, 5.0),
    _Line(2250, ("殷庄路", "荆山路"), "tertiary", 1, 12, 60, 1.7),
    _Line(3050, ("二环北路", "煤建路"), "secondary", 0, 12, 70, 3.0),
    _Line(3900, ("三环北路", "三环北路"), "trunk", 0, 12, 90, 0.0),
)
_COLUMNS = (
    _Line(-4300, ("三环西路", "三环西路"), "trunk", 0, 11, 90, 1.1),
    _Line(-3450, ("段庄路", "沈场路"), "tertiary", 3, 11, 60, 2.2),
    _Line(-2650, ("苏堤南路", "苏堤北路"), "secondary", 3, 10, 55, 0.5),
    _Line(-1850, ("西安南路", "西安北路"), "secondary", 0, 11, 50, 3.7),
    _Line(-1100, ("泰山路", "立达路"), "tertiary", 1, 9, 40, 1.9),
    _Line(-420, ("中山南路", "中山北路"), "primary", 0, 11, 35, 4.4),
    _Line(220, ("青年路", "彭城路"), "tertiary", 3, 9, 30, 0.8),
    _Line(830, ("解放南路", "解放北路"), "primary", 0, 11, 40, 2.9),
    _Line(1430, ("民主南路", "民主北路"), "tertiary", 3, 8, 35, 5.3),
    _Line(2080, ("复兴南路", "复兴北路"), "primary", 0, 11, 50, 1.4),
    _Line(2800, ("民祥园路", "下淀路"), "secondary", 1, 10, 60, 3.2),
    _Line(3550, ("太行路", "庆丰路"), "tertiary", 0, 11, 65, 0.1),
    _Line(4350, ("三环东路", "三环东路"), "trunk", 0, 11, 90, 2.4),
)
_DIAGONALS = (
    ("故黄河北路", "secondary", ((1, 9), (2, 8), (3, 7), (4, 6))),
    ("故黄河南路", "secondary", ((8, 5), (9, 4), (10, 3), (11, 2))),
    ("迎宾大道", "primary", ((7, 3), (8, 3), (9, 2), (10, 1), (11, 0))),
    ("煤港路", "tertiary", ((8, 8), (9, 9), (10, 10), (11, 11))),
)
_STEP_M = 130.0


def _crossing(column: _Line, row: _Line) -> Point:
    x, y = column.at_m, row.at_m
    for _ in range(12):
        x, y = column.off_m(y), row.off_m(x)
    return Point(x, y)


def _reach(line: _Line, other: int) -> bool:
    return line.first <= other <= line.last


class _Builder:
    """Collects crossings and stretches; leaves out nothing that is joined."""

    def __init__(self) -> None:
        self.nodes: list[Point] = []
        self.edges: list[Edge] = []
        self._index: dict[tuple[int, int], int] = {}

    def node(self, column: int, row: int) -> int:
        if (column, row) not in self._index:
            self._index[column, row] = len(self.nodes)
            self.nodes.append(_crossing(_COLUMNS[column], _ROWS[row]))
        return self._index[column, row]

    def edge(self, a: int, b: int, road: str, road_class: str, bend: Callable[[float, Point], Point]) -> None:
        one, other = self.nodes[a], self.nodes[b]
        pieces = max(2, round(one.distance_m(other) / _STEP_M))
        inner = []
        for i in range(1, pieces):
            share = i / pieces
            straight = Point(one.x + (other.x - one.x) * share, one.y + (other.y - one.y) * share)
            inner.append(bend(share, straight))
        self.edges.append(Edge(len(self.edges), a, b, road, road_class, (one, *inner, other)))


def build_network() -> RoadNetwork:
    """The district's roads. Always the same."""
    builder = _Builder()
    for r, row in enumerate(_ROWS):
        columns = [c for c, column in enumerate(_COLUMNS) if _reach(row, c) and _reach(column, r)]
        for one, other in pairwise(columns):
            builder.edge(
                builder.node(one, r),
                builder.node(other, r),
                row.names[0] if other <= _MIDDLE_COLUMN else row.names[1],
                row.road_class,
                row.eastwards,
            )
    for c, column in enumerate(_COLUMNS):
        rows = [r for r, row in enumerate(_ROWS) if _reach(row, c) and _reach(column, r)]
        for one, other in pairwise(rows):
            builder.edge(
                builder.node(c, one),
                builder.node(c, other),
                column.names[0] if other <= _MIDDLE_ROW else column.names[1],
                column.road_class,
                column.northwards,
            )
    for name, road_class, crossings in _DIAGONALS:
        for (c1, r1), (c2, r2) in pairwise(crossings):
            if r1 != r2:
                a, b = builder.node(c1, r1), builder.node(c2, r2)
                builder.edge(a, b, name, road_class, _bulge)
    return RoadNetwork(tuple(builder.nodes), tuple(builder.edges))


def _bulge(share: float, point: Point) -> Point:
    """A diagonal bends to one side, as a road along a river does."""
    return Point(point.x + 45 * math.sin(math.pi * share), point.y + 45 * math.sin(math.pi * share))
