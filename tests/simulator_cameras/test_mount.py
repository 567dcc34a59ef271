"""The pan-tilt mount: pure motion over given times."""

from __future__ import annotations

import pytest

from simulator.cameras.mount import FULL_SPEED, Mount


def test_it_drives_until_the_time_is_over_and_no_farther_than_it_can() -> None:
    mount = Mount()
    mount.drive((1.0, 0.0, 0.0), now=10.0, for_s=2.0)
    assert mount.at(11.0) == pytest.approx((FULL_SPEED[0], 0, 0))
    assert mount.at(20.0) == pytest.approx((2 * FULL_SPEED[0], 0, 0))
    assert not mount.moving(12.5)
    mount.drive((1.0, 0.0, 0.0), now=20.0, for_s=60.0)
    assert mount.at(80.0)[0] == 1.0


def test_all_axes_arrive_together() -> None:
    mount = Mount()
    mount.go_to((0.4, -0.2, 0.3), now=0.0)
    assert mount.at(0.5) == pytest.approx((0.2, -0.1, 0.15))
    assert mount.at(1.0) == pytest.approx((0.4, -0.2, 0.3))
    assert not mount.moving(1.0)


def test_stop_holds_the_place() -> None:
    mount = Mount()
    mount.drive((-1.0, 0.5, 0.0), now=0.0, for_s=10.0)
    mount.stop(now=1.0)
    assert mount.at(1.0) == mount.at(9.0) == pytest.approx((-0.4, 0.2, 0.0))


def test_a_place_out_of_range_is_refused_by_axis() -> None:
    with pytest.raises(ValueError, match="tilt"):
        Mount().go_to((0.0, 1.5, 0.0), now=0.0)
