"""Whether a fix can be trusted and whether it is news: each rule marks or mends by name, none drops.

Rules for a fix, in this order: out of range; 0,0; no device time; date 1,024 weeks back (mended: the GPS
week counter came round). Then its time: ahead of ours by more than two minutes is `future`, behind by more
than one is `buffered`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from msgspec import structs

from adapters.gps.report import Report, Said
from adapters.knowledge import Knowledge, News
from wire.observations import DeviceFacts, Lateness, Link, Observation, PointState, Position
from wire.work import Tracker

ROLLOVER = timedelta(days=7168)
ROLLOVER_WITHIN = timedelta(days=1)
AHEAD = timedelta(minutes=2)
BEHIND = timedelta(seconds=60)
NULL_ISLAND_DEG = 0.001


class Register:
    """Which terminal is which tracker."""

    def __init__(self, trackers: Sequence[Tracker] = ()) -> None:
        self._by_address = {(one.protocol, one.address.lstrip("0") or "0"): one.id for one in trackers}
        self._addresses = {one.id: (one.protocol, one.address.lstrip("0") or "0") for one in trackers}

    def id_of(self, protocol: str, address: str) -> str:
        """The tracker's id; an unregistered terminal goes by its protocol and address."""
        found = self._by_address.get((protocol, address.lstrip("0") or "0"))
        if found is not None:
            return found
        named = f"{protocol}-{address}"
        return f"{named}-unregistered" if named in self._addresses else named

    def terminal_of(self, tracker: str) -> tuple[str, str] | None:
        """Protocol and address of a registered tracker."""
        return self._addresses.get(tracker)


@dataclass(frozen=True, slots=True)
class Hearing:
    """How a report reached us."""

    protocol: str
    now: datetime
    retained: bool = False


def observe(report: Report, hearing: Hearing, register: Register, knowledge: Knowledge) -> list[Observation]:
    """What a report comes to; unchanged states come to nothing. A terminal that speaks is connected."""
    source = f"tracker:{register.id_of(hearing.protocol, report.address)}"
    said = report.said
    speaks = not hearing.retained and any(not isinstance(one.body, Link) for one in said)
    if speaks and knowledge.get(source, "link") != str(True):
        said = (Said(Link(up=True)), *said)
    judged = [_judged(one, source, hearing) for one in said]
    return [one for one in judged if _is_news(one, knowledge)]


def _judged(said: Said, source: str, hearing: Hearing) -> Observation:
    body, device_at = said.body, said.device_at
    if device_at is not None and abs(hearing.now - (device_at + ROLLOVER)) < ROLLOVER_WITHIN:
        device_at += ROLLOVER
        if isinstance(body, Position):
            body = structs.replace(body, doubt=body.doubt or "date mended: 1,024 weeks")
    return Observation(
        source=source,
        body=_checked(body, device_at) if isinstance(body, Position) else body,
        heard_at=hearing.now,
        device_at=device_at,
        lateness=_lateness(said, device_at, hearing),
        id=f"{source}:{said.identity}" if said.identity else "",
    )


def _is_news(observation: Observation, knowledge: Knowledge) -> bool:
    source, body = observation.source, observation.body
    live = observation.lateness is not Lateness.RETAINED
    if isinstance(body, Link):
        return knowledge.learn(source, "link", str(body.up), rest="", live=live) is News.CHANGED
    if isinstance(body, DeviceFacts):
        return knowledge.learn(source, "facts", str(body), rest="") is News.CHANGED
    if not isinstance(body, PointState):
        return True
    if observation.lateness is Lateness.BUFFERED:
        return bool(body.active)  # it was so, and is told; what is so now, it doesn't say
    name = f"{body.point}|{body.condition}"
    return knowledge.learn(source, name, str(body.active), rest=str(False), live=live) is News.CHANGED


def _checked(position: Position, device_at: datetime | None) -> Position:
    doubt = ""
    if not (-90 <= position.lat <= 90 and -180 <= position.lon <= 180):
        doubt = "out of range"
    elif abs(position.lat) < NULL_ISLAND_DEG and abs(position.lon) < NULL_ISLAND_DEG:
        doubt = "0,0"
    elif device_at is None:
        doubt = "no device time"
    return structs.replace(position, valid=False, doubt=doubt) if doubt and position.valid else position


def _lateness(said: Said, device_at: datetime | None, hearing: Hearing) -> Lateness:
    if hearing.retained:
        return Lateness.RETAINED
    if device_at is not None and device_at - hearing.now > AHEAD:
        # Only a position is worth no more than its clock: a call for help that arrives now is news now.
        return Lateness.FUTURE if isinstance(said.body, Position) else Lateness.LIVE
    if said.history or (device_at is not None and hearing.now - device_at > BEHIND):
        return Lateness.BUFFERED
    return Lateness.LIVE
