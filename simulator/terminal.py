"""A patrol car's JT/T 808 terminal on TCP: signs in, reports, keeps what isn't acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog

from simulator import jt808
from simulator.cars import PatrolCar, TimedFix
from simulator.gazetteer import Car
from simulator.ledger import Entry, instant
from simulator.panels import Surroundings
from simulator.roads import RoadNetwork

log = structlog.get_logger(__name__)

ANSWER_WITHIN_S = 10.0
"""Without an answer for so long the connection counts as broken, and what was sent is sent again."""
HEARTBEAT_EVERY_S = 25.0
BATCH_OF = 20
MAX_KEPT = 20_000
"""Fixes a terminal keeps while it is cut off, about 16 hours; beyond, its oldest go."""


class Refused(ConnectionError):
    """The platform wouldn't have this terminal."""


@dataclass(slots=True)
class _Kept:
    """A fix that the platform hasn't acknowledged yet."""

    body: bytes
    entry: Entry


@dataclass(slots=True)
class _Session:
    """One TCP connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    deframer: jt808.Deframer = field(default_factory=jt808.Deframer)
    inbox: deque[jt808.Frame] = field(default_factory=deque)
    waiting: dict[int, tuple[float, list[int]]] = field(default_factory=dict)
    """Serial → when it was sent and which fixes it carried."""
    backlog: deque[int] = field(default_factory=deque)
    """Fixes kept from before this connection; they go batch by batch, the next when one is acknowledged."""
    ready: bool = False

    async def receive(self) -> jt808.Frame:
        """The next frame."""
        while not self.inbox:
            data = await self.reader.read(4096)
            if not data:
                raise ConnectionResetError("closed by the platform")
            self.inbox.extend(self.deframer.feed(data))
        return self.inbox.popleft()


class Jt808Car(PatrolCar):
    """A car with such a terminal."""

    def __init__(
        self, car: Car, network: RoadNetwork, around: Surroundings, platform: tuple[str, int]
    ) -> None:
        super().__init__(car, network, around)
        self._platform = platform
        self._rng = random.Random(f"{around.seed}:{car.id}:retry")
        self._serial = 0
        self._code: str | None = None
        self._kept: OrderedDict[int, _Kept] = OrderedDict()
        self._number = 0
        self._session: _Session | None = None
        self._cut = False
        self._task: asyncio.Task[None] | None = None

    @property
    def up(self) -> bool:
        return self._session is not None and self._session.ready

    @property
    def idle(self) -> bool:
        return not self._kept

    def start(self) -> None:
        self._task = asyncio.create_task(self._live(), name=f"jt808 {self.car.id}")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def cut(self, *, active: bool) -> None:
        self._cut = active
        if active and self._session is not None:
            self._session.writer.transport.abort()

    def report(self, fix: TimedFix) -> None:
        self._number += 1
        self._kept[self._number] = _Kept(jt808.position(_position(fix)), self._entry(fix))
        if len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)
            log.warning("terminal memory full, oldest fix gone", car=self.car.id)
        if self._session is not None and self._session.ready:
            self._send_fixes(self._session, [self._number])

    async def _live(self) -> None:
        while True:
            if not self._cut:
                try:
                    await self._connect()
                except (OSError, TimeoutError, jt808.Jt808Error) as error:
                    log.debug("terminal not connected", car=self.car.id, reason=repr(error))
            await asyncio.sleep(self._rng.uniform(0.5, 1.5))

    async def _connect(self) -> None:
        reader, writer = await asyncio.wait_for(asyncio.open_connection(*self._platform), ANSWER_WITHIN_S)
        session = self._session = _Session(reader, writer)
        try:
            if self._cut:
                raise ConnectionAbortedError("cut off")
            await asyncio.wait_for(self._sign_in(session), ANSWER_WITHIN_S)
            session.ready = True
            session.backlog.extend(self._kept)
            log.info("terminal signed in", car=self.car.id, kept=len(session.backlog))
            self._send_batch(session)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._listen(session))
                both.create_task(self._watch(session))
        except* (OSError, TimeoutError, jt808.Jt808Error) as errors:
            log.info("terminal lost its platform", car=self.car.id, reason=repr(errors.exceptions[0]))
        finally:
            self._session = None
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _sign_in(self, session: _Session) -> None:
        terminal = self.car.address[-7:]
        if self._code is None:
            plate = self.car.name.replace("-", "")
            self._send(session, jt808.REGISTER, jt808.registration(plate, terminal, self.car.edition))
            answer = await self._next(session, jt808.REGISTER_REPLY)
            _, result, code = jt808.registration_reply(answer.body)
            if result != jt808.OK:
                raise Refused(f"registration refused, result {result}")
            self._code = code
        serial = self._send(
            session, jt808.AUTHENTICATE, jt808.authentication(self._code, terminal, self.car.edition)
        )
        answer = await self._next(session, jt808.PLATFORM_REPLY)
        replied, message, result = jt808.read_general_reply(answer.body)
        if (replied, message, result) != (serial, jt808.AUTHENTICATE, jt808.OK):
            self._code = None  # the platform has forgotten us: register anew
            raise Refused(f"authentication refused, result {result}")

    async def _next(self, session: _Session, message: int) -> jt808.Frame:
        """The next frame of a kind, while signing in; others are answered as always."""
        while True:
            frame = await session.receive()
            if frame.message == message:
                return frame
            self._take(session, frame)

    async def _listen(self, session: _Session) -> None:
        while True:
            self._take(session, await session.receive())

    async def _watch(self, session: _Session) -> None:
        """Beats, and gives up a connection on which answers fail to come."""
        loop = asyncio.get_running_loop()
        beat_at = loop.time() + HEARTBEAT_EVERY_S
        while True:
            await asyncio.sleep(1)
            now = loop.time()
            if any(now - sent_at > ANSWER_WITHIN_S for sent_at, _ in session.waiting.values()):
                raise TimeoutError(f"no answer within {ANSWER_WITHIN_S:g} s")
            if now >= beat_at:
                self._send(session, jt808.HEARTBEAT, b"")
                beat_at = now + HEARTBEAT_EVERY_S

    def _take(self, session: _Session, frame: jt808.Frame) -> None:
        if frame.message == jt808.PLATFORM_REPLY:
            self._acknowledged(session, *jt808.read_general_reply(frame.body))
            return
        result = jt808.OK
        if frame.message == jt808.TEXT:
            self.told(jt808.text_of(frame.body, frame.edition))
        else:
            result = jt808.UNSUPPORTED
        reply = jt808.general_reply(frame.serial, frame.message, result)
        self._send(session, jt808.TERMINAL_REPLY, reply)

    def _acknowledged(self, session: _Session, serial: int, message: int, result: int) -> None:
        if message not in (jt808.POSITION, jt808.POSITION_BATCH):
            return
        _, numbers = session.waiting.pop(serial, (0.0, []))
        for number in numbers:
            kept = self._kept.pop(number, None)
            if kept is None:
                continue
            if result == jt808.OK:
                self._around.ledger.write(kept.entry)
            else:
                # To send it again would only be refused again.
                log.warning("fix refused by the platform", car=self.car.id, result=result)
        if message == jt808.POSITION_BATCH:
            self._send_batch(session)

    def _send_batch(self, session: _Session) -> None:
        numbers: list[int] = []
        while session.backlog and len(numbers) < BATCH_OF:
            number = session.backlog.popleft()
            if number in self._kept:
                numbers.append(number)
        if numbers:
            self._send_fixes(session, numbers, batch=True)

    def _send_fixes(self, session: _Session, numbers: list[int], *, batch: bool = False) -> None:
        at = instant(datetime.now(UTC))
        for number in numbers:
            self._kept[number].entry["at"] = at
        bodies = [self._kept[number].body for number in numbers]
        if batch:
            serial = self._send(session, jt808.POSITION_BATCH, jt808.position_batch(bodies))
        else:
            serial = self._send(session, jt808.POSITION, bodies[0])
        session.waiting[serial] = (asyncio.get_running_loop().time(), numbers)

    def _send(self, session: _Session, message: int, body: bytes) -> int:
        self._serial = (self._serial + 1) % 65_536
        frame = jt808.Frame(message, self.car.address, self._serial, body, self.car.edition)
        session.writer.write(jt808.encode(frame))
        return self._serial


def _position(timed: TimedFix) -> jt808.Position:
    fix = timed.fix
    return jt808.Position(
        lat=fix.lat,
        lon=fix.lon,
        altitude_m=38,
        speed_kmh=fix.speed_kmh,
        course_deg=fix.course_deg,
        at=timed.at,
        odometer_m=timed.odometer_m,
        satellites=14,
    )
