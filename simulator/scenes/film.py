"""Any film as a camera's material: resampled to a steady rate, its own timing and length kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream

from simulator.scenes.reel import Encoding, ReelWriter

MAX_WIDTH_PX, MAX_HEIGHT_PX = 1920, 1080
SUB_WIDTH_PX, SUB_FPS = 640, 5
MIN_FPS, MAX_FPS = 5, 30


@dataclass(frozen=True)
class Shape:
    """What a film turns into."""

    main: Encoding
    sub: Encoding
    frames: int
    """How many frames the film says it has; 0 where it doesn't say."""


def shape_of(film: Path) -> Shape:
    """Raises ValueError, naming the file, where it can't be read or holds no picture."""
    try:
        with av.open(str(film)) as container:
            if not container.streams.video:
                raise ValueError(f"{film}: holds no video stream")
            return _shape(container.streams.video[0])
    except av.FFmpegError as error:
        raise ValueError(f"{film}: not a film that can be read ({error})") from error


def _shape(stream: VideoStream) -> Shape:
    share = min(1.0, MAX_WIDTH_PX / stream.width, MAX_HEIGHT_PX / stream.height)
    width, height = _even(stream.width * share), _even(stream.height * share)
    fps = min(max(round(float(stream.average_rate or 25)), MIN_FPS), MAX_FPS)
    sub_width = min(SUB_WIDTH_PX, width)
    sub = Encoding(sub_width, _even(height * sub_width / width), SUB_FPS, SUB_FPS * 2, 300, 24, "veryfast")
    return Shape(Encoding(width, height, fps, fps * 2, 4000, 23), sub, stream.frames)


def _even(value: float) -> int:
    return max(2, round(value / 2) * 2)


def transcode(film: Path, main: Path, sub: Path, progress: Callable[[int, int], None]) -> Shape:
    """Writes the film's two reels; `progress(done, of)` in frames of the film. Raises as shape_of."""
    shape = shape_of(film)
    with ReelWriter(main, shape.main) as main_writer, ReelWriter(sub, shape.sub) as sub_writer:
        length_s = _resample(film, shape, main_writer, sub_writer, progress)
        for writer in (main_writer, sub_writer):
            writer.close([(0.0, length_s, 1)], length_s)
    return shape


def _resample(
    film: Path, shape: Shape, main: ReelWriter, sub: ReelWriter, progress: Callable[[int, int], None]
) -> float:
    """Gives each writer, at each tick, the frame that the film shows then. Returns the length in seconds."""
    ticks = [(main, shape.main, 0), (sub, shape.sub, 0)]
    until = Fraction(0)
    done = 0
    for frame, until in _shown(film, Fraction(1, shape.main.fps)):
        ticks = [
            (writer, encoding, _fill(writer, encoding, frame, tick, until))
            for writer, encoding, tick in ticks
        ]
        done += 1
        progress(done, shape.frames)
    if not done:
        raise ValueError(f"{film}: not one frame could be decoded")
    return float(until)


def _fill(writer: ReelWriter, encoding: Encoding, frame: av.VideoFrame, tick: int, until: Fraction) -> int:
    """Adds the frame at every tick before `until`; returns the next tick."""
    while Fraction(tick, encoding.fps) < until:
        scaled = frame.reformat(encoding.width_px, encoding.height_px, "yuv420p")
        writer.add(np.asarray(scaled.to_ndarray(), np.uint8))
        tick += 1
    return tick


def _shown(film: Path, last_for: Fraction) -> Iterator[tuple[av.VideoFrame, Fraction]]:
    """Each frame with the instant until which it is shown, in seconds from the film's first frame."""
    with av.open(str(film)) as container:
        held: av.VideoFrame | None = None
        first = at = Fraction(0)
        for frame in container.decode(video=0):
            if frame.pts is None or frame.time_base is None:
                continue
            now = frame.pts * frame.time_base
            if held is None:
                first = now
            else:
                yield held, now - first
            held, at = frame, now
        if held is not None:
            yield held, at - first + last_for
