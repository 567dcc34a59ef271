"""The watch loop over a recorded file: what it saw, in the file's own seconds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import av

from edge.camera import CameraWatch, Moment
from edge.capture import DecodedPicture, prepare
from wire.observations import Condition, Motion, Observation, PointState, Region

_START = datetime(2000, 1, 1, tzinfo=UTC)
"""Stands for the file's first moment; only differences to it are reported."""


class UnreadableFile(ValueError):
    """The file is missing, or holds no video that can be decoded."""


@dataclass(frozen=True, slots=True)
class MotionSpan:
    """One event of motion, in seconds of the file."""

    begin_s: float
    end_s: float
    regions: tuple[Region, ...]
    """Where it was at its peak, in thousandths of the picture."""
    peak: float
    """Largest share of the picture in motion."""


@dataclass(frozen=True, slots=True)
class HealthSpan:
    """One picture fault; `end_s` None: it stood at the file's end."""

    condition: Condition
    begin_s: float
    end_s: float | None


@dataclass(frozen=True, slots=True)
class FileReport:
    """What watching a file found."""

    file: str
    seconds: float
    frames: int
    motion: tuple[MotionSpan, ...]
    health: tuple[HealthSpan, ...]


@dataclass(slots=True)
class _Findings:
    motion: list[MotionSpan] = field(default_factory=list)
    health: list[HealthSpan] = field(default_factory=list)
    began_s: float = 0.0

    def take(self, observations: list[Observation]) -> None:
        for observation in observations:
            at_s = round((observation.heard_at - _START).total_seconds(), 2)
            body = observation.body
            if isinstance(body, Motion):
                self._motion(body, at_s)
            elif isinstance(body, PointState):
                self._fault(body, at_s)

    def _motion(self, body: Motion, at_s: float) -> None:
        if body.active:
            self.began_s = at_s
        else:
            self.motion.append(MotionSpan(self.began_s, at_s, body.regions, body.peak))

    def _fault(self, body: PointState, at_s: float) -> None:
        if body.active:
            self.health.append(HealthSpan(body.condition, at_s, None))
            return
        self.health = [
            HealthSpan(fault.condition, fault.begin_s, at_s)
            if fault.condition == body.condition and fault.end_s is None
            else fault
            for fault in self.health
        ]


def watch_file(path: Path) -> FileReport:
    """Watches a film with the loop that watches cameras. Raises `UnreadableFile`."""
    names, findings, frames, now = count(1), _Findings(), 0, Moment(_START, 0.0)
    watch = CameraWatch(path.stem, now, lambda: str(next(names)))
    for picture in _pictures(path):
        now = Moment(_START + timedelta(seconds=picture.media_s), picture.media_s)
        findings.take(watch.picture(picture, now))
        frames += 1
    findings.take(watch.dropped(now))
    return FileReport(path.name, round(now.s, 2), frames, tuple(findings.motion), tuple(findings.health))


def _pictures(path: Path) -> Iterator[DecodedPicture]:
    if not path.is_file():
        raise UnreadableFile(f"{path}: no such file")
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise UnreadableFile(f"{path}: holds no video")
            for frame in container.decode(prepare(container.streams.video[0])):
                yield DecodedPicture(frame, frame.time or 0.0, None)
    except av.error.FFmpegError as error:
        raise UnreadableFile(f"{path}: {error.strerror}") from error
