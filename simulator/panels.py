"""Alarm panels on the network: each with its own MQTT connection, last will, heartbeat and commands."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass

import structlog

from simulator.clock import Clock
from simulator.conventions import Convention, convention_of
from simulator.district import HEARTBEAT_S, Panel
from simulator.ledger import Entry, Ledger
from simulator.line import Access, Line, Will
from simulator.panel_state import DISARMED, ArmChange, Change, PanelState
from simulator.story import Act

log = structlog.get_logger(__name__)

MAX_COMMAND_BYTES = 256


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a device needs of the run it is in."""

    access: Access
    ledger: Ledger
    clock: Clock
    seed: int


class PanelDevice:
    """One panel. Runs on the event loop; its line has a thread of its own."""

    def __init__(self, panel: Panel, around: Surroundings) -> None:
        self.panel = panel
        self.state = PanelState(panel)
        self._words: Convention = convention_of(panel)
        self._clock = around.clock
        self._loop = asyncio.get_running_loop()
        # Panels were not all switched on at the same second.
        self._phase_s = random.Random(f"{around.seed}:{panel.id}").uniform(0, HEARTBEAT_S)
        self._line = Line(
            around.access,
            f"panel-{panel.topic.replace('/', '-')}",
            around.ledger,
            will=Will(self._words.availability, b"offline", retain=True),
            listen=self._words.command_topics,
            received=self._on_line_message,
            connected=lambda: self._loop.call_soon_threadsafe(self._greet),
        )

    @property
    def up(self) -> bool:
        """Connected."""
        return self._line.up

    @property
    def idle(self) -> bool:
        """Everything it said was acknowledged."""
        return self._line.idle

    def start(self) -> None:
        """Connects; from then on it says what it is whenever it has connected."""
        self._line.start()

    def stop(self) -> None:
        """Disconnects in order."""
        self._line.stop()

    async def beat(self) -> None:
        """Repeats a state at its interval, for ever."""
        at_s = self._phase_s
        while True:
            await self._clock.until(at_s)
            telling = self._words.heartbeat(self.state)
            self._line.send(telling.topic, telling.payload.encode(), retain=True)
            at_s += HEARTBEAT_S

    def apply(self, act: Act) -> None:
        """Does what the story or life does to it."""
        if act.do == "cut":
            self._line.cut(active=act.active)
            return
        self._tell(self._changes(act), act.story)

    def _changes(self, act: Act) -> list[Change]:
        match act.do:
            case "zone":
                return self.state.zone(act.zone, active=act.active)
            case "tamper" | "mains" | "battery":
                return self.state.fault(act.do, active=act.active)
            case "arm":
                return self.state.arm(act.state)
            case "disarm":
                return self.state.disarm()
        raise ValueError(f"a panel can't {act.do}")

    def _tell(self, changes: list[Change], story: str = "") -> None:
        for change in changes:
            *before, last = self._words.change(change, self.state)
            for telling in before:
                self._line.send(telling.topic, telling.payload.encode(), retain=True)
            entry = self._entry(change, story)
            self._line.send(last.topic, last.payload.encode(), retain=True, entry=entry)

    def _entry(self, change: Change, story: str) -> Entry:
        entry: Entry = {"at": "", "source": f"panel:{self.panel.id}"}
        if isinstance(change, ArmChange):
            entry |= {"kind": "arming", "partition": self.panel.partition, "state": change.state}
        else:
            entry |= {
                "kind": "point",
                "point": change.point,
                "condition": change.condition,
                "active": change.active,
            }
        return entry | ({"story": story} if story else {})

    def _greet(self) -> None:
        # After what waits: a state as it is now must not overtake how it came about.
        for telling in self._words.describe():
            self._line.send(telling.topic, telling.payload.encode(), retain=True)
        for telling in self._words.states(self.state):
            self._line.send(telling.topic, telling.payload.encode(), retain=True)
        self._line.send(self._words.availability, b"online", retain=True)

    def _on_line_message(self, _topic: str, payload: bytes) -> None:
        self._loop.call_soon_threadsafe(self._obey, payload)

    def _obey(self, payload: bytes) -> None:
        text = payload[:MAX_COMMAND_BYTES].decode(errors="replace")
        command = self._words.understand(text)
        if command is None:
            log.warning("command not understood", panel=self.panel.id, payload=text)
            return
        log.info("command obeyed", panel=self.panel.id, state=command.state)
        if command.state == DISARMED:
            self._tell(self.state.disarm())
        else:
            self._tell(self.state.arm(command.state))
