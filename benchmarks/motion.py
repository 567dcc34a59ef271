"""Packets to moving boxes on a camera's substream: what watching costs over decoding, and how true it is.

Scenes with exact truth (`benchmarks.scenes`) are encoded as a camera's substream: H.264, 640x360, 5 pictures
a second, about 160 kbit/s. Cost: the same packets are decoded alone (the floor), decoded and watched, and
decoded and given to MOG2, in turn, on one core; the least of the repeats of each counts. Quality: what was
flagged against what was drawn, beside MOG2, KNN and plain differencing on the same frames.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import av
import cv2
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from benchmarks.scenes import FPS, HEIGHT, WIDTH, Box, Frame, Scene, all_scenes
from edge.capture import prepare
from edge.luma import GRID_H, GRID_W, Luma, Reducer, plane_view
from edge.motion import MotionDetector

SETTLE_S = 6.0
"""Every method is given so long to learn a scene before it is judged."""

MOG2_REPEATS = 2
"""It is several times dearer: the run's time is better spent on the floor and on ours."""

Boxes: TypeAlias = list[tuple[float, float, float, float]]
"""Left, top, right, bottom in pixels."""
Method: TypeAlias = Callable[[Luma], Boxes]


class Ours:
    """The product's own path from luma to boxes."""

    def __init__(self) -> None:
        self._reducer = Reducer(WIDTH, HEIGHT)
        self._detector = MotionDetector()

    def __call__(self, luma: Luma) -> Boxes:
        seen = self._detector.look(self._reducer.reduce(luma))
        across, down = WIDTH / GRID_W, HEIGHT / GRID_H
        return [(x * across, y * down, (x + w) * across, (y + h) * down) for x, y, w, h in seen.boxes]


class Subtractor:
    """A background subtractor of OpenCV's at full size, as it is commonly used: open, then contours."""

    def __init__(self, subtractor: Any) -> None:
        self._subtractor = subtractor
        self._kernel = np.ones((3, 3), np.uint8)

    def __call__(self, luma: Luma) -> Boxes:
        mask = self._subtractor.apply(luma)
        return _contour_boxes(cv2.morphologyEx(cv2.inRange(mask, 200, 255), cv2.MORPH_OPEN, self._kernel))


class Differencing:
    """The difference of two pictures on end, blurred and cut at 25 grey levels."""

    def __init__(self) -> None:
        self._before: NDArray[np.uint8] | None = None

    def __call__(self, luma: Luma) -> Boxes:
        now = np.asarray(cv2.GaussianBlur(luma, (5, 5), 0), np.uint8)
        before, self._before = self._before, now
        if before is None:
            return []
        differs = np.asarray(cv2.absdiff(now, before))
        return _contour_boxes(cv2.dilate(cv2.inRange(differs, 25, 255), np.ones((3, 3), np.uint8)))


def _contour_boxes(mask: Any) -> Boxes:
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    found = []
    for outline in outlines:
        if cv2.contourArea(outline) >= 150:
            x, y, w, h = cv2.boundingRect(outline)
            found.append((float(x), float(y), float(x + w), float(y + h)))
    return found


METHODS: dict[str, Callable[[], Method]] = {
    "ours": Ours,
    "mog2": lambda: Subtractor(cv2.createBackgroundSubtractorMOG2()),
    "knn": lambda: Subtractor(cv2.createBackgroundSubtractorKNN()),
    "differencing": Differencing,
}


@dataclass(slots=True)
class Quality:
    """Counts of one method over scenes; frames after settling, those with an unsure truth left out."""

    hits: int = 0
    misses: int = 0
    false: int = 0
    free: int = 0
    delays_s: list[float | None] = field(default_factory=list)
    """One for each event; None: never seen."""

    def add(self, other: Quality) -> None:
        """Takes another's counts in."""
        self.hits += other.hits
        self.misses += other.misses
        self.false += other.false
        self.free += other.free
        self.delays_s += other.delays_s

    def figures(self) -> dict[str, float]:
        """Rates; a delay of an event never seen counts as endless."""
        delays = sorted(float("inf") if d is None else d for d in self.delays_s)
        seen = sum(d is not None for d in self.delays_s)
        p90 = delays[min(len(delays) - 1, int(0.9 * len(delays)))]
        return {
            "recall": round(seen / len(delays), 4),
            "f1": round(2 * self.hits / (2 * self.hits + self.false + self.misses), 4),
            "false_time": round(self.false / self.free, 4),
            "delay_p90_s": round(min(p90, 999.0), 3),
        }


@dataclass(frozen=True, slots=True)
class Film:
    """A scene as a camera would send it, and its truth."""

    name: str
    encoded: bytes
    truth: list[tuple[tuple[Box, ...], bool]]


def encode(frames: Iterator[Luma], width: int, height: int, fps: int, bit_rate: int, key_every: int) -> bytes:
    """H.264 as cameras make it: no B-frames, steady bit rate. In memory, as Matroska."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.bit_rate, stream.gop_size = bit_rate, key_every
        stream.options = {
            "preset": "veryfast",
            "tune": "zerolatency",
            "sc_threshold": "0",  # cameras keep to their key-frame interval whatever they see
            "maxrate": str(bit_rate),
            "bufsize": str(2 * bit_rate),
        }
        for luma in frames:
            frame = av.VideoFrame.from_ndarray(luma, format="gray").reformat(format="yuv420p")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return buffer.getvalue()


def make_film(scene: Scene) -> Film:
    """Draws and encodes a scene."""
    frames: list[Frame] = list(scene.frames())
    encoded = encode((f.luma for f in frames), WIDTH, HEIGHT, FPS, 160_000, 2 * FPS)
    return Film(scene.name, encoded, [(f.boxes, f.unsure) for f in frames])


def plain(stream: VideoStream) -> VideoStream:
    """The decoder as it comes, in one thread."""
    stream.thread_type = "NONE"
    stream.codec_context.thread_count = 1
    return stream


def frames_of(
    encoded: bytes, set_up: Callable[[VideoStream], VideoStream] = prepare
) -> Iterator[av.VideoFrame]:
    """Demux and decode; with the product's own set-up unless told otherwise."""
    with av.open(io.BytesIO(encoded), "r") as container:
        for packet in container.demux(set_up(container.streams.video[0])):
            yield from packet.decode()


def pictures(encoded: bytes) -> Iterator[Luma]:
    """Each decoded picture's luma without copying."""
    for frame in frames_of(encoded):
        plane = frame.planes[0]
        yield plane_view(plane, plane.line_size, frame.width, frame.height)


def judge(film: Film, method: Method, quality: Quality) -> None:
    """Runs a method over a film and counts."""
    event: list[float | None] | None = None
    for index, luma in enumerate(pictures(film.encoded)):
        found = method(luma)
        if index < SETTLE_S * FPS:
            continue
        boxes, unsure = film.truth[index]
        if not boxes:
            _close(event, quality)
            event = None
            quality.free += not unsure
            quality.false += bool(found) and not unsure
            continue
        hit = any(_meet(a, b) for a in found for b in boxes)
        quality.hits += hit
        quality.misses += not hit
        event = event or [index / FPS, None]
        if hit and event[1] is None and event[0] is not None:
            event[1] = index / FPS - event[0]
    _close(event, quality)


def _close(event: list[float | None] | None, quality: Quality) -> None:
    if event is not None:
        quality.delays_s.append(event[1])


def _meet(a: Box, b: Box) -> bool:
    return min(a[2], b[2]) > max(a[0], b[0]) and min(a[3], b[3]) > max(a[1], b[1])


def cpu_s(work: Callable[[], None]) -> float:
    """CPU time of this thread for one piece of work."""
    began = time.thread_time()
    work()
    return time.thread_time() - began


def decode_only(encoded: bytes) -> None:
    """The floor: not even a look at the luma."""
    for _ in frames_of(encoded, plain):
        pass


def own_decode_only(encoded: bytes) -> None:
    """The floor with the product's own decoder settings, which leave out some of the deblocking."""
    for _ in frames_of(encoded):
        pass


def decode_and(encoded: bytes, make: Callable[[], Method]) -> None:
    """Packets to boxes."""
    method = make()
    for luma in pictures(encoded):
        method(luma)


def costs(films: list[Film], repeats: int) -> dict[str, list[float]]:
    """CPU seconds over all films, one figure a repeat and way; the ways take turns film by film."""
    ways: dict[str, Callable[[bytes], None]] = {
        "floor": decode_only,
        "own_decode": own_decode_only,
        "ours": lambda encoded: decode_and(encoded, METHODS["ours"]),
        "mog2": lambda encoded: decode_and(encoded, METHODS["mog2"]),
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for repeat in range(repeats):
        if repeat == MOG2_REPEATS:
            del ways["mog2"]
        total = dict.fromkeys(ways, 0.0)
        for film in films:
            for name, way in ways.items():
                total[name] += cpu_s(lambda way=way, film=film: way(film.encoded))  # type: ignore[misc]
        for name, seconds in total.items():
            taken[name].append(seconds)
    return taken


def main_stream_s(scene: Scene, seconds: int, repeats: int) -> float:
    """CPU seconds to decode one second of the same kind of scene as a 1080p main stream: 25/s, 4 Mbit/s."""

    def large() -> Iterator[Luma]:
        rng = np.random.default_rng(1)
        grain = rng.normal(0, 2, (1208, 2048)).astype(np.float32)
        for frame in scene.frames():
            big = cv2.resize(frame.luma, (1920, 1080), interpolation=cv2.INTER_CUBIC)
            for _ in range(25 // FPS):
                y, x = rng.integers(0, 128, 2)
                yield np.clip(big + grain[y : y + 1080, x : x + 1920], 0, 255).astype(np.uint8)

    encoded = encode(_first(large(), 25 * seconds), 1920, 1080, 25, 4_000_000, 50)
    return min(cpu_s(lambda: decode_only(encoded)) for _ in range(repeats)) / seconds


def _first(frames: Iterator[Luma], count: int) -> Iterator[Luma]:
    for _, frame in zip(range(count), frames, strict=False):
        yield frame


def pin() -> int | None:
    """Keeps this process on one core, where the system lets it."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    return core


def main() -> None:
    """Prints the claim's figures as one JSON object, last."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--repeats", type=int, default=4)
    arguments.add_argument("--seed", type=int, default=0, help="added to each scene's own")
    options = arguments.parse_args()
    core = pin()
    films = [make_film(scene) for scene in all_scenes(options.seed)]
    print(f"{len(films)} scenes drawn and encoded", flush=True)
    taken = costs(films, options.repeats)
    quality, by_scene = qualities(films)
    crossing = Scene("main", 40 + options.seed, seconds=20.0)
    main_s = main_stream_s(crossing, 3, options.repeats)
    stream_s = sum(len(film.truth) for film in films) / FPS
    print(json.dumps(result(taken, quality, by_scene, main_s, stream_s, core, films)))


def qualities(films: list[Film]) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, float]]]:
    """Quality by method over all films, and ours film by film."""
    overall, by_scene = {}, {}
    for name, make in METHODS.items():
        total = Quality()
        for film in films:
            alone = Quality()
            judge(film, make(), alone)
            total.add(alone)
            if name == "ours":
                by_scene[film.name] = alone.figures()
        overall[name] = total.figures()
    return overall, by_scene


def result(
    taken: dict[str, list[float]],
    quality: dict[str, dict[str, float]],
    by_scene: dict[str, dict[str, float]],
    main_s: float,
    stream_s: float,
    core: int | None,
    films: list[Film],
) -> dict[str, Any]:
    """The claim, its floor and its baselines."""
    least = {name: min(seconds) / stream_s for name, seconds in taken.items()}
    ratios = sorted(ours / floor for ours, floor in zip(taken["ours"], taken["floor"], strict=True))
    figures = {
        "cost_over_floor": round(least["ours"] / least["floor"], 3),
        "cost_over_own_decode": round(least["ours"] / least["own_decode"], 3),
        "cost_over_floor_median": round(ratios[len(ratios) // 2], 3),
        "streams_per_core": round(1.0 / least["ours"], 1),
        "over_mog2": round(least["mog2"] / least["ours"], 2),
        "over_main_decode": round(main_s / least["ours"], 2),
        **quality["ours"],
    }
    return {
        "name": "motion",
        "figures": figures,
        "baseline": {
            "floor_ms_per_stream_s": round(least["floor"] * 1e3, 3),
            "own_decode_ms_per_stream_s": round(least["own_decode"] * 1e3, 3),
            "ours_ms_per_stream_s": round(least["ours"] * 1e3, 3),
            "mog2_ms_per_stream_s": round(least["mog2"] * 1e3, 3),
            "main_decode_ms_per_stream_s": round(main_s * 1e3, 3),
            **{name: q for name, q in quality.items() if name != "ours"},
        },
        "ratio": figures["cost_over_floor"],
        "conditions": {
            "stream": f"H.264 {WIDTH}x{HEIGHT}, {FPS}/s, 160 kbit/s, key frame every 2 s",
            "kbit_s": round(sum(len(f.encoded) for f in films) * 8 / stream_s / 1000),
            "scenes": by_scene,
            "stream_s": stream_s,
            "repeats": len(taken["ours"]),
            "pinned_core": core,
            "cpu": platform.processor() or platform.machine(),
            "av": av.__version__,
            "opencv": cv2.__version__,
        },
    }


if __name__ == "__main__":
    main()
