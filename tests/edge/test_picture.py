"""Picture health with injected time: frozen and covered are told, once, and blips are not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edge.luma import Luma
from edge.picture import COVERED_S, FROZEN_S, FROZEN_UNPROVEN_S, Debounce, Fault, PictureHealth
from tests.edge.films import grids, noisy, street
from wire.observations import Condition

FROZEN, COVERED = Condition.PICTURE_FROZEN, Condition.PICTURE_COVERED


def live(seed: int = 1) -> Callable[[], Luma]:
    """A camera's grids with sensor noise."""
    rng, empty = np.random.default_rng(seed), street()
    return lambda: next(grids([noisy(empty, rng)]))


def showing(picture: NDArray[np.floating], rng: np.random.Generator) -> Callable[[], Luma]:
    """The same picture again and again, with noise."""
    return lambda: next(grids([noisy(picture.astype(np.float32), rng)]))


def watch(
    health: PictureHealth, grid: Callable[[], Luma], from_s: float, to_s: float
) -> list[tuple[float, Fault]]:
    """Feeds five grids a second, a key frame every two seconds."""
    found = []
    for index in range(round(from_s * 5), round(to_s * 5)):
        at_s = index / 5
        faults = health.look(grid(), at_s, key=index % 10 == 0, moving=False)
        found += [(at_s, fault) for fault in faults]
    return found


def test_a_live_still_scene_is_healthy() -> None:
    found = watch(PictureHealth(), live(), 0, 120)
    assert {(fault.condition, fault.active) for _, fault in found} == {(FROZEN, False), (COVERED, False)}


def test_a_frozen_picture_is_told_once_and_cleared_once() -> None:
    health, camera = PictureHealth(), live()
    watch(health, camera, 0, 20)
    stuck = camera()
    during = watch(health, lambda: stuck, 20, 80)
    assert [fault for _, fault in during] == [Fault(FROZEN, active=True)]
    assert 20 + FROZEN_S <= during[0][0] <= 20 + FROZEN_S + 6
    after = watch(health, camera, 80, 100)
    assert [fault for _, fault in after] == [Fault(FROZEN, active=False)]
    assert after[0][0] <= 86


def test_a_picture_that_stands_for_less_is_not_frozen() -> None:
    health, camera = PictureHealth(), live()
    watch(health, camera, 0, 20)
    stuck = camera()
    assert watch(health, lambda: stuck, 20, 28) == []
    assert watch(health, camera, 28, 60) == []


def test_a_drawn_scene_without_noise_is_given_long() -> None:
    still = next(grids([street().astype(np.uint8)]))
    found = watch(PictureHealth(), lambda: still, 0, FROZEN_UNPROVEN_S + 10)
    frozen = [at_s for at_s, fault in found if fault == Fault(FROZEN, active=True)]
    assert len(frozen) == 1
    assert frozen[0] >= FROZEN_UNPROVEN_S


def test_a_repeat_across_a_reconnect_is_not_frozen() -> None:
    health, camera = PictureHealth(), live()
    watch(health, camera, 0, 20)
    stuck = camera()
    found = watch(health, lambda: stuck, 20, 28)
    health.interrupted()
    assert found + watch(health, lambda: stuck, 28, 36) == []


def test_black_white_and_a_cloth_are_covered() -> None:
    rng = np.random.default_rng(3)
    cloth = 60 + 15 * np.sin(np.linspace(0, 3, 640, dtype=np.float32))[None, :].repeat(360, axis=0)
    for cover in (np.full((360, 640), 4.0), np.full((360, 640), 250.0), cloth):
        health, camera = PictureHealth(), live()
        watch(health, camera, 0, 20)
        during = watch(health, showing(cover, rng), 20, 40)
        assert [fault for _, fault in during] == [Fault(COVERED, active=True)]
        assert 20 + COVERED_S <= during[0][0] <= 20 + COVERED_S + 2
        assert [fault for _, fault in watch(health, camera, 40, 60)] == [Fault(COVERED, active=False)]


def test_a_cover_that_repeats_itself_is_covered_and_not_frozen() -> None:
    health, camera, rng = PictureHealth(), live(), np.random.default_rng(8)
    watch(health, camera, 0, 20)
    loop = [next(grids([noisy(np.full((360, 640), 25.0, np.float32), rng)])) for _ in range(10)]
    frames = iter(loop * 40)
    found = [fault for _, fault in watch(health, lambda: next(frames), 20, 80)]
    assert found == [Fault(COVERED, active=True)]


def test_a_camera_first_watched_while_covered_is_not_called_well() -> None:
    rng = np.random.default_rng(9)
    dark = showing(np.full((360, 640), 25.0), rng)
    assert [fault for _, fault in watch(PictureHealth(), dark, 0, 20)][-1] == Fault(COVERED, active=True)


def test_a_lorry_before_the_lens_for_three_seconds_is_not_a_cover() -> None:
    health, camera, rng = PictureHealth(), live(), np.random.default_rng(4)
    watch(health, camera, 0, 20)
    side = np.full((360, 640), 130.0, np.float32)
    assert watch(health, lambda: next(grids([noisy(side, rng)])), 20, 23) == []
    assert watch(health, camera, 23, 40) == []


def test_dusk_is_no_cover() -> None:
    health, rng, empty = PictureHealth(), np.random.default_rng(5), street()
    at = iter(np.linspace(1.0, 0.2, 5 * 150))
    found = watch(health, lambda: next(grids([noisy(empty * np.float32(next(at)), rng)])), 0, 150)
    assert not any(fault.active for _, fault in found)


def test_debounce_tells_only_news_that_stood() -> None:
    debounce = Debounce(2.0, 1.0)
    told = [debounce.lean(towards, at) for at, towards in enumerate([True, False, True, True, True, True])]
    assert told == [None, None, None, None, True, None]
    assert debounce.lean(False, 6.0) is None
    assert debounce.lean(False, 7.0) is False
