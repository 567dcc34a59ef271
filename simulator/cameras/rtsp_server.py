"""The RTSP side of all simulated cameras: one process, run by Debian's /usr/bin/python3 with GStreamer.

It imports nothing of ours. Its parent writes JSON lines to its standard input and reads JSON lines from its
standard output; when the input ends, it ends.

    in:  {"do": "serve", "id", "host", "port" (0: any), "user", "password"}: listens, has nothing to show yet
         {"do": "show", "id", "offset_s", "streams": {"main": {"reel": STEM, "covered": STEM}, "sub": …}}
         {"do": "set", "id", "state": "covered" | "frozen" | "stalled" | "cut", "on": true | false}
    out: {"said": "listening", "id", "port"}, {"said": "refused", "id", "reason"}

Nothing is encoded here: stored access units are handed to the payloader when they are due. Where in its
programme a camera stands follows from the machine's monotonic clock alone, so that a server that was killed
comes back at the right place, and main and sub show the same instant.
"""

from __future__ import annotations

import json
import mmap
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

Due = tuple[float, bytes]

FROZEN_EVERY_S = 0.2
LATE_S = 2.0
"""A feed that has fallen back so far (the machine slept) jumps to the present."""
BACKLOG_BYTES = 4_000_000
"""What a client may leave unread before pictures are left out."""
ATTACH_AGAIN_MS = 1000
MAX_CLIENTS = 16
ROLE = "viewer"
LAUNCH = (
    "( appsrc name=units is-live=true format=time block=false max-bytes=0 "
    "caps=video/x-h264,stream-format=byte-stream,alignment=au,"
    "width={width},height={height},framerate={fps}/1 "
    "! rtph264pay name=pay0 pt=96 config-interval=-1 )"
)


class Reel:
    """A stored stream, its programme unrolled: when each access unit is shown within one round."""

    def __init__(self, stem: str) -> None:
        index = json.loads(Path(stem + ".json").read_text())
        self.width, self.height, self.fps = index["width"], index["height"], index["fps"]
        self.length_s = index["length_us"] / 1e6
        self._data = _mapped(Path(stem + ".h264"))
        self.shown = _unrolled(index["clips_us"], index["units"])

    def unit(self, place: int) -> bytes:
        """The bytes of the unit at that place of the round."""
        _, offset, size, _ = self.shown[place]
        return self._data[offset : offset + size]

    def last_key(self, position_s: float) -> int:
        """Place of the latest key frame at or before that second of the round."""
        keys = [place for place, unit in enumerate(self.shown) if unit[3] and unit[0] <= position_s]
        return keys[-1] if keys else 0


def _mapped(path: Path) -> mmap.mmap:
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _unrolled(clips_us: list[list[int]], units: list[list[int]]) -> list[tuple[float, int, int, bool]]:
    """(shown at s, offset, size, is key) in the order shown."""
    shown = []
    base_us = 0
    for begin, end, times in clips_us:
        clip = [unit for unit in units if begin <= unit[3] < end]
        for _ in range(times):
            shown += [
                ((base_us + at - begin) / 1e6, offset, size, bool(key)) for offset, size, key, at in clip
            ]
            base_us += end - begin
    return shown


def programme(reel: Reel, from_s: float, offset_s: float) -> Iterator[Due]:
    """The latest key frame at once, so that a picture stands; then everything from the next one, on time.

    Times are of the monotonic clock; the round begins whenever clock + offset is a multiple of its length.
    """
    absolute = from_s + offset_s
    rounds, position = divmod(absolute, reel.length_s)
    place = reel.last_key(position)
    yield from_s, reel.unit(place)
    begun = False
    while True:
        place += 1
        if place == len(reel.shown):
            place, rounds = 0, rounds + 1
        begun = begun or reel.shown[place][3]
        if begun:
            yield rounds * reel.length_s + reel.shown[place][0] - offset_s, reel.unit(place)


def covered(reel: Reel, from_s: float) -> Iterator[Due]:
    """The covered picture from now on."""
    rounds = 0
    while True:
        for place, unit in enumerate(reel.shown):
            yield from_s + rounds * reel.length_s + unit[0], reel.unit(place)
        rounds += 1


def frozen(reel: Reel, from_s: float, offset_s: float) -> Iterator[Due]:
    """One and the same picture again and again."""
    picture = reel.unit(reel.last_key((from_s + offset_s) % reel.length_s))
    count = 0
    while True:
        yield from_s + count * FROZEN_EVERY_S, picture
        count += 1


class Feed:
    """Hands one client's pipeline its access units when they are due. Lives in the main loop's thread."""

    def __init__(self, camera: Camera, stream: Stream, source: Any) -> None:
        self._camera, self._stream, self._source = camera, stream, source
        self._first_s: float | None = None
        self._last_pts = -1
        self._timer = 0
        self._closed = False
        self._choking = False
        self._units: Iterator[Due] = iter(())
        self._next: Due | None = None

    def restart(self) -> None:
        """Takes up what the camera shows from now on."""
        if self._closed:
            return
        self._stop_timer()
        self._units = self._stream.units(self._camera, time.monotonic())
        self._next = next(self._units, None)
        self._arm()

    def close(self) -> None:
        self._closed = True
        self._stop_timer()

    def _stop_timer(self) -> None:
        if self._timer:
            GLib.source_remove(self._timer)
            self._timer = 0

    def _arm(self) -> None:
        if self._next is not None:
            wait_ms = max(0, int((self._next[0] - time.monotonic()) * 1000 + 0.99))
            self._timer = GLib.timeout_add(wait_ms, self._tick)

    def _tick(self) -> bool:
        self._timer = 0
        now = time.monotonic()
        if self._next is not None and now - self._next[0] > LATE_S:
            self.restart()
            return False
        while self._next is not None and self._next[0] <= now:
            self._push(*self._next)
            self._next = next(self._units, None)
        self._arm()
        return False

    def _push(self, due_s: float, data: bytes) -> None:
        level = self._source.get_property("current-level-bytes")
        if self._choking and level == 0:
            self._choking = False
            GLib.idle_add(self._once, self.restart)
        self._choking = self._choking or level > BACKLOG_BYTES
        if self._choking:
            return
        if self._first_s is None:
            self._first_s = due_s
        buffer = Gst.Buffer.new_wrapped(data)
        self._last_pts = max(int((due_s - self._first_s) * 1e9), self._last_pts + 1_000_000)
        buffer.pts = buffer.dts = self._last_pts
        self._source.emit("push-buffer", buffer)

    @staticmethod
    def _once(action: Any) -> bool:
        action()
        return False


class Stream:
    """Main or sub of one camera: its reels, its mount point, its clients' feeds."""

    def __init__(self, reel: Reel, cover: Reel) -> None:
        self.reel, self.cover = reel, cover
        self.feeds: set[Feed] = set()

    def units(self, camera: Camera, now_s: float) -> Iterator[Due]:
        """What a client is to be sent from now on, in the camera's present state."""
        if "stalled" in camera.states:
            return iter(())
        if "frozen" in camera.states:
            return frozen(self.reel, now_s, camera.offset_s)
        if "covered" in camera.states:
            return covered(self.cover, now_s)
        return programme(self.reel, now_s, camera.offset_s)


class Camera:
    """One camera's RTSP server on a port of its own, as a device has it: /{id}/main and /{id}/sub."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.id: str = order["id"]
        self.offset_s = 0.0
        self.states: set[str] = set()
        self.streams: dict[str, Stream] = {}
        self._server = GstRtspServer.RTSPServer.new()
        self._server.set_address(order["host"])
        self._server.set_service(str(order["port"]))
        self._server.set_auth(_auth(order["user"], order["password"]))
        self._server.get_session_pool().set_max_sessions(MAX_CLIENTS)
        self._listening = 0

    def show(self, order: dict[str, Any]) -> None:
        """Has its streams from now on; until then a client is told that there is no such stream."""
        self.offset_s = order["offset_s"]
        for name, stems in order["streams"].items():
            self.streams[name] = Stream(Reel(stems["reel"]), Reel(stems["covered"]))
            self._mount(name, self.streams[name])

    def listen(self) -> bool:
        """Opens the port; tries again where it can't be had. Returns False, as a GLib source that is done."""
        if self._listening or "cut" in self.states:
            return False
        self._listening = self._server.attach(None)
        if not self._listening:
            say(said="refused", id=self.id, reason=f"port {self._server.get_service()} can't be had")
            GLib.timeout_add(ATTACH_AGAIN_MS, self.listen)
            return False
        port = self._server.get_bound_port()
        self._server.set_service(str(port))
        say(said="listening", id=self.id, port=port)
        return False

    def set(self, state: str, on: bool) -> None:
        """Enters or leaves a state; clients see it at once."""
        (self.states.add if on else self.states.discard)(state)
        if state == "cut":
            self._hang_up() if on else self.listen()
            return
        for stream in self.streams.values():
            for feed in list(stream.feeds):
                feed.restart()

    def sweep(self) -> None:
        """Ends sessions whose clients are gone without a word."""
        self._server.get_session_pool().cleanup()

    def _hang_up(self) -> None:
        if self._listening:
            GLib.source_remove(self._listening)
            self._listening = 0
        self._server.client_filter(lambda *_: GstRtspServer.RTSPFilterResult.REMOVE)

    def _mount(self, name: str, stream: Stream) -> None:
        reel = stream.reel
        factory = GstRtspServer.RTSPMediaFactory.new()
        factory.set_launch(LAUNCH.format(width=reel.width, height=reel.height, fps=reel.fps))
        factory.set_shared(False)
        factory.set_permissions(_permissions())
        factory.connect("media-configure", self._configured, stream)
        self._server.get_mount_points().add_factory(f"/{self.id}/{name}", factory)

    def _configured(self, _factory: Any, media: Any, stream: Stream) -> None:
        """A client asks: called in that client's thread."""
        feed = Feed(self, stream, media.get_element().get_by_name("units"))
        media.connect("unprepared", lambda _media: GLib.idle_add(_forget, stream, feed))
        media.connect("new-state", lambda _media, state: GLib.idle_add(_played, feed, state))
        GLib.idle_add(_begin, stream, feed)


def _begin(stream: Stream, feed: Feed) -> bool:
    stream.feeds.add(feed)
    feed.restart()
    return False


def _played(feed: Feed, state: int) -> bool:
    """The client's PLAY was obeyed. What was pushed before is gone: a live pipeline drops it."""
    if state == Gst.State.PLAYING:
        feed.restart()
    return False


def _forget(stream: Stream, feed: Feed) -> bool:
    feed.close()
    stream.feeds.discard(feed)
    return False


def _auth(user: str, password: str) -> Any:
    """Digest only, one account."""
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", ROLE)
    auth = GstRtspServer.RTSPAuth.new()
    auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
    auth.set_realm("camera")
    auth.add_digest(user, password, token)
    return auth


def _permissions() -> Any:
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_role(ROLE)
    permissions.add_permission_for_role(ROLE, "media.factory.access", True)
    permissions.add_permission_for_role(ROLE, "media.factory.construct", True)
    return permissions


def say(**words: object) -> None:
    """One line to the parent."""
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


class Server:
    """All cameras, and the parent's orders."""

    def __init__(self) -> None:
        self._cameras: dict[str, Camera] = {}
        self._loop = GLib.MainLoop()

    def run(self) -> None:
        """Until the parent's pipe ends."""
        threading.Thread(target=self._read, daemon=True).start()
        GLib.timeout_add_seconds(5, self._sweep)
        self._loop.run()

    def _read(self) -> None:
        for line in sys.stdin:
            GLib.idle_add(self._obey, json.loads(line))
        GLib.idle_add(self._loop.quit)

    def _obey(self, order: dict[str, Any]) -> bool:
        if order["do"] == "serve":
            camera = self._cameras[order["id"]] = Camera(order)
            camera.listen()
        elif order["do"] == "show":
            self._cameras[order["id"]].show(order)
        else:
            self._cameras[order["id"]].set(order["state"], order["on"])
        return False

    def _sweep(self) -> bool:
        for camera in self._cameras.values():
            camera.sweep()
        return True


if __name__ == "__main__":
    Gst.init(None)
    Server().run()
