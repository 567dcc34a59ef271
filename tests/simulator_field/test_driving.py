"""Patrol cars: repeatable, at speeds a car drives, and there when they are sent."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from simulator.district import FIX_EVERY_S, build_district, site_of, where
from simulator.driving import Beat, Driver, Duty, Fix
from simulator.gazetteer import Car
from simulator.roads import to_point

DISTRICT = build_district()
MARKET = where(DISTRICT.network, site_of("s-01"))


def driver_of(car: Car, seed: int) -> Driver:
    return Driver(DISTRICT.network, Beat(car.beat, car.radius_m), random.Random(f"{seed}:{car.id}"))


def fixes(car: Car, seed: int, count: int) -> list[Fix]:
    driver = driver_of(car, seed)
    return [driver.advance(FIX_EVERY_S) for _ in range(count)]


def metres_from_market(fix: Fix) -> float:
    return to_point(fix.lat, fix.lon).distance_m(to_point(*MARKET))


def test_same_seed_same_fixes() -> None:
    for car in DISTRICT.cars:
        assert fixes(car, 7, 60) == fixes(car, 7, 60)
        assert fixes(car, 7, 60) != fixes(car, 8, 60)


@pytest.mark.parametrize("car", DISTRICT.cars, ids=lambda car: car.id)
def test_a_patrol_moves_as_a_car_does(car: Car) -> None:
    hour = fixes(car, 3, 600)
    for before, after in pairwise(hour):
        moved_m = to_point(before.lat, before.lon).distance_m(to_point(after.lat, after.lon))
        assert moved_m < 60 / 3.6 * FIX_EVERY_S + 15
        assert 0 <= after.speed_kmh <= 56
    assert sum(fix.speed_kmh > 5 for fix in hour) > 300, "it patrols, it doesn't park"
    assert all(DISTRICT.network.nearest(to_point(fix.lat, fix.lon))[1] < 20 for fix in hour[::20])


def test_no_fix_is_ever_repeated() -> None:
    """A parked receiver drifts a little; identical fixes would look like a stuck one."""
    hour = fixes(DISTRICT.cars[0], 3, 1200)
    assert len({(fix.lat, fix.lon) for fix in hour}) > 1190


@pytest.mark.parametrize("protocol", ["owntracks", "jt808"])
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("sent_after", range(10, 61, 10))
def test_a_car_of_each_protocol_is_soon_at_the_market(protocol: str, seed: int, sent_after: int) -> None:
    """Within two minutes of demo: dispatched at half a minute, there a minute later, seen to stay."""
    car = next(car for car in DISTRICT.cars if car.protocol == protocol)
    driver = driver_of(car, seed)
    driver.advance(sent_after)
    way_m = driver.send_to(*MARKET)
    assert way_m < 2000
    there_after = 0.0
    while driver.duty is Duty.RESPONDING:
        fix = driver.advance(FIX_EVERY_S)
        there_after += FIX_EVERY_S
        assert fix.speed_kmh <= 80.5
        assert there_after < 90
    stay = [driver.advance(FIX_EVERY_S) for _ in range(15)]
    assert all(metres_from_market(fix) < 40 and fix.speed_kmh == 0 for fix in stay)


def test_it_hurries_stays_a_minute_and_goes_back_on_patrol() -> None:
    driver = driver_of(DISTRICT.cars[2], 1)
    driver.advance(5)
    driver.send_to(*MARKET)
    duties = []
    fastest_kmh = 0.0
    for _ in range(150):
        fastest_kmh = max(fastest_kmh, driver.advance(FIX_EVERY_S).speed_kmh)
        duties.append(driver.duty)
        if duties[-1] is Duty.PATROL:
            break
    assert duties[0] is Duty.RESPONDING
    assert duties[-1] is Duty.PATROL
    assert 19 <= duties.count(Duty.ON_SCENE) <= 21
    assert 60 <= fastest_kmh <= 80.5


def test_a_second_order_turns_the_car_round() -> None:
    driver = driver_of(DISTRICT.cars[0], 1)
    driver.send_to(*MARKET)
    driver.advance(10)
    elsewhere = where(DISTRICT.network, site_of("s-21"))
    driver.send_to(*elsewhere)
    while driver.duty is Duty.RESPONDING:
        fix = driver.advance(FIX_EVERY_S)
    assert to_point(fix.lat, fix.lon).distance_m(to_point(*elsewhere)) < 45
