"""Alarm panels over MQTT: one connection for all conventions, orders confirmed by the panel's own state."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Sequence

import structlog

from adapters.again import Again
from adapters.alarm.convention import CannotOrder, Convention, Outcome, Publication, Statement
from adapters.alarm.judge import Judge
from adapters.alarm.table import CONVENTIONS
from adapters.knowledge import PREFIX as KNOWN
from adapters.knowledge import Knowledge
from adapters.mqtt.driver import Family, FieldConnection, Taken
from adapters.mqtt.heard import Heard
from adapters.refusal import Refusal
from adapters.sender import Sender
from wire import codec
from wire.bus import Broker
from wire.clock import Clock
from wire.observations import Arming, ArmState, Observation, Reply
from wire.outbox import Mark
from wire.work import Answer, Panel, PanelOrder, PanelWork

log = structlog.get_logger(__name__)

FACT = "fact|"
WORK = "work"
CONFIRMATION_S = 8.0
REWIRE_S = 0.02
"""Discovery comes in bursts; subscriptions are brought up to date once a burst."""


class AlarmDriver:
    """Runs on one event loop; `work` and `order` are called there too."""

    def __init__(
        self,
        broker: Broker,
        sender: Sender,
        clock: Clock,
        *,
        client_id: str = "adapters-alarm",
        conventions: Sequence[type[Convention]] = CONVENTIONS,
        confirmation_s: float = CONFIRMATION_S,
    ) -> None:
        self._sender = sender
        self._clock = clock
        self._kinds = conventions
        self._confirmation_s = confirmation_s
        self._panels: tuple[Panel, ...] = ()
        self._conventions: tuple[Convention, ...] = ()
        self._judge = Judge(Knowledge({}))
        self._rewiring: asyncio.TimerHandle | None = None
        self._awaited: dict[tuple[str, str], _Awaited] = {}
        kept = sender.outbox.marked(WORK)
        self.has_work = kept is not None
        """Whether it knows which panels are registered."""
        if kept is not None:
            self._panels = codec.decode(kept.encode(), PanelWork).panels
        family = Family(name="alarm", take=self._take, protocol_of=self._protocol_of, reload=self._reload)
        self._connection = FieldConnection(broker, client_id, sender, family, clock)
        self._reload()

    @property
    def connected(self) -> bool:
        """Whether the broker has us."""
        return self._connection.connected

    async def run(self) -> None:
        """Until cancelled."""
        await self._connection.run()

    def work(self, work: PanelWork) -> None:
        """Takes the registered panels, now and for the next start."""
        self.has_work = True
        self._panels = work.panels
        self._sender.outbox.append((), (Mark(WORK, codec.encode(work).decode()),))
        self._expect()

    async def order(self, raw: bytes) -> bytes:
        """Carries out a `PanelOrder`; gives an `Answer`."""
        try:
            order = codec.decode(raw, PanelOrder)
        except codec.WireError as error:
            return codec.encode(Answer(ok=False, reason=error.reason))
        answer = await self._carry_out(order)
        reply = Reply(command=order.command, ok=answer.ok, reason=answer.reason)
        source = f"panel:{order.panel}"
        self._sender.outbox.append([Observation(source=source, body=reply, heard_at=self._clock())])
        return codec.encode(answer)

    def decode_again(self, again: Again) -> list[Observation]:
        """What a refused message says by now, by copies of the conventions and a judge of its own.

        Raises `Refusal`.
        """
        heard = Heard(again.peer, again.raw)
        claiming = [copy.deepcopy(one) for one in self._conventions if one.claims(again.peer)]
        if not claiming:
            raise Refusal("unclaimed", f"{again.peer}: no panel that is known speaks there")
        statements = [said for convention in claiming for said in convention.receive(heard).statements]
        return Judge(Knowledge({})).judge(statements, again.heard_at, retained=False)

    def _reload(self) -> None:
        """What is committed, and no more, is known."""
        marks = self._sender.outbox.marks(FACT)
        self._conventions = tuple(kind() for kind in self._kinds)
        for convention in self._conventions:
            prefix = f"{FACT}{convention.name}|"
            facts = {name[len(prefix) :]: fact for name, fact in marks.items() if name.startswith(prefix)}
            convention.recall({name: fact for name, fact in facts.items() if fact})
        self._judge = Judge(Knowledge(self._sender.outbox.marks(KNOWN)))
        self._expect()

    def _expect(self) -> None:
        for convention in self._conventions:
            convention.expect(self._panels)
        self._judge.expect({panel.id: panel.interval_s for panel in self._panels})
        self._rewire()

    def _rewire(self) -> None:
        self._rewiring = None
        self._connection.want(frozenset().union(*(one.wants() for one in self._conventions)))

    def _protocol_of(self, topic: str) -> str:
        return next((one.name for one in self._conventions if one.claims(topic)), "mqtt")

    def _take(self, heard: Heard) -> Taken:
        observations: list[Observation] = []
        marks: list[Mark] = []
        for convention in self._conventions:
            if not convention.claims(heard.topic):
                continue
            outcome = convention.receive(heard)
            observations += self._judge.judge(
                outcome.statements, self._clock(), retained=heard.retained, followed=heard.followed
            )
            marks += [Mark(f"{FACT}{convention.name}|{name}", fact) for name, fact in outcome.facts.items()]
            self._settle(outcome)
            for statement in outcome.statements if not heard.retained else ():
                self._confirm(statement)
        return Taken(observations, (*marks, *self._judge.knowledge.take_marks()))

    def _settle(self, outcome: Outcome) -> None:
        if outcome.rewired and self._rewiring is None:
            self._rewiring = asyncio.get_running_loop().call_later(REWIRE_S, self._rewire)

    def _confirm(self, statement: Statement) -> None:
        if isinstance(statement.body, Arming):
            for partition in (statement.body.partition, ""):
                waiting = self._awaited.get((statement.panel, partition))
                if waiting is not None:
                    waiting.hear(statement.body.state)

    async def _carry_out(self, order: PanelOrder) -> Answer:
        key = (order.panel, order.partition)
        if key in self._awaited:
            return Answer(ok=False, reason="another order to this partition still waits for its confirmation")
        try:
            publication = self._publication(order)
        except CannotOrder as error:
            return Answer(ok=False, reason=str(error))
        waiting = self._awaited[key] = _Awaited(order.state)
        waiting.hear(self._judge.state_of(*key))
        try:
            async with asyncio.timeout(self._confirmation_s):
                await asyncio.wrap_future(self._connection.publish(publication.topic, publication.payload))
                state = await waiting.confirmed
        except ConnectionError as error:
            return Answer(ok=False, reason=str(error))
        except TimeoutError:
            return Answer(ok=False, reason=self._what_is_known(order))
        finally:
            del self._awaited[key]
        return Answer(ok=True, reason="exit delay runs" if state == ArmState.ARMING else "")

    def _publication(self, order: PanelOrder) -> Publication:
        panel = next((one for one in self._panels if one.id == order.panel), None)
        for convention in self._conventions:
            if panel is not None and convention.name == panel.convention:
                return convention.order(order.panel, order.partition, order.state)
        raise CannotOrder(f"panel {order.panel!r} is not registered")

    def _what_is_known(self, order: PanelOrder) -> str:
        last = self._judge.state_of(order.panel, order.partition) or "unknown"
        return f"no confirmation within {self._confirmation_s:g} s; the panel's last state is {last}"


class _Awaited:
    """An order on its way: which states confirm it. For arming, the exit delay before it does."""

    def __init__(self, state: str) -> None:
        self._answers = {state} if state == ArmState.DISARMED else {state, ArmState.ARMING}
        self.confirmed: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def hear(self, state: str | None) -> None:
        if state in self._answers and not self.confirmed.done():
            self.confirmed.set_result(state)
