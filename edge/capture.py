"""Opens a camera's RTSP stream with PyAV and gives its decoded pictures. Blocking; one thread a stream.

FFmpeg takes credentials only inside the address and repeats that address in its errors. So the full address
exists only in `_address`, and errors are told in words of ours, without it.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlsplit, urlunsplit

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from edge.luma import Luma, plane_view
from edge.pace import Pace
from edge.still import jpeg, still_size

OPEN_TIMEOUT_S = 8.0
READ_TIMEOUT_S = 5.0
MOST_BEHIND_S = 2.0
"""A stream this late is caught up by dropping packets up to its next key frame."""
MOST_SKEW = timedelta(hours=24)
"""RTCP's clock may count from anywhere (RFC 3550, 6.4.1); further from ours it is no time of day."""

_OPTIONS = {
    "rtsp_transport": "tcp",
    "timeout": str(int(READ_TIMEOUT_S * 1e6)),
    "allowed_media_types": "video",
    "protocol_whitelist": "rtsp,rtsps,rtp,tcp,tls",
    "analyzeduration": "1000000",
    "fpsprobesize": "0",
}
_PLANAR = frozenset(
    {"yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "nv12", "nv21", "gray"}
)
"""Formats whose first plane is 8-bit luma."""


class StreamError(Exception):
    """A stream could not be opened or ended. The message carries no address and no credentials."""


@dataclass(slots=True)
class StreamFigures:
    """What one stream has given since it was opened."""

    packets: int = 0
    frames: int = 0
    undecodable: int = 0
    dropped: int = 0
    """Packets skipped to catch up."""


class DecodedPicture:
    """One decoded frame; its luma is the decoder's own memory."""

    __slots__ = ("_frame", "device_at", "media_s")

    def __init__(self, frame: VideoFrame, media_s: float, device_at: datetime | None) -> None:
        self._frame = frame
        self.media_s = media_s
        self.device_at = device_at

    @property
    def key(self) -> bool:
        """From a key frame."""
        return bool(self._frame.key_frame)

    @property
    def luma(self) -> Luma:
        """(height, width) brightness, without copying where the format allows."""
        frame = self._frame
        if frame.format.name not in _PLANAR:
            frame = frame.reformat(format="gray")
        plane = frame.planes[0]
        return plane_view(plane, plane.line_size, frame.width, frame.height)

    def still(self) -> bytes:
        """A JPEG at most 640 wide."""
        width, height = still_size(self._frame.width, self._frame.height)
        picture = self._frame.reformat(width, height, "bgr24").to_ndarray()
        return jpeg(np.asarray(picture, np.uint8))


class RtspStream:
    """One connection to one camera."""

    def __init__(self, url: str, user: str = "", password: str = "") -> None:
        self._url = url
        self._user = user
        self._password = password
        self._container: InputContainer | None = None
        self.figures = StreamFigures()

    def pictures(
        self, alive: Callable[[], bool], clock: Callable[[], datetime], core: AbstractContextManager[object]
    ) -> Iterator[DecodedPicture]:
        """Connects and gives pictures while `alive`. Raises `StreamError` when the stream ends or fails.

        `core` is held while a packet is decoded and its pictures are with the caller, never while waiting.
        """
        try:
            with self._open() as container:
                for packet in self._packets(container, alive):
                    with core:
                        yield from self._decode(packet, clock)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise StreamError(_reason(error)) from None
        if alive():
            raise StreamError("ended by the camera")

    def _open(self) -> InputContainer:
        address = _address(self._url, self._user, self._password)
        return av.open(address, options=_OPTIONS, timeout=(OPEN_TIMEOUT_S, READ_TIMEOUT_S))

    def _packets(self, container: InputContainer, alive: Callable[[], bool]) -> Iterator[Packet[VideoStream]]:
        if not container.streams.video:
            raise ValueError("the stream has no video")
        stream = prepare(container.streams.video[0])
        pace, skipping = Pace(), False
        for packet in container.demux(stream):
            if not alive():
                return
            self.figures.packets += 1
            skipping = self._skips(packet, pace, skipping=skipping)
            if not skipping:
                yield packet

    def _skips(self, packet: Packet[VideoStream], pace: Pace, *, skipping: bool) -> bool:
        """Whether this packet is passed over because we are too far behind."""
        if packet.pts is None or packet.time_base is None:
            return skipping
        behind = pace.behind_s(float(packet.pts * packet.time_base), time.monotonic())
        if behind > MOST_BEHIND_S or (skipping and not packet.is_keyframe):
            self.figures.dropped += 1
            return True
        return False

    def _decode(self, packet: Packet[VideoStream], clock: Callable[[], datetime]) -> Iterator[DecodedPicture]:
        device_at = sender_time(packet, clock())
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            self.figures.undecodable += 1
            return
        for frame in frames:
            self.figures.frames += 1
            media_s = time.monotonic() if frame.time is None else frame.time
            yield DecodedPicture(frame, media_s, device_at)


def prepare(stream: VideoStream) -> VideoStream:
    """Sets a stream to decode in its caller's own thread: others cost more and add a frame of delay."""
    stream.thread_type = "NONE"
    stream.codec_context.thread_count = 1
    # Deblocking only the key frames saves an eighth of the decoding and stays 40 dB and more from the whole.
    stream.codec_context.options = {"skip_loop_filter": "nokey"}
    return stream


def sender_time(packet: Packet[VideoStream], now: datetime) -> datetime | None:
    """When the camera sent this picture by its RTCP reports; None before the first, or if no time of day."""
    if not packet.has_sidedata("prft"):
        return None
    (micros,) = struct.unpack_from("q", bytes(packet.get_sidedata("prft")))
    try:
        at = datetime.fromtimestamp(micros / 1e6, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return at if abs(at - now) <= MOST_SKEW else None


def public_address(url: str) -> str:
    """The address without credentials, for people."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, parts.query, ""))


def _address(url: str, user: str, password: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"rtsp", "rtsps"}:
        raise ValueError(f"the address is not RTSP but {parts.scheme or 'without scheme'}")
    if not user:
        return url
    host = parts.netloc.rpartition("@")[2]
    sign_in = f"{quote(user, safe='')}:{quote(password, safe='')}"
    return urlunsplit((parts.scheme, f"{sign_in}@{host}", parts.path, parts.query, ""))


def _reason(error: Exception) -> str:
    if isinstance(error, av.error.FFmpegError):
        return error.strerror or type(error).__name__
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return str(error)
