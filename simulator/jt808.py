"""JT/T 808 as a terminal speaks it, editions 2013 and 2019: frames, headers, and the bodies it needs. Pure.

Source: JT/T 808-2013 and JT/T 808-2019, clauses 4 (framing: 0x7e, escapes, XOR check, header) and 8 (bodies).
All integers are big-endian; text is GBK; time is BCD in GMT+8; the phone number is BCD with leading zeros.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

GMT8 = timezone(timedelta(hours=8))
MARK = 0x7E
MAX_BODY = 1023
"""Ten bits of the header; longer bodies would need packets, which this terminal doesn't send."""
MAX_FRAME = 2 * (MAX_BODY + 32)

TERMINAL_REPLY = 0x0001
HEARTBEAT = 0x0002
REGISTER = 0x0100
AUTHENTICATE = 0x0102
POSITION = 0x0200
POSITION_BATCH = 0x0704
PLATFORM_REPLY = 0x8001
REGISTER_REPLY = 0x8100
TEXT = 0x8300

OK, FAILED, MALFORMED, UNSUPPORTED = 0, 1, 2, 3
"""Results of a general reply."""

_STATUS_ACC, _STATUS_FIX, _STATUS_SOUTH, _STATUS_WEST = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_STATUS_GPS, _STATUS_BEIDOU = 1 << 18, 1 << 19
_BATCH_OF_BLIND_AREA = 1


class Jt808Error(ValueError):
    """Bytes that aren't JT/T 808: says what is wrong and begins with the evidence in hex."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message, either way."""

    message: int
    phone: str
    """Without leading zeros."""
    serial: int
    body: bytes
    edition: int


@dataclass(frozen=True, slots=True)
class Position:
    """What one 0x0200 says."""

    lat: float
    lon: float
    altitude_m: int
    speed_kmh: float
    course_deg: int
    at: datetime
    odometer_m: float
    satellites: int


def bcd(digits: str, length: int) -> bytes:
    """Decimal digits, two a byte, filled with zeros from the left. Raises `Jt808Error` where too many."""
    if not digits.isdecimal() or len(digits) > 2 * length:
        raise Jt808Error(f"{digits!r} doesn't fit {length} bytes of BCD")
    return bytes.fromhex(digits.zfill(2 * length))


def encode(frame: Frame) -> bytes:
    """The frame as it goes on the wire, both marks included."""
    if len(frame.body) > MAX_BODY:
        raise Jt808Error(f"body of {len(frame.body)} bytes is over {MAX_BODY}")
    raw = _header(frame) + frame.body
    raw += bytes([_check(raw)])
    return bytes([MARK]) + _escape(raw) + bytes([MARK])


def _header(frame: Frame) -> bytes:
    if frame.edition >= 2019:
        properties = len(frame.body) | 1 << 14
        start = struct.pack(">HHB", frame.message, properties, 1) + bcd(frame.phone, 10)
    else:
        start = struct.pack(">HH", frame.message, len(frame.body)) + bcd(frame.phone, 6)
    return start + struct.pack(">H", frame.serial)


def decode(raw: bytes) -> Frame:
    """A frame from what stands between two marks. Raises `Jt808Error`."""
    data = _unescape(raw)
    if len(data) < 13 or _check(data) != 0:
        raise Jt808Error(f"{data[:16].hex()}: too short or check byte wrong")
    message, properties = struct.unpack_from(">HH", data)
    newer = bool(properties & 1 << 14)
    phone_at, phone_bytes = (5, 10) if newer else (4, 6)
    body_at = phone_at + phone_bytes + 2 + (4 if properties & 1 << 13 else 0)
    length = properties & MAX_BODY
    if len(data) != body_at + length + 1:
        raise Jt808Error(
            f"{data[:16].hex()}: body of {length} bytes announced, {len(data) - body_at - 1} there"
        )
    phone = data[phone_at : phone_at + phone_bytes].hex().lstrip("0")
    (serial,) = struct.unpack_from(">H", data, phone_at + phone_bytes)
    return Frame(message, phone, serial, data[body_at:-1], 2019 if newer else 2013)


def _check(data: bytes) -> int:
    """XOR of all; zero over a frame that includes its check byte."""
    total = 0
    for byte in data:
        total ^= byte
    return total


def _escape(raw: bytes) -> bytes:
    return raw.replace(b"\x7d", b"\x7d\x01").replace(b"\x7e", b"\x7d\x02")


def _unescape(raw: bytes) -> bytes:
    return raw.replace(b"\x7d\x02", b"\x7e").replace(b"\x7d\x01", b"\x7d")


class Deframer:
    """Bytes as they come, frames as they are complete."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """Frames that `data` completes. Raises `Jt808Error` for one that is broken or without end."""
        self._buffer += data
        frames = []
        while (end := self._buffer.find(MARK)) >= 0:
            raw = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            if raw:  # two marks side by side: the end of one frame and the beginning of the next
                frames.append(decode(raw))
        if len(self._buffer) > MAX_FRAME:
            raise Jt808Error(f"{bytes(self._buffer[:16]).hex()}: no end of frame in {MAX_FRAME} bytes")
        return frames


def registration(plate: str, terminal: str, edition: int) -> bytes:
    """0x0100: province and city of GB/T 2260 (32 Jiangsu, 0300 Xuzhou), maker, model, terminal, plate."""
    maker, model, own = (11, 30, 30) if edition >= 2019 else (5, 20, 7)
    text = b"JFSIM".ljust(maker, b"\0") + b"SIM-808".ljust(model, b"\0")
    text += terminal.encode("ascii")[:own].ljust(own, b"\0")
    blue = 1  # JT/T 415: colour of the plate
    return struct.pack(">HH", 32, 300) + text + bytes([blue]) + plate.encode("gbk")


def registration_reply(body: bytes) -> tuple[int, int, str]:
    """0x8100: (serial replied to, result, authentication code). Raises `Jt808Error`."""
    if len(body) < 3:
        raise Jt808Error(f"{body.hex()}: registration reply of {len(body)} bytes")
    serial, result = struct.unpack_from(">HB", body)
    return serial, result, body[3:].decode("gbk", errors="replace").rstrip("\0")


def authentication(code: str, terminal: str, edition: int) -> bytes:
    """0x0102: the code, and from 2019 on its length, the IMEI and the software's version."""
    raw = code.encode("gbk")
    if edition < 2019:
        return raw
    imei = terminal.encode("ascii")[:15].rjust(15, b"0")
    return bytes([len(raw)]) + raw + imei + b"SIM 1.0".ljust(20, b"\0")


def position(fix: Position) -> bytes:
    """0x0200: alarm, status, position, and the items mileage (0x01) and satellites (0x31)."""
    status = _STATUS_ACC | _STATUS_FIX | _STATUS_GPS | _STATUS_BEIDOU
    status |= (_STATUS_SOUTH if fix.lat < 0 else 0) | (_STATUS_WEST if fix.lon < 0 else 0)
    no_alarm = 0
    base = struct.pack(
        ">IIIIHHH",
        no_alarm,
        status,
        round(abs(fix.lat) * 1_000_000),
        round(abs(fix.lon) * 1_000_000),
        fix.altitude_m,
        round(fix.speed_kmh * 10),
        fix.course_deg % 360,
    )
    time = bcd(fix.at.astimezone(GMT8).strftime("%y%m%d%H%M%S"), 6)
    items = struct.pack(">BBI", 0x01, 4, round(fix.odometer_m / 100)) + bytes([0x31, 1, fix.satellites])
    return base + time + items


def position_batch(bodies: Sequence[bytes]) -> bytes:
    """0x0704: fixes kept while there was no connection (type 1)."""
    parts = b"".join(struct.pack(">H", len(body)) + body for body in bodies)
    return struct.pack(">HB", len(bodies), _BATCH_OF_BLIND_AREA) + parts


def general_reply(serial: int, message: int, result: int) -> bytes:
    """0x0001 or 0x8001."""
    return struct.pack(">HHB", serial, message, result)


def read_general_reply(body: bytes) -> tuple[int, int, int]:
    """(serial, message replied to, result). Raises `Jt808Error`."""
    if len(body) != 5:
        raise Jt808Error(f"{body[:16].hex()}: general reply of {len(body)} bytes")
    serial, message, result = struct.unpack(">HHB", body)
    return serial, message, result


def text_of(body: bytes, edition: int) -> str:
    """The text of a 0x8300: a flag byte first, from 2019 on a type byte too. Raises `Jt808Error`."""
    start = 2 if edition >= 2019 else 1
    if len(body) < start:
        raise Jt808Error(f"{body.hex()}: text message of {len(body)} bytes")
    return body[start:].decode("gbk", errors="replace").rstrip("\0")


def utc_of_bcd(raw: bytes) -> datetime:
    """Six bytes of BCD in GMT+8 as UTC; for those who read what a terminal wrote."""
    return datetime.strptime(raw.hex(), "%y%m%d%H%M%S").replace(tzinfo=GMT8).astimezone(UTC)
