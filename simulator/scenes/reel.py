"""A reel: one H.264 stream in the cache as access units in a file, and an index of them.

`{name}.h264` holds the units one behind the other (Annex B, each key frame with its SPS and PPS);
`{name}.json` says where each begins, when it is shown and in which order the clips are played. The RTSP
server process, which may import nothing of ours, reads the same two files.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Clip = tuple[float, float, int]


@dataclass(frozen=True)
class Encoding:
    """How a stream is encoded. Constrained Baseline, no B-frames: every viewer can take it as it is."""

    width_px: int
    height_px: int
    fps: int
    key_every: int
    """Frames from one key frame to the next."""
    kbit_s: int | None = None
    """Upper bound of the rate; None: by quality alone."""
    quality: int = 27
    """x264's crf: less is better."""
    preset: str = "superfast"

    def codec(self) -> VideoCodecContext:
        """A fresh encoder, one thread, zero frames of delay."""
        codec = av.CodecContext.create("libx264", "w")
        if not isinstance(codec, VideoCodecContext):
            raise TypeError("libx264 is not a video encoder")
        codec.width, codec.height, codec.pix_fmt = self.width_px, self.height_px, "yuv420p"
        codec.framerate = Fraction(self.fps)
        codec.gop_size, codec.max_b_frames, codec.thread_count = self.key_every, 0, 1
        codec.options = self._options()
        return codec

    def _options(self) -> dict[str, str]:
        x264 = (
            f"keyint={self.key_every}:min-keyint={self.key_every}:scenecut=0:rc-lookahead=0:sync-lookahead=0"
        )
        options = {"preset": self.preset, "profile": "baseline", "bf": "0", "crf": str(self.quality)}
        if self.kbit_s is not None:
            x264 += f":vbv-maxrate={self.kbit_s}:vbv-bufsize={self.kbit_s * 2}"
        return options | {"x264-params": x264}


class ReelWriter:
    """Encodes frames one by one; `close` makes the reel appear in the cache, whole or not at all."""

    def __init__(self, stem: Path, encoding: Encoding) -> None:
        self._stem, self._encoding = stem, encoding
        self._codec = encoding.codec()
        self._part = stem.with_suffix(f".{os.getpid()}.part")
        self._file = self._part.open("wb")
        self._units: list[tuple[int, int, int, int]] = []
        self._offset = 0
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._part.unlink(missing_ok=True)

    def add(self, i420: Image) -> None:
        """One frame (height * 3 / 2, width)."""
        frame = av.VideoFrame.from_ndarray(i420, format="yuv420p")
        frame.pts = self._count
        self._count += 1
        self._write(self._codec.encode(frame))

    def close(self, clips: Sequence[Clip], length_s: float) -> None:
        """Ends the reel. `clips` are stretches (begin, end, times) of the material, in the order shown."""
        self._write(self._codec.encode(None))
        self._file.close()
        self._part.replace(self._stem.with_suffix(".h264"))
        part = self._part.with_suffix(".json")
        part.write_text(json.dumps(self._index(clips, length_s)))
        part.replace(self._stem.with_suffix(".json"))

    def _write(self, packets: list[av.Packet[VideoStream]]) -> None:
        for packet in packets:
            data = bytes(packet)
            if packet.pts is None:
                raise ValueError("the encoder gave a packet without its time")
            at_us = packet.pts * 1_000_000 // self._encoding.fps
            self._file.write(data)
            self._units.append((self._offset, len(data), int(packet.is_keyframe), at_us))
            self._offset += len(data)

    def _index(self, clips: Sequence[Clip], length_s: float) -> dict[str, object]:
        return {
            "width": self._encoding.width_px,
            "height": self._encoding.height_px,
            "fps": self._encoding.fps,
            "length_us": round(length_s * 1_000_000),
            "clips_us": [[round(a * 1_000_000), round(b * 1_000_000), n] for a, b, n in clips],
            "units": self._units,
        }


@dataclass(frozen=True)
class Reel:
    """A finished reel, read back."""

    stem: Path
    width_px: int
    height_px: int
    fps: int
    length_s: float
    clips_us: tuple[tuple[int, int, int], ...]
    units: tuple[tuple[int, int, int, int], ...]
    """(offset, size, is key frame, time in µs of the rendered material)."""

    @classmethod
    def load(cls, stem: Path) -> Reel:
        """Raises FileNotFoundError where it was never rendered, ValueError where the index is damaged."""
        index = json.loads(stem.with_suffix(".json").read_text())
        clips = tuple((int(a), int(b), int(n)) for a, b, n in index["clips_us"])
        units = tuple((int(a), int(b), int(c), int(d)) for a, b, c, d in index["units"])
        size = stem.with_suffix(".h264").stat().st_size
        if not units or units[-1][0] + units[-1][1] != size:
            raise ValueError(f"{stem}: its index and its data don't belong together")
        return cls(
            stem, index["width"], index["height"], index["fps"], index["length_us"] / 1e6, clips, units
        )

    def material_us(self, position_s: float) -> int:
        """Which microsecond of the rendered material is shown at that second of the programme."""
        left = int(position_s % self.length_s * 1_000_000)
        for begin, end, times in self.clips_us:
            span = (end - begin) * times
            if left < span:
                return begin + left % (end - begin)
            left -= span
        return self.clips_us[-1][1] - 1

    def key_frame(self, position_s: float) -> bytes:
        """The latest key frame shown at or before that second of the programme."""
        at_us = self.material_us(position_s)
        keys = [unit for unit in self.units if unit[2] and unit[3] <= at_us]
        offset, size, _, _ = keys[-1]
        with self.stem.with_suffix(".h264").open("rb") as file:
            file.seek(offset)
            return file.read(size)


def exists(stem: Path) -> bool:
    """Whether the cache holds that reel, whole."""
    try:
        Reel.load(stem)
    except (OSError, ValueError, KeyError):
        return False
    return True
