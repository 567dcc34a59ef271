"""JT/T 808 terminals: frames, registration, authentication, positions, and text to the driver's screen.

Sources: JT/T 808-2013 and JT/T 808-2019 (clause numbers of 2019): 4.4 frames, 8.1 general replies,
8.5–8.9 registration and authentication, 8.12 position, 8.49 batch of positions, 8.31 text.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import IntEnum
from typing import Any

from adapters.gps.datum import wgs84_from_gcj02
from adapters.gps.report import CannotOrder, Confirmed, Errand, Event, Outgoing, Report, Said, StreamDecoder
from adapters.refusal import Refusal
from wire.observations import Condition, DeviceFacts, Heartbeat, Link, PointState, Position

FLAG = 0x7E
ESCAPE = 0x7D
MAX_FRAME = 2 * (1023 + 21 + 1)
"""Largest body, header of 2019 with packet items, check code; every byte escaped."""
CHINA = timezone(timedelta(hours=8))
MAX_TEXT_BYTES = 1000
TEXT_FLAGS = 0x01 | 0x04 | 0x08
"""Urgent, on the terminal's screen, read aloud (table 39 of 2013)."""


class Message(IntEnum):
    """Message identifiers (annex A)."""

    TERMINAL_REPLY = 0x0001
    HEARTBEAT = 0x0002
    SIGN_OFF = 0x0003
    REGISTER = 0x0100
    AUTHENTICATE = 0x0102
    POSITION = 0x0200
    POSITIONS = 0x0704
    PLATFORM_REPLY = 0x8001
    REGISTERED = 0x8100
    TEXT = 0x8300


class Result(IntEnum):
    """Results in 0x8001 (table 5)."""

    OK = 0
    FAILED = 1
    WRONG = 2
    UNSUPPORTED = 3


CONFIDENTIAL = (Message.AUTHENTICATE,)
"""Holds the code that a terminal signs in by: never shown."""
TERMINAL_RESULTS = {1: "failed", 2: "message wrong", 3: "not supported"}
ALARMS: tuple[tuple[int, Condition], ...] = (
    (1 << 0, Condition.SOS),
    (1 << 4 | 1 << 5 | 1 << 6, Condition.DEVICE_FAULT),
    (1 << 7, Condition.BATTERY_LOW),
    (1 << 8, Condition.MAINS_FAULT),
)
"""Alarm bits (table 24): emergency button; GNSS module or antenna; power low; power lost."""


@dataclass(frozen=True, slots=True)
class Header:
    """A frame's header (clause 4.4.3)."""

    message: int
    phone: str
    """Digits as sent, with leading zeros."""
    serial: int
    version: int | None
    """Protocol version of 2019; None: 2013."""

    @property
    def address(self) -> str:
        """The terminal's number without leading zeros, as it is registered."""
        return self.phone.lstrip("0") or "0"


class Jt808(StreamDecoder):
    """One terminal connection."""

    def __init__(self, secret: bytes = b"") -> None:
        super().__init__(secret)
        self._buffer = bytearray()
        self._skipping = False
        self._serial = 0
        self._header: Header | None = None

    def receive(self, data: bytes | None, now: datetime) -> tuple[Event, ...]:
        """Frames are split at 0x7e; what lies between two of them is a frame or garbage."""
        _ = now
        if data is None:
            return tuple(self._end())
        self._buffer += data
        return tuple(self._frames())

    def framed(self, raw: bytes) -> bytes:
        """A frame between its flags."""
        return bytes([FLAG]) + raw.strip(bytes([FLAG])) + bytes([FLAG]) if raw else b""

    def order(self, errand: Errand) -> Outgoing:
        """0x8300 with the text and, at its end, where to go. Confirmed by the terminal's general reply."""
        if self._header is None:
            raise CannotOrder("the terminal has not named itself yet")
        content = f"{errand.text} {errand.lat:.6f},{errand.lon:.6f}".encode("gbk", "replace")
        if len(content) > MAX_TEXT_BYTES:
            raise CannotOrder(f"text of {len(content)} bytes is over {MAX_TEXT_BYTES}")
        # 2019 put a type after the flags: 1 is a notice (table 40).
        head = bytes([TEXT_FLAGS]) if self._header.version is None else bytes([TEXT_FLAGS, 1])
        frame, serial = self._frame(Message.TEXT, head + content, self._header)
        return Outgoing(frame, token=str(serial))

    def _end(self) -> Iterator[Event]:
        rest, self._buffer = bytes(self._buffer), bytearray()
        if rest and not self._skipping:
            yield Refusal("truncated", f"stream ended within a frame of {len(rest)} bytes", rest)

    def _frames(self) -> Iterator[Event]:
        while (end := self._buffer.find(FLAG)) >= 0:
            raw = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            if self._skipping:
                self._skipping = False
            elif len(raw) > MAX_FRAME:
                yield _too_long(raw)
            elif raw:
                yield self._one(raw)
        if len(self._buffer) > MAX_FRAME:
            if not self._skipping:
                yield _too_long(bytes(self._buffer))
            self._skipping = True
            self._buffer.clear()

    def _one(self, raw: bytes) -> Event:
        header: Header | None = None
        try:
            header, body = _opened(raw)
            self._header = header
            return self._understood(header, body)
        except Refusal as refusal:
            if header is not None and not refusal.reply:
                refusal.reply = self._reply(header, Result.WRONG)
            if header is not None and header.message not in CONFIDENTIAL:
                refusal.show(raw)
            return refusal

    def _understood(self, header: Header, body: bytes) -> Report:
        match header.message:
            case Message.POSITION:
                said = tuple(_position(header, body, history=False))
            case Message.POSITIONS:
                said = tuple(_positions(header, body))
            case Message.REGISTER:
                return self._register(header, body)
            case Message.AUTHENTICATE:
                return self._authenticate(header, body)
            case Message.TERMINAL_REPLY:
                return _confirmation(header, body)
            case Message.SIGN_OFF:
                said = (Said(Link(up=False, reason="signed off")),)
            case Message.HEARTBEAT:
                said = (Said(Heartbeat()),)
            case _:
                return Report(header.address, (Said(Heartbeat()),), self._reply(header, Result.UNSUPPORTED))
        return Report(header.address, said, self._reply(header, Result.OK))

    def _register(self, header: Header, body: bytes) -> Report:
        facts = _facts(header, body)
        content = struct.pack(">HB", header.serial, Result.OK) + self._code(header).encode()
        reply, _ = self._frame(Message.REGISTERED, content, header)
        return Report(header.address, (Said(facts),), reply, signing_in=True)

    def _authenticate(self, header: Header, body: bytes) -> Report:
        code = body
        if header.version is not None:
            length = body[0] if body else 0
            code = body[1 : 1 + length]
        if not hmac.compare_digest(code.rstrip(b"\0"), self._code(header).encode()):
            reply = self._reply(header, Result.FAILED)
            raise Refusal("bad_code", f"{header.address}: not the code it was given", reply=reply)
        reply = self._reply(header, Result.OK)
        return Report(header.address, (Said(Heartbeat()),), reply, signed_in=True)

    def _code(self, header: Header) -> str:
        """The same after a restart of ours, and another one for every terminal."""
        return hmac.new(self.secret, header.address.encode(), hashlib.sha256).hexdigest()[:16]

    def _reply(self, header: Header, result: Result) -> bytes:
        content = struct.pack(">HHB", header.serial, header.message, result)
        return self._frame(Message.PLATFORM_REPLY, content, header)[0]

    def _frame(self, message: Message, body: bytes, to: Header) -> tuple[bytes, int]:
        serial, self._serial = self._serial, (self._serial + 1) & 0xFFFF
        properties = len(body) | (0 if to.version is None else 1 << 14)
        head = struct.pack(">HH", message, properties)
        if to.version is not None:
            head += bytes([to.version])
        plain = head + bytes.fromhex(to.phone) + struct.pack(">H", serial) + body
        plain += bytes([_check_code(plain)])
        return bytes([FLAG]) + _escaped(plain) + bytes([FLAG]), serial


def _too_long(raw: bytes) -> Refusal:
    return Refusal("too_large", f"no end of frame within {MAX_FRAME} bytes", raw)


def _opened(raw: bytes) -> tuple[Header, bytes]:
    """Header and body of what lies between two flags."""
    plain = _unescaped(raw)
    if len(plain) < 13:
        raise Refusal("truncated", f"frame of {len(plain)} bytes is shorter than any header", raw)
    if _check_code(plain[:-1]) != plain[-1]:
        reason = f"check code is {plain[-1]:#04x}, the frame's is {_check_code(plain[:-1]):#04x}"
        raise Refusal("bad_checksum", reason, raw)
    message, properties = struct.unpack_from(">HH", plain)
    newer = bool(properties & 1 << 14)
    size = 17 if newer else 12
    if len(plain) < size + 1:
        raise Refusal("truncated", "frame is shorter than its header", raw)
    phone = plain[5:15].hex() if newer else plain[4:10].hex()
    if not phone.isdecimal():
        raise Refusal("bad_number", f"terminal number {phone} is not decimal", raw)
    if properties & 7 << 10:
        raise Refusal("encrypted", f"{phone}: encrypted messages are not supported", raw)
    if properties & 1 << 13:
        raise Refusal("split", f"{phone}: messages in several packets are not supported", raw)
    body = plain[size:-1]
    if len(body) != properties & 0x3FF:
        raise Refusal(
            "bad_length", f"{phone}: body of {len(body)} bytes, header says {properties & 0x3FF}", raw
        )
    serial = struct.unpack_from(">H", plain, size - 2)[0]
    return Header(message, phone, serial, plain[4] if newer else None), body


def _unescaped(raw: bytes) -> bytes:
    parts = raw.split(bytes([ESCAPE]))
    plain = bytearray(parts[0])
    for part in parts[1:]:
        if part[:1] not in (b"\x01", b"\x02"):
            raise Refusal("bad_escape", f"0x7d is followed by {part[:1].hex() or 'nothing'}", raw)
        plain.append(ESCAPE if part[0] == 1 else FLAG)
        plain += part[1:]
    return bytes(plain)


def _escaped(plain: bytes) -> bytes:
    return plain.replace(b"\x7d", b"\x7d\x01").replace(b"\x7e", b"\x7d\x02")


def _check_code(plain: bytes) -> int:
    code = 0
    for byte in plain:
        code ^= byte
    return code


def _confirmation(header: Header, body: bytes) -> Report:
    if len(body) != 5:
        raise Refusal("bad_length", f"{header.address}: general reply of {len(body)} bytes, 5 expected", body)
    serial, _message, result = struct.unpack(">HHB", body)
    confirmed = Confirmed(
        str(serial), result == 0, TERMINAL_RESULTS.get(result, f"result {result}" * bool(result))
    )
    return Report(header.address, (Said(Heartbeat()),), confirmed=confirmed)


def _facts(header: Header, body: bytes) -> DeviceFacts:
    """0x0100 (tables 6 and 7): maker, model, terminal id, plate."""
    maker, model, serial = (5, 20, 7) if header.version is None else (11, 30, 30)
    if len(body) < 4 + maker + model + serial + 1:
        raise Refusal("bad_length", f"{header.address}: registration of {len(body)} bytes is too short", body)
    texts = []
    at = 4
    for size in (maker, model, serial):
        texts.append(_text(body[at : at + size]))
        at += size
    detail = {"plate": _text(body[at + 1 :])} if body[at] else {}
    return DeviceFacts(make=texts[0], model=texts[1], serial=texts[2], detail=detail)


def _text(raw: bytes) -> str:
    return raw.replace(b"\0", b"").decode("gbk", "replace").strip()


def _positions(header: Header, body: bytes) -> Iterator[Said]:
    """0x0704: number, kind (1: kept while there was no coverage), then length and position of each."""
    if len(body) < 3:
        raise Refusal("bad_length", f"{header.address}: batch of {len(body)} bytes", body)
    count, kind = struct.unpack_from(">HB", body)
    at, found = 3, 0
    told: set[Condition] = set()
    while at + 2 <= len(body):
        size = struct.unpack_from(">H", body, at)[0]
        item = body[at + 2 : at + 2 + size]
        if len(item) < size:
            raise Refusal("bad_length", f"{header.address}: batch ends within its position {found + 1}", body)
        for said in _position(header, item, history=kind == 1):
            if isinstance(said.body, PointState):
                if not said.body.active or said.body.condition in told:
                    continue
                told.add(said.body.condition)
            yield said
        at, found = at + 2 + size, found + 1
    if found != count:
        raise Refusal("bad_length", f"{header.address}: batch holds {found} positions, says {count}", body)


def _position(header: Header, body: bytes, *, history: bool) -> Iterator[Said]:
    """0x0200 (tables 22 to 25): alarm bits, status bits, position, time; what follows is not needed."""
    if len(body) < 28:
        raise Refusal("bad_length", f"{header.address}: position of {len(body)} bytes, 28 at least", body)
    alarms, status, lat_e6, lon_e6, altitude_m, speed, course = struct.unpack_from(">IIIIHHH", body)
    lat = lat_e6 / 1e6 * (-1 if status & 1 << 2 else 1)
    lon = lon_e6 / 1e6 * (-1 if status & 1 << 3 else 1)
    device_at = _time(body[22:28])
    extra: dict[str, Any] = {}
    if not status & 1 << 1:
        extra = {"valid": False, "doubt": "no fix"}
    if status & 1 << 5:
        # The map-shift plug-in has been at work: GCJ-02 (table 25, bit 5).
        lat, lon = wgs84_from_gcj02(lat, lon)
        extra["datum"] = "GCJ-02"
    position = Position(
        lat=round(lat, 7),
        lon=round(lon, 7),
        altitude_m=float(altitude_m),
        speed_kmh=speed / 10,
        course_deg=float(course),
        serial=str(header.serial),
        **extra,
    )
    instant = body[22:28].hex() if device_at is None else device_at.strftime("%Y%m%dT%H%M%SZ")
    yield Said(position, device_at, f"{instant}:{lat_e6},{lon_e6}", history)
    for bits, condition in ALARMS:
        state = PointState(point="terminal", condition=condition, active=bool(alarms & bits), armed=True)
        yield Said(state, device_at, "", history)


def _time(raw: bytes) -> datetime | None:
    """YYMMDDhhmmss in GMT+8 as BCD; None where it is no time (a terminal without one sends zeros)."""
    text = raw.hex()
    if not text.isdecimal():
        return None
    try:
        local = datetime.strptime("20" + text, "%Y%m%d%H%M%S").replace(tzinfo=CHINA)
    except ValueError:
        return None
    return local.astimezone(UTC)
