"""The detector on drawn sequences: finds what passes, and nothing in noise, light or cuts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pytest

from edge.episodes import LONGEST_S, Began, Ended, Episodes, regions_of
from edge.luma import GRID_H, GRID_W, Luma, Reducer, plane_view
from edge.motion import MotionDetector, Seen
from tests.edge.films import FPS, H, W, grids, noisy, passing, street, with_car


def spans(pictures: Iterable[Luma]) -> list[tuple[float, float]]:
    """Begin and end of each event, in seconds."""
    detector, episodes, found, began = MotionDetector(), Episodes(), [], 0.0
    for index, grid in enumerate(grids(pictures)):
        change = episodes.see(detector.look(grid), index / FPS)
        if isinstance(change, Began):
            began = change.at_s
        elif isinstance(change, Ended):
            found.append((began, change.at_s))
    last = episodes.close()
    return [*found, (began, last.at_s)] if last else found


def test_passing_cars_are_found_when_they_pass() -> None:
    truth = [(5.0, 9.0), (15.0, 18.0), (24.0, 26.0)]
    found = spans(passing(32, truth))
    assert len(found) == 3
    for (begin, end), (true_begin, true_end) in zip(found, truth, strict=True):
        assert true_begin <= begin <= true_begin + 0.8
        assert true_end - 0.8 <= end <= true_end + 0.4


@pytest.mark.parametrize("sigma", [0.0, 2.0, 8.0])
def test_noise_is_no_motion(sigma: float) -> None:
    assert spans(passing(60, [], sigma=sigma)) == []


@pytest.mark.parametrize("factor", [0.6, 0.85, 1.3])
def test_light_that_steps_is_no_motion(factor: float) -> None:
    rng, empty = np.random.default_rng(2), street()
    film = (noisy(empty * (factor if 10 <= i / FPS < 20 else 1.0), rng) for i in range(30 * FPS))
    assert spans(film) == []


def test_a_lamp_that_lights_a_part_of_the_picture_is_no_motion() -> None:
    rng, empty = np.random.default_rng(2), street()
    lit = empty.copy()
    lit[60:, 300:] *= 1.4
    assert spans(noisy(lit if i >= 50 else empty, rng) for i in range(150)) == []


def test_slow_light_is_no_motion() -> None:
    rng, empty = np.random.default_rng(3), street()
    film = (noisy(empty * (1.0 + 0.2 * np.sin(i / FPS / 5.0)), rng) for i in range(60 * FPS))
    assert spans(film) == []


def test_another_scene_is_learned_within_two_seconds() -> None:
    rng = np.random.default_rng(4)
    found = spans(noisy(street(1 if i < 50 else 9), rng) for i in range(150))
    assert all(end - begin <= 2.0 for begin, end in found)
    assert sum(end - begin for begin, end in found) <= 2.0


def test_a_car_is_found_soon_after_a_cut() -> None:
    rng, other = np.random.default_rng(4), street(9)

    def film() -> Iterator[Luma]:
        for i in range(100):
            if i < 50:
                yield noisy(street(1), rng)
            else:
                yield noisy(with_car(other, (i - 60) * 40.0) if i >= 60 else other, rng)

    assert any(12.0 <= begin <= 12.8 for begin, _ in spans(film()))


def test_a_car_that_parks_ends_its_motion_and_leaves_no_ghost_when_it_goes() -> None:
    rng, empty = np.random.default_rng(5), street()

    def left(at_s: float) -> float | None:
        if at_s < 5:
            return None
        if at_s < 8:
            return -110 + (at_s - 5) * 120
        if at_s < 30:
            return 250.0
        return 250 + (at_s - 30) * 120 if at_s < 34 else None

    def film() -> Iterator[Luma]:
        for i in range(45 * FPS):
            x = left(i / FPS)
            yield noisy(empty if x is None else with_car(empty, x), rng)

    found = spans(film())
    assert len(found) == 2
    (begin, end), (again, gone) = found
    assert 5.0 <= begin <= 6.0
    assert 7.4 <= end <= 9.0
    assert 30.0 <= again <= 30.8
    assert 33.0 <= gone <= 35.0


def test_a_car_in_view_at_the_start_is_seen_leaving_and_not_after() -> None:
    rng, empty = np.random.default_rng(6), street()

    def film() -> Iterator[Luma]:
        for i in range(30 * FPS):
            x = 200 + max(0.0, i / FPS - 4) * 150
            yield noisy(with_car(empty, x), rng)

    found = spans(film())
    assert len(found) == 1
    assert 4.0 <= found[0][0] <= 4.8
    assert 6.0 <= found[0][1] <= 8.0


def test_regions_lie_on_the_car() -> None:
    rng, empty, detector = np.random.default_rng(7), street(), MotionDetector()
    seen = Seen()
    for i, grid in enumerate(
        grids(noisy(with_car(empty, (i - 20) * 25.0) if i >= 20 else empty, rng) for i in range(35))
    ):
        seen = detector.look(grid)
        assert seen.moving == (i >= 21), i
    (region, *_) = regions_of(seen.boxes)
    middle = region.x + region.w / 2
    assert abs(middle - 1000 * ((34 - 20) * 25 + 55) / W) < 30
    assert 600 < region.y < 720
    assert 100 < region.h < 220
    assert 0.0 < seen.share < 0.1


def test_movement_that_pauses_briefly_is_one_event() -> None:
    episodes = Episodes()
    moving = Seen(boxes=((10, 10, 5, 5),), share=0.002)
    changes = [episodes.see(moving if i not in (3, 4) else Seen(), i * 0.2) for i in range(8)]
    assert isinstance(changes[0], Began)
    assert changes[1:] == [None] * 7


def test_motion_has_an_upper_bound() -> None:
    episodes, moving = Episodes(), Seen(boxes=((10, 10, 5, 5),), share=0.002)
    ends = [change for i in range(700) if isinstance(change := episodes.see(moving, i * 0.2), Ended)]
    assert len(ends) == 1
    assert ends[0].too_long
    assert ends[0].at_s == pytest.approx(LONGEST_S, abs=0.3)


def test_the_peak_and_its_regions_are_kept() -> None:
    episodes = Episodes()
    episodes.see(Seen(((0, 0, 16, 9),), 0.01), 0.0)
    episodes.see(Seen(((80, 45, 32, 18),), 0.04), 0.2)
    episodes.see(Seen(((150, 0, 8, 9),), 0.005), 0.4)
    ended = episodes.close()
    assert ended is not None
    assert (ended.peak, ended.at_s) == (0.04, 0.4)
    assert ended.regions[0].x == 500
    assert ended.regions[0].w == 200


@pytest.mark.parametrize("size", [(640, 360), (704, 576), (768, 432), (1920, 1080), (320, 240), (100, 60)])
def test_any_size_becomes_the_same_grid_with_the_same_means(size: tuple[int, int]) -> None:
    width, height = size
    ramp = np.broadcast_to(np.linspace(0, 255, width).astype(np.uint8), (height, width)).copy()
    grid = Reducer(width, height).reduce(ramp)
    assert grid.shape == (GRID_H, GRID_W)
    assert abs(float(grid.mean()) - float(ramp.mean())) < 1.5
    assert np.all(np.diff(grid.astype(int), axis=1) >= 0)


def test_padded_rows_are_not_picture() -> None:
    plane = bytes(np.hstack([np.full((H, W), 9, np.uint8), np.full((H, 64), 200, np.uint8)]))
    view = plane_view(plane, W + 64, W, H)
    assert view.shape == (H, W)
    assert int(view.max()) == 9
