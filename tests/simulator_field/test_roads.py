"""The road network: joined up, named, where the sites are, and driven by the shortest way."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from simulator.district import build_district, where
from simulator.driving import RESPONSE_KMH
from simulator.roads import (
    Edge,
    NoRoute,
    Point,
    RoadNetwork,
    Spot,
    to_degrees,
    to_point,
)
from simulator.street_plan import build_network

NETWORK = build_network()


def kmh(road_class: str) -> float:
    return RESPONSE_KMH[road_class]


def test_every_crossing_can_be_reached_from_every_other() -> None:
    reached, heads = {0}, [0]
    while heads:
        for _, other in NETWORK.neighbours[heads.pop()]:
            if other not in reached:
                reached.add(other)
                heads.append(other)
    assert reached == set(range(len(NETWORK.nodes)))


def test_roads_are_named_and_of_several_classes() -> None:
    features = NETWORK.geojson()["features"]
    names = {feature["properties"]["name"] for feature in features}
    assert len(names) >= 40
    assert {"淮海东路", "中山北路", "建国东路"} <= names
    assert {f["properties"]["class"] for f in features} == {"trunk", "primary", "secondary", "tertiary"}


def test_geojson_is_longitude_first_and_in_xuzhou() -> None:
    for feature in NETWORK.geojson()["features"]:
        assert feature["geometry"]["type"] == "LineString"
        line = feature["geometry"]["coordinates"]
        assert len(line) >= 3
        assert all(117.1 < lon < 117.3 and 34.2 < lat < 34.32 for lon, lat in line)


def test_degrees_and_metres_agree() -> None:
    point = Point(1234.5, -987.6)
    assert to_point(*to_degrees(point)).distance_m(point) < 0.1


def test_every_site_lies_beside_a_road() -> None:
    for site in build_district().sites:
        _, away_m = NETWORK.nearest(to_point(*where(NETWORK, site)))
        assert away_m < 30, site.name


@pytest.mark.parametrize("seed", range(20))
def test_a_route_is_one_unbroken_way(seed: int) -> None:
    rng = random.Random(seed)
    one, other = (Spot(edge.id, rng.uniform(0, edge.length_m)) for edge in rng.choices(NETWORK.edges, k=2))
    route = NETWORK.route(one, other, kmh)
    assert route.points[0].distance_m(NETWORK.point_at(one)) < 0.1
    assert route.points[-1].distance_m(NETWORK.point_at(other)) < 0.1
    assert all(a.distance_m(b) < 400 for a, b in pairwise(route.points))
    assert len(route.classes) == len(route.points) - 1
    straight_m = route.points[0].distance_m(route.points[-1])
    assert straight_m <= route.length_m + 0.1 <= 3 * straight_m + 3000


def test_the_quicker_way_is_taken() -> None:
    """A square: two sides of a fast road beat the short slow diagonal."""
    corners = (Point(0, 0), Point(1000, 0), Point(1000, 1000))
    network = RoadNetwork(
        corners,
        (
            Edge(0, 0, 1, "东路", "trunk", (corners[0], corners[1])),
            Edge(1, 1, 2, "北路", "trunk", (corners[1], corners[2])),
            Edge(2, 0, 2, "小路", "tertiary", (corners[0], corners[2])),
        ),
    )
    speeds = {"trunk": 80.0, "tertiary": 20.0}
    route = network.route(Spot(0, 0.0), Spot(1, 1000.0), speeds.__getitem__)
    assert set(route.classes) == {"trunk"}


def test_no_way_is_said_so() -> None:
    points = (Point(0, 0), Point(100, 0), Point(0, 500), Point(100, 500))
    network = RoadNetwork(
        points,
        (
            Edge(0, 0, 1, "甲路", "primary", points[:2]),
            Edge(1, 2, 3, "乙路", "primary", points[2:]),
        ),
    )
    with pytest.raises(NoRoute):
        network.route(Spot(0, 10), Spot(1, 10), lambda _: 50.0)
