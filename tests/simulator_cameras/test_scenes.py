"""What is drawn: the truth about movement against the pixels, plates, films, reels."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from simulator.cameras import CameraSpec, Programme, readable_film, schedule
from simulator.scenes import jobs, plates
from simulator.scenes.reel import Encoding, Reel, ReelWriter
from simulator.scenes.street import Street, light_at
from simulator.scenes.traffic import SCENES, passages

PROGRAMME = Programme(traffic_s=20, quiet_s=2, quiet_repeats=3)


def spec(scene: str, seed: int, film: Path | None = None) -> CameraSpec:
    return CameraSpec("c-01", "", 0, 0, 0, scene, seed, film, "", "")


def changed_share(street: Street, at_s: float) -> float:
    """The share of the picture that differs from the empty street in its present light."""
    shown = street.frame(at_s).y.astype(float)
    empty = street._empty.y.astype(float) * light_at(at_s, street.programme)
    return float((np.abs(shown - empty) > 14).mean())


@pytest.mark.parametrize("scene", sorted(SCENES))
def test_the_schedule_is_what_the_pixels_show(scene: str) -> None:
    """Half a second from any edge the picture agrees with the schedule."""
    street = Street(scene, 3, PROGRAMME, "C-01")
    spans = schedule(spec(scene, 3), PROGRAMME)
    assert spans
    for at_s in np.arange(0, PROGRAMME.rendered_s, 0.4).tolist():
        if any(abs(at_s - edge) < 0.5 for span in spans for edge in span):
            continue
        moving = any(begin < at_s < end for begin, end in spans)
        share = changed_share(street, at_s)
        assert (share > 0.0005) == moving, (at_s, share, spans)


def test_the_schedule_is_the_same_every_time_and_another_for_another_seed() -> None:
    first = schedule(spec("street", 1), PROGRAMME)
    assert first == schedule(spec("street", 1), PROGRAMME)
    assert first != schedule(spec("street", 2), PROGRAMME)


@pytest.mark.parametrize("scene", sorted(SCENES))
def test_every_seed_has_traffic_and_its_vehicles_plates(scene: str) -> None:
    for seed in range(6):
        movers = passages(scene, seed, Programme())
        assert movers
        assert all(bool(mover.plate) == mover.kind.plated for mover in movers)
        assert all(
            len(plate) == 7 and plate[0] in plates.PROVINCES for mover in movers if (plate := mover.plate)
        )


def test_light_joins_without_a_step() -> None:
    for at_s in (0.0, 20.0, 21.999):
        assert light_at(at_s, PROGRAMME) == pytest.approx(1.0, abs=0.001)


@pytest.mark.parametrize(("traffic", "quiet", "repeats"), [(5, 2, 1), (6, 0, 1), (6, 2, 0)])
def test_a_programme_that_cannot_be_joined_is_refused(traffic: int, quiet: int, repeats: int) -> None:
    with pytest.raises(ValueError, match=r"traffic_s|quiet_s|quiet_repeats"):
        Programme(traffic, quiet, repeats)


def test_plates_differ_and_bear_white_on_blue() -> None:
    one, other = plates.plate("苏C12345"), plates.plate("皖A12345")
    assert (one != other).any()
    blue, white = (one == plates.BLUE_BGR).all(axis=2).mean(), (one > 200).all(axis=2).mean()
    assert blue > 0.5
    assert 0.1 < white < 0.4


def grey(luma: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    frame = np.full((48 * 3 // 2, 64), 128, np.uint8)
    frame[:48] = luma
    return frame


def test_a_reel_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    encoding = Encoding(64, 48, 5, 10)
    with pytest.raises(RuntimeError), ReelWriter(tmp_path / "broken", encoding) as writer:
        writer.add(grey(80))
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with ReelWriter(tmp_path / "whole", encoding) as writer:
        for _ in range(20):
            writer.add(grey(80))
        writer.close([(0.0, 2.0, 1), (2.0, 4.0, 3)], 8.0)
    reel = Reel.load(tmp_path / "whole")
    assert [unit[3] for unit in reel.units if unit[2]] == [0, 2_000_000]
    assert [reel.material_us(at) for at in (1, 2.5, 4.5, 6.5, 9.0)] == [
        1_000_000, 2_500_000, 2_500_000, 2_500_000, 1_000_000,
    ]  # fmt: skip
    (tmp_path / "whole.h264").write_bytes(b"short")
    with pytest.raises(ValueError, match="belong together"):
        Reel.load(tmp_path / "whole")


def film(path: Path) -> None:
    """Three seconds whose pictures come at uneven times; each picture's luma tells its second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"bf": "2"})
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for at_ms in (0, 100, 200, 1000, 1100, 2000, 2100, 2900):
            frame = av.VideoFrame(320, 180, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes([128]) * plane.buffer_size)
            frame.planes[0].update(bytes([40 + 60 * (at_ms // 1000)]) * frame.planes[0].buffer_size)
            frame.pts = at_ms
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def lumas(reel: Reel) -> list[tuple[float, float]]:
    """(second, luma) of each decoded frame; each unit must give its frame at once: no B-frames."""
    decoder = av.CodecContext.create("h264", "r")
    data = reel.stem.with_suffix(".h264").read_bytes()
    seen = []
    for offset, size, _, at_us in reel.units:
        (frame,) = decoder.decode(av.Packet(data[offset : offset + size]))
        seen.append((at_us / 1e6, float(frame.to_ndarray(format="gray").mean())))
    return seen


def test_a_film_keeps_its_timing_and_length(tmp_path: Path) -> None:
    source = tmp_path / "film.mp4"
    film(source)
    job = jobs.FilmJob.of(source)
    job.run(tmp_path, lambda _done, _of: None)
    assert jobs.finished(tmp_path, job)
    for stem in jobs.stems(tmp_path, job.key):
        reel = Reel.load(stem)
        assert reel.length_s == pytest.approx(3.0, abs=0.11)
        for at_s, luma in lumas(reel):
            assert luma == pytest.approx(40 + 60 * min(int(at_s + 0.001), 2), abs=14), at_s
    assert schedule(spec("street", 1, film=source), PROGRAMME) == []


@pytest.mark.parametrize("content", [b"", b"no film at all" * 100])
def test_what_is_no_film_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "holiday.mp4"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"holiday\.mp4"):
        readable_film(path)
    with pytest.raises(FileNotFoundError, match="none"):
        readable_film(tmp_path / "none.mp4")
