"""What a panel convention is: messages in, statements about panels out, orders as messages.

A convention holds no clock and no connection. It keeps the structure a panel has told of (which topic is
which zone); what a state was last time is the judge's business (`adapters.alarm.judge`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from adapters.mqtt.heard import Heard
from wire.observations import Body, Condition
from wire.work import Panel, Zone


@dataclass(frozen=True, slots=True)
class Statement:
    """What a message says of a panel. A `Heartbeat` body says no more than that it is alive."""

    panel: str
    """Panel id, without `panel:`."""
    body: Body


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a message came to."""

    statements: tuple[Statement, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    """To be kept over restarts and given back to `recall`; an empty value takes a fact back."""
    rewired: bool = False
    """`Convention.wants` may have changed."""


@dataclass(frozen=True, slots=True)
class Publication:
    """A message to a panel."""

    topic: str
    payload: bytes


def condition_of(zone: Zone) -> Condition:
    """What a registered zone's activity means; intrusion where the register has a word we don't know."""
    return Condition(zone.condition) if zone.condition in list(Condition) else Condition.INTRUSION


class CannotOrder(ValueError):
    """The order can't be put into this convention's words; says why."""


class Convention(ABC):
    """One convention in use, for all panels that speak it."""

    name: str

    @abstractmethod
    def expect(self, panels: Sequence[Panel]) -> None:
        """The panels that are registered, of every convention."""

    @abstractmethod
    def wants(self) -> frozenset[str]:
        """Topic patterns to subscribe to; may grow with what is heard."""

    @abstractmethod
    def claims(self, topic: str) -> bool:
        """Whether messages on `topic` are this convention's."""

    @abstractmethod
    def receive(self, heard: Heard) -> Outcome:
        """Decodes one message. Raises `adapters.refusal.Refusal`."""

    def recall(self, facts: Mapping[str, str]) -> None:
        """Takes back what `Outcome.facts` gave before a restart."""
        _ = facts

    @abstractmethod
    def order(self, panel: str, partition: str, state: str) -> Publication:
        """The message that asks a panel for an arming state. Raises `CannotOrder`."""
