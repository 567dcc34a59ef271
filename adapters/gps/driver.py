"""Trackers: a listener for each TCP and UDP protocol of the table, one MQTT connection for the others.

A terminal is answered only after what it said is in the outbox. Everything runs on one event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import cast

import structlog

from adapters.again import Again
from adapters.gps.judge import Hearing, Register, observe
from adapters.gps.limits import Admission, Allowance, Limits
from adapters.gps.report import (
    CannotOrder,
    Confirmed,
    Errand,
    Event,
    MessageDecoder,
    Outgoing,
    Report,
    Said,
    StreamDecoder,
)
from adapters.gps.table import TABLE, Line, Transport
from adapters.knowledge import PREFIX as KNOWN
from adapters.knowledge import Knowledge
from adapters.mqtt.driver import Family, FieldConnection, Taken
from adapters.mqtt.heard import Heard
from adapters.refusal import Refusal
from adapters.sender import Sender
from wire import codec
from wire.bus import Broker
from wire.clock import Clock
from wire.link import supervise
from wire.observations import Link, Observation, Reply
from wire.outbox import Mark
from wire.work import Answer, TrackerWork, UnitOrder

log = structlog.get_logger(__name__)

WORK = "work"
CONFIRMATION_S = 8.0


@dataclass(frozen=True, slots=True)
class Listening:
    """Where to listen."""

    host: str
    ports: Mapping[str, int] = field(default_factory=dict)
    """By protocol, where it isn't the table's."""
    secret: bytes = field(default=b"", repr=False)
    limits: Limits = field(default_factory=Limits)


class GpsDriver:
    """Runs on one event loop; `work` and `order` are called there too."""

    def __init__(
        self,
        broker: Broker,
        sender: Sender,
        listening: Listening,
        clock: Clock,
        *,
        client_id: str = "adapters-gps",
        table: Sequence[Line] = TABLE,
        confirmation_s: float = CONFIRMATION_S,
    ) -> None:
        self.sender = sender
        self.clock = clock
        self.listening = listening
        self.sessions: dict[tuple[str, str], Session] = {}
        """Open sessions by protocol and terminal."""
        self._table = table
        self._confirmation_s = confirmation_s
        self._messages: dict[str, MessageDecoder] = {
            line.name: cast(type[MessageDecoder], line.decoder)()
            for line in table
            if line.transport is Transport.MQTT
        }
        kept = sender.outbox.marked(WORK)
        self.has_work = kept is not None
        """Whether it knows which trackers are registered."""
        self._register = Register(codec.decode(kept.encode(), TrackerWork).trackers if kept else ())
        self._knowledge = Knowledge({})
        family = Family(name="gps", take=self._take, protocol_of=self._protocol_of, reload=self.reload)
        self._connection = FieldConnection(broker, client_id, sender, family, clock)
        self._connection.want(frozenset(topic for line in table for topic in line.topics))
        self.reload()

    @property
    def connected(self) -> bool:
        """Whether the broker has us."""
        return self._connection.connected

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._connection.run())
            for line in self._table:
                if line.transport is not Transport.MQTT:
                    group.create_task(self._listen(line))

    def work(self, work: TrackerWork) -> None:
        """Takes the registered trackers, now and for the next start."""
        self.has_work = True
        self._register = Register(work.trackers)
        self.sender.outbox.append((), (Mark(WORK, codec.encode(work).decode()),))

    async def order(self, raw: bytes) -> bytes:
        """Carries out a `UnitOrder`; gives an `Answer`."""
        try:
            order = codec.decode(raw, UnitOrder)
        except codec.WireError as error:
            return codec.encode(Answer(ok=False, reason=error.reason))
        answer = await self._carry_out(order)
        reply = Reply(command=order.command, ok=answer.ok, reason=answer.reason)
        source = f"tracker:{order.tracker}"
        self.sender.outbox.append([Observation(source=source, body=reply, heard_at=self.clock())])
        return codec.encode(answer)

    def decode_again(self, again: Again) -> list[Observation]:
        """What refused bytes say by now, by a decoder of its own. Raises `Refusal`."""
        line = next((one for one in self._table if one.name == again.protocol), None)
        if line is None:
            raise Refusal("unclaimed", f"{again.protocol} is no tracker protocol of ours")
        events: list[Event] = []
        if line.transport is Transport.MQTT:
            messages = cast(type[MessageDecoder], line.decoder)()
            events += messages.receive(Heard(again.peer, again.raw), again.heard_at)
        else:
            stream = cast(type[StreamDecoder], line.decoder)(self.listening.secret)
            events += stream.receive(stream.framed(again.raw), again.heard_at)
            events += stream.receive(None, again.heard_at)
        hearing, knowledge = Hearing(line.name, again.heard_at), Knowledge({})
        observations: list[Observation] = []
        for event in events:
            if isinstance(event, Refusal):
                raise event
            observations += observe(event, hearing, self._register, knowledge)
        if not events:
            raise Refusal("empty", "nothing of it was kept")
        return observations

    def store(self, protocol: str, report: Report) -> Future[int] | None:
        """Puts what a terminal said into the outbox; None where it said nothing new."""
        observations = observe(report, Hearing(protocol, self.clock()), self._register, self._knowledge)
        marks = self._knowledge.take_marks()
        return self.sender.outbox.append(observations, marks) if observations or marks else None

    def reject(self, protocol: str, peer: str, refusal: Refusal) -> None:
        """Counts what could not be understood."""
        self.sender.rejects.add(protocol, peer, refusal, self.clock())

    def introduce(self, session: Session, address: str, *, signed_in: bool) -> bool:
        """A session names its terminal. False where the same terminal is signed in elsewhere."""
        key = (session.line.name, address)
        other = self.sessions.get(key)
        if other is not None and other is not session:
            if other.signed_in and not signed_in:
                return False
            other.close("the terminal connected anew")
        self.sessions[key] = session
        return True

    def leave(self, session: Session, reason: str) -> None:
        """A session has ended."""
        for key in [key for key, one in self.sessions.items() if one is session]:
            del self.sessions[key]
            gone = Report(key[1], (Said(Link(up=False, reason=reason)),))
            self.store(session.line.name, gone)

    def reload(self) -> None:
        """What is committed, and no more, is known."""
        self._knowledge = Knowledge(self.sender.outbox.marks(KNOWN))

    def _line_of(self, topic: str) -> Line | None:
        first = topic.split("/", 1)[0]
        lines = [line for line in self._table if line.transport is Transport.MQTT]
        return next(
            (line for line in lines if any(one.split("/", 1)[0] == first for one in line.topics)), None
        )

    def _protocol_of(self, topic: str) -> str:
        line = self._line_of(topic)
        return line.name if line else "mqtt"

    def _take(self, heard: Heard) -> Taken:
        line = self._line_of(heard.topic)
        if line is None:
            raise Refusal("bad_topic", f"{heard.topic}: no tracker protocol's", heard.payload)
        hearing = Hearing(line.name, self.clock(), heard.retained)
        observations: list[Observation] = []
        for event in self._messages[line.name].receive(heard, hearing.now):
            if isinstance(event, Refusal):
                self.reject(line.name, heard.topic, event)
            else:
                observations += observe(event, hearing, self._register, self._knowledge)
        return Taken(observations, self._knowledge.take_marks())

    async def _listen(self, line: Line) -> None:
        port = self.listening.ports.get(line.name, line.port)
        listener = Listener(self, line, port)
        await supervise(f"{line.name} listener on port {port}", listener.session, down=listener.closed)

    async def _carry_out(self, order: UnitOrder) -> Answer:
        terminal = self._register.terminal_of(order.tracker)
        if terminal is None:
            return Answer(ok=False, reason=f"tracker {order.tracker!r} is not registered")
        protocol, address = terminal
        errand = Errand(order.text, order.lat, order.lon, self.clock())
        try:
            async with asyncio.timeout(self._confirmation_s):
                if protocol in self._messages:
                    return await self._publish(self._messages[protocol].order(address, errand))
                session = self.sessions.get(terminal)
                if session is None:
                    return Answer(ok=False, reason=f"terminal {address} is not connected")
                confirmed = await session.order(errand)
                return Answer(ok=confirmed.ok, reason=confirmed.reason)
        except (CannotOrder, ConnectionError) as error:
            return Answer(ok=False, reason=str(error))
        except TimeoutError:
            return Answer(ok=False, reason=f"sent, but not confirmed within {self._confirmation_s:g} s")

    async def _publish(self, outgoing: Outgoing) -> Answer:
        await asyncio.wrap_future(self._connection.publish(outgoing.topic, outgoing.data))
        return Answer(ok=True, reason="with the broker; this protocol's terminals confirm nothing")


class Listener:
    """The listening socket of one protocol, and its count of sessions."""

    def __init__(self, driver: GpsDriver, line: Line, port: int) -> None:
        self.driver = driver
        self.line = line
        self.port = port
        self.admission = Admission(driver.listening.limits)
        self.open: set[Session] = set()

    async def session(self, proved: Callable[[], None]) -> None:
        """Listens until cancelled."""
        loop = asyncio.get_running_loop()
        host = self.driver.listening.host
        if self.line.transport is Transport.UDP:
            transport, _ = await loop.create_datagram_endpoint(
                lambda: Datagrams(self), local_addr=(host, self.port)
            )
        else:
            server = await loop.create_server(lambda: Session(self), host, self.port, backlog=1024)
            transport = server  # type: ignore[assignment]
        log.info("listening for trackers", protocol=self.line.name, host=host, port=self.port)
        proved()
        try:
            await loop.create_future()
        finally:
            transport.close()

    def closed(self, reason: str) -> None:
        """The listening socket is gone; so are its sessions."""
        for session in list(self.open):
            session.close(reason)

    def decoder(self) -> StreamDecoder:
        """One for a connection or datagram."""
        return cast(type[StreamDecoder], self.line.decoder)(self.driver.listening.secret)


class Session(asyncio.Protocol):
    """One terminal's TCP connection."""

    def __init__(self, listener: Listener) -> None:
        self.line = listener.line
        self.signed_in = False
        self._listener = listener
        self._driver = listener.driver
        self._limits = listener.driver.listening.limits
        self._decoder = listener.decoder()
        self._loop = asyncio.get_running_loop()
        self._reason = ""
        self._introduced = False
        self._terminals: set[str] = set()
        self._unstored = 0
        self._awaited: dict[str, asyncio.Future[Confirmed]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Admits the session or ends it."""
        self._transport = cast(asyncio.Transport, transport)
        peer = self._transport.get_extra_info("peername") or ("unknown", 0)
        self._address, self._peer = str(peer[0]), f"{peer[0]}:{peer[1]}"
        now_s = self._loop.time()
        self._heard_s = now_s
        self._allowance = Allowance(self._limits, now_s)
        refused = self._listener.admission.admit(self._address)
        self._admitted = not refused
        self._timer: asyncio.TimerHandle | None = None
        if refused:
            self._reject(Refusal("too_many_sessions", refused))
            self._transport.abort()
            return
        self._listener.open.add(self)
        self._timer = self._loop.call_later(self._limits.introduction_s, self._check_introduction)

    def data_received(self, data: bytes) -> None:
        """Decodes, and pauses a session that floods."""
        self._heard_s = self._loop.time()
        self._take(self._decoder.receive(data, self._driver.clock()))
        pause_s = self._allowance.spend(len(data), self._heard_s)
        if pause_s > 0 and not self._transport.is_closing():
            self._transport.pause_reading()
            self._loop.call_later(pause_s, self._resume)

    def connection_lost(self, exc: Exception | None) -> None:
        """The end of the stream is an input too."""
        if self._timer is not None:
            self._timer.cancel()
        if not self._admitted:
            return
        self._listener.open.discard(self)
        self._listener.admission.leave(self._address)
        self._take(self._decoder.receive(None, self._driver.clock()))
        self._driver.leave(self, self._reason or (str(exc) if exc else "closed by the terminal"))
        for waiting in self._awaited.values():
            if not waiting.done():
                waiting.set_exception(ConnectionError("the terminal's connection was lost"))

    def close(self, reason: str) -> None:
        """Ends the session from our side."""
        self._reason = reason
        self._transport.close()

    async def order(self, errand: Errand) -> Confirmed:
        """Sends an errand and waits for the terminal's own word. Raises `CannotOrder`, `ConnectionError`."""
        outgoing = self._decoder.order(errand)
        if not outgoing.token:
            self._transport.write(outgoing.data)
            return Confirmed("", True, "sent; this protocol's terminals confirm nothing")
        confirmed: asyncio.Future[Confirmed] = self._loop.create_future()
        self._awaited[outgoing.token] = confirmed
        self._transport.write(outgoing.data)
        try:
            return await confirmed
        finally:
            del self._awaited[outgoing.token]

    def _take(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, Refusal):
                self._reject(event)
                self._write(event.reply)
            else:
                self._report(event)

    def _report(self, report: Report) -> None:
        self._terminals.add(report.address)
        if len(self._terminals) > self._limits.terminals_per_session:
            self._reject(Refusal("too_many_terminals", f"more than {self._limits.terminals_per_session}"))
            self.close("too many terminals in one session")
            return
        ours = self._driver.introduce(self, report.address, signed_in=self.signed_in or report.signed_in)
        if not ours and not report.signing_in:
            reason = f"{report.address} is signed in from elsewhere"
            self._reject(Refusal("terminal_elsewhere", reason, report.address.encode()))
            return
        self._introduced = True
        self.signed_in = self.signed_in or report.signed_in
        if report.confirmed is not None:
            self._confirm(report.confirmed)
        stored = self._driver.store(self.line.name, report)
        if stored is None:
            self._write(report.reply)
            return
        self._unstored += 1
        if self._unstored > self._limits.unstored and not self._transport.is_closing():
            self._transport.pause_reading()
        stored.add_done_callback(
            lambda done: self._loop.call_soon_threadsafe(self._stored, done, report.reply)
        )

    def _stored(self, done: Future[int], reply: bytes) -> None:
        """Only now does the terminal learn that we have it; where we don't, it sends it again."""
        self._unstored -= 1
        error = done.exception()
        if error is None:
            self._write(reply)
        else:
            self._driver.reload()
            self.close(f"could not store: {error}")
        self._resume()

    def _confirm(self, confirmed: Confirmed) -> None:
        waiting = self._awaited.get(confirmed.token)
        if waiting is not None and not waiting.done():
            waiting.set_result(confirmed)

    def _resume(self) -> None:
        paused_s = self._allowance.spend(0, self._loop.time())
        if paused_s <= 0 and self._unstored <= self._limits.unstored and not self._transport.is_closing():
            self._transport.resume_reading()

    def _write(self, data: bytes) -> None:
        if data and not self._transport.is_closing():
            self._transport.write(data)

    def _reject(self, refusal: Refusal) -> None:
        self._driver.reject(self.line.name, self._peer, refusal)

    def _check_introduction(self) -> None:
        if not self._introduced:
            reason = f"nothing that could be read within {self._limits.introduction_s:g} s"
            self._reject(Refusal("no_introduction", reason))
            self.close(reason)
            return
        self._check_silence()

    def _check_silence(self) -> None:
        left_s = self._heard_s + self._limits.silence_s - self._loop.time()
        if left_s <= 0:
            self.close(f"silent for {self._limits.silence_s:g} s")
        else:
            self._timer = self._loop.call_later(left_s, self._check_silence)


class Datagrams(asyncio.DatagramProtocol):
    """A protocol over UDP: each datagram is a stream of its own."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._driver = listener.driver
        self._allowances: dict[str, Allowance] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the socket to answer through."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, peer: tuple[str, int]) -> None:
        """Decodes one datagram."""
        loop, protocol = asyncio.get_running_loop(), self._listener.line.name
        now, name = self._driver.clock(), f"{peer[0]}:{peer[1]}"
        if self._floods(peer[0], len(data), loop.time()):
            self._driver.reject(protocol, name, Refusal("too_fast", "more than the rate allows", data))
            return
        decoder = self._listener.decoder()
        for event in (*decoder.receive(data, now), *decoder.receive(None, now)):
            if isinstance(event, Refusal):
                self._driver.reject(protocol, name, event)
                continue
            stored = self._driver.store(protocol, event)
            if stored is None:
                self._answer(event.reply, peer)
            else:
                answer = self._answer_when_stored(loop, event.reply, peer)
                stored.add_done_callback(answer)

    def _floods(self, address: str, size: int, now_s: float) -> bool:
        limits = self._driver.listening.limits
        if address not in self._allowances and len(self._allowances) >= limits.sessions:
            self._allowances.clear()
        allowance = self._allowances.setdefault(address, Allowance(limits, now_s))
        return allowance.spend(0, now_s) > 0 or allowance.spend(size, now_s) > 0

    def _answer_when_stored(
        self, loop: asyncio.AbstractEventLoop, reply: bytes, peer: tuple[str, int]
    ) -> Callable[[Future[int]], None]:
        def stored(done: Future[int]) -> None:
            if done.exception() is None:
                loop.call_soon_threadsafe(self._answer, reply, peer)

        return stored

    def _answer(self, reply: bytes, peer: tuple[str, int]) -> None:
        if reply and not self._transport.is_closing():
            self._transport.sendto(reply, peer)
