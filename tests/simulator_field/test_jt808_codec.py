"""JT/T 808 on the wire, against the standard's own example and a conversation another terminal had."""

from __future__ import annotations

import struct
from datetime import UTC, datetime

import pytest

from simulator import jt808

# A 2019 terminal's registration and the platform's reply, from a public walk-through of the protocol
# (developer.aliyun.com, "JT808教程:终端的注册").
_ID = bytes.fromhex("0123456789abcdef")
REGISTRATION_2019 = (
    bytes.fromhex("7e010040540100000000000223456789 0000 000b0065")
    + _ID.ljust(11, b"\0")
    + _ID.ljust(30, b"\0")
    + _ID.ljust(30, b"\0")
    + bytes.fromhex("01 bea9443132333435 93 7e")
)
REPLY_2019 = bytes.fromhex(
    "7e810040170100000000000223456789 0000 0000 00 6e75676d5152563461786c4c476a6a6f6e413d3d 13 7e"
)


def test_a_recorded_registration() -> None:
    (frame,) = jt808.Deframer().feed(REGISTRATION_2019)
    assert (frame.message, frame.edition, frame.phone, frame.serial) == (jt808.REGISTER, 2019, "223456789", 0)
    assert len(frame.body) == 0x54
    assert frame.body[-8:].decode("gbk") == "京D12345"
    assert jt808.encode(frame) == REGISTRATION_2019


def test_a_recorded_registration_reply() -> None:
    (frame,) = jt808.Deframer().feed(REPLY_2019)
    assert jt808.registration_reply(frame.body) == (0, 0, "nugmQRV4axlLGjjonA==")


def test_the_standards_own_escape_example() -> None:
    """Clause 4.4.2: 30 7e 08 7d 55 travels as 30 7d 02 08 7d 01 55."""
    body = bytes.fromhex("307e087d55")
    raw = jt808.encode(jt808.Frame(0x0900, "13905160133", 1, body, 2013))
    assert bytes.fromhex("307d02087d0155") in raw
    assert raw.count(0x7E) == 2
    (frame,) = jt808.Deframer().feed(raw)
    assert frame.body == body


@pytest.mark.parametrize("size", [1, 7, 4096])
@pytest.mark.parametrize("edition", [2013, 2019])
def test_frames_in_pieces(size: int, edition: int) -> None:
    sent = [
        jt808.Frame(message, "13905160142", serial, bytes(range(serial)), edition)
        for serial, message in enumerate((0x8001, 0x8300, 0x8100, 0x8103), 1)
    ]
    raw = b"".join(map(jt808.encode, sent))
    deframer = jt808.Deframer()
    got = [frame for at in range(0, len(raw), size) for frame in deframer.feed(raw[at : at + size])]
    assert got == sent


def test_a_position_byte_for_byte() -> None:
    fix = jt808.Position(
        lat=34.26110,
        lon=117.21873,
        altitude_m=38,
        speed_kmh=61.4,
        course_deg=270,
        at=datetime(2026, 11, 21, 16, 5, 9, tzinfo=UTC),
        odometer_m=123_400,
        satellites=14,
    )
    body = jt808.position(fix)
    alarm, status, lat, lon, altitude, speed, course = struct.unpack_from(">IIIIHHH", body)
    assert (alarm, lat, lon, altitude, speed, course) == (0, 34_261_100, 117_218_730, 38, 614, 270)
    assert status & 0b11 == 0b11, "ignition on, position valid"
    assert status & 0b1100 == 0, "north and east"
    assert body[22:28].hex() == "261122000509", "BCD, GMT+8: five past midnight of the next day"
    assert jt808.utc_of_bcd(body[22:28]) == fix.at
    assert body[28:] == bytes.fromhex("0104000004d2" + "31010e")


def test_hemispheres_stand_in_the_status() -> None:
    fix = jt808.Position(-33.5, -70.25, 0, 0, 0, datetime(2026, 1, 1, tzinfo=UTC), 0, 9)
    _, status, lat, lon = struct.unpack_from(">IIII", jt808.position(fix))
    assert status & 0b1100 == 0b1100
    assert (lat, lon) == (33_500_000, 70_250_000)


def test_a_batch_holds_whole_positions() -> None:
    body = jt808.position_batch([b"a" * 37, b"b" * 37])
    assert body[:3] == bytes([0, 2, 1])
    assert body[3:5] == bytes([0, 37])
    assert len(body) == 3 + 2 * 39


@pytest.mark.parametrize(("edition", "length"), [(2013, 37), (2019, 76)])
def test_registration_and_authentication_differ_by_edition(edition: int, length: int) -> None:
    body = jt808.registration("苏C0142", "5160142", edition)
    plate = "苏C0142".encode("gbk")
    assert len(body) == length + len(plate)
    assert body[:4] == struct.pack(">HH", 32, 300)
    assert body.endswith(plate)
    authentication = jt808.authentication("abc", "5160142", edition)
    assert len(authentication) == (3 if edition == 2013 else 1 + 3 + 15 + 20)


def test_text_begins_after_its_flags() -> None:
    assert jt808.text_of(b"\x08" + "速去".encode("gbk"), 2013) == "速去"
    assert jt808.text_of(b"\x08\x01" + "速去".encode("gbk"), 2019) == "速去"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"\x7e\x01\x02\x7e", "too short"),
        (jt808.encode(jt808.Frame(2, "1", 1, b"", 2013))[:-2] + b"\x00\x7e", "check byte wrong"),
        (b"\x7e" + b"\x00" * 5000, "no end of frame"),
    ],
)
def test_broken_frames_are_refused_with_evidence(raw: bytes, reason: str) -> None:
    with pytest.raises(jt808.Jt808Error, match=reason):
        jt808.Deframer().feed(raw)


def test_a_frame_whose_length_lies_is_refused() -> None:
    whole = bytearray(jt808.encode(jt808.Frame(2, "1", 1, b"ab", 2013)))
    whole[4] = 5  # body length
    whole[-2] ^= 2 ^ 5  # check byte made right again
    with pytest.raises(jt808.Jt808Error, match="announced"):
        jt808.Deframer().feed(bytes(whole))


def test_a_phone_number_must_fit() -> None:
    with pytest.raises(jt808.Jt808Error):
        jt808.bcd("1" * 13, 6)
    assert jt808.bcd("13905160133", 6) == bytes.fromhex("013905160133")
