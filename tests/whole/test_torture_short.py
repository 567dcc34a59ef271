"""Torture's short form: a handful of kills of every kind on each store, and nothing acknowledged is lost.

`make torture` is the long form (docs/design/torture.md).
"""

from __future__ import annotations

import argparse

import pytest

from tests.torture import __main__ as command
from tests.torture.lines import FUNCTIONS, OF_STORE, points, points_of_store
from tests.torture.run import figures, torture
from tests.torture.world import POSTGRESQL, SQLITE

pytestmark = pytest.mark.timeout(400)


@pytest.mark.parametrize("store", [SQLITE, POSTGRESQL])
def test_whatever_is_killed_nothing_acknowledged_is_lost_or_doubled(store: str) -> None:
    given = command.options().parse_args(["--short", "--store", store])
    (order,) = command.orders(given)
    told: list[str] = []
    result = torture(order, told.append)
    assert result.holds, (figures(result), told)
    assert result.senders.acknowledged > 500, (figures(result), told)
    assert result.devices.acknowledged > 50, (figures(result), told)
    assert len(result.tally.reached) >= 5, (figures(result), told)
    killed = {what.split()[0] for what in result.tally.kills}
    wanted = {"hub", "adapters", "edge", "broker", "load-1", "load-2"}
    assert wanted | ({"postgresql"} if store == POSTGRESQL else set()) <= killed
    assert all(one.received > 100 for one in result.followed), figures(result)


@pytest.mark.parametrize("part", sorted(FUNCTIONS))
def test_every_function_of_the_list_is_there(part: str) -> None:
    """A renamed one would otherwise drop out of torture unnoticed."""
    found = points(part)
    assert {one.function for one in found} == set(FUNCTIONS[part])


@pytest.mark.parametrize("store", sorted(OF_STORE))
def test_every_function_of_a_store_is_there(store: str) -> None:
    found = points_of_store(store)
    assert {one.function for one in found} == set(OF_STORE[store])


def test_the_same_seed_plans_the_same_run() -> None:
    from tests.torture.plan import draw

    extent = command.SHORT
    plans = [
        draw(7, extent, ["load-1", "load-2"], ["hub", "load"], store=SQLITE, over_s=60.0) for _ in range(2)
    ]
    assert plans[0] == plans[1]
    assert plans[0] != draw(8, extent, ["load-1", "load-2"], ["hub", "load"], store=SQLITE, over_s=60.0)


def test_what_is_asked_for_is_shared_between_the_stores() -> None:
    given = argparse.Namespace(
        store="both", kills=201, acknowledged=200_000, minutes=24.0, seed=1, short=False, keep=False
    )
    one, other = command.orders(given)
    assert (one.store, other.store) == (SQLITE, POSTGRESQL)
    assert one.kills + other.kills >= 201
    assert one.acknowledged == other.acknowledged == 100_000
    assert one.limit_s == 720.0
