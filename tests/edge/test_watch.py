"""The watch loop over files: rendered films with known passes, broken files, and the shared footage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.watch import UnreadableFile, watch_file
from tests.edge.films import noisy, passing, street, write
from wire.observations import Condition

FOOTAGE = Path(__file__).parents[3] / "shared/footage/car-detection.mp4"


def test_passes_are_found_at_their_seconds(tmp_path: Path) -> None:
    film = write(tmp_path / "film.mp4", passing(30, [(6, 10), (18, 21)]))
    report = watch_file(film)
    assert (report.file, report.frames) == ("film.mp4", 150)
    assert len(report.motion) == 2
    for span, (begin, end) in zip(report.motion, [(6, 10), (18, 21)], strict=True):
        assert begin <= span.begin_s <= begin + 0.8
        assert end - 0.8 <= span.end_s <= end + 0.4
        assert span.regions
        assert span.peak > 0.01
    assert report.health == ()


def test_a_film_at_25_a_second_gives_the_same(tmp_path: Path) -> None:
    film = write(
        tmp_path / "film.mp4", (p for p in passing(20, [(6, 10)]) for _ in range(5)), fps=25, key_every=50
    )
    (span,) = watch_file(film).motion
    assert 6 <= span.begin_s <= 6.8
    assert 9.2 <= span.end_s <= 10.4


def test_a_frozen_and_a_covered_film_are_told(tmp_path: Path) -> None:
    rng, empty = np.random.default_rng(1), street()
    alive = [noisy(empty, rng) for _ in range(100)]
    black = [noisy(np.full_like(empty, 12), rng) for _ in range(60)]
    film = write(tmp_path / "film.mp4", [*alive, *black, *alive])
    (covered,) = watch_file(film).health
    assert covered.condition == Condition.PICTURE_COVERED
    assert 24 <= covered.begin_s <= 26
    assert covered.end_s is not None
    assert 35 <= covered.end_s <= 37


@pytest.mark.parametrize("content", [b"", b"not a film at all" * 100, None])
def test_a_file_that_is_no_film_says_so(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "broken.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnreadableFile, match=r"broken\.mp4"):
        watch_file(path)


@pytest.mark.skipif(not FOOTAGE.exists(), reason="the footage isn't part of the repository")
def test_real_cars_are_motion_at_the_seconds_they_pass() -> None:
    """Seconds taken from the film by eye: bumper into the picture to shadow out of it."""
    seen_by_eye = [(4.32, 8.96), (14.32, 19.2), (25.12, 27.84)]
    found = [(span.begin_s, span.end_s) for span in watch_file(FOOTAGE).motion]
    assert len(found) == len(seen_by_eye)
    for (begin, end), (true_begin, true_end) in zip(found, seen_by_eye, strict=True):
        assert abs(begin - true_begin) <= 0.4
        assert abs(end - true_end) <= 0.4
