"""Live video: one pull from a camera, its own H.264 passed through to every viewer, never transcoded.

Pulls run in threads of their own and hand whole packets to the event loop; peer connections live on the
loop. No STUN, no TURN: viewers reach the hub's own addresses. Credentials are in the pull's address only,
which is never logged and never part of an error.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from fractions import Fraction
from typing import Any, Protocol
from urllib.parse import quote, urlsplit, urlunsplit

import av
import av.error
import av.logging
import cv2
import structlog
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.exceptions import InvalidAccessError, InvalidStateError
from aiortc.mediastreams import MediaStreamError
from aiortc.sdp import SessionDescription
from av.bitstream import BitStreamFilterContext

from hub import metrics
from wire.clock import Clock

log = structlog.get_logger(__name__)
av.logging.set_level(None)  # FFmpeg's own messages quote addresses, credentials and all

OPEN_WITHIN_S = 8.0
SILENT_FOR_S = 5.0
"""A pull that brings nothing for this long is over: a picture that stops is told as stopped."""
CONNECT_WITHIN_S = 20.0
LINGER_S = 3.0
"""A pull outlives its last viewer by this much, so that a still followed by live video opens one stream."""
MOST_VIEWERS = 64
MOST_FOR_ONE_HOLDER = 20
MOST_WAITING = 600
"""Packets one viewer may be behind before it is cut off until the next key frame."""
MOST_GROUP = 600
MOST_OFFER_BYTES = 64 * 1024
CLOCK_HZ = 90_000
ORDERLY = 50
"""Pictures in order after which a step back is forgotten."""
_BAD_OFFER = (
    ValueError,
    LookupError,
    AttributeError,
    AssertionError,
    TypeError,
    InvalidAccessError,
    InvalidStateError,
)
"""What aiortc raises for a description it can't use."""


class Quality(StrEnum):
    """Which of a camera's streams."""

    SUB = "sub"
    MAIN = "main"


class NoPicture(RuntimeError):
    """The camera gives no stream. The reason never quotes its address."""


class NoPassthrough(RuntimeError):
    """The stream can't be given to a browser as it is: `code` says why."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class BadOffer(ValueError):
    """The viewer's SDP can't be answered."""


class TooManyViewers(RuntimeError):
    """A limit on live pictures is reached."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to pull from, with credentials; shows neither in its repr."""

    url: str = field(repr=False)

    @classmethod
    def of(cls, rtsp: str, user: str, password: str) -> Address:
        """`rtsp` is without credentials."""
        if not user:
            return cls(rtsp)
        parts = urlsplit(rtsp)
        signed = f"{quote(user, safe='')}:{quote(password, safe='')}@{parts.netloc}"
        return cls(urlunsplit(parts._replace(netloc=signed)))


@dataclass(frozen=True, slots=True)
class Coded:
    """One coded picture as the camera sent it, in Annex B form; key frames carry their parameter sets."""

    data: bytes = field(repr=False)
    key: bool
    ticks: int | None
    """Presentation time in 1/90000 s of the stream's own clock."""
    heard_at: datetime


@dataclass(slots=True)
class Timeline:
    """A camera's time stamps as one viewer sees them: always forward, jumps and loops of the source bridged.

    What lies in the cache is squeezed to 1 ms a picture, so that a viewer who joins in the middle of a group
    of pictures sees the newest one at once and isn't a whole group late for ever.
    """

    out: int = 0
    _begun: bool = False
    _last: int | None = None
    _usual: int = CLOCK_HZ // 25

    def next(self, ticks: int | None, *, squeeze: bool) -> int:
        """The viewer's time stamp of the next picture."""
        step = self._step(ticks)
        if self._begun:
            self.out += CLOCK_HZ // 1000 if squeeze else step
        self._begun = True
        if ticks is not None:
            self._last = ticks
        return self.out

    def _step(self, ticks: int | None) -> int:
        if ticks is None or self._last is None:
            return self._usual
        step = ticks - self._last
        if not 0 < step < 5 * CLOCK_HZ:
            return self._usual
        self._usual = step
        return step


class Sink(Protocol):
    """Who wants a pull's pictures; called on the event loop."""

    def take(self, coded: Coded) -> None: ...
    def ended(self, reason: str) -> None: ...


class Pull:
    """One RTSP connection, shared. Made and used on the loop; `_run` alone is in the thread."""

    def __init__(self, name: str, address: Address, clock: Clock, gone: Callable[[Pull], None]) -> None:
        self.name = name
        self._address = address
        self._clock = clock
        self._gone = gone
        self._loop = asyncio.get_running_loop()
        self._stop = threading.Event()
        self.sinks: set[Sink] = set()
        self.group: list[Coded] = []
        """Since the last key frame, which comes first."""
        self.ready: asyncio.Future[None] = self._loop.create_future()
        """Resolves at the first key frame; fails with `NoPicture` or `NoPassthrough`."""
        self.over = False
        self._thread = threading.Thread(target=self._run, name=f"pull-{name}", daemon=True)
        self._thread.start()

    def join(self, sink: Sink) -> None:
        """Sends `sink` the cached group of pictures and everything after it."""
        for coded in self.group:
            sink.take(coded)
        self.sinks.add(sink)

    def stop(self) -> None:
        """Ends the connection at its next packet or time limit."""
        self._stop.set()

    def _take(self, coded: Coded) -> None:
        if self.over:
            return
        if coded.key:
            self.group = [coded]
        elif self.group and len(self.group) < MOST_GROUP:
            self.group.append(coded)
        else:
            self.group = []
        if coded.key and not self.ready.done():
            self.ready.set_result(None)
        for sink in list(self.sinks):
            sink.take(coded)

    def _end(self, error: Exception) -> None:
        if self.over:
            return
        self.over = True
        self.group = []
        if not self.ready.done():
            self.ready.set_exception(error)
            self.ready.exception()  # looked at here, so that nobody else has to
        sinks, self.sinks = self.sinks, set()
        for sink in sinks:
            sink.ended(str(error))
        self._gone(self)

    def _run(self) -> None:
        try:
            self._read()
            error: Exception = NoPicture("the stream ended")
        except NoPassthrough as refused:
            error = refused
        except (av.error.FFmpegError, OSError, ValueError) as failed:
            # Only the kind of error: its text quotes the address.
            error = NoPicture(f"the stream can't be read ({type(failed).__name__})")
        log.info("pull over", camera=self.name, reason=str(error))
        if not self._loop.is_closed():
            with suppress(RuntimeError):  # the loop closed in between: nobody is left to tell
                self._loop.call_soon_threadsafe(self._end, error)

    def _read(self) -> None:
        # A short look is enough: what it can't tell of B-frames, the order of the time stamps does. What it
        # reads is kept (no `nobuffer`), so the key frame it may have seen isn't lost.
        options = {"rtsp_transport": "tcp", "analyzeduration": "300000", "probesize": "500000"}
        with av.open(
            self._address.url,
            options=options,
            timeout=(OPEN_WITHIN_S, SILENT_FOR_S),
            metadata_errors="replace",
        ) as container:
            if not container.streams.video:
                raise NoPassthrough("no_video", "the stream has no video")
            stream = container.streams.video[0]
            check_passable(stream.codec_context.name, bool(stream.codec_context.has_b_frames))
            filtered = BitStreamFilterContext("dump_extra=freq=keyframe", stream)
            order = Order()
            for packet in container.demux(stream):
                if self._stop.is_set():
                    return
                for one in filtered.filter(packet) if packet.size else ():
                    coded = _coded(one, self._clock())
                    order.check(coded.ticks)
                    self._loop.call_soon_threadsafe(self._take, coded)


def check_passable(codec: str, has_b_frames: bool) -> None:
    """Raises `NoPassthrough` for what browsers don't play as it comes."""
    if codec != "h264":
        raise NoPassthrough("codec", codec)
    if has_b_frames:
        raise NoPassthrough("b_frames", "the stream has B-frames")


@dataclass(slots=True)
class Order:
    """Finds B-frames by what they do: pictures arrive in decoding order, their time stamps step back."""

    steps_back: int = 0
    _latest: int | None = None
    _orderly: int = 0

    def check(self, ticks: int | None) -> None:
        """Raises `NoPassthrough` at the third small step back in a row of pictures; a large one is a source
        that starts again, a single one a camera that set its clock."""
        if ticks is None:
            return
        if self._latest is not None and 0 < self._latest - ticks < CLOCK_HZ:
            self.steps_back, self._orderly = self.steps_back + 1, 0
            if self.steps_back >= 3:
                raise NoPassthrough("b_frames", "the stream has B-frames")
            return
        self._latest = ticks
        self._orderly += 1
        if self._orderly > ORDERLY:
            self.steps_back = 0


def _coded(packet: av.Packet[Any], now: datetime) -> Coded:
    ticks = None
    if packet.pts is not None and packet.time_base is not None:
        ticks = int(packet.pts * packet.time_base * CLOCK_HZ)
    return Coded(bytes(packet), packet.is_keyframe, ticks, now)


class Viewer(MediaStreamTrack):
    """One viewer's track: packets in, packets out; too slow, and it goes on at the next key frame."""

    kind = "video"

    def __init__(self, over: Callable[[str], None]) -> None:
        super().__init__()
        self._over = over
        self._queued: deque[Coded] = deque()
        self._arrived = asyncio.Event()
        self._timeline = Timeline()
        self._needs_key = True
        self._joining = True
        self._ended = False

    def take(self, coded: Coded) -> None:
        """Queues a picture."""
        if self._needs_key and not coded.key:
            return
        self._needs_key = False
        if len(self._queued) >= MOST_WAITING:
            metrics.MEDIA_DROPPED.inc(len(self._queued))
            self._queued.clear()
            self._needs_key = not coded.key
            self._joining = True
            if self._needs_key:
                return
        self._queued.append(coded)
        self._arrived.set()

    def ended(self, reason: str) -> None:
        """The pull is over."""
        self.ended_quietly()
        self._over(reason)

    def ended_quietly(self) -> None:
        """Nothing more will come; `recv` ends after what waits."""
        self._ended = True
        self._arrived.set()

    async def recv(self) -> av.Packet[Any]:
        """The next packet; `MediaStreamError` at the end."""
        while not self._queued:
            if self._ended or self.readyState != "live":
                raise MediaStreamError
            self._arrived.clear()
            await self._arrived.wait()
        coded = self._queued.popleft()
        self._joining = self._joining and bool(self._queued)
        packet = av.Packet(coded.data)
        packet.pts = packet.dts = self._timeline.next(coded.ticks, squeeze=self._joining)
        packet.time_base = Fraction(1, CLOCK_HZ)
        metrics.MEDIA_PACKETS.inc()
        return packet


@dataclass(slots=True, eq=False)
class Live:
    """One viewer's session."""

    id: str
    camera: str
    holder: str
    """The sign-in it belongs to; ends with it."""
    pull: Pull
    peer: RTCPeerConnection
    viewer: Viewer
    answer: str = ""
    watch: asyncio.Task[None] | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """A still taken from a camera's stream."""

    jpeg: bytes = field(repr=False)
    taken_at: datetime
    width: int
    height: int


class Media:
    """All pulls and viewers of a hub. Lives on one event loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pulls: dict[tuple[str, Quality], Pull] = {}
        self._users: dict[Pull, int] = {}
        self._live: dict[str, Live] = {}
        self._decoder = ThreadPoolExecutor(1, thread_name_prefix="still")
        self._closing: set[asyncio.Task[bool]] = set()

    @property
    def viewers(self) -> int:
        """Live pictures being watched."""
        return len(self._live)

    @property
    def pulls(self) -> int:
        """Streams being pulled."""
        return len(self._pulls)

    async def open(self, camera: str, quality: Quality, address: Address, offer: str, holder: str) -> Live:
        """A live session with its SDP answer.

        Raises `BadOffer`, `NoPicture`, `NoPassthrough`, `TooManyViewers`.
        """
        check_offer(offer)
        self._check_room(holder)
        pull = self._hold(camera, quality, address)
        live: Live | None = None
        try:
            await self._first_picture(pull)
            live = self._prepare(camera, holder, pull)
            await self._negotiate(live, offer)
        except BaseException:
            if live is None:
                self._release(pull)
            else:
                await self.end(live.id)
            raise
        live.watch = asyncio.create_task(self._expect_connection(live))
        return live

    def _check_room(self, holder: str) -> None:
        mine = sum(1 for live in self._live.values() if live.holder == holder)
        if len(self._live) >= MOST_VIEWERS or mine >= MOST_FOR_ONE_HOLDER:
            raise TooManyViewers(f"{len(self._live)} live pictures, {mine} of them of one console")

    def _hold(self, camera: str, quality: Quality, address: Address) -> Pull:
        pull = self._pulls.get((camera, quality))
        if pull is None or pull.over:
            pull = Pull(f"{camera}/{quality.value}", address, self._clock, self._forget)
            self._pulls[camera, quality] = pull
            self._users[pull] = 0
            metrics.MEDIA_PULLS.set(len(self._pulls))
        self._users[pull] += 1
        return pull

    def _release(self, pull: Pull) -> None:
        if pull not in self._users:
            return
        self._users[pull] -= 1
        if self._users[pull] == 0:
            asyncio.get_running_loop().call_later(LINGER_S, self._stop_unused, pull)

    def _stop_unused(self, pull: Pull) -> None:
        if self._users.get(pull) == 0:
            pull.stop()
            self._forget(pull)

    def _forget(self, pull: Pull) -> None:
        self._users.pop(pull, None)
        for key in [key for key, one in self._pulls.items() if one is pull]:
            del self._pulls[key]
        metrics.MEDIA_PULLS.set(len(self._pulls))

    async def _first_picture(self, pull: Pull) -> None:
        try:
            async with asyncio.timeout(OPEN_WITHIN_S):
                await asyncio.shield(pull.ready)
        except TimeoutError:
            raise NoPicture(f"no key frame within {OPEN_WITHIN_S:.0f} s") from None

    def _prepare(self, camera: str, holder: str, pull: Pull) -> Live:
        identity = secrets.token_urlsafe(12)
        viewer = Viewer(lambda _reason: self._end_soon(identity))
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        live = Live(identity, camera, holder, pull, peer, viewer)
        self._live[identity] = live
        metrics.MEDIA_VIEWERS.set(len(self._live))

        @peer.on("connectionstatechange")
        def changed() -> None:
            if peer.connectionState in ("failed", "closed"):
                self._end_soon(identity)

        return live

    async def _negotiate(self, live: Live, offer: str) -> None:
        try:
            live.peer.addTrack(live.viewer)
            # Before the remote description, or H.264 goes out labelled VP8.
            codecs = RTCRtpSender.getCapabilities("video").codecs
            h264 = [one for one in codecs if one.mimeType == "video/H264"]
            live.peer.getTransceivers()[0].setCodecPreferences(h264)
            await live.peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
            await live.peer.setLocalDescription(await live.peer.createAnswer())
        except _BAD_OFFER as error:
            raise BadOffer(f"the offer can't be answered ({type(error).__name__})") from error
        live.pull.join(live.viewer)
        live.answer = live.peer.localDescription.sdp

    async def _expect_connection(self, live: Live) -> None:
        await asyncio.sleep(CONNECT_WITHIN_S)
        if live.peer.connectionState != "connected":
            self._end_soon(live.id)

    def find(self, identity: str) -> Live | None:
        """A session by its id."""
        return self._live.get(identity)

    def _end_soon(self, identity: str) -> None:
        task = asyncio.get_running_loop().create_task(self.end(identity))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def end(self, identity: str) -> bool:
        """Ends a session; False where there is none (any more)."""
        live = self._live.pop(identity, None)
        if live is None:
            return False
        metrics.MEDIA_VIEWERS.set(len(self._live))
        live.pull.sinks.discard(live.viewer)
        self._release(live.pull)
        if live.watch is not None:
            live.watch.cancel()
        live.viewer.stop()
        live.viewer.ended_quietly()
        await live.peer.close()
        return True

    def holders(self) -> set[str]:
        """Sign-ins that have a live picture."""
        return {live.holder for live in self._live.values()}

    async def end_of(self, holder: str) -> None:
        """Ends every session of a sign-in."""
        for live in list(self._live.values()):
            if live.holder == holder:
                await self.end(live.id)

    async def still(self, camera: str, quality: Quality, address: Address) -> Picture:
        """The latest key frame of the shared pull as JPEG. Raises `NoPicture`, `NoPassthrough`."""
        pull = self._hold(camera, quality, address)
        try:
            await self._first_picture(pull)
            if not pull.group:
                raise NoPicture("the stream has just ended")
            key = pull.group[0]
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._decoder, decode_key_frame, key)
        finally:
            self._release(pull)

    async def stop(self) -> None:
        """Ends everything."""
        for live in list(self._live.values()):
            await self.end(live.id)
        for pull in list(self._pulls.values()):
            pull.stop()
            self._forget(pull)
        await asyncio.gather(*self._closing, return_exceptions=True)
        self._decoder.shutdown(wait=False)


def check_offer(offer: str) -> None:
    """Raises `BadOffer` for what is no offer to receive H.264 video."""
    if len(offer) > MOST_OFFER_BYTES:
        raise BadOffer(f"the offer is over {MOST_OFFER_BYTES} bytes")
    try:
        parsed = SessionDescription.parse(offer)
    except _BAD_OFFER as error:
        raise BadOffer(f"not a session description ({type(error).__name__})") from error
    videos = [media for media in parsed.media if media.kind == "video"]
    if len(videos) != 1 or len(parsed.media) > 4:
        raise BadOffer("offer exactly one video")
    video = videos[0]
    if not any(codec.mimeType.lower() == "video/h264" for codec in video.rtp.codecs):
        raise BadOffer("the offer doesn't include H.264")
    if video.dtls is None or not video.dtls.fingerprints or not (video.ice and video.ice.usernameFragment):
        raise BadOffer("the offer lacks ICE or DTLS parameters")


def decode_key_frame(coded: Coded) -> Picture:
    """One key frame as JPEG. Raises `NoPicture`."""
    decoder = av.CodecContext.create("h264", "r")
    try:
        frames = [*decoder.decode(av.Packet(coded.data)), *decoder.decode(None)]
    except av.error.FFmpegError as error:
        raise NoPicture(f"the key frame can't be decoded ({type(error).__name__})") from error
    if not frames:
        raise NoPicture("the key frame holds no picture")
    image = frames[-1].to_ndarray(format="bgr24")
    done, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 85])
    if not done:
        raise NoPicture("the picture can't be made a JPEG")
    return Picture(jpeg.tobytes(), coded.heard_at, image.shape[1], image.shape[0])
