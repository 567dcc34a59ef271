"""A worker process: watches its share of the cameras. Told which by lines on stdin; answers on stdout.

A camera's thread mostly waits in FFmpeg's blocking read, outside Python's lock. Its packets are decoded and
looked at in that same thread, never handed on, and by one thread at a time (`_core`): a process is made for
one core, and threads that compete for it would only slow each other down. It ends when its stdin does.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import uuid
from collections.abc import Iterable
from typing import BinaryIO

import msgspec

from edge.camera import CameraWatch, Moment
from edge.capture import RtspStream, StreamError, StreamFigures, public_address
from edge.channel import Assign, EdgeFigures, FromWorker, Report, Said
from edge.plates import PlateStage
from wire import journal
from wire.clock import utc_now
from wire.link import Backoff
from wire.observations import Observation
from wire.work import Camera

TICK_S = 0.5
FIGURES_S = 10.0

_core = threading.Lock()
"""Held while decoding and looking."""


class Mouth:
    """Writes lines to the parent; any thread."""

    def __init__(self, pipe: BinaryIO) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()
        self._encoder = msgspec.json.Encoder()

    def say(self, message: FromWorker) -> None:
        """Sends one message. The parent's end being closed ends the process: nobody is left to work for."""
        line = self._encoder.encode(message) + b"\n"
        try:
            with self._lock:
                self._pipe.write(line)
                self._pipe.flush()
        except (BrokenPipeError, ValueError):
            os._exit(0)

    def report(self, observations: Iterable[Observation]) -> None:
        """Sends observations, if any."""
        seen = tuple(observations)
        if seen:
            self.say(Report(observations=seen))

    def log(self, level: str, event: str, **fields: object) -> None:
        """Sends a line for the log."""
        self.say(Said(level=level, event=event, fields={key: str(value) for key, value in fields.items()}))


class Watcher:
    """One camera's thread: connects, reads, looks, and connects again."""

    def __init__(self, camera: Camera, mouth: Mouth, plates: PlateStage | None = None) -> None:
        self.camera = camera
        self.reconnects = 0
        self._past = StreamFigures()
        self._stream = self._new_stream()
        self._mouth = mouth
        self._watch = CameraWatch(camera.id, moment(), lambda: uuid.uuid4().hex[:16], plates=plates)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"camera-{camera.id}", daemon=True)

    def start(self) -> None:
        """Begins watching."""
        self._thread.start()

    def stop(self) -> None:
        """Stops watching without waiting for a read that blocks; closes what is open."""
        self._stop.set()
        with self._lock:
            self._mouth.report(self._watch.dropped(moment()))

    def tick(self) -> None:
        """Lets the watch notice silence."""
        with self._lock:
            self._report(self._watch.tick(moment()))

    @property
    def up(self) -> bool:
        return self._watch.up

    def figures(self) -> StreamFigures:
        """Of all connections so far."""
        return _sum(self._past, self._stream.figures)

    def _new_stream(self) -> RtspStream:
        camera = self.camera
        return RtspStream(camera.rtsp_sub or camera.rtsp_main, camera.user, camera.password)

    def _report(self, observations: list[Observation]) -> None:
        if not self._stop.is_set():
            self._mouth.report(observations)

    def _alive(self) -> bool:
        return not self._stop.is_set()

    def _run(self) -> None:
        backoff = Backoff()
        while self._alive():
            reason = self._session(backoff)
            if not self._alive():
                return
            with self._lock:
                self._report(self._watch.ended(reason, moment()))
            self._mouth.log("warning", "camera link down", camera=self.camera.id, reason=reason)
            self._stop.wait(backoff.delay_s())
            self.reconnects += 1

    def _session(self, backoff: Backoff) -> str:
        """One connection from start to end; returns why it ended."""
        self._past = _sum(self._past, self._stream.figures)
        self._stream = self._new_stream()
        try:
            for picture in self._stream.pictures(self._alive, utc_now, _core):
                with self._lock:
                    self._report(self._watch.picture(picture, moment()))
                backoff.succeeded()
        except StreamError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 - one camera's supervision loop: whatever it does, others go on
            self._mouth.log("error", "camera failed", camera=self.camera.id, kind=type(error).__name__)
            return f"internal: {type(error).__name__}"
        return "stopped"


class Worker:
    """All watchers of this process."""

    def __init__(self, mouth: Mouth) -> None:
        self._mouth = mouth
        self._watchers: dict[str, Watcher] = {}
        self._lock = threading.Lock()

    def assign(self, cameras: tuple[Camera, ...]) -> None:
        """Watches exactly `cameras`: starts new ones, stops gone ones, restarts changed ones."""
        wanted = {camera.id: camera for camera in cameras}
        with self._lock:
            for name in [n for n, w in self._watchers.items() if wanted.get(n) != w.camera]:
                self._watchers.pop(name).stop()
            for name, camera in wanted.items():
                if name not in self._watchers:
                    self._start(camera)

    def _start(self, camera: Camera) -> None:
        self._mouth.log(
            "info", "watching", camera=camera.id, address=public_address(camera.rtsp_sub or camera.rtsp_main)
        )
        self._watchers[camera.id] = Watcher(camera, self._mouth)
        self._watchers[camera.id].start()

    def tick(self) -> None:
        """Lets every watch notice silence."""
        with self._lock:
            for watcher in self._watchers.values():
                watcher.tick()

    def figures(self) -> EdgeFigures:
        """Sums over the cameras watched now."""
        with self._lock:
            watchers = list(self._watchers.values())
        total = StreamFigures()
        for watcher in watchers:
            total = _sum(total, watcher.figures())
        return EdgeFigures(
            cameras=len(watchers),
            up=sum(watcher.up for watcher in watchers),
            packets=total.packets,
            frames=total.frames,
            undecodable=total.undecodable,
            dropped=total.dropped,
            reconnects=sum(watcher.reconnects for watcher in watchers),
        )

    def run_clock(self) -> None:
        """Ticks for ever."""
        told_s = time.monotonic()
        while True:
            time.sleep(TICK_S)
            self.tick()
            if time.monotonic() - told_s >= FIGURES_S:
                told_s = time.monotonic()
                self._mouth.say(self.figures())


def moment() -> Moment:
    """Now."""
    return Moment(utc_now(), time.monotonic())


def _sum(a: StreamFigures, b: StreamFigures) -> StreamFigures:
    return StreamFigures(
        a.packets + b.packets, a.frames + b.frames, a.undecodable + b.undecodable, a.dropped + b.dropped
    )


def _own_pipe() -> BinaryIO:
    """Takes stdout for the channel alone; whatever else prints there goes to stderr."""
    pipe = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return pipe


def main() -> None:
    """Runs until stdin ends."""
    journal.configure("edge-worker")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides; it closes stdin
    mouth = Mouth(_own_pipe())
    worker = Worker(mouth)
    threading.Thread(target=worker.run_clock, name="clock", daemon=True).start()
    decoder = msgspec.json.Decoder(Assign)
    for line in sys.stdin.buffer:
        worker.assign(decoder.decode(line).cameras)
    worker.assign(())
    # FFmpeg's blocking reads would hold up an orderly exit; all that matters has been said.
    os._exit(0)


if __name__ == "__main__":
    main()
