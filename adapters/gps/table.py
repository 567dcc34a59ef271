"""The tracker protocols we speak: a new one is a decoder, its vectors, and a line here."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from adapters.gps.jt808 import Jt808
from adapters.gps.owntracks import OwnTracks
from adapters.gps.report import MessageDecoder, StreamDecoder


class Transport(Enum):
    """How terminals reach us."""

    TCP = "tcp"
    UDP = "udp"
    MQTT = "mqtt"


@dataclass(frozen=True, slots=True)
class Line:
    """One protocol."""

    name: str
    transport: Transport
    decoder: type[StreamDecoder] | type[MessageDecoder]
    port: int = 0
    """Where to listen by default (TCP, UDP)."""
    topics: tuple[str, ...] = ()
    """What to subscribe to (MQTT)."""


TABLE: tuple[Line, ...] = (
    Line("owntracks", Transport.MQTT, OwnTracks, topics=("owntracks/+/+",)),
    Line("jt808", Transport.TCP, Jt808, port=7808),
)
