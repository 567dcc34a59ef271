"""A small JT/T 808 platform: takes terminals in, acknowledges or withholds, remembers what it was sent."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from simulator import jt808

CODE = "码-77"


@dataclass
class Platform:
    """One listener. `acknowledge` False leaves positions without an answer."""

    port: int = 0
    acknowledge: bool = True
    frames: list[jt808.Frame] = field(default_factory=list)
    writers: dict[str, asyncio.StreamWriter] = field(default_factory=dict)

    def of(self, message: int) -> list[jt808.Frame]:
        """What came of one kind."""
        return [frame for frame in self.frames if frame.message == message]

    def send(self, phone: str, message: int, serial: int, body: bytes, edition: int = 2013) -> None:
        """A frame to a terminal."""
        frame = jt808.Frame(message, phone, serial, body, edition)
        self.writers[phone].write(jt808.encode(frame))

    def text(self, phone: str, text: str, edition: int = 2013) -> None:
        """0x8300."""
        start = b"\x08\x01" if edition == 2019 else b"\x08"
        self.send(phone, jt808.TEXT, 9, start + text.encode("gbk"), edition)

    def hang_up(self) -> None:
        """Breaks every connection."""
        for writer in self.writers.values():
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        deframer = jt808.Deframer()
        try:
            while data := await reader.read(4096):
                for frame in deframer.feed(data):
                    self.writers[frame.phone] = writer
                    self.frames.append(frame)
                    self._answer(frame)
        except ConnectionError:
            pass
        finally:
            writer.close()

    def _answer(self, frame: jt808.Frame) -> None:
        if frame.message == jt808.REGISTER:
            body = struct.pack(">HB", frame.serial, jt808.OK) + CODE.encode("gbk")
            self.send(frame.phone, jt808.REGISTER_REPLY, frame.serial, body, frame.edition)
        elif frame.message in (jt808.AUTHENTICATE, jt808.HEARTBEAT) or (
            self.acknowledge and frame.message in (jt808.POSITION, jt808.POSITION_BATCH)
        ):
            body = jt808.general_reply(frame.serial, frame.message, jt808.OK)
            self.send(frame.phone, jt808.PLATFORM_REPLY, frame.serial, body, frame.edition)


@asynccontextmanager
async def running_platform() -> AsyncIterator[Platform]:
    """A platform on a free port of loopback."""
    platform = Platform()
    server = await asyncio.start_server(platform.serve, "127.0.0.1", 0)
    platform.port = server.sockets[0].getsockname()[1]
    try:
        yield platform
    finally:
        server.close()
        platform.hang_up()
        await asyncio.sleep(0)


async def until(condition: Callable[[], object], what: str, within_s: float = 10.0) -> None:
    """Waits for a condition; fails naming it."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while not condition():
        assert loop.time() < deadline, f"not within {within_s:g} s: {what}"
        await asyncio.sleep(0.02)
