"""What a tracker protocol is: bytes or messages in; reports, refusals and reply bytes out.

A decoder of a stream holds what it needs of one connection; end of stream is an input (`None`). It knows
neither the register nor the clock: who a terminal is to us, and whether a fix can be trusted, is judged
afterwards (`adapters.gps.judge`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from adapters.mqtt.heard import Heard
from adapters.refusal import Refusal
from wire.observations import Body


@dataclass(frozen=True, slots=True)
class Said:
    """One thing a terminal said."""

    body: Body
    device_at: datetime | None = None
    """The terminal's own clock, UTC; None where it gives none."""
    identity: str = ""
    """What makes it this one thing, within the terminal; empty where the protocol has nothing."""
    history: bool = False
    """The terminal itself says that it kept this for later."""


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The terminal's own word on an order."""

    token: str
    ok: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """One message of one terminal."""

    address: str
    """The terminal as the protocol names it."""
    said: tuple[Said, ...] = ()
    reply: bytes = b""
    """To be sent to the terminal once what it said is stored."""
    confirmed: Confirmed | None = None
    signing_in: bool = False
    """A step on the way to it, which a terminal may take while we still hold its broken connection."""
    signed_in: bool = False
    """The terminal has proved who it is, as far as the protocol goes."""


Event: TypeAlias = Report | Refusal


@dataclass(frozen=True, slots=True)
class Errand:
    """What the desk wants a driver to read, and where to go (WGS-84 degrees)."""

    text: str
    lat: float
    lon: float
    at: datetime


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An order in the protocol's words."""

    data: bytes
    topic: str = ""
    """Where the protocol is over MQTT."""
    token: str = ""
    """What `Confirmed` will carry; empty where terminals confirm nothing."""


class CannotOrder(ValueError):
    """The protocol carries no orders, or not this one; says why."""


class StreamDecoder(ABC):
    """One connection (TCP) or one datagram (UDP)."""

    def __init__(self, secret: bytes = b"") -> None:
        self.secret = secret
        """Key for whatever codes the protocol has us give out."""

    @abstractmethod
    def receive(self, data: bytes | None, now: datetime) -> tuple[Event, ...]:
        """Takes the next bytes, or the end of the stream. What is wrong is a `Refusal`, given not raised."""

    def framed(self, raw: bytes) -> bytes:
        """Bytes that a refusal showed, as they stood in the stream."""
        return raw

    def order(self, errand: Errand) -> Outgoing:
        """Puts an errand into a message to the terminal of this connection. Raises `CannotOrder`."""
        raise CannotOrder(f"this protocol carries no orders: {errand.text[:40]!r} was not sent")


class MessageDecoder(ABC):
    """A protocol over MQTT: one decoder for all terminals."""

    @abstractmethod
    def receive(self, heard: Heard, now: datetime) -> tuple[Event, ...]:
        """Takes one message. What is wrong is a `Refusal` event, never raised."""

    def order(self, address: str, errand: Errand) -> Outgoing:
        """Puts an errand into a message to a terminal. Raises `CannotOrder`."""
        raise CannotOrder(f"{address}: this protocol carries no orders: {errand.text[:40]!r} was not sent")
