"""A JT/T 808 terminal for tests, written from the standard apart from the decoder under test."""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

CHINA = timezone(timedelta(hours=8))


def frame(message: int, body: bytes, phone: str, serial: int) -> bytes:
    """A frame of 2013."""
    plain = struct.pack(">HH", message, len(body)) + bytes.fromhex(phone.zfill(12))
    plain += struct.pack(">H", serial) + body
    code = 0
    for byte in plain:
        code ^= byte
    escaped = (plain + bytes([code])).replace(b"\x7d", b"\x7d\x01").replace(b"\x7e", b"\x7d\x02")
    return b"\x7e" + escaped + b"\x7e"


def position(lat: float, lon: float, at: datetime, *, sos: bool = False) -> bytes:
    """The body of a 0x0200, north and east."""
    clock = bytes.fromhex(at.astimezone(CHINA).strftime("%y%m%d%H%M%S"))
    return struct.pack(">IIIIHHH", int(sos), 3, round(lat * 1e6), round(lon * 1e6), 40, 365, 90) + clock


@dataclass
class Terminal:
    """One connection. `receive` gives message number and body of the next frame from the platform."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    phone: str
    serial: int = 0

    def send(self, message: int, body: bytes = b"") -> int:
        """Sends a frame; gives its serial number."""
        self.serial += 1
        self.writer.write(frame(message, body, self.phone, self.serial))
        return self.serial

    async def receive(self) -> tuple[int, int, bytes]:
        """(message, serial, body)."""
        async with asyncio.timeout(10):
            raw = b""
            while not raw:
                raw = (await self.reader.readuntil(b"\x7e"))[:-1]
        plain = raw.replace(b"\x7d\x02", b"\x7e").replace(b"\x7d\x01", b"\x7d")
        message = struct.unpack_from(">H", plain)[0]
        return message, struct.unpack_from(">H", plain, 10)[0], plain[12:-1]

    async def ask(self, message: int, body: bytes = b"") -> int:
        """Sends, waits for the general reply, gives its result."""
        serial = self.send(message, body)
        answer, _, reply = await self.receive()
        assert answer == 0x8001
        assert struct.unpack_from(">HH", reply) == (serial, message)
        return reply[4]

    async def sign_in(self) -> int:
        """Registers and authenticates; gives the result."""
        who = struct.pack(">HH", 32, 300) + b"SIM01" + b"T-1".ljust(20, b"\0") + b"0000001"
        self.send(0x0100, who + b"\x02" + "苏C0121警".encode("gbk"))
        answer, _, body = await self.receive()
        assert answer == 0x8100
        assert body[2] == 0
        return await self.ask(0x0102, body[3:])
