"""The district's street plan: which roads there are, where they run, how they wind.

Two families of gently winding roads cross each other, diagonals cut through, a lake lies in the south-west,
a ring road runs around. The plan is fixed: the seed doesn't move streets.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from simulator.roads import Edge, Point, RoadNetwork


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
